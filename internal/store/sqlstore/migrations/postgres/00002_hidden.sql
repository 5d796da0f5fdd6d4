-- +goose Up
-- A response that was deleted while others continue it stays, hidden, as their context.
ALTER TABLE responses ADD COLUMN hidden BOOLEAN NOT NULL DEFAULT FALSE;
CREATE INDEX responses_previous ON responses (owner, previous) WHERE previous <> '';
