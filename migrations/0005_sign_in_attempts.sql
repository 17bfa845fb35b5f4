-- Who counts together: within an account, the empty slot is everyone, and a browser that has signed in
-- to it before has a slot of its own. `number` is the attempt's place among the account's, given by the
-- database, since the clocks of those who write differ.
-- A Worker of the version before goes on beside this one: what it writes is everyone's, and comes first.

ALTER TABLE sign_in_attempts ADD COLUMN slot TEXT NOT NULL DEFAULT '';
ALTER TABLE sign_in_attempts ADD COLUMN number INTEGER NOT NULL DEFAULT 0;

CREATE INDEX sign_in_attempts_by_number ON sign_in_attempts (account, number);

-- Closed after too many failures. `closed_by` is the attempt that did it, so that a repeated write knows
-- its own work.
CREATE TABLE sign_in_locks (
  account TEXT NOT NULL,
  slot TEXT NOT NULL,
  until INTEGER NOT NULL,
  closed_by TEXT NOT NULL,
  PRIMARY KEY (account, slot)
) STRICT, WITHOUT ROWID;

CREATE INDEX sign_in_locks_by_end ON sign_in_locks (until);

-- Whoever changes `password_hash` raises it by one: a browser is known only as long as the password stands
-- that somebody signed in with from it.
ALTER TABLE users ADD COLUMN password_version INTEGER NOT NULL DEFAULT 1;
