-- The second factor. A user has at most one: `id` is the set-up that it was confirmed from, and `secret` is sealed under
-- KEY_ENCRYPTION_KEY, bound to the user's id. `last_step` is the last step of the clock whose code was used: none up to
-- it is good again. `sealed_under` is the id of that secret.
-- Recovery codes are made again from `codes_set` and the key `codes_key`, for whoever did not get the answer that told
-- them: within minutes, in the session and with the step that they were made with.
CREATE TABLE totp_factors (
  user_id TEXT PRIMARY KEY REFERENCES users (id),
  id TEXT NOT NULL,
  secret TEXT NOT NULL,
  sealed_under TEXT NOT NULL,
  last_step INTEGER NOT NULL,
  enabled_at INTEGER NOT NULL,
  codes_set TEXT NOT NULL,
  codes_key TEXT NOT NULL,
  codes_step INTEGER NOT NULL,
  codes_session TEXT NOT NULL,
  codes_made_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX totp_factors_by_key ON totp_factors (sealed_under, user_id);

-- A recovery code: SHA-256 of 120 random bits. `used_by` is the request, so that a repeated write knows its own work.
CREATE TABLE recovery_codes (
  user_id TEXT NOT NULL REFERENCES users (id),
  digest TEXT NOT NULL,
  used_at INTEGER,
  used_by TEXT,
  PRIMARY KEY (user_id, digest)
) STRICT, WITHOUT ROWID;

-- An enrolment that was begun: the newest, of a user. It is confirmed in the session that began it.
CREATE TABLE mfa_setups (
  user_id TEXT PRIMARY KEY REFERENCES users (id),
  id TEXT NOT NULL,
  secret TEXT NOT NULL,
  sealed_under TEXT NOT NULL,
  session_id TEXT NOT NULL,
  expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX mfa_setups_by_expiry ON mfa_setups (expires_at);

-- A sign-in whose password was right, and which waits for the second factor `factor`. `codes` is what will be right until
-- it is over: JSON, steps with MACs. It stands as long as account and password do. `used_step` is the step that was
-- right, if one was; `last_try` is the newest try, so that a repeated write knows its own work.
CREATE TABLE mfa_challenges (
  id TEXT PRIMARY KEY,
  user_id TEXT NOT NULL REFERENCES users (id),
  slot TEXT NOT NULL,
  factor TEXT NOT NULL,
  codes TEXT NOT NULL,
  scope TEXT,
  is_new_device INTEGER NOT NULL CHECK (is_new_device IN (0, 1)),
  token_version INTEGER NOT NULL,
  password_version INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  tries INTEGER NOT NULL DEFAULT 0,
  last_try TEXT,
  used_at INTEGER,
  used_by TEXT,
  used_step INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX mfa_challenges_by_expiry ON mfa_challenges (expires_at);
CREATE INDEX mfa_challenges_by_user ON mfa_challenges (user_id);

-- Wrong codes in a row: since somebody last signed in from there. `slot` is as of sign_in_attempts.
CREATE TABLE mfa_failures (
  user_id TEXT NOT NULL REFERENCES users (id),
  slot TEXT NOT NULL,
  failures INTEGER NOT NULL,
  last_at INTEGER NOT NULL,
  PRIMARY KEY (user_id, slot)
) STRICT, WITHOUT ROWID;

CREATE INDEX mfa_failures_by_time ON mfa_failures (last_at);

-- Who holds such a role, or one that inherits it, opens nothing before they have enrolled.
ALTER TABLE roles ADD COLUMN require_mfa INTEGER NOT NULL DEFAULT 0 CHECK (require_mfa IN (0, 1));

-- When its holder last proved who they are, if that was after it began; and the step that they did it with.
ALTER TABLE sessions ADD COLUMN authenticated_at INTEGER;
ALTER TABLE sessions ADD COLUMN factor_step INTEGER;

-- Whoever has a second factor signs in with it: nobody opens a session with a password alone, not a Worker of the version
-- before, which goes on beside this one and knows of no factors, nor one that read the account just before it had one.
CREATE TRIGGER sessions_need_the_second_factor BEFORE INSERT ON sessions
WHEN NEW.amr = 'pwd' AND EXISTS (SELECT 1 FROM users WHERE id = NEW.user_id AND mfa_enabled = 1)
BEGIN SELECT RAISE(IGNORE); END;
