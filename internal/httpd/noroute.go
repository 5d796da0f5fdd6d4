package httpd

import (
	"net/http"
	"net/url"
	"strings"

	"composer-api/internal/agent"
	"composer-api/internal/api/openai"
)

// Requests for which there is no route. Most come from a wrong base URL, so the answer says which is
// meant; the routes themselves are asked (ServeMux), so that a hint never names what isn't there.

// anything is the pattern of the handler for requests that no route matches.
const anything = "/"

// noRoute answers a request that no route matches: 405 when its path is served with another method, else 404.
func (s *Server) noRoute(w *response, r *http.Request, mux *http.ServeMux) {
	path := openai.Clip(r.URL.Path)
	// ServeMux would answer 405 itself, if there were no handler for everything else; with one it
	// doesn't.
	if allowed := allowedMethods(mux, r.URL.Path); len(allowed) > 0 {
		allow := strings.Join(allowed, ", ")
		w.Header().Set("Allow", allow)
		s.fail(w, r, agent.Errorf(agent.MethodNotAllowed, "Method %s is not allowed for %s. Use %s.", openai.Clip(r.Method), path, allow))
		return
	}
	message := "Unknown request URL: " + openai.Clip(r.Method) + " " + path + "."
	if hint := suggestion(mux, r.Method, r.URL.Path); hint != "" {
		message += " " + hint
	}
	s.fail(w, r, &agent.Error{Code: agent.UnknownURL, Message: message})
}

// unserved are addresses of other APIs, and of parts of OpenAI's and Anthropic's, that clients ask for and that are not
// served here. The first row that is part of the path counts; hint says what to do instead.
var unserved = []struct{ part, hint string }{
	{"/openai/deployments/", "This is an address of Azure. Use an OpenAI client with a base URL that ends in /v1, and name the model in the body."},
	{"/v1beta/", "This is an address of Gemini's API. Choose a provider that is compatible with OpenAI, with a base URL that ends in /v1."},
	{"/engines/", "This address of OpenAI's has gone. Use /v1/completions, and name the model in the body."},
	{"/v1/complete", "Anthropic's text completions have gone. Use /v1/messages."},
	{"/embeddings", onlyText},
	{"/images/", onlyText},
	{"/audio/", onlyText},
	{"/moderations", onlyText},
	{"/realtime", onlyText},
	{"/rerank", onlyText},
	{"/videos", onlyText},
	{"/v1/files", noFiles},
	{"/v1/uploads", noFiles},
	{"/v1/vector_stores", noFiles},
	{"/v1/batches", "There are no batches here. Send the requests one by one, or use /v1/responses with 'background': true."},
	{"/messages/batches", "There are no batches here. Send the requests one by one."},
	{"/v1/containers", noTools},
	{"/v1/skills", noTools},
	{"/v1/assistants", assistants},
	{"/v1/threads", assistants},
	{"/v1/fine_tuning", "Cursor's models can't be trained by their users."},
	{"/api/chat", ollama},
	{"/api/generate", ollama},
	{"/api/tags", ollama},
	{"/api/show", ollama},
	{"/api/version", ollama},
}

const (
	// What a client is told that asks for an API which isn't here. Each names what to use in its place.
	assistants = "OpenAI's Assistants API has gone. Use /v1/responses, and /v1/conversations for what was a thread."
	noTools    = "No tools run here: the client runs them. Offer functions among 'tools'."
	onlyText   = "Cursor's models write text and call tools, and nothing else. Use another provider for this."
	noFiles    = "Files are not kept here. Send them inside of the request, in base64 (OpenAI's 'file_data', Anthropic's source of type 'base64')."
	ollama     = "This is an address of Ollama's API. Choose a provider that is compatible with OpenAI, with a base URL that ends in /v1."
)

// suggestion is a sentence that says what the client probably meant, for the usual mistakes with base URLs; "" for
// any other path.
func suggestion(mux *http.ServeMux, method, path string) string {
	// "/v1/v1/models" comes from a client that adds /v1 to a base URL which has it.
	once := path
	for strings.Contains(once, "/v1/v1/") {
		once = strings.Replace(once, "/v1/v1/", "/v1/", 1)
	}
	switch {
	case once != path && matches(mux, method, once):
		return "Did you mean " + openai.Clip(once) + "? The client adds /v1 by itself, so leave it out of the base URL."
	// "/models": the base URL has no /v1 at all.
	case matches(mux, method, "/v1"+path):
		return "Did you mean /v1" + openai.Clip(path) + "? A client's base URL ends in /v1."
	case path == "/health" || path == "/v1/health" || path == "/livez":
		return "Did you mean /healthz? /readyz says whether new requests are taken."
	}
	if strings.HasSuffix(path, "/v1") {
		return "This is a base URL: a client puts the path of a route behind it, as in " + openai.Clip(path) + "/chat/completions."
	}
	if whole, ok := withoutEndpoint(path); ok && matches(mux, method, whole) {
		return "Did you mean " + openai.Clip(whole) + "? A client's base URL ends in /v1, and not in the path of a route."
	}
	// "/api/v1/models": a base URL that was made for another server.
	if i := strings.Index(path, "/v1/"); i > 0 && matches(mux, method, path[i:]) {
		return "Did you mean " + openai.Clip(path[i:]) + "? A client's base URL is that of this server with /v1 behind it, and nothing before that."
	}
	for _, row := range unserved {
		if strings.Contains(path, row.part) {
			return row.hint
		}
	}
	return ""
}

// endpoints are what people give as a base URL, because manuals show it whole.
var endpoints = []string{"/chat/completions", "/completions", "/responses", "/messages", "/models"}

// withoutEndpoint leaves out of a path the endpoint that a client has put its own path behind:
// /v1/chat/completions/models is /v1/models.
func withoutEndpoint(path string) (string, bool) {
	for _, endpoint := range endpoints {
		// The first endpoint of the list that fits: "/chat/completions" stands before
		// "/completions", of which it is the end.
		if before, behind, ok := strings.Cut(path, endpoint+"/"); ok {
			return before + "/" + behind, true
		}
	}
	return "", false
}

// methods are the methods that are tried to find out which a path is served with.
var methods = []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}

// allowedMethods lists the methods that path is served with, for the Allow header; none when it is not served.
func allowedMethods(mux *http.ServeMux, path string) []string {
	var allowed []string
	for _, method := range methods {
		if matches(mux, method, path) {
			allowed = append(allowed, method)
		}
	}
	if len(allowed) > 0 {
		// Every path answers OPTIONS, see cors.
		allowed = append(allowed, http.MethodOptions)
	}
	return allowed
}

// matches reports whether a route matches.
func matches(mux *http.ServeMux, method, path string) bool {
	// Handler only looks up. A request without host and header is enough for it.
	_, pattern := mux.Handler(&http.Request{Method: method, URL: &url.URL{Path: path}})
	return pattern != "" && pattern != anything
}
