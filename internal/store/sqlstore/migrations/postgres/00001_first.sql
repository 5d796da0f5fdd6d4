-- +goose Up
CREATE TABLE accounts (
  id         TEXT NOT NULL PRIMARY KEY,
  email      TEXT NOT NULL,
  name       TEXT NOT NULL,
  sealed_key BYTEA NOT NULL,
  key_hint   TEXT NOT NULL,
  created    BIGINT NOT NULL, -- times are milliseconds since 1970; 0 is Go's zero time
  updated    BIGINT NOT NULL
);

CREATE TABLE keys (
  id      TEXT NOT NULL PRIMARY KEY,
  account TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
  hash    BYTEA NOT NULL,
  hint    TEXT NOT NULL,
  created BIGINT NOT NULL,
  revoked BIGINT NOT NULL
);
CREATE INDEX keys_account ON keys (account);

CREATE TABLE request_logs (
  id               TEXT NOT NULL PRIMARY KEY,
  account          TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
  key_id           TEXT NOT NULL,
  request_id       TEXT NOT NULL,
  endpoint         TEXT NOT NULL,
  created          BIGINT NOT NULL,
  model            TEXT NOT NULL DEFAULT '',
  status           BIGINT NOT NULL DEFAULT 0,
  input_tokens     BIGINT NOT NULL DEFAULT 0,
  cached_tokens    BIGINT NOT NULL DEFAULT 0,
  output_tokens    BIGINT NOT NULL DEFAULT 0,
  reasoning_tokens BIGINT NOT NULL DEFAULT 0,
  cost_usd         DOUBLE PRECISION NOT NULL DEFAULT 0,
  estimated        BOOLEAN NOT NULL DEFAULT FALSE,
  duration_ms      BIGINT NOT NULL DEFAULT 0,
  upstream_run     TEXT NOT NULL DEFAULT '',
  error_code       TEXT NOT NULL DEFAULT ''
);
CREATE INDEX request_logs_account ON request_logs (account, created);
CREATE INDEX request_logs_created ON request_logs (created);

CREATE TABLE sessions (
  owner    BYTEA NOT NULL,
  session  BYTEA NOT NULL,
  agent_id TEXT NOT NULL,
  expires  BIGINT NOT NULL,
  PRIMARY KEY (owner, session)
);
CREATE INDEX sessions_expires ON sessions (expires);

CREATE TABLE responses (
  owner       TEXT NOT NULL,
  id          TEXT NOT NULL,
  previous    TEXT NOT NULL,
  status      TEXT NOT NULL,
  created     BIGINT NOT NULL,
  expires     BIGINT NOT NULL,
  runner      TEXT NOT NULL,
  lease_until BIGINT NOT NULL,
  revision    BIGINT NOT NULL,
  size        BIGINT NOT NULL, -- bytes of object and input
  events_size BIGINT NOT NULL DEFAULT 0,
  object      BYTEA NOT NULL, -- the big columns stand last, so that the others are read without them
  input       BYTEA NOT NULL,
  PRIMARY KEY (owner, id)
);
-- Everything that eviction needs, so that it never reads the rows.
CREATE INDEX responses_owner ON responses (owner, created, id, runner, size, events_size);
CREATE INDEX responses_expires ON responses (expires);
CREATE INDEX responses_runner ON responses (runner) WHERE runner <> '';

CREATE TABLE response_events (
  owner    TEXT NOT NULL,
  response TEXT NOT NULL,
  sequence BIGINT NOT NULL,
  data     BYTEA NOT NULL,
  PRIMARY KEY (owner, response, sequence),
  FOREIGN KEY (owner, response) REFERENCES responses (owner, id) ON DELETE CASCADE
);

CREATE TABLE conversations (
  owner   TEXT NOT NULL,
  backend TEXT NOT NULL,
  hash    BYTEA NOT NULL,
  created BIGINT NOT NULL,
  expires BIGINT NOT NULL,
  size    BIGINT NOT NULL,
  data    BYTEA NOT NULL,
  PRIMARY KEY (owner, backend, hash)
);
CREATE INDEX conversations_owner ON conversations (owner, created, backend, hash, size); -- for eviction, too
CREATE INDEX conversations_expires ON conversations (expires);
