//! `GET admin/audit/export`: everything that matches, as it is read, and never half of it as if it were all.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use edgewarden::native::switchboard::Plan;
use futures_util::StreamExt;
use http::{Method, Request, Response};
use serde_json::Value;

use crate::harness::{SignedIn, World};

async fn export(world: &World, by: &SignedIn, method: Method, query: &str) -> Response<Body> {
    let request = Request::builder()
        .method(method)
        .uri(format!("/api/v1/admin/audit/export{query}"))
        .header("authorization", format!("Bearer {}", by.access));
    world.isolate.respond(request.body(Body::empty()).unwrap()).await
}

async fn text(response: Response<Body>) -> String {
    String::from_utf8(to_bytes(response.into_body(), usize::MAX).await.unwrap().to_vec()).unwrap()
}

fn header<'r>(response: &'r Response<Body>, name: &str) -> &'r str {
    response.headers()[name].to_str().unwrap()
}

fn put(world: &World, count: i64) {
    let sql = "INSERT INTO audit_events (id, at, event, severity, request_id)
               WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < ?1)
               SELECT printf('%06d', n), 1735689600000 + n / 2, 'token_refresh', 'info', 'x' FROM n";
    world.host.database.look(sql, &[count.into()]).unwrap();
}

#[tokio::test]
async fn it_is_the_list_without_pages() {
    let world = World::new();
    let admin = world.user("admin", Some("admin")).await;
    put(&world, 2_500);
    let response = export(&world, &admin, Method::GET, "?event=token_refresh").await;
    assert_eq!(response.status(), 200);
    assert_eq!(header(&response, "content-type"), "application/x-ndjson");
    assert_eq!(header(&response, "content-disposition"), "attachment; filename=\"audit-2026-01-01.ndjson\"");
    assert_eq!(header(&response, "cache-control"), "no-store");
    let told = text(response).await;
    let lines: Vec<Value> = told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let ids: Vec<_> = lines.iter().map(|line| line["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids, (1..=2_500).rev().map(|n| format!("{n:06}")).collect::<Vec<_>>());
    let listed = world.isolate.get("/api/v1/admin/audit?event=token_refresh&limit=1", Some(&admin.access)).await;
    assert_eq!(listed.body["items"][0], lines[0]);
    // Where little matches, it goes on until all is looked through.
    world.host.database.look("UPDATE audit_events SET severity = 'warning' WHERE id = '000001'", &[]).unwrap();
    put_more(&world);
    let told = text(export(&world, &admin, Method::GET, "?severity=warning").await).await;
    assert!(told.lines().count() == 1 && told.contains("000001"), "{told}");
    let empty = export(&world, &admin, Method::GET, "?event=key_rotated&ip=192.0.2.1").await;
    assert_eq!((empty.status().as_u16(), text(empty).await), (200, String::new()));
}

fn put_more(world: &World) {
    let sql = "INSERT INTO audit_events (id, at, event, severity, request_id)
               WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 6000)
               SELECT 'more-' || n, 1735693200000 + n, 'logout', 'info', 'x' FROM n";
    world.host.database.look(sql, &[]).unwrap();
}

#[tokio::test]
async fn a_table_has_names_and_no_formula() {
    let world = World::new();
    let admin = world.user("admin", Some("admin")).await;
    for (agent, name) in [("=cmd|' /C calc'!A0", "eve"), ("a,\"b\" c", "ada")] {
        let body = serde_json::json!({ "username": name, "email": format!("{name}@example.org"), "password": "Correct-Horse-7" });
        let request = Request::post("/api/v1/users/register")
            .header("content-type", "application/json")
            .header("user-agent", agent)
            .header("cf-connecting-ip", format!("192.0.2.{}", name.len() + usize::from(name == "eve")));
        world.isolate.send(request.body(body.to_string().into()).unwrap()).await.expect(201);
    }
    let response = export(&world, &admin, Method::GET, "?format=csv&event=register").await;
    assert_eq!(header(&response, "content-type"), "text/csv; charset=utf-8; header=present");
    assert_eq!(header(&response, "content-disposition"), "attachment; filename=\"audit-2026-01-01.csv\"");
    let told = text(response).await;
    let lines: Vec<_> = told.split_terminator("\r\n").collect();
    assert_eq!(lines[0], "id,at,event,severity,outcome,actor,subject,session_id,ip,user_agent,request_id,detail");
    assert_eq!(lines.len(), 4, "{told}");
    assert!(told.contains(",'=cmd|' /C calc'!A0,") && told.contains(",\"a,\"\"b\"\" c\","), "{told}");
    let nothing = text(export(&world, &admin, Method::GET, "?format=csv&event=key_rotated&ip=192.0.2.1").await).await;
    assert_eq!(nothing.lines().count(), 1, "{nothing}");
}

#[tokio::test]
async fn reading_it_out_is_in_the_log_before_anything_is_read() {
    let world = World::new();
    let (admin, user) = (world.user("admin", Some("admin")).await, world.user("ada", None).await);
    let head = export(&world, &admin, Method::HEAD, "?format=csv").await;
    assert_eq!(
        (head.status().as_u16(), header(&head, "content-type")),
        (200, "text/csv; charset=utf-8; header=present")
    );
    assert_eq!((text(head).await.as_str(), world.audited("admin_action")), ("", 0), "nobody reads a HEAD");
    assert_eq!(export(&world, &user, Method::GET, "").await.status(), 403);
    for query in ["?format=xml", "?format=", "?limit=5", "?cursor=x", "?format=csv&format=csv"] {
        assert_eq!(export(&world, &admin, Method::GET, query).await.status(), 422, "{query}");
    }
    assert_eq!(world.audited("admin_action"), 0, "who was refused has read nothing");
    world.host.clock.advance(Duration::from_millis(1));
    let told = text(export(&world, &admin, Method::GET, "").await).await;
    let own: Value = serde_json::from_str(told.lines().next().unwrap()).unwrap();
    assert_eq!(
        (&own["event"], &own["actor"], &own["subject"]),
        (&"admin_action".into(), &own["subject"], &admin.id.as_str().into())
    );
    assert_eq!(own["session_id"], admin.session);
    let line = format!("\"actor\":\"{}\"", admin.id);
    assert!(world.host.log.lines().iter().any(|logged| logged.contains(&line) && logged.contains("admin_action")));
}

#[tokio::test]
async fn what_breaks_in_the_middle_breaks_it_off_and_is_logged() {
    let world = World::new();
    let admin = world.user("admin", Some("admin")).await;
    put(&world, 2_500);
    // An isolate that has keys and roles.
    export(&world, &admin, Method::HEAD, "").await;
    world.host.switchboard.set(Plan::Healthy);
    let begun = export(&world, &admin, Method::GET, "").await;
    let calls = world.host.switchboard.calls().len();
    // Nothing more is read until somebody takes what was.
    assert_eq!(world.host.switchboard.calls().iter().filter(|call| **call == "database").count(), 3);
    drop(begun);
    for (plan, complete) in [
        (Plan::DownFrom(calls), false),
        (Plan::DownFrom(calls + 1), false),
        (Plan::LoseThenDown(calls), false),
        (Plan::LoseOnce(calls), true),
    ] {
        world.host.switchboard.set(plan);
        let response = export(&world, &admin, Method::GET, "").await;
        assert_eq!(response.status(), 200, "{plan:?}");
        let parts: Vec<_> = response.into_body().into_data_stream().collect().await;
        assert_eq!(parts.iter().all(Result::is_ok), complete, "{plan:?}");
        assert!(parts[0].as_ref().unwrap().len() > 100_000, "what was read before is there");
        assert!(complete || parts.last().unwrap().is_err(), "and nothing comes after the fault");
    }
    let told = |line: &&String| line.contains("\"route\":\"admin/audit/export\"") && line.contains("refusal");
    assert_eq!(world.host.log.lines().iter().filter(told).count(), 3);
    // What fails before that is told by the status.
    world.host.switchboard.set(Plan::DownFrom(calls - 1));
    assert_eq!(export(&world, &admin, Method::GET, "").await.status(), 503);
}
