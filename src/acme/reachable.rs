//! Whether a CA can be reached, and what its directory says; without an account.

use std::time::{Duration, SystemTime};

use tokio::time::timeout;

use crate::config;
use crate::model::time::Timestamp;
use crate::model::url::Url;

use super::directory::Directory;
use super::error::{AcmeError, Result};
use super::http::{HttpClient, MAX_REPLY};

/// A CA's answer to a request for its directory.
#[derive(Debug)]
pub struct ReachedAuthority {
    /// The directory.
    pub directory: Directory,
    /// The CA's clock, as far as the reply has a date.
    pub date: Option<Timestamp>,
    /// This machine's clock at that time.
    pub own_date: Timestamp,
}

/// Fetches the directory, within `limit`.
pub async fn reach(settings: &config::Acme, limit: Duration) -> Result<ReachedAuthority> {
    let url: &Url = &settings.directory;
    let fetched = async { HttpClient::new(settings.ca_root.as_deref())?.get(url, MAX_REPLY).await };
    let reply = timeout(limit, fetched).await.unwrap_or_else(|_| {
        let reason = format!("no reply within {} s", limit.as_secs());
        Err(AcmeError::Unreachable { url: url.clone(), reason })
    })?;
    let date = reply.date();
    let own_date = timestamp(SystemTime::now());
    Ok(ReachedAuthority { directory: reply.json()?, date: date.map(timestamp), own_date })
}

fn timestamp(time: SystemTime) -> Timestamp {
    Timestamp::from_unix(time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs())
}
