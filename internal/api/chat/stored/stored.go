// Package stored keeps chat completions whose client asks for that (store: true), and answers for them later:
//
//	GET    /chat/completions                list, with metadata[key]=value and model as filters
//	GET    /chat/completions/{id}           one
//	POST   /chat/completions/{id}           give it other metadata
//	DELETE /chat/completions/{id}
//	GET    /chat/completions/{id}/messages  what it answers
//
// A completion is a document of the store, and the messages that it answers are its parts. It belongs to the owner who
// made it; to everybody else it doesn't exist. Package api/chat has what a completion looks like.
package stored

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"composer-api/internal/agent"
	"composer-api/internal/api"
	"composer-api/internal/api/chat"
	"composer-api/internal/api/kept"
	"composer-api/internal/api/openai"
	"composer-api/internal/store"
)

// Config is what a Service needs.
type Config struct {
	// Store keeps the completions.
	Store store.Documents
	// Age is how long one is kept; 0 means 30 days.
	Age time.Duration
	// Log receives what can't be kept, never what it says. Nil discards it.
	Log *slog.Logger
}

// A Service keeps completions and answers for them. It is safe for concurrent use. It has no
// goroutines and nothing to close; the store is the caller's.
//
//	a turn of api/chat ── Keep ──► store.Documents ◄── list, get, update, remove, messages
//
// Keep is the only thing that the turn needs; the routes are a surface of their own.
type Service struct{ cfg Config }

// A method that is missing fails the build here, and not in internal/cli.
var _ chat.Keeper = (*Service)(nil)

// New makes a Service.
func New(cfg Config) *Service {
	cfg.Age = cmp.Or(cfg.Age, 30*24*time.Hour)
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Service{cfg}
}

// kind is that of the documents. It is part of what is on disk: never change it.
const kind = "chat.completion"

// keepTimeout bounds how long the end of a completion waits for the store.
const keepTimeout = 3 * time.Second

// Keep implements chat.Keeper. It has no context, because the client may leave when it has its answer.
//
// One that fails is lost: the client has its answer, and finds nothing under its id later. It
// waits for the store, keepTimeout at most, before the client gets the end of its answer.
//
// By that order, a client that has the id can always ask for it: by then it has been stored, or has
// failed.
func (s *Service) Keep(owner string, c *chat.Completion) {
	ctx, cancel := context.WithTimeout(context.Background(), keepTimeout)
	defer cancel()
	parts := make([]store.DocumentPart, len(c.Messages))
	for i, m := range c.Messages {
		parts[i] = store.DocumentPart{ID: idOf(m), Data: m}
	}
	err := s.cfg.Store.CreateDocument(ctx, store.Document{
		Owner: owner, ID: c.ID, Kind: kind, Data: c.Object, Created: c.Created, Expires: time.Now().Add(s.cfg.Age),
	}, parts)
	if err != nil {
		s.cfg.Log.Error("a chat completion could not be stored", "id", c.ID, "err", err)
	}
}

// idOf is the id of a message of ours.
func idOf(message jsontext.Value) string {
	var head struct {
		ID string `json:"id"`
	}
	_ = openai.DecodeOwn(message, &head) // it is an object that has been encoded just now
	return head.ID
}

// Routes are the routes that answer for what is kept, below the API's bases.
func (s *Service) Routes() []api.Route {
	return []api.Route{
		{Pattern: "GET /chat/completions", Handle: s.list},
		{Pattern: "GET /chat/completions/{id}", Handle: s.get},
		{Pattern: "POST /chat/completions/{id}", Handle: s.update},
		{Pattern: "DELETE /chat/completions/{id}", Handle: s.remove},
		{Pattern: "GET /chat/completions/{id}/messages", Handle: s.messages},
	}
}

// load reads a completion, for a client. A document of another kind, such as a conversation, is
// not found. The error is one for the client.
func (s *Service) load(ctx context.Context, call *api.Call, id string) (store.Document, error) {
	// By the caller's owner, so others' are not found.
	d, err := s.cfg.Store.Document(ctx, call.Caller.Owner, id)
	switch {
	case errors.Is(err, store.ErrNotFound), err == nil && d.Kind != kind:
		return d, notFound(id)
	case err != nil:
		return d, kept.Error(err)
	}
	return d, nil
}

// notFound is the error for a completion that doesn't exist for the caller. What belongs to others gets the same words.
func notFound(id string) error {
	return agent.Errorf(agent.NotFound, "Chat completion with id '%s' not found. It may have expired or been deleted, or it was made without 'store': true or with another key.", openai.Clip(id))
}

// get answers GET /chat/completions/{id} with the document as it was kept.
func (s *Service) get(w http.ResponseWriter, r *http.Request, call *api.Call) error {
	d, err := s.load(r.Context(), call, r.PathValue("id"))
	if err != nil {
		return err
	}
	return api.WriteJSON(w, d.Data)
}

// deletedDocument is what DELETE answers.
type deletedDocument struct {
	Object  string `json:"object"` // "chat.completion.deleted"
	ID      string `json:"id"`
	Deleted bool   `json:"deleted"`
}

// remove answers DELETE /chat/completions/{id}. The messages go with the completion.
func (s *Service) remove(w http.ResponseWriter, r *http.Request, call *api.Call) error {
	d, err := s.load(r.Context(), call, r.PathValue("id"))
	if err != nil {
		return err
	}
	switch err := s.cfg.Store.DeleteDocument(r.Context(), d.Owner, d.ID); {
	case errors.Is(err, store.ErrNotFound):
		return notFound(d.ID)
	case err != nil:
		return kept.Error(err)
	}
	return api.WriteJSON(w, openai.Encode(deletedDocument{"chat.completion.deleted", d.ID, true}))
}

// updateTries bounds how often an update follows a document that others change.
const updateTries = 3

// update answers POST /chat/completions/{id}. It gives a completion other metadata, which is
// all that can be changed. Of two who change it at once, the one that comes second reads it
// again. A completion that others go on changing is an error after updateTries.
func (s *Service) update(w http.ResponseWriter, r *http.Request, call *api.Call) error {
	body, err := api.ReadBody(r)
	if err != nil {
		return err
	}
	var change struct {
		Metadata openai.Metadata `json:"metadata"`
	}
	if err := openai.Decode(body, &change); err != nil {
		return err
	}
	// {} is fine, and takes all metadata away.
	if change.Metadata == nil {
		return openai.Missing("metadata")
	}
	if err := change.Metadata.Check("metadata"); err != nil {
		return err
	}
	for try := 1; ; try++ {
		d, err := s.load(r.Context(), call, r.PathValue("id"))
		if err != nil {
			return err
		}
		// All other members keep their bytes.
		if d.Data, err = openai.WithMember(d.Data, "metadata", openai.Encode(change.Metadata)); err != nil {
			return &agent.Error{Code: agent.Internal, Err: err}
		}
		switch err := s.cfg.Store.UpdateDocument(r.Context(), d); {
		case errors.Is(err, store.ErrConflict) && try < updateTries:
			continue
		case errors.Is(err, store.ErrNotFound):
			return notFound(d.ID)
		case err != nil:
			return kept.Error(err)
		}
		return api.WriteJSON(w, d.Data)
	}
}

// A filter says which completions a list holds.
//
// The zero value takes all.
type filter struct {
	// model is "" for any. A completion must have all of metadata, and may have more.
	model    string
	metadata map[string]string
}

// readFilter reads model and metadata[key]=value. A key that is given twice counts once, with
// its first value. An empty model filters nothing.
//
// OpenAI's SDKs write metadata[topic]=cooking.
func readFilter(query url.Values) filter {
	f := filter{model: query.Get("model"), metadata: map[string]string{}}
	for name, values := range query {
		if key, ok := strings.CutPrefix(name, "metadata["); ok && strings.HasSuffix(key, "]") {
			f.metadata[strings.TrimSuffix(key, "]")] = values[0]
		}
	}
	return f
}

// takes reports whether the list holds a completion. One that can't be read is in no list. All
// conditions must hold.
func (f *filter) takes(object []byte) bool {
	var c struct {
		Model    string            `json:"model"`
		Metadata map[string]string `json:"metadata"`
	}
	if openai.DecodeOwn(object, &c) != nil || f.model != "" && f.model != c.Model {
		return false
	}
	for key, want := range f.metadata {
		if got, ok := c.Metadata[key]; !ok || got != want {
			return false
		}
	}
	return true
}

// takesAll reports whether nothing is filtered. Then one page of the store is one page of the list.
func (f *filter) takesAll() bool { return f.model == "" && len(f.metadata) == 0 }

// listStep is how many completions are read at once while a filter looks for those that it takes.
const listStep = 100

// list answers GET /chat/completions, oldest first unless the query says otherwise. The store knows nothing of models and
// metadata, so a list with a filter reads on, step by step, until its page is full or there is nothing more.
//
// The work of a list with a filter grows with the owner's completions, not with those that it
// takes; each step is a read of its own, and the request's context ends it.
func (s *Service) list(w http.ResponseWriter, r *http.Request, call *api.Call) error {
	query := r.URL.Query()
	wanted, err := kept.ReadPage(query, false)
	if err != nil {
		return err
	}
	filter := readFilter(query)
	list := kept.NewList()
	page := wanted
	// One more than is asked for, which tells whether there are more.
	page.Limit = wanted.Limit + 1
	if !filter.takesAll() {
		// The page of the store isn't that of the list any more.
		page.Limit = listStep
	}
	for {
		found, err := s.cfg.Store.ListDocuments(r.Context(), call.Caller.Owner, kind, page)
		switch {
		// The id that the client has named.
		case errors.Is(err, store.ErrNotFound) && page.After == wanted.After:
			return kept.NotAfter(wanted.After)
		case errors.Is(err, store.ErrNotFound):
			found = nil // the last one that was looked at was deleted meanwhile; the client asks again from the last it got
			list.HasMore = true
		case err != nil:
			return kept.Error(err)
		}
		for _, d := range found {
			switch {
			case !filter.takes(d.Data):
			// One more than was asked for is enough to know that there are more.
			case len(list.Data) == wanted.Limit:
				list.HasMore = true
				return api.WriteJSON(w, openai.Encode(list))
			default:
				list.Add(d.ID, d.Data)
			}
		}
		// The end of what the owner has.
		if len(found) < page.Limit {
			return api.WriteJSON(w, openai.Encode(list))
		}
		page.After = found[len(found)-1].ID
	}
}

// messages answers GET /chat/completions/{id}/messages. The order is that of the conversation, unless
// the query asks for the other. One more than the page is read: if it comes, there are more.
func (s *Service) messages(w http.ResponseWriter, r *http.Request, call *api.Call) error {
	page, err := kept.ReadPage(r.URL.Query(), false)
	if err != nil {
		return err
	}
	d, err := s.load(r.Context(), call, r.PathValue("id"))
	if err != nil {
		return err
	}
	wanted := page.Limit
	page.Limit++
	parts, err := s.cfg.Store.ListParts(r.Context(), d.Owner, d.ID, page)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return kept.NotAfter(page.After)
	case err != nil:
		return kept.Error(err)
	}
	list := kept.NewList()
	for _, p := range parts[:min(wanted, len(parts))] {
		list.Add(p.ID, p.Data)
	}
	list.HasMore = len(parts) > wanted
	return api.WriteJSON(w, openai.Encode(list))
}
