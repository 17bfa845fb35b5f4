//! `GET admin/dashboard`: counts that are kept as things happen.

use std::{fs, path::Path, time::Duration};

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::{
    admin_users::{USERS, admin, set_roles},
    attempts::fail,
    harness::{Answer, PASSWORD, SignedIn, World},
    mfa::enrolled,
    roles::{delete, permission, role},
};

pub const DASHBOARD: &str = "/api/v1/admin/dashboard";
const DAY: Duration = Duration::from_hours(24);

async fn seen(world: &World, who: &SignedIn) -> Answer {
    world.isolate.get(DASHBOARD, Some(&who.access)).await.expect(200)
}

/// `total_users`, `active_users`, `inactive_users`, `locked`, `live_sessions`.
fn counts(answer: &Answer) -> [i64; 5] {
    ["total_users", "active_users", "inactive_users", "locked", "live_sessions"]
        .map(|name| answer.body[name].as_i64().unwrap())
}

/// Of today, or of a day that was so long ago.
fn day(answer: &Answer, ago: usize) -> (String, [i64; 3]) {
    let day = &answer.body["daily"][29 - ago];
    let of = |name: &str| day[name].as_i64().unwrap();
    (day["date"].as_str().unwrap().to_owned(), [of("sign_ins"), of("failures"), of("registrations")])
}

/// Does something to an account, a second after what was done before: nothing is told twice in one.
async fn act(world: &World, who: &SignedIn, method: &str, path: &str, body: &Value) -> Answer {
    world.host.clock.advance(Duration::from_secs(1));
    admin(world, who, method, path, body).await
}

/// Whoever looks after it signs in anew, on a later day.
async fn later(world: &World, days: u32) -> SignedIn {
    world.host.clock.advance(days * DAY);
    world.isolate.app.refresh().await;
    world.isolate.sign_in("chief").await
}

#[tokio::test]
async fn it_tells_what_has_just_happened() {
    let world = World::new();
    let chief = world.user("chief", Some("admin")).await;
    let first = seen(&world, &chief).await;
    assert_eq!(counts(&first), [1, 1, 0, 0, 1]);
    assert_eq!(first.body["users_by_role"], json!({ "admin": 1, "user": 1 }));
    assert_eq!((&first.body["mfa_share"], first.body["daily"].as_array().unwrap().len()), (&json!(0.0), 30));
    assert_eq!(day(&first, 0), ("2026-01-01".to_owned(), [1, 0, 1]));
    assert_eq!(day(&first, 1), ("2025-12-31".to_owned(), [0, 0, 0]));
    assert_eq!(day(&first, 29).0, "2025-12-03");
    // Registrations, by themselves and by another, and such as come to nothing.
    let ada = world.user("ada", None).await;
    let body = json!({ "username": "bob", "email": "bob@example.org", "password": PASSWORD, "roles": ["moderator"] });
    let bob = world.isolate.post_as(&chief.access, USERS, &body).await.expect(201).text("/id").to_owned();
    world.isolate.post_as(&chief.access, USERS, &body).await.expect(409);
    let now = seen(&world, &chief).await;
    assert_eq!((counts(&now), day(&now, 0).1), ([3, 3, 0, 0, 2], [2, 0, 3]));
    assert_eq!(now.body["users_by_role"], json!({ "admin": 1, "moderator": 1, "user": 2 }));
    // Failures, for somebody and for nobody; what is refused without looking is none.
    fail(&world, "bob", 0..5).await;
    fail(&world, "nobody", 10..15).await;
    world.isolate.try_sign_in("192.0.2.1", "bob", PASSWORD).await.expect(429);
    let now = seen(&world, &chief).await;
    assert_eq!((counts(&now), day(&now, 0).1), ([3, 3, 0, 1, 2], [2, 10, 3]), "one account is closed");
    admin(&world, &chief, "POST", &format!("/{bob}/unlock"), &Value::Null).await.expect(204);
    assert_eq!(counts(&seen(&world, &chief).await)[3], 0);
    // Other roles.
    set_roles(&world, &chief, &ada.id, &json!(["moderator", "admin"])).await.expect(200);
    let now = seen(&world, &chief).await;
    assert_eq!(now.body["users_by_role"], json!({ "admin": 2, "moderator": 2, "user": 1 }));
    set_roles(&world, &chief, &ada.id, &json!(["moderator", "admin"])).await.expect(200);
    assert_eq!(seen(&world, &chief).await.body["users_by_role"], now.body["users_by_role"]);
    // Closed, and opened again.
    let path = format!("/{}", ada.id);
    act(&world, &chief, "PATCH", &path, &json!({ "is_active": false })).await.expect(200);
    act(&world, &chief, "PATCH", &path, &json!({ "is_active": false, "full_name": "Ada" })).await.expect(200);
    assert_eq!(counts(&seen(&world, &chief).await), [3, 2, 1, 0, 1]);
    act(&world, &chief, "PATCH", &path, &json!({ "is_active": true })).await.expect(200);
    assert_eq!(counts(&seen(&world, &chief).await), [3, 3, 0, 0, 1]);
    // Erased: no user any more, with none of the roles; what happened that day has happened.
    for _ in 0..2 {
        act(&world, &chief, "DELETE", &format!("{path}?erase=true"), &Value::Null).await.expect(204);
    }
    let now = seen(&world, &chief).await;
    assert_eq!((counts(&now), day(&now, 0).1), ([2, 2, 0, 0, 1], [2, 10, 3]));
    assert_eq!(now.body["users_by_role"], json!({ "admin": 1, "moderator": 1, "user": 1 }));
    act(&world, &chief, "DELETE", &format!("/{bob}"), &Value::Null).await.expect(204);
    assert_eq!(counts(&seen(&world, &chief).await), [2, 1, 1, 0, 1]);
}

#[tokio::test]
async fn who_may_see_it_sees_it() {
    let world = World::new();
    let (root, chief) = (world.user("root", Some("super_admin")).await, world.user("chief", Some("admin")).await);
    let moderator = world.user("mia", Some("moderator")).await;
    let refused = world.isolate.get(DASHBOARD, Some(&moderator.access)).await.expect(403);
    assert!(refused.text("/detail").contains("reports:view"), "{refused:?}");
    world.isolate.get(DASHBOARD, None).await.expect(401);
    seen(&world, &chief).await;
    // It tells of nobody, so it takes nothing else.
    role(&world, &root, &json!({ "name": "analyst", "permissions": ["reports:view"] })).await.expect(201);
    let analyst = world.user("analyst", Some("analyst")).await;
    let told = seen(&world, &analyst).await.body.to_string();
    for name in ["mia", "chief", &chief.id] {
        assert!(!told.contains(&format!("\"{name}\"")), "{told}");
    }
    let form = [("username", "chief"), ("password", PASSWORD), ("scope", "users:read")];
    let narrowed = SignedIn::from(&world.isolate.form("192.0.2.50", &form).await.expect(200));
    world.isolate.get(DASHBOARD, Some(&narrowed.access)).await.expect(403);
}

#[tokio::test]
async fn second_factors_are_a_share_of_those_who_sign_in() {
    let world = World::new();
    let chief = world.user("chief", Some("admin")).await;
    let (ada, _) = enrolled(&world, "ada", None).await;
    world.register("bob", None).await;
    assert_eq!(seen(&world, &chief).await.body["mfa_share"], json!(0.3333));
    act(&world, &chief, "PATCH", &format!("/{}", ada.id), &json!({ "is_active": false })).await.expect(200);
    assert_eq!(seen(&world, &chief).await.body["mfa_share"], json!(0.0));
    act(&world, &chief, "PATCH", &format!("/{}", ada.id), &json!({ "is_active": true })).await.expect(200);
    act(&world, &chief, "POST", &format!("/{}/reset-mfa", ada.id), &Value::Null).await.expect(204);
    assert_eq!(seen(&world, &chief).await.body["mfa_share"], json!(0.0));
}

#[tokio::test]
async fn wrong_codes_are_failures_and_half_a_sign_in_is_none() {
    let world = World::new();
    let chief = world.user("chief", Some("admin")).await;
    let (_, factor) = enrolled(&world, "ada", None).await;
    let before = day(&seen(&world, &chief).await, 0).1;
    let token = crate::mfa::half(&world, "ada").await;
    crate::mfa::verify(&world.isolate, &token, &factor.wrong(&world)).await.expect(401);
    let [sign_ins, failures, registrations] = before;
    assert_eq!(day(&seen(&world, &chief).await, 0).1, [sign_ins, failures + 1, registrations]);
    crate::mfa::verify(&world.isolate, &token, &factor.next(&world)).await.expect(200);
    assert_eq!(day(&seen(&world, &chief).await, 0).1, [sign_ins + 1, failures + 1, registrations]);
}

#[tokio::test]
async fn what_is_over_by_itself_counts_no_more() {
    let world = World::new();
    let (chief, ada) = (world.user("chief", Some("admin")).await, world.user("ada", None).await);
    let until = json!(["user", { "role": "moderator", "expires_at": "2026-01-02T00:00:00Z" }]);
    set_roles(&world, &chief, &ada.id, &until).await.expect(200);
    fail(&world, "ada", 0..5).await;
    world.isolate.log_in("chief").await;
    let now = seen(&world, &chief).await;
    assert_eq!(now.body["users_by_role"], json!({ "admin": 1, "moderator": 1, "user": 2 }));
    // Those with other roles go on with what they have.
    assert_eq!(counts(&now), [2, 2, 0, 1, 3]);
    let chief = later(&world, 1).await;
    let now = seen(&world, &chief).await;
    assert_eq!(now.body["users_by_role"], json!({ "admin": 1, "user": 2 }), "the role is over");
    assert_eq!(counts(&now), [2, 2, 0, 0, 3], "so is the lock, and the session that no browser used");
    // Nobody uses what tokens renew for a week: but one, of yesterday.
    let chief = later(&world, 6).await;
    assert_eq!(counts(&seen(&world, &chief).await)[4], 2);
    // Once what is over is forgotten, it is counted neither there nor as over.
    let chief = later(&world, 40).await;
    world.isolate.app.forget_grants().await.unwrap();
    assert_eq!(world.count("SELECT COUNT(*) FROM user_roles WHERE expires_at IS NOT NULL"), 0);
    assert_eq!(seen(&world, &chief).await.body["users_by_role"], json!({ "admin": 1, "user": 2 }));
}

#[tokio::test]
async fn a_role_that_is_removed_is_held_by_nobody() {
    let world = World::new();
    let root = world.user("root", Some("super_admin")).await;
    permission(&world, &root, "orders:read").await.expect(201);
    role(&world, &root, &json!({ "name": "clerk", "permissions": ["orders:read"] })).await.expect(201);
    for name in ["ada", "bob"] {
        world.user(name, Some("clerk")).await;
    }
    let now = seen(&world, &root).await;
    assert_eq!(now.body["users_by_role"], json!({ "clerk": 2, "super_admin": 1, "user": 3 }));
    delete(&world, &root, "/api/v1/admin/roles/clerk?force=true").await.expect(204);
    assert_eq!(seen(&world, &root).await.body["users_by_role"], json!({ "super_admin": 1, "user": 3 }));
    assert_eq!(world.count("SELECT COUNT(*) FROM role_totals WHERE holders = 0"), 0);
}

#[tokio::test]
async fn days_stay_for_thirty_whatever_the_log_keeps_and_go_after() {
    let world = World::with(&[("AUDIT_RETENTION", "1d")]);
    world.user("chief", Some("admin")).await;
    world.user("ada", None).await;
    let mut chief = later(&world, 29).await;
    for done in world.isolate.app.clean_up().await {
        done.unwrap();
    }
    assert_eq!(world.audited("register"), 0, "the log is not as old");
    let now = seen(&world, &chief).await;
    assert_eq!((day(&now, 29), day(&now, 0).1), (("2026-01-01".to_owned(), [2, 0, 2]), [1, 0, 0]));
    for _ in 0..2 {
        chief = later(&world, 1).await;
        for done in world.isolate.app.clean_up().await {
            done.unwrap();
        }
    }
    let now = seen(&world, &chief).await;
    assert_eq!((day(&now, 29).0.as_str(), day(&now, 29).1), ("2026-01-03", [0, 0, 0]));
    assert_eq!(world.count("SELECT MIN(day) FROM daily_totals"), 20_483, "30 January");
    assert_eq!(world.count("SELECT COUNT(*) FROM daily_totals"), 3);
}

#[test]
fn what_there_was_before_is_counted_when_it_begins() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let begins = files.iter().position(|path| path.ends_with("0014_dashboard.sql")).unwrap();
    let database = Connection::open_in_memory().unwrap();
    let apply = |path| database.execute_batch(&fs::read_to_string(path).unwrap()).unwrap();
    files[..begins].iter().for_each(apply);
    database
        .execute_batch(
            "INSERT INTO users (id, username, email, email_key, password_hash, is_active, mfa_enabled, created_at,
               updated_at, erased_at) VALUES
               ('a', 'a', 'a', 'a', '', 1, 0, 0, 0, NULL), ('b', 'b', 'b', 'b', '', 1, 1, 0, 0, NULL),
               ('c', 'c', 'c', 'c', '', 0, 0, 0, 0, NULL), ('d', 'd', 'd', 'd', '', 0, 0, 0, 0, 1);
             INSERT INTO user_roles (user_id, role, granted_at) VALUES ('a', 'user', 0), ('b', 'user', 0), ('b', 'admin', 0);
             INSERT INTO audit_events (id, at, event, severity, request_id) VALUES
               ('1', unixepoch() * 1000, 'login_success', 'info', 'x'), ('2', unixepoch() * 1000, 'logout', 'info', 'x'),
               ('3', unixepoch() * 1000, 'mfa_failure', 'warning', 'x'), ('4', 1, 'register', 'info', 'x');",
        )
        .unwrap();
    apply(&files[begins]);
    let counted = |sql: &str| database.query_row(sql, [], |row| row.get::<_, String>(0)).unwrap();
    assert_eq!(
        counted("SELECT group_concat(is_active || mfa_enabled || '=' || users) FROM user_totals"),
        "00=1,01=0,10=1,11=1"
    );
    assert_eq!(counted("SELECT group_concat(role || '=' || holders) FROM role_totals"), "admin=1,user=2");
    assert_eq!(
        counted("SELECT group_concat(sign_ins || failures || registrations) FROM daily_totals"),
        "110",
        "of a month"
    );
    // And what is done by hand goes on being counted, and is not where it comes to nothing.
    database
        .execute_batch(
            "INSERT OR IGNORE INTO audit_events (id, at, event, severity, request_id)
               VALUES ('1', unixepoch() * 1000, 'login_success', 'info', 'x');
             INSERT INTO users (id, username, email, email_key, password_hash, created_at, updated_at)
               VALUES ('e', 'a', 'e', 'e', '', 0, 0) ON CONFLICT DO NOTHING;
             INSERT INTO user_roles (user_id, role, granted_at) VALUES ('a', 'user', 0)
               ON CONFLICT (user_id, role) DO UPDATE SET granted_at = 1;
             UPDATE OR IGNORE users SET is_active = 0, mfa_enabled = 0 WHERE id = 'b';
             UPDATE user_roles SET role = 'moderator' WHERE role = 'admin';
             DELETE FROM user_roles WHERE user_id = 'a';
             DELETE FROM users WHERE id IN ('a', 'd');",
        )
        .unwrap();
    assert_eq!(
        counted("SELECT group_concat(is_active || mfa_enabled || '=' || users) FROM user_totals"),
        "00=2,01=0,10=0,11=0"
    );
    assert_eq!(counted("SELECT group_concat(role || '=' || holders) FROM role_totals"), "moderator=1,user=1");
    assert_eq!(counted("SELECT group_concat(sign_ins || failures || registrations) FROM daily_totals"), "110");
}
