package sqlstore

import (
	"context"
	"time"

	"composer-api/internal/store"
)

// Documents and their parts: two tables, of which the second refers to the first. See store.Documents.

// The columns of a document and the fields that they are scanned into are in the same order. size and parts_size, the bytes of data
// and of the parts, are for the limits alone.
const documentColumns = `owner, id, kind, created, expires, revision, data`

// documentFields are where documentColumns are scanned into.
func documentFields(d *store.Document) []any {
	return []any{&d.Owner, &d.ID, &d.Kind, asTime{&d.Created}, asTime{&d.Expires}, &d.Revision, &d.Data}
}

// partsSize is what parts count against their owner's bytes. Each part counts PartOverhead on
// top of its data, so that many empty ones are bounded, too.
func partsSize(parts []store.DocumentPart) (size int64) {
	for _, p := range parts {
		size += int64(len(p.Data)) + store.PartOverhead
	}
	return size
}

// CreateDocument implements store.Documents. Document and parts are one transaction. Of the
// owner's other documents the oldest may be deleted in it.
func (db *DB) CreateDocument(ctx context.Context, d store.Document, parts []store.DocumentPart) error {
	if int64(len(d.Data))+partsSize(parts) > db.limits.OwnerBytes {
		return store.ErrTooLarge
	}
	return db.inTx(ctx, func(t *tx) error {
		// An expired row that still lies there doesn't exist.
		if _, err := t.exec(`DELETE FROM documents WHERE owner = $1 AND id = $2 AND expires <= $3`, d.Owner, d.ID, db.now()); err != nil {
			return err
		}
		if _, err := t.exec(`
			INSERT INTO documents (owner, id, kind, created, expires, revision, size, parts_size, data)
			VALUES ($1, $2, $3, $4, $5, 1, $6, $7, $8)`,
			d.Owner, d.ID, d.Kind, d.Created, d.Expires, int64(len(d.Data)), partsSize(parts), d.Data); err != nil {
			return err
		}
		// After the document, to which each part refers.
		if err := t.insertParts(d.Owner, d.ID, 0, parts); err != nil {
			return err
		}
		// In the same transaction, so that an owner is never over the limit as others see it.
		return t.evictDocuments(d.Owner, d.ID)
	})
}

// insertParts writes parts, of which the first gets the position first. Positions only ever grow,
// and need have no meaning but their order. A part whose id is there already is store.ErrConflict.
func (t *tx) insertParts(owner, document string, first int64, parts []store.DocumentPart) error {
	for i, p := range parts {
		if _, err := t.exec(`INSERT INTO document_parts (owner, document, id, position, data) VALUES ($1, $2, $3, $4, $5)`,
			owner, document, p.ID, first+int64(i), p.Data); err != nil {
			return err
		}
	}
	return nil
}

// evictDocuments deletes the owner's oldest documents until the rest fits. keep is the document
// that is being written, which stays.
func (t *tx) evictDocuments(owner, keep string) error {
	return t.evict(
		`SELECT count(*), CAST(COALESCE(SUM(size + parts_size), 0) AS BIGINT) FROM documents WHERE owner = $1`,
		`DELETE FROM documents WHERE owner = $1 AND id = (
			SELECT id FROM documents WHERE owner = $1 AND id <> $2 ORDER BY created, id LIMIT 1
		) RETURNING size + parts_size`,
		owner, keep)
}

// UpdateDocument implements store.Documents. The condition on the revision makes it safe
// without a lock. Parts are not touched.
func (db *DB) UpdateDocument(ctx context.Context, d store.Document) error {
	if int64(len(d.Data)) > db.limits.OwnerBytes {
		return store.ErrTooLarge
	}
	return db.inTx(ctx, func(t *tx) error {
		// No row is changed when the revision is another one, or when there is no document: which
		// of the two it was is asked afterwards.
		n, err := t.exec(`
			UPDATE documents SET data = $4, size = $5, expires = $6, revision = revision + 1
			WHERE owner = $1 AND id = $2 AND revision = $3 AND expires > $7`,
			d.Owner, d.ID, d.Revision, d.Data, int64(len(d.Data)), d.Expires, db.now())
		if err != nil {
			return err
		}
		if n == 0 {
			return t.conflictIf(`SELECT count(*) FROM documents WHERE owner = $1 AND id = $2 AND expires > $3`, d.Owner, d.ID, db.now())
		}
		return t.evictDocuments(d.Owner, d.ID)
	})
}

// Document implements store.Documents.
func (db *DB) Document(ctx context.Context, owner, id string) (d store.Document, err error) {
	err = db.row(ctx, documentFields(&d),
		`SELECT `+documentColumns+` FROM documents WHERE owner = $1 AND id = $2 AND expires > $3`, owner, id, db.now())
	return d, err
}

// direction is what an order needs in SQL: the comparison that leads on, and the word.
//
// The values are constants, so they may be put into a statement's text.
func direction(descending bool) (beyond, order string) {
	if descending {
		return "<", "DESC"
	}
	return ">", "ASC"
}

// ListDocuments implements store.Documents. A page begins behind the place (created, id) of
// page.After, so that documents which come or go meanwhile don't move it. A page.After that
// isn't there is store.ErrNotFound.
func (db *DB) ListDocuments(ctx context.Context, owner, kind string, page store.Page) ([]store.Document, error) {
	beyond, order := direction(page.Descending)
	args := []any{owner, kind, db.now(), page.Limit}
	from := ""
	if page.After != "" {
		// The number as it is stored, so that it is compared with itself and not with a rounded
		// time.
		var created int64
		if err := db.row(ctx, []any{&created},
			`SELECT created FROM documents WHERE owner = $1 AND kind = $2 AND expires > $3 AND id = $4`, owner, kind, db.now(), page.After); err != nil {
			return nil, err
		}
		from = ` AND (created, id) ` + beyond + ` ($5, $6)`
		args = append(args, created, page.After)
	}
	return queryAll(ctx, db, documentFields, `
		SELECT `+documentColumns+` FROM documents WHERE owner = $1 AND kind = $2 AND expires > $3`+from+`
		ORDER BY created `+order+`, id `+order+` LIMIT $4`, args...)
}

// DeleteDocument implements store.Documents. The parts go with the row that they refer to.
func (db *DB) DeleteDocument(ctx context.Context, owner, id string) error {
	return db.exec1(ctx, `DELETE FROM documents WHERE owner = $1 AND id = $2 AND expires > $3`, owner, id, db.now())
}

// AddParts implements store.Documents. The update comes first: it locks the document, so that nobody else adds parts
// before the positions are given.
//
// An error rolls all of it back, the update of the size included.
//
// The revision stays: a part is no change of the document.
func (db *DB) AddParts(ctx context.Context, owner, document string, expires time.Time, parts []store.DocumentPart) error {
	added := partsSize(parts)
	return db.inTx(ctx, func(t *tx) error {
		var size int64
		if err := t.row([]any{&size}, `
			UPDATE documents SET parts_size = parts_size + $3, expires = CASE WHEN expires < $4 THEN $4 ELSE expires END
			WHERE owner = $1 AND id = $2 AND expires > $5 RETURNING size + parts_size`,
			owner, document, added, expires, db.now()); err != nil {
			return err
		}
		// The document alone: to delete others would not help it.
		if size > db.limits.OwnerBytes {
			return store.ErrTooLarge
		}
		// MAX and not count(*): positions of deleted parts stay unused, so a page that is being read keeps its place.
		var next int64
		if err := t.row([]any{&next}, `SELECT COALESCE(MAX(position), -1) + 1 FROM document_parts WHERE owner = $1 AND document = $2`, owner, document); err != nil {
			return err
		}
		if err := t.insertParts(owner, document, next, parts); err != nil {
			return err
		}
		return t.evictDocuments(owner, document)
	})
}

// partOf joins a part to its document, which must not have ended at $3.
const partOf = `document_parts JOIN documents ON documents.owner = document_parts.owner AND documents.id = document
	WHERE document_parts.owner = $1 AND document = $2 AND expires > $3`

// DocumentPart implements store.Documents.
func (db *DB) DocumentPart(ctx context.Context, owner, document, id string) (p store.DocumentPart, err error) {
	err = db.row(ctx, []any{&p.ID, &p.Data},
		`SELECT document_parts.id, document_parts.data FROM `+partOf+` AND document_parts.id = $4`, owner, document, db.now(), id)
	return p, err
}

// ListParts implements store.Documents. A page begins behind the position of page.After. A
// document that isn't there is store.ErrNotFound, as is a page.After that isn't.
func (db *DB) ListParts(ctx context.Context, owner, document string, page store.Page) ([]store.DocumentPart, error) {
	beyond, order := direction(page.Descending)
	args := []any{owner, document, db.now(), page.Limit}
	from := ""
	if page.After == "" {
		// Not to be told apart from a document without parts otherwise.
		if _, err := db.Document(ctx, owner, document); err != nil {
			return nil, err
		}
	} else {
		var position int64
		if err := db.row(ctx, []any{&position}, `SELECT position FROM `+partOf+` AND document_parts.id = $4`, owner, document, db.now(), page.After); err != nil {
			return nil, err
		}
		// The part may be deleted between the two reads; the page is right all the same.
		from = ` AND position ` + beyond + ` $5`
		args = append(args, position)
	}
	return queryAll(ctx, db, func(p *store.DocumentPart) []any { return []any{&p.ID, &p.Data} }, `
		SELECT document_parts.id, document_parts.data FROM `+partOf+from+`
		ORDER BY position `+order+` LIMIT $4`, args...)
}

// DeletePart implements store.Documents. Its position stays unused. The document's end and its
// revision stay.
func (db *DB) DeletePart(ctx context.Context, owner, document, id string) error {
	return db.inTx(ctx, func(t *tx) error {
		var size int64
		if err := t.row([]any{&size}, `
			DELETE FROM document_parts WHERE owner = $1 AND document = $2 AND id = $3
				AND EXISTS (SELECT 1 FROM documents WHERE owner = $1 AND id = $2 AND expires > $4)
			RETURNING CAST(length(data) AS BIGINT)`, owner, document, id, db.now()); err != nil {
			return err
		}
		return t.exec1(`UPDATE documents SET parts_size = parts_size - $3 WHERE owner = $1 AND id = $2`, owner, document, size+store.PartOverhead)
	})
}
