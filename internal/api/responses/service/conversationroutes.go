package service

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/api"
	"composer-api/internal/api/kept"
	"composer-api/internal/api/openai"
	"composer-api/internal/api/responses"
	"composer-api/internal/store"
)

// conversations answers the routes below /conversations, and reads conversations for the responses that belong to them.
//
// It has no state and no locks of its own: what two requests do to one conversation at once is decided by the store. An
// id of another owner's conversation is one that doesn't exist. Errors are those that the client gets; those of
// parts are the store's.
type conversations struct {
	store *brief
	age   time.Duration // how long a conversation is kept since it was changed last
	// past makes what the items of a request may refer to, for an owner.
	past func(owner string) *past
	// saved has what responses of this process are about to add to a conversation be added now. The error is that the store is away.
	saved func(ctx context.Context, owner, id string) error
}

// conversations is made when it is needed; it only passes on what the Service has.
func (s *Service) conversations() *conversations {
	return &conversations{s.store, s.cfg.Age, s.past, s.saveAdded}
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

// noItem is the error for an item that isn't in the conversation.
//
// It is the same for an item that was deleted.
func noItem(id string) error {
	return agent.Errorf(agent.NotFound, "Item with id '%s' not found in this conversation.", openai.Clip(id))
}

// load reads a conversation, for a client. A document of another kind under that id
// (chat's stored completions) counts as none. It takes at most twice storeTimeout.
//
// Whoever reads or changes the items comes by here first. A response that its client knows to have ended, and whose words the store
// does not have yet, adds them before: without them half a conversation would be read.
func (c *conversations) load(ctx context.Context, owner, id string) (store.Document, error) {
	if err := c.saved(ctx, owner, id); err != nil {
		return store.Document{}, kept.Error(err)
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	d, err := c.store.Document(ctx, owner, id)
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

// create answers POST /conversations. The document and its first items are made in
// one step of the store.
//
// Items may be missing: an empty conversation is one to which responses are added.
func (c *conversations) create(w http.ResponseWriter, r *http.Request, call *api.Call) error {
	body, err := readConversation(r)
	if err != nil {
		return err
	}
	// Checked before the document is made: a conversation with an item that can't be used is of no
	// use.
	parts, _, err := c.past(call.Caller.Owner).newItems(r.Context(), body.Items)
	if err != nil {
		return err
	}
	now := time.Now()
	d := store.Document{
		Owner: call.Caller.Owner, ID: agent.NewID("conv_", 24), Kind: conversationKind,
		Data: openai.Encode(conversationData{body.Metadata}), Created: now, Expires: now.Add(c.age),
	}
	if err := c.store.CreateDocument(r.Context(), d, parts); err != nil {
		return kept.Error(err)
	}
	return writeConversation(w, &d)
}

// get answers GET /conversations/{id}.
func (c *conversations) get(w http.ResponseWriter, r *http.Request, call *api.Call) error {
	d, err := c.load(r.Context(), call.Caller.Owner, r.PathValue("id"))
	if err != nil {
		return err
	}
	return writeConversation(w, &d)
}

// update answers POST /conversations/{id}, which changes the metadata. It tries
// again when somebody else has changed the document meanwhile, updateTries times. Metadata is
// replaced as a whole, and the conversation's age begins again.
func (c *conversations) update(w http.ResponseWriter, r *http.Request, call *api.Call) error {
	body, err := readConversation(r)
	if err != nil {
		return err
	}
	if body.Metadata == nil {
		return openai.Missing("metadata")
	}
	for try := 1; ; try++ {
		d, err := c.load(r.Context(), call.Caller.Owner, r.PathValue("id"))
		if err != nil {
			return err
		}
		d.Data, d.Expires = openai.Encode(conversationData{body.Metadata}), time.Now().Add(c.age)
		switch err := c.store.UpdateDocument(r.Context(), d); {
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

// remove answers DELETE /conversations/{id}. Responses that belong to it stay. Its
// items go with it.
//
// A response that is being made and belongs to it completes all the same; what it says is added
// nowhere.
func (c *conversations) remove(w http.ResponseWriter, r *http.Request, call *api.Call) error {
	d, err := c.load(r.Context(), call.Caller.Owner, r.PathValue("id"))
	if err != nil {
		return err
	}
	switch err := c.store.DeleteDocument(r.Context(), d.Owner, d.ID); {
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
func (c *conversations) addItems(w http.ResponseWriter, r *http.Request, call *api.Call) error {
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
	d, err := c.load(r.Context(), call.Caller.Owner, r.PathValue("id"))
	if err != nil {
		return err
	}
	past := c.past(d.Owner)
	// The whole conversation is read only if an item refers to one of it.
	if slices.ContainsFunc(body.Items, func(it responses.Item) bool { return it.Reference() != "" }) {
		if _, err := past.conversation(r.Context(), d.ID, ""); err != nil {
			return err
		}
	}
	parts, encoded, err := past.newItems(r.Context(), body.Items)
	if err != nil {
		return err
	}
	switch err := c.store.AddParts(r.Context(), d.Owner, d.ID, time.Now().Add(c.age), parts); {
	case errors.Is(err, store.ErrNotFound):
		return noConversation(d.ID)
	case err != nil:
		return kept.Error(err)
	}
	return writeItems(w, encoded, include, false)
}

// listItems answers GET /conversations/{id}/items, newest first unless the query says
// otherwise. One item more than the page is asked for: if it comes, there are more pages. The
// store cuts the pages, so a long conversation is not read as a whole.
func (c *conversations) listItems(w http.ResponseWriter, r *http.Request, call *api.Call) error {
	include, err := readInclude(r)
	if err != nil {
		return err
	}
	page, err := kept.ReadPage(r.URL.Query(), true)
	if err != nil {
		return err
	}
	d, err := c.load(r.Context(), call.Caller.Owner, r.PathValue("id"))
	if err != nil {
		return err
	}
	wanted := page.Limit
	page.Limit++
	parts, err := c.store.ListParts(r.Context(), d.Owner, d.ID, page)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return kept.NotAfter(page.After)
	case err != nil:
		return kept.Error(err)
	}
	return writeItems(w, joined(parts[:min(wanted, len(parts))]), include, len(parts) > wanted)
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
func (c *conversations) getItem(w http.ResponseWriter, r *http.Request, call *api.Call) error {
	include, err := readInclude(r)
	if err != nil {
		return err
	}
	d, err := c.load(r.Context(), call.Caller.Owner, r.PathValue("id"))
	if err != nil {
		return err
	}
	part, err := c.store.DocumentPart(r.Context(), d.Owner, d.ID, r.PathValue("item"))
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
func (c *conversations) deleteItem(w http.ResponseWriter, r *http.Request, call *api.Call) error {
	d, err := c.load(r.Context(), call.Caller.Owner, r.PathValue("id"))
	if err != nil {
		return err
	}
	switch err := c.store.DeletePart(r.Context(), d.Owner, d.ID, r.PathValue("item")); {
	case errors.Is(err, store.ErrNotFound):
		return noItem(r.PathValue("item"))
	case err != nil:
		return kept.Error(err)
	}
	return writeConversation(w, &d)
}

// parts is the store's ListParts, within storeTimeout.
func (c *conversations) parts(ctx context.Context, owner, id string, page store.Page) ([]store.DocumentPart, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	return c.store.ListParts(ctx, owner, id, page)
}
