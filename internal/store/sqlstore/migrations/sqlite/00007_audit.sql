-- +goose Up
-- What operators did.
CREATE TABLE audit (
  id      TEXT NOT NULL PRIMARY KEY,
  at      INTEGER NOT NULL,
  actor   TEXT NOT NULL,
  action  TEXT NOT NULL,
  subject TEXT NOT NULL,
  detail  TEXT NOT NULL
) STRICT;
CREATE INDEX audit_at ON audit (at);
