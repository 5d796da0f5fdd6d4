-- +goose Up
-- What operators did.
CREATE TABLE audit (
  id      TEXT NOT NULL PRIMARY KEY,
  at      BIGINT NOT NULL,
  actor   TEXT NOT NULL,
  action  TEXT NOT NULL,
  subject TEXT NOT NULL,
  detail  TEXT NOT NULL
);
CREATE INDEX audit_at ON audit (at);
