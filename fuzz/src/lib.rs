//! What the fuzz targets share: the daemon's own test support, taken in from where its tests have it.
//!
//! Those files name everything from the crate's root, so here the root has the same names. The daemon's public
//! interface knows nothing of them.

#[allow(clippy::new_without_default, reason = "nothing of it is a default")]
#[path = "../../src/api/credentials/tests/fixture.rs"]
pub mod api_fixture;
#[path = "../../src/dns/tests/fixture.rs"]
pub mod fixture;
#[path = "../../src/dns/tests/invariants.rs"]
pub mod invariants;
#[path = "../../src/dns/tests/reference.rs"]
pub mod reference;
#[path = "../../src/api/tests/routers.rs"]
pub mod routers;

use txtgate::*;

use dns::{MessageSource, Transport};
use zone::signing::key::Algorithm;
use zone::signing::phase::Phase;
use zone::{Zone, Zones};

use api_fixture::Fixture;
use fixture::{key, signed_by, zone};

/// The zone of the tests, unsigned and as it is signed by two keys.
pub fn zones() -> [Zone; 2] {
    [zone(), signed_by(Phase::Doubled, vec![key(Algorithm::EcdsaP256), key(Algorithm::EcdsaP256)])]
}

/// One zone, as a responder has it.
pub fn only(zone: Zone) -> Zones {
    Zones::new(vec![zone])
}

/// By a datagram and by each kind of stream, from somewhere that no limit excepts.
pub fn sources() -> [MessageSource; 4] {
    let address = std::net::Ipv4Addr::new(192, 0, 2, 7).into();
    [Transport::Udp, Transport::Tcp, Transport::Tls, Transport::Quic]
        .map(|transport| MessageSource::of(address, transport))
}
