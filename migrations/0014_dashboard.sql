-- What the dashboard shows is counted as it happens: nothing goes through all accounts, or the log, to show it.
--
-- Triggers count, whoever writes: a Worker of the version before, an import, a statement by hand. A row that a repeated
-- write does not insert is not counted, since nothing is inserted; what a batch that fails has counted is undone with it.
-- Whoever doubts a count makes it again by the statements below.

-- Accounts, by whether they are open and have a second factor. Those that were erased are none.
CREATE TABLE user_totals (
  is_active INTEGER NOT NULL CHECK (is_active IN (0, 1)),
  mfa_enabled INTEGER NOT NULL CHECK (mfa_enabled IN (0, 1)),
  users INTEGER NOT NULL,
  PRIMARY KEY (is_active, mfa_enabled)
) STRICT, WITHOUT ROWID;

INSERT INTO user_totals VALUES (0, 0, 0), (0, 1, 0), (1, 0, 0), (1, 1, 0);

UPDATE user_totals SET users = counted.users
FROM (SELECT is_active, mfa_enabled, COUNT(*) AS users FROM users WHERE erased_at IS NULL GROUP BY 1, 2) AS counted
WHERE counted.is_active = user_totals.is_active AND counted.mfa_enabled = user_totals.mfa_enabled;

CREATE TRIGGER users_counted_in AFTER INSERT ON users WHEN NEW.erased_at IS NULL
BEGIN
  UPDATE user_totals SET users = users + 1 WHERE is_active = NEW.is_active AND mfa_enabled = NEW.mfa_enabled;
END;
CREATE TRIGGER users_counted_out AFTER DELETE ON users WHEN OLD.erased_at IS NULL
BEGIN
  UPDATE user_totals SET users = users - 1 WHERE is_active = OLD.is_active AND mfa_enabled = OLD.mfa_enabled;
END;
CREATE TRIGGER users_counted_anew AFTER UPDATE OF is_active, mfa_enabled, erased_at ON users
WHEN (OLD.is_active, OLD.mfa_enabled, OLD.erased_at IS NULL) <> (NEW.is_active, NEW.mfa_enabled, NEW.erased_at IS NULL)
BEGIN
  UPDATE user_totals SET users = users - (OLD.erased_at IS NULL)
  WHERE is_active = OLD.is_active AND mfa_enabled = OLD.mfa_enabled;
  UPDATE user_totals SET users = users + (NEW.erased_at IS NULL)
  WHERE is_active = NEW.is_active AND mfa_enabled = NEW.mfa_enabled;
END;

-- Who holds a role directly, also where that is over by itself: those are few, are found by when they were over, and are
-- taken off when it is shown.
CREATE TABLE role_totals (
  role TEXT PRIMARY KEY,
  holders INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO role_totals SELECT role, COUNT(*) FROM user_roles GROUP BY role;

CREATE TRIGGER user_roles_counted_in AFTER INSERT ON user_roles
BEGIN
  INSERT INTO role_totals (role, holders) VALUES (NEW.role, 1) ON CONFLICT (role) DO UPDATE SET holders = holders + 1;
END;
CREATE TRIGGER user_roles_counted_out AFTER DELETE ON user_roles
BEGIN
  UPDATE role_totals SET holders = holders - 1 WHERE role = OLD.role;
  DELETE FROM role_totals WHERE role = OLD.role AND holders = 0;
END;
CREATE TRIGGER user_roles_counted_anew AFTER UPDATE OF role ON user_roles WHEN OLD.role <> NEW.role
BEGIN
  UPDATE role_totals SET holders = holders - 1 WHERE role = OLD.role;
  DELETE FROM role_totals WHERE role = OLD.role AND holders = 0;
  INSERT INTO role_totals (role, holders) VALUES (NEW.role, 1) ON CONFLICT (role) DO UPDATE SET holders = holders + 1;
END;

-- What the log tells of a day, as days since the Unix epoch, UTC. It is counted for itself: rows of the log may be kept for
-- less time than it is shown.
CREATE TABLE daily_totals (
  day INTEGER PRIMARY KEY,
  sign_ins INTEGER NOT NULL DEFAULT 0,
  failures INTEGER NOT NULL DEFAULT 0,
  registrations INTEGER NOT NULL DEFAULT 0
) STRICT;

INSERT INTO daily_totals (day, sign_ins, failures, registrations)
SELECT at / 86400000, SUM(event = 'login_success'), SUM(event IN ('login_failure', 'mfa_failure')), SUM(event = 'register')
FROM audit_events
WHERE at >= (unixepoch() / 86400 - 30) * 86400000
  AND event IN ('login_success', 'login_failure', 'mfa_failure', 'register')
GROUP BY 1;

CREATE TRIGGER audit_events_counted AFTER INSERT ON audit_events
WHEN NEW.event IN ('login_success', 'login_failure', 'mfa_failure', 'register')
BEGIN
  INSERT INTO daily_totals (day, sign_ins, failures, registrations)
  VALUES (NEW.at / 86400000, NEW.event = 'login_success', NEW.event IN ('login_failure', 'mfa_failure'),
    NEW.event = 'register')
  ON CONFLICT (day) DO UPDATE SET sign_ins = sign_ins + excluded.sign_ins, failures = failures + excluded.failures,
    registrations = registrations + excluded.registrations;
END;

-- Sessions that stand are counted by when they end, and nothing else is looked at for that but when a token was last renewed.
CREATE INDEX sessions_that_stand ON sessions (expires_at, ended_at, kind, idle_until, id) WHERE ended_at IS NULL;
