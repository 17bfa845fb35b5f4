//! `GET admin/audit`: who may, every filter, pages that stay where they are, and what is refused.

use std::time::Duration;

use http::Request;
use serde_json::{Value, json};

use crate::harness::{Answer, PASSWORD, SignedIn, World};

const PATH: &str = "/api/v1/admin/audit";

async fn list(world: &World, by: &SignedIn, query: &str) -> Answer {
    world.isolate.get(&format!("{PATH}{query}"), Some(&by.access)).await
}

/// The events of a page, newest first.
fn events(answer: &Answer) -> Vec<String> {
    items(answer).iter().map(|item| item["event"].as_str().unwrap().to_owned()).collect()
}

fn items(answer: &Answer) -> &[Value] {
    answer.body["items"].as_array().unwrap()
}

fn ids(answer: &Answer) -> Vec<String> {
    items(answer).iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
}

/// Every page of a list, by its cursors: the ids, and how many pages there were.
async fn all(world: &World, by: &SignedIn, query: &str) -> (Vec<String>, usize) {
    let (mut found, mut pages, mut cursor) = (Vec::new(), 0, String::new());
    loop {
        let answer = list(world, by, &format!("{query}{cursor}")).await.expect(200);
        found.extend(ids(&answer));
        pages += 1;
        match answer.body.get("next_cursor") {
            Some(next) => cursor = format!("&cursor={}", next.as_str().unwrap()),
            None => return (found, pages),
        }
    }
}

/// Rows as another Worker writes them: `count` of them, a millisecond apart from the beginning of 2025 on.
fn put(world: &World, prefix: &'static str, count: i64) {
    let sql = "INSERT INTO audit_events (id, at, event, severity, ip, request_id)
               WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < ?2)
               SELECT printf('%s-%06d', ?1, n), 1735689600000 + n, 'token_refresh', 'info', '192.0.2.7', 'x' FROM n";
    world.host.database.look(sql, &[prefix.into(), count.into()]).unwrap();
}

#[tokio::test]
async fn a_row_tells_all_that_is_known_of_it() {
    let world = World::new();
    let (admin, bob) = (world.user("admin", Some("admin")).await, world.user("bob", None).await);
    world.host.clock.advance(Duration::from_millis(7));
    let request = Request::delete(format!("/api/v1/admin/users/{}", bob.id))
        .header("authorization", format!("Bearer {}", admin.access))
        .header("cf-connecting-ip", "2001:db8::7")
        .header("user-agent", "Agent/7");
    let answer = world.isolate.send(request.body("".into()).unwrap()).await.expect(204);
    let request_id = answer.header("x-request-id").unwrap();
    let page = list(&world, &admin, "?limit=1").await.expect(200);
    assert_eq!((page.header("cache-control"), items(&page).len()), (Some("no-store"), 1));
    let expected = json!({
        "id": ids(&page)[0],
        "at": "2026-01-01T00:00:00.007Z",
        "event": "account_deactivated",
        "severity": "info",
        "outcome": "success",
        "actor": admin.id,
        "subject": bob.id,
        "session_id": admin.session,
        "ip": "2001:db8::7",
        "user_agent": "Agent/7",
        "request_id": request_id,
        "detail": null,
    });
    assert_eq!(items(&page)[0], expected);
    // The log has the same, under the names that its lines have.
    let line = world.host.log.lines().into_iter().find(|line| line.contains("account_deactivated")).unwrap();
    let line: Value = serde_json::from_str(&line).unwrap();
    for (name, own) in [
        ("at", "at"),
        ("event", "event"),
        ("severity", "severity"),
        ("outcome", "outcome"),
        ("actor", "actor"),
        ("subject", "subject"),
        ("session_id", "session"),
        ("ip", "ip"),
        ("user_agent", "user_agent"),
        ("request_id", "request_id"),
    ] {
        assert_eq!(expected[name], line[own], "{name}");
    }
}

#[tokio::test]
async fn who_may_not_is_told_nothing() {
    let world = World::new();
    let (admin, moderator) = (world.user("admin", Some("admin")).await, world.user("mod", Some("moderator")).await);
    for query in ["", "?nonsense=1"] {
        let refused = list(&world, &moderator, query).await.expect(403);
        assert!(refused.text("/detail").contains("audit:read"), "{refused:?}");
        world.isolate.get(&format!("{PATH}{query}"), None).await.expect(401);
    }
    let fields = [("username", "admin"), ("password", PASSWORD), ("scope", "users:read")];
    let narrow = SignedIn::from(&world.isolate.form("192.0.2.66", &fields).await.expect(200));
    list(&world, &narrow, "").await.expect(403);
    list(&world, &admin, "").await.expect(200);
}

#[tokio::test]
async fn each_filter_leaves_what_it_says_and_all_together_what_each_leaves() {
    let world = World::new();
    let admin = world.user("admin", Some("admin")).await;
    world.register("bob", None).await;
    world.host.clock.advance(Duration::from_secs(1));
    let bob = world.isolate.sign_in("bob").await;
    world.host.clock.advance(Duration::from_secs(59));
    world.isolate.try_sign_in("192.0.2.9", "bob", "Wrong-Horse-7").await.expect(401);
    world.isolate.try_sign_in("192.0.2.9", "nobody", "Wrong-Horse-7").await.expect(401);
    world.host.clock.advance(Duration::from_millis(1));
    world.isolate.logout(&bob.access).await.expect(200);
    world.host.clock.advance(Duration::from_millis(59_999));
    let path = format!("/api/v1/admin/users/{}", bob.id);
    world.isolate.send_as(&admin.access, "DELETE", &path, &Value::Null).await.expect(204);
    let (bob, admin_id) = (&bob.id, &admin.id);
    let found = async |query: String| events(&list(&world, &admin, &query).await.expect(200));
    let of_bob = ["account_deactivated", "logout", "login_failure", "login_success", "register"];
    assert_eq!(found(format!("?subject={bob}")).await, of_bob);
    assert_eq!(found(format!("?actor={admin_id}")).await, ["account_deactivated"]);
    assert_eq!(found(format!("?actor={bob}")).await, [""; 0]);
    assert_eq!(found("?ip=192.0.2.9".to_owned()).await, ["login_failure", "login_failure"]);
    assert_eq!(found("?ip=192.0.2.99".to_owned()).await, [""; 0]);
    assert_eq!(found("?event=logout".to_owned()).await, ["logout"]);
    assert_eq!(found("?event=logout,login_failure".to_owned()).await, ["logout", "login_failure", "login_failure"]);
    for query in ["?outcome=failure", "?severity=warning"] {
        assert_eq!(found(query.to_owned()).await, ["login_failure", "login_failure"], "{query}");
    }
    assert_eq!(found("?outcome=denied".to_owned()).await, [""; 0]);
    assert_eq!(found("?outcome=denied&event=logout".to_owned()).await, [""; 0], "there is no such event");
    // From is in, to is not.
    let minutes = ["2026-01-01T00:01:00Z", "2026-01-01T00:02:00Z"];
    assert_eq!(found(format!("?from={}", minutes[1])).await, ["account_deactivated"]);
    assert_eq!(found(format!("?from={}&to={}", minutes[0], minutes[1])).await.len(), 3);
    assert_eq!(found(format!("?subject={bob}&to={}", minutes[0])).await, ["login_success", "register"]);
    assert_eq!(found(format!("?from={}&to={}", minutes[1], minutes[0])).await, [""; 0]);
    // Each beside each other, whichever is walked by.
    let pairs = [
        (format!("?subject={bob}&ip=192.0.2.9"), 1),
        (format!("?subject={bob}&event=login_failure"), 1),
        (format!("?subject={bob}&outcome=success"), 4),
        (format!("?subject={bob}&actor={admin_id}"), 1),
        (format!("?subject={admin_id}&actor={admin_id}"), 0),
        (format!("?actor={admin_id}&event=account_deactivated&severity=info"), 1),
        (format!("?actor={admin_id}&ip=192.0.2.9"), 0),
        ("?ip=192.0.2.9&event=login_failure&severity=warning".to_owned(), 2),
        ("?ip=192.0.2.9&outcome=success".to_owned(), 0),
        ("?event=login_failure&severity=info".to_owned(), 0),
        (
            format!(
                "?subject={bob}&ip=192.0.2.9&event=login_failure&outcome=failure&severity=warning&from={}",
                minutes[0]
            ),
            1,
        ),
    ];
    for (query, count) in pairs {
        assert_eq!(found(query.clone()).await.len(), count, "{query}");
    }
}

#[tokio::test]
async fn pages_follow_one_another_while_rows_are_added() {
    let world = World::new();
    let admin = world.user("admin", Some("admin")).await;
    put(&world, "b", 120);
    // As many of the same times: ids decide.
    put(&world, "a", 120);
    let whole = all(&world, &admin, "?limit=100").await;
    assert_eq!((whole.0.len(), whole.1), (242, 3));
    for limit in [1, 7, 50, 242 / 2] {
        let limit = limit.min(100);
        assert_eq!(all(&world, &admin, &format!("?limit={limit}")).await.0, whole.0, "{limit}");
    }
    assert_eq!(items(&list(&world, &admin, "").await).len(), 50);
    // What comes is before the first page, whatever was read.
    let first = list(&world, &admin, "?limit=30").await.expect(200);
    world.isolate.sign_in("admin").await;
    let query = format!("?limit=100&cursor={}", first.text("/next_cursor"));
    assert_eq!(ids(&list(&world, &admin, &query).await.expect(200)), whole.0[30..130]);
    // An exact end is an end.
    let (last, pages) = all(&world, &admin, "?event=token_refresh&limit=80").await;
    assert_eq!((last.len(), pages), (240, 3));
    assert_eq!(all(&world, &admin, "?ip=192.0.2.7&limit=80").await, (last, pages));
}

#[tokio::test]
async fn one_request_looks_at_a_bounded_number_of_rows_and_says_where_to_go_on() {
    let world = World::new();
    let admin = world.user("admin", Some("admin")).await;
    put(&world, "many", 12_000);
    world
        .host
        .database
        .look("UPDATE audit_events SET severity = 'warning' WHERE id IN ('many-000001', 'many-006000')", &[])
        .unwrap();
    let page = list(&world, &admin, "?severity=warning").await.expect(200);
    assert!(items(&page).is_empty() && page.body.get("next_cursor").is_some(), "{page:?}");
    assert_eq!(
        all(&world, &admin, "?severity=warning").await,
        (vec!["many-006000".to_owned(), "many-000001".to_owned()], 3)
    );
    // Bounded by time as well.
    let within = "?severity=warning&from=2025-01-01T00:00:01Z&to=2025-01-01T00:00:07Z";
    assert_eq!(all(&world, &admin, within).await, (vec!["many-006000".to_owned()], 2));
    // Where every row that is come by matches, nothing more is looked at.
    assert_eq!(all(&world, &admin, "?event=token_refresh&limit=100").await.1, 120);
}

#[tokio::test]
async fn what_is_not_understood_is_named_all_at_once() {
    let world = World::new();
    let admin = world.user("admin", Some("admin")).await;
    let fields = async |query: &str| {
        let answer = list(&world, &admin, query).await.expect(422);
        let errors = answer.body["errors"].as_array().unwrap();
        errors.iter().map(|error| error["field"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let all = "?event=x&outcome=x&actor=x&subject=x&ip=x&severity=x&from=x&to=x&limit=x&cursor=x&x=x";
    assert_eq!(
        fields(all).await,
        ["event", "outcome", "actor", "subject", "ip", "severity", "from", "to", "limit", "cursor", "parameters"]
    );
    for (query, field) in [
        ("?limit=0", "limit"),
        ("?limit=101", "limit"),
        ("?limit=-1", "limit"),
        ("?limit=", "limit"),
        ("?cursor=", "cursor"),
        ("?cursor=AAAA", "cursor"),
        ("?from=2026-01-01T00:00:00%2B25:00", "from"),
        ("?event=logout&event=register", "event"),
        ("?Event=logout", "parameters"),
        ("?format=csv", "parameters"),
    ] {
        assert_eq!(fields(query).await, [field], "{query}");
    }
}
