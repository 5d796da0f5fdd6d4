-- +goose Up
CREATE TABLE accounts (
  id         TEXT    NOT NULL PRIMARY KEY,
  email      TEXT    NOT NULL,
  name       TEXT    NOT NULL,
  sealed_key BLOB    NOT NULL,
  key_hint   TEXT    NOT NULL,
  created    INTEGER NOT NULL, -- times are milliseconds since 1970; 0 is Go's zero time
  updated    INTEGER NOT NULL
) STRICT;

CREATE TABLE keys (
  id      TEXT    NOT NULL PRIMARY KEY,
  account TEXT    NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
  hash    BLOB    NOT NULL,
  hint    TEXT    NOT NULL,
  created INTEGER NOT NULL,
  revoked INTEGER NOT NULL
) STRICT;
CREATE INDEX keys_account ON keys (account);

CREATE TABLE request_logs (
  id               TEXT    NOT NULL PRIMARY KEY,
  account          TEXT    NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
  key_id           TEXT    NOT NULL,
  request_id       TEXT    NOT NULL,
  endpoint         TEXT    NOT NULL,
  created          INTEGER NOT NULL,
  model            TEXT    NOT NULL DEFAULT '',
  status           INTEGER NOT NULL DEFAULT 0,
  input_tokens     INTEGER NOT NULL DEFAULT 0,
  cached_tokens    INTEGER NOT NULL DEFAULT 0,
  output_tokens    INTEGER NOT NULL DEFAULT 0,
  reasoning_tokens INTEGER NOT NULL DEFAULT 0,
  cost_usd         REAL    NOT NULL DEFAULT 0,
  estimated        INTEGER NOT NULL DEFAULT 0,
  duration_ms      INTEGER NOT NULL DEFAULT 0,
  upstream_run     TEXT    NOT NULL DEFAULT '',
  error_code       TEXT    NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX request_logs_account ON request_logs (account, created);
CREATE INDEX request_logs_created ON request_logs (created);

CREATE TABLE sessions (
  owner    BLOB    NOT NULL,
  session  BLOB    NOT NULL,
  agent_id TEXT    NOT NULL,
  expires  INTEGER NOT NULL,
  PRIMARY KEY (owner, session)
) STRICT;
CREATE INDEX sessions_expires ON sessions (expires);

CREATE TABLE responses (
  owner       TEXT    NOT NULL,
  id          TEXT    NOT NULL,
  previous    TEXT    NOT NULL,
  status      TEXT    NOT NULL,
  created     INTEGER NOT NULL,
  expires     INTEGER NOT NULL,
  runner      TEXT    NOT NULL,
  lease_until INTEGER NOT NULL,
  revision    INTEGER NOT NULL,
  size        INTEGER NOT NULL, -- bytes of object and input
  events_size INTEGER NOT NULL DEFAULT 0,
  object      BLOB    NOT NULL, -- the big columns stand last, so that the others are read without them
  input       BLOB    NOT NULL,
  PRIMARY KEY (owner, id)
) STRICT;
-- Everything that eviction needs, so that it never reads the rows.
CREATE INDEX responses_owner ON responses (owner, created, id, runner, size, events_size);
CREATE INDEX responses_expires ON responses (expires);
CREATE INDEX responses_runner ON responses (runner) WHERE runner <> '';

CREATE TABLE response_events (
  owner    TEXT    NOT NULL,
  response TEXT    NOT NULL,
  sequence INTEGER NOT NULL,
  data     BLOB    NOT NULL,
  PRIMARY KEY (owner, response, sequence),
  FOREIGN KEY (owner, response) REFERENCES responses (owner, id) ON DELETE CASCADE
) STRICT;

CREATE TABLE conversations (
  owner   TEXT    NOT NULL,
  backend TEXT    NOT NULL,
  hash    BLOB    NOT NULL,
  created INTEGER NOT NULL,
  expires INTEGER NOT NULL,
  size    INTEGER NOT NULL,
  data    BLOB    NOT NULL,
  PRIMARY KEY (owner, backend, hash)
) STRICT;
CREATE INDEX conversations_owner ON conversations (owner, created, backend, hash, size); -- for eviction, too
CREATE INDEX conversations_expires ON conversations (expires);
