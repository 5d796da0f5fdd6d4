package pages

import (
	"net/http"
	"net/url"

	"composer-api/internal/agent"
)

// maxForm is the largest form that is read, in bytes: a key and a few words.
const maxForm = 16 << 10

// readForm reads the fields of a form that a page of ours has sent. Another site's form is refused, however it got past
// httpd's check of the origin: browsers say where a form comes from, and programs have routes of their own. Errors are
// *agent.Error.
//
//	who sends the form                       what refuses another site's
//	a browser of today                       Sec-Fetch-Site, read by CrossOriginProtection
//	an older browser                         Origin, compared with Host
//	a program without either                 nothing: it has no cookie that somebody else could use
func readForm(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	if err := new(http.CrossOriginProtection).Check(r); err != nil {
		return nil, &agent.Error{Code: agent.PermissionDenied, Message: "This form was sent by another site's page. Open the page here, and send it again.", Err: err}
	}
	// A longer body is an error of ParseForm. net/http closes the connection after it.
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		return nil, &agent.Error{Code: agent.InvalidValue, Message: "The form can't be read. Load the page again, and send it once more.", Err: err}
	}
	// PostForm and not Form: what stands in the address must not pass for a field, because
	// addresses are logged and sent on.
	return r.PostForm, nil
}
