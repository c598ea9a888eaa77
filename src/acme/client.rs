//! Signed requests to a CA: nonces, and what is tried again at once.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tracing::{debug, info};

use crate::model::url::Url;

use super::directory::Directory;
use super::error::Result;
use super::http::{Http, MAX_REPLY, Reply};
use super::jws::{Signer, sign};
use super::pause;

/// Bytes of renewal information: two times and an address.
const MAX_INFORMATION: usize = 1 << 14;
/// Attempts at a request whose nonce the CA does not take. One of four refused at random still gets through.
const NONCE_TRIES: usize = 10;
/// Nonces that are kept. A CA forgets old ones.
const MAX_NONCES: usize = 16;
/// What a busy CA asks for is waited here if it is no longer than this, else whoever asked tries again later.
const SHORT_WAIT: Duration = Duration::from_secs(10);
/// Times that a busy CA is asked again.
const BUSY_TRIES: usize = 2;

/// A CA, by its directory. A cheap handle.
#[derive(Clone, Debug)]
pub struct Client(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    http: Http,
    directory: Directory,
    nonces: Mutex<Vec<String>>,
}

impl Client {
    /// Reads the directory. `extra_roots` is a PEM file of authorities that are trusted beside the system's.
    pub async fn connect(directory: &Url, extra_roots: Option<&Path>) -> Result<Self> {
        let http = Http::new(extra_roots)?;
        let directory = http.get(directory, MAX_REPLY).await?.json()?;
        Ok(Self(Arc::new(Inner { http, directory, nonces: Mutex::default() })))
    }

    /// What the CA offers.
    pub fn directory(&self) -> &Directory {
        &self.0.directory
    }

    /// An unsigned GET, for renewal information.
    pub async fn get(&self, url: &Url) -> Result<Reply> {
        self.0.http.get(url, MAX_INFORMATION).await?.success()
    }

    /// A signed POST; `None` is POST-as-GET. The reply is a success.
    ///
    /// A refused nonce is tried again at once with the one that came along (RFC 8555 section 6.5), a busy CA (429, 503)
    /// when it asks for no more than 10 seconds. Everything else is the caller's to judge.
    pub async fn post(&self, by: Signer<'_>, url: &Url, payload: Option<&Value>) -> Result<Reply> {
        let (mut nonces, mut busy) = (0, 0);
        loop {
            let reply = self.post_once(by, url, payload).await?;
            if reply.problem().is_some_and(|problem| problem.is("badNonce")) && nonces < NONCE_TRIES {
                nonces += 1;
                debug!(%url, "the CA did not take the nonce");
                continue;
            }
            match reply.success() {
                Err(error) if error.is_of_the_moment() && busy < BUSY_TRIES => {
                    let Some(wait) = error.retry_after().filter(|wait| *wait <= SHORT_WAIT) else { return Err(error) };
                    busy += 1;
                    info!(%url, "the CA is busy; it is asked again in {} s", wait.as_secs());
                    pause(wait).await;
                }
                done => return done,
            }
        }
    }

    async fn post_once(&self, by: Signer<'_>, url: &Url, payload: Option<&Value>) -> Result<Reply> {
        let jws = sign(&by, url, Some(&self.nonce().await?), payload)?;
        let reply = self.0.http.post(url, jws.to_string()).await?;
        self.keep_nonce(&reply);
        Ok(reply)
    }

    async fn nonce(&self) -> Result<String> {
        // The newest: it is the least likely to be forgotten.
        let kept = self.0.nonces.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if let Some(nonce) = kept {
            return Ok(nonce);
        }
        let reply = self.0.http.head(&self.0.directory.new_nonce).await?.success()?;
        reply.nonce().map(str::to_owned).ok_or_else(|| reply.unlike("it has no Replay-Nonce"))
    }

    fn keep_nonce(&self, reply: &Reply) {
        let Some(nonce) = reply.nonce() else { return };
        let mut nonces = self.0.nonces.lock().unwrap_or_else(PoisonError::into_inner);
        if nonces.len() >= MAX_NONCES {
            nonces.remove(0);
        }
        nonces.push(nonce.to_owned());
    }
}
