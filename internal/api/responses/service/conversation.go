package service

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"composer-api/internal/agent"
	"composer-api/internal/api/kept"
	"composer-api/internal/api/openai"
	"composer-api/internal/api/responses"
	"composer-api/internal/store"
)

// A conversation is a list of items that its client keeps with us: each response that belongs to it goes on from its
// items, and adds its own input and output when it completes. It is a document of the store, and its items are the parts.
// It is kept for Config.Age since it was changed last. (store.Conversation is something else: upstream's half of a
// conversation, for the gateway.)
//
// Here is what a turn reads of it and adds to it; what its client asks for is in conversationroutes.go.

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

// noConversation is the error for a conversation that doesn't exist for the caller. A conversation
// of somebody else gets the same words: whether an id exists is its owner's secret.
func noConversation(id string) error {
	return agent.Errorf(agent.NotFound, "Conversation with id '%s' not found. It may have expired or been deleted, or it was made with another key.", openai.Clip(id))
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

// joined are the items that parts hold, as a list. The order is that of parts.
func joined(parts []store.DocumentPart) []byte {
	items := make([]jsontext.Value, len(parts))
	for i, p := range parts {
		items[i] = p.Data
	}
	return openai.Encode(items)
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
	if _, err := p.service.conversations().load(ctx, p.owner, id); err != nil {
		return nil, err
	}
	var all []responses.Item
	for page := (store.Page{Limit: conversationStep}); ; {
		parts, err := p.service.conversations().parts(ctx, p.owner, id, page)
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
			p.keep(id, all)
			return all, nil
		}
		page.After = parts[len(parts)-1].ID
	}
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
	add := func() error {
		return rec.service.store.AddParts(ctx, rec.row.Owner, rec.conversation, time.Now().Add(rec.service.cfg.Age), parts)
	}
	err = add()
	// An attempt before may still be at work, so what it adds can come between the two.
	for try := 1; rec.again && errors.Is(err, store.ErrConflict) && try < updateTries; try++ {
		if err = rec.removeAdded(ctx); err == nil {
			err = add()
		}
	}
	switch {
	case errors.Is(err, store.ErrConflict): // an earlier try has added them; or a later attempt, whose answer the client has got
	case errors.Is(err, store.ErrNotFound): // it was deleted meanwhile, which is its client's business
	case errors.Is(err, store.ErrTooLarge): // it is far longer than any model takes
		rec.service.cfg.Log.Error("a conversation is too large to be added to", "id", rec.row.ID)
	case err != nil:
		return err
	}
	rec.conversed = true
	return nil
}

// removeAdded takes out of the conversation what an attempt before has added under the same response's id: its answer was lost, and
// the client knows only what this one says.
func (rec *record) removeAdded(ctx context.Context) error {
	ids, err := rec.added(ctx)
	for _, id := range ids {
		if err := rec.service.store.DeletePart(ctx, rec.row.Owner, rec.conversation, id); err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
	}
	return err
}

// added are the ids of the items in the conversation that have the response's id in theirs. They stand together, because they were
// added by one call, and near the end.
func (rec *record) added(ctx context.Context) (ids []string, err error) {
	for page := (store.Page{Limit: conversationStep, Descending: true}); ; {
		parts, err := rec.service.store.ListParts(ctx, rec.row.Owner, rec.conversation, page)
		if err != nil {
			return nil, err
		}
		for i := range parts {
			switch {
			case responses.ResponseOf(parts[i].ID) == rec.row.ID:
				ids = append(ids, parts[i].ID)
			case len(ids) > 0:
				return ids, nil
			}
		}
		if len(parts) < page.Limit {
			return ids, nil
		}
		page.After = parts[len(parts)-1].ID
	}
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
