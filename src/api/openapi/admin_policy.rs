//! `admin/policy`.

use super::{
    operation::Operation,
    schema::{self, Field, Schemas, only, optional, paging, required},
};
use crate::{
    api::{
        admin::policy::{
            PolicyView,
            versions::{VersionView, WholeVersion},
        },
        page::Page,
    },
    gateway::explain::Explanation,
};

pub const TAG: &str = "Administration: policy";
const READ: &str = "Takes `policy:read`.";
const MANAGE: &str = "Takes `policy:manage`.";

fn about_change() -> [Field; 2] {
    [
        optional(
            "based_on",
            "The newest version that was put live, if no other may have come since.",
            schema::number(),
        ),
        optional("note", "What is said of it.", schema::line(200)),
    ]
}

fn about_caller() -> [Field; 5] {
    [
        optional("roles", "The roles that whoever calls holds.", schema::list(&schema::role_name())),
        optional("subject", "Who calls.", schema::some_text()),
        optional("scope", "What they come narrowed to.", schema::scope()),
        optional("credential", "By what they are known.", schema::one_of(&["bearer", "session", "api_key", "mtls"])),
        optional("mfa", "How long ago they showed a second factor, such as `5m`.", schema::some_text()),
    ]
}

pub fn operations(schemas: &mut Schemas) -> Vec<Operation> {
    let (policy, version) = (schemas.of::<PolicyView>(), schemas.of::<WholeVersion>());
    let text = || schema::some_text();
    let all = [
        Operation::new("get", "/admin/policy", "readPolicy", "The policy that decides")
            .about(READ)
            .known()
            .answers(200, "It, and what is tried beside it.", policy.clone()),
        Operation::new("put", "/admin/policy", "changePolicy", "Put a policy live, or try one")
            .about("Takes `policy:manage`. Only routes can be put: origins are those of the file that is deployed. Everything that is wrong is told, each fault with its line. In the mode `shadow` it decides beside the policy that counts, and the log is told where it would have decided otherwise.")
            .signed_in()
            .json(only(
                [
                    required("policy", "In TOML, 1 MiB at most.", text()),
                    optional("mode", "`live` if nothing is said.", schema::one_of(&["live", "shadow"])),
                ]
                .into_iter()
                .chain(about_change()),
            ))
            .answers(200, "The policy that decides now.", policy.clone())
            .refuses(&[409]),
        Operation::new("delete", "/admin/policy/candidate", "endTrial", "Try no policy any more")
            .about(MANAGE)
            .signed_in()
            .done("None is tried."),
        Operation::new("post", "/admin/policy/rollback", "rollPolicyBack", "Put an earlier policy live again")
            .about("Takes `policy:manage`. A copy of it is the newest version then. So a policy that is tried is put live, too.")
            .signed_in()
            .json(only(
                [required("version", "Which; 0 is the file that is deployed.", schema::number())]
                    .into_iter()
                    .chain(about_change()),
            ))
            .answers(200, "The policy that decides now.", policy)
            .refuses(&[404, 409]),
        Operation::new("post", "/admin/policy/explain", "explainPolicy", "What would become of a request, and why")
            .about("Takes `policy:read`. Nobody calls where nothing is said of them. Nothing is counted, and nothing is sent.")
            .known()
            .json(only(
                [
                    required("method", "Such as `GET`.", text()),
                    required("url", "The whole URL.", text()),
                    optional("headers", "Names and values.", schema::texts_by_name()),
                    optional("under", "Which policy; `live` if nothing is said.", schema::one_of(&["live", "candidate", "file"])),
                    optional("policy", "One that was put nowhere yet, in place of those.", text()),
                ]
                .into_iter()
                .chain(about_caller()),
            ))
            .answers(200, "Each step.", schemas.of::<Explanation>()),
        Operation::new("get", "/admin/policy/versions", "listPolicies", "What was put, newest first")
            .about(READ)
            .known()
            .query(paging())
            .answers(200, "A page.", schemas.of::<Page<VersionView>>()),
        Operation::new("get", "/admin/policy/versions/{version}", "readPolicyVersion", "What was put once")
            .about(READ)
            .known()
            .answers(200, "The version.", version),
    ];
    all.map(|operation| operation.tag(TAG)).into()
}
