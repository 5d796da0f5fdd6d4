-- +goose Up
-- Which processes live. A replica that has died leaves a lease that ends by itself.
CREATE TABLE replicas (
  id          TEXT NOT NULL PRIMARY KEY,
  lease_until BIGINT NOT NULL -- by the clock of the database
);
-- The process that holds the run; that of a call which was parked by an older version is not known, and so not asked.
ALTER TABLE parked_calls ADD COLUMN replica TEXT NOT NULL DEFAULT '';
