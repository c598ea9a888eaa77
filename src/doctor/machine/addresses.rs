//! Whether the addresses of the nameservers in our zones are those of this machine.

use std::net::IpAddr;
use std::slice;

use crate::config::ZoneSettings;
use crate::delegation::finding::Assessment;
use crate::delegation::nameservers::configured_addresses;
use crate::delegation::parent::Nameserver;
use crate::model::name::Name;
use crate::net::interfaces;

use super::super::check::{Check, Group};
use super::super::examination::Examination;
use super::super::fault::Fault;
use super::super::findings::Findings;

pub static CHECK: Check = Check {
    id: "addresses",
    group: Group::Machine,
    title: "Addresses of nameservers",
    looks_at: "The addresses that the zones' own records have for their nameservers: whether an interface of this machine \
               has them, and a listener answers there. An address on no interface is fine behind a 1:1 NAT, and for a \
               nameserver that is another machine.",
    after: &["daemon"],
    faults: &[&UNSERVED, &MISSING],
    run: |examination, findings| Box::pin(run(examination, findings)),
};

const UNSERVED: Fault = Fault {
    code: "address-unserved",
    // The checks of the delegation find a fault if resolvers are sent there.
    assessment: Assessment::Warning,
    meaning: "resolvers that are sent to this address of the machine get no answer",
    mend: "add the address to `dns.listen`, or listen on 0.0.0.0 and [::]",
};

const MISSING: Fault = Fault {
    code: "nameserver-without-address",
    assessment: Assessment::Fault,
    meaning: "the name is in the zone, so only this server can tell its address, and it has none",
    mend: "add an A or AAAA record for the nameserver to `records` of the zone, and the same as glue to the parent zone",
};

async fn run(examination: &Examination, findings: &mut Findings) {
    let own: Vec<IpAddr> = interfaces::all().into_iter().map(|(ip, _)| ip).collect();
    for zone in &examination.config.zones {
        for nameserver in zone.nameservers.iter().filter(|name| name.is_in(zone.name.apex())) {
            of_nameserver(examination, zone, nameserver, &own, findings);
        }
    }
}

fn of_nameserver(
    examination: &Examination,
    zone: &ZoneSettings,
    nameserver: &Name,
    own: &[IpAddr],
    findings: &mut Findings,
) {
    let question = format!("A and AAAA of {nameserver} in `records`");
    let addresses = configured_addresses(&zone.statics, slice::from_ref(nameserver));
    if addresses.is_empty() {
        let found = MISSING.found(nameserver, question, "the zone has no address for it");
        return findings.add(found.in_zone(&zone.name));
    }
    for Nameserver { address, .. } in addresses {
        let subject = format!("{nameserver} ({address})");
        let is_here = own.contains(&address) || address.is_loopback();
        let is_served = examination.daemon.as_ref().is_none_or(|daemon| {
            daemon.dns.iter().any(|listener| {
                listener.ip() == address || (listener.ip().is_unspecified() && listener.is_ipv4() == address.is_ipv4())
            })
        });
        if is_here && !is_served {
            let answer = "this machine has the address, and DNS does not listen there";
            findings.add(UNSERVED.found(subject, &*question, answer).in_zone(&zone.name));
        } else if is_here {
            findings.good(subject, &*question, "this machine has the address");
        } else {
            findings.good(subject, &*question, "on no interface: behind a 1:1 NAT, or another machine");
        }
    }
}
