//! Browsers that go somewhere without being signed in.

use crate::harness::{Proxied, URL, World};

const HTML: &str = "accept\ntext/html,application/xhtml+xml;q=0.9,*/*;q=0.8";

fn header<'a>(proxied: &'a Proxied, name: &str) -> Option<&'a str> {
    proxied.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
}

#[tokio::test]
async fn a_browser_is_shown_where_to_sign_in_and_comes_back() {
    let world = World::new();
    for (asked, back) in [
        ("/demo/private/x", "%2Fdemo%2Fprivate%2Fx"),
        ("/demo/session/%61b?q=a%26b&r=/x", "%2Fdemo%2Fsession%2Fab%3Fq%3Da%2526b%26r%3D%2Fx"),
    ] {
        for more in
            ["", "\nsec-fetch-mode\nnavigate\nsec-fetch-dest\ndocument", "\ncookie\n__Host-edgewarden=ews_k1_forged"]
        {
            let answer = world.isolate.proxy(&format!("GET\n{URL}{asked}\n{HTML}{more}")).await.expect(302);
            assert_eq!(header(&answer, "location"), Some(format!("/login?return_to={back}").as_str()));
            assert_eq!(header(&answer, "cache-control"), Some("no-store"));
        }
    }
    let log = world.host.log.lines().join("\n");
    assert!(log.contains("\"reason\":\"sign_in\""), "{log}");
    // What comes back is a path that the sign-in takes.
    world.register("ada", None).await;
    let form = "username=ada&password=Correct-Horse-7&return_to=%2Fdemo%2Fsession%2Fab%3Fq%3Da%2526b%26r%3D%2Fx";
    let request = http::Request::post("/api/v1/auth/login")
        .header("content-type", "application/x-www-form-urlencoded")
        .header("origin", URL)
        .body(form.into());
    let answer = world.isolate.send(request.unwrap()).await.expect(303);
    assert_eq!(answer.header("location"), Some("/demo/session/ab?q=a%26b&r=/x"));
}

#[tokio::test]
async fn whoever_asks_for_anything_else_is_told_401() {
    let world = World::with(&[("ALLOWED_HOSTS", "www.example.com")]);
    for request in [
        format!("GET\n{URL}/demo/private/x"),
        format!("GET\n{URL}/demo/private/x\naccept\napplication/json"),
        format!("GET\n{URL}/demo/private/x\naccept\n*/*"),
        format!("POST\n{URL}/demo/private/x\n{HTML}"),
        format!("HEAD\n{URL}/demo/private/x\n{HTML}"),
        format!("GET\n{URL}/demo/private/x\n{HTML}\nsec-fetch-mode\ncors"),
        format!("GET\n{URL}/demo/private/x\n{HTML}\nsec-fetch-dest\niframe"),
        format!("GET\n{URL}/demo/private/x\n{HTML}\nauthorization\nBasic YTpi"),
        format!("GET\n{URL}/demo/private/x\n{HTML}\nauthorization\nBearer bad"),
        // No cookie opens this one, and on another host ours is not sent.
        format!("GET\n{URL}/demo/key/x\n{HTML}"),
        format!("GET\nhttps://www.example.com/demo/private/x\n{HTML}"),
    ] {
        let answer = world.isolate.proxy(&request).await.expect(401);
        assert_eq!(header(&answer, "location"), None, "{request}");
    }
    // Who is known and may not is told that.
    let ada = world.user("ada", None).await;
    let request = format!("GET\n{URL}/demo/admin/x\n{HTML}\nauthorization\nBearer {}", ada.access);
    world.isolate.proxy(&request).await.expect(403);
    let browser = world.isolate.log_in("ada").await;
    let request = format!("GET\n{URL}/demo/admin/x\n{HTML}\ncookie\n{}", browser.cookie);
    world.isolate.proxy(&request).await.expect(403);
}

#[tokio::test]
async fn what_is_too_long_is_not_gone_back_to() {
    let world = World::new();
    let long = "a".repeat(2048);
    let answer = world.isolate.proxy(&format!("GET\n{URL}/demo/private/x?{long}\n{HTML}")).await.expect(302);
    assert_eq!(header(&answer, "location"), Some("/login"));
}

#[tokio::test]
async fn nobody_is_led_to_a_page_that_is_not_there() {
    let world = World::with(&[("PAGES_PREFIX", "/pages")]);
    world.isolate.proxy(&format!("GET\n{URL}/demo/private/x\n{HTML}")).await.expect(401);
}
