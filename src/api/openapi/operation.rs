//! One endpoint's description, and what follows from what kind it is.

use std::fmt;

use serde_json::{Map, Value, json};

use super::{problem, schema::put};

/// Who may call.
enum Access {
    /// Anyone; credentials are not looked at.
    Anyone,
    /// Anyone, and who shows one of these is told more.
    Optional(&'static [&'static str]),
    /// Who is signed in.
    SignedIn,
    /// The same, or a program by its key.
    Known,
}

/// An access token in `Authorization` (RFC 6750).
pub const BEARER: &str = "bearer";
/// The session cookie.
pub const COOKIE: &str = "session";
/// A key of a program.
const API_KEY: &str = "apiKey";

/// By what somebody is known where it takes a person, and where a program will do, for what only reads.
const PEOPLE: &[&str] = &[BEARER, COOKIE];
const ANYBODY: &[&str] = &[BEARER, COOKIE, API_KEY];

/// One endpoint's description.
pub struct Operation {
    method: &'static str,
    path: String,
    id: &'static str,
    summary: &'static str,
    tag: &'static str,
    about: Option<&'static str>,
    access: Access,
    parameters: Vec<Value>,
    body: Option<Value>,
    answers: Vec<(u16, Value)>,
    refusals: Vec<u16>,
    is_counted: bool,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "schemas are made where they are given")]
impl Operation {
    /// Of an endpoint under the prefix. `id` is what generated clients call it.
    pub fn new(method: &'static str, path: &str, id: &'static str, summary: &'static str) -> Self {
        Self::at_root(method, &format!("{{prefix}}{path}"), id, summary)
    }

    /// Of an endpoint at the root.
    pub fn at_root(method: &'static str, path: &str, id: &'static str, summary: &'static str) -> Self {
        let segments = path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'));
        let parameters: Vec<_> = segments.filter(|name| *name != "prefix").map(in_path).collect();
        // What is malformed there is nobody's.
        let mut refusals = vec![500, 503];
        if !parameters.is_empty() {
            refusals.extend([400, 404]);
        }
        Self {
            method,
            path: path.to_owned(),
            id,
            summary,
            tag: "",
            about: None,
            access: Access::Anyone,
            parameters,
            body: None,
            answers: Vec::new(),
            refusals,
            is_counted: false,
        }
    }

    /// What more is to be said of it.
    pub fn about(self, about: &'static str) -> Self {
        Self { about: Some(about), ..self }
    }

    /// Its area.
    pub fn tag(self, tag: &'static str) -> Self {
        Self { tag, ..self }
    }

    /// It takes somebody who is signed in, and may.
    pub fn signed_in(self) -> Self {
        Self { access: Access::SignedIn, ..self }.counted().refuses(&[401, 403])
    }

    /// It takes somebody who is signed in, or a program, and may: it only reads.
    pub fn known(self) -> Self {
        Self { access: Access::Known, ..self.signed_in() }
    }

    /// It takes nobody in particular, but who shows one of these is known.
    pub fn knows(self, schemes: &'static [&'static str]) -> Self {
        Self { access: Access::Optional(schemes), ..self }
    }

    /// It counts by a limit.
    pub fn counted(self) -> Self {
        Self { is_counted: true, ..self }.refuses(&[429])
    }

    /// Parameters of the query. What is not understood is refused.
    pub fn query(mut self, parameters: impl IntoIterator<Item = (&'static str, &'static str, Value)>) -> Self {
        let parameter = |(name, description, schema)| json!({ "name": name, "in": "query", "description": description, "schema": schema });
        self.parameters.extend(parameters.into_iter().map(parameter));
        self.refuses(&[422])
    }

    /// A header that it looks at.
    pub fn header(mut self, name: &str, description: &str) -> Self {
        self.parameters
            .push(json!({ "name": name, "in": "header", "description": description, "schema": { "type": "string" } }));
        self
    }

    /// The body must be this, as JSON.
    pub fn json(self, schema: Value) -> Self {
        self.body(true, json!({ "application/json": { "schema": schema } }))
    }

    /// The body may be this, as JSON, or left out.
    pub fn optional_json(self, schema: Value) -> Self {
        self.body(false, json!({ "application/json": { "schema": schema } }))
    }

    /// The body must be one of these, as JSON or as a form.
    pub fn json_or_form(self, json: Value, form: Value) -> Self {
        let form = json!({ "schema": form });
        self.body(true, json!({ "application/json": { "schema": json }, "application/x-www-form-urlencoded": form }))
    }

    fn body(self, required: bool, content: Value) -> Self {
        let body = json!({ "required": required, "content": content });
        Self { body: Some(body), ..self }.refuses(&[400, 408, 413, 415, 422])
    }

    /// It answers JSON of this kind.
    pub fn answers(self, status: u16, description: &str, schema: Value) -> Self {
        self.answers_with(status, description, &[("application/json", schema)], &[])
    }

    /// It answers a body of one of these kinds, if any, with these headers, each of which is always there.
    pub fn answers_with(mut self, status: u16, description: &str, content: &[(&str, Value)], always: &[&str]) -> Self {
        let mut headers: Map<String, Value> =
            always.iter().chain(&["X-Request-Id"]).map(|name| reference(name)).collect();
        if self.is_counted {
            headers.extend(LIMITS.iter().map(|name| reference(name)));
        }
        let mut answer = json!({ "description": description, "headers": headers });
        if !content.is_empty() {
            let content: Map<_, _> =
                content.iter().map(|(kind, schema)| ((*kind).to_owned(), json!({ "schema": schema }))).collect();
            put(&mut answer, "content", content);
        }
        self.answers.push((status, answer));
        self
    }

    /// It says that all is well: `{detail}`.
    pub fn says(self, status: u16, description: &str) -> Self {
        self.answers(status, description, json!({ "$ref": "#/components/schemas/Detail" }))
    }

    /// It answers nothing but that it is done.
    pub fn done(self, description: &str) -> Self {
        self.answers_with(204, description, &[], &[])
    }

    /// Statuses of refusals beyond those that follow from what kind it is.
    pub fn refuses(mut self, statuses: &[u16]) -> Self {
        self.refusals.extend(statuses);
        self
    }

    /// Whether it is the description of that endpoint.
    pub(super) fn is_of(&self, method: &str, path: &str) -> bool {
        self.method == method && self.path == path
    }

    /// As the document has it. What is there only sometimes says so, for whoever hands the document out.
    pub(super) fn render(self, is_sometimes: bool) -> Value {
        let schemes: Vec<_> = match self.access {
            Access::Anyone => Vec::new(),
            Access::Optional(schemes) => schemes.iter().map(|name| json!({ *name: [] })).chain([json!({})]).collect(),
            Access::SignedIn => PEOPLE.iter().map(|name| json!({ *name: [] })).collect(),
            Access::Known => ANYBODY.iter().map(|name| json!({ *name: [] })).collect(),
        };
        let mut responses: Map<_, _> =
            self.answers.into_iter().map(|(status, answer)| (status.to_string(), answer)).collect();
        let refusals = self.refusals.into_iter().map(|status| (status.to_string(), problem::reference(status)));
        for (status, refusal) in refusals {
            responses.entry(status).or_insert(refusal);
        }
        let mut rendered = json!({
            "operationId": self.id,
            "summary": self.summary,
            "tags": [self.tag],
            "security": schemes,
            "responses": responses,
        });
        if let Some(about) = self.about {
            put(&mut rendered, "description", about);
        }
        if !self.parameters.is_empty() {
            put(&mut rendered, "parameters", self.parameters);
        }
        if let Some(body) = self.body {
            put(&mut rendered, "requestBody", body);
        }
        if is_sometimes {
            put(&mut rendered, "x-sometimes", true);
        }
        rendered
    }
}

/// What stands in a path. It is looked up, so that whatever is not there is 404, however it is spelled.
fn in_path(name: &str) -> Value {
    let (description, schema) = match name {
        "id" => ("Its id.", json!({ "type": "string", "format": "uuid" })),
        _ => ("Its name.", json!({ "type": "string", "minLength": 1 })),
    };
    json!({ "name": name, "in": "path", "required": true, "description": description, "schema": schema })
}

/// What tells how many requests are left.
pub(super) const LIMITS: [&str; 3] = ["X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"];

/// A header of an answer, by name.
pub(super) fn reference(name: &str) -> (String, Value) {
    (name.to_owned(), json!({ "$ref": format!("#/components/headers/{name}") }))
}

/// Every header that is told of.
pub(super) fn headers() -> Value {
    let header = |description: &str, required: bool, schema: Value| json!({ "description": description, "required": required, "schema": schema });
    let (text, number) = (json!({ "type": "string" }), json!({ "type": "integer", "minimum": 0 }));
    json!({
        "X-Request-Id": header("The id under which the log has this request.", true, json!({ "type": "string", "format": "uuid" })),
        "X-RateLimit-Limit": header("How many requests the tightest limit lets through.", false, number.clone()),
        "X-RateLimit-Remaining": header("How many of them are left.", false, number.clone()),
        "X-RateLimit-Reset": header("When all of them will be left again: a Unix time, in seconds.", false, number.clone()),
        "Retry-After": header("How long to wait, in seconds (RFC 9110, §10.2.3).", true, number),
        "WWW-Authenticate": header("What is missing (RFC 6750, §3; RFC 9470, §3).", true, text.clone()),
        "Location": header("Where to go on.", true, text.clone()),
        "ETag": header("What this content is known by (RFC 9110, §8.8.3).", true, text.clone()),
        "Cache-Control": header("For how long this may be kept (RFC 9111, §5.2).", true, text.clone()),
        "Content-Disposition": header("What a file of it would be called (RFC 6266).", true, text),
    })
}

/// By what somebody can be known.
pub(super) fn security_schemes() -> Value {
    json!({
        BEARER: {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "An access token (RFC 9068) of `POST auth/token` or `POST auth/refresh`, sent as RFC 6750, §2.1 has it.",
        },
        COOKIE: {
            "type": "apiKey",
            "in": "cookie",
            "name": "__Host-edgewarden",
            "description": "The session cookie of `POST auth/login`. What changes something must come from a page of this very origin, or of one that is listed.",
        },
        API_KEY: {
            "type": "apiKey",
            "in": "header",
            "name": "X-API-Key",
            "description": "A key of a program. It may do what its scopes name, as long as its owner may.",
        },
    })
}
