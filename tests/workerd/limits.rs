//! Limits as the objects count them.

use std::{collections::HashMap, path::PathBuf, thread, time::Duration};

use serde_json::json;

use crate::{
    client::{Client, PASSWORD},
    races::{at_once, statuses},
    server::Server,
};

/// What an object does by itself is looked for this often …
const PAUSE: Duration = Duration::from_millis(50);
/// … and so many times: for two minutes, since an alarm that goes off again waits for one.
const LOOKS: usize = 2400;

pub fn fifty_of_two_hundred_at_once_are_admitted(server: &Server) {
    let address = server.address();
    let answers = at_once(200, || server.send("GET", "/demo/busy/x", &[("cf-connecting-ip", &address)], ""));
    assert_eq!(statuses(&answers), HashMap::from([(200, 50), (429, 150)]));
    let stored = server.admitted("route:demo.busy");
    assert!(stored.iter().any(|(_, sum)| *sum == 50), "what was admitted is stored: {stored:?}");
    assert!(stored.iter().all(|(_, sum)| *sum <= 50), "what was refused is not: {stored:?}");
}

pub fn what_one_limit_refuses_is_charged_to_no_other(server: &Server) {
    let user = server.user("weighty");
    let get = |path: &str| server.get(path, Some(&user.access));
    let answers = at_once(10, || get("/demo/costly/x"));
    assert_eq!(statuses(&answers), HashMap::from([(200, 2), (429, 8)]));
    // The two weigh five each: of twenty, ten are left.
    let answers = at_once(15, || get("/demo/cheap/x"));
    assert_eq!(statuses(&answers), HashMap::from([(200, 10), (429, 5)]));
    let refused = get("/demo/cheap/x").expect(429);
    assert_eq!((refused.header("x-ratelimit-limit"), refused.header("x-ratelimit-remaining")), (Some("20"), Some("0")));
}

pub fn three_an_hour_register_from_one_address(server: &Server) {
    let address = server.address();
    let register = |name: &str| {
        let email = format!("{name}@example.org");
        server.try_register_from(&address, &json!({ "username": name, "email": email, "password": PASSWORD }))
    };
    for (name, left) in [("first-one", "2"), ("second-one", "1"), ("third-one", "0")] {
        assert_eq!(register(name).expect(201).header("x-ratelimit-remaining"), Some(left));
    }
    assert!(register("fourth-one").expect(429).header("retry-after").is_some());
    assert_eq!(server.count("SELECT COUNT(*) FROM users WHERE username = 'fourth-one'"), 0);
}

pub fn what_was_counted_outlives_a_restart(server: &Server) {
    let user = server.user("counted-on");
    let get = |path: &str| server.get(path, Some(&user.access));
    get("/demo/costly/x").expect(200);
    for _ in 0..10 {
        get("/demo/cheap/x").expect(200);
    }
    server.restart();
    for left in (0..5).rev() {
        let answer = get("/demo/cheap/x").expect(200);
        assert_eq!(answer.header("x-ratelimit-remaining"), Some(left.to_string().as_str()));
    }
    get("/demo/cheap/x").expect(429);
    get("/demo/costly/x").expect(429);
}

pub fn an_idle_object_deletes_itself(server: &Server) {
    let address = server.address();
    let files = || server.admitted("route:demo.brief").into_iter().map(|(path, _)| path);
    let before: Vec<_> = files().collect();
    let new = || files().find(|path| !before.contains(path));
    let file: PathBuf = until("it stores what it admits", || {
        server.send("GET", "/demo/brief/x", &[("cf-connecting-ip", &address)], "").expect(200);
        new()
    });
    until("it deletes itself", || files().all(|path| path != file).then_some(()));
    // And counts from the beginning when it is asked again.
    let again = server.send("GET", "/demo/brief/x", &[("cf-connecting-ip", &address)], "").expect(200);
    assert_eq!(again.header("x-ratelimit-remaining"), Some("19"));
}

pub fn what_is_over_is_deleted_while_it_counts(server: &Server) {
    let address = server.address();
    let stored = || server.admitted("route:demo.brief");
    let before: Vec<_> = stored().into_iter().map(|(path, _)| path).collect();
    let mut admitted = 0;
    until("rows are deleted", || {
        // What is kept for longer stands beside it.
        if admitted == 0 {
            server.send("GET", "/demo/busy/x", &[("cf-connecting-ip", &address)], "").expect(200);
        }
        let answer = server.send("GET", "/demo/brief/x", &[("cf-connecting-ip", &address)], "");
        admitted += i64::from(answer.status == 200);
        // Twenty a window, and at most 64 that are over.
        let mine = || stored().into_iter().filter(|(path, _)| !before.contains(path)).map(|(_, sum)| sum).max();
        (admitted > 90).then(mine).flatten().filter(|sum| *sum < 30)
    });
}

/// Looks until there is something to be seen.
fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    for _ in 0..LOOKS {
        if let Some(seen) = look() {
            return seen;
        }
        thread::sleep(PAUSE);
    }
    panic!("{what}: not in time");
}
