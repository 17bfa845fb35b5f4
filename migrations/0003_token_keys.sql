-- Keys of every algorithm, for access tokens and for what origins verify. A pair's public half is kept
-- as the required members of its JWK in lexical order (RFC 7638, §3.2); a shared secret has none.
-- The private half, or the secret, is sealed under KEY_ENCRYPTION_KEY, bound to its kid.
-- `signing_keys` goes on as a view, for a Worker of the version before, beside which a new one starts.

CREATE TABLE token_keys (
  kid TEXT PRIMARY KEY,
  algorithm TEXT NOT NULL,
  public_key TEXT,
  sealed TEXT NOT NULL,
  publish_at INTEGER NOT NULL,
  sign_from INTEGER NOT NULL,
  retire_at INTEGER
) STRICT, WITHOUT ROWID;

INSERT INTO token_keys
  SELECT kid, algorithm, '{"crv":"Ed25519","kty":"OKP","x":"' || x || '"}', sealed, publish_at, sign_from, retire_at
  FROM signing_keys;

DROP TABLE signing_keys;

CREATE VIEW signing_keys AS
  SELECT kid, algorithm, json_extract(public_key, '$.x') AS x, sealed, publish_at, sign_from, retire_at
  FROM token_keys WHERE algorithm = 'EdDSA';

-- How often something changed that isolates hold a copy of: a copy with another number is old.
CREATE TABLE versions (
  name TEXT PRIMARY KEY,
  version INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO versions VALUES ('keys', 1);
