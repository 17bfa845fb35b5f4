-- What programs show where a person would sign in. Of a key's secret only a hash is kept.
--
-- `scopes`: names with spaces between; a key gives no more than its owner has when it is used. `addresses`: a JSON list;
-- an empty one is anywhere. `replaced_by`: the key that was made in the place of this one. `made_by` and `ended_by` are the
-- rows in the log, so that a repeated write knows its own work.
CREATE TABLE api_keys (
  id TEXT PRIMARY KEY,
  user_id TEXT NOT NULL REFERENCES users (id),
  name TEXT NOT NULL,
  prefix TEXT NOT NULL,
  secret_hash TEXT NOT NULL,
  scopes TEXT NOT NULL,
  addresses TEXT NOT NULL DEFAULT '[]',
  per_minute INTEGER,
  with_factor INTEGER NOT NULL CHECK (with_factor IN (0, 1)),
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  last_used_at INTEGER,
  replaced_by TEXT,
  ended_at INTEGER,
  made_by TEXT NOT NULL,
  ended_by TEXT
) STRICT, WITHOUT ROWID;

CREATE INDEX api_keys_by_user ON api_keys (user_id, created_at);
CREATE INDEX api_keys_by_expiry ON api_keys (expires_at);
CREATE INDEX api_keys_by_end ON api_keys (ended_at) WHERE ended_at IS NOT NULL;
