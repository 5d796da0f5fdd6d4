package httpd

import (
	"regexp"
	"strings"

	"composer-api/internal/api"
)

// words are the segments of paths that the log shows. What else stands in a path is the
// client's: the name of a model, an id that it has mistaken for another, a key that somebody
// has put into the URL. New fills it, and afterwards it is only read.
//
//	/v1/responses/resp_…/cancel    is logged as it is
//	/v1/models/my-secret-model     as /v1/models/***
type words map[string]bool

// foreign are segments of addresses that other servers have and this one has not. The log shows them, so that an operator sees
// what a client asks for by mistake.
var foreign = []string{
	"openai", "deployments", "engines", "api", "health", "livez", "embeddings", "images", "generations", "edits", "audio", "speech",
	"transcriptions", "translations", "moderations", "files", "uploads", "batches", "assistants", "threads", "runs", "realtime", "beta",
	"vector_stores", "fine_tuning", "jobs", "skills", "containers", "favicon.ico", "robots.txt",
}

// add takes the literal segments of a route's pattern.
func (w words) add(pattern string) {
	_, path, _ := strings.Cut(pattern, " ")
	for segment := range strings.SplitSeq(path, "/") {
		// "{id}" is a variable. "{$}" stands for the end of the path.
		if segment != "" && segment[0] != '{' {
			w[segment] = true
		}
	}
}

// newWords takes the words of all routes and those that clients ask for by mistake.
func newWords(patterns []string) words {
	w := words{}
	for _, word := range foreign {
		w[word] = true
	}
	for _, p := range patterns {
		w.add(p)
	}
	return w
}

// ourID matches the ids that we give: of accounts, responses, conversations, completions and items. They are shown,
// because they are needed to find a request again.
var ourID = regexp.MustCompile(`^(acct_|resp_|conv_|chatcmpl-|msg_|rs_|fc_|fco_|ctc_|ctco_|item_)[A-Za-z0-9]{20,48}$`)

// maxLoggedPath is how many bytes of a path the log shows.
const maxLoggedPath = 200

// path is a path as the log may show it.
func (w words) path(path string) string {
	var b strings.Builder
	for i, segment := range strings.Split(path, "/") {
		if i > 0 {
			b.WriteByte('/')
		}
		if segment != "" && !w[segment] && !ourID.MatchString(segment) {
			segment = "***"
		}
		// Only known words and ids of ours are left, but a client may repeat them.
		if b.Len()+len(segment) > maxLoggedPath {
			b.WriteString("…")
			break
		}
		b.WriteString(segment)
	}
	return b.String()
}

// patterns are those of all routes.
// New calls it once, before the first request.
func (s *Server) patterns() []string {
	var all []string
	add := func(b base, routes []api.Route) {
		for i := range routes {
			all = append(all, b.pattern(&routes[i]))
		}
	}
	for _, b := range s.bases() {
		add(b, s.cfg.Surfaces)
	}
	add(base{}, s.fixed())
	return all
}
