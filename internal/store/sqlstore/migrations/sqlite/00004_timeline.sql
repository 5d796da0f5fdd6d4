-- +goose Up
-- When a turn reached its stages; 0 is a stage that it did not reach.
ALTER TABLE request_logs ADD COLUMN backend TEXT NOT NULL DEFAULT '';
ALTER TABLE request_logs ADD COLUMN resume TEXT NOT NULL DEFAULT '';
ALTER TABLE request_logs ADD COLUMN queue_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE request_logs ADD COLUMN connect_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE request_logs ADD COLUMN first_token_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE request_logs ADD COLUMN tool_wait_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE request_logs ADD COLUMN parked INTEGER NOT NULL DEFAULT 0;
ALTER TABLE request_logs ADD COLUMN repairs TEXT NOT NULL DEFAULT '';
