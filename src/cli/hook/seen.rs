//! Waits until resolvers see a value. One look covers the CNAME, the delegation and our server.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::model::name::Name;
use crate::model::txt::TxtValue;
use crate::net::dns_client::{BlockingDnsClient, DnsClient, LookupError};

use super::error::HookError;

/// The pause between two looks.
const BETWEEN: Duration = Duration::from_secs(2);

/// Waits until `txt` is among the TXT records at `name`, for `patience` at most. Asks `resolver`, or the system's.
pub fn wait(name: &Name, txt: &TxtValue, resolver: Option<SocketAddr>, patience: Duration) -> Result<(), HookError> {
    let client = BlockingDnsClient::new(DnsClient::new(resolver.as_slice())).map_err(HookError::Runtime)?;
    let start = Instant::now();
    loop {
        let seen = client.run(async |dns| dns.txt(name).await);
        if seen.as_ref().is_ok_and(|values| values.iter().any(|value| value == txt.as_bytes())) {
            return Ok(());
        }
        if start.elapsed() + BETWEEN > patience {
            let name = name.clone();
            let seconds = patience.as_secs();
            return Err(HookError::Unseen { name, seconds, found: found(seen), verdict: None });
        }
        std::thread::sleep(BETWEEN);
    }
}

fn found(seen: Result<Vec<Vec<u8>>, LookupError>) -> String {
    match seen {
        Ok(others) => format!("{} other TXT records are there", others.len()),
        Err(error) => error.to_string(),
    }
}
