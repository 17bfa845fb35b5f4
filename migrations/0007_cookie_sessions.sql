-- Sessions that a browser's cookie holds, beside those that tokens hold. A cookie session keeps its own salt, and says
-- itself how long it may go unused; a bearer session idles out with its refresh token.
-- `scope` is what a session was narrowed to when it began, if it was: permissions with spaces between.
-- A Worker of the version before goes on beside this one: what it writes is a bearer session.

ALTER TABLE sessions ADD COLUMN kind TEXT NOT NULL DEFAULT 'bearer' CHECK (kind IN ('bearer', 'cookie'));
ALTER TABLE sessions ADD COLUMN salt TEXT;
ALTER TABLE sessions ADD COLUMN scope TEXT;
ALTER TABLE sessions ADD COLUMN last_seen_at INTEGER;
ALTER TABLE sessions ADD COLUMN idle_ms INTEGER;
ALTER TABLE sessions ADD COLUMN idle_until INTEGER;

-- What ended a session is looked for by the request that did it.
CREATE INDEX sessions_by_end ON sessions (ended_by) WHERE ended_by IS NOT NULL;
