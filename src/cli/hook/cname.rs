//! Where the CNAME of a challenge leads: to the label of an account, or through the challenge's name of another domain.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::timeout;

use crate::model::name::{CHALLENGE_LABEL, Name};
use crate::net::dns_client::{BlockingDnsClient, DnsClient};

use super::error::HookError;

/// How long a look may take where the account file has an account for the domain already.
const SHORT_LOOK: Duration = Duration::from_secs(3);
/// How long a look may take where an account would be registered otherwise.
const LONG_LOOK: Duration = Duration::from_secs(12);

/// The names to which the CNAME of a challenge leads, in order. Empty if there is none, or if no resolver says so in time: then
/// the hook goes by its account file alone.
pub fn chain(name: &Name, resolver: Option<SocketAddr>, is_known: bool) -> Result<Vec<Name>, HookError> {
    let client = BlockingDnsClient::new(DnsClient::new(resolver.as_slice())).map_err(HookError::Runtime)?;
    let patience = if is_known { SHORT_LOOK } else { LONG_LOOK };
    let found = client.run(async |dns| timeout(patience, dns.cname_chain(name, |_| false)).await);
    Ok(found.ok().and_then(Result::ok).unwrap_or_default())
}

/// The domain whose challenge has this name.
pub fn domain_of(name: &Name) -> Option<Name> {
    let mut labels = name.as_ref().labels();
    let is_challenge = labels.next().is_some_and(|label| label.eq_ignore_ascii_case(CHALLENGE_LABEL.as_bytes()));
    if is_challenge { name.parent() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenges_name_tells_its_domain() {
        let of = |name: &str| domain_of(&name.parse().unwrap()).map(|domain| domain.to_string());
        assert_eq!(of("_acme-challenge.a.test").as_deref(), Some("a.test"));
        assert_eq!(of("_ACME-Challenge.A.test").as_deref(), Some("a.test"));
        assert_eq!((of("a.test"), of("x._acme-challenge.a.test")), (None, None));
    }
}
