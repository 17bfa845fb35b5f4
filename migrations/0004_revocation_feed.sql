-- Whom a revocation is about, so that many of one user can become one.
-- A user's own is `kind` 'user' and `value` 'id:version': tokens of an earlier version are refused.
ALTER TABLE revocations ADD COLUMN user_id TEXT;

CREATE INDEX revocations_by_user ON revocations (user_id, kind);

-- Isolates also hold copies of the role graph and of the policy.
INSERT INTO versions VALUES ('policy', 1), ('roles', 1);

-- Whoever changes the role graph or the keys, and however: every copy of them is an old one after it.
CREATE TRIGGER roles_added AFTER INSERT ON roles
BEGIN UPDATE versions SET version = version + 1 WHERE name = 'roles'; END;
CREATE TRIGGER roles_changed AFTER UPDATE ON roles
BEGIN UPDATE versions SET version = version + 1 WHERE name = 'roles'; END;
CREATE TRIGGER roles_removed AFTER DELETE ON roles
BEGIN UPDATE versions SET version = version + 1 WHERE name = 'roles'; END;
CREATE TRIGGER role_inherits_added AFTER INSERT ON role_inherits
BEGIN UPDATE versions SET version = version + 1 WHERE name = 'roles'; END;
CREATE TRIGGER role_inherits_changed AFTER UPDATE ON role_inherits
BEGIN UPDATE versions SET version = version + 1 WHERE name = 'roles'; END;
CREATE TRIGGER role_inherits_removed AFTER DELETE ON role_inherits
BEGIN UPDATE versions SET version = version + 1 WHERE name = 'roles'; END;
CREATE TRIGGER role_permissions_added AFTER INSERT ON role_permissions
BEGIN UPDATE versions SET version = version + 1 WHERE name = 'roles'; END;
CREATE TRIGGER role_permissions_changed AFTER UPDATE ON role_permissions
BEGIN UPDATE versions SET version = version + 1 WHERE name = 'roles'; END;
CREATE TRIGGER role_permissions_removed AFTER DELETE ON role_permissions
BEGIN UPDATE versions SET version = version + 1 WHERE name = 'roles'; END;
CREATE TRIGGER token_keys_added AFTER INSERT ON token_keys
BEGIN UPDATE versions SET version = version + 1 WHERE name = 'keys'; END;
CREATE TRIGGER token_keys_changed AFTER UPDATE ON token_keys
BEGIN UPDATE versions SET version = version + 1 WHERE name = 'keys'; END;
CREATE TRIGGER token_keys_removed AFTER DELETE ON token_keys
BEGIN UPDATE versions SET version = version + 1 WHERE name = 'keys'; END;
