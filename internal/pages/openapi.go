package pages

import (
	_ "embed"
	"net/http"
	"strconv"

	"composer-api/internal/api"
)

// openAPI describes every route, for programs. A test of package archtest holds it and the routes together.
//
// It is compressed once, like the files below static.
//
//go:embed openapi.json
var openAPI []byte

// describe answers GET /openapi.json. Pages of other origins may read it: it is the same for everybody.
func (s *Site) describe(w http.ResponseWriter, r *http.Request, _ *api.Call) error {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-cache")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Add("Vary", "Accept-Encoding")
	body := openAPI
	if accepts(r, "gzip") {
		body = s.description()
		h.Set("Content-Encoding", "gzip")
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	_, err := w.Write(body)
	return err
}
