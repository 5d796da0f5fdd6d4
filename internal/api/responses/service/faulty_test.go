package service_test

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"composer-api/internal/api/responses/service"
	"composer-api/internal/store"
)

// A method is one that a faulty store can fail in.
type method int

const (
	createResponse method = iota
	updateResponse
	readResponse
	deleteResponse
	renewLeases
	abandonedResponses
	appendEvents
	listEvents
	readAncestor
	createDocument
	updateDocument
	readDocument
	deleteDocument
	readPart
	listParts
	deletePart
	addParts
	methods // how many there are
)

// A fault is what goes wrong in a method of a store. The zero value is nothing.
type fault struct {
	err   error // instead of doing anything
	hang  bool  // nothing happens until the context ends
	loses bool  // it is done, and then its answer is lost
	once  bool  // the fault is gone after one call
}

var noFault fault

// A faulty store fails as it is told to. It may be told at any time.
type faulty struct {
	service.Store
	dead atomic.Bool // everything fails

	mu      sync.Mutex
	faults  [methods]fault
	created []string // the ids of all responses
	calls   int      // that requests have made since failAt
	at      int      // the call that fails, of these; 0 for none
	with    error
}

// failAt has the call of a number fail, counted from now on, by requests alone: the process's own look at its leases doesn't
// count. Number 0 only counts.
func (f *faulty) failAt(number int, with error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls, f.at, f.with = 0, number, with
}

// made is how many calls requests have made since failAt.
func (f *faulty) made() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls
}

// fail sets the fault of some methods.
func (f *faulty) fail(with fault, in ...method) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, m := range in {
		f.faults[m] = with
	}
}

// all are all methods.
func allMethods() (all []method) {
	for m := range methods {
		all = append(all, m)
	}
	return all
}

// do calls a method, or doesn't.
func (f *faulty) do(ctx context.Context, m method, call func() error) error {
	if f.dead.Load() {
		return store.ErrUnavailable
	}
	f.mu.Lock()
	fault := f.faults[m]
	if fault.once {
		f.faults[m] = noFault
	}
	if m != renewLeases && m != abandonedResponses {
		if f.calls++; f.calls == f.at {
			fault.err = f.with
		}
	}
	f.mu.Unlock()
	switch {
	case fault.hang:
		<-ctx.Done()
		return ctx.Err()
	case fault.err != nil:
		return fault.err
	}
	err := call()
	if err == nil && fault.loses {
		return store.ErrUnavailable
	}
	return err
}

func (f *faulty) CreateResponse(ctx context.Context, r store.Response) error {
	f.mu.Lock()
	f.created = append(f.created, r.ID)
	f.mu.Unlock()
	return f.do(ctx, createResponse, func() error { return f.Store.CreateResponse(ctx, r) })
}

func (f *faulty) UpdateResponse(ctx context.Context, r store.Response) error {
	return f.do(ctx, updateResponse, func() error { return f.Store.UpdateResponse(ctx, r) })
}

func (f *faulty) Response(ctx context.Context, owner, id string) (r store.Response, err error) {
	err = f.do(ctx, readResponse, func() (err error) { r, err = f.Store.Response(ctx, owner, id); return err })
	return r, err
}

func (f *faulty) DeleteResponse(ctx context.Context, owner, id string) error {
	return f.do(ctx, deleteResponse, func() error { return f.Store.DeleteResponse(ctx, owner, id) })
}

func (f *faulty) RenewLeases(ctx context.Context, runner string, jobs []store.ResponseRef, lease time.Duration) (held []store.ResponseRef, err error) {
	err = f.do(ctx, renewLeases, func() (err error) { held, err = f.Store.RenewLeases(ctx, runner, jobs, lease); return err })
	return held, err
}

func (f *faulty) AbandonedResponses(ctx context.Context, self string, limit int) (rows []store.Response, err error) {
	err = f.do(ctx, abandonedResponses, func() (err error) { rows, err = f.Store.AbandonedResponses(ctx, self, limit); return err })
	return rows, err
}

func (f *faulty) AppendEvents(ctx context.Context, owner, id string, events []store.Event) error {
	return f.do(ctx, appendEvents, func() error { return f.Store.AppendEvents(ctx, owner, id, events) })
}

func (f *faulty) ListEvents(ctx context.Context, owner, id string, after int64, limit int) (events []store.Event, err error) {
	err = f.do(ctx, listEvents, func() (err error) { events, err = f.Store.ListEvents(ctx, owner, id, after, limit); return err })
	return events, err
}

func (f *faulty) AddParts(ctx context.Context, owner, id string, expires time.Time, parts []store.DocumentPart) error {
	return f.do(ctx, addParts, func() error { return f.Store.AddParts(ctx, owner, id, expires, parts) })
}

func (f *faulty) Ancestor(ctx context.Context, owner, id string) (r store.Response, err error) {
	err = f.do(ctx, readAncestor, func() (err error) { r, err = f.Store.Ancestor(ctx, owner, id); return err })
	return r, err
}

func (f *faulty) CreateDocument(ctx context.Context, d store.Document, parts []store.DocumentPart) error {
	return f.do(ctx, createDocument, func() error { return f.Store.CreateDocument(ctx, d, parts) })
}

func (f *faulty) UpdateDocument(ctx context.Context, d store.Document) error {
	return f.do(ctx, updateDocument, func() error { return f.Store.UpdateDocument(ctx, d) })
}

func (f *faulty) Document(ctx context.Context, owner, id string) (d store.Document, err error) {
	err = f.do(ctx, readDocument, func() (err error) { d, err = f.Store.Document(ctx, owner, id); return err })
	return d, err
}

func (f *faulty) DeleteDocument(ctx context.Context, owner, id string) error {
	return f.do(ctx, deleteDocument, func() error { return f.Store.DeleteDocument(ctx, owner, id) })
}

func (f *faulty) DocumentPart(ctx context.Context, owner, document, id string) (part store.DocumentPart, err error) {
	err = f.do(ctx, readPart, func() (err error) { part, err = f.Store.DocumentPart(ctx, owner, document, id); return err })
	return part, err
}

func (f *faulty) ListParts(ctx context.Context, owner, document string, page store.Page) (parts []store.DocumentPart, err error) {
	err = f.do(ctx, listParts, func() (err error) { parts, err = f.Store.ListParts(ctx, owner, document, page); return err })
	return parts, err
}

func (f *faulty) DeletePart(ctx context.Context, owner, document, id string) error {
	return f.do(ctx, deletePart, func() error { return f.Store.DeletePart(ctx, owner, document, id) })
}
