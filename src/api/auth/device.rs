//! The cookie by which a browser that signed in before counts by itself.

use axum::http::{HeaderMap, HeaderValue, header};

use crate::{
    domain::{
        device::{Device, LIFETIME},
        secret::SecretList,
        time::Timestamp,
    },
    gateway::headers::DEVICE_COOKIE,
};

/// The browser that a request comes from, if it is known.
pub fn read(headers: &HeaderMap, keys: &SecretList, now: Timestamp) -> Option<Device> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    // The platform joins several lines with commas, which no value of ours holds.
    let mut values = lines.flat_map(|line| line.split([';', ','])).filter_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        (name == DEVICE_COOKIE).then_some(value)
    });
    values.find_map(|value| Device::decode(value, keys, now))
}

/// The line that has a browser keep it.
pub fn set_cookie(device: &Device, keys: &SecretList, now: Timestamp) -> Option<HeaderValue> {
    let value = device.encode(keys, now);
    let max_age = LIFETIME.as_secs();
    let line = format!("{DEVICE_COOKIE}={value}; Max-Age={max_age}; Path=/; Secure; HttpOnly; SameSite=Lax");
    HeaderValue::try_from(line).ok()
}
