-- Roles and permissions that are looked after over the API.
--
-- A role is granted by somebody, and perhaps until some time. `changed_by` is the row in the log of the newest change, so
-- that a repeated write knows its own work.
ALTER TABLE user_roles ADD COLUMN granted_by TEXT;
ALTER TABLE user_roles ADD COLUMN expires_at INTEGER;
ALTER TABLE roles ADD COLUMN changed_by TEXT;
ALTER TABLE permissions ADD COLUMN changed_by TEXT;

CREATE INDEX user_roles_by_expiry ON user_roles (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX role_inherits_by_inherited ON role_inherits (inherits);
CREATE INDEX role_permissions_by_permission ON role_permissions (permission);

-- The name of a role that was removed: tokens and copies of sessions may name it for a while, so nothing else is called so
-- until then.
CREATE TABLE retired_roles (
  name TEXT PRIMARY KEY,
  until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What an act was, beside whom it was done to: which role, what of it. Never what tells of a person.
ALTER TABLE audit_events ADD COLUMN detail TEXT;

-- A super_admin has every permission there is: nobody else could give one on that nobody has.
INSERT OR IGNORE INTO role_permissions SELECT 'super_admin', name FROM permissions;

CREATE TRIGGER permissions_added AFTER INSERT ON permissions
BEGIN INSERT OR IGNORE INTO role_permissions VALUES ('super_admin', NEW.name); END;

UPDATE permissions SET description = CASE name
  WHEN 'profile:read' THEN 'See one''s own profile'
  WHEN 'profile:write' THEN 'Change one''s own profile, and end one''s own sessions'
  WHEN 'profile:delete' THEN 'Close one''s own account'
  WHEN 'content:read' THEN 'Read content'
  WHEN 'content:create' THEN 'Create content'
  WHEN 'content:update' THEN 'Change others'' content'
  WHEN 'content:delete' THEN 'Delete others'' content'
  WHEN 'users:read' THEN 'See accounts'
  WHEN 'users:write' THEN 'Create and change accounts, and what they hold'
  WHEN 'users:delete' THEN 'Close accounts, and remove people from them'
  WHEN 'roles:manage' THEN 'Look after roles and permissions'
  WHEN 'audit:read' THEN 'Read the log'
  WHEN 'reports:view' THEN 'See the dashboard'
  WHEN 'policy:read' THEN 'See the policy'
  WHEN 'orgs:manage' THEN 'Look after organisations'
  WHEN 'admin:access' THEN 'See the pages for administrators'
  WHEN 'policy:manage' THEN 'Change the policy'
  WHEN 'keys:manage' THEN 'Look after signing keys'
  WHEN 'system:manage' THEN 'Look after the installation'
  ELSE description END
WHERE built_in = 1;

-- Accounts are listed from the newest back, all of them or those that are open or closed, and found by how username,
-- address or name begin.
CREATE INDEX users_by_active ON users (is_active, id) WHERE erased_at IS NULL;
CREATE INDEX users_by_name ON users (lower(full_name), id) WHERE erased_at IS NULL AND full_name <> '';
