//! The status table, over HTTP.

use std::collections::HashMap;

use serde_json::json;

use crate::{
    client::{Client, PASSWORD, SignedIn},
    common::{
        callers::{ALL, Caller},
        forge::{Forge, claims_of, with},
        table::{Body, check},
    },
    mfa::{enrol, half},
    server::{Server, master_secret},
};

pub fn every_endpoint_and_route_answers_every_caller_as_the_table_says(server: &Server) {
    let other = server.try_register("table-other").expect(201).str("/id").to_owned();
    let cast: HashMap<_, _> = ALL.into_iter().map(|caller| (caller, credentials(server, caller))).collect();
    check(|row, caller| {
        let (shown, me) = &cast[&caller];
        let path = row.path.replace("{me}", me).replace("{other}", &other);
        let mut headers: Vec<_> = shown.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let body = match row.body {
            Body::None => "",
            Body::Json(text) => {
                headers.push(("content-type", "application/json"));
                text
            }
            Body::Form(text) => {
                headers.push(("content-type", "application/x-www-form-urlencoded"));
                text
            }
        };
        server.send(row.method, &path, &headers, body).status
    });
}

fn credentials(server: &Server, caller: Caller) -> (Vec<(&'static str, String)>, String) {
    let name = format!("table-{}", format!("{caller:?}").to_lowercase());
    let id = match caller.role() {
        Some(_) => server.granted(&name).to_owned(),
        None => server.try_register(&name).expect(201).str("/id").to_owned(),
    };
    let SignedIn { access, refresh, .. } = server.sign_in(&name, id.clone());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let token = match caller {
        Caller::Anonymous => return (Vec::new(), id),
        Caller::Basic => return (vec![("authorization", "Basic YWRhOnB3".to_owned())], id),
        Caller::Browser => {
            let cookie = server.log_in(&name).cookie;
            return (vec![("cookie", cookie), ("origin", server.url.clone())], id);
        }
        Caller::Garbage => "garbage".to_owned(),
        Caller::RefreshAsAccess => refresh,
        Caller::Expired => {
            let (own, claims) = (server.forge(), claims_of(&access));
            let iat = claims["iat"].as_i64().unwrap() - 600;
            let claims = with(&with(&claims, "iat", json!(iat)), "nbf", json!(iat));
            runtime.block_on(own.sign(&own.header(), &with(&claims, "exp", json!(iat + 540))))
        }
        Caller::Foreign => {
            let foreign = runtime.block_on(Forge::new(master_secret()));
            runtime.block_on(foreign.sign(&foreign.header(), &claims_of(&access)))
        }
        Caller::Revoked => {
            server.logout(&access).expect(200);
            access
        }
        Caller::HalfSignedIn => {
            enrol(server, &SignedIn { id: id.clone(), access, refresh });
            half(server, &name)
        }
        Caller::Guest => {
            let root = server.sign_in("table-superadmin", server.granted("table-superadmin").to_owned());
            let (path, bearer) = (format!("/api/v1/admin/users/{id}/roles"), format!("Bearer {}", root.access));
            let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
            server.send("PUT", &path, &headers, r#"{"roles":["guest"]}"#).expect(200);
            server.sign_in(&name, id.clone()).access
        }
        Caller::AdminsKey | Caller::NarrowKey | Caller::ClosedKey => {
            let key = server.make_key(&access, caller.key().unwrap()).str("/key").to_owned();
            if caller == Caller::ClosedKey {
                let bearer = format!("Bearer {access}");
                let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
                let body = json!({ "password": PASSWORD }).to_string();
                server.send("DELETE", "/api/v1/users/me", &headers, body).expect(200);
            }
            return (vec![("x-api-key", key)], id);
        }
        Caller::Trusted => server.issuers_token("staff"),
        Caller::Stranger => server.issuers_token("guests"),
        Caller::User | Caller::Moderator | Caller::Admin | Caller::SuperAdmin => access,
    };
    (vec![("authorization", format!("Bearer {token}"))], id)
}
