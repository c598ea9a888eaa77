//! The zones of this server, as they are and as the rest of the DNS sees them.

use std::net::IpAddr;

use hickory_proto::rr::RecordType;

use crate::config::ZoneSettings;
use crate::delegation::nameservers::configured_addresses;
use crate::delegation::parent::Nameserver;
use crate::delegation::roots::Roots;
use crate::delegation::survey::{SoaView, Survey, Surveyor};
use crate::model::name::{Name, ZoneName};
use crate::model::serial::Serial;
use crate::net::interfaces::is_public;
use crate::publisher::Publisher;
use crate::zone::Zone;
use crate::zone::soa::Soa;

/// A zone, and what the DNS says of it.
#[derive(Debug)]
pub struct SurveyedZone {
    /// The zone as this server has it.
    pub zone: OwnZone,
    /// The zone as others see it.
    pub survey: Survey,
}

/// A zone as this server has it.
#[derive(Debug, Clone)]
pub struct OwnZone {
    /// Its name.
    pub name: ZoneName,
    /// The nameservers in `ns`.
    pub nameservers: Vec<Name>,
    /// The addresses that the zone's records have for nameservers within the zone.
    pub addresses: Vec<Nameserver>,
    /// The SOA but for its serial.
    pub soa: Soa,
    /// The serial when the survey began; `None` where the database cannot be read.
    pub serial: Option<Serial>,
    /// The RDATA of the DNSKEY records that are served; none if the zone is not signed.
    pub keys: Vec<Vec<u8>>,
    /// Whether the configuration wants the zone signed.
    pub has_key_file: bool,
}

impl OwnZone {
    /// The zones that are served, or those of the configuration if the database cannot be read.
    pub fn all(publisher: Option<&Publisher>, settings: &[ZoneSettings]) -> Vec<Self> {
        match publisher {
            Some(publisher) => publisher.zones().load().iter().map(Self::served).collect(),
            None => settings.iter().map(Self::configured).collect(),
        }
    }

    fn served(zone: &Zone) -> Self {
        let nameservers = zone.nameservers();
        let dnskeys = zone.signing_set(RecordType::DNSKEY);
        Self {
            name: zone.name.clone(),
            addresses: configured_addresses(&zone.statics, &nameservers),
            nameservers,
            soa: zone.soa.clone(),
            serial: Some(zone.serial()),
            keys: dnskeys.map(|set| set.rdatas.iter().map(|rdata| rdata.to_vec()).collect()).unwrap_or_default(),
            has_key_file: zone.dnssec.is_some(),
        }
    }

    fn configured(settings: &ZoneSettings) -> Self {
        Self {
            name: settings.name.clone(),
            nameservers: settings.nameservers.clone(),
            addresses: configured_addresses(&settings.statics, &settings.nameservers),
            soa: settings.soa.clone(),
            serial: None,
            keys: Vec::new(),
            has_key_file: settings.dnssec.is_some(),
        }
    }

    /// The apex.
    pub fn apex(&self) -> &Name {
        self.name.apex()
    }

    /// Whether a server with this SOA has the zone from this server, in whichever version: another zone of the same name has
    /// other names in its SOA.
    pub fn is_transferred(&self, soa: &SoaView) -> bool {
        let unescaped = |name: &str| name.replace('\\', "");
        let [mname, rname] = [&self.soa.mname, &self.soa.rname].map(|name| unescaped(&name.to_string()));
        mname == unescaped(&soa.mname) && rname == unescaped(&soa.rname)
    }

    /// The addresses of one nameserver within the zone.
    pub fn addresses_of(&self, name: &Name) -> Vec<IpAddr> {
        self.addresses.iter().filter(|server| server.name == *name).map(|server| server.address).collect()
    }

    /// The records that delegate the zone, as zone files write them: NS, and A and AAAA of names within the zone.
    pub fn delegation_records(&self) -> Vec<String> {
        let ns = self.nameservers.iter().map(|name| format!("`{}. NS {name}.`", self.apex()));
        ns.chain(self.addresses.iter().map(address_record)).collect()
    }
}

/// The address record of a nameserver, as zone files write it.
pub fn address_record(server: &Nameserver) -> String {
    let rtype = if server.address.is_ipv4() { "A" } else { "AAAA" };
    format!("`{}. {rtype} {}`", server.name, server.address)
}

/// Surveys zones side by side.
pub async fn survey(zones: Vec<OwnZone>, surveyor: &Surveyor) -> Vec<SurveyedZone> {
    let mut running = tokio::task::JoinSet::new();
    for (place, zone) in zones.into_iter().enumerate() {
        let surveyor = surveyor.clone();
        running.spawn(async move {
            let survey = Survey::take(surveyor, zone.apex().clone()).await;
            (place, SurveyedZone { zone, survey })
        });
    }
    let mut done = running.join_all().await;
    done.sort_by_key(|(place, _)| *place);
    done.into_iter().map(|(_, surveyed)| surveyed).collect()
}

/// Whether an address leads somewhere from everywhere in the DNS that these roots are of: on the Internet a public one, in
/// a private DNS also one like the addresses of its roots.
pub fn is_reachable_from_everywhere(address: &IpAddr, roots: &Roots) -> bool {
    let is_like = |root: &IpAddr| !is_public(root) && root.is_loopback() == address.is_loopback();
    is_public(address) || roots.servers().iter().any(is_like)
}
