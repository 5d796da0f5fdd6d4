package service

import (
	"context"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/api"
	"composer-api/internal/api/openai"
	"composer-api/internal/api/responses"
	"composer-api/internal/store"
	"composer-api/internal/store/seal"
)

// prepare makes the request for the model: it puts what went before in front of the input and replaces references by
// what they refer to. history is what went before. recalled, when not nil, gives responses that are looked for before the
// store is asked.
//
// The error is *agent.Error: PreviousResponseNotFound and InvalidValue for what the client named wrongly, Overloaded
// when the store is away. The store isn't asked for a request that names no response and no item, so such requests work
// without it.
//
// The order of the messages for the model is: the history, then the request's input.
// Instructions come before both and are not inherited from the response before, as at OpenAI.
func (s *Service) prepare(ctx context.Context, call *api.Call, req *responses.Request, recalled func(id string) (store.Response, bool)) (turn *agent.Request, history []responses.Item, err error) {
	past := s.past(call.Caller.Owner)
	past.recalled = recalled
	if req.ConversationID != "" {
		// A request has one or none of the two; both were refused when it was read.
		added := "" // by an attempt before, whose answer nobody has got
		if call.Attempt.Again {
			added = responses.IDOf(call.Attempt.Name)
		}
		history, err = past.conversation(ctx, req.ConversationID, added)
	} else {
		history, err = past.history(ctx, req.PreviousResponseID)
	}
	if err != nil {
		return nil, nil, err
	}
	// After the history, so that references to its items cost no read.
	if err := past.resolve(ctx, req.Input); err != nil {
		return nil, nil, err
	}
	// What was sealed for the client is opened here, with the caller's owner: a compaction that was
	// copied from another account can't be read.
	turn, unknown, err := req.Turn(history, func(sealed string) (string, error) {
		return s.open(sealed, sealCompaction, call.Caller.Owner)
	})
	if err != nil {
		return nil, nil, err
	}
	// Names of types only, and of those only published ones; the operator sees which client sends
	// what we don't have.
	if len(unknown) > 0 || len(req.Dropped()) > 0 {
		s.cfg.Log.Info("parts of a request that mean nothing here", "items_as_text", api.LoggedTypes(unknown, responses.Published),
			"tools_dropped", api.LoggedTypes(req.Dropped(), responses.Published))
	}
	// Last: who asks, from where, and what the call says of sessions and budgets.
	if err := call.Fill(turn); err != nil {
		return nil, nil, err
	}
	return turn, history, nil
}

// seal encrypts what the client is to carry for us, as base64. Only open with the same purpose and owner reads it.
func (s *Service) seal(plain []byte, purpose, owner string) (string, error) {
	return base64.StdEncoding.EncodeToString(s.cfg.Seal.Seal(plain, purpose, owner)), nil
}

// open is the reverse of seal. An error says that the text was not sealed with our keys, or for
// another purpose or owner, or has changed since. A text that was never ours (responses.ErrForeign)
// is told apart from one that was: the first is passed over, the second is an error.
func (s *Service) open(sealed, purpose, owner string) (string, error) {
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(sealed))
	if err != nil || !seal.Plausible(raw) {
		return "", responses.ErrForeign
	}
	plain, _, err := s.cfg.Seal.Open(raw, purpose, owner)
	return string(plain), err
}

// A past is what one owner's stored responses hold, as far as one request needs it. It belongs to one request.
//
// Every row that is read is kept in items, so a response that is both continued and referred to
// is read once.
type past struct {
	service *Service
	// owner is whose rows are read; another owner's are not found.
	owner string
	// recalled gives responses that may not be in the store; nil when there are none.
	recalled func(id string) (store.Response, bool)
	loaded   map[string]bool            // ids of the responses and conversations that were loaded, or looked for in vain
	items    map[string]*responses.Item // their items by id; of several with one id, the one that was loaded first
	partial  bool                       // a beginning that is no longer kept may be missing from the history
}

// past makes one for a request of this owner.
func (s *Service) past(owner string) *past {
	return &past{service: s, owner: owner, loaded: map[string]bool{}, items: map[string]*responses.Item{}}
}

// history loads the conversation that ended with the response id, oldest item first; none for "". Each response of the
// chain holds only its own input and output, so all of them are read, one after the other, back to the first:
//
//	resp_3 ──previous──► resp_2 ──previous──► resp_1
//	items: resp_1's input, resp_1's output, resp_2's input, …
//
// The chain is as long as the conversation has turns, and each link is one read. It can't be a
// circle: a response is created after the one that it continues.
func (p *past) history(ctx context.Context, id string) ([]responses.Item, error) {
	const param = "previous_response_id"
	var turns [][]responses.Item
	for next := id; next != ""; {
		// A list (partial) shows what is left, so its first response may be hidden, too.
		row, err := p.read(ctx, next, next == id && !p.partial)
		if err == nil && !responses.Status(row.Status).Ended() {
			row, err = p.awaited(ctx, row, next == id && !p.partial)
		}
		if p.partial && errors.Is(err, store.ErrNotFound) {
			break
		}
		switch {
		case errors.Is(err, store.ErrNotFound) && next == id:
			return nil, agent.ParamError(agent.PreviousResponseNotFound, param, "Previous response with id '%s' not found. It may have expired or been deleted, or it was made with 'store': false or with another key. Send the conversation in 'input' instead.", openai.Clip(id))
		case errors.Is(err, store.ErrNotFound):
			// To go on without it would be to go on with half a conversation.
			return nil, agent.ParamError(agent.PreviousResponseNotFound, param, "Response '%s', which '%s' continues, is no longer kept. Send the conversation in 'input'.", openai.Clip(next), openai.Clip(id))
		case err != nil:
			return nil, storeError(err)
		// Its output isn't known yet.
		case !responses.Status(row.Status).Ended():
			return nil, agent.ParamError(agent.InvalidValue, param, "Response '%s' is still in progress. Wait for it to end, or cancel it.", openai.Clip(next))
		}
		items, conversation, err := p.load(&row)
		if err != nil {
			return nil, err
		}
		turns = append(turns, items)
		// row.Previous is "" then: a response goes on from the one or from the other.
		if next = row.Previous; conversation != "" {
			// It began a chain of its own out of a conversation.
			before, err := p.conversation(ctx, conversation, row.ID)
			if p.partial && agent.CodeOf(err) == agent.NotFound {
				err = nil
			}
			if err != nil {
				return nil, err
			}
			turns = append(turns, before)
		}
	}
	// They were gathered from the newest to the oldest.
	slices.Reverse(turns)
	return slices.Concat(turns...), nil
}

// endSoon is how long the end of a response that another process runs is waited for, before a client is told that it is still in
// progress. The other process may have shown it as ended, and be about to write that down: after an outage of the store it tries
// again within leaseTick.
const endSoon = leaseTick + time.Second

// awaited is a response of another process, which is not known to have ended, after a moment in which it may have. named is as for
// read. One of this process is as it is: what this process knows of it was looked at.
//
// Without a runner, nobody will ever say how it ended: it was deleted before that was stored. Then it counts as gone.
func (p *past) awaited(ctx context.Context, row store.Response, named bool) (store.Response, error) {
	switch row.Runner {
	case "":
		return row, store.ErrNotFound
	case p.service.runner:
		return row, nil
	}
	for end := time.Now().Add(endSoon); time.Now().Before(end); {
		select {
		case <-ctx.Done():
			return row, ctx.Err()
		case <-time.After(followEvery):
		}
		now, err := p.read(ctx, row.ID, named)
		if err != nil || responses.Status(now.Status).Ended() {
			return now, err
		}
	}
	return row, nil
}

// before is what a response went on from, oldest item first.
func (p *past) before(ctx context.Context, row *store.Response) ([]responses.Item, error) {
	_, conversation, err := p.load(row)
	if err != nil {
		return nil, err
	}
	if conversation == "" {
		return p.history(ctx, row.Previous)
	}
	items, err := p.conversation(ctx, conversation, row.ID)
	if p.partial && agent.CodeOf(err) == agent.NotFound {
		return nil, nil
	}
	return items, err
}

// read finds a response of the conversation. The one that the client names must be there for
// it; what went before that may have been deleted. For one that is kept briefly the store
// behind is asked, which doesn't have it: it can't be continued.
func (p *past) read(ctx context.Context, id string, named bool) (store.Response, error) {
	if p.recalled != nil {
		// The socket's own latest responses: they may be ones that are not stored (store: false).
		if row, ok := p.recalled(id); ok {
			return row, nil
		}
	}
	if named && !p.service.store.has(p.owner, id) {
		return p.service.row(ctx, p.owner, id)
	}
	return p.service.ancestor(ctx, p.owner, id)
}

// load decodes the items of a row, its input followed by its output. conversation is the one that the response belongs to; "" when
// none. What the store holds was written by us, so an error is ours.
func (p *past) load(row *store.Response) (items []responses.Item, conversation string, err error) {
	object, err := responses.DecodeResponse(row.Object)
	if err != nil {
		return nil, "", &agent.Error{Code: agent.Internal, Err: err}
	}
	if object.Conversation != nil {
		conversation = object.Conversation.ID
	}
	items, err = responses.StoredItems(row.Input)
	if err != nil {
		return nil, "", &agent.Error{Code: agent.Internal, Err: err}
	}
	output, err := responses.StoredItems(openai.Encode(object.Output))
	if err != nil {
		return nil, "", &agent.Error{Code: agent.Internal, Err: err}
	}
	items = append(items, output...)
	p.keep(row.ID, items)
	return items, conversation, nil
}

// keep makes the items of a response or a conversation findable by their ids. The newest response is loaded first, so a
// client's own id that occurs twice means its newest item, as it would in the client's list.
func (p *past) keep(of string, items []responses.Item) {
	p.loaded[of] = true
	for i := len(items) - 1; i >= 0; i-- {
		if id := items[i].ID(); id != "" && p.items[id] == nil {
			p.items[id] = &items[i]
		}
	}
}

// resolve replaces the references among items, in place. On the wire a reference is
//
//	{"type": "item_reference", "id": "msg_…"}
func (p *past) resolve(ctx context.Context, items []responses.Item) error {
	for i := range items {
		id := items[i].Reference()
		if id == "" {
			continue
		}
		found, err := p.find(ctx, id)
		if err != nil {
			return err
		}
		if found == nil {
			return agent.ParamError(agent.InvalidValue, items[i].Param()+".id", "Item with id '%s' not found. Items can be referred to only if their response was stored.", openai.Clip(id))
		}
		items[i].Resolve(*found)
	}
	return nil
}

// find finds the item with an id; nil when there is none. The ids of our items say which response holds them, so one
// row is read at most; other ids can only be those of items that were loaded already.
//
// That a response doesn't exist is remembered, and so asked for once a request.
func (p *past) find(ctx context.Context, id string) (*responses.Item, error) {
	responseID := responses.ResponseOf(id)
	if responseID != "" && !p.loaded[responseID] {
		row, err := p.service.row(ctx, p.owner, responseID)
		if err == nil {
			_, _, err = p.load(&row)
		} else if errors.Is(err, store.ErrNotFound) {
			p.loaded[responseID], err = true, nil
		} else {
			err = storeError(err)
		}
		if err != nil {
			return nil, err
		}
	}
	return p.items[id], nil
}
