//! Webhooks, signed as the Standard Webhooks specification (standardwebhooks.com) has it: HMAC-SHA256 over the message's
//! id, the time of the attempt and the body.

use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, LOCATION, RETRY_AFTER, USER_AGENT};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use ring::hmac;

use crate::config::notify::Webhook;
use crate::model::text::one_line;
use crate::net::https;

use super::failure::Failure;
use super::message::Message;

/// The longest wait that a receiver may ask for.
const MAX_WAIT: Duration = Duration::from_secs(3_600);
/// The most bytes of a refusal that are read.
const MAX_REPLY: usize = 4_096;
/// The most characters of a refusal that are repeated.
const MAX_SHOWN: usize = 200;

const AGENT: &str = concat!("txtgate/", env!("CARGO_PKG_VERSION"));

/// Posts a message. Redirects are not followed: they could lead a request into networks that only this machine reaches.
pub async fn post(webhook: &Webhook, message: &Message, limit: Duration) -> Result<(), Failure> {
    match tokio::time::timeout(limit, exchange(webhook, message, limit)).await {
        Ok(outcome) => outcome,
        Err(_) => {
            let seconds = limit.as_secs();
            Err(failed(format!("no reply within {seconds} s (`timeout` in [notify]); check that the receiver works")))
        }
    }
}

async fn exchange(webhook: &Webhook, message: &Message, limit: Duration) -> Result<(), Failure> {
    let body = Bytes::from(message.json());
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let request = Request::builder()
        .method(Method::POST)
        .uri(webhook.url.uri())
        .header(USER_AGENT, AGENT)
        .header(CONTENT_TYPE, "application/json")
        .header("webhook-id", &message.id)
        .header("webhook-timestamp", now)
        .header("webhook-signature", signature(webhook.secret.reveal(), &message.id, now, &body))
        .body(Full::new(body))
        .map_err(|error| failed(error.to_string()))?;
    let connector = https::connector(None, limit).map_err(failed)?;
    // A connection for each request: messages are rare, and one that was closed meanwhile would look like a failure.
    let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector);
    let unreachable = |causes| failed(format!("{causes}; check that the receiver runs and can be reached from here"));
    let reply = client.request(request).await.map_err(|error| unreachable(causes(&error)))?;
    if reply.status().is_success() {
        return Ok(());
    }
    Err(refusal(reply).await)
}

/// `v1,` and the signature in base64.
fn signature(secret: &[u8], id: &str, at: u64, body: &[u8]) -> String {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, secret));
    context.update(format!("{id}.{at}.").as_bytes());
    context.update(body);
    format!("v1,{}", STANDARD.encode(context.sign()))
}

async fn refusal(reply: Response<Incoming>) -> Failure {
    let (head, body) = reply.into_parts();
    let status = head.status;
    let header = |name| head.headers.get(name).and_then(|value| value.to_str().ok());
    let retry_after = header(RETRY_AFTER).and_then(|text| text.parse().ok()).map(Duration::from_secs);
    let location = header(LOCATION).map(one_line).unwrap_or_default();
    let body = Limited::new(body, MAX_REPLY).collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let said: String = one_line(&String::from_utf8_lossy(&body)).chars().take(MAX_SHOWN).collect();
    let said = if said.is_empty() { said } else { format!(": {said}") };
    let problem = match status {
        _ if status.is_redirection() => {
            format!("it answers {status} and leads to {location:?}; redirects are not followed, write the final URL")
        }
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            format!("it answers {status}{said}; check that it knows the secret of `webhook-secret-file`")
        }
        _ => format!("it answers {status}{said}"),
    };
    let is_passing = matches!(status.as_u16(), 408 | 425 | 429) || status.is_server_error();
    Failure { problem, is_refusal: !is_passing, retry_after: retry_after.map(|wait| wait.min(MAX_WAIT)) }
}

fn failed(problem: String) -> Failure {
    Failure { problem, is_refusal: false, retry_after: None }
}

/// The causes of an error, which say what has happened; hyper's own message says only during what.
fn causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source()).map(ToString::to_string);
    let causes: Vec<String> = causes.collect();
    if causes.is_empty() { error.to_string() } else { causes.join(": ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with Python's hmac: `base64.b64encode(hmac.digest(b"0" * 24, b'msg_1.1614265330.{"test": 1}', "sha256"))`.
    #[test]
    fn a_signature_is_that_of_the_specification() {
        let signed = signature(&[b'0'; 24], "msg_1", 1_614_265_330, b"{\"test\": 1}");
        assert_eq!(signed, "v1,teBe14B7As7mynnieXbRtB+Na9xQNt8z9pVWUifGOa8=");
    }
}
