-- +goose Up
ALTER TABLE keys ADD COLUMN name TEXT NOT NULL DEFAULT '';
ALTER TABLE keys ADD COLUMN expires BIGINT NOT NULL DEFAULT 0;
ALTER TABLE keys ADD COLUMN limits TEXT NOT NULL DEFAULT ''; -- JSON; empty is no limit
CREATE INDEX request_logs_key ON request_logs (key_id, created); -- what a key has used in the last minutes

-- What a key has cost on a day, so that a month's sum reads no request logs.
CREATE TABLE key_days (
  account  TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
  key_id   TEXT NOT NULL,
  day      BIGINT NOT NULL, -- when it began, in UTC
  cost_usd DOUBLE PRECISION NOT NULL,
  PRIMARY KEY (key_id, day)
);
CREATE INDEX key_days_account ON key_days (account);
CREATE INDEX key_days_day ON key_days (day);
