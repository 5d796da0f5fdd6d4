-- +goose Up
-- Who may sign up where not everybody may.
CREATE TABLE invitations (
  id      TEXT NOT NULL PRIMARY KEY,
  hash    BLOB NOT NULL UNIQUE,
  note    TEXT NOT NULL,
  created INTEGER NOT NULL,
  expires INTEGER NOT NULL,
  revoked INTEGER NOT NULL,
  uses    INTEGER NOT NULL,
  used    INTEGER NOT NULL
) STRICT;
CREATE INDEX invitations_expires ON invitations (expires);

-- How often somebody has tried something within its window.
CREATE TABLE attempts (
  who     BLOB NOT NULL PRIMARY KEY, -- a hash
  times   TEXT NOT NULL, -- JSON: when, in milliseconds, oldest first
  expires INTEGER NOT NULL
) STRICT;
CREATE INDEX attempts_expires ON attempts (expires);

-- What all keys of an account may together.
ALTER TABLE accounts ADD COLUMN limits TEXT NOT NULL DEFAULT ''; -- JSON; empty is no limit

-- Which processes live, by the clock of the database, and which of them carries out a request.
CREATE TABLE runners (
  id      TEXT NOT NULL PRIMARY KEY,
  expires INTEGER NOT NULL
) STRICT;
CREATE INDEX runners_expires ON runners (expires);
ALTER TABLE request_logs ADD COLUMN runner TEXT NOT NULL DEFAULT '';
CREATE INDEX request_logs_running ON request_logs (account, key_id) WHERE status = 0;
