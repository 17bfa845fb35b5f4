//! `DELETE admin/users/{id}`, with and without `?erase=true`.

use std::time::Duration;

use edgewarden::native::switchboard::Plan;
use serde_json::{Value, json};

use crate::{
    attempts::fail,
    harness::{Answer, Isolate, PASSWORD, SignedIn, World},
    plans::assert_that_nothing_else_is_scanned,
};

/// Where the one who is to be forgotten was, and by what.
const IP: &str = "203.0.113.77";
const AGENT: &str = "Bobs-Browser/7.7";

async fn remove(isolate: &Isolate, by: &SignedIn, id: &str, query: &str) -> Answer {
    isolate.send_as(&by.access, "DELETE", &format!("/api/v1/admin/users/{id}{query}"), &Value::Null).await
}

async fn clean_up(world: &World) {
    for done in world.isolate.app.clean_up().await {
        done.unwrap();
    }
}

/// Somebody who left traces everywhere: sessions by token and by cookie, mails sent and waiting, failures and a lock.
async fn bob(world: &World) -> SignedIn {
    let isolate = &world.isolate;
    let body =
        json!({ "username": "bob", "email": "Bob.B@example.net", "password": PASSWORD, "full_name": "Bob Bobson" });
    isolate.post_from(IP, "/api/v1/users/register", &body).await.expect(201);
    isolate.app.deliver_mails().await.unwrap();
    let credentials = json!({ "username": "bob", "password": PASSWORD });
    let request = http::Request::post("/api/v1/auth/login")
        .header("content-type", "application/json")
        .header("origin", crate::harness::URL)
        .header("user-agent", AGENT)
        .header("cf-connecting-ip", IP);
    isolate.send(request.body(credentials.to_string().into()).unwrap()).await.expect(200);
    let bob = SignedIn::from(&isolate.try_sign_in(IP, "bob", PASSWORD).await.expect(200));
    isolate.try_sign_in(IP, "bob", "Wrong-Horse-7").await.expect(401);
    isolate.post_from(IP, "/api/v1/auth/password-reset", &json!({ "email": "bob.b@example.net" })).await.expect(202);
    fail(world, "bob", 50..54).await;
    assert_eq!(world.count("SELECT COUNT(*) FROM sign_in_locks"), 1);
    bob
}

/// Everything that stands in any column of any table, as text, with where it stands.
fn everything(world: &World) -> Vec<String> {
    let tables = "SELECT m.name, group_concat('COALESCE(\"' || c.name || '\", '''')', ' || '' | '' || ') AS columns
                  FROM sqlite_schema m JOIN pragma_table_info(m.name) c
                  WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%' GROUP BY m.name";
    let tables = world.host.database.look(tables, &[]).unwrap().0;
    assert!(tables.len() >= 15, "{tables:?}");
    let mut found = Vec::new();
    for table in tables {
        let (name, columns) = (table["name"].as_str().unwrap(), table["columns"].as_str().unwrap());
        let sql = format!("SELECT {columns} AS text FROM \"{name}\"");
        for row in &world.host.database.script(&[sql]).unwrap()[0].0 {
            found.push(format!("{name}: {}", row["text"].as_str().unwrap()));
        }
    }
    found
}

/// What still tells of Bob.
fn traces(world: &World) -> Vec<String> {
    let tell = ["bobson", "@example.net", IP, "bobs-browser"];
    // Three letters stand in many a random text, but there not by themselves.
    let is_bob = |word: &str| word == "bob";
    let of_bob = |line: &String| {
        let line = line.to_lowercase();
        tell.iter().any(|one| line.contains(one)) || line.split(|c: char| !c.is_ascii_alphanumeric()).any(is_bob)
    };
    everything(world).into_iter().filter(of_bob).collect()
}

#[tokio::test]
async fn an_account_is_closed_by_who_may() {
    let world = World::new();
    let (admin, bob) = (world.user("admin", Some("admin")).await, world.user("bob", None).await);
    let browser = world.isolate.log_in("bob").await;
    let elsewhere = world.warm_isolate(&[&bob]).await;
    elsewhere.browse_through(&browser, "GET", "/demo/private/x", None).await.expect(200);
    let answer = remove(&world.isolate, &admin, &bob.id, "").await.expect(204);
    assert!(answer.body.is_null());
    world.isolate.proxy_get("/demo/private/x", Some(&bob.access)).await.expect(401);
    world.host.clock.advance(Duration::from_secs(10));
    for isolate in [&world.isolate, &elsewhere] {
        isolate.proxy_get("/demo/private/x", Some(&bob.access)).await.expect(401);
        isolate.browse_through(&browser, "GET", "/demo/private/x", None).await.expect(401);
        isolate.refresh(&bob.refresh).await.expect(401);
    }
    world.isolate.try_sign_in("192.0.2.1", "bob", PASSWORD).await.expect(401);
    // Once more is no more; what is said plainly not to be erased is not.
    for query in ["", "?erase=false"] {
        remove(&world.isolate, &admin, &bob.id, query).await.expect(204);
    }
    let row = "SELECT subject || ' ' || actor || ' ' || event AS text FROM audit_events WHERE actor IS NOT NULL";
    let rows = world.host.database.look(row, &[]).unwrap().0;
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0]["text"], format!("{} {} account_deactivated", bob.id, admin.id));
    let line = format!("\"actor\":\"{}\"", admin.id);
    assert_eq!(world.host.log.lines().iter().filter(|logged| logged.contains(&line)).count(), 1);
    assert_eq!(world.count("SELECT COUNT(*) FROM users WHERE username = 'bob' AND token_version = 2"), 1);
    let again = json!({ "username": "bob", "email": "other@example.org", "password": PASSWORD });
    world.isolate.post("/api/v1/users/register", &again).await.expect(409);
}

#[tokio::test]
async fn of_whom_is_erased_nothing_is_left_but_an_id() {
    let world = World::new();
    let admin = world.user("admin", Some("admin")).await;
    let bob = bob(&world).await;
    let before = traces(&world);
    for table in ["users", "sessions", "audit_events", "mail_outbox", "sign_in_attempts"] {
        assert!(before.iter().any(|line| line.starts_with(&format!("{table}:"))), "{table}: {before:#?}");
    }
    let (rows, elsewhere) = (world.count("SELECT COUNT(*) FROM audit_events"), world.another_isolate());
    elsewhere.proxy_get("/demo/private/x", Some(&bob.access)).await.expect(200);
    remove(&world.isolate, &admin, &bob.id, "?erase=true").await.expect(204);
    assert_eq!(traces(&world), Vec::<String>::new(), "at once");
    // The log keeps its rows, and the row that tells of it where the admin was.
    assert_eq!(world.count("SELECT COUNT(*) FROM audit_events"), rows + 2);
    let of_bob =
        "SELECT COUNT(*) AS count FROM audit_events WHERE subject = ?1 AND event = ?2 AND (actor = ?3) IS NOT 0";
    for (event, count) in [("register", 1), ("login_success", 2), ("account_deactivated", 1), ("admin_action", 1)] {
        let params = [bob.id.as_str().into(), event.into(), admin.id.as_str().into()];
        assert_eq!(world.host.database.look(of_bob, &params).unwrap().0[0]["count"], count, "{event}");
    }
    // What he held is worth nothing anywhere.
    for (isolate, wait) in [(&world.isolate, 0), (&elsewhere, 10)] {
        world.host.clock.advance(Duration::from_secs(wait));
        isolate.proxy_get("/demo/private/x", Some(&bob.access)).await.expect(401);
        isolate.get("/api/v1/users/me", Some(&bob.access)).await.expect(401);
        isolate.refresh(&bob.refresh).await.expect(401);
    }
    for (ip, name) in [("192.0.2.8", "bob".to_owned()), ("192.0.2.9", format!("erased:{}", bob.id))] {
        world.isolate.try_sign_in(ip, &name, PASSWORD).await.expect(401);
    }
    // Name and address are free.
    let body = json!({ "username": "bob", "email": "bob.b@example.net", "password": PASSWORD });
    let answer = world.isolate.post("/api/v1/users/register", &body).await.expect(201);
    assert_ne!(answer.text("/id"), bob.id);
    world.isolate.sign_in("bob").await;
}

#[tokio::test]
async fn to_erase_twice_is_to_erase_once_and_who_is_closed_can_be_erased() {
    for closed_by_hand in [false, true] {
        let world = World::new();
        let admin = world.user("admin", Some("admin")).await;
        let bob = bob(&world).await;
        if closed_by_hand {
            world.host.database.look("UPDATE users SET is_active = 0 WHERE username = 'bob'", &[]).unwrap();
        } else {
            remove(&world.isolate, &admin, &bob.id, "").await.expect(204);
        }
        remove(&world.isolate, &admin, &bob.id, "?erase=true").await.expect(204);
        assert_eq!(traces(&world), Vec::<String>::new());
        let closed = i64::from(!closed_by_hand);
        assert_eq!((world.audited("account_deactivated"), world.audited("admin_action")), (closed, 1));
        world.isolate.proxy_get("/demo/private/x", Some(&bob.access)).await.expect(401);
        let before = everything(&world);
        for query in ["?erase=true", "", "?erase=true"] {
            world.host.clock.advance(Duration::from_secs(1));
            remove(&world.isolate, &admin, &bob.id, query).await.expect(204);
        }
        assert_eq!(everything(&world), before, "nothing more is done");
        world.host.clock.advance(Duration::from_hours(1));
        clean_up(&world).await;
        let admin = SignedIn::from(&world.isolate.refresh(&admin.refresh).await.expect(200));
        assert_eq!(world.count("SELECT COUNT(*) FROM erasures"), 0, "it is over");
        remove(&world.isolate, &admin, &bob.id, "?erase=true").await.expect(204);
        assert_eq!(world.count("SELECT COUNT(*) FROM erasures"), 0);
    }
}

#[tokio::test]
async fn who_may_not_changes_nothing() {
    let world = World::new();
    let bob = world.user("bob", None).await;
    let (moderator, admin) = (world.user("mod", Some("moderator")).await, world.user("admin", Some("admin")).await);
    let (root, other) = (world.user("root", Some("super_admin")).await, world.user("toor", Some("super_admin")).await);
    // One who holds what an admin does not, and one who is a super_admin by another name.
    for sql in [
        "INSERT INTO permissions (name) VALUES ('reports:export')",
        "INSERT INTO roles (name) VALUES ('analyst'), ('owner')",
        "INSERT INTO role_permissions VALUES ('analyst', 'reports:export')",
        "INSERT INTO role_inherits VALUES ('owner', 'super_admin')",
    ] {
        world.host.database.look(sql, &[]).unwrap();
    }
    let (analyst, owner) = (world.user("analyst", Some("analyst")).await, world.user("owner", Some("owner")).await);
    let before = world.count("SELECT SUM(token_version) + 100 * SUM(is_active) FROM users");
    for query in ["", "?erase=true"] {
        let refused = [
            (remove(&world.isolate, &bob, &admin.id, query).await, 403, "users:delete"),
            (remove(&world.isolate, &moderator, &bob.id, query).await, 403, "users:delete"),
            (remove(&world.isolate, &moderator, "x", query).await, 403, "users:delete"),
            (remove(&world.isolate, &admin, &analyst.id, query).await, 403, "reports:export"),
            (remove(&world.isolate, &admin, &root.id, query).await, 403, "super_admin"),
            (remove(&world.isolate, &admin, &owner.id, query).await, 403, "super_admin"),
            (remove(&world.isolate, &root, &other.id, query).await, 403, "super_admin"),
            (remove(&world.isolate, &root, &root.id, query).await, 400, "users/me"),
            (remove(&world.isolate, &admin, &admin.id, query).await, 400, "users/me"),
            (remove(&world.isolate, &admin, "0190163d-8694-739b-aea5-966c26f8ad91", query).await, 404, "nothing"),
            (remove(&world.isolate, &admin, &bob.id.to_uppercase(), query).await, 404, "nothing"),
            (remove(&world.isolate, &admin, "x", query).await, 404, "nothing"),
        ];
        for (answer, status, says) in refused {
            assert!(answer.text("/detail").contains(says), "{answer:?}");
            answer.expect(status);
        }
    }
    for query in ["?erase", "?erase=1", "?erase=true&erase=true", "?Erase=true"] {
        remove(&world.isolate, &admin, &bob.id, query).await.expect(422);
    }
    let after = world.count("SELECT SUM(token_version) + 100 * SUM(is_active) FROM users");
    assert_eq!((after, world.count("SELECT COUNT(*) FROM audit_events WHERE actor IS NOT NULL")), (before, 0));
    // Whoever has every permission there is may.
    remove(&world.isolate, &root, &analyst.id, "").await.expect(204);
    // A token that says less counts for less; a cookie takes our own page.
    let fields = [("username", "admin"), ("password", PASSWORD), ("scope", "users:delete")];
    let narrow = SignedIn::from(&world.isolate.form("192.0.2.66", &fields).await.expect(200));
    remove(&world.isolate, &narrow, &bob.id, "").await.expect(403);
    let browser = world.isolate.log_in("admin").await;
    let path = format!("/api/v1/admin/users/{}", bob.id);
    let elsewhere = Some("https://evil.example");
    world.isolate.browse_from(elsewhere, &browser, "DELETE", &path, &Value::Null).await.expect(403);
    world.isolate.browse(&browser, "DELETE", &path, &Value::Null).await.expect(204);
    // Another admin is within an admin's own.
    let peer = world.user("peer", Some("admin")).await;
    remove(&world.isolate, &admin, &peer.id, "?erase=true").await.expect(204);
}

#[tokio::test]
async fn what_changes_under_way_is_judged_again() {
    let world = World::new();
    let (admin, bob) = (world.user("admin", Some("admin")).await, world.user("bob", None).await);
    remove(&world.isolate, &admin, "x", "").await.expect(404);
    // Whoever asks, the account, keys and roles; then the batch.
    world
        .host
        .database
        .meddle(3, "INSERT INTO user_roles (user_id, role, granted_at) SELECT id, 'super_admin', 0 FROM users WHERE username = 'bob'");
    remove(&world.isolate, &admin, &bob.id, "?erase=true").await.expect(403);
    assert_eq!(world.count("SELECT COUNT(*) FROM users WHERE username = 'bob' AND is_active = 1"), 1);
    world.host.database.look("DELETE FROM user_roles WHERE role = 'super_admin'", &[]).unwrap();
    world.host.database.meddle(3, "UPDATE sessions SET ended_at = 1");
    remove(&world.isolate, &admin, &bob.id, "?erase=true").await.expect(401);
    assert_eq!(world.count("SELECT COUNT(*) FROM users WHERE username = 'bob' AND is_active = 1"), 1);
    assert_eq!(world.count("SELECT COUNT(*) FROM audit_events WHERE actor IS NOT NULL"), 0);
    // Who is no admin any more by then, with their session as it was.
    let admin = world.isolate.sign_in("admin").await;
    remove(&world.isolate, &admin, "x", "").await.expect(404);
    world.host.database.meddle(3, "UPDATE users SET token_version = token_version + 1 WHERE username = 'admin'");
    remove(&world.isolate, &admin, &bob.id, "?erase=true").await.expect(401);
    assert_eq!(world.count("SELECT COUNT(*) FROM users WHERE username = 'bob' AND is_active = 1"), 1);
}

#[tokio::test]
async fn a_long_history_is_removed_bit_by_bit() {
    let world = World::new();
    let admin = world.user("admin", Some("admin")).await;
    let bob = bob(&world).await;
    let many = "INSERT INTO audit_events (id, at, event, severity, subject, ip, user_agent, request_id)
                WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 100000)
                SELECT 'many-' || n, 1735689600000 + n, 'token_refresh', 'info', ?1, ?2, ?3, 'x' FROM n";
    let params = [bob.id.as_str().into(), IP.into(), AGENT.into()];
    world.host.database.look(many, &params).unwrap();
    let admins = "INSERT INTO audit_events (id, at, event, severity, actor, ip, user_agent, request_id)
                  WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 700)
                  SELECT 'by-' || n, 1735689600000, 'admin_action', 'info', ?1, ?2, ?3, 'x' FROM n";
    world.host.database.look(admins, &params).unwrap();
    let sessions = "INSERT INTO sessions (id, user_id, ip, user_agent, amr, created_at, expires_at)
                    WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 700)
                    SELECT printf('00000000-0000-7000-8000-%012d', n), ?1, ?2, ?3, 'pwd', 0, 4102444800000 FROM n";
    world.host.database.look(sessions, &params).unwrap();
    let left = || world.count("SELECT COUNT(*) FROM audit_events WHERE user_agent = 'Bobs-Browser/7.7'");
    let before = left();
    remove(&world.isolate, &admin, &bob.id, "?erase=true").await.expect(204);
    assert_eq!(left(), before - 1000, "so much at once: 500 about him and 500 by him");
    assert_eq!(world.count("SELECT COUNT(*) FROM users WHERE username = 'bob'"), 0);
    assert_eq!(world.count("SELECT COUNT(*) FROM sessions WHERE ended_at IS NULL"), 1, "all are over at once");
    let once = left();
    // Interrupted after one batch, and gone on with.
    world.host.switchboard.set(Plan::DownFrom(2));
    assert!(world.isolate.app.finish_erasures().await.is_err());
    assert_eq!(left(), once - 700);
    world.host.switchboard.set(Plan::Healthy);
    let told = || world.host.log.lines().iter().filter(|line| line.contains("traces of erased accounts")).count();
    let mut runs = 0;
    while left() > 0 {
        world.isolate.app.finish_erasures().await.unwrap();
        runs += 1;
    }
    assert_eq!((runs, told()), (2, 1));
    assert_eq!(traces(&world), Vec::<String>::new());
    // A request that was under way then writes a little later; an hour on it is gone too.
    let late = "INSERT INTO audit_events (id, at, event, severity, subject, ip, request_id)
                VALUES ('late', 1767225600000 - 1, 'login_failure', 'warning', ?1, ?2, 'x')";
    world.host.database.look(late, &params[..2]).unwrap();
    assert_eq!((traces(&world).len(), world.count("SELECT COUNT(*) FROM erasures")), (1, 1));
    world.host.clock.advance(Duration::from_hours(1));
    clean_up(&world).await;
    assert_eq!((traces(&world).len(), world.count("SELECT COUNT(*) FROM erasures")), (0, 0));
    // The admin's own rows are theirs.
    assert!(world.count("SELECT COUNT(*) FROM audit_events WHERE ip IS NOT NULL") > 0);
}

#[tokio::test]
async fn no_table_is_gone_through() {
    let world = World::new();
    let (admin, bob) = (world.user("admin", Some("admin")).await, bob(&world).await);
    // Roles and keys, of which there are few, are read whole, and are another matter.
    world.isolate.app.read_bundle().await.unwrap();
    let few: Vec<_> = world.host.database.plans().unwrap().into_iter().map(|(sql, _)| sql).collect();
    for query in ["", "?erase=true"] {
        remove(&world.isolate, &admin, &bob.id, query).await.expect(204);
    }
    world.isolate.app.finish_erasures().await.unwrap();
    assert_that_nothing_else_is_scanned(&world, 20, &few);
}
