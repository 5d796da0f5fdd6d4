package pages

import (
	"net/http"
	"strings"

	"composer-api/internal/agent"
	"composer-api/internal/api"
	"composer-api/internal/api/openai"
)

// A failure is what the page says that a browser gets instead of an error's JSON.
//
// The cause of an error is not in it: that is for the log, which has it under the same request id.
type failure struct {
	Title, Message string
	RequestID      string
}

// ErrorForm is how people see errors: as a page. Addresses of the API answer with JSON, whoever asks.
//
// httpd asks every form in turn whether it fits the request, and the first that does writes the
// error; see httpd.Config. So a browser that opens an address with a typing error gets a page, and
// curl gets JSON.
func (s *Site) ErrorForm() api.ErrorForm {
	return api.ErrorForm{
		Fits: func(r *http.Request) bool { return api.PrefersHTML(r) && !isAPI(r.URL.Path) },
		Write: func(w http.ResponseWriter, r *http.Request, err error) {
			e := agent.AsError(err)
			openai.SetRetryHeaders(w.Header(), e)
			w.Header().Set("Cache-Control", "no-store")
			s.fail(w, r, openai.RowOf(e.Code).Status, openai.Message(e))
		},
	}
}

// fail answers with the page of an error.
//
// When even this page fails there is nothing left to answer with: it is logged, and the client gets
// an empty body.
func (s *Site) fail(w http.ResponseWriter, r *http.Request, status int, message string) {
	data := &failure{Title: http.StatusText(status), Message: message, RequestID: w.Header().Get("X-Request-Id")}
	if err := s.render(w, r, status, "error", data); err != nil {
		s.cfg.Log.Warn("an error page was not delivered", "err", err)
	}
}

// isAPI reports whether a path is one that programs ask for.
//
//	/api/waitlist, /v1/models, /opencodev2/v1/responses, /u/acct_…/v1/models   yes
//	/docs/errors, /keys                                                        no
func isAPI(path string) bool {
	return strings.HasPrefix(path, "/api/") || strings.Contains(path+"/", "/v1/")
}
