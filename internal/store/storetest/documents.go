package storetest

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"composer-api/internal/store"
)

// The exam's questions about documents and their parts. Owners are written "k:1" and "k:2", as
// for callers with a key of their own.

// document is a document that was created so many seconds after epoch and expires after a day.
// The revision of a new document is 1, in every store.
func document(owner, id string, seconds int) store.Document {
	return store.Document{
		Owner: owner, ID: id, Kind: "letter", Data: []byte(`{"id":"` + id + `"}`),
		Created: at(time.Duration(seconds) * time.Second), Expires: at(24 * time.Hour), Revision: 1,
	}
}

// parts are parts with these ids, whose data says which they are.
func parts(ids ...string) (all []store.DocumentPart) {
	for _, id := range ids {
		all = append(all, store.DocumentPart{ID: id, Data: []byte("part " + id)})
	}
	return all
}

// listed are the ids of a list of documents, or the error.
func listed(e *exam, owner, kind string, page store.Page) string {
	all, err := e.ListDocuments(e.ctx, owner, kind, page)
	var ids []string
	for _, d := range all {
		ids = append(ids, d.ID)
	}
	if err != nil {
		return err.Error()
	}
	return strings.Join(ids, " ")
}

// partsOf are the ids of a document's parts.
// It fails the exam on an error; what shall fail is asked of ListParts itself.
func partsOf(e *exam, owner, id string, page store.Page) string {
	e.Helper()
	var ids []string
	for _, p := range get[[]store.DocumentPart](e)(e.ListParts(e.ctx, owner, id, page)) {
		ids = append(ids, p.ID)
	}
	return strings.Join(ids, " ")
}

// whole is a page that holds all that a test has.
var whole = store.Page{Limit: 100}

// documentCases are about documents and their parts: conversations and stored completions are such.
var documentCases = []examCase{
	// Content is bytes, not text.
	{name: "a document and its parts come back as they were stored", run: func(e *exam) {
		d := document("k:1", "doc_1", 0)
		d.Data = bytes.Repeat([]byte("\x00\xff{}"), 1<<14)
		// Parts out of the order of their ids, one of them without data.
		odd := []store.DocumentPart{{ID: "b", Data: []byte("\x00\xff")}, {ID: "a"}}
		e.ok(e.CreateDocument(e.ctx, d, odd))
		e.same(get[store.Document](e)(e.Document(e.ctx, "k:1", "doc_1")), d)
		e.same(get[[]store.DocumentPart](e)(e.ListParts(e.ctx, "k:1", "doc_1", whole)), odd)
		e.same(get[store.DocumentPart](e)(e.DocumentPart(e.ctx, "k:1", "doc_1", "b")), odd[0])
		_, err := e.DocumentPart(e.ctx, "k:1", "doc_1", "c")
		e.fails(err, store.ErrNotFound)
	}},
	// An id of another owner must not even be told to exist.
	{name: "ids are unique for an owner, and two owners' documents never meet", run: func(e *exam) {
		// Two owners, one id.
		// A store with the id alone as its key would mix them up here.
		mine, theirs := document("k:1", "doc_1", 0), document("k:2", "doc_1", 0)
		theirs.Data = []byte("theirs")
		e.ok(e.CreateDocument(e.ctx, mine, parts("a")))
		e.ok(e.CreateDocument(e.ctx, theirs, parts("a", "b")))
		e.fails(e.CreateDocument(e.ctx, mine, nil), store.ErrConflict)
		// Two parts of one id: nothing may be written, not even the document.
		e.fails(e.CreateDocument(e.ctx, document("k:1", "doc_2", 0), parts("a", "a")), store.ErrConflict)
		_, err := e.Document(e.ctx, "k:1", "doc_2")
		e.fails(err, store.ErrNotFound)
		e.ok(e.DeleteDocument(e.ctx, "k:2", "doc_1"))
		e.fails(e.DeleteDocument(e.ctx, "k:2", "doc_1"), store.ErrNotFound)
		e.same(get[store.Document](e)(e.Document(e.ctx, "k:1", "doc_1")), mine)
		e.same(partsOf(e, "k:1", "doc_1", whole), "a")
		for _, gone := range []error{
			e.UpdateDocument(e.ctx, theirs), e.AddParts(e.ctx, "k:2", "doc_1", at(time.Hour), parts("c")), e.DeletePart(e.ctx, "k:2", "doc_1", "a"),
		} {
			e.fails(gone, store.ErrNotFound)
		}
		// Without the document the list is an error, and not empty.
		_, err = e.ListParts(e.ctx, "k:2", "doc_1", whole)
		e.fails(err, store.ErrNotFound)
		// Its parts went with it.
		e.ok(e.CreateDocument(e.ctx, theirs, nil))
		e.same(partsOf(e, "k:2", "doc_1", whole), "")
	}},
	// Two requests that change the same document must not undo each other's change.
	{name: "an update of a document needs the revision that it has read", run: func(e *exam) {
		e.ok(e.CreateDocument(e.ctx, document("k:1", "doc_1", 0), parts("a")))
		d := document("k:1", "doc_1", 0)
		d.Data, d.Expires = []byte("changed"), at(48*time.Hour)
		e.ok(e.UpdateDocument(e.ctx, d))
		// The revision that was read is 1 still; meanwhile it is 2.
		e.fails(e.UpdateDocument(e.ctx, document("k:1", "doc_1", 0)), store.ErrConflict)
		d.Revision = 2
		e.same(get[store.Document](e)(e.Document(e.ctx, "k:1", "doc_1")), d)
		e.same(partsOf(e, "k:1", "doc_1", whole), "a")
		// Parts are no change of the document.
		e.ok(e.AddParts(e.ctx, "k:1", "doc_1", at(time.Hour), parts("b")))
		e.ok(e.UpdateDocument(e.ctx, d))
	}},
	// Documents of the same time are ordered by their ids, so that pages neither repeat nor skip one.
	{name: "documents are listed in pages, of one kind and owner", run: func(e *exam) {
		// Their order is by time and then by id: a c, b e, d.
		for i, id := range []string{"c", "a", "e", "b", "d"} {
			e.ok(e.CreateDocument(e.ctx, document("k:1", id, i/2), nil)) // two at a time
		}
		other := document("k:1", "x", 0)
		other.Kind = "parcel"
		e.ok(e.CreateDocument(e.ctx, other, nil))
		e.ok(e.CreateDocument(e.ctx, document("k:2", "y", 0), nil))
		e.same(listed(e, "k:1", "letter", whole), "a c b e d")
		e.same(listed(e, "k:1", "parcel", whole), "x")
		e.same(listed(e, "k:3", "letter", whole), "")
		e.same(listed(e, "k:1", "letter", store.Page{Limit: 2}), "a c")
		// After is the last id of the page before. It goes on at the next one in the same order.
		e.same(listed(e, "k:1", "letter", store.Page{Limit: 2, After: "c"}), "b e")
		e.same(listed(e, "k:1", "letter", store.Page{Limit: 9, After: "e"}), "d")
		e.same(listed(e, "k:1", "letter", store.Page{Limit: 2, Descending: true}), "d e")
		e.same(listed(e, "k:1", "letter", store.Page{Limit: 9, Descending: true, After: "b"}), "c a")
		// Of another kind, of another owner, and of nobody: the caller can't tell which.
		for _, unknown := range []string{"x", "y", "z"} {
			_, err := e.ListDocuments(e.ctx, "k:1", "letter", store.Page{Limit: 9, After: unknown})
			e.fails(err, store.ErrNotFound)
		}
	}},
	// A deleted part leaves no gap and no place that a later one could take.
	{name: "parts are listed in the order in which they were added", run: func(e *exam) {
		e.ok(e.CreateDocument(e.ctx, document("k:1", "doc_1", 0), parts("d", "a")))
		e.ok(e.AddParts(e.ctx, "k:1", "doc_1", at(0), parts("c", "b")))
		// No parts: allowed, and only moves the end.
		e.ok(e.AddParts(e.ctx, "k:1", "doc_1", at(0), nil))
		e.same(partsOf(e, "k:1", "doc_1", whole), "d a c b")
		e.same(partsOf(e, "k:1", "doc_1", store.Page{Limit: 2, After: "a"}), "c b")
		e.same(partsOf(e, "k:1", "doc_1", store.Page{Limit: 2, Descending: true}), "b c")
		e.same(partsOf(e, "k:1", "doc_1", store.Page{Limit: 2, Descending: true, After: "a"}), "d")
		e.ok(e.DeletePart(e.ctx, "k:1", "doc_1", "c"))
		e.fails(e.DeletePart(e.ctx, "k:1", "doc_1", "c"), store.ErrNotFound)
		// A page can't go on after a part that is gone.
		_, err := e.ListParts(e.ctx, "k:1", "doc_1", store.Page{Limit: 2, After: "c"})
		e.fails(err, store.ErrNotFound)
		// f is new, a is not: f must not be added either.
		e.fails(e.AddParts(e.ctx, "k:1", "doc_1", at(0), parts("f", "a")), store.ErrConflict)
		e.ok(e.DeletePart(e.ctx, "k:1", "doc_1", "b")) // the last
		e.ok(e.AddParts(e.ctx, "k:1", "doc_1", at(0), parts("e")))
		e.same(partsOf(e, "k:1", "doc_1", whole), "d a e")
	}},
	// Two turns on one conversation end at the same moment.
	{name: "parts that are added at once don't mix", run: func(e *exam) {
		e.ok(e.CreateDocument(e.ctx, document("k:1", "doc_1", 0), nil))
		other := e.open()
		e.together(8, func(i int) error {
			return []store.Store{e.Store, other}[i%2].AddParts(e.ctx, "k:1", "doc_1", at(0), parts(fmt.Sprint(i, "a"), fmt.Sprint(i, "b"), fmt.Sprint(i, "c")))
		})
		// Each call's parts stand together, in their order; which call came first doesn't matter.
		all := strings.Fields(partsOf(e, "k:1", "doc_1", whole))
		e.same(len(all), 24)
		for i := 0; i < len(all); i += 3 {
			n := all[i][:1]
			e.same(all[i:i+3], []string{n + "a", n + "b", n + "c"})
		}
	}},
	// The end moves only forward. After it every method behaves as if the document had never been there.
	{name: "a document that grows lives on, and after its end it is gone", run: func(e *exam) {
		e.ok(e.CreateDocument(e.ctx, document("k:1", "doc_1", 0), parts("a")))
		e.ok(e.AddParts(e.ctx, "k:1", "doc_1", at(36*time.Hour), parts("b")))
		e.ok(e.AddParts(e.ctx, "k:1", "doc_1", at(time.Hour), parts("c"))) // not an earlier end
		// The end that CreateDocument was given has passed; the later one of AddParts counts.
		e.pass(24 * time.Hour)
		e.same(partsOf(e, "k:1", "doc_1", whole), "a b c")
		e.pass(12 * time.Hour)
		_, err := e.Document(e.ctx, "k:1", "doc_1")
		e.fails(err, store.ErrNotFound)
		_, err = e.DocumentPart(e.ctx, "k:1", "doc_1", "a")
		e.fails(err, store.ErrNotFound)
		_, err = e.ListParts(e.ctx, "k:1", "doc_1", whole)
		e.fails(err, store.ErrNotFound)
		e.same(listed(e, "k:1", "letter", whole), "")
		for _, gone := range []error{
			e.UpdateDocument(e.ctx, document("k:1", "doc_1", 0)), e.DeleteDocument(e.ctx, "k:1", "doc_1"),
			e.AddParts(e.ctx, "k:1", "doc_1", at(96*time.Hour), parts("d")), e.DeletePart(e.ctx, "k:1", "doc_1", "a"),
		} {
			e.fails(gone, store.ErrNotFound)
		}
		// The id is free again, and nothing of the old document comes back with it.
		next := document("k:1", "doc_1", 0)
		next.Expires = at(96 * time.Hour)
		e.ok(e.CreateDocument(e.ctx, next, nil))
		e.same(partsOf(e, "k:1", "doc_1", whole), "")
	}},
	// Parts count, and each more than its data, so that many small ones are bounded, too.
	{name: "over the owner's bytes and count the oldest documents go", limits: store.Limits{OwnerBytes: 100_000, OwnerRows: 3}, run: func(e *exam) {
		put := func(owner, id string, seconds, size int) error {
			d := document(owner, id, seconds)
			d.Data = bytes.Repeat([]byte("x"), size)
			return e.CreateDocument(e.ctx, d, nil)
		}
		// Another owner, who is older than all and near the limit: nothing of this may touch it.
		e.ok(put("k:2", "z", 0, 90_000))
		e.ok(put("k:1", "b", 2, 40_000))
		e.ok(put("k:1", "a", 1, 40_000))
		e.ok(put("k:1", "c", 3, 40_000)) // bytes
		e.same(listed(e, "k:1", "letter", whole), "b c")
		e.ok(put("k:1", "d", 4, 1))
		e.ok(put("k:1", "e", 5, 1)) // rows
		e.same(listed(e, "k:1", "letter", whole), "c d e")
		e.ok(e.AddParts(e.ctx, "k:1", "c", at(0), []store.DocumentPart{{ID: "1", Data: make([]byte, 50_000)}}))
		e.same(listed(e, "k:1", "letter", whole), "c d e")
		// 200 parts without data count by their overhead alone.
		many := make([]store.DocumentPart, 200)
		for i := range many {
			many[i].ID = fmt.Sprint("many ", i)
		}
		e.ok(e.AddParts(e.ctx, "k:1", "d", at(0), many)) // the oldest goes, not the one that grows
		e.same(listed(e, "k:1", "letter", whole), "d e")
		// What alone is over the limit is refused, and evicts nobody.
		e.fails(put("k:1", "f", 6, 100_001), store.ErrTooLarge)
		e.fails(e.AddParts(e.ctx, "k:1", "e", at(0), []store.DocumentPart{{ID: "1", Data: make([]byte, 100_000)}}), store.ErrTooLarge)
		// The part that was refused is not there either.
		e.same(partsOf(e, "k:1", "e", whole), "")
		e.same(listed(e, "k:2", "letter", whole), "z")
		// What is deleted counts no longer.
		for range 5 {
			e.ok(e.AddParts(e.ctx, "k:1", "e", at(0), []store.DocumentPart{{ID: "1", Data: make([]byte, 60_000)}}))
			e.ok(e.DeletePart(e.ctx, "k:1", "e", "1"))
		}
		e.same(listed(e, "k:1", "letter", whole), "d e")
	}},
}
