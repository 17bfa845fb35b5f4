-- Who did it, where that is not the one whom it is about. The address and the client of such a row are theirs.
ALTER TABLE audit_events ADD COLUMN actor TEXT;

CREATE INDEX audit_events_by_actor ON audit_events (actor, at) WHERE actor IS NOT NULL;

-- When the person behind an account was removed from it. What is left is an id that things refer to.
ALTER TABLE users ADD COLUMN erased_at INTEGER;

-- Erasures that the cron is to finish, or to look at once more. `clean_to`: no row of the log before that time still
-- says where its subject was; it stays an hour before the erasure, since requests that were under way may write later.
CREATE TABLE erasures (
  user_id TEXT PRIMARY KEY REFERENCES users (id),
  at INTEGER NOT NULL,
  next_at INTEGER NOT NULL,
  clean_to INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

CREATE INDEX erasures_by_next ON erasures (next_at);
