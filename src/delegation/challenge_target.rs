//! Where the names of a certificate are proven: whether the name at which a CA looks leads to an owner of this server, or
//! has the right record in somebody else's zone.

use std::collections::BTreeMap;
use std::sync::Arc;

use hickory_proto::rr::RecordType;
use tokio::task::JoinSet;

use crate::model::identifier::Identifier;
use crate::model::name::owner_label::AcmeAccountLabel;
use crate::model::name::{CHALLENGE_LABEL, Name, NameError, Owner, PERSIST_LABEL, ZoneName};
use crate::model::time::Timestamp;
use crate::net::dns_client::DnsClient;
use crate::zone::owner_state::OwnerState;
use crate::zone::zonefile::cname_target;
use crate::zone::{Zones, zone_named, zone_of};

use super::doubled::meant_by;
use super::finding::{Assessment, Finding, NeededRecord, question};
use super::lookups::Lookups;
use super::persist::{PersistQuery, PersistRequirement};

/// A name of a certificate, and where it is proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChallengeTarget {
    /// The name in the certificate.
    pub name: Identifier,
    /// The name at which the CA looks.
    pub looked_at: Name,
    /// The owner at which values for the CA are published: that name itself, or the target of its CNAME. `None` for a
    /// persistent authorization in somebody else's zone.
    pub owner: Option<Owner>,
}

/// How names are proven, with what the name at which the CA looks depends on.
#[derive(Debug, Clone)]
pub enum ValidationMethod {
    /// dns-01: a value at `_acme-challenge`.
    Dns01,
    /// dns-account-01: a value at the account's label below that.
    DnsAccount01(AcmeAccountLabel),
    /// dns-persist-01: a persistent authorization at `_validation-persist`.
    DnsPersist01(PersistRequirement),
}

/// Where names at which a CA has looked led: to owners of this server, or to themselves for a record in somebody else's
/// zone.
pub type ProvenTargets = BTreeMap<String, String>;

/// What was proven by these targets.
pub fn proven_targets(targets: &[ChallengeTarget]) -> ProvenTargets {
    let mut proven = ProvenTargets::new();
    for target in targets {
        let looked_at = target.looked_at.to_string();
        let led_to = target.owner.as_ref().map_or_else(|| looked_at.clone(), ToString::to_string);
        proven.insert(looked_at, led_to);
    }
    proven
}

/// The result for one domain, which serves the name and its wildcard.
#[derive(Debug, Clone)]
pub struct TargetCheck {
    /// The domain.
    pub base: Name,
    /// The name at which the CA looks.
    pub looked_at: Name,
    /// Where the domain is proven.
    pub location: Location,
    /// What was found. Unknown although there is a location: it is the location of the last certificate.
    pub finding: Finding,
}

/// Where a domain is proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// At an owner of this server.
    Owner(Owner),
    /// In somebody else's zone.
    Foreign,
    /// Nowhere yet: the record is missing, or could not be looked up.
    Absent,
    /// Nowhere, whatever records are added.
    Impossible,
}

/// Looks for the targets of names.
#[derive(Debug, Clone)]
pub struct TargetSearch {
    /// The zones of this server.
    pub zones: Zones,
    /// Looks into the zones of others.
    pub client: DnsClient,
    /// How names are proven.
    pub method: ValidationMethod,
    /// Where the names led when the last certificate was issued. A name that cannot be looked up is assumed to lead there
    /// still.
    pub proven_before: ProvenTargets,
    /// The time by which persistent authorizations expire.
    pub now: Timestamp,
}

impl ValidationMethod {
    /// The name at which a CA looks for the proof of a domain.
    pub fn looked_at(&self, base: &Name) -> Result<Name, NameError> {
        match self {
            Self::Dns01 => base.child(CHALLENGE_LABEL),
            Self::DnsAccount01(label) => base.child(CHALLENGE_LABEL)?.child(label.as_str()),
            Self::DnsPersist01(_) => base.child(PERSIST_LABEL),
        }
    }

    /// Whether a CA finds persistent authorizations.
    pub fn is_persistent(&self) -> bool {
        matches!(self, Self::DnsPersist01(_))
    }

    fn fits(&self, owner: &Owner) -> bool {
        !self.is_persistent() || owner.may_persist()
    }
}

impl TargetSearch {
    /// Checks each domain of the names once, all at the same time. The results are sorted by domain.
    pub async fn check(&self, names: &[Identifier]) -> Vec<TargetCheck> {
        let search = Arc::new(self.clone());
        let mut bases: Vec<&Name> = names.iter().map(Identifier::base).collect();
        bases.sort_unstable();
        bases.dedup();
        let mut checking = JoinSet::new();
        for base in bases {
            let is_wildcard = names.iter().any(|name| name.base() == base && name.is_wildcard());
            let search = search.clone();
            let base = base.clone();
            checking.spawn(async move { search.check_domain(base, is_wildcard).await });
        }
        let mut checks = checking.join_all().await;
        checks.sort_unstable_by(|one, other| one.base.cmp(&other.base));
        checks
    }

    async fn check_domain(&self, base: Name, is_wildcard: bool) -> TargetCheck {
        let looked_at = match self.method.looked_at(&base) {
            Ok(name) => name,
            Err(error) => return impossible(&base, base.clone(), "the name that a CA looks at", &error),
        };
        match self.own_location(&base, &looked_at) {
            Some(Ok(owner)) => {
                let finding = Finding::new(Assessment::Good, &looked_at, "", "it lies in a zone of this server");
                return TargetCheck { base, looked_at, location: Location::Owner(owner), finding };
            }
            Some(Err(finding)) => {
                return TargetCheck { base, looked_at, location: Location::Impossible, finding: *finding };
            }
            None => {}
        }
        let (location, finding) = self.follow_cname(&looked_at).await;
        match &self.method {
            ValidationMethod::DnsPersist01(requirement) if location == Location::Absent => {
                self.check_persistent(requirement, base, looked_at, is_wildcard).await
            }
            _ => TargetCheck { base, looked_at, location, finding },
        }
    }

    /// The owner at a name in a zone of this server, which needs no CNAME; `None` if a record has to lead there.
    pub fn own_location(&self, base: &Name, looked_at: &Name) -> Option<Result<Owner, Box<Finding>>> {
        let zone = zone_at(&self.zones, looked_at)?;
        let owner = Owner::at(looked_at, &zone);
        if zone.apex() == base {
            // A record of the configuration is served in place of anything else.
            return owner.filter(|_| !self.has_static_records(looked_at)).map(Ok);
        }
        // A zone `_acme-challenge.example.com`: NS records lead here.
        let is_owned = zone.is_challenge() && is_served(&self.zones, &Owner::apex(zone.clone()));
        Some(owner.filter(|_| is_owned).ok_or_else(|| unprovable(base, &zone).into()))
    }

    fn has_static_records(&self, name: &Name) -> bool {
        let zones = self.zones.load();
        zone_of(&zones, name.as_ref()).is_some_and(|zone| zone.statics.at(name.as_ref()).is_some())
    }

    /// Whether a chain of CNAMEs ends at a name, by what the configuration says of a name in a zone of this server.
    fn ends_at(&self, name: &Name) -> bool {
        let zones = self.zones.load();
        let Some(zone) = zone_of(&zones, name.as_ref()) else { return false };
        zone.statics.at(name.as_ref()).and_then(cname_target).is_none()
    }

    /// Where the CNAMEs from a name on lead.
    async fn follow_cname(&self, looked_at: &Name) -> (Location, Finding) {
        let asked = question(RecordType::CNAME, looked_at);
        let chain = match self.client.cname_chain(looked_at, |target| self.ends_at(target)).await {
            Ok(chain) => chain,
            Err(error) => {
                let finding = Finding::of_failure(looked_at, asked, &error);
                return match self.location_before(looked_at).filter(|_| finding.is_unknown()) {
                    Some(location) => (location, finding.meaning("it is assumed to lead where it led before")),
                    None => (Location::Absent, with_needed_cname(finding, looked_at)),
                };
            }
        };
        if let Some(owner) = self.first_owner(&chain) {
            let answer = format!("it leads to {owner}");
            return (Location::Owner(owner), Finding::new(Assessment::Good, looked_at, asked, answer));
        }
        let is_own = |name: &Name| zone_at(&self.zones, name).is_some();
        let answer = match chain.last() {
            None => "it is not a CNAME".to_owned(),
            Some(last) => match meant_by(last, looked_at, is_own) {
                Some(meant) => format!("it leads to {last}: a closing dot is missing behind `{meant}`"),
                None => format!("it leads to {last}"),
            },
        };
        let finding = Finding::new(Assessment::Fault, looked_at, asked, answer);
        (Location::Absent, with_needed_cname(finding, looked_at))
    }

    async fn check_persistent(
        &self,
        requirement: &PersistRequirement,
        base: Name,
        looked_at: Name,
        is_wildcard: bool,
    ) -> TargetCheck {
        if !requirement.knows_issuers() {
            let answer = "not looked up: the CA names itself in its challenges only";
            let finding = Finding::new(Assessment::Good, &looked_at, "", answer);
            return TargetCheck { base, looked_at, location: Location::Foreign, finding };
        }
        let was_proven = self.proven_before.contains_key(&looked_at.to_string());
        let query = PersistQuery { base: &base, looked_at: &looked_at, is_wildcard, accepts_former_key: was_proven };
        match requirement.check(&Lookups::Recursive(self.client.clone()), query, self.now).await {
            Ok(check) if check.value.is_some() => {
                TargetCheck { base, looked_at, location: Location::Foreign, finding: check.finding }
            }
            Ok(check) if was_proven && check.finding.is_unknown() => {
                let finding = check.finding.meaning("it is left to the CA: it was right before");
                TargetCheck { base, looked_at, location: Location::Foreign, finding }
            }
            Ok(check) => TargetCheck { base, looked_at, location: Location::Absent, finding: check.finding },
            Err(error) => impossible(&base, looked_at, "the persistent authorization", &error),
        }
    }

    /// The first owner in a chain of CNAMEs at which values can be published.
    fn first_owner(&self, chain: &[Name]) -> Option<Owner> {
        let owners = chain.iter().filter_map(|name| owner_at(&self.zones, name));
        let mut usable =
            owners.filter(|owner| self.method.fits(owner) && (owner.is_daemons() || is_served(&self.zones, owner)));
        usable.next()
    }

    /// Where a name led when the last certificate was issued.
    fn location_before(&self, looked_at: &Name) -> Option<Location> {
        let target: Name = self.proven_before.get(&looked_at.to_string())?.parse().ok()?;
        if let Some(owner) = self.first_owner(std::slice::from_ref(&target)) {
            return Some(Location::Owner(owner));
        }
        (self.method.is_persistent() && target == *looked_at).then_some(Location::Foreign)
    }
}

/// Adds the name of the record that is needed. The caller adds the target: creating an owner is a change.
fn with_needed_cname(mut finding: Finding, looked_at: &Name) -> Finding {
    finding.needed = Some(NeededRecord { name: looked_at.to_string(), target: None, txt: None });
    finding
}

fn impossible(base: &Name, looked_at: Name, asked: &str, problem: &dyn std::fmt::Display) -> TargetCheck {
    let finding = Finding::new(Assessment::Fault, base, asked, problem);
    TargetCheck { base: base.clone(), looked_at, location: Location::Impossible, finding }
}

fn unprovable(base: &Name, zone: &ZoneName) -> Finding {
    if zone.is_challenge() {
        Finding::new(Assessment::Fault, base, "", format!("nobody owns {zone}"))
            .advice(format!("run `txtgate account create DOMAIN --zone {zone}` first"))
    } else {
        Finding::new(Assessment::Fault, base, "", format!("it lies in this server's zone {zone}"))
            .advice(format!("ask for {zone} and *.{zone}, which cover it"))
    }
}

/// The owner of this server that a name stands for, whether it exists or not.
pub fn owner_at(zones: &Zones, name: &Name) -> Option<Owner> {
    Owner::at(name, &zone_at(zones, name)?)
}

/// The zone of this server that a name lies in.
pub fn zone_at(zones: &Zones, name: &Name) -> Option<ZoneName> {
    zone_of(&zones.load(), name.as_ref()).map(|zone| zone.name.clone())
}

/// Whether an owner exists, and its values are served.
fn is_served(zones: &Zones, owner: &Owner) -> bool {
    let zones = zones.load();
    let state = zone_named(&zones, &owner.zone).and_then(|zone| zone.live.at(owner.label.below_apex().as_bytes()));
    state.is_some_and(|state| state != OwnerState::Disabled)
}

#[cfg(test)]
mod tests;
