//! `GET admin/users`: finding accounts, page by page.

use std::{collections::BTreeSet, time::Duration};

use serde_json::Value;

use crate::{
    admin_users::{admin, found},
    harness::{SignedIn, World},
};

/// All pages of a list.
async fn all(world: &World, who: &SignedIn, query: &str) -> Vec<String> {
    let (mut names, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = admin(world, who, "GET", &format!("?{query}{cursor}"), &Value::Null).await.expect(200);
        let items = page.body["items"].as_array().unwrap().iter();
        names.extend(items.map(|user| user["username"].as_str().unwrap().to_owned()));
        match page.body.get("next_cursor") {
            Some(next) => cursor = format!("&cursor={}", next.as_str().unwrap()),
            None => return names,
        }
    }
}

#[tokio::test]
async fn accounts_are_found_by_how_they_begin() {
    let world = World::new();
    let chief = world.user("chief", Some("moderator")).await;
    for name in ["anna", "anton", "bert", "carla"] {
        world.host.clock.advance(Duration::from_secs(1));
        world.register(name, None).await;
    }
    for sql in [
        "UPDATE users SET full_name = 'Anders Aal' WHERE username = 'bert'",
        "UPDATE users SET email = 'An@example.net', email_key = 'an@example.net' WHERE username = 'carla'",
        "UPDATE users SET is_active = 0 WHERE username = 'anton'",
    ] {
        world.host.database.look(sql, &[]).unwrap();
    }
    assert_eq!(found(&world, &chief, "").await, ["carla", "bert", "anton", "anna", "chief"], "the newest first");
    for query in ["an", "AN", "%20An%20"] {
        assert_eq!(
            found(&world, &chief, &format!("?query={query}")).await,
            ["anna", "anton", "carla", "bert"],
            "{query}"
        );
    }
    for (query, names) in [
        ("?query=anna", vec!["anna"]),
        ("?query=anders%20a", vec!["bert"]),
        ("?query=an@", vec!["carla"]),
        ("?query=an&active=false", vec!["anton"]),
        ("?active=false", vec!["anton"]),
        ("?active=true&limit=2", vec!["carla", "bert"]),
        ("?role=moderator", vec!["chief"]),
        ("?role=user&query=anna", vec!["anna"]),
        ("?role=moderator&query=anna", vec![]),
        ("?role=nobody", vec![]),
        ("?query=%25", vec![]),
        ("?query=nna", vec![]),
        ("?query=", vec!["carla", "bert", "anton", "anna", "chief"]),
    ] {
        assert_eq!(found(&world, &chief, query).await, names, "{query}");
    }
    let long = "x".repeat(201);
    for query in
        ["?active=1", "?role=A", "?limit=0", "?cursor=x", "?q=an", "?query=a&query=b", &format!("?query={long}")]
    {
        admin(&world, &chief, "GET", query, &Value::Null).await.expect(422);
    }
    let never = admin(&world, &chief, "GET", "", &Value::Null).await.expect(200).body.to_string();
    assert!(!never.contains("argon2") && !never.contains("password"), "{never}");
}

#[tokio::test]
async fn pages_have_everyone_once_whoever_comes_meanwhile() {
    let world = World::new();
    let chief = world.user("chief", Some("admin")).await;
    let many = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
      INSERT INTO users (id, username, email, email_key, full_name, password_hash, is_active, created_at, updated_at)
      SELECT printf('00000000-0000-7000-8000-%012d', i), printf('u%05d', i), printf('m%05d@x.org', i),
        printf('m%05d@x.org', i), CASE WHEN i % 3 = 0 THEN 'Same Name' ELSE '' END, '', i % 1500 > 0, 0, 0 FROM n";
    world.host.database.look(many, &[]).unwrap();
    world.host.database.look("INSERT INTO user_roles (user_id, role, granted_at) SELECT id, 'user', 0 FROM users WHERE username <> 'chief'", &[]).unwrap();
    for (query, count) in [
        ("limit=100", 3001),
        ("limit=100&query=u", 3000),
        ("limit=99&query=m01", 1000),
        ("limit=100&query=same", 1000),
        ("limit=100&role=user", 3001),
        // Few of many: most pages have nobody, and say that there is more.
        ("role=user&active=false", 2),
        ("query=u&active=false", 2),
        ("query=u&role=moderator", 0),
        ("limit=1&active=false", 2),
    ] {
        let names = all(&world, &chief, query).await;
        assert_eq!((names.len(), names.iter().collect::<BTreeSet<_>>().len()), (count, count), "{query}");
    }
    let first = admin(&world, &chief, "GET", "?limit=2&query=u0", &Value::Null).await.expect(200);
    world.host.database.look("UPDATE users SET username = 'u00000' WHERE username = 'u02000'", &[]).unwrap();
    let second = format!("?limit=2&query=u0&cursor={}", first.text("/next_cursor"));
    assert_eq!(found(&world, &chief, &second).await, ["u00003", "u00004"]);
}
