//! Asking others over the network.

use async_trait::async_trait;
use futures_util::StreamExt;
use worker::{AbortController, Fetch, Headers, Request, RequestInit, RequestRedirect, send::SendFuture};

use super::bounded;
use crate::ports::{Outbound, Unavailable};

/// The name of this port.
const PORT: &str = "outbound";

/// `fetch`.
pub struct PlatformOutbound;

async fn get(url: &str, most: usize, abort: &AbortController) -> Result<String, String> {
    let told = |error: worker::Error| error.to_string();
    let headers = Headers::new();
    headers.set("accept", "application/jwk-set+json, application/json").map_err(told)?;
    let mut init = RequestInit::new();
    // Whoever answers elsewhere is nobody who was asked.
    init.with_redirect(RequestRedirect::Manual).with_headers(headers);
    let request = Request::new_with_init(url, &init).map_err(told)?;
    let mut response = Fetch::Request(request).send_with_signal(&abort.signal()).await.map_err(told)?;
    if response.status_code() != 200 {
        return Err(format!("it answered {}", response.status_code()));
    }
    let mut body = response.stream().map_err(told)?;
    let mut read = Vec::new();
    while let Some(chunk) = body.next().await {
        read.extend(chunk.map_err(told)?);
        if read.len() > most {
            return Err("it answered more than is read".to_owned());
        }
    }
    String::from_utf8(read).map_err(|_| "it answered no text".to_owned())
}

#[async_trait]
impl Outbound for PlatformOutbound {
    async fn get(&self, url: &str, most: usize) -> Result<String, Unavailable> {
        let asked = async {
            let abort = AbortController::default();
            let answer = bounded(PORT, get(url, most, &abort)).await;
            if answer.is_err() {
                abort.abort();
            }
            answer
        };
        SendFuture::new(asked).await
    }
}
