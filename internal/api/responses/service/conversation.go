package service

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"composer-api/internal/agent"
	"composer-api/internal/api"
	"composer-api/internal/api/kept"
	"composer-api/internal/api/openai"
	"composer-api/internal/api/responses"
	"composer-api/internal/store"
)

// A conversation is a list of items that its client keeps with us: each response that belongs to it goes on from its
// items, and adds its own input and output when it completes. It is a document of the store, and its items are the parts.
// It is kept for Config.Age since it was changed last. (store.Conversation is something else: upstream's half of a
// conversation, for the gateway.)

// conversationKind is that of the documents. It is part of what is on disk: never change it.
const conversationKind = "conversation"

// conversationData is what the document of a conversation holds. The items are not in it: they
// are parts, so that adding some doesn't rewrite the rest.
//
// It is JSON in the store, sealed like all content. Fields may be added; none may change its
// meaning.
type conversationData struct {
	Metadata openai.Metadata `json:"metadata"`
}

// conversationDocument is a conversation as the API shows it.
type conversationDocument struct {
	ID        string          `json:"id"`
	Object    string          `json:"object"` // "conversation"
	CreatedAt int64           `json:"created_at"`
	Metadata  openai.Metadata `json:"metadata"`
}

// writeConversation answers with a conversation.
func writeConversation(w http.ResponseWriter, d *store.Document) error {
	var data conversationData
	if err := openai.DecodeOwn(d.Data, &data); err != nil {
		return &agent.Error{Code: agent.Internal, Err: err}
	}
	return api.WriteJSON(w, openai.Encode(conversationDocument{d.ID, "conversation", d.Created.Unix(), data.Metadata}))
}

// noConversation is the error for a conversation that doesn't exist for the caller. A conversation
// of somebody else gets the same words: whether an id exists is its owner's secret.
func noConversation(id string) error {
	return agent.Errorf(agent.NotFound, "Conversation with id '%s' not found. It may have expired or been deleted, or it was made with another key.", openai.Clip(id))
}

// noItem is the error for an item that isn't in the conversation.
//
// It is the same for an item that was deleted.
func noItem(id string) error {
	return agent.Errorf(agent.NotFound, "Item with id '%s' not found in this conversation.", openai.Clip(id))
}

// loadConversation reads a conversation, for a client. A document of another kind under that id
// (chat's stored completions) counts as none. It takes at most storeTimeout.
func (s *Service) loadConversation(ctx context.Context, owner, id string) (store.Document, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	d, err := s.store.Document(ctx, owner, id)
	switch {
	case errors.Is(err, store.ErrNotFound), err == nil && d.Kind != conversationKind:
		return d, noConversation(id)
	case err != nil:
		return d, kept.Error(err)
	}
	return d, nil
}

// readConversation reads the body of a request about conversations. Errors are those of the client.
func readConversation(r *http.Request) (*responses.ConversationBody, error) {
	data, err := api.ReadBody(r)
	if err != nil {
		return nil, err
	}
	return responses.DecodeConversation(data)
}

// createConversation answers POST /conversations. The document and its first items are made in
// one step of the store.
//
// Items may be missing: an empty conversation is one to which responses are added.
func (s *Service) createConversation(w http.ResponseWriter, r *http.Request, call *api.Call) error {
	body, err := readConversation(r)
	if err != nil {
		return err
	}
	// Checked before the document is made: a conversation with an item that can't be used is of no
	// use.
	parts, _, err := s.past(call.Caller.Owner).newItems(r.Context(), body.Items)
	if err != nil {
		return err
	}
	now := time.Now()
	d := store.Document{
		Owner: call.Caller.Owner, ID: agent.NewID("conv_", 24), Kind: conversationKind,
		Data: openai.Encode(conversationData{body.Metadata}), Created: now, Expires: now.Add(s.cfg.Age),
	}
	if err := s.store.CreateDocument(r.Context(), d, parts); err != nil {
		return kept.Error(err)
	}
	return writeConversation(w, &d)
}

// newItems makes parts of items that a client adds, with ids of ours, and the list of them. References are replaced, what means
// something for a request alone is left out, and what couldn't be sent to the model is refused now: later it would make the
// conversation unusable.
//
// The ids of the items are derived from a response's id that is made for them alone, so they
// look like those of any other item. The list has the items as they are stored, for the answer.
func (p *past) newItems(ctx context.Context, items []responses.Item) ([]store.DocumentPart, []byte, error) {
	if err := p.resolve(ctx, items); err != nil {
		return nil, nil, err
	}
	items = slices.DeleteFunc(items, func(it responses.Item) bool { return it.OfRequest() })
	err := responses.CheckItems(items, func(sealed string) (string, error) { return p.service.open(sealed, sealCompaction, p.owner) })
	if err != nil {
		return nil, nil, err
	}
	encoded, err := responses.EncodeItems(responses.NewID(), responses.WithoutIDs(items))
	if err != nil {
		return nil, nil, err
	}
	parts, err := partsOf(encoded)
	return parts, openai.Encode(encoded), err
}

// partsOf are items, which have ids, as parts of a document. A part's id is the item's, so an
// item can't be twice in a conversation. The parts share the items' memory.
//
// Only the id is read of each item.
func partsOf(items []jsontext.Value) ([]store.DocumentPart, error) {
	parts := make([]store.DocumentPart, len(items))
	for i, item := range items {
		var head struct {
			ID string `json:"id"`
		}
		if err := openai.DecodeOwn(item, &head); err != nil {
			return nil, &agent.Error{Code: agent.Internal, Err: err}
		}
		parts[i] = store.DocumentPart{ID: head.ID, Data: item}
	}
	return parts, nil
}

// getConversation answers GET /conversations/{id}.
func (s *Service) getConversation(w http.ResponseWriter, r *http.Request, call *api.Call) error {
	d, err := s.loadConversation(r.Context(), call.Caller.Owner, r.PathValue("id"))
	if err != nil {
		return err
	}
	return writeConversation(w, &d)
}

// updateConversation answers POST /conversations/{id}, which changes the metadata. It tries
// again when somebody else has changed the document meanwhile, updateTries times. Metadata is
// replaced as a whole, and the conversation's age begins anew.
func (s *Service) updateConversation(w http.ResponseWriter, r *http.Request, call *api.Call) error {
	body, err := readConversation(r)
	if err != nil {
		return err
	}
	if body.Metadata == nil {
		return openai.Missing("metadata")
	}
	for try := 1; ; try++ {
		d, err := s.loadConversation(r.Context(), call.Caller.Owner, r.PathValue("id"))
		if err != nil {
			return err
		}
		d.Data, d.Expires = openai.Encode(conversationData{body.Metadata}), time.Now().Add(s.cfg.Age)
		switch err := s.store.UpdateDocument(r.Context(), d); {
		// The next round reads what the other one has written, and replaces its metadata.
		case errors.Is(err, store.ErrConflict) && try < updateTries:
			continue
		case errors.Is(err, store.ErrNotFound):
			return noConversation(d.ID)
		case err != nil:
			return kept.Error(err)
		}
		return writeConversation(w, &d)
	}
}

// deleteConversation answers DELETE /conversations/{id}. Responses that belong to it stay. Its
// items go with it.
//
// A response that is being made and belongs to it completes all the same; what it says is added
// nowhere.
func (s *Service) deleteConversation(w http.ResponseWriter, r *http.Request, call *api.Call) error {
	d, err := s.loadConversation(r.Context(), call.Caller.Owner, r.PathValue("id"))
	if err != nil {
		return err
	}
	switch err := s.store.DeleteDocument(r.Context(), d.Owner, d.ID); {
	case errors.Is(err, store.ErrNotFound):
		return noConversation(d.ID)
	case err != nil:
		return kept.Error(err)
	}
	return api.WriteJSON(w, openai.Encode(deletedDocument{ID: d.ID, Object: "conversation.deleted", Deleted: true}))
}

// addItems answers POST /conversations/{id}/items with the items as they were added. The conversation
// is read first when an item refers to another one: a reference may be to an item of it. An item that
// refers to one which neither the conversation nor a response has is an error of the client.
//
// Ids that the client gives are replaced by ours. The answer has the new ones.
func (s *Service) addItems(w http.ResponseWriter, r *http.Request, call *api.Call) error {
	include, err := readInclude(r)
	if err != nil {
		return err
	}
	body, err := readConversation(r)
	if err != nil {
		return err
	}
	if len(body.Items) == 0 {
		return openai.Missing("items")
	}
	d, err := s.loadConversation(r.Context(), call.Caller.Owner, r.PathValue("id"))
	if err != nil {
		return err
	}
	past := s.past(d.Owner)
	if slices.ContainsFunc(body.Items, func(it responses.Item) bool { return it.Reference() != "" }) {
		if _, err := past.conversation(r.Context(), d.ID, ""); err != nil {
			return err
		}
	}
	parts, encoded, err := past.newItems(r.Context(), body.Items)
	if err != nil {
		return err
	}
	switch err := s.store.AddParts(r.Context(), d.Owner, d.ID, time.Now().Add(s.cfg.Age), parts); {
	case errors.Is(err, store.ErrNotFound):
		return noConversation(d.ID)
	case err != nil:
		return kept.Error(err)
	}
	return writeItems(w, encoded, include, false)
}

// listConversation answers GET /conversations/{id}/items, newest first unless the query says
// otherwise. One item more than the page is asked for: if it comes, there are more pages. The
// store cuts the pages, so a long conversation is not read as a whole.
func (s *Service) listConversation(w http.ResponseWriter, r *http.Request, call *api.Call) error {
	include, err := readInclude(r)
	if err != nil {
		return err
	}
	page, err := kept.ReadPage(r.URL.Query(), true)
	if err != nil {
		return err
	}
	d, err := s.loadConversation(r.Context(), call.Caller.Owner, r.PathValue("id"))
	if err != nil {
		return err
	}
	wanted := page.Limit
	page.Limit++
	parts, err := s.store.ListParts(r.Context(), d.Owner, d.ID, page)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return kept.NotAfter(page.After)
	case err != nil:
		return kept.Error(err)
	}
	return writeItems(w, joined(parts[:min(wanted, len(parts))]), include, len(parts) > wanted)
}

// joined are the items that parts hold, as a list. The order is that of parts.
func joined(parts []store.DocumentPart) []byte {
	items := make([]jsontext.Value, len(parts))
	for i, p := range parts {
		items[i] = p.Data
	}
	return openai.Encode(items)
}

// writeItems answers with a list of items that are as they were stored. more is what has_more says.
//
// include says which members that are large or sealed are shown; see responses.NewLister.
func writeItems(w http.ResponseWriter, stored []byte, include []string, more bool) error {
	listed, err := list(stored, responses.NewLister(include))
	if err != nil {
		return err
	}
	doc := kept.NewList()
	for _, it := range listed {
		doc.Add(it.ID, it.Item)
	}
	doc.HasMore = more
	return api.WriteJSON(w, openai.Encode(doc))
}

// getItem answers GET /conversations/{id}/items/{item}.
//
// It has the same form as in a list.
func (s *Service) getItem(w http.ResponseWriter, r *http.Request, call *api.Call) error {
	include, err := readInclude(r)
	if err != nil {
		return err
	}
	d, err := s.loadConversation(r.Context(), call.Caller.Owner, r.PathValue("id"))
	if err != nil {
		return err
	}
	part, err := s.store.DocumentPart(r.Context(), d.Owner, d.ID, r.PathValue("item"))
	switch {
	case errors.Is(err, store.ErrNotFound):
		return noItem(r.PathValue("item"))
	case err != nil:
		return kept.Error(err)
	}
	listed, err := list(joined([]store.DocumentPart{part}), responses.NewLister(include))
	if err != nil {
		return err
	}
	if len(listed) == 0 { // it means something for its request alone; we no longer keep such items
		return noItem(part.ID)
	}
	return api.WriteJSON(w, listed[0].Item)
}

// deleteItem answers DELETE /conversations/{id}/items/{item} with the conversation. Responses
// that went on from the item are not changed.
//
// The next response goes on without it.
func (s *Service) deleteItem(w http.ResponseWriter, r *http.Request, call *api.Call) error {
	d, err := s.loadConversation(r.Context(), call.Caller.Owner, r.PathValue("id"))
	if err != nil {
		return err
	}
	switch err := s.store.DeletePart(r.Context(), d.Owner, d.ID, r.PathValue("item")); {
	case errors.Is(err, store.ErrNotFound):
		return noItem(r.PathValue("item"))
	case err != nil:
		return kept.Error(err)
	}
	return writeConversation(w, &d)
}

// conversationStep is how many items of a conversation are read at once. It bounds what the
// store has to return in one answer, within storeTimeout.
const conversationStep = 500

// conversation reads the items of a conversation, oldest first: all, or, when before is the id of a response that belongs
// to it, those that it went on from. The error is the store's, or of the client when its conversation isn't there.
//
// The items of the response before, and everything after them, are left out: that is the
// conversation as it was when that response began. The items are also remembered in p, for
// references to them. All of them are in memory at once.
func (p *past) conversation(ctx context.Context, id, before string) ([]responses.Item, error) {
	if _, err := p.service.loadConversation(ctx, p.owner, id); err != nil {
		return nil, err
	}
	var all []responses.Item
	for page := (store.Page{Limit: conversationStep}); ; {
		parts, err := p.service.conversationParts(ctx, p.owner, id, page)
		if errors.Is(err, store.ErrNotFound) {
			return nil, noConversation(id)
		}
		if err != nil {
			return nil, kept.Error(err)
		}
		// An item's id says which response has added it.
		end := slices.IndexFunc(parts, func(part store.DocumentPart) bool {
			return before != "" && responses.ResponseOf(part.ID) == before
		})
		// A short page is the last one.
		last := end >= 0 || len(parts) < page.Limit
		if end >= 0 {
			parts = parts[:end]
		}
		items, err := responses.StoredItems(joined(parts))
		if err != nil {
			return nil, &agent.Error{Code: agent.Internal, Err: err}
		}
		all = append(all, items...)
		if last {
			p.items[id] = all
			return all, nil
		}
		page.After = parts[len(parts)-1].ID
	}
}

// conversationParts is the store's ListParts, within storeTimeout.
func (s *Service) conversationParts(ctx context.Context, owner, id string, page store.Page) ([]store.DocumentPart, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	return s.store.ListParts(ctx, owner, id, page)
}

// appendToConversation adds what a response has asked and answered to its conversation, once. Only a response that has come to its
// end by itself is added. It may be called again after a failure, also when the store has done what it was asked for and
// only its answer was lost.
//
// The order of what two responses add at once is that in which they end. Their items stay
// together, because each adds its parts in one call of the store. An error means that it should
// be tried again; whatever can't be corrected counts as done.
func (rec *record) appendToConversation(ctx context.Context, r *responses.Response) error {
	if rec.conversation == "" || rec.conversed || r.Status != responses.Completed && r.Status != responses.Incomplete {
		return nil
	}
	input, err := lastingInput(rec.row.Input)
	if err != nil {
		return err
	}
	parts, err := partsOf(slices.Concat(input, r.Output))
	if err != nil {
		return err
	}
	err = rec.service.store.AddParts(ctx, rec.row.Owner, rec.conversation, time.Now().Add(rec.service.cfg.Age), parts)
	switch {
	case errors.Is(err, store.ErrConflict): // nobody else makes these ids, so an earlier try has added them
	case errors.Is(err, store.ErrNotFound): // it was deleted meanwhile, which is its client's business
	case errors.Is(err, store.ErrTooLarge): // it is far longer than any model takes
		rec.service.cfg.Log.Error("a conversation is too large to be added to", "id", rec.row.ID)
	case err != nil:
		return err
	}
	rec.conversed = true
	return nil
}

// lastingInput are the items of a stored input that belong into a conversation: all but those
// that mean something for their request alone. Items keep the JSON that they were stored with.
//
// Such is the item that asks for a compaction.
func lastingInput(stored []byte) ([]jsontext.Value, error) {
	var raws []jsontext.Value
	if err := openai.DecodeOwn(stored, &raws); err != nil {
		return nil, err
	}
	items, err := responses.StoredItems(stored) // one for each of raws, none of which is null
	if err != nil {
		return nil, err
	}
	var lasting []jsontext.Value
	for i := range items {
		if !items[i].OfRequest() {
			lasting = append(lasting, raws[i])
		}
	}
	return lasting, nil
}
