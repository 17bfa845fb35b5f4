//! How the database looks for what a sign-in asks: by an index, however many there are of whatever.

use edgewarden::native::switchboard::Plan;
use serde_json::json;

use crate::{
    api_keys::{make, use_key},
    attempts::{attempt, fail},
    harness::{PASSWORD, World},
    live_policy::{POLICY, only, put},
    mail::last_token,
    mfa::{enrolled, half, verify},
};

/// What may be gone through from one end to the other: what a statement brings with it.
fn may_be_scanned(line: &str) -> bool {
    let brought = ["SCAN CONSTANT ROW", "SCAN one", "SCAN (subquery-"];
    // The one kind of virtual table that there is are lists in parameters and columns.
    brought.iter().any(|may| line.starts_with(may)) || line.contains(" VIRTUAL TABLE ")
}

/// Asserts that nothing asked so far goes through a table.
pub fn assert_that_nothing_is_scanned(world: &World, at_least: usize) {
    assert_that_nothing_else_is_scanned(world, at_least, &[]);
}

/// The same, but for some statements.
pub fn assert_that_nothing_else_is_scanned(world: &World, at_least: usize, but: &[&'static str]) {
    let mut plans = world.host.database.plans().unwrap();
    plans.retain(|(sql, _)| !but.contains(sql));
    assert!(plans.len() >= at_least, "only {} statements", plans.len());
    for (sql, lines) in plans {
        let scans = |line: &&String| {
            let scan = line.contains("SCAN") && !may_be_scanned(line);
            scan || line.contains("AUTOMATIC")
        };
        assert_eq!(lines.iter().find(scans), None, "{sql}\n{lines:#?}");
    }
}

#[tokio::test]
async fn a_sign_in_goes_through_no_table() {
    let world = World::with(&[("MAX_LOGIN_FAILURES", "2")]);
    world.register("ada", None).await;
    // What a fresh isolate reads, of which there is little, is another matter.
    attempt(&world, 0, "ada", PASSWORD).await.expect(200);
    drop(world.host.database.plans());
    attempt(&world, 1, "ada", PASSWORD).await.expect(200);
    assert_that_nothing_is_scanned(&world, 10);
    for username in ["ada", "nobody"] {
        fail(&world, username, 2..4).await;
        attempt(&world, 5, username, PASSWORD).await.expect(429);
        assert_that_nothing_is_scanned(&world, 10);
    }
    world.host.switchboard.set(Plan::Healthy);
    world.isolate.app.forget_attempts().await.unwrap();
    assert_that_nothing_is_scanned(&world, 3);
}

#[tokio::test]
async fn nor_does_a_mail_or_what_is_done_by_it() {
    let world = World::new();
    world.register("ada", None).await;
    let verifies = last_token(&world).await;
    drop(world.host.database.plans());
    let post = async |path: &str, body| world.isolate.post(&format!("/api/v1/auth/{path}"), &body).await;
    post("verify-email", json!({ "token": verifies })).await.expect(200);
    for name in ["ada", "nobody"] {
        for path in ["verify-email/resend", "password-reset"] {
            post(path, json!({ "email": format!("{name}@example.org") })).await.expect(202);
        }
    }
    let resets = last_token(&world).await;
    post("password-reset/confirm", json!({ "token": resets, "new_password": "Other-Horse-8" })).await.expect(200);
    world.host.mailer.refuse(true);
    world.isolate.app.do_chores().await;
    world.host.switchboard.set(Plan::Without("mailer"));
    world.register("bob", None).await;
    world.isolate.app.deliver_mails().await.unwrap();
    world.isolate.app.forget_mails().await.unwrap();
    world.isolate.app.health().await;
    assert_that_nothing_is_scanned(&world, 30);
}

#[tokio::test]
async fn nor_does_a_revocation_or_whoever_hears_of_it() {
    let world = World::new();
    let (ada, bob) = (world.user("ada", None).await, world.user("bob", None).await);
    world.isolate.get("/api/v1/users/me", Some(&ada.access)).await.expect(200);
    drop(world.host.database.plans());
    let renewed = world.isolate.refresh(&ada.refresh).await.expect(200);
    world.isolate.get("/api/v1/users/me", Some(renewed.text("/access_token"))).await.expect(200);
    world.isolate.logout(&ada.access).await.expect(200);
    world.isolate.post_as(&bob.access, "/api/v1/auth/logout-all", &serde_json::json!({})).await.expect(200);
    // Where the feed is silent the record is asked: for what is new, and all versions, which are three.
    world.host.switchboard.set(Plan::Without("feed"));
    world.isolate.app.ask_view().await;
    world.isolate.app.forget_revocations().await.unwrap();
    let plans = world.host.database.plans().unwrap();
    assert!(plans.len() >= 15, "only {} statements", plans.len());
    for (sql, lines) in plans {
        let scans: Vec<_> = lines.iter().filter(|line| line.contains("SCAN") || line.contains("AUTOMATIC")).collect();
        let few = scans.iter().all(|line| line.as_str() == "SCAN versions" || may_be_scanned(line));
        assert!(few, "{sql}\n{lines:#?}");
    }
}

#[tokio::test]
async fn nor_does_an_api_key() {
    let world = World::new();
    let ada = world.user("ada", None).await;
    world.isolate.get("/api/v1/users/me", Some(&ada.access)).await.expect(200);
    drop(world.host.database.plans());
    let key = make(&world.isolate, &ada, &json!({ "name": "k" })).await;
    use_key(&world.isolate, "/demo/private/x", &key.key).await.expect(200);
    world.isolate.get("/api/v1/api-keys", Some(&ada.access)).await.expect(200);
    let path = format!("/api/v1/api-keys/{}", key.id);
    world.isolate.send_as(&ada.access, "POST", &format!("{path}/rotate"), &json!({})).await.expect(200);
    world.isolate.send_as(&ada.access, "DELETE", &path, &serde_json::Value::Null).await.expect(204);
    world.isolate.app.forget_keys().await.unwrap();
    assert_that_nothing_is_scanned(&world, 20);
}

#[tokio::test]
async fn nor_does_a_second_factor() {
    let world = World::new();
    let (ada, factor) = enrolled(&world, "ada", None).await;
    let chief = world.user("chief", Some("admin")).await;
    // What a fresh isolate or an administrator reads of roles is another matter.
    world.isolate.get("/api/v1/mfa", Some(&ada.access)).await.expect(200);
    drop(world.host.database.plans());
    let token = half(&world, "ada").await;
    verify(&world.isolate, &token, &factor.wrong(&world)).await.expect(401);
    verify(&world.isolate, &token, &factor.next(&world)).await.expect(200);
    verify(&world.isolate, &half(&world, "ada").await, &factor.recovery[0]).await.expect(200);
    let body = json!({ "code": factor.next(&world) });
    world.isolate.post_as(&ada.access, "/api/v1/auth/mfa/step-up", &body).await.expect(200);
    let body = json!({ "password": PASSWORD, "code": factor.recovery[1] });
    world.isolate.post_as(&ada.access, "/api/v1/mfa/recovery-codes", &body).await.expect(200);
    let body = json!({ "password": PASSWORD, "code": factor.next(&world) });
    world.isolate.post_as(&ada.access, "/api/v1/mfa/disable", &body).await.expect(200);
    world.isolate.app.forget_factors().await.unwrap();
    world.isolate.app.reseal_factors().await.unwrap();
    assert_that_nothing_is_scanned(&world, 55);
    let path = format!("/api/v1/admin/users/{}/reset-mfa", ada.id);
    world.isolate.send_as(&chief.access, "POST", &path, &serde_json::Value::Null).await.expect(204);
    let plans = world.host.database.plans().unwrap();
    let resets = plans.iter().filter(|(sql, _)| sql.contains("totp_factors") || sql.contains("mfa_"));
    for (sql, lines) in resets {
        assert!(!lines.iter().any(|line| line.contains("SCAN totp") || line.contains("SCAN mfa")), "{sql}\n{lines:#?}");
    }
}

#[tokio::test]
async fn nor_does_a_search_among_a_hundred_thousand() {
    let world = World::new();
    let chief = world.user("chief", Some("admin")).await;
    let many = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
      INSERT INTO users (id, username, email, email_key, full_name, password_hash, is_active, created_at, updated_at)
      SELECT printf('00000000-0000-7000-8000-%012d', i), printf('u%06d', i), printf('m%06d@x.org', i),
        printf('m%06d@x.org', i), printf('Name %06d', i), '', i % 1000 > 0, 0, 0 FROM n";
    world.host.database.look(many, &[]).unwrap();
    let roles =
        "INSERT INTO user_roles (user_id, role, granted_at) SELECT id, 'user', 0 FROM users WHERE username > 'u'";
    world.host.database.look(roles, &[]).unwrap();
    let one = "/api/v1/admin/users/00000000-0000-7000-8000-000000050000";
    world.isolate.get(one, Some(&chief.access)).await.expect(200);
    drop(world.host.database.plans());
    for query in [
        "",
        "query=u",
        "query=m05",
        "query=name%200",
        "role=user",
        "active=false",
        "role=admin&active=true",
        "query=u&role=admin",
    ] {
        let mut cursor = String::new();
        for _ in 0..2 {
            let path = format!("/api/v1/admin/users?limit=20&{query}{cursor}");
            let page = world.isolate.get(&path, Some(&chief.access)).await.expect(200);
            let Some(next) = page.body.get("next_cursor") else { break };
            cursor = format!("&cursor={}", next.as_str().unwrap());
        }
    }
    world.isolate.get(one, Some(&chief.access)).await.expect(200);
    for (sql, lines) in world.host.database.plans().unwrap() {
        // What is gone through was found by an index, or is a list of a window's length.
        let window = ["SCAN places", "SCAN (subquery-", "SCAN CONSTANT ROW"];
        let scans = |line: &&String| {
            line.contains("SCAN") && !window.iter().any(|may| line.contains(may)) && !may_be_scanned(line)
        };
        assert_eq!(lines.iter().find(scans), None, "{sql}\n{lines:#?}");
        let sorts = lines.iter().any(|line| line.contains("TEMP B-TREE"));
        assert!(!sorts || !sql.contains("places"), "{sql}\n{lines:#?}");
    }
}

/// Rows of what there is little of, whatever there is of people: roles, what they give, and counts.
fn is_little(line: &str) -> bool {
    let little = ["roles", "r", "role_inherits", "role_permissions", "permissions", "versions", "token_keys"];
    let counts = ["user_totals", "role_totals", "daily_totals"];
    line.strip_prefix("SCAN ").is_some_and(|rest| {
        let table = rest.split(' ').next().unwrap_or_default();
        little.contains(&table) || counts.contains(&table)
    })
}

#[tokio::test]
async fn nor_does_making_an_account_or_counting_all_of_them() {
    let world = World::new();
    let chief = world.user("chief", Some("admin")).await;
    for sql in [
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
         INSERT INTO users (id, username, email, email_key, password_hash, mfa_enabled, created_at, updated_at)
         SELECT printf('00000000-0000-7000-8000-%012d', i), 'u' || i, i || '@x.org', i || '@x.org', '', i % 4 = 0, 0, 0
         FROM n",
        "INSERT INTO user_roles (user_id, role, granted_at, expires_at)
         SELECT id, 'user', 0, CASE WHEN mfa_enabled = 1 THEN 1 END FROM users WHERE username > 'u'",
        "INSERT INTO sessions (id, user_id, amr, created_at, expires_at, ended_at)
         SELECT id, id, 'totp', 0, 1767225600000 + rowid, CASE WHEN rowid % 2 = 0 THEN 1 END FROM users WHERE username > 'u'",
        "INSERT INTO refresh_tokens (session_id, salt, generation, rotated_at, expires_at)
         SELECT id, '', 1, 0, 9007199254740991 FROM sessions WHERE amr = 'totp'",
        "INSERT INTO sign_in_locks (account, slot, until, closed_by) SELECT 'x' || id, '', 1, '' FROM users",
        "ANALYZE",
    ] {
        world.host.database.look(sql, &[]).unwrap();
    }
    world.isolate.get("/api/v1/admin/dashboard", Some(&chief.access)).await.expect(200);
    drop(world.host.database.plans());
    let shown = world.isolate.get("/api/v1/admin/dashboard", Some(&chief.access)).await.expect(200);
    assert_eq!((&shown.body["total_users"], &shown.body["mfa_share"]), (&json!(20001), &json!(0.25)));
    assert_eq!((&shown.body["users_by_role"]["user"], &shown.body["live_sessions"]), (&json!(15001), &json!(10001)));
    let plans = world.host.database.plans().unwrap();
    let counting = plans.iter().find(|(sql, _)| sql.contains("live_sessions")).unwrap();
    let by_index = |line: &String| line.contains("USING COVERING INDEX sessions_that_stand (expires_at>?)");
    assert!(counting.1.iter().any(by_index), "{counting:#?}");
    let body = json!({ "username": "ada", "email": "ada@example.org", "invite": true, "roles": ["moderator"] });
    world.isolate.post_as(&chief.access, "/api/v1/admin/users", &body).await.expect(201);
    world.isolate.app.forget_days().await.unwrap();
    let made = world.host.database.plans().unwrap();
    assert!(plans.len() + made.len() >= 15, "only {} statements", plans.len() + made.len());
    for (sql, lines) in plans.into_iter().chain(made) {
        let scans = |line: &&String| {
            let scan = line.contains("SCAN") && !may_be_scanned(line) && !is_little(line);
            scan || line.contains("AUTOMATIC")
        };
        assert_eq!(lines.iter().find(scans), None, "{sql}\n{lines:#?}");
    }
}

#[tokio::test]
async fn nor_does_a_policy_that_is_put_or_looked_at_go_through_all_that_were() {
    let world = World::new();
    let root = world.user("root", Some("super_admin")).await;
    for sql in [
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
         INSERT INTO policies (kind, base, created_at, created_by, made_by)
         SELECT CASE WHEN i % 3 = 0 THEN 'live' ELSE 'candidate' END, '', 0, '', 'x' || i FROM n",
        "ANALYZE",
    ] {
        world.host.database.look(sql, &[]).unwrap();
    }
    drop(world.host.database.plans());
    put(&world, &root, &json!({ "policy": only("a", "/a") })).await.expect(200);
    for path in ["", "/versions", "/versions?cursor=40", "/versions/5001"] {
        world.isolate.get(&format!("{POLICY}{path}"), Some(&root.access)).await.expect(200);
    }
    let plans = world.host.database.plans().unwrap();
    let about: Vec<_> = plans.into_iter().filter(|(sql, _)| sql.contains("policies")).collect();
    assert!(about.len() >= 5, "only {} statements", about.len());
    for (sql, lines) in about {
        // A page is read from its beginning, by the key.
        let scans =
            |line: &&String| line.contains("SCAN policies") && !line.contains("USING") || line.contains("AUTOMATIC");
        assert_eq!(lines.iter().find(scans), None, "{sql}\n{lines:#?}");
    }
}
