package httpd

import (
	"net/http"
	"net/url"
	"strings"

	"composer-api/internal/agent"
	"composer-api/internal/api/openai"
)

// anything is the pattern of what no route matches.
const anything = "/"

// noRoute answers a request that no route matches: 405 when its path is served with another method, else 404.
func (s *Server) noRoute(w *response, r *http.Request, mux *http.ServeMux) {
	path := openai.Clip(r.URL.Path)
	if allowed := allowedMethods(mux, r.URL.Path); len(allowed) > 0 {
		allow := strings.Join(allowed, ", ")
		w.Header().Set("Allow", allow)
		s.fail(w, agent.Errorf(agent.MethodNotAllowed, "Method %s is not allowed for %s. Use %s.", openai.Clip(r.Method), path, allow))
		return
	}
	message := "Unknown request URL: " + openai.Clip(r.Method) + " " + path + "."
	if matches(mux, r.Method, "/v1"+r.URL.Path) {
		message += " Did you mean /v1" + path + "? A client's base URL ends in /v1."
	}
	s.fail(w, &agent.Error{Code: agent.UnknownURL, Message: message})
}

// methods are those that a path may be served with.
var methods = []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}

// allowedMethods lists the methods that path is served with.
func allowedMethods(mux *http.ServeMux, path string) []string {
	var allowed []string
	for _, method := range methods {
		if matches(mux, method, path) {
			allowed = append(allowed, method)
		}
	}
	if len(allowed) > 0 {
		allowed = append(allowed, http.MethodOptions)
	}
	return allowed
}

// matches reports whether there is a route.
func matches(mux *http.ServeMux, method, path string) bool {
	_, pattern := mux.Handler(&http.Request{Method: method, URL: &url.URL{Path: path}})
	return pattern != "" && pattern != anything
}
