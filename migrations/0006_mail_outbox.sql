-- Mails: written in the batch of the change that they tell of, sent after the answer or by the cron.
--
-- `id` is also the idempotency key and what a mail's token names; no token is kept. `account` is a user id, or a MAC
-- of what was typed where there is no such user: such a row is 'nobody', is never sent, and counts like the others.
-- `details` is JSON: the username, and where the request came from. `expires_at` is when the token is over, or from
-- when nobody needs to be told any more. `password_version` is the user's as it was then: a reset dies with it.
-- `used_by` and `replayed_by` are requests, so that a repeated write knows its own work.
-- `next_at` is when something is to be done: a pending row is tried, any other may be deleted.
CREATE TABLE mail_outbox (
  id TEXT PRIMARY KEY,
  kind TEXT NOT NULL,
  account TEXT NOT NULL,
  recipient TEXT NOT NULL,
  details TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  password_version INTEGER,
  used_at INTEGER,
  used_by TEXT,
  replays INTEGER NOT NULL DEFAULT 0,
  replayed_by TEXT,
  state TEXT NOT NULL CHECK (state IN ('pending', 'sent', 'dead', 'nobody')),
  tries INTEGER NOT NULL DEFAULT 0,
  next_at INTEGER NOT NULL,
  claimed_by TEXT,
  sent_at INTEGER,
  last_error TEXT
) STRICT, WITHOUT ROWID;

CREATE INDEX mail_outbox_by_account ON mail_outbox (account, kind, created_at);
CREATE INDEX mail_outbox_by_next ON mail_outbox (state, next_at);
CREATE INDEX mail_outbox_by_claim ON mail_outbox (claimed_by) WHERE claimed_by IS NOT NULL;
