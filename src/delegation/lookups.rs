//! Where records of other people's zones are looked up.

use hickory_proto::rr::rdata::CAA;

use crate::model::name::Name;
use crate::net::dns_client::{DnsClient, LookupError};

use super::iterative::IterativeResolver;

/// Who answers for the zones of others.
#[derive(Debug, Clone)]
pub enum Lookups {
    /// Recursive resolvers: what they see is most likely what a CA sees.
    Recursive(DnsClient),
    /// The nameservers themselves.
    Iterative(IterativeResolver),
}

impl Lookups {
    /// The CAA records at a name, CNAMEs followed.
    pub async fn caa(&self, name: &Name) -> Result<Vec<CAA>, LookupError> {
        match self {
            Self::Recursive(client) => client.caa(name).await,
            Self::Iterative(resolver) => resolver.caa(name).await,
        }
    }

    /// The TXT records at a name, CNAMEs followed; each with its character-strings joined.
    pub async fn txt(&self, name: &Name) -> Result<Vec<Vec<u8>>, LookupError> {
        match self {
            Self::Recursive(client) => client.txt(name).await,
            Self::Iterative(resolver) => resolver.txt(name).await,
        }
    }
}
