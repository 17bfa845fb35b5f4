//! Origins, as a policy writes them down.

use std::time::Duration;

use url::Url;

use super::{
    Origin, Target,
    reader::{At, Table},
};
use crate::{config::Lookup, gateway::headers};

/// An origin that names no timeout has this long to begin its answer.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// Reads one. `None` if it cannot be told where it is.
pub(super) fn read(id: String, mut table: Table<'_, '_>, vars: Lookup<'_>) -> Option<Origin> {
    let (url, url_from, service) = (table.text("url"), table.text("url_from"), table.text("service"));
    let (timeout, idle_timeout) = (table.duration("timeout"), table.duration("idle_timeout"));
    let forward_credentials = table.flag("forward_credentials");
    let audience = table.text("assertion_audience");
    let target = match (url, url_from, service) {
        (Some(At { value: url, offset }), None, None) => {
            table.noted(offset, base_url(&url).map_err(|why| format!("url {why}"))).map(Target::Url)
        }
        (None, Some(At { value: name, offset }), None) => {
            let url = vars(&name).ok_or_else(|| "is not set".to_owned()).and_then(|url| base_url(&url));
            table.noted(offset, url.map_err(|why| format!("the variable {name} {why}"))).map(Target::Url)
        }
        (None, None, Some(At { value: name, offset })) => {
            let is_binding = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
            let is_name = !name.is_empty() && name.bytes().all(is_binding);
            let named = is_name.then_some(name).ok_or_else(|| "service must be the name of a binding".to_owned());
            table.noted(offset, named).map(Target::Service)
        }
        _ => {
            table.fault(table.offset, "needs exactly one of url, url_from and service");
            None
        }
    };
    if let Some(timeout) = &timeout
        && !(1..=100).contains(&timeout.value.as_secs())
    {
        table.fault(timeout.offset, "timeout must be between 1 and 100 seconds");
    }
    if let Some(timeout) = &idle_timeout
        && !(1..=3600).contains(&timeout.value.as_secs())
    {
        table.fault(timeout.offset, "idle_timeout must be between 1 second and 1 hour");
    }
    if let Some(audience) = &audience
        && (audience.value.is_empty() || audience.value.len() > 255 || !headers::is_plain(&audience.value))
    {
        table.fault(audience.offset, "assertion_audience must be visible ASCII, 1 to 255 characters");
    }
    table.end();
    let target = target?;
    let assertion_audience = audience.map_or_else(|| audience_of(&id, &target), |audience| audience.value);
    let timeout = timeout.map_or(DEFAULT_TIMEOUT, |timeout| timeout.value);
    let idle_timeout = idle_timeout.map(|timeout| timeout.value);
    Some(Origin { id, target, timeout, idle_timeout, assertion_audience, forward_credentials })
}

/// Who the assertions of an origin are for that does not say so: its URL, or its name where it has none.
fn audience_of(id: &str, target: &Target) -> String {
    match target {
        Target::Url(url) => url.clone(),
        Target::Service(_) => id.to_owned(),
    }
}

/// Scheme, host and port.
fn base_url(text: &str) -> Result<String, String> {
    let url = Url::parse(text).ok().filter(|url| {
        let plain = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        let nobody = url.username().is_empty() && url.password().is_none();
        plain && nobody && matches!(url.scheme(), "http" | "https") && url.has_host()
    });
    let base = url.map(|url| url.origin().ascii_serialization());
    base.ok_or_else(|| "must be an http or https URL without path, query or user".to_owned())
}
