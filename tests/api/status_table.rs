//! The status table, natively.

use std::collections::HashMap;

use axum::body::Body as HttpBody;
use edgewarden::{domain::secret::SecretList, ports::Value as Sql};
use http::{Request, header};
use serde_json::json;

use crate::{
    common::{
        callers::{ALL, Caller},
        forge::{Forge, claims_of, with},
        table::{Body, Row, check},
    },
    harness::{PASSWORD, SECRET, SignedIn, URL, World},
    issuers,
    mfa::{enrol, half},
    tokens::forge,
};

/// Headers by which somebody is known.
type Shown = Vec<(&'static str, String)>;

struct Cast {
    credentials: HashMap<Caller, (Shown, String)>,
    other: String,
}

/// Everyone who calls, with headers and a user id each.
async fn cast(world: &World) -> Cast {
    let other = world.register("other", None).await;
    let mut credentials = HashMap::new();
    for caller in ALL {
        let name = format!("{caller:?}").to_lowercase();
        let SignedIn { id, access, refresh, session } = world.user(&name, caller.role()).await;
        let own = forge(world);
        let header = match caller {
            Caller::Trusted => Some(format!("Bearer {}", issuers::token(world, &["staff"]).await)),
            Caller::Stranger => Some(format!("Bearer {}", issuers::token(world, &["guests"]).await)),
            Caller::Anonymous | Caller::Browser | Caller::AdminsKey | Caller::NarrowKey | Caller::ClosedKey => None,
            Caller::Basic => Some("Basic YWRhOnB3".to_owned()),
            Caller::Garbage => Some("Bearer garbage".to_owned()),
            Caller::RefreshAsAccess => Some(format!("Bearer {refresh}")),
            Caller::Expired => {
                let claims = claims_of(&access);
                let claims = with(&claims, "exp", json!(claims["iat"].as_i64().unwrap() - 60));
                let claims = with(&claims, "iat", json!(claims["iat"].as_i64().unwrap() - 600));
                let claims = with(&claims, "nbf", claims["iat"].clone());
                Some(format!("Bearer {}", own.sign(&own.header(), &claims).await))
            }
            Caller::Foreign => {
                let foreign = Forge::new(SecretList::parse(SECRET).unwrap()).await;
                Some(format!("Bearer {}", foreign.sign(&foreign.header(), &claims_of(&access)).await))
            }
            Caller::Revoked => {
                world.isolate.logout(&access).await.expect(200);
                Some(format!("Bearer {access}"))
            }
            Caller::HalfSignedIn => {
                let user = SignedIn { id: id.clone(), access: access.clone(), refresh: refresh.clone(), session };
                enrol(world, &user).await;
                Some(format!("Bearer {}", half(world, &name).await))
            }
            Caller::User | Caller::Moderator | Caller::Admin | Caller::SuperAdmin => Some(format!("Bearer {access}")),
            Caller::Guest => {
                let params: [Sql; 1] = [id.as_str().into()];
                world.host.database.look("UPDATE user_roles SET role = 'guest' WHERE user_id = ?1", &params).unwrap();
                Some(format!("Bearer {}", world.isolate.sign_in(&name).await.access))
            }
        };
        let mut header: Vec<_> = header.map(|value| ("authorization", value)).into_iter().collect();
        if let Some(wanted) = caller.key() {
            let made = world.isolate.post_as(&access, "/api/v1/api-keys", &serde_json::from_str(wanted).unwrap()).await;
            header.push(("x-api-key", made.expect(201).text("/key").to_owned()));
        }
        if caller == Caller::ClosedKey {
            let body = json!({ "password": PASSWORD });
            world.isolate.send_as(&access, "DELETE", "/api/v1/users/me", &body).await.expect(200);
        }
        if caller == Caller::Browser {
            header.push(("cookie", world.isolate.log_in(&name).await.cookie));
            header.push(("origin", URL.to_owned()));
        }
        credentials.insert(caller, (header, id));
    }
    Cast { credentials, other }
}

async fn send(world: &World, cast: &Cast, row: &Row, caller: Caller) -> u16 {
    let (headers, me) = &cast.credentials[&caller];
    let path = row.path.replace("{me}", me).replace("{other}", &cast.other);
    let lines: Vec<_> = headers.iter().map(|(name, value)| format!("\n{name}\n{value}")).collect();
    let lines = lines.concat();
    let head = format!("{}\n{URL}{path}{lines}", row.method);
    if !world.isolate.is_own(&head) {
        return world.isolate.proxy(&head).await.status;
    }
    let mut request = Request::builder().method(row.method).uri(&path);
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    let (kind, body) = match row.body {
        Body::None => (None, HttpBody::empty()),
        Body::Json(text) => (Some("application/json"), text.into()),
        Body::Form(text) => (Some("application/x-www-form-urlencoded"), text.into()),
    };
    if let Some(kind) = kind {
        request = request.header(header::CONTENT_TYPE, kind);
    }
    world.isolate.send(request.body(body).unwrap()).await.status
}

#[test]
fn every_endpoint_and_route_answers_every_caller_as_the_table_says() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let world = World::with(&[("DOCS", "always")]);
    let cast = runtime.block_on(cast(&world));
    check(|row, caller| runtime.block_on(send(&world, &cast, row, caller)));
}
