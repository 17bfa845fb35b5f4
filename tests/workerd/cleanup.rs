//! What the hourly cron deletes, in the database that there is.

use crate::{client::Client, keys::CRON, server::Server};

pub fn the_cron_deletes_sessions_and_audit_rows_that_are_over(server: &Server) {
    let id = server.try_register("long-gone").expect(201).str("/id").to_owned();
    let living = server.sign_in("long-gone", id.clone());
    for (session, kind, over) in [
        ("long-ended", "bearer", "ended_at"),
        ("long-expired", "bearer", "expires_at"),
        ("long-unused", "cookie", "idle_until"),
    ] {
        let far = 4_102_444_800_000_i64;
        let expires = if over == "expires_at" { 1 } else { far };
        server.execute(&format!(
            "INSERT INTO sessions (id, user_id, amr, created_at, kind, expires_at)
             VALUES ('{session}', '{id}', 'pwd', 0, '{kind}', {expires})"
        ));
        server.execute(&format!("UPDATE sessions SET {over} = 1 WHERE id = '{session}'"));
    }
    server.execute(
        "INSERT INTO refresh_tokens (session_id, salt, generation, rotated_at, expires_at)
         VALUES ('long-ended', '', 1, 0, 4102444800000)",
    );
    server.execute(
        "INSERT INTO audit_events (id, at, event, severity, request_id) VALUES ('ancient', 1, 'logout', 'info', 'x')",
    );
    let before = server.count("SELECT COUNT(*) FROM audit_events");
    server.get(CRON, None).expect(200);
    assert_eq!(server.count("SELECT COUNT(*) FROM sessions WHERE id LIKE 'long-%'"), 0);
    assert_eq!(server.count("SELECT COUNT(*) FROM refresh_tokens WHERE session_id LIKE 'long-%'"), 0);
    assert_eq!(server.count("SELECT COUNT(*) FROM audit_events WHERE id = 'ancient'"), 0);
    assert!(server.count("SELECT COUNT(*) FROM audit_events") >= before - 1, "the others are of today");
    server.get("/api/v1/users/me", Some(&living.access)).expect(200);
}
