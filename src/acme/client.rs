//! Signed requests to a CA: nonces, and the requests that are repeated at once.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tracing::{debug, info};

use crate::model::url::Url;
use crate::net::jitter::pause;

use super::directory::Directory;
use super::error::Result;
use super::http::{AcmeReply, HttpClient, MAX_REPLY};
use super::jws::{Signer, sign};

/// The most bytes of renewal information: two times and a URL.
const MAX_INFORMATION: usize = 1 << 14;
/// The most repetitions of a request whose nonce the CA refuses. They succeed even if the CA refuses one nonce in four at
/// random.
const NONCE_TRIES: usize = 10;
/// The most nonces that are stored. A CA forgets old ones.
const MAX_NONCES: usize = 16;
/// The longest wait of a busy CA that a request sits out. After a longer one the caller has to try again.
const SHORT_WAIT: Duration = Duration::from_secs(10);
/// The most repetitions of a request to a busy CA.
const BUSY_TRIES: usize = 2;

/// A CA, known by its directory. A cheap handle.
#[derive(Clone, Debug)]
pub struct AcmeClient(Arc<Connected>);

#[derive(Debug)]
struct Connected {
    http: HttpClient,
    directory: Directory,
    nonces: Mutex<Vec<String>>,
}

impl AcmeClient {
    /// Fetches the directory. `extra_roots` is a PEM file of authorities that are trusted besides the system's.
    pub async fn connect(directory: &Url, extra_roots: Option<&Path>) -> Result<Self> {
        let http = HttpClient::new(extra_roots)?;
        let directory = http.get(directory, MAX_REPLY).await?.json()?;
        Ok(Self(Arc::new(Connected { http, directory, nonces: Mutex::default() })))
    }

    /// The resources and the metadata of the CA.
    pub fn directory(&self) -> &Directory {
        &self.0.directory
    }

    /// An unsigned GET, for renewal information.
    pub async fn get(&self, url: &Url) -> Result<AcmeReply> {
        self.0.http.get(url, MAX_INFORMATION).await?.success()
    }

    /// A signed POST; without a payload, a POST-as-GET. The reply is a success.
    ///
    /// If the CA refuses the nonce, repeats the request at once with the nonce of the refusal (RFC 8555 section 6.5). If
    /// the CA is busy (429, 503) and asks for at most 10 seconds, repeats the request after them. Returns every other
    /// error.
    pub async fn post(&self, by: Signer<'_>, url: &Url, payload: Option<&Value>) -> Result<AcmeReply> {
        let mut nonces = 0;
        let mut busy = 0;
        loop {
            let reply = self.post_once(by, url, payload).await?;
            if reply.problem().is_some_and(|problem| problem.is("badNonce")) && nonces < NONCE_TRIES {
                nonces += 1;
                debug!(%url, "the CA did not take the nonce");
                continue;
            }
            match reply.success() {
                Err(error) if error.is_temporary() && busy < BUSY_TRIES => {
                    let Some(wait) = error.retry_after().filter(|wait| *wait <= SHORT_WAIT) else { return Err(error) };
                    busy += 1;
                    info!(%url, "the CA is busy; repeating the request in {} s", wait.as_secs());
                    pause(wait).await;
                }
                done => return done,
            }
        }
    }

    async fn post_once(&self, by: Signer<'_>, url: &Url, payload: Option<&Value>) -> Result<AcmeReply> {
        let jws = sign(&by, url, Some(&self.nonce().await?), payload)?;
        let reply = self.0.http.post(url, jws.to_string()).await?;
        self.store_nonce(&reply);
        Ok(reply)
    }

    async fn nonce(&self) -> Result<String> {
        // The newest one: the CA is the least likely to have forgotten it.
        let stored = self.0.nonces.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if let Some(nonce) = stored {
            return Ok(nonce);
        }
        let reply = self.0.http.head(&self.0.directory.new_nonce).await?.success()?;
        reply.nonce().map(str::to_owned).ok_or_else(|| reply.malformed("it has no Replay-Nonce"))
    }

    fn store_nonce(&self, reply: &AcmeReply) {
        let Some(nonce) = reply.nonce() else { return };
        let mut nonces = self.0.nonces.lock().unwrap_or_else(PoisonError::into_inner);
        if nonces.len() >= MAX_NONCES {
            nonces.remove(0);
        }
        nonces.push(nonce.to_owned());
    }
}
