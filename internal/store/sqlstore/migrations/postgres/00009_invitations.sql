-- +goose Up
-- Who may sign up where not everybody may.
CREATE TABLE invitations (
  id      TEXT NOT NULL PRIMARY KEY,
  hash    BYTEA NOT NULL UNIQUE,
  note    TEXT NOT NULL,
  created BIGINT NOT NULL,
  expires BIGINT NOT NULL,
  revoked BIGINT NOT NULL,
  uses    BIGINT NOT NULL,
  used    BIGINT NOT NULL
);
CREATE INDEX invitations_expires ON invitations (expires);

-- How often somebody has tried something within its window.
CREATE TABLE attempts (
  who     BYTEA NOT NULL PRIMARY KEY, -- a hash
  times   TEXT NOT NULL, -- JSON: when, in milliseconds, oldest first
  expires BIGINT NOT NULL
);
CREATE INDEX attempts_expires ON attempts (expires);

-- What all keys of an account may together.
ALTER TABLE accounts ADD COLUMN limits TEXT NOT NULL DEFAULT ''; -- JSON; empty is no limit

-- Which processes live, by the clock of the database, and which of them carries out a request.
CREATE TABLE runners (
  id      TEXT NOT NULL PRIMARY KEY,
  expires BIGINT NOT NULL
);
CREATE INDEX runners_expires ON runners (expires);
ALTER TABLE request_logs ADD COLUMN runner TEXT NOT NULL DEFAULT '';
CREATE INDEX request_logs_running ON request_logs (account, key_id) WHERE status = 0;
