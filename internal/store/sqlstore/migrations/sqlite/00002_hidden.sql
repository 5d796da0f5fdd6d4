-- +goose Up
-- A response that was deleted while others continue it stays, hidden, as their context.
ALTER TABLE responses ADD COLUMN hidden INTEGER NOT NULL DEFAULT 0;
CREATE INDEX responses_previous ON responses (owner, previous) WHERE previous <> '';
