//! The records to add, by the zone that they belong to.

use std::net::IpAddr;

use crate::model::name::{CHALLENGE_LABEL, Name};

use super::plan::{Plan, PlannedZone, Target, Way, is_placeholder};
use super::report::{RecordGroup, RecordLine};
use super::signing::{self, ZoneDs};

/// What stands in place of the label of an account that is still to be made.
const LABEL: &str = "LABEL";

/// The delegation of each zone, and the CNAME of each domain. `existing` tells the name of a domain's account, if there is
/// one already.
pub fn groups(plan: &Plan, ds: &[ZoneDs], existing: impl Fn(&Name) -> Option<String>) -> Vec<RecordGroup> {
    let mut groups: Vec<RecordGroup> = Vec::new();
    for zone in &plan.zones {
        groups.push(delegation(zone, ds));
        groups.extend(outside(zone).filter(|_| !zone.name.is_challenge()));
    }
    for target in plan.targets.iter().filter(|target| target.way == Way::Alias) {
        groups.push(alias(target, existing(&target.domain)));
    }
    groups.into_iter().fold(Vec::new(), merged)
}

/// Adds a group to those before it, of which each zone has one.
fn merged(mut groups: Vec<RecordGroup>, group: RecordGroup) -> Vec<RecordGroup> {
    let Some(same) = groups.iter_mut().find(|other| other.zone == group.zone) else {
        groups.push(group);
        return groups;
    };
    let new = group.records.into_iter().filter(|record| !same.records.contains(record));
    same.records.extend(new.collect::<Vec<_>>());
    same.notes.extend(group.notes);
    groups
}

fn record(name: &Name, rtype: &str, data: String) -> RecordLine {
    RecordLine { name: format!("{name}."), rtype: rtype.into(), data }
}

fn address_record(name: &Name, address: IpAddr) -> RecordLine {
    let rtype = if address.is_ipv4() { "A" } else { "AAAA" };
    let remark = if is_placeholder(address) { "   ; the server's public address" } else { "" };
    record(name, rtype, format!("{address}{remark}"))
}

/// The NS records, the glue and the DS records in the zone above.
fn delegation(zone: &PlannedZone, ds: &[ZoneDs]) -> RecordGroup {
    let apex = zone.name.apex();
    let parent = apex.parent().unwrap_or_else(Name::root);
    let mut records = Vec::new();
    for nameserver in &zone.nameservers {
        records.push(record(apex, "NS", format!("{}.", nameserver.name)));
    }
    for nameserver in &zone.nameservers {
        // In the parent zone itself the address is an ordinary record, and further down it is glue.
        let is_told_here =
            nameserver.name.is_in(apex) || (nameserver.own_zone.is_none() && nameserver.name.is_in(&parent));
        let addresses = nameserver.addresses.iter().filter(|_| is_told_here);
        records.extend(addresses.map(|address| address_record(&nameserver.name, *address)));
    }
    let own_ds = ds.iter().filter(|ds| ds.zone == zone.name);
    records.extend(own_ds.map(|ds| record(apex, "DS", signing::written(&ds.rdata))));
    let has_ds = records.iter().any(|record| record.rtype == "DS");
    let note = match (has_ds, zone.name.is_challenge()) {
        (true, _) => Some(format!("add the DS when `txtgate dnssec status {}` says so", zone.name)),
        (false, true) => Some(format!("`txtgate account create {parent} --zone {}` makes its account", zone.name)),
        (false, false) => None,
    };
    RecordGroup { zone: parent.to_string(), records, notes: note.into_iter().collect() }
}

/// The addresses of nameservers whose names are neither in the daemon's zones nor in the zone above this one.
fn outside(zone: &PlannedZone) -> impl Iterator<Item = RecordGroup> {
    let parent = zone.name.apex().parent().unwrap_or_else(Name::root);
    let others = zone.nameservers.iter().filter(move |ns| ns.own_zone.is_none() && !ns.name.is_in(&parent));
    others.map(|nameserver| RecordGroup {
        zone: nameserver.name.parent().unwrap_or_else(Name::root).to_string(),
        records: nameserver.addresses.iter().map(|address| address_record(&nameserver.name, *address)).collect(),
        notes: Vec::new(),
    })
}

fn alias(target: &Target, existing: Option<String>) -> RecordGroup {
    let domain = &target.domain;
    let note = match existing {
        Some(_) => None,
        None => Some(format!("`txtgate account create {domain}` makes the account, and prints this with its label")),
    };
    let fulldomain = existing.unwrap_or_else(|| format!("{LABEL}.{}", target.zone));
    let name = format!("{CHALLENGE_LABEL}.{domain}.");
    let records = vec![RecordLine { name, rtype: "CNAME".into(), data: format!("{fulldomain}.") }];
    RecordGroup { zone: domain.to_string(), records, notes: note.into_iter().collect() }
}
