//! `/console/links`: links with which the operator signs in to the web console, once each.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use crate::model::admin_token::AdminScope;
use crate::model::secret::{PresentedSecret, SecretHash};

use super::super::error::Failure;
use super::super::json_body::JsonBody;
use super::super::reply;
use super::super::types::console::{CreateConsoleLink, CreatedConsoleLink};

/// How long a link may be used.
const LIFETIME: Duration = Duration::from_secs(5 * 60);
/// The most unused links. One more takes the place of the oldest.
const MAX_LINKS: usize = 64;

/// The unused links. A cheap handle.
#[derive(Debug, Clone)]
pub struct ConsoleLinks(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// The address of the console, like `http://127.0.0.1:8053`.
    base: String,
    links: Mutex<HashMap<String, Link>>,
}

#[derive(Debug, Clone, Copy)]
struct Link {
    scope: AdminScope,
    until: Instant,
}

impl ConsoleLinks {
    /// Links to the console at this address.
    pub fn new(base: String) -> Self {
        Self(Arc::new(Inner { base, links: Mutex::default() }))
    }

    fn create(&self, scope: AdminScope) -> Result<String, Failure> {
        let (secret, hash) = SecretHash::random()?;
        let mut links = self.0.links.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        links.retain(|_, link| link.until > now);
        if links.len() >= MAX_LINKS
            && let Some(oldest) = links.iter().min_by_key(|(_, link)| link.until).map(|(hash, _)| hash.clone())
        {
            links.remove(&oldest);
        }
        links.insert(hash.to_string(), Link { scope, until: now + LIFETIME });
        Ok(format!("{}/link/{secret}", self.0.base))
    }

    /// Uses a link up. `None`: it is unknown, used or too old.
    pub fn take(&self, secret: &PresentedSecret) -> Option<AdminScope> {
        let mut links = self.0.links.lock().unwrap_or_else(PoisonError::into_inner);
        let link = links.remove(&secret.hash().to_string())?;
        (link.until > Instant::now()).then_some(link.scope)
    }
}

pub async fn create(
    State(links): State<Option<ConsoleLinks>>,
    JsonBody(request): JsonBody<CreateConsoleLink>,
) -> Result<Response, Failure> {
    let Some(links) = links else {
        return Err(Failure::NotFound(
            "there is no console: set `listen` in [console] of the configuration, and restart the daemon".into(),
        ));
    };
    let url = links.create(request.scope.unwrap_or(AdminScope::All))?;
    Ok(reply::json(StatusCode::CREATED, &CreatedConsoleLink { url, seconds: LIFETIME.as_secs() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_works_once_and_the_oldest_gives_way() {
        let links = ConsoleLinks::new("http://127.0.0.1:1".into());
        let secret = |url: &str| url.rsplit('/').next().unwrap().parse::<PresentedSecret>().unwrap();
        let first = secret(&links.create(AdminScope::Read).unwrap());
        assert_eq!(links.take(&first), Some(AdminScope::Read));
        assert_eq!(links.take(&first), None);
        let oldest = secret(&links.create(AdminScope::All).unwrap());
        for _ in 0..MAX_LINKS {
            links.create(AdminScope::All).unwrap();
        }
        assert_eq!(links.take(&oldest), None);
    }
}
