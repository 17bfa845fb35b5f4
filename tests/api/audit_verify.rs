//! `edgewarden audit verify`: whoever edits what is sealed, in SQLite and without the secret, has the range named.

use std::{fs, path::PathBuf, time::Duration};

use edgewarden::{
    domain::time::Timestamp,
    native::commands::{self, World as Commands},
    ports::Clock,
};
use serde_json::Value;

use crate::harness::{OTHER_SECRET, SECRET, World};

pub const DAY: Duration = Duration::from_hours(24);
/// The range of the second day, in which there are the admin's sign-in and rows of nobody in particular.
const SECOND: &str = "range 2, 2026-01-02T00:00:00.000Z to 2026-01-03T00:00:00.000Z: ";

/// A file that is gone with the test.
struct Copy(PathBuf);

impl Copy {
    fn new(world: &World, name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("edgewarden-audit-{}-{name}", std::process::id()));
        let _ = fs::remove_file(&path);
        world.host.database.save(&path).unwrap();
        Self(path)
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// What the command says of a file: its exit code and its words.
fn run(path: &str, more: &[&str], key: Option<&str>, now: Timestamp) -> (u8, String) {
    let words = [&["audit", "verify", path], more].concat().into_iter().map(ToOwned::to_owned).collect();
    let lookup = |name: &str| key.filter(|_| name == "TOKEN_MAC_KEY").map(ToOwned::to_owned);
    let (mut output, mut errors) = (Vec::new(), Vec::new());
    let code = commands::run(
        words,
        Commands { lookup: &lookup, now, input: &mut &b""[..], output: &mut output, errors: &mut errors },
    );
    (code, String::from_utf8([output, errors].concat()).unwrap())
}

/// What it says of a world's database as it is now.
pub fn verified(world: &World, name: &str, more: &[&str], key: &str) -> (u8, String) {
    let copy = Copy::new(world, name);
    run(copy.0.to_str().unwrap(), more, Some(key), world.host.clock.now())
}

#[track_caller]
pub fn assert_good(world: &World, name: &str) {
    let (code, told) = verified(world, name, &[], SECRET);
    assert!(code == 0 && told.contains("faults: 0"), "{told}");
}

pub async fn seal(world: &World) {
    world.isolate.app.seal_audit().await.unwrap();
}

/// Three days, each sealed, and an hour of the fourth: users on the first, rows of the same time on the second.
pub async fn sealed_days() -> World {
    let world = World::new();
    world.register("ada", None).await;
    world.isolate.sign_in("ada").await;
    for _ in 0..2 {
        world.host.clock.advance(DAY);
        world.isolate.sign_in("ada").await;
        let sql = "INSERT INTO audit_events (id, at, event, severity, ip, request_id)
                   WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 5)
                   SELECT (SELECT COUNT(*) FROM audit_events) || '-' || n, (SELECT MAX(at) FROM audit_events) + n / 3,
                     'login_failure', 'warning', '192.0.2.' || n, 'x' FROM n";
        world.host.database.look(sql, &[]).unwrap();
    }
    world.host.clock.advance(DAY + Duration::from_hours(1));
    world.isolate.sign_in("ada").await;
    seal(&world).await;
    assert_eq!(world.count("SELECT COUNT(*) FROM audit_seals"), 3);
    world
}

#[tokio::test]
async fn a_log_that_nobody_touched_is_good() {
    let world = sealed_days().await;
    let (code, told) = verified(&world, "good", &[], SECRET);
    assert_eq!(code, 0, "{told}");
    assert!(told.contains("ranges: 3, rows in them: 14, from 1970-01-01T00:00:00.000Z to 2026-01-04"), "{told}");
    assert!(told.contains("not sealed yet: 1, since 2026-01-04T01:00:00.000Z; faults: 0"), "{told}");
}

#[tokio::test]
async fn whoever_edits_what_is_sealed_has_its_range_named() {
    // One row of the second day, edited in each of its columns, deleted, added, moved; and the seals themselves.
    let edits = [
        ("UPDATE audit_events SET event = 'login_success' WHERE id LIKE '%-1'", "rows differ"),
        ("UPDATE audit_events SET severity = 'info' WHERE id LIKE '%-1'", "rows differ"),
        ("UPDATE audit_events SET subject = 'somebody' WHERE id LIKE '%-1'", "rows differ"),
        ("UPDATE audit_events SET actor = 'somebody' WHERE id LIKE '%-1'", "rows differ"),
        ("UPDATE audit_events SET session_id = '' WHERE id LIKE '%-1'", "rows differ"),
        ("UPDATE audit_events SET request_id = 'y' WHERE id LIKE '%-1'", "rows differ"),
        ("UPDATE audit_events SET detail = 'more' WHERE id LIKE '%-1'", "rows differ"),
        ("UPDATE audit_events SET id = 'other' WHERE id LIKE '%-1'", "rows differ"),
        ("UPDATE audit_events SET at = at + 1 WHERE id LIKE '%-1'", "rows differ"),
        ("UPDATE audit_events SET ip = '192.0.2.99' WHERE id LIKE '%-1'", "ip or user_agent"),
        ("UPDATE audit_events SET user_agent = 'x' WHERE id LIKE '%-1'", "ip or user_agent"),
        ("UPDATE audit_events SET ip = NULL WHERE id LIKE '%-1'", "were removed"),
        ("UPDATE audit_events SET ip = NULL, origin_salt = NULL WHERE id LIKE '%-1'", "were removed"),
        (
            "UPDATE audit_events SET ip = NULL, origin_salt = NULL, origin_hash = NULL WHERE id LIKE '%-1'",
            "rows differ",
        ),
        ("UPDATE audit_events SET origin_hash = 'x' WHERE id LIKE '%-1'", "rows differ"),
        ("DELETE FROM audit_events WHERE id LIKE '%-1'", "it holds 5 rows, and 6 were sealed"),
        (
            "INSERT INTO audit_events (id, at, event, severity, request_id) SELECT 'new', at, 'logout', 'info', 'x'
          FROM audit_events WHERE id LIKE '%-1'",
            "it holds 7 rows, and 6 were sealed",
        ),
        ("DELETE FROM audit_seals WHERE number = 2", "its seal is missing"),
        ("UPDATE audit_seals SET rows = 5 WHERE number = 2", "not genuine"),
        ("UPDATE audit_seals SET mac = (SELECT mac FROM audit_seals WHERE number = 1) WHERE number = 2", "not genuine"),
        ("UPDATE audit_seals SET head = '' WHERE number = 2", "not genuine"),
        ("UPDATE audit_seals SET key_id = 'k9' WHERE number = 2", "is under \"k9\""),
        ("UPDATE audit_seals SET forgotten_at = 1 WHERE number = 2", "must not be yet"),
    ];
    for (edit, wrong) in edits {
        let world = sealed_days().await;
        // The row of the second day only; the third has one of that name, too.
        let edit =
            edit.replace("id LIKE '%-1'", "id = (SELECT id FROM audit_events WHERE id LIKE '%-1' ORDER BY at LIMIT 1)");
        world.host.database.script(std::slice::from_ref(&edit)).unwrap();
        let (code, told) = verified(&world, "edited", &[], SECRET);
        assert_eq!(code, 1, "{edit}: {told}");
        assert!(told.lines().any(|line| line.starts_with(SECOND) && line.contains(wrong)), "{edit}: {told}");
        assert!(!told.contains("range 1,"), "the first is as it was: {told}");
        if !edit.contains("audit_seals") {
            assert!(!told.contains("range 3,"), "and so is the third: {told}");
        }
    }
}

#[tokio::test]
async fn what_is_moved_from_day_to_day_or_put_before_the_first_shows_too() {
    let world = sealed_days().await;
    for sql in [
        "UPDATE audit_events SET at = at - 86400000 WHERE at BETWEEN 1767398400000 AND 1767398400000 + 86399999 AND id LIKE '%-1'",
        "INSERT INTO audit_events (id, at, event, severity, request_id) VALUES ('old', -5, 'logout', 'info', 'x')",
    ] {
        world.host.database.look(sql, &[]).unwrap();
    }
    let (code, told) = verified(&world, "moved", &[], SECRET);
    assert_eq!((code, told.matches("were sealed").count()), (1, 3), "{told}");
}

#[tokio::test]
async fn seals_that_were_cut_off_or_made_without_the_secret_show() {
    // The first, the first two; forgotten too early; and one that somebody added.
    for (cut, says) in [
        ("DELETE FROM audit_seals WHERE number = 1", "range 1, 1970-01-01T00:00:00.000Z to 2026-01-02"),
        ("DELETE FROM audit_seals WHERE number <= 2", "ranges 1 to 2, 1970-01-01T00:00:00.000Z to 2026-01-03"),
        ("UPDATE audit_seals SET forgotten_at = 1 WHERE number = 1", "must not be yet"),
        (
            "INSERT INTO audit_seals VALUES (9223372036854775807, 0, 1, 9, '', '', '', 'k1', '', 0, NULL)",
            "ranges 4 to 9223372036854775806",
        ),
    ] {
        let world = sealed_days().await;
        world.host.database.look(cut, &[]).unwrap();
        let (code, told) = verified(&world, "cut", &[], SECRET);
        assert!(code == 1 && told.contains(says), "{cut}: {told}");
    }
    // Without the newest the rest is good; but what it covered should have been sealed, and its head is known elsewhere.
    let world = sealed_days().await;
    let heads = world.host.database.look("SELECT head FROM audit_seals ORDER BY number", &[]).unwrap().0;
    let heads: Vec<_> = heads.iter().map(|row| row["head"].as_str().unwrap()).collect();
    for head in &heads {
        assert_eq!(verified(&world, "head", &["--head", head], SECRET).0, 0);
    }
    world.host.database.look("DELETE FROM audit_seals WHERE number = 3", &[]).unwrap();
    assert_eq!(verified(&world, "newest", &["--head", heads[1]], SECRET).0, 0);
    let (code, told) = verified(&world, "newest", &["--head", heads[2]], SECRET);
    assert!(code == 1 && told.contains("no range has the head"), "{told}");
    world.host.clock.advance(Duration::from_hours(3));
    world.isolate.sign_in("ada").await;
    let (code, told) = verified(&world, "overdue", &[], SECRET);
    assert!(code == 1 && told.contains("from 2026-01-03T00:00:00.000Z on are not sealed, and should be"), "{told}");
    // Sealed anew, with a row less, by us: only who kept the head knows.
    world.host.database.look("DELETE FROM audit_events WHERE id LIKE '%-1' AND at >= 1767398400000", &[]).unwrap();
    seal(&world).await;
    assert_good(&world, "rewritten");
    assert_eq!(verified(&world, "rewritten", &["--head", heads[2]], SECRET).0, 1);
    assert_eq!(verified(&world, "another's", &[], OTHER_SECRET).0, 1);
}

#[tokio::test]
async fn the_sql_of_an_export_is_as_good_and_reaches_no_other_file() {
    let world = sealed_days().await;
    let mut sql = Vec::new();
    let tables = "SELECT name, sql, (SELECT group_concat('quote(\"' || name || '\")', ' || '','' || ') FROM pragma_table_info(m.name))
                    AS columns FROM sqlite_schema m WHERE type = 'table' AND name IN ('users', 'audit_events', 'audit_seals')";
    for table in world.host.database.look(tables, &[]).unwrap().0 {
        let text = |column: &str| table[column].as_str().unwrap().to_owned();
        sql.push(text("sql"));
        let rows = format!("SELECT {} AS row FROM {}", text("columns"), text("name"));
        for row in &world.host.database.script(&[rows]).unwrap()[0].0 {
            sql.push(format!("INSERT INTO {} VALUES ({})", text("name"), row["row"].as_str().unwrap()));
        }
    }
    let path = std::env::temp_dir().join(format!("edgewarden-audit-{}.sql", std::process::id()));
    let other = path.with_extension("other");
    let now = world.host.clock.now();
    let verify = |sql: &[String]| {
        fs::write(&path, sql.join(";\n")).unwrap();
        run(path.to_str().unwrap(), &[], Some(SECRET), now)
    };
    let (code, told) = verify(&sql);
    assert_eq!(code, 0, "{told}");
    sql.push("UPDATE audit_events SET event = 'logout' WHERE id LIKE '%-1'".to_owned());
    assert_eq!(verify(&sql).0, 1);
    sql.push(format!("ATTACH '{}' AS other", other.display()));
    assert_eq!((verify(&sql).0, other.exists()), (2, false));
    for bad in ["", "no SQL", "CREATE TABLE users (id)"] {
        assert_eq!(verify(&[bad.to_owned()]).0, 2, "{bad}");
    }
    fs::remove_file(&path).unwrap();
    assert_eq!(run(path.to_str().unwrap(), &[], Some(SECRET), now).0, 2, "no such file");
}

#[tokio::test]
async fn without_a_secret_or_an_order_nothing_is_done() {
    let world = sealed_days().await;
    let copy = Copy::new(&world, "none");
    let (path, now) = (copy.0.to_str().unwrap(), world.host.clock.now());
    for key in [None, Some("k1:short")] {
        let (code, told) = run(path, &[], key, now);
        assert!(code == 2 && told.contains("TOKEN_MAC_KEY"), "{told}");
    }
    assert_eq!(run(path, &["--head", "x"], Some(SECRET), now).0, 2);
    let (mut output, mut errors) = (Vec::new(), Vec::new());
    let world = Commands { lookup: &|_| None, now, input: &mut &b""[..], output: &mut output, errors: &mut errors };
    assert_eq!(commands::run(Vec::new(), world), 2);
    let told = String::from_utf8(errors).unwrap();
    assert!(told.contains("edgewarden import") && told.contains("edgewarden audit verify"), "{told}");
}

/// An erased person's rows say no more where they were, and are as they were sealed; nobody else's may say less.
#[tokio::test]
async fn who_is_erased_breaks_no_seal_and_hides_nothing_else() {
    let world = sealed_days().await;
    let admin = world.user("admin", Some("admin")).await;
    let ada = world.host.database.look("SELECT id FROM users WHERE username = 'ada'", &[]).unwrap().0;
    let path = format!("/api/v1/admin/users/{}?erase=true", ada[0]["id"].as_str().unwrap());
    world.isolate.send_as(&admin.access, "DELETE", &path, &Value::Null).await.expect(204);
    let gone = "SELECT COUNT(*) FROM audit_events WHERE ip IS NULL AND user_agent IS NULL AND origin_salt IS NULL
                AND origin_hash IS NOT NULL";
    assert_eq!(world.count(gone), 4, "of the first three days");
    assert_good(&world, "erased");
    world.host.clock.advance(2 * DAY);
    world.isolate.sign_in("admin").await;
    seal(&world).await;
    assert_good(&world, "erased and sealed");
    // Without the row that tells of it, or with an account that is there, the same rows are told.
    let hides = [
        "DELETE FROM audit_events WHERE event = 'admin_action'",
        "UPDATE users SET username = 'ada' WHERE username LIKE 'erased:%'",
        "UPDATE users SET erased_at = 1 WHERE username LIKE 'erased:%'",
        "UPDATE audit_events SET ip = NULL, user_agent = NULL, origin_salt = NULL
         WHERE subject = (SELECT id FROM users WHERE username = 'admin')",
    ];
    let before = Copy::new(&world, "before");
    for sql in hides {
        let copy = Copy(before.0.with_extension("hidden"));
        fs::copy(&before.0, &copy.0).unwrap();
        rusqlite::Connection::open(&copy.0).unwrap().execute_batch(sql).unwrap();
        let (code, told) = run(copy.0.to_str().unwrap(), &[], Some(SECRET), world.host.clock.now());
        assert!(code == 1 && told.contains("nobody was erased whose they were"), "{sql}: {told}");
    }
}
