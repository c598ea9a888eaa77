//! The networks of addresses, by which clients and resolvers are told apart.

use std::array;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use thiserror::Error;

use crate::model::text::serde_as_text;

/// The network of an address: its first 24 bits in IPv4, and its first `BYTES` bytes, of 16, in IPv6.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Network<const BYTES: usize> {
    /// The first 24 bits of an IPv4 address.
    V4([u8; 3]),
    /// The first bytes of an IPv6 address.
    V6([u8; BYTES]),
}

/// An IPv4 /24 or an IPv6 /48: the smallest prefixes that are routed on their own, so that two vantage points of a CA
/// are two networks, and the resolvers of one vantage point are one.
///
/// [`Prefix`](crate::model::prefix::Prefix) is smaller in IPv6, because limits count customers.
pub type QueryNetwork = Network<6>;

impl<const BYTES: usize> Network<BYTES> {
    /// The network of an address; an IPv4 address in its IPv6 form (`::ffff:192.0.2.1`) counts as IPv4.
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(v4) => {
                let [a, b, c, _] = v4.octets();
                Self::V4([a, b, c])
            }
            IpAddr::V6(v6) => {
                let octets = v6.octets();
                Self::V6(array::from_fn(|index| octets[index]))
            }
        }
    }

    /// The first address of the network, which stands for all of them where addresses are private.
    pub fn address(self) -> IpAddr {
        match self {
            Self::V4([a, b, c]) => Ipv4Addr::new(a, b, c, 0).into(),
            Self::V6(prefix) => {
                let mut bytes = [0; 16];
                bytes[..BYTES].copy_from_slice(&prefix);
                Ipv6Addr::from(bytes).into()
            }
        }
    }
}

impl<const BYTES: usize> fmt::Display for Network<BYTES> {
    /// `192.0.2.0/24`, `2001:db8::/48`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = match self {
            Self::V4(_) => 24,
            Self::V6(_) => 8 * BYTES,
        };
        write!(f, "{}/{bits}", self.address())
    }
}

/// A text is not a network of a resolver.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("write a network like `192.0.2.0/24` or `2001:db8::/48`; found {0:?}")]
pub struct QueryNetworkError(String);

impl FromStr for QueryNetwork {
    type Err = QueryNetworkError;

    fn from_str(text: &str) -> Result<Self, QueryNetworkError> {
        let address = text.split_once('/').and_then(|(address, _)| address.parse().ok());
        let network = address.map(Self::of).filter(|network| network.to_string() == text);
        network.ok_or_else(|| QueryNetworkError(text.chars().take(60).collect()))
    }
}

serde_as_text!(QueryNetwork);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_a_network_share_it_and_it_is_read_as_it_prints() {
        for (address, network) in [
            ("192.0.2.77", "192.0.2.0/24"),
            ("::ffff:192.0.2.1", "192.0.2.0/24"),
            ("2001:db8:1:2ff:3::4", "2001:db8:1::/48"),
        ] {
            let of = QueryNetwork::of(address.parse().unwrap());
            assert_eq!((of.to_string().as_str(), network.parse()), (network, Ok(of)));
        }
        for wrong in ["", "192.0.2.0", "192.0.2.1/24", "192.0.2.0/16", "2001:db8:1::/56", "x/24"] {
            assert!(wrong.parse::<QueryNetwork>().is_err(), "{wrong}");
        }
    }
}
