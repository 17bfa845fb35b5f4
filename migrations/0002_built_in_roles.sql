-- The roles and permissions that every installation has: guest < user < moderator < admin < super_admin.

INSERT INTO roles (name, description, built_in) VALUES
  ('guest', 'Nothing of its own', 1),
  ('user', 'Every account', 1),
  ('moderator', 'Looks after content', 1),
  ('admin', 'Looks after people', 1),
  ('super_admin', 'Looks after the installation; granted from its own machine only', 1);

INSERT INTO role_inherits (role, inherits) VALUES
  ('user', 'guest'),
  ('moderator', 'user'),
  ('admin', 'moderator'),
  ('super_admin', 'admin');

INSERT INTO permissions (name, built_in) VALUES
  ('profile:read', 1), ('profile:write', 1), ('profile:delete', 1),
  ('content:read', 1), ('content:create', 1), ('content:update', 1), ('content:delete', 1),
  ('users:read', 1), ('users:write', 1), ('users:delete', 1),
  ('roles:manage', 1), ('audit:read', 1), ('reports:view', 1), ('policy:read', 1),
  ('orgs:manage', 1), ('admin:access', 1),
  ('policy:manage', 1), ('keys:manage', 1), ('system:manage', 1);

INSERT INTO role_permissions (role, permission) VALUES
  ('user', 'profile:read'), ('user', 'profile:write'), ('user', 'profile:delete'),
  ('user', 'content:read'), ('user', 'content:create'),
  ('moderator', 'content:update'), ('moderator', 'content:delete'), ('moderator', 'users:read'),
  ('admin', 'users:write'), ('admin', 'users:delete'), ('admin', 'roles:manage'), ('admin', 'audit:read'),
  ('admin', 'reports:view'), ('admin', 'policy:read'), ('admin', 'orgs:manage'), ('admin', 'admin:access'),
  ('super_admin', 'policy:manage'), ('super_admin', 'keys:manage'), ('super_admin', 'system:manage');
