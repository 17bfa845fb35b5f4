-- Reading the log by any of its filters, and sealing it, so that whoever edits it without the Worker's secret is found out.

CREATE INDEX audit_events_by_ip ON audit_events (ip, at) WHERE ip IS NOT NULL;
CREATE INDEX audit_events_by_event ON audit_events (event, at);

-- What a seal covers of address and client: SHA-256 of the salt and both. When the person is erased these and the salt go,
-- and the hash stays, by which nobody can guess what they were.
ALTER TABLE audit_events ADD COLUMN origin_salt TEXT;
ALTER TABLE audit_events ADD COLUMN origin_hash TEXT;

-- Ranges of the log that are closed, each from the end of the one before it. `digest` is over the rows, `head` over the
-- range and the head before it, `mac` over the head, under a key that is not in the database. A range whose rows were kept
-- long enough is forgotten; the newest of those stays without its rows, for the chain to begin with.
CREATE TABLE audit_seals (
  number INTEGER PRIMARY KEY,
  from_at INTEGER NOT NULL,
  to_at INTEGER NOT NULL,
  rows INTEGER NOT NULL,
  digest TEXT NOT NULL,
  previous TEXT NOT NULL,
  head TEXT NOT NULL,
  key_id TEXT NOT NULL,
  mac TEXT NOT NULL,
  sealed_at INTEGER NOT NULL,
  forgotten_at INTEGER
) STRICT;

CREATE INDEX audit_seals_by_end ON audit_seals (forgotten_at, to_at);
CREATE INDEX audit_seals_by_key ON audit_seals (key_id, number);
