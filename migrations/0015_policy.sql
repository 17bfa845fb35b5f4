-- Versions of the policy that were put over the API, each a row that nothing changes any more. The newest of kind 'live'
-- decides, where it was put beside the policy file that is deployed (`base` is that file's SHA-256); one of kind
-- 'candidate' is tried beside it, as long as it is newer than that. `text` is NULL where the file that is deployed is to
-- decide again, or no candidate is to be tried any more.
--
-- `made_by` is the row in the log, so that a repeated write knows its own work. `copy_of` is the version that this one is a
-- copy of.
--
-- Additive: a Worker of the version before goes on by the file that it was deployed with.
CREATE TABLE policies (
  version INTEGER PRIMARY KEY AUTOINCREMENT,
  kind TEXT NOT NULL CHECK (kind IN ('live', 'candidate')),
  base TEXT NOT NULL,
  text TEXT,
  copy_of INTEGER,
  note TEXT NOT NULL DEFAULT '',
  created_at INTEGER NOT NULL,
  created_by TEXT NOT NULL,
  made_by TEXT NOT NULL UNIQUE
) STRICT;

CREATE INDEX policies_by_kind ON policies (kind, version);

CREATE TRIGGER policies_inserted AFTER INSERT ON policies
BEGIN UPDATE versions SET version = version + 1 WHERE name = 'policy'; END;
