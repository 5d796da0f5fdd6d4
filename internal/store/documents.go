package store

import (
	"context"
	"time"
)

// A Document is something that a client keeps with us on purpose and comes back to by its id: a chat completion, or a
// conversation of the Responses API. What it consists of, in an order, are its parts: the messages of a completion, the
// items of a conversation.
//
//	kind               written by                 its parts
//	chat.completion    api/chat/stored            the messages that it answers
//	conversation       api/responses/service      its items
type Document struct {
	// Owner is agent.Caller's. Nobody else finds the document.
	Owner string
	ID    string // unique for the owner
	Kind  string // what it is; lists hold one kind
	Data  []byte // opaque to the store
	// Created orders lists, and an owner's documents: the oldest is the first to go when the owner is over the limit.
	Created time.Time
	Expires time.Time
	// Revision counts the changes of this row, not those of its parts; the first is 1.
	Revision int64
}

// A DocumentPart is a part of a document.
type DocumentPart struct {
	ID   string // unique in its document
	Data []byte // opaque to the store
}

// A Page says which part of a list is wanted. It has no offset: a page follows an entry, so
// entries that come or go before it don't shift it.
type Page struct {
	After      string // the id before the first, "" for the beginning of the list
	Descending bool   // newest first
	Limit      int    // how many at most
}

// PartOverhead is how many bytes a part counts beside its data, so that the limits bound also parts that hold little.
const PartOverhead = 64

// Documents keeps documents. When an owner is over the limits ([Limits]), CreateDocument, UpdateDocument and AddParts
// delete the owner's oldest documents, never the one at hand.
type Documents interface {
	// CreateDocument stores a new document with its first parts; its Revision is ignored and becomes 1. ErrConflict: the
	// owner has one with this ID, or two parts have the same. ErrTooLarge.
	CreateDocument(ctx context.Context, d Document, parts []DocumentPart) error
	// UpdateDocument replaces Data and Expires of the document, whose Revision must be d.Revision, and adds one to it.
	// ErrConflict: the stored one has another Revision. ErrNotFound. ErrTooLarge.
	UpdateDocument(ctx context.Context, d Document) error
	// Document returns one document. ErrNotFound.
	Document(ctx context.Context, owner, id string) (Document, error)
	// ListDocuments returns the owner's documents of a kind, oldest first unless the page says otherwise. No documents is
	// no error. ErrNotFound: page.After is none of them.
	ListDocuments(ctx context.Context, owner, kind string, page Page) ([]Document, error)
	// DeleteDocument deletes a document and its parts. ErrNotFound.
	DeleteDocument(ctx context.Context, owner, id string) error

	// AddParts adds parts to the end of a document, in their order, and moves its end on to expires if that is later.
	// Parts that are added at the same time by others come before or after all of them. ErrNotFound: there is no such
	// document. ErrConflict: it has a part with one of these ids. ErrTooLarge.
	AddParts(ctx context.Context, owner, document string, expires time.Time, parts []DocumentPart) error
	// DocumentPart returns one part. ErrNotFound.
	DocumentPart(ctx context.Context, owner, document, id string) (DocumentPart, error)
	// ListParts returns parts of a document in order, or the other way round if the page says so. ErrNotFound: there is
	// no such document, or page.After is none of its parts.
	ListParts(ctx context.Context, owner, document string, page Page) ([]DocumentPart, error)
	// DeletePart deletes one part. ErrNotFound.
	DeletePart(ctx context.Context, owner, document, id string) error
}
