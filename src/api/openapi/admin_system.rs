//! `admin/dashboard`, `admin/audit` and `admin/keys`.

use serde_json::Value;

use super::{
    operation::Operation,
    schema::{self, Schemas, only, paging, required},
};
use crate::api::{
    admin::{audit::item::Item, dashboard::DashboardView, keys::Keys},
    page::Page,
};

pub const TAG: &str = "Administration: dashboard, log and keys";

fn filter() -> [(&'static str, &'static str, Value); 7] {
    [
        ("event", "Names of events, with commas between.", schema::some_text()),
        ("outcome", "How it ended.", schema::one_of(&["success", "failure", "denied"])),
        ("actor", "Who did it.", schema::id()),
        ("subject", "To whom it was done.", schema::id()),
        ("ip", "From which address.", schema::some_text()),
        ("severity", "How grave it is.", schema::one_of(&["info", "warning"])),
        ("from", "Not before.", schema::time()),
    ]
}

pub fn operations(schemas: &mut Schemas) -> Vec<Operation> {
    let keys = schemas.of::<Keys>();
    let to = || [("to", "Before.", schema::time())];
    let all = [
        Operation::new("get", "/admin/dashboard", "readDashboard", "How many there are of what")
            .about("Takes `reports:view`. Thirty days in UTC, the oldest first and today last.")
            .known()
            .answers(200, "Counts.", schemas.of::<DashboardView>()),
        Operation::new("get", "/admin/audit", "readLog", "The log, newest first")
            .about("Takes `audit:read`. A page may have fewer items than it could, or none, and another after it.")
            .known()
            .query(filter())
            .query(to())
            .query(paging())
            .answers(200, "A page.", schemas.of::<Page<Item>>()),
        Operation::new("get", "/admin/audit/export", "exportLog", "The log as a file")
            .about("Takes `audit:read`. All that matches, as it is read; what breaks in the middle breaks the answer off. NDJSON has one `AuditRow` a line, CSV (RFC 4180) a line of names first.")
            .known()
            .query(filter())
            .query(to())
            .query([("format", "Which.", schema::one_of(&["csv", "ndjson"]))])
            .answers_with(
                200,
                "The rows.",
                &[("application/x-ndjson", schema::text()), ("text/csv", schema::text())],
                &["Content-Disposition"],
            ),
        Operation::new("get", "/admin/keys", "listKeys", "Signing keys").about("Takes `keys:manage`.").known().answers(200, "Those that are not over, in the order in which they sign.", keys.clone()),
        Operation::new("post", "/admin/keys/rotate", "rotateKeys", "Have another key sign")
            .about("Takes `keys:manage`. `graceful` publishes a next key, which signs as soon as everyone can know it; `emergency` puts new keys in the place of all others at once, and ends every access token.")
            .signed_in()
            .json(only([required("mode", "How.", schema::one_of(&["graceful", "emergency"]))]))
            .answers(200, "The keys, as they are now.", keys),
    ];
    all.map(|operation| operation.tag(TAG)).into()
}
