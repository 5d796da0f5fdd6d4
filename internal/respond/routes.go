package respond

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"composer-api/internal/agent"
	"composer-api/internal/store"
)

// A Route is one line of the routing table.
type Route struct {
	// Pattern is a method and a path below the API's base, as http.ServeMux takes them.
	Pattern string
	// Turn routes start a turn.
	Turn bool
	// Handle answers. An error that it returns before it has written anything is for the caller to render; afterwards
	// it must end the connection, because the answer is not whole. A failure that the client has been told of in its
	// stream is no error here.
	Handle func(w http.ResponseWriter, r *http.Request, call Call) error
}

// A Call is who asks, and for what upstream.
type Call struct {
	Caller   agent.Caller
	Upstream string // the backend that the path asks for; "" is the default
	Session  string // the client's name for the conversation; "" when it sent none
}

// Routes are the routes of the Responses API.
func (s *Service) Routes() []Route {
	return []Route{
		{Pattern: "POST /responses", Turn: true, Handle: s.create},
		{Pattern: "GET /responses", Handle: s.noWebSocket},
		{Pattern: "POST /responses/input_tokens", Handle: s.countTokens},
		{Pattern: "POST /responses/compact", Turn: true, Handle: s.compact},
		{Pattern: "GET /responses/{id}", Handle: s.retrieve},
		{Pattern: "DELETE /responses/{id}", Handle: s.remove},
		{Pattern: "GET /responses/{id}/input_items", Handle: s.inputItems},
		{Pattern: "POST /responses/{id}/cancel", Handle: s.cancel},
	}
}

// readBody reads the whole body. It must be read to its end before a turn starts: only then does net/http notice that
// the client has left.
func readBody(r *http.Request) ([]byte, error) { return io.ReadAll(r.Body) }

func writeJSON(w http.ResponseWriter, doc []byte) error {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(doc)+1))
	_, err := w.Write(append(doc, '\n'))
	return err
}

// notFound is the error for a response that doesn't exist for the caller.
func notFound(id string) error {
	return agent.Errorf(agent.NotFound, "Response with id '%s' not found.", clip(id))
}

// storeError is the error of the store for the client, other than that there is no such row.
func storeError(err error) error {
	switch {
	case errors.Is(err, store.ErrUnavailable):
		return &agent.Error{Code: agent.Overloaded, Message: "Stored responses can't be reached at the moment. Requests with 'store': false and without 'previous_response_id' still work.", Err: err}
	case errors.Is(err, store.ErrTooLarge):
		return &agent.Error{Code: agent.TooLarge, Message: "The request is too large to be stored. Send it with 'store': false.", Err: err}
	}
	return &agent.Error{Code: agent.Internal, Err: err}
}

// clip shortens what a client sent for an error message.
func clip(s string) string {
	const most = 100
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}

// encode writes one of our documents, which can't fail.
func encode(v any) []byte {
	doc, err := json.Marshal(v, liberal)
	if err != nil {
		panic("respond: " + err.Error())
	}
	return doc
}

// liberal takes what clients have sent, and we have kept, for what it is.
var liberal = json.JoinOptions(jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true), jsontext.EscapeForJS(true))

// encodeList writes a list of documents.
func encodeList(list []jsontext.Value) []byte { return encode(list) }
