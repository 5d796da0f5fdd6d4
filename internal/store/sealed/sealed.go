// Package sealed is a store that encrypts what people said before it reaches the disk.
//
// It stands in front of any store.Store and seals the content columns: a response's object and input
// items, the data of its events, the data of a conversation, and the data of a document and of its
// parts. Ids, owners (hashes), times and
// statuses stay readable, because the store searches by them. Accounts pass through: their Cursor key is
// sealed by package hosted, which refuses to work without a key, while here sealing is on only when the
// operator has set one.
//
// Each value begins with a byte that says whether it is sealed:
//
//	0 · plain bytes
//	1 · a message of package seal
//
// So an operator may set ENCRYPTION_KEY later: what was stored without one stays readable. What was
// sealed with a key that is gone is answered with store.ErrNotFound; there is no way to recover it.
package sealed

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"composer-api/internal/store"
	"composer-api/internal/store/seal"
)

// The first byte of every content column.
const (
	plainMark  = 0
	sealedMark = 1
)

// New puts the sealing in front of s. With a nil ring content is stored unencrypted. The caller
// closes what New returns instead of s. ring may be shared with others.
func New(s store.Store, ring *seal.Ring) store.Store { return &sealed{Store: s, ring: ring} }

// A sealed store embeds the one behind it, so methods without content need no line here. A new method
// of store.Store that carries content has to be added by hand.
type sealed struct {
	store.Store
	// ring is nil where there is no encryption key: then nothing is encrypted.
	ring *seal.Ring
}

// The purposes of seal.Ring.Seal. They, and the parts that follow them, are part of what is on disk:
// never change one. Each value is bound to its row, so a value that was copied into another row does not
// open.
const (
	responseObject   = "response-object"
	responseInput    = "response-input"
	responseEvent    = "response-event"
	conversationData = "conversation-data"
	documentData     = "document-data"
	documentPart     = "document-part"
)

// encrypt returns the bytes to store. Without a key the bytes are stored with a mark in front,
// so that a key that is set later is used from then on. context names the row that the value
// belongs to: the same must be given to open it.
//
// The result is a new slice, so the caller's bytes stay as they are.
func (s *sealed) encrypt(plain []byte, context ...string) []byte {
	if !s.ring.Ready() {
		return append([]byte{plainMark}, plain...)
	}
	return append([]byte{sealedMark}, s.ring.Seal(plain, context...)...)
}

// decrypt returns the content of what encrypt returned. Its only error is store.ErrNotFound, because
// for the caller a value that can't be opened is as good as lost. The result may share kept's memory.
func (s *sealed) decrypt(kept []byte, context ...string) ([]byte, error) {
	switch {
	case len(kept) > 0 && kept[0] == plainMark:
		return kept[1:], nil
	case len(kept) > 0 && kept[0] == sealedMark:
		plain, _, err := s.ring.Open(kept[1:], context...)
		if err == nil {
			return plain, nil
		}
	}
	return nil, fmt.Errorf("%w: it was sealed with another ENCRYPTION_KEY", store.ErrNotFound)
}

// encryptResponse returns r with encrypted content. r itself is a copy; the caller's slices stay as they
// are.
func (s *sealed) encryptResponse(r store.Response) store.Response {
	r.Object = s.encrypt(r.Object, responseObject, r.Owner, r.ID)
	r.Input = s.encrypt(r.Input, responseInput, r.Owner, r.ID)
	return r
}

// decryptResponse decrypts r in place. After an error r is partly decrypted and must not be used.
func (s *sealed) decryptResponse(r *store.Response) (err error) {
	if r.Object, err = s.decrypt(r.Object, responseObject, r.Owner, r.ID); err != nil {
		return err
	}
	r.Input, err = s.decrypt(r.Input, responseInput, r.Owner, r.ID)
	return err
}

// Responses: object and input are sealed, each for itself.
func (s *sealed) CreateResponse(ctx context.Context, r store.Response) error {
	return s.Store.CreateResponse(ctx, s.encryptResponse(r))
}

func (s *sealed) UpdateResponse(ctx context.Context, r store.Response) error {
	return s.Store.UpdateResponse(ctx, s.encryptResponse(r))
}

func (s *sealed) Response(ctx context.Context, owner, id string) (store.Response, error) {
	return s.decrypted(s.Store.Response(ctx, owner, id))
}

func (s *sealed) Ancestor(ctx context.Context, owner, id string) (store.Response, error) {
	return s.decrypted(s.Store.Ancestor(ctx, owner, id))
}

// decrypted is the end of the methods that return one response.
func (s *sealed) decrypted(r store.Response, err error) (store.Response, error) {
	if err != nil {
		return store.Response{}, err
	}
	if err := s.decryptResponse(&r); err != nil {
		return store.Response{}, err
	}
	return r, nil
}

// AbandonedResponses skips nothing: a response that can't be opened comes with nil content, so that it
// can still be marked as failed. If it were skipped, it would stay "in progress" until it expires.
func (s *sealed) AbandonedResponses(ctx context.Context, self string, limit int) ([]store.Response, error) {
	all, err := s.Store.AbandonedResponses(ctx, self, limit)
	if err != nil {
		return nil, err
	}
	for i := range all {
		if err := s.decryptResponse(&all[i]); err != nil {
			all[i].Object, all[i].Input = nil, nil
		}
	}
	return all, nil
}

// AppendEvents seals each event by itself, bound to its place in the stream: none can be put in
// another's place.
func (s *sealed) AppendEvents(ctx context.Context, owner, responseID string, events []store.Event) error {
	kept := make([]store.Event, len(events))
	for i, e := range events {
		kept[i] = store.Event{Sequence: e.Sequence, Data: s.encrypt(e.Data, eventContext(owner, responseID, e)...)}
	}
	return s.Store.AppendEvents(ctx, owner, responseID, kept)
}

// ListEvents fails as a whole when one event can't be opened: a stream with a gap would mislead its client.
func (s *sealed) ListEvents(ctx context.Context, owner, responseID string, after int64, limit int) ([]store.Event, error) {
	events, err := s.Store.ListEvents(ctx, owner, responseID, after, limit)
	if err != nil {
		return nil, err
	}
	for i, e := range events {
		if events[i].Data, err = s.decrypt(e.Data, eventContext(owner, responseID, e)...); err != nil {
			return nil, err
		}
	}
	return events, nil
}

// eventContext is what an event is bound to. It is part of what is on disk.
func eventContext(owner, responseID string, e store.Event) []string {
	return []string{responseEvent, owner, responseID, strconv.FormatInt(e.Sequence, 10)}
}

// Conversations: the data is bound to the owner, the backend and the hash.
func (s *sealed) PutConversation(ctx context.Context, c store.Conversation) error {
	c.Data = s.encrypt(c.Data, conversationContext(c.Owner, c.Backend, c.Hash)...)
	return s.Store.PutConversation(ctx, c)
}

func (s *sealed) Conversation(ctx context.Context, owner, backend string, hash []byte) (store.Conversation, error) {
	c, err := s.Store.Conversation(ctx, owner, backend, hash)
	if err != nil {
		return store.Conversation{}, err
	}
	if c.Data, err = s.decrypt(c.Data, conversationContext(owner, backend, hash)...); err != nil {
		return store.Conversation{}, err
	}
	return c, nil
}

// conversationContext is the same for a conversation.
func conversationContext(owner, backend string, hash []byte) []string {
	return []string{conversationData, owner, backend, string(hash)}
}

// Documents and parts: the data is sealed, ids and kinds are not.
func (s *sealed) CreateDocument(ctx context.Context, d store.Document, parts []store.DocumentPart) error {
	d.Data = s.encrypt(d.Data, documentData, d.Owner, d.ID)
	return s.Store.CreateDocument(ctx, d, s.encryptParts(d.Owner, d.ID, parts))
}

func (s *sealed) UpdateDocument(ctx context.Context, d store.Document) error {
	d.Data = s.encrypt(d.Data, documentData, d.Owner, d.ID)
	return s.Store.UpdateDocument(ctx, d)
}

func (s *sealed) Document(ctx context.Context, owner, id string) (store.Document, error) {
	d, err := s.Store.Document(ctx, owner, id)
	if err != nil {
		return store.Document{}, err
	}
	if d.Data, err = s.decrypt(d.Data, documentData, owner, id); err != nil {
		return store.Document{}, err
	}
	return d, nil
}

// ListDocuments gives documents that can't be opened with nil Data: without them a page would look like the last one.
func (s *sealed) ListDocuments(ctx context.Context, owner, kind string, page store.Page) ([]store.Document, error) {
	documents, err := s.Store.ListDocuments(ctx, owner, kind, page)
	if err != nil {
		return nil, err
	}
	for i, d := range documents {
		if documents[i].Data, err = s.decrypt(d.Data, documentData, owner, d.ID); err != nil {
			documents[i].Data = nil
		}
	}
	return documents, nil
}

func (s *sealed) AddParts(ctx context.Context, owner, document string, expires time.Time, parts []store.DocumentPart) error {
	return s.Store.AddParts(ctx, owner, document, expires, s.encryptParts(owner, document, parts))
}

// A part that can't be opened is not found, as if it had been deleted.
func (s *sealed) DocumentPart(ctx context.Context, owner, document, id string) (store.DocumentPart, error) {
	p, err := s.Store.DocumentPart(ctx, owner, document, id)
	if err != nil {
		return store.DocumentPart{}, err
	}
	if p.Data, err = s.decrypt(p.Data, documentPart, owner, document, id); err != nil {
		return store.DocumentPart{}, err
	}
	return p, nil
}

// ListParts fails as a whole when one part can't be opened: a conversation with a gap would mislead
// the model.
func (s *sealed) ListParts(ctx context.Context, owner, document string, page store.Page) ([]store.DocumentPart, error) {
	parts, err := s.Store.ListParts(ctx, owner, document, page)
	if err != nil {
		return nil, err
	}
	for i, p := range parts {
		if parts[i].Data, err = s.decrypt(p.Data, documentPart, owner, document, p.ID); err != nil {
			return nil, err
		}
	}
	return parts, nil
}

// encryptParts seals parts, each bound to its document and its id.
func (s *sealed) encryptParts(owner, document string, parts []store.DocumentPart) []store.DocumentPart {
	kept := make([]store.DocumentPart, len(parts))
	for i, p := range parts {
		kept[i] = store.DocumentPart{ID: p.ID, Data: s.encrypt(p.Data, documentPart, owner, document, p.ID)}
	}
	return kept
}
