//! The network of a peer's address, by which limits count clients.

use super::network::Network;

/// An IPv4 /24 or an IPv6 /56: the size of network that one customer commonly has.
///
/// If limits counted addresses, the holder of an IPv6 prefix could pose as 2^64 clients.
pub type Prefix = Network<7>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_share_a_prefix_and_print_as_it() {
        let of = |text: &str| Prefix::of(text.parse().unwrap()).to_string();
        assert_eq!(of("192.0.2.77"), "192.0.2.0/24");
        assert_eq!(of("::ffff:192.0.2.1"), "192.0.2.0/24");
        assert_eq!(of("2001:db8:1:2ff:3::4"), "2001:db8:1:200::/56");
    }
}
