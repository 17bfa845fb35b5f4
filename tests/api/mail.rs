//! Mails: written with what they tell of, sent beside the answer or by the cron, once each.

use std::time::Duration;

use edgewarden::{domain::mail::Mail, native::switchboard::Plan, ports::Value as Sql};
use serde_json::{Value, json};

use crate::harness::{PASSWORD, URL, World};

pub const MINUTE: Duration = Duration::from_mins(1);

/// Sends what is due, as it happens beside an answer, and gives what has arrived so far.
pub async fn deliver(world: &World) -> Vec<Mail> {
    world.isolate.app.do_chores().await;
    world.host.mailer.sent()
}

/// The token in a mail.
pub fn token_in(mail: &Mail) -> String {
    let (_, rest) = mail.text.split_once("#token=").unwrap_or_else(|| panic!("no token in {}", mail.text));
    rest.split_whitespace().next().unwrap().to_owned()
}

/// Sends what is due, and gives the token in the mail that came last.
pub async fn last_token(world: &World) -> String {
    token_in(deliver(world).await.last().unwrap())
}

/// The state of each row, the oldest first.
pub fn states(world: &World) -> Vec<String> {
    let rows = world.host.database.look("SELECT state FROM mail_outbox ORDER BY created_at", &[]).unwrap();
    rows.0.iter().map(|row| row["state"].as_str().unwrap().to_owned()).collect()
}

/// How many lines of the log are about something that went wrong.
pub fn faults(world: &World, what: &str) -> usize {
    world.host.log.lines().iter().filter(|line| line.contains(&format!("\"what\":\"{what}\""))).count()
}

#[tokio::test]
async fn a_registration_is_answered_before_its_mail_is_sent() {
    let world = World::new();
    world.host.switchboard.set(Plan::Healthy);
    world.register("ada", None).await;
    assert_eq!(world.host.switchboard.count("mailer"), 0);
    assert!(world.isolate.app.chores_are_due());
    let sent = deliver(&world).await;
    assert!(!world.isolate.app.chores_are_due());
    let [mail] = &sent[..] else { panic!("{sent:?}") };
    assert_eq!(mail.to.as_str(), "ada@example.org");
    assert_eq!(mail.from.header(), "no-reply@auth.example.com");
    assert_eq!(mail.subject.as_str(), "Confirm your email address for Edgewarden");
    for part in [&mail.text, &mail.html] {
        assert!(part.contains(&format!("{URL}/verify-email#token=ewm_k1_")), "{part}");
    }
    assert_eq!(states(&world), ["sent"]);
    world.host.switchboard.set(Plan::Healthy);
    world.isolate.app.do_chores().await;
    assert!(world.host.switchboard.calls().is_empty(), "nothing was noted");
    world.isolate.app.deliver_mails().await.unwrap();
    assert_eq!(world.host.switchboard.calls(), ["database"], "nothing is due");
}

#[tokio::test]
async fn what_was_not_made_is_told_to_nobody() {
    let world = World::new();
    world.register("ada", None).await;
    deliver(&world).await;
    let body = json!({ "username": "ada", "email": "bob@example.org", "password": PASSWORD });
    world.isolate.post("/api/v1/users/register", &body).await.expect(409);
    assert!(!world.isolate.app.chores_are_due());
    assert_eq!(states(&world), ["sent"]);
}

#[tokio::test]
async fn links_look_as_they_are_configured() {
    let world = World::with(&[
        ("PAGES_PREFIX", "/account"),
        ("APP_NAME", "Example"),
        ("MAIL_FROM", "Example <hello@example.com>"),
        ("ACCENT", "#102030"),
        ("LOGO_URL", "https://example.com/logo.png"),
    ]);
    world.register("ada", None).await;
    let mail = deliver(&world).await.remove(0);
    assert_eq!(mail.from.header(), "Example <hello@example.com>");
    assert!(mail.text.contains("https://auth.example.com/account/verify-email#token="));
    assert!(
        mail.html.contains("#102030") && mail.html.contains("src=\"https://example.com/logo.png\" alt=\"Example\"")
    );
}

#[tokio::test]
async fn no_row_can_inject_a_header_or_markup() {
    let world = World::new();
    world.register("ada", None).await;
    world
        .host
        .database
        .look("UPDATE mail_outbox SET recipient = 'a@b.org' || char(13, 10) || 'Bcc: c@d.org'", &[])
        .unwrap();
    assert!(deliver(&world).await.is_empty());
    assert_eq!(states(&world), ["dead"]);
    world.host.clock.advance(MINUTE);
    world.register("bob", None).await;
    let details =
        json!({ "username": "<img src=x>", "ip": "<b>", "user_agent": "<script>x</script>\r\nX: y" }).to_string();
    let sql = "UPDATE mail_outbox SET kind = 'new_device', details = ?1 WHERE state = 'pending'";
    world.host.database.look(sql, &[details.into()]).unwrap();
    let mail = deliver(&world).await.remove(0);
    assert!(
        !mail.html.contains("<img") && !mail.html.contains("<b>") && !mail.html.contains("script"),
        "{}",
        mail.html
    );
    assert!(!mail.subject.as_str().contains(['\r', '\n', '<']));
}

#[tokio::test]
async fn no_token_is_kept_or_logged() {
    let world = World::new();
    world.register("ada", None).await;
    let token = last_token(&world).await;
    let rows = world.host.database.look("SELECT * FROM mail_outbox", &[]).unwrap();
    let kept = format!("{:?}{:?}", rows.0, world.host.log.lines());
    assert!(!kept.contains(&token) && !kept.contains(&token[token.len() - 40..]), "{kept}");
}

#[tokio::test]
async fn developers_see_all_mails_and_the_world_none() {
    let world = World::new();
    world.register("ada", None).await;
    world.host.clock.advance(MINUTE);
    world.register("bob", None).await;
    let development = World::isolate_over(&world.host, &[("ENVIRONMENT", "development")]);
    let head = format!("GET\n{URL}/dev/outbox");
    assert!(development.is_own(&head));
    let list = development.get("/dev/outbox", None).await.expect(200).body;
    let to: Vec<_> = list["items"].as_array().unwrap().iter().map(|mail| mail["to"].as_str().unwrap()).collect();
    assert_eq!(to, ["bob@example.org", "ada@example.org"]);
    let sent = deliver(&world).await;
    assert_eq!(list["items"][1]["text"], sent[0].text, "it is what is sent");
    let names: Vec<_> = list["items"][0].as_object().unwrap().keys().collect();
    assert_eq!(names, ["html", "subject", "text", "to"]);
    // In production there is no such path: neither the gateway's nor ours.
    assert!(!world.isolate.is_own(&head));
    world.isolate.proxy(&head).await.expect(404);
    world.isolate.get("/dev/outbox", None).await.expect(404);
}

/// What somebody was told, and what was asked for it: ports, and statements.
pub type Told = (u16, Value, Vec<String>, Vec<&'static str>, Vec<&'static str>);

/// Asks for something from an address that nobody else has.
pub async fn asked(world: &World, path: &str, body: &Value) -> Told {
    world.host.switchboard.set(Plan::Healthy);
    drop(world.host.database.plans());
    let ip = format!("198.51.100.{}", world.count("SELECT COUNT(*) FROM mail_outbox"));
    let answer = world.isolate.post_from(&ip, path, body).await;
    let headers = answer.headers.keys().map(ToString::to_string).collect();
    let statements = world.host.database.plans().unwrap().into_iter().map(|(sql, _)| sql).collect();
    (answer.status, answer.body, headers, world.host.switchboard.calls(), statements)
}

/// Has something of a user changed behind everyone's back.
pub fn change(world: &World, sql: &'static str, username: &str) {
    let params: [Sql; 1] = [username.into()];
    world.host.database.look(sql, &params).unwrap();
}
