//! `edgewarden import`, from the file to the sign-in.

use edgewarden::{
    native::{
        commands::Outcome,
        import::{Import, command::run},
    },
    ports::Rows,
};
use serde_json::{Value, json};

use crate::harness::{PASSWORD, World};

const BCRYPT: &str = "$2b$04$abcdefghijklmnopqrstuuIhSHOYW62MYzOCiBO1FrAHfyr5D9TxS";
const PBKDF2: &str = "$pbkdf2-sha256$1000$....................IQ$A65lzg7QeiZPoA/hxj0skNupX.oYIVBkIDiFZGnmXCI";

fn line(username: &str, mut changes: Value) -> String {
    let mut line = json!({
        "username": username,
        "email": format!("{username}@example.org"),
        "password_hash": BCRYPT,
    });
    line.as_object_mut().unwrap().append(changes.as_object_mut().unwrap());
    format!("{line}\n")
}

/// Everything that an import writes to.
fn everything(world: &World) -> String {
    [
        "SELECT * FROM users ORDER BY id",
        "SELECT * FROM user_roles ORDER BY user_id, role",
        "SELECT * FROM audit_events ORDER BY id",
    ]
    .map(|sql| format!("{:?}", world.host.database.look(sql, &[]).unwrap()))
    .join("\n")
}

/// Puts a file's users into the database, and says what was there: (line, what).
fn put(world: &World, file: &str) -> Vec<(i64, String)> {
    let rows = world.host.database.script(&Import::read(file.as_bytes()).statements).unwrap();
    let found = |rows: Rows| rows.0.into_iter().filter(|row| row.contains_key("found"));
    let told = |row: serde_json::Map<String, Value>| {
        (row["line"].as_i64().unwrap(), row["found"].as_str().unwrap().to_owned())
    };
    rows.into_iter().flat_map(found).map(told).collect()
}

fn told(lines: &[(i64, &str)]) -> Vec<(i64, String)> {
    lines.iter().map(|(line, what)| (*line, (*what).to_owned())).collect()
}

#[tokio::test]
async fn who_is_imported_signs_in_and_is_who_they_were() {
    let world = World::new();
    let file = [
        line(
            "Ada",
            json!({ "full_name": "Ada; O'Brien -- 🐎", "email_verified": true, "roles": ["user", "moderator"],
                            "created_at": "2020-02-29T12:00:00.5+01:00" }),
        ),
        "\n".to_owned(),
        line("bob", json!({ "password_hash": PBKDF2, "email": "Bob.B@Example.org" })),
        line("cyd", json!({ "is_active": false })),
    ]
    .concat();
    assert_eq!(put(&world, &file), told(&[(1, "new"), (3, "new"), (4, "new")]));
    assert_eq!((world.audited("user_imported"), world.count("SELECT COUNT(*) FROM user_roles")), (3, 4));
    let ada = world.isolate.try_sign_in("192.0.2.1", "ada", PASSWORD).await.expect(200);
    let me = world.isolate.get("/api/v1/users/me", Some(ada.text("/access_token"))).await.expect(200);
    assert_eq!((me.text("/full_name"), me.text("/created_at")), ("Ada; O'Brien -- 🐎", "2020-02-29T11:00:00.500Z"));
    assert_eq!((&me.body["email_verified"], &me.body["roles"]), (&json!(true), &json!(["moderator", "user"])));
    world.isolate.try_sign_in("192.0.2.2", "bob.b@example.org", PASSWORD).await.expect(200);
    world.isolate.try_sign_in("192.0.2.3", "cyd", PASSWORD).await.expect(401);
}

#[tokio::test]
async fn the_second_time_changes_nothing() {
    let world = World::new();
    let file = [
        line("ada", json!({})),
        line("bob", json!({ "roles": ["user", "admin"], "created_at": "2020-01-01T00:00:00Z" })),
    ]
    .concat();
    put(&world, &file);
    let first = everything(&world);
    assert_eq!(put(&world, &file), told(&[(1, "same"), (2, "same")]));
    assert_eq!(everything(&world), first);
    // Nor once they have lived here: signed in, changed, lost a role, lost all.
    world.isolate.try_sign_in("192.0.2.1", "ada", PASSWORD).await.expect(200);
    let end = "UPDATE users SET token_version = 2, full_name = 'Bob' WHERE username = 'bob'";
    for sql in ["DELETE FROM user_roles WHERE role = 'admin'", "DELETE FROM user_roles WHERE granted_at > 0", end] {
        world.host.database.look(sql, &[]).unwrap();
    }
    world
        .host
        .database
        .look(
            "INSERT INTO user_roles (user_id, role, granted_at) SELECT id, 'user', 0 FROM users WHERE username = 'ada'",
            &[],
        )
        .unwrap();
    world.host.database.look("DELETE FROM audit_events", &[]).unwrap();
    let lived = everything(&world);
    assert_eq!(put(&world, &file), told(&[(1, "same"), (2, "differs")]));
    assert_eq!(everything(&world), lived);
    // A changed line of who is there is left alone, and told.
    let changed = line("ada", json!({ "email": "other@example.org" })) + &line("bob", json!({ "full_name": "Robert" }));
    assert_eq!(put(&world, &changed), told(&[(1, "differs"), (2, "username taken")]));
    assert_eq!(everything(&world), lived);
}

#[tokio::test]
async fn who_was_here_before_keeps_name_address_and_roles() {
    let world = World::new();
    world.register("ada", None).await;
    let before = everything(&world);
    let file = line("ada", json!({ "roles": ["admin"], "email": "other@example.org" }))
        + &line("other", json!({ "roles": ["admin"], "email": "ADA@example.org" }));
    assert_eq!(put(&world, &file), told(&[(1, "username taken"), (2, "email taken")]));
    assert_eq!(everything(&world), before);
}

#[tokio::test]
async fn with_a_role_that_does_not_exist_nobody_is_half_imported() {
    let world = World::new();
    let file = line("ada", json!({ "roles": ["user", "wizard"] })) + &line("bob", json!({}));
    assert_eq!(put(&world, &file), told(&[(1, "no such role"), (2, "new")]));
    assert_eq!((world.count("SELECT COUNT(*) FROM users"), world.audited("user_imported")), (1, 1));
    world.host.database.look("INSERT INTO roles (name) VALUES ('wizard')", &[]).unwrap();
    assert_eq!(put(&world, &file), told(&[(1, "new"), (2, "same")]));
    assert_eq!(world.count("SELECT COUNT(*) FROM user_roles"), 3);
}

#[tokio::test]
async fn what_was_broken_off_is_finished_by_the_next_time() {
    let file = line("ada", json!({ "roles": ["user", "admin"] })) + &line("bob", json!({}));
    let statements = Import::read(file.as_bytes()).statements;
    for put_before in 0..statements.len() {
        let world = World::new();
        world.host.database.script(&statements[..put_before]).unwrap();
        put(&world, &file);
        let counts = [
            world.count("SELECT COUNT(*) FROM users"),
            world.count("SELECT COUNT(*) FROM user_roles"),
            world.audited("user_imported"),
        ];
        assert_eq!(counts, [2, 3, 2], "after {put_before} statements");
    }
}

#[tokio::test]
async fn thousands_fit_and_no_statement_goes_through_a_table() {
    let world = World::new();
    // Names that are as long in SQL as they get.
    let name = "ž🐎".repeat(50);
    let file: String = (0..1000).map(|number| line(&format!("user{number}"), json!({ "full_name": name }))).collect();
    let import = Import::read(file.as_bytes());
    assert_eq!((import.users, import.refused.len()), (1000, 0));
    assert!(import.statements.iter().all(|sql| sql.len() < 100_000));
    assert!(import.statements.len() >= 40);
    assert_eq!(put(&world, &file).len(), 1000);
    assert_eq!((world.count("SELECT COUNT(*) FROM user_roles"), world.audited("user_imported")), (1000, 1000));
    for sql in import.statements.iter().take(8) {
        let rows = world.host.database.script(&[format!("EXPLAIN QUERY PLAN {sql}")]).unwrap();
        for row in &rows[0].0 {
            let detail = row["detail"].as_str().unwrap();
            // The lines themselves, and a line's own roles, are gone through.
            let may = ["SCAN new", "SCAN fresh", "SCAN wanted", "CONSTANT ROW"].iter().any(|may| detail.contains(may));
            let scans = detail.contains("SCAN") && !may;
            assert!(!scans && !detail.contains("AUTOMATIC"), "{detail}\n{rows:?}");
        }
    }
}

#[tokio::test]
async fn the_command_tells_every_refused_line_and_writes_the_others() {
    let file = [
        line("ada", json!({})),
        line("bob", json!({ "password_hash": "$argon2id$v=19$m=4194304,t=1,p=1$AAAAAAAAAAAA$AAAA", "admin": true })),
        "not json\n".to_owned(),
        line("ADA", json!({ "email": "other@example.org" })),
        line("cyd", json!({ "email": "Ada@EXAMPLE.org" })),
        line("dan", json!({ "roles": ["super_admin"] })),
        line("eve", json!({})),
    ]
    .concat();
    let call = |arguments: &[&str], mut input: &[u8]| {
        let (mut output, mut errors) = (Vec::new(), Vec::new());
        let arguments = arguments.iter().map(ToString::to_string);
        let outcome = run(arguments, &mut input, &mut output, &mut errors);
        (outcome, String::from_utf8(output).unwrap(), String::from_utf8(errors).unwrap())
    };
    let (outcome, sql, errors) = call(&["import"], file.as_bytes());
    assert_eq!(outcome, Outcome::Faulty);
    let refused: Vec<_> = errors.lines().filter_map(|line| line.strip_prefix("line ")).collect();
    let wanted = [
        "2: ",
        "3: is not one JSON",
        "4: username is that of line 1",
        "5: email is that of line 1",
        "6: roles must not hold super_admin",
    ];
    assert_eq!(refused.len(), wanted.len(), "{errors}");
    assert!(refused.iter().zip(wanted).all(|(line, wanted)| line.starts_with(wanted)), "{errors}");
    assert!(refused[0].contains("\"admin\" is not a field") && refused[0].contains("64 MiB"), "{errors}");
    assert!(errors.contains("users written: 2, lines refused: 5"), "{errors}");
    assert_eq!(call(&["import"], file.as_bytes()).1, sql, "the same each time");

    // The text, split at its ends of line as any reader does, is the statements.
    let world = World::new();
    let statements: Vec<_> = sql.lines().map(|line| line.strip_suffix(';').unwrap().to_owned()).collect();
    assert_eq!(statements, Import::read(file.as_bytes()).statements);
    world.host.database.script(&statements).unwrap();
    assert_eq!(world.count("SELECT COUNT(*) FROM users"), 2);

    let (outcome, sql, _) = call(&["import"], line("ada", json!({})).as_bytes());
    assert_eq!((outcome, sql.is_empty()), (Outcome::Good, false));
    assert_eq!(call(&["import"], b"").0, Outcome::Good);
    assert_eq!(call(&["import", "/nowhere/users.ndjson"], b"").0, Outcome::Failed);
    let (outcome, sql, errors) = call(&["export"], b"");
    assert_eq!((outcome, sql.as_str()), (Outcome::Failed, ""));
    assert!(errors.starts_with("usage:"), "{errors}");
}
