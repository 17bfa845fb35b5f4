-- Accounts, roles, sessions and what happened to them.
-- Times are milliseconds since the Unix epoch; booleans are 0 or 1; ids are UUIDs as text.

CREATE TABLE users (
  id TEXT PRIMARY KEY,
  username TEXT NOT NULL UNIQUE,
  email TEXT NOT NULL,
  email_key TEXT NOT NULL UNIQUE, -- the address in lower case: unique without regard to case
  email_verified INTEGER NOT NULL DEFAULT 0 CHECK (email_verified IN (0, 1)),
  full_name TEXT NOT NULL DEFAULT '',
  password_hash TEXT NOT NULL,
  is_active INTEGER NOT NULL DEFAULT 1 CHECK (is_active IN (0, 1)),
  mfa_enabled INTEGER NOT NULL DEFAULT 0 CHECK (mfa_enabled IN (0, 1)),
  token_version INTEGER NOT NULL DEFAULT 1,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  last_login_at INTEGER
) STRICT;

CREATE TABLE roles (
  name TEXT PRIMARY KEY,
  description TEXT NOT NULL DEFAULT '',
  built_in INTEGER NOT NULL DEFAULT 0 CHECK (built_in IN (0, 1))
) STRICT;

CREATE TABLE permissions (
  name TEXT PRIMARY KEY,
  description TEXT NOT NULL DEFAULT '',
  built_in INTEGER NOT NULL DEFAULT 0 CHECK (built_in IN (0, 1))
) STRICT;

CREATE TABLE role_inherits (
  role TEXT NOT NULL REFERENCES roles (name),
  inherits TEXT NOT NULL REFERENCES roles (name),
  PRIMARY KEY (role, inherits),
  CHECK (role <> inherits)
) STRICT, WITHOUT ROWID;

CREATE TABLE role_permissions (
  role TEXT NOT NULL REFERENCES roles (name),
  permission TEXT NOT NULL REFERENCES permissions (name),
  PRIMARY KEY (role, permission)
) STRICT, WITHOUT ROWID;

CREATE TABLE user_roles (
  user_id TEXT NOT NULL REFERENCES users (id),
  role TEXT NOT NULL REFERENCES roles (name),
  granted_at INTEGER NOT NULL,
  PRIMARY KEY (user_id, role)
) STRICT, WITHOUT ROWID;

CREATE INDEX user_roles_by_role ON user_roles (role);

-- A sign-in. `ended_by` is the request that ended it, so that a repeated write knows its own work.
CREATE TABLE sessions (
  id TEXT PRIMARY KEY,
  user_id TEXT NOT NULL REFERENCES users (id),
  ip TEXT,
  user_agent TEXT,
  amr TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  ended_at INTEGER,
  end_reason TEXT,
  ended_by TEXT
) STRICT;

CREATE INDEX sessions_by_user ON sessions (user_id, created_at);
CREATE INDEX sessions_by_expiry ON sessions (expires_at);

-- The one living refresh token of a session: its newest generation. No secret is kept: a token
-- is made again from these fields and a key that is not here.
CREATE TABLE refresh_tokens (
  session_id TEXT PRIMARY KEY REFERENCES sessions (id),
  salt TEXT NOT NULL,
  generation INTEGER NOT NULL,
  rotated_at INTEGER NOT NULL,
  rotated_by TEXT,
  expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Each try to sign in, reserved before the password is hashed and resolved after.
-- `account` is a user id, or a MAC of what was typed where there is no such user.
CREATE TABLE sign_in_attempts (
  id TEXT PRIMARY KEY,
  account TEXT NOT NULL,
  ip TEXT,
  at INTEGER NOT NULL,
  outcome TEXT NOT NULL CHECK (outcome IN ('pending', 'failed', 'succeeded'))
) STRICT, WITHOUT ROWID;

CREATE INDEX sign_in_attempts_by_account ON sign_in_attempts (account, at);
CREATE INDEX sign_in_attempts_by_time ON sign_in_attempts (at);

CREATE TABLE audit_events (
  id TEXT PRIMARY KEY,
  at INTEGER NOT NULL,
  event TEXT NOT NULL,
  severity TEXT NOT NULL CHECK (severity IN ('info', 'warning')),
  subject TEXT,
  session_id TEXT,
  ip TEXT,
  user_agent TEXT,
  request_id TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX audit_events_by_time ON audit_events (at);
CREATE INDEX audit_events_by_subject ON audit_events (subject, at);

-- What was ended before its time: kind 'session' or 'token', and until when that can matter.
CREATE TABLE revocations (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  kind TEXT NOT NULL CHECK (kind IN ('token', 'session', 'user', 'key', 'api_key')),
  value TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  until INTEGER NOT NULL,
  UNIQUE (kind, value)
) STRICT;

CREATE INDEX revocations_by_end ON revocations (until);

-- Signing keys; the private half is sealed under KEY_ENCRYPTION_KEY.
CREATE TABLE signing_keys (
  kid TEXT PRIMARY KEY,
  algorithm TEXT NOT NULL,
  x TEXT NOT NULL,
  sealed TEXT NOT NULL,
  publish_at INTEGER NOT NULL,
  sign_from INTEGER NOT NULL,
  retire_at INTEGER
) STRICT, WITHOUT ROWID;
