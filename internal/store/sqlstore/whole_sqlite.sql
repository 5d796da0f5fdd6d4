-- The whole schema, for a new database. Written by 'make golden' from the migrations; never change it by hand.
CREATE TABLE composer_api_schema (
		id INTEGER PRIMARY KEY AUTOINCREMENT,
		version_id INTEGER NOT NULL,
		is_applied INTEGER NOT NULL,
		tstamp TIMESTAMP DEFAULT (datetime('now'))
	);
CREATE TABLE accounts (
  id         TEXT    NOT NULL PRIMARY KEY,
  email      TEXT    NOT NULL,
  name       TEXT    NOT NULL,
  sealed_key BLOB    NOT NULL,
  key_hint   TEXT    NOT NULL,
  created    INTEGER NOT NULL, -- times are milliseconds since 1970; 0 is Go's zero time
  updated    INTEGER NOT NULL
, limits TEXT NOT NULL DEFAULT '') STRICT;
CREATE TABLE keys (
  id      TEXT    NOT NULL PRIMARY KEY,
  account TEXT    NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
  hash    BLOB    NOT NULL,
  hint    TEXT    NOT NULL,
  created INTEGER NOT NULL,
  revoked INTEGER NOT NULL
, name TEXT NOT NULL DEFAULT '', expires INTEGER NOT NULL DEFAULT 0, limits TEXT NOT NULL DEFAULT '') STRICT;
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
, backend TEXT NOT NULL DEFAULT '', resume TEXT NOT NULL DEFAULT '', queue_ms INTEGER NOT NULL DEFAULT 0, connect_ms INTEGER NOT NULL DEFAULT 0, first_token_ms INTEGER NOT NULL DEFAULT 0, tool_wait_ms INTEGER NOT NULL DEFAULT 0, parked INTEGER NOT NULL DEFAULT 0, repairs TEXT NOT NULL DEFAULT '', runner TEXT NOT NULL DEFAULT '') STRICT;
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
  input       BLOB    NOT NULL, hidden INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (owner, id)
) STRICT;
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
CREATE INDEX conversations_owner ON conversations (owner, created, backend, hash, size);
CREATE INDEX conversations_expires ON conversations (expires);
CREATE INDEX responses_previous ON responses (owner, previous) WHERE previous <> '';
CREATE TABLE documents (
  owner      TEXT    NOT NULL,
  id         TEXT    NOT NULL,
  kind       TEXT    NOT NULL,
  created    INTEGER NOT NULL,
  expires    INTEGER NOT NULL,
  revision   INTEGER NOT NULL,
  size       INTEGER NOT NULL, -- bytes of data
  parts_size INTEGER NOT NULL, -- of the parts, each with its overhead
  data       BLOB    NOT NULL,
  PRIMARY KEY (owner, id)
) STRICT;
CREATE INDEX documents_kind ON documents (owner, kind, created, id);
CREATE INDEX documents_owner ON documents (owner, created, id, size, parts_size);
CREATE INDEX documents_expires ON documents (expires);
CREATE TABLE document_parts (
  owner    TEXT    NOT NULL,
  document TEXT    NOT NULL,
  id       TEXT    NOT NULL,
  position INTEGER NOT NULL,
  data     BLOB    NOT NULL,
  PRIMARY KEY (owner, document, id),
  FOREIGN KEY (owner, document) REFERENCES documents (owner, id) ON DELETE CASCADE
) STRICT;
CREATE UNIQUE INDEX document_parts_position ON document_parts (owner, document, position);
CREATE INDEX request_logs_key ON request_logs (key_id, created);
CREATE TABLE key_days (
  account  TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
  key_id   TEXT NOT NULL,
  day      INTEGER NOT NULL, -- when it began, in UTC
  cost_usd REAL NOT NULL,
  PRIMARY KEY (key_id, day)
) STRICT;
CREATE INDEX key_days_account ON key_days (account);
CREATE INDEX key_days_day ON key_days (day);
CREATE TABLE parked_calls (
  key     BLOB NOT NULL PRIMARY KEY, -- a hash of the owner and the call's id
  address TEXT NOT NULL,
  expires INTEGER NOT NULL
, replica TEXT NOT NULL DEFAULT '') STRICT;
CREATE INDEX parked_calls_expires ON parked_calls (expires);
CREATE TABLE audit (
  id      TEXT NOT NULL PRIMARY KEY,
  at      INTEGER NOT NULL,
  actor   TEXT NOT NULL,
  action  TEXT NOT NULL,
  subject TEXT NOT NULL,
  detail  TEXT NOT NULL
) STRICT;
CREATE INDEX audit_at ON audit (at);
CREATE TABLE replicas (
  id          TEXT NOT NULL PRIMARY KEY,
  lease_until BIGINT NOT NULL -- by the clock of the database
, open_at TEXT NOT NULL DEFAULT '');
CREATE TABLE invitations (
  id      TEXT NOT NULL PRIMARY KEY,
  hash    BLOB NOT NULL UNIQUE,
  note    TEXT NOT NULL,
  created INTEGER NOT NULL,
  expires INTEGER NOT NULL,
  revoked INTEGER NOT NULL,
  uses    INTEGER NOT NULL,
  used    INTEGER NOT NULL
) STRICT;
CREATE INDEX invitations_expires ON invitations (expires);
CREATE TABLE attempts (
  who     BLOB NOT NULL PRIMARY KEY, -- a hash
  times   TEXT NOT NULL, -- JSON: when, in milliseconds, oldest first
  expires INTEGER NOT NULL
) STRICT;
CREATE INDEX attempts_expires ON attempts (expires);
CREATE TABLE runners (
  id      TEXT NOT NULL PRIMARY KEY,
  expires INTEGER NOT NULL
) STRICT;
CREATE INDEX runners_expires ON runners (expires);
CREATE INDEX request_logs_running ON request_logs (account, key_id) WHERE status = 0;
INSERT INTO composer_api_schema (version_id, is_applied) VALUES (0, 1), (1, 1), (2, 1), (3, 1), (4, 1), (5, 1), (6, 1), (7, 1), (8, 1), (9, 1), (10, 1);
