-- +goose Up
-- Where a replica takes new turns of others; empty when it takes none. That of an older version is not known. Not called
-- "address": the older version, which may still run, joins this table with parked_calls, which has a column of that name.
ALTER TABLE replicas ADD COLUMN open_at TEXT NOT NULL DEFAULT '';
