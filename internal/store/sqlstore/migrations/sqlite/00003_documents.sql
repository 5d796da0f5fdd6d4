-- +goose Up
CREATE TABLE documents (
  owner      TEXT    NOT NULL,
  id         TEXT    NOT NULL,
  kind       TEXT    NOT NULL,
  created    INTEGER NOT NULL,
  expires    INTEGER NOT NULL,
  revision   INTEGER NOT NULL,
  size       INTEGER NOT NULL, -- bytes of data
  parts_size INTEGER NOT NULL, -- of the parts, each with its overhead
  data       BLOB    NOT NULL,
  PRIMARY KEY (owner, id)
) STRICT;
CREATE INDEX documents_kind ON documents (owner, kind, created, id);
CREATE INDEX documents_owner ON documents (owner, created, id, size, parts_size); -- everything that eviction needs
CREATE INDEX documents_expires ON documents (expires);

CREATE TABLE document_parts (
  owner    TEXT    NOT NULL,
  document TEXT    NOT NULL,
  id       TEXT    NOT NULL,
  position INTEGER NOT NULL,
  data     BLOB    NOT NULL,
  PRIMARY KEY (owner, document, id),
  FOREIGN KEY (owner, document) REFERENCES documents (owner, id) ON DELETE CASCADE
) STRICT;
CREATE UNIQUE INDEX document_parts_position ON document_parts (owner, document, position);
