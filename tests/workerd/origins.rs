//! What an origin may do to an answer: nothing that reaches beyond its own routes, and nothing that
//! breaks the gateway.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
    thread,
};

use base64ct::{Base64, Encoding};

use crate::{
    client::Client,
    server::{Beside, Server},
};

/// "hello" in gzip.
const GZIP: &[u8] = &[31, 139, 8, 0, 0, 0, 0, 0, 0, 3, 203, 72, 205, 201, 201, 7, 0, 134, 166, 16, 54, 5, 0, 0, 0];

/// Connections for `/flaky`, and for `/broken`.
static FLAKY: AtomicUsize = AtomicUsize::new(0);
static BROKEN: AtomicUsize = AtomicUsize::new(0);

/// An origin that misbehaves by path, and the Worker before it. The sender lets `/stream` go on.
struct Strange {
    worker: Beside,
    go_on: Sender<()>,
}

fn strange(server: &Server) -> Strange {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let (go_on, gate) = channel();
    let gate = Arc::new(std::sync::Mutex::new(gate));
    // It ends with the process: nobody waits for it.
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let gate = gate.clone();
            thread::spawn(move || misbehave(stream, &gate.lock().unwrap_or_else(std::sync::PoisonError::into_inner)));
        }
    });
    let worker = server.try_beside(&[("DEMO_ORIGIN", &origin)]).unwrap_or_else(|log| panic!("no start:\n{log}"));
    Strange { worker, go_on }
}

/// Answers one request.
fn misbehave(mut stream: TcpStream, gate: &Receiver<()>) {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read == 1) {
        request.push(byte[0]);
    }
    let request = String::from_utf8_lossy(&request).into_owned();
    let lower = request.to_lowercase();
    let mut say = |text: &str| {
        let _ = stream.write_all(text.as_bytes());
        let _ = stream.flush();
    };
    let evil = "set-cookie: a=1\r\nset-cookie: __Host-edgewarden=evil\r\nset-cookie: =__host-EDGEWARDEN-x=evil\r\n\
                set-cookie: __Host-edgewarden\r\nset-cookie: b=2\r\nclear-site-data: \"*\"\r\n\
                service-worker-allowed: /\r\nx-request-id: forged\r\nx-theirs: stays\r\n\
                x-frame-options: SAMEORIGIN\r\ncontent-security-policy: default-src *\r\n";
    match request.split(' ').nth(1).unwrap_or_default() {
        "/demo/public/cookies" => {
            say(&format!("HTTP/1.1 200 OK\r\n{evil}content-length: 2\r\nconnection: close\r\n\r\nok"));
        }
        "/demo/shared/cors" => {
            let says = "access-control-allow-origin: https://evil.example\r\naccess-control-allow-credentials: true\r\n\
                        access-control-allow-private-network: true\r\nvary: Accept\r\nx-theirs: stays\r\n";
            say(&format!("HTTP/1.1 200 OK\r\n{says}content-length: 2\r\nconnection: close\r\n\r\nok"));
        }
        "/demo/public/socket" => {
            let accept = format!("sec-websocket-accept: {}", accept(&request));
            say(&format!(
                "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n{accept}\r\n{evil}\r\n"
            ));
            // A text frame, then a close frame.
            let _ = stream.write_all(&[0x81, 2, b'h', b'i', 0x88, 2, 3, 232]);
            let _ = stream.read(&mut byte);
        }
        "/demo/public/upgraded" => say("HTTP/1.1 101 Odd\r\nconnection: close\r\n\r\n"),
        "/demo/public/odd" => say("HTTP/1.1 700 Odd\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"),
        "/demo/public/nonsense" | "/demo/shared/nonsense" => say("nonsense\r\n\r\n"),
        "/demo/public/redirect" => {
            say(
                "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
            );
        }
        "/demo/public/nothing" => say("HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n"),
        "/demo/public/gzip" => {
            say("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 25\r\nconnection: close\r\n\r\n");
            let _ = stream.write_all(GZIP);
        }
        "/demo/public/stream" => {
            say("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nfirst,");
            let _ = gate.recv();
            say("second");
        }
        // The first of each two connections breaks off before there is an answer.
        "/demo/public/flaky" if FLAKY.fetch_add(1, Ordering::SeqCst).is_multiple_of(2) => {}
        "/demo/public/head" => {
            say(&format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{request}", request.len()));
        }
        "/demo/public/broken" => drop(BROKEN.fetch_add(1, Ordering::SeqCst)),
        "/demo/public/silent" => {
            // Until the other side gives up.
            let _ = stream.read(&mut byte);
        }
        other => {
            let uncached = ["cache-control: max-age=0", "pragma: no-cache"].iter().all(|header| lower.contains(header));
            let body = format!("{other} {uncached}");
            say(&format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len()));
        }
    }
}

/// The answer to a WebSocket key (RFC 6455, §4.2.2).
fn accept(request: &str) -> String {
    let name = "sec-websocket-key:";
    let line = request.lines().find(|line| line.to_lowercase().starts_with(name)).unwrap();
    let keyed = format!("{}258EAFA5-E914-47DA-95CA-C5AB0DC85B11", line[name.len()..].trim());
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, keyed.as_bytes());
    Base64::encode_string(digest.as_ref())
}

fn only_theirs(headers: &str) {
    let headers = headers.to_lowercase();
    assert!(headers.contains("set-cookie: a=1") && headers.contains("set-cookie: b=2"), "{headers}");
    for theirs in ["x-theirs: stays", "x-frame-options: sameorigin", "content-security-policy: default-src *"] {
        assert!(headers.contains(theirs), "{theirs}: {headers}");
    }
    assert!(headers.contains("x-content-type-options: nosniff") && !headers.contains("deny"), "{headers}");
    for gone in ["edgewarden", "clear-site-data", "service-worker-allowed", "forged"] {
        assert!(!headers.contains(gone), "{gone}: {headers}");
    }
}

pub fn an_origin_cannot_reach_beyond_its_routes(server: &Server) {
    let Strange { worker, .. } = strange(server);
    let host = worker.url.strip_prefix("http://").unwrap();
    let (status, text) = worker
        .raw(format!("GET /demo/public/cookies HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n").as_bytes());
    assert_eq!(status, 200);
    only_theirs(&text);
    let upgrade = "connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
                   sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==";
    let request = format!("GET /demo/public/socket HTTP/1.1\r\nhost: {host}\r\n{upgrade}\r\n\r\n");
    let (status, text) = worker.raw_until(request.as_bytes(), b"hi");
    assert_eq!(status, 101, "{text}");
    only_theirs(&text);
    let redirect = worker.get("/demo/public/redirect", None).expect(302);
    assert_eq!(redirect.header("location"), Some("http://127.0.0.1:1/"), "passed on, not followed");
}

/// Where a route says whose pages may read, the origin does not: on its answers, on ours in their place, and on refusals.
pub fn whose_pages_may_read_is_the_routes_to_say(server: &Server) {
    let Strange { worker, .. } = strange(server);
    let of = |method: &str, path: &str, origin: &str, more: &[(&str, &str)]| {
        worker.send(method, path, &[&[("origin", origin)], more].concat(), String::new())
    };
    let (app, evil) = ("https://app.example.com", "https://evil.example");
    for (origin, told) in [(app, Some(app)), (evil, None)] {
        let read = of("GET", "/demo/shared/cors", origin, &[]).expect(200);
        assert_eq!((read.header("access-control-allow-origin"), read.header("x-theirs")), (told, Some("stays")));
        assert_eq!(read.header("access-control-allow-credentials"), told.map(|_| "true"));
        assert_eq!(read.header("access-control-allow-private-network"), None);
        assert!(read.header("vary").unwrap().contains("Accept"), "{:?}", read.header("vary"));
        let refused = of("GET", "/demo/shared/x", origin, &[("authorization", "Bearer x")]).expect(401);
        assert_eq!(refused.header("access-control-allow-origin"), told);
        // What the origin did not answer is answered for it.
        let broken = of("GET", "/demo/shared/nonsense", origin, &[]).expect(502);
        assert_eq!(broken.header("access-control-allow-origin"), told);
    }
    let ask = [("access-control-request-method", "PUT"), ("access-control-request-headers", "authorization")];
    let answer = of("OPTIONS", "/demo/shared/x", app, &ask).expect(204);
    assert_eq!((answer.header("access-control-allow-origin"), answer.text.as_str()), (Some(app), ""));
    assert!(answer.header("access-control-allow-methods").unwrap().contains("PUT"));
    of("OPTIONS", "/demo/shared/x", evil, &ask).expect(403);
}

pub fn what_an_origin_sends_arrives_as_it_is(server: &Server) {
    let Strange { worker, go_on } = strange(server);
    worker.get("/demo/public/nothing", None).expect(204);
    assert_eq!(worker.get("/demo/public/gzip", None).expect(200).text, "hello");
    let host = worker.url.strip_prefix("http://").unwrap();
    let request = format!("GET /demo/public/stream HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    // The first part arrives while the origin has not yet sent the second.
    let mut released = false;
    let (_, text) = worker.raw_watching(request.as_bytes(), |read| {
        if !released && read.contains("first,") {
            released = true;
            go_on.send(()).unwrap();
        }
        read.contains("second")
    });
    assert!(released && text.contains("second"), "{text}");
    // An answer that depends on who calls is kept out of every cache.
    let user = worker.user("uncached");
    assert!(worker.get("/demo/private/x", Some(&user.access)).expect(200).text.ends_with("true"));
    assert!(worker.get("/demo/public/x", None).expect(200).text.ends_with("false"));
}

pub fn an_origin_that_fails_is_a_502_or_504_with_an_id(server: &Server) {
    let Strange { worker, .. } = strange(server);
    for (path, status) in [("odd", 502), ("upgraded", 502), ("nonsense", 502), ("silent", 504)] {
        let answer = worker.send("GET", &format!("/demo/public/{path}"), &[], "").expect(status);
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        assert_eq!(Some(answer.str("/request_id")), answer.header("x-request-id"));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    }
}

pub fn an_origin_is_told_of_one_framing(server: &Server) {
    let Strange { worker, .. } = strange(server);
    let host = worker.url.strip_prefix("http://").unwrap();
    let mut got_through = 0;
    let hidden = "0\r\n\r\nGET /demo/admin/x HTTP/1.1\r\nhost: h\r\n\r\n";
    for framing in [
        format!("content-length: {}\r\ntransfer-encoding: chunked\r\n", hidden.len()),
        format!("transfer-encoding: chunked\r\ncontent-length: {}\r\n", hidden.len()),
        format!("transfer-encoding: identity\r\ncontent-length: {}\r\n", hidden.len()),
        format!("transfer-encoding: xchunked\r\ncontent-length: {}\r\n", hidden.len()),
        format!("transfer-encoding : chunked\r\ncontent-length: {}\r\n", hidden.len()),
        format!("content-length: 5\r\ncontent-length: {}\r\n", hidden.len()),
        format!("content_length: 5\r\ncontent-length: {}\r\n", hidden.len()),
        format!("transfer_encoding: chunked\r\ncontent-length: {}\r\n", hidden.len()),
    ] {
        let request =
            format!("POST /demo/public/head HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{framing}\r\n{hidden}");
        let (status, text) = worker.raw_watching(request.as_bytes(), |read| {
            read.contains("HTTP/1.1 ") && read.ends_with("\r\n\r\n") && read.len() > 400
        });
        if status == 400 || status == 501 {
            continue;
        }
        got_through += 1;
        let told = text.split("\r\n\r\n").nth(1).unwrap_or_default().to_lowercase();
        let framings = told
            .lines()
            .filter(|line| line.starts_with("content") && line.contains("length") || line.starts_with("transfer"));
        let framings: Vec<_> = framings.collect();
        assert!(status == 200 && framings.len() == 1, "{framing}: {status} {framings:?}\n{text}");
    }
    assert!(got_through > 0, "all were refused");
}

pub fn what_may_be_asked_twice_is_asked_once_more(server: &Server) {
    let Strange { worker, .. } = strange(server);
    for method in ["GET", "HEAD"] {
        worker.send(method, "/demo/public/flaky", &[], "").expect(200);
    }
    assert_eq!(FLAKY.load(Ordering::SeqCst), 4, "each was asked twice");
    for (method, body, asked) in [("GET", "", 2), ("POST", "x", 1), ("POST", "", 1), ("DELETE", "", 1)] {
        let before = BROKEN.load(Ordering::SeqCst);
        worker.send(method, "/demo/public/broken", &[], body).expect(502);
        assert_eq!(BROKEN.load(Ordering::SeqCst) - before, asked, "{method} {body:?}");
    }
}
