//! The fault sweep over what is done to others' accounts, and to what all accounts go by.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    admin_users::USERS,
    attempts::fail,
    harness::{Answer, SignedIn, World},
    live_policy::POLICY,
    roles::{PERMISSIONS, ROLES, role},
    sweep::{Swept, whole},
};

/// A flow: its request, its success, and what must hold whatever happened, given whether the request succeeded.
struct Flow {
    name: &'static str,
    method: &'static str,
    /// `{bob}` stands for the id of the account that it is about.
    path: &'static str,
    body: &'static str,
    success: u16,
    /// What a repeated request is told where the first was done, but its answer lost.
    told_after: Option<u16>,
    holds: fn(&World, bool),
}

const FLOWS: &[Flow] = &[
    Flow {
        name: "list",
        method: "GET",
        path: "?query=b&role=user",
        body: "",
        success: 200,
        told_after: None,
        holds: |world, _| whole(world),
    },
    Flow {
        name: "view",
        method: "GET",
        path: "/{bob}",
        body: "",
        success: 200,
        told_after: None,
        holds: |world, _| whole(world),
    },
    Flow {
        name: "dashboard",
        method: "GET",
        path: "/api/v1/admin/dashboard",
        body: "",
        success: 200,
        told_after: None,
        holds: |world, _| whole(world),
    },
    Flow {
        name: "invitation",
        method: "POST",
        path: "",
        body: r#"{"username":"eve","email":"eve@example.net","invite":true,"roles":["user","moderator"]}"#,
        success: 201,
        told_after: Some(409),
        holds: |world, done| {
            whole(world);
            let made = world.count("SELECT COUNT(*) FROM users WHERE username = 'eve'");
            let rows =
                "SELECT (SELECT COUNT(*) FROM user_roles WHERE user_id = (SELECT id FROM users WHERE username = 'eve'))
              + (SELECT COUNT(*) FROM mail_outbox WHERE kind = 'invitation' AND recipient = 'eve@example.net')
              + (SELECT COUNT(*) FROM audit_events WHERE event = 'register' AND detail = 'invited')";
            assert_eq!((world.count(rows), world.audited("role_changed")), (4 * made, made));
            assert!(!done || made == 1);
        },
    },
    Flow {
        name: "ending tokens by other roles",
        method: "PUT",
        path: "/{bob}/roles",
        body: r#"{"roles":["moderator"]}"#,
        success: 200,
        told_after: None,
        holds: |world, done| {
            whole(world);
            let changed = world.audited("role_changed");
            let held = "SELECT group_concat(role) = 'moderator' FROM user_roles
                        WHERE user_id = (SELECT id FROM users WHERE username = 'bob')";
            assert_eq!(world.count(held), changed);
            assert_eq!(world.count("SELECT token_version - 1 FROM users WHERE username = 'bob'"), changed);
            assert!(!done || (changed == 1 && world.blacklisted().len() == 1));
        },
    },
    Flow {
        name: "ending all by another's new address",
        method: "PATCH",
        path: "/{bob}",
        body: r#"{"email":"new@example.net","full_name":"Bob"}"#,
        success: 200,
        told_after: None,
        holds: |world, done| {
            whole(world);
            let changed = world.audited("email_changed");
            assert_eq!(world.audited("admin_action"), changed);
            assert_eq!(
                world.count("SELECT COUNT(*) FROM users WHERE email = 'new@example.net' AND full_name = 'Bob'"),
                changed
            );
            assert_eq!(world.count("SELECT COUNT(*) FROM sessions WHERE ended_at IS NOT NULL"), changed);
            assert_eq!(world.count("SELECT COUNT(*) FROM mail_outbox WHERE recipient = 'new@example.net'"), changed);
            assert!(!done || (changed == 1 && world.blacklisted().len() == 1));
        },
    },
    Flow {
        name: "ending all of another's sessions",
        method: "DELETE",
        path: "/{bob}/sessions",
        body: "",
        success: 204,
        told_after: None,
        holds: |world, done| {
            whole(world);
            // Who asks again has those ended that may be new.
            let ended = world.audited("logout_all");
            assert_eq!(world.count("SELECT token_version - 1 FROM users WHERE username = 'bob'"), ended);
            assert_eq!(world.count("SELECT COUNT(*) FROM sessions WHERE ended_at IS NOT NULL"), ended.min(1));
            assert!(!done || !world.blacklisted().is_empty());
        },
    },
    Flow {
        name: "unlock",
        method: "POST",
        path: "/{bob}/unlock",
        body: "",
        success: 204,
        told_after: None,
        holds: |world, done| {
            whole(world);
            let opened = world.audited("account_unlocked");
            assert_eq!(world.count("SELECT COUNT(*) FROM sign_in_locks"), 1 - opened);
            assert!(!done || opened == 1);
        },
    },
    Flow {
        name: "prove",
        method: "POST",
        path: "/{bob}/verify-email",
        body: "",
        success: 204,
        told_after: None,
        holds: |world, done| {
            whole(world);
            assert!(!done || world.audited("email_verified") == 1);
        },
    },
    Flow {
        name: "graph, a role made",
        method: "POST",
        path: ROLES,
        body: r#"{"name":"new","inherits":["user"],"permissions":["users:read"]}"#,
        success: 201,
        told_after: Some(409),
        holds: |world, done| {
            whole(world);
            let made = world.audited("role_created") - 1;
            let rows = "SELECT (SELECT COUNT(*) FROM roles WHERE name = 'new')
              + (SELECT COUNT(*) FROM role_inherits WHERE role = 'new')
              + (SELECT COUNT(*) FROM role_permissions WHERE role = 'new')";
            assert_eq!(world.count(rows), 3 * made);
            assert!(!done || made == 1);
        },
    },
    Flow {
        name: "graph, a role changed",
        method: "PATCH",
        path: "/api/v1/admin/roles/moderator",
        body: r#"{"inherits":[],"permissions":["users:read"],"description":"Less"}"#,
        success: 200,
        told_after: None,
        holds: |world, done| {
            whole(world);
            let changed = world.audited("role_updated");
            let rows = "SELECT (SELECT COUNT(*) FROM role_inherits WHERE role = 'moderator')
              + (SELECT COUNT(*) FROM role_permissions WHERE role = 'moderator')
              + (SELECT COUNT(*) FROM roles WHERE name = 'moderator' AND description <> 'Less')";
            assert_eq!(world.count(rows), if changed == 0 { 5 } else { 1 });
            assert!(!done || changed == 1);
        },
    },
    Flow {
        name: "graph, a role removed",
        method: "DELETE",
        path: "/api/v1/admin/roles/clerk?force=true",
        body: "",
        success: 204,
        told_after: Some(404),
        holds: |world, done| {
            whole(world);
            let removed = world.audited("role_deleted");
            let rows = "SELECT (SELECT COUNT(*) FROM roles WHERE name = 'clerk')
              + (SELECT COUNT(*) FROM role_inherits WHERE role = 'clerk')
              + (SELECT COUNT(*) FROM user_roles WHERE role = 'clerk')
              + (SELECT 1 - COUNT(*) FROM retired_roles WHERE name = 'clerk')";
            assert_eq!(world.count(rows), 4 - 4 * removed);
            assert!(!done || removed == 1);
        },
    },
    Flow {
        name: "graph, a permission made",
        method: "POST",
        path: PERMISSIONS,
        body: r#"{"name":"orders:read"}"#,
        success: 201,
        told_after: Some(409),
        holds: |world, _| {
            whole(world);
            let made = world.audited("admin_action");
            assert_eq!(world.count("SELECT COUNT(*) FROM role_permissions WHERE permission = 'orders:read'"), made);
        },
    },
    Flow {
        name: "policy, shown",
        method: "GET",
        path: POLICY,
        body: "",
        success: 200,
        told_after: None,
        holds: |world, _| whole(world),
    },
    Flow {
        name: "policies, listed",
        method: "GET",
        path: "/api/v1/admin/policy/versions",
        body: "",
        success: 200,
        told_after: None,
        holds: |world, _| whole(world),
    },
    Flow {
        name: "policy, explained",
        method: "POST",
        path: "/api/v1/admin/policy/explain",
        body: r#"{"method":"GET","url":"https://auth.example.com/demo/public/x"}"#,
        success: 200,
        told_after: None,
        holds: |world, _| whole(world),
    },
    Flow {
        name: "graph, a policy put live",
        method: "PUT",
        path: POLICY,
        body: r#"{"policy":"version = 1\n[[route]]\nid = \"a\"\npath = \"/a\"\norigin = \"demo\"\naccess = \"public\""}"#,
        success: 200,
        told_after: None,
        holds: |world, done| {
            whole(world);
            // Whoever asks again has it put again.
            let put = world.audited("policy_changed");
            assert_eq!(world.count("SELECT COUNT(*) FROM policies WHERE kind = 'live'"), put);
            assert_eq!(world.count("SELECT version - 1 FROM versions WHERE name = 'policy'"), put);
            assert!(!done || put >= 1);
        },
    },
    Flow {
        name: "graph, a policy tried",
        method: "PUT",
        path: POLICY,
        body: r#"{"mode":"shadow","policy":"version = 1\n[[route]]\nid = \"a\"\npath = \"/a\"\norigin = \"demo\"\naccess = \"public\""}"#,
        success: 200,
        told_after: None,
        holds: |world, done| {
            whole(world);
            let put = world.audited("policy_changed");
            assert_eq!(world.count("SELECT COUNT(*) FROM policies WHERE kind = 'candidate'"), put);
            assert!(!done || put >= 1);
        },
    },
    Flow {
        name: "graph, the file put back",
        method: "POST",
        path: "/api/v1/admin/policy/rollback",
        body: r#"{"version":0}"#,
        success: 200,
        told_after: None,
        holds: |world, done| {
            whole(world);
            let put = world.audited("policy_rolled_back");
            assert_eq!(world.count("SELECT COUNT(*) FROM policies"), put);
            assert!(!done || put >= 1);
        },
    },
];

async fn begin(warm: bool) -> (World, (SignedIn, SignedIn)) {
    let mut world = World::new();
    let bob = world.user("bob", None).await;
    let ada = world.user("ada", Some("super_admin")).await;
    // The edge bundle is not written twice in a second.
    world.host.clock.advance(Duration::from_secs(1));
    role(&world, &ada, &json!({ "name": "clerk", "inherits": ["user"] })).await.expect(201);
    world.give(&ada.id, "clerk");
    fail(&world, "bob", 0..5).await;
    world.isolate.app.do_chores().await;
    world.hear(&world.isolate).await;
    if !warm {
        world.isolate = world.another_isolate();
    }
    (world, (ada, bob))
}

async fn request(flow: &Flow, world: &World, ada: &SignedIn, bob: &SignedIn) -> Answer {
    let path = flow.path.replace("{bob}", &bob.id);
    let path = if path.starts_with("/api/") { path } else { format!("{USERS}{path}") };
    let body = if flow.body.is_empty() { Value::Null } else { serde_json::from_str(flow.body).unwrap() };
    world.isolate.send_as(&ada.access, flow.method, &path, &body).await
}

#[tokio::test]
async fn every_act_of_an_administrator_survives_the_loss_of_every_call() {
    let mut cases = 0;
    // What a fresh isolate asks first is the same for all: one of each kind shows it.
    let begins_fresh = |flow: &Flow| ["ending tokens by other roles", "graph, a role changed"].contains(&flow.name);
    let both = |flow| [(flow, true), (flow, false)];
    for (flow, warm) in FLOWS.iter().flat_map(both).filter(|(flow, warm)| *warm || begins_fresh(flow)) {
        let swept = Swept { name: flow.name, warm, success: flow.success, holds: flow.holds };
        cases += swept
            .sweep(
                async || begin(warm).await,
                async |world, (ada, bob)| request(flow, world, ada, bob).await,
                async |world, (ada, bob), label| {
                    // An isolate that could not read its keys asks again after a second.
                    world.host.clock.advance(Duration::from_secs(1));
                    let answer = request(flow, world, ada, bob).await;
                    let done = answer.status == flow.success || Some(answer.status) == flow.told_after;
                    assert!(done, "{label}, again: {answer:?}");
                    (flow.holds)(world, answer.status == flow.success);
                },
            )
            .await;
    }
    assert!(cases >= 150, "only {cases} cases");
}
