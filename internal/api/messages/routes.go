package messages

import (
	"encoding/base64"
	"log/slog"
	"net/http"
	"strconv"
	"strings"

	"composer-api/internal/agent"
	"composer-api/internal/api"
	"composer-api/internal/api/known"
	"composer-api/internal/store/seal"
)

// Config is what the routes need.
type Config struct {
	// Turns carries out the turns.
	Turns agent.Turner
	// Seal signs the thinking that clients carry for us. Nil means a key that ends with the process.
	Seal *seal.Ring
	// Sent remembers messages. Nil remembers none.
	Sent *known.Memory
	// Log receives which tools were left out of a request, by their types. Nil discards it.
	Log *slog.Logger
}

// Routes are the routes of the Messages API, below the API's bases.
//
// count_tokens is no turn: it counts neither for limits of turns nor for draining.
func Routes(cfg Config) []api.Route {
	if cfg.Seal == nil {
		cfg.Seal = seal.Random()
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	h := &handlers{cfg}
	return []api.Route{
		{Pattern: "POST /messages", Turn: true, Handle: h.create},
		{Pattern: "POST /messages/count_tokens", Handle: h.countTokens},
	}
}

// handlers has no state of its own.
type handlers struct{ cfg Config }

// create answers POST …/messages: with a stream or a whole answer. A turn that fails after the answer has begun has its error in
// the stream.
func (h *handlers) create(w http.ResponseWriter, r *http.Request, call *api.Call) error {
	body, err := api.ReadBody(r)
	if err != nil {
		return err
	}
	// Decoded gives the body's share of the memory for bodies back, whatever came of it: a turn takes minutes.
	req, err := Decode(body, h.cfg.Sent.Of(call.Caller.Owner))
	api.Decoded(r)
	if err != nil {
		return err
	}
	if len(req.dropped) > 0 {
		h.cfg.Log.Info("tools that only Anthropic's servers can run were left out", "types", api.LoggedTypes(req.dropped, isServerTool))
	}
	if err := call.Fill(&req.Request); err != nil {
		return err
	}
	// Before the turn: the gateway finds the conversation of a named session by it.
	req.nameSession()
	w.Header().Set(requestIDHeader, call.Origin.RequestID)
	encoder := NewEncoder(w, req, Options{RequestID: call.Origin.RequestID, Sign: h.signer(call.Caller.Owner)})
	defer encoder.Close()
	err = h.cfg.Turns.Turn(r.Context(), &req.Request, encoder)
	// The client was told in the stream, so httpd only logs the error.
	if err != nil && encoder.Fail(agent.AsError(err)) {
		return &api.Told{Err: err}
	}
	return err
}

// countTokens answers POST …/messages/count_tokens. It is an estimate, as everywhere where
// upstream has not counted. It asks no upstream and needs no reachable one.
func (h *handlers) countTokens(w http.ResponseWriter, r *http.Request, call *api.Call) error {
	body, err := api.ReadBody(r)
	if err != nil {
		return err
	}
	req, err := decodeCount(body, h.cfg.Sent.Of(call.Caller.Owner))
	if err != nil {
		return err
	}
	w.Header().Set(requestIDHeader, call.Origin.RequestID)
	doc := strconv.AppendInt([]byte(`{"input_tokens":`), agent.EstimatePrompt(&req.Request), 10)
	return api.WriteJSON(w, append(doc, '}'))
}

// sealThinking is what a signature is sealed for, so that nothing else that we have sealed
// passes for one. It is part of what clients hold: never change it.
const sealThinking = "messages-thinking"

// signer makes signatures of thinking: the digest of its text, sealed for the owner. A signature so says that the text
// is what one of our models has thought, without another copy of it.
//
// Nobody checks it today when it comes back, because upstream takes no thinking: decisions/0017.
func (h *handlers) signer(owner string) func([]byte) string {
	return func(digest []byte) string {
		return base64.StdEncoding.EncodeToString(h.cfg.Seal.Seal(digest, sealThinking, owner))
	}
}

// maxUserID bounds a user id that names a session.
const maxUserID = 512

// nameSession names the session of a request that came without a session header by metadata.user_id.
// Claude Code puts its session's id into it; elsewhere it names a user, who may have several
// conversations at once. It comes after call.Fill, which sets the session of a header.
func (r *Request) nameSession() {
	if r.Session != "" || r.userID == "" || len(r.userID) > maxUserID {
		return
	}
	r.Session = r.userID
	r.SharedSession = !strings.Contains(r.userID, "session_")
}
