//! The cookie by which a browser that signed in before counts by itself.

use axum::http::HeaderValue;

use crate::{
    api::Connection,
    config::Config,
    domain::{
        cookies::Keep,
        device::{Device, LIFETIME},
        time::Timestamp,
    },
};

/// The browser that a request comes from, if it is known.
pub fn read(connection: &Connection, config: &Config, now: Timestamp) -> Option<Device> {
    let mut values = connection.cookies(config.cookies().device());
    values.find_map(|value| Device::decode(value, &config.token_mac_key, now))
}

/// The line that has a browser keep it.
pub fn set_cookie(device: &Device, config: &Config, now: Timestamp) -> Option<HeaderValue> {
    let names = config.cookies();
    let line = names.line(names.device(), &device.encode(&config.token_mac_key, now), Keep::For(LIFETIME));
    HeaderValue::try_from(line).ok()
}
