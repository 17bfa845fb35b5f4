//! 100,000 rows of the log: whatever is asked of it walks an index, sorts nothing, and is answered from few rows.

use serde_json::Value;

use crate::harness::World;

/// As many, a second apart, of a few users, addresses and events.
fn put(world: &World) {
    let sql = "INSERT INTO audit_events (id, at, event, severity, subject, actor, ip, user_agent, request_id)
               WITH RECURSIVE n (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n < 99999)
               SELECT printf('%06d', n), 1735689600000 + n * 1000,
                 CASE n % 4 WHEN 0 THEN 'logout' WHEN 1 THEN 'login_failure' ELSE 'token_refresh' END,
                 iif(n % 4 = 1, 'warning', 'info'),
                 printf('00000000-0000-7000-8000-%012d', n % 50),
                 iif(n % 100 = 0, printf('00000000-0000-7000-8000-%012d', n % 7), NULL),
                 iif(n % 3, '192.0.2.' || (n % 90), NULL), 'Agent/1', 'x' FROM n";
    world.host.database.look(sql, &[]).unwrap();
}

#[tokio::test]
async fn every_question_walks_an_index_and_sorts_nothing() {
    let world = World::new();
    let admin = world.user("admin", Some("admin")).await;
    put(&world);
    let user = "00000000-0000-7000-8000-000000000002";
    // By which index, and what comes first in it.
    let walks = [
        (String::new(), "audit_events_by_time (at>?"),
        ("&outcome=failure".to_owned(), "audit_events_by_time (at>?"),
        (
            "&severity=warning&from=2025-01-01T06:00:00Z&to=2025-01-01T12:00:00Z".to_owned(),
            "audit_events_by_time (at>?",
        ),
        ("&event=logout,login_failure".to_owned(), "audit_events_by_time (at>?"),
        ("&event=login_failure".to_owned(), "audit_events_by_event (event=? AND at>?"),
        ("&ip=192.0.2.7&event=logout".to_owned(), "audit_events_by_ip (ip=? AND at>?"),
        (format!("&actor={user}&ip=192.0.2.7"), "audit_events_by_actor (actor=? AND at>?"),
        (format!("&subject={user}"), "audit_events_by_subject (subject=? AND at>?"),
        (
            format!("&subject={user}&actor={user}&event=logout&outcome=success"),
            "audit_events_by_subject (subject=? AND at>?",
        ),
    ];
    for (query, index) in walks {
        let path = format!("/api/v1/admin/audit?limit=2{query}");
        let page = world.isolate.get(&path, Some(&admin.access)).await.expect(200);
        let next = page.body.get("next_cursor").and_then(Value::as_str).unwrap_or("AAAAAAAAAAA");
        drop(world.host.database.plans());
        world.isolate.get(&format!("{path}&cursor={next}"), Some(&admin.access)).await.expect(200);
        let plans = world.host.database.plans().unwrap();
        let plans: Vec<_> = plans.iter().filter(|(sql, _)| sql.contains("FROM audit_events INDEXED BY")).collect();
        assert_eq!(plans.len(), 2, "{query}: the rows and how far was looked");
        for (sql, lines) in plans {
            let walked: Vec<_> = lines.iter().filter(|line| line.contains("audit_events")).collect();
            assert!(
                !walked.is_empty() && walked.iter().all(|line| line.starts_with("SEARCH") && line.contains(index)),
                "{lines:#?}"
            );
            let bad = |line: &&String| {
                let scans = line.contains("SCAN") && !line.contains("json_each VIRTUAL TABLE");
                scans || line.contains("TEMP B-TREE") || line.contains("AUTOMATIC")
            };
            assert_eq!(lines.iter().find(bad), None, "{sql}\n{lines:#?}");
        }
    }
}

#[tokio::test]
async fn what_matches_is_found_among_them() {
    let world = World::new();
    let admin = world.user("admin", Some("admin")).await;
    put(&world);
    let user = "00000000-0000-7000-8000-000000000002";
    let counts = [
        (format!("?subject={user}"), 2_000),
        (format!("?actor={user}"), 143),
        ("?ip=192.0.2.7".to_owned(), 1_112),
        (format!("?subject={user}&event=logout"), 1_000),
        ("?ip=192.0.2.7&outcome=failure".to_owned(), 556),
        ("?event=login_failure&to=2025-01-01T01:00:00Z".to_owned(), 900),
        ("?event=logout,login_failure&from=2025-01-02T00:00:00Z&to=2025-01-02T01:00:00Z".to_owned(), 1_800),
    ];
    for (query, count) in counts {
        let path = format!("/api/v1/admin/audit/export{query}");
        let request = http::Request::get(path).header("authorization", format!("Bearer {}", admin.access));
        let response = world.isolate.respond(request.body(axum::body::Body::empty()).unwrap()).await;
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        assert_eq!(String::from_utf8_lossy(&body).lines().count(), count, "{query}");
    }
}
