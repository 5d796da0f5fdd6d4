-- +goose Up
-- Which replica holds the run that waits for a tool call's result.
CREATE TABLE parked_calls (
  key     BLOB NOT NULL PRIMARY KEY, -- a hash of the owner and the call's id
  address TEXT NOT NULL,
  expires INTEGER NOT NULL
) STRICT;
CREATE INDEX parked_calls_expires ON parked_calls (expires);
