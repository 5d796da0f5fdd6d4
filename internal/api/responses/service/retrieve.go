package service

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"composer-api/internal/agent"
	"composer-api/internal/api"
	"composer-api/internal/api/kept"
	"composer-api/internal/api/openai"
	"composer-api/internal/api/responses"
	"composer-api/internal/store"
)

// What can be asked of a stored response: the document, its events (streamStored), its input items,
// and its deletion. Ids are looked up under the caller's owner, so those of others are not found.

// row reads a response as it is now. Errors are the store's.
//
// What this process knows of a response that it ran itself comes first: an end that could not be written yet is newer than what
// the store has. Whoever shows a response or goes on from it asks row or ancestor, and nobody the store, so that all see the
// same. Only who writes a row compares with the store's (update, insert, checkLost).
//
// It is a copy; its bytes are shared with the job and must not be changed.
func (s *Service) row(ctx context.Context, owner, id string) (store.Response, error) {
	if row := s.unsaved(owner, id); row != nil {
		return *row, nil
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	return s.store.Response(ctx, owner, id)
}

// ancestor is row for what another response continues: it also finds what was deleted meanwhile, and nothing that is kept briefly.
//
// It is asked for what went before, and never for what the client names.
func (s *Service) ancestor(ctx context.Context, owner, id string) (store.Response, error) {
	if row := s.unsaved(owner, id); row != nil && !s.store.has(owner, id) {
		return *row, nil
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	return s.store.Ancestor(ctx, owner, id)
}

// unsaved is the end of a response that waits in this process for a store that is away; nil when none does. What was deleted here
// is not shown any more, although its job may not have noticed.
func (s *Service) unsaved(owner, id string) *store.Response {
	j := s.job(store.ResponseRef{Owner: owner, ID: id})
	if j == nil || j.deleted.Load() {
		return nil
	}
	return j.unsaved.Load()
}

// load is row for a route: its errors are those that the client gets.
func (s *Service) load(ctx context.Context, owner, id string) (store.Response, error) {
	row, err := s.row(ctx, owner, id)
	switch {
	case errors.Is(err, store.ErrNotFound):
		// The same error for what never was, for what has expired, and for what is another owner's.
		return row, notFound(id)
	case err != nil:
		return row, storeError(err)
	}
	return row, nil
}

// retrieve answers GET /responses/{id}, as a document or, with stream=true, as the stream of
// its events. The document is what was stored, byte for byte; starting_after is the sequence
// number of the last event that the client has. A response that is still running is answered as
// it was stored last.
func (s *Service) retrieve(w http.ResponseWriter, r *http.Request, call *api.Call) error {
	row, err := s.load(r.Context(), call.Caller.Owner, r.PathValue("id"))
	if err != nil {
		return err
	}
	query := r.URL.Query()
	stream, err := boolParam(query, "stream")
	if err != nil {
		return err
	}
	if !stream {
		return api.WriteJSON(w, row.Object)
	}
	// -1 is from the beginning: the first event has the number 0.
	//
	// 2^53 is the largest whole number that a client in JavaScript can name.
	after, err := intParam(query, "starting_after", -1, 0, 1<<53)
	if err != nil {
		return err
	}
	return s.streamStored(w, r, row, int64(after))
}

// deletedDocument is what DELETE answers.
type deletedDocument struct {
	ID      string `json:"id"`
	Object  string `json:"object"` // "response"
	Deleted bool   `json:"deleted"`
}

// remove answers DELETE /responses/{id}. What still runs is stopped. The row goes first: then
// nobody finds the response any more, whatever becomes of the job. A response that another one
// continues is only hidden by the store, see store.Store.
//
// An end that waits for the store is written before, because others may go on from it: a hidden row can't be changed any more.
func (s *Service) remove(w http.ResponseWriter, r *http.Request, call *api.Call) error {
	ref := store.ResponseRef{Owner: call.Caller.Owner, ID: r.PathValue("id")}
	if j := s.job(ref); j != nil {
		_ = j.saveNow(r.Context()) // else the store tells of it now
	}
	ctx, cancel := context.WithTimeout(r.Context(), storeTimeout)
	defer cancel()
	err := s.store.DeleteResponse(ctx, ref.Owner, ref.ID)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return notFound(ref.ID)
	case err != nil:
		return storeError(err)
	}
	if j := s.job(ref); j != nil {
		j.deleted.Store(true)
		j.cancel(errDeleted)
	}
	return api.WriteJSON(w, openai.Encode(deletedDocument{ID: ref.ID, Object: "response", Deleted: true}))
}

// inputItems answers GET /responses/{id}/input_items: what the response answers, with what it continues, to the first
// item of the conversation. The query takes limit (1 to 100, 20 unless given), order (desc unless given), after and
// before, which are ids of items, and include.
func (s *Service) inputItems(w http.ResponseWriter, r *http.Request, call *api.Call) error {
	query := r.URL.Query()
	include, err := readInclude(r)
	if err != nil {
		return err
	}
	row, err := s.load(r.Context(), call.Caller.Owner, r.PathValue("id"))
	if err != nil {
		return err
	}
	// The whole chain is read although only a page of it is shown: ids must be unique in the list,
	// and after and before may name any item of it.
	past := s.past(call.Caller.Owner)
	// What was deleted is left out of the list here; for a turn it would be an error.
	past.partial = true
	items, err := past.before(r.Context(), &row)
	if err != nil {
		return err
	}
	input, err := responses.StoredItems(row.Input)
	if err != nil {
		return &agent.Error{Code: agent.Internal, Err: err}
	}
	listed, err := responses.NewLister(include).List(append(items, input...))
	if err != nil {
		return err
	}
	doc, err := page(listed, query)
	if err != nil {
		return err
	}
	return api.WriteJSON(w, openai.Encode(doc))
}

// readInclude reads what a query wants included in items. Some clients write include[] for each value.
//
// An unknown value is an error of the client.
func readInclude(r *http.Request) ([]string, error) {
	query := r.URL.Query()
	include := slices.Concat(query["include"], query["include[]"])
	return include, responses.CheckInclude(include)
}

// page cuts the page that a query asks for out of items, which are oldest first.
//
//	the query has       the page is
//	neither             the first of the list
//	after               what follows that item
//	before              what stands right before that item
//	both                what follows after, up to before
//
// has_more is about the direction in which the page was cut.
func page(items []responses.Listed, query url.Values) (*kept.List, error) {
	limit, err := intParam(query, "limit", 20, 1, 100)
	if err != nil {
		return nil, err
	}
	switch order := query.Get("order"); order {
	case "", "desc":
		// The caller's list keeps its order.
		items = slices.Clone(items)
		slices.Reverse(items)
	case "asc":
	default:
		return nil, openai.OneOf("order", order, "asc", "desc")
	}
	if items, err = between(items, query); err != nil {
		return nil, err
	}
	doc := kept.NewList()
	doc.HasMore = len(items) > limit
	if doc.HasMore {
		// A page before an item ends at it; every other begins where its list does.
		if query.Get("before") != "" && query.Get("after") == "" {
			// For example limit=2, before=e in a b c d e: c d, and there is more before them.
			items = items[len(items)-limit:]
		} else {
			items = items[:limit]
		}
	}
	for _, it := range items {
		doc.Add(it.ID, it.Item)
	}
	return doc, nil
}

// between cuts away what is up to the item after and from the item before on. Both are places
// in items, whatever the order is: after comes later in the list that the client sees. Names
// that aren't in the list are errors of the parameter.
func between(items []responses.Listed, query url.Values) ([]responses.Listed, error) {
	if id := query.Get("after"); id != "" {
		i, err := indexOf(items, id, "after")
		if err != nil {
			return nil, err
		}
		items = items[i+1:]
	}
	if id := query.Get("before"); id != "" {
		i, err := indexOf(items, id, "before")
		if err != nil {
			return nil, err
		}
		items = items[:i]
	}
	return items, nil
}

// indexOf finds the item that a parameter names. An unknown one is an error, as at OpenAI, and not an empty page.
func indexOf(items []responses.Listed, id, param string) (int, error) {
	i := slices.IndexFunc(items, func(it responses.Listed) bool { return it.ID == id })
	if i < 0 {
		return 0, agent.ParamError(agent.InvalidValue, param, "Item with id '%s' is not among the input items of this response.", openai.Clip(id))
	}
	return i, nil
}

// intParam reads a whole number from least to most; otherwise is its value when the query doesn't
// have it. Errors name the parameter, and quote no more of the value than openai.Clip lets through.
func intParam(query url.Values, name string, otherwise, least, most int) (int, error) {
	// A parameter that is there without a value counts as not sent.
	text := query.Get(name)
	if text == "" {
		return otherwise, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < least || n > most {
		return 0, agent.ParamError(agent.InvalidValue, name, "Invalid value for '%s': '%s'. It must be a whole number from %d to %d.", name, openai.Clip(text), least, most)
	}
	return n, nil
}

// boolParam reads a boolean, as strconv knows them: true, false, 1, 0 and so on. It is false when it isn't there.
func boolParam(query url.Values, name string) (bool, error) {
	text := query.Get(name)
	if text == "" {
		return false, nil
	}
	b, err := strconv.ParseBool(text)
	if err != nil {
		return false, agent.ParamError(agent.InvalidValue, name, "Invalid value for '%s': '%s'. It must be true or false.", name, openai.Clip(text))
	}
	return b, nil
}
