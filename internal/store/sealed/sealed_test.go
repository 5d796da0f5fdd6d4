package sealed_test

import (
	"bytes"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"composer-api/internal/store"
	"composer-api/internal/store/seal"
	"composer-api/internal/store/sealed"
	"composer-api/internal/store/sqlstore"
)

// database opens a store without sealing.
func database(t *testing.T) store.Store {
	t.Helper()
	db, err := sqlstore.Open(t.Context(), sqlstore.Config{DSN: filepath.Join(t.TempDir(), "composer.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func response(id string) store.Response {
	return store.Response{
		Owner: "k:1", ID: id, Object: []byte("what the model said"), Input: []byte("what the user said"), Runner: "host-1", Lease: -time.Minute, Expires: time.Now().Add(time.Hour),
	}
}

var (
	event        = store.Event{Sequence: 7, Data: []byte("what the model said")}
	document     = store.Document{Owner: "k:1", ID: "doc_1", Kind: "letter", Data: []byte("what was said in it"), Expires: time.Now().Add(time.Hour)}
	conversation = store.Conversation{Owner: "k:1", Backend: "chat", Hash: []byte("hash"), Data: []byte("what was said"), Expires: time.Now().Add(time.Hour)}
)

func fill(t *testing.T, s store.Store) {
	t.Helper()
	err := errors.Join(
		s.CreateResponse(t.Context(), response("resp_1")),
		s.AppendEvents(t.Context(), "k:1", "resp_1", []store.Event{event}),
		s.PutConversation(t.Context(), conversation),
		s.CreateDocument(t.Context(), document, []store.DocumentPart{{ID: "a", Data: []byte("said first")}}),
		s.AddParts(t.Context(), "k:1", "doc_1", time.Time{}, []store.DocumentPart{{ID: "b", Data: []byte("said then")}}))
	if err != nil {
		t.Fatal(err)
	}
}

// contents reads all that fill has written.
func contents(t *testing.T, s store.Store) (all [][]byte, err error) {
	r, err1 := s.Response(t.Context(), "k:1", "resp_1")
	events, err2 := s.ListEvents(t.Context(), "k:1", "resp_1", -1, 10)
	c, err3 := s.Conversation(t.Context(), "k:1", "chat", []byte("hash"))
	d, err4 := s.Document(t.Context(), "k:1", "doc_1")
	a, err5 := s.DocumentPart(t.Context(), "k:1", "doc_1", "a")
	parts, err6 := s.ListParts(t.Context(), "k:1", "doc_1", store.Page{Limit: 10})
	if err := errors.Join(err1, err2, err3, err4, err5, err6); err != nil {
		return nil, err
	}
	return [][]byte{r.Object, r.Input, events[0].Data, c.Data, d.Data, a.Data, parts[0].Data, parts[1].Data}, nil
}

var want = [][]byte{
	[]byte("what the model said"), []byte("what the user said"), event.Data, conversation.Data,
	document.Data, []byte("said first"), []byte("said first"), []byte("said then"),
}

func TestContentIsSealedBeforeItReachesTheStore(t *testing.T) {
	db := database(t)
	fill(t, sealed.New(db, seal.Random()))
	raw, err := contents(t, db)
	if err != nil {
		t.Fatal(err)
	}
	for i, kept := range raw {
		if bytes.Contains(kept, []byte("said")) {
			t.Errorf("%d lies in the open: %q", i, kept)
		}
	}
}

func TestWhatLayInTheOpenIsReadAfterAKeyIsSet(t *testing.T) {
	db := database(t)
	fill(t, sealed.New(db, nil))
	for name, ring := range map[string]*seal.Ring{"still without a key": nil, "with a key": seal.Random()} {
		if got, err := contents(t, sealed.New(db, ring)); err != nil || !equal(got, want) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

func TestWhatWasSealedWithALostKeyIsNotFound(t *testing.T) {
	db := database(t)
	fill(t, sealed.New(db, seal.Random()))
	for name, ring := range map[string]*seal.Ring{"without a key": nil, "with another key": seal.Random()} {
		s := sealed.New(db, ring)
		if _, err := contents(t, s); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s: %v, want ErrNotFound", name, err)
		}
		// Its runner is dead all the same, and it must be possible to say so.
		all, err := s.AbandonedResponses(t.Context(), "self", 10)
		if err != nil || len(all) != 1 || all[0].Object != nil || all[0].Input != nil {
			t.Errorf("%s: abandoned %+v, %v", name, all, err)
		}
		// A list without it would look like its end.
		documents, err := s.ListDocuments(t.Context(), "k:1", "letter", store.Page{Limit: 10})
		if err != nil || len(documents) != 1 || documents[0].Data != nil {
			t.Errorf("%s: listed %+v, %v", name, documents, err)
		}
	}
}

func TestContentMovedToAnotherPlaceDoesNotOpen(t *testing.T) {
	db := database(t)
	s := sealed.New(db, seal.Random())
	fill(t, s)
	mine, err := db.Response(t.Context(), "k:1", "resp_1")
	if err != nil {
		t.Fatal(err)
	}
	swapped := mine
	swapped.ID, swapped.Object, swapped.Input = "resp_2", mine.Input, mine.Object
	theirs := mine
	theirs.Owner = "k:2"
	for name, r := range map[string]store.Response{"object and input swapped": swapped, "another owner's": theirs} {
		if err := db.CreateResponse(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Response(t.Context(), r.Owner, r.ID); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s: %v, want ErrNotFound", name, err)
		}
	}
}

// Whoever can write to the database must not be able to tell another story with the events that are there.
func TestEventsThatSwapPlacesDoNotOpen(t *testing.T) {
	db := database(t)
	s := sealed.New(db, seal.Random())
	if err := errors.Join(
		s.CreateResponse(t.Context(), response("resp_1")),
		s.AppendEvents(t.Context(), "k:1", "resp_1", []store.Event{{Sequence: 0, Data: []byte("one")}, {Sequence: 1, Data: []byte("two")}}),
	); err != nil {
		t.Fatal(err)
	}
	raw, err := db.ListEvents(t.Context(), "k:1", "resp_1", -1, 10)
	if err != nil {
		t.Fatal(err)
	}
	raw[0].Data, raw[1].Data = raw[1].Data, raw[0].Data
	if err := errors.Join(db.CreateResponse(t.Context(), response("resp_2")), db.AppendEvents(t.Context(), "k:1", "resp_2", raw)); err != nil {
		t.Fatal(err)
	}
	if got, err := s.ListEvents(t.Context(), "k:1", "resp_2", -1, 10); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("in another response: %v, %v", got, err)
	}
	if err := errors.Join(
		db.DeleteResponse(t.Context(), "k:1", "resp_1"),
		s.CreateResponse(t.Context(), response("resp_1")),
		db.AppendEvents(t.Context(), "k:1", "resp_1", raw),
	); err != nil {
		t.Fatal(err)
	}
	if got, err := s.ListEvents(t.Context(), "k:1", "resp_1", -1, 10); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("in another order: %v, %v", got, err)
	}
}

// Only what says that it is plain is taken for that.
func TestWhatCannotBeOpenedIsNeverGivenOutAsItIs(t *testing.T) {
	db := database(t)
	for i, data := range [][]byte{{}, {1}, {2, 'x'}, []byte("x"), append([]byte{1}, seal.Random().Seal([]byte("x"))...)} {
		c := conversation
		c.Data = data
		if err := db.PutConversation(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		for _, ring := range []*seal.Ring{nil, seal.Random()} {
			if got, err := sealed.New(db, ring).Conversation(t.Context(), c.Owner, c.Backend, c.Hash); !errors.Is(err, store.ErrNotFound) || got.Data != nil {
				t.Errorf("%d: %q, %v", i, got.Data, err)
			}
		}
	}
}

func equal(a, b [][]byte) bool {
	return bytes.Equal(bytes.Join(a, []byte{0}), bytes.Join(b, []byte{0}))
}
