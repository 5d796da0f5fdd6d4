-- +goose Up
-- Which replica holds the run that waits for a tool call's result.
CREATE TABLE parked_calls (
  key     BYTEA NOT NULL PRIMARY KEY, -- a hash of the owner and the call's id
  address TEXT NOT NULL,
  expires BIGINT NOT NULL
);
CREATE INDEX parked_calls_expires ON parked_calls (expires);
