//! Header hygiene: nothing that a client can send reaches an origin as if we had said it.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::{caller::Caller, head::Head, policy::Changes};
use crate::domain::{cookies, id::RequestId, net::ClientIp};

/// Names that are ours, or that popular origins trust as an identity; compared after folding.
pub const RESERVED: &[&str] = &[
    "x-request-id",
    "x-organization-id",
    "x-real-ip",
    "x-client-ip",
    "true-client-ip",
    "forwarded",
    "remote-user",
    "remote-groups",
    "remote-name",
    "remote-email",
    "x-remote-user",
    "x-remote-group",
    "x-remote-groups",
    "x-user",
    "x-user-id",
    "x-username",
    "x-email",
    "x-roles",
    "x-groups",
    "x-auth",
    "x-user-email",
    "x-user-roles",
    "x-userinfo",
    "x-id-token",
    "x-jwt-assertion",
    "client-cert",
    "client-cert-chain",
    "proxy",
    "x-credential-identifier",
    "x-anonymous-consumer",
    "x-forward-auth-secret",
    "x-original-url",
    "x-original-uri",
    "x-original-method",
    "x-original-host",
    "x-rewrite-url",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
];

/// Beginnings of such names.
pub const RESERVED_PREFIXES: &[&str] = &[
    "x-auth-",
    "x-authenticated-",
    "x-webauth-",
    "x-ssl-client-",
    "ssl-client-",
    "x-client-cert",
    "cf-client-cert-",
    "cf-cert-",
    "x-amzn-mtls-",
    "x-arr-clientcert",
    "tailscale-user-",
    "x-forwarded-",
    "x-consumer-",
    "x-goog-authenticated-",
    "x-goog-iap-",
    "x-amzn-oidc-",
    "x-ms-client-principal",
    "x-ms-token-",
    "cf-access-",
    "x-pomerium-",
    "x-authentik-",
    "x-vouch-",
];

/// Headers of one connection (RFC 9110, §7.6.1), which end at us.
pub const HOP_BY_HOP: &[&str] = &[
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
];

/// What is done to a request's headers: first the removals, then the settings.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct HeaderChanges<'a> {
    /// Names to remove, as they came.
    pub remove: Vec<&'a str>,
    /// Names and values to set.
    pub set: Vec<(&'a str, Cow<'a, str>)>,
}

/// Names that have a meaning of their own: another spelling of one is an attempt to be read as it.
const ONE_SPELLING: &[&str] = &["cf-connecting-ip", "content-length", "content-type", "cookie", "host"];

/// A name as the most lenient origin would read it: case aside, whatever is neither letter nor
/// digit is `-` (CGI bridges turn some or all of it into `_`).
#[must_use]
pub fn fold(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect()
}

fn is_reserved(folded: &str) -> bool {
    RESERVED.contains(&folded) || RESERVED_PREFIXES.iter().any(|prefix| folded.starts_with(prefix))
}

/// Whether a route may set or remove a header of this name: none that is ours, says who calls, or belongs to the connection.
#[must_use]
pub fn may_be_set(name: &str) -> bool {
    let folded = fold(name);
    let is_connections = HOP_BY_HOP.contains(&folded.as_str()) || matches!(folded.as_str(), "upgrade" | "expect");
    http::HeaderName::from_bytes(name.as_bytes()).is_ok()
        && !is_reserved(&folded)
        && !is_credential(&folded)
        && !is_connections
        && !ONE_SPELLING.contains(&folded.as_str())
}

/// Whether a text can be a header's value as it stands: visible ASCII and spaces, and none at its ends.
#[must_use]
pub fn is_plain(value: &str) -> bool {
    value.bytes().all(|b| (b' '..=b'~').contains(&b)) && value.trim() == value
}

/// To whom a request is handed, and by which route.
#[derive(Clone, Copy, Debug)]
pub struct Handed<'a> {
    /// What the route changes.
    pub changes: &'a Changes,
    /// What is asserted of the caller.
    pub assertion: Option<&'a str>,
    /// Whether the origin is shown what they prove themselves by.
    pub shows_credentials: bool,
}

fn is_credential(folded: &str) -> bool {
    matches!(folded, "authorization" | "x-api-key")
}

/// Works out what to change.
#[must_use]
pub fn rewrite<'a>(
    head: &Head<'a>,
    caller: Option<&'a Caller>,
    request: RequestId,
    handed: Handed<'a>,
) -> HeaderChanges<'a> {
    let mut changes = HeaderChanges::default();
    // (1) What `Connection` names goes with it, whatever it is.
    let named = head.header("connection").unwrap_or("");
    let named: Vec<String> = named.split(',').map(|name| name.trim().to_ascii_lowercase()).collect();
    let is_websocket = head.header("upgrade").is_some_and(|value| value.eq_ignore_ascii_case("websocket"));
    for (name, value) in &head.headers {
        let folded = fold(name);
        let hop = HOP_BY_HOP.contains(&folded.as_str()) || named.iter().any(|one| one == name);
        let upgrade = folded == "upgrade";
        // (2) Connection headers, forgeries and credentials. A WebSocket's `Upgrade` is the one
        //     connection header that the platform carries on.
        let alias = *name != folded && ONE_SPELLING.contains(&folded.as_str());
        let credential = is_credential(&folded) && (!handed.shows_credentials || *name != folded);
        let unwanted = handed.changes.remove_headers.contains(&folded);
        let connections = (hop && !upgrade) || (upgrade && !is_websocket);
        if alias || connections || is_reserved(&folded) || credential || unwanted {
            changes.remove.push(name);
        } else if folded == "cookie" {
            // (3) Our own cookies out of the others.
            match without_our_cookies(value) {
                Cow::Borrowed(_) => {}
                Cow::Owned(rest) if rest.is_empty() => changes.remove.push(name),
                Cow::Owned(rest) => changes.set.push(("cookie", Cow::Owned(rest))),
            }
        }
    }
    // (4) The route's, and ours.
    changes.set.extend(handed.changes.set_headers.iter().map(|(name, value)| (name.as_str(), value.as_str().into())));
    let ip = ClientIp::parse(head.header("cf-connecting-ip")).text();
    let set = &mut changes.set;
    set.push(("x-request-id", request.to_string().into()));
    if let Some(ip) = ip {
        set.push(("x-forwarded-for", ip.into()));
    }
    set.push(("x-forwarded-proto", head.scheme.into()));
    set.push(("x-forwarded-host", head.authority.clone()));
    if let Some(caller) = caller {
        identity(set, caller);
    }
    if let Some(assertion) = handed.assertion {
        set.push(("x-auth-assertion", assertion.into()));
    }
    changes
}

fn identity<'a>(set: &mut Vec<(&'a str, Cow<'a, str>)>, caller: &'a Caller) {
    set.push(("x-auth-subject", safe(&caller.subject)));
    set.push(("x-auth-issuer", safe(&caller.issuer)));
    if let Some(username) = &caller.username {
        set.push(("x-auth-username", safe(username)));
    }
    if let Some(email) = &caller.verified_email {
        set.push(("x-auth-email", safe(email)));
    }
    set.push(("x-auth-roles", safe(&caller.roles_text)));
    set.push(("x-auth-scopes", safe(&caller.scopes_text)));
    if let Some(session) = caller.session {
        set.push(("x-auth-session", session.to_string().into()));
    }
    set.push(("x-auth-method", caller.method.into()));
}

/// What may not stand in a value of ours as it is. `%` is escaped so that the rest can be undone.
const UNSAFE: &AsciiSet = &CONTROLS.add(b'%');

/// The same of a value that would lose the spaces at its ends, and be another then (RFC 9110, §5.5).
const UNSAFE_WITH_SPACE: &AsciiSet = &UNSAFE.add(b' ');

/// A value that cannot break out of its header: visible ASCII and spaces, the rest
/// percent-encoded as UTF-8.
fn safe(value: &str) -> Cow<'_, str> {
    let keeps_its_ends = !value.starts_with(' ') && !value.ends_with(' ');
    utf8_percent_encode(value, if keeps_its_ends { UNSAFE } else { UNSAFE_WITH_SPACE }).into()
}

/// Cookies without ours, with or without an `=` before the name. The platform joins several `Cookie` lines with commas, so ours may follow one; the text of
/// all other cookies stays as it came.
fn without_our_cookies(value: &str) -> Cow<'_, str> {
    let is_ours = |text: &str| {
        let text = text.trim_matches([' ', '\t', '=']);
        cookies::is_ours(text.split('=').next().unwrap_or(text).trim_end())
    };
    if !value.split([';', ',']).any(is_ours) {
        return Cow::Borrowed(value);
    }
    let theirs = |pair: &str| {
        let kept: Vec<_> = pair.split(',').filter(|text| !is_ours(text)).collect();
        (!kept.is_empty()).then(|| kept.join(","))
    };
    let rest: Vec<_> = value.split(';').filter_map(theirs).collect();
    Cow::Owned(rest.join(";").trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::Timestamp;

    fn request() -> RequestId {
        RequestId::new(Timestamp::from_secs(1), &[1; 10])
    }

    fn rewritten<T>(headers: &str, take: impl FnOnce(HeaderChanges<'_>) -> T) -> T {
        let text = format!("GET\nhttp://h/x\n{headers}");
        let head = Head::parse(&text).unwrap();
        let changes = Changes::default();
        take(rewrite(&head, None, request(), Handed { changes: &changes, assertion: None, shows_credentials: false }))
    }

    fn removed(headers: &str) -> Vec<String> {
        rewritten(headers, |changes| changes.remove.into_iter().map(ToOwned::to_owned).collect())
    }

    #[test]
    fn a_route_sets_and_removes_headers_and_an_origin_may_be_shown_credentials() {
        let text = "GET\nhttp://h/x\nauthorization\nBearer t\nx_api_key\nk\nx-api-key\nk\nx_debug\n1\nx-tenant\nmine\nx_tenant\nmine";
        let head = Head::parse(text).unwrap();
        let changes = Changes {
            set_headers: vec![("x-tenant".to_owned(), "acme".to_owned())],
            remove_headers: vec!["x-tenant".to_owned(), "x-debug".to_owned()],
            ..Changes::default()
        };
        let handed = Handed { changes: &changes, assertion: None, shows_credentials: true };
        let changes = rewrite(&head, None, request(), handed);
        assert_eq!(changes.remove, ["x_api_key", "x_debug", "x-tenant", "x_tenant"]);
        assert!(changes.set.contains(&("x-tenant", "acme".into())));
    }

    #[test]
    fn a_route_may_not_set_what_is_ours_or_the_connections() {
        for name in
            ["X-Auth-Subject", "x_auth_roles", "Authorization", "Cookie", "Host", "TE", "Upgrade", "a b", "", "é"]
        {
            assert!(!may_be_set(name), "{name}");
        }
        assert!(may_be_set("X-Tenant") && is_plain("a b") && is_plain(""));
        assert!(!is_plain("a\nb") && !is_plain(" a") && !is_plain("é"));
    }

    #[test]
    fn every_spelling_of_a_reserved_name_is_removed() {
        for name in [
            "x-auth-subject",
            "x_auth_subject",
            "x.auth.roles",
            "x-auth_anything",
            "x-request-id",
            "x_forwarded_for",
            "x-forwarded-user",
            "remote_user",
            "remote-user",
            "x-webauth-user",
            "x-consumer-username",
            "cf-access-authenticated-user-email",
            "cf_access_jwt_assertion",
            "x-goog-authenticated-user-email",
            "x-amzn-oidc-data",
            "x-ms-client-principal",
            "x-ms-client-principal-id",
            "authorization",
            "x-api-key",
            "x_api_key",
            "forwarded",
            "x-original-url",
            "x-rewrite-url",
            "x-http-method-override",
            "proxy-authorization",
            "te",
            "transfer-encoding",
            "x-organization-id",
            "x~auth~subject",
            "x-auth",
            "x-authenticated-email",
            "x-webauth-role",
            "tailscale-user-login",
            "proxy",
            "cf_connecting_ip",
            "content_length",
        ] {
            assert_eq!(removed(&format!("{name}\nx")), [name]);
        }
    }

    #[test]
    fn ordinary_headers_stay() {
        for name in ["accept", "content-type", "x-custom", "x-authority", "origin", "user-agent", "if-none-match"] {
            assert!(removed(&format!("{name}\nx")).is_empty(), "{name}");
        }
    }

    #[test]
    fn what_connection_names_goes_too() {
        assert_eq!(removed("connection\nclose, X-Secret\nx-secret\n1\nx-other\n2"), ["connection", "x-secret"]);
        assert_eq!(removed("upgrade\nh2c\nconnection\nupgrade"), ["upgrade", "connection"]);
        assert_eq!(removed("upgrade\nwebsocket\nconnection\nupgrade"), ["connection"]);
    }

    #[test]
    fn our_cookie_is_taken_out_of_the_others() {
        let cookie = |value: &str| {
            rewritten(&format!("cookie\n{value}"), |changes| {
                let set = changes.set.iter().find(|(name, _)| *name == "cookie").map(|(_, value)| value.to_string());
                (changes.remove.contains(&"cookie"), set)
            })
        };
        assert_eq!(cookie("a=1; b=2"), (false, None));
        assert_eq!(cookie("a=1; __Host-edgewarden=secret; b=2"), (false, Some("a=1; b=2".into())));
        assert_eq!(cookie("__Host-edgewarden=secret"), (true, None));
        assert_eq!(cookie("__Host-edgewarden =x;__Host-edgewarden"), (true, None));
        assert_eq!(cookie("x__Host-edgewarden=1"), (false, None));
        assert_eq!(cookie("a=1, __Host-edgewarden=secret"), (false, Some("a=1".into())));
        assert_eq!(cookie("=__Host-edgewarden=x; __host-EDGEWARDEN-csrf=y"), (true, None));
        assert_eq!(cookie("a=x,y"), (false, None));
        for ours in ["__Host-edgewarden-device", "edgewarden", "edgewarden-device"] {
            assert_eq!(cookie(&format!("{ours}=k1.x; b=2")), (false, Some("b=2".into())));
        }
        let json = r#"j={"a":1,"b":2}"#;
        assert_eq!(cookie(&format!("{json}; __Host-edgewarden=x; b=2")), (false, Some(format!("{json}; b=2"))));
        assert_eq!(cookie(&format!("__Host-edgewarden=x, {json}")), (false, Some(json.into())));
    }

    #[test]
    fn values_cannot_break_out() {
        assert_eq!(safe("a b:c"), "a b:c");
        assert_eq!(safe("x\r\nX-Auth-Roles: admin"), "x%0D%0AX-Auth-Roles: admin");
        assert_eq!(safe("é%"), "%C3%A9%25");
    }
}
