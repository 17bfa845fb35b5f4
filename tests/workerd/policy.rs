//! The policy, put live in the real Worker.

use serde_json::{Value, json};

use crate::{
    client::{Answer, Client, SignedIn},
    keys::root,
    server::Server,
};

const POLICY: &str = "/api/v1/admin/policy";

fn ask(server: &Server, user: &SignedIn, method: &str, path: &str, body: &Value) -> Answer {
    let bearer = format!("Bearer {}", user.access);
    let headers = [("content-type", "application/json"), ("authorization", bearer.as_str())];
    server.send(method, &format!("{POLICY}{path}"), &headers, body.to_string())
}

fn policy(routes: &[(&str, &str, &str)]) -> String {
    let route = |(id, path, access): &(&str, &str, &str)| {
        format!("[[route]]\nid = \"{id}\"\npath = \"{path}\"\norigin = \"demo\"\naccess = \"{access}\"\n")
    };
    format!("version = 1\n{}", routes.iter().map(route).collect::<String>())
}

fn status(server: &Server, path: &str) -> u16 {
    server.get(path, None).status
}

/// It decides at once, also after a restart; what is tried beside it decides nothing; and the file comes back.
pub fn a_policy_is_put_live_tried_and_rolled_back(server: &Server) {
    let user = root(server, "lawgiver");
    let put = |body: &Value| ask(server, &user, "PUT", "", body);
    let text = policy(&[("live", "/live/{*rest}", "public"), ("kept", "/demo/private/{*rest}", "authenticated")]);
    let refused = put(&json!({ "policy": text.replace("demo\"", "elsewhere\"") })).expect(422);
    assert!(refused.body.to_string().contains("there is no origin"), "{refused:?}");
    // What no instance has the stack for is refused before it is built.
    let deep = policy(&[("deep", &"/a".repeat(100_000), "public")]);
    put(&json!({ "policy": deep })).expect(422);
    assert_eq!(status(server, "/live/x"), 404);

    let answer = put(&json!({ "policy": text, "note": "of a test" })).expect(200);
    assert_eq!(answer.str("/source"), "live");
    assert_eq!((status(server, "/live/x"), status(server, "/demo/public/x")), (200, 404));
    server.get("/demo/private/x", Some(&user.access)).expect(200);
    // A fresh isolate has it of the edge bundle, or of the record.
    server.restart();
    assert_eq!((status(server, "/live/x"), status(server, "/demo/public/x")), (200, 404));

    let tried = policy(&[("tried", "/live/{*rest}", "authenticated")]);
    put(&json!({ "policy": tried, "mode": "shadow" })).expect(200);
    assert_eq!(status(server, "/live/x"), 200, "it decides nothing");
    let line = server.logged("\"kind\":\"shadow\"").expect("but is heard of");
    assert!(line.contains("\"status\":401") && line.contains("\"route\":\"tried\""), "{line}");
    let shown = ask(server, &user, "GET", "", &Value::Null).expect(200);
    assert_eq!(shown.body["candidate"]["differed"], json!(1), "{shown:?}");
    let question = json!({ "method": "GET", "url": "http://127.0.0.1/live/x", "under": "candidate" });
    let explained = ask(server, &user, "POST", "/explain", &question).expect(200);
    assert_eq!(explained.body["status"], json!(401), "{explained:?}");

    let versions = ask(server, &user, "GET", "/versions", &Value::Null).expect(200);
    assert_eq!(versions.body["items"][1]["note"], json!("of a test"));
    ask(server, &user, "POST", "/rollback", &json!({ "version": 0 })).expect(200);
    assert_eq!((status(server, "/live/x"), status(server, "/demo/public/x")), (404, 200));

    // As large as it may be: read, kept in D1 and KV, and read again by a fresh isolate.
    let large = format!("{text}#{}\n", "é".repeat(500_000));
    put(&json!({ "policy": large })).expect(200);
    server.restart();
    assert_eq!(status(server, "/live/x"), 200);
    put(&json!({ "policy": "#".repeat(1024 * 1024 + 1) })).expect(422);
    ask(server, &user, "POST", "/rollback", &json!({ "version": 0 })).expect(200);
    assert_eq!((status(server, "/live/x"), status(server, "/demo/public/x")), (404, 200));
}
