//! The name that is looked at, and what is needed there.

use hickory_proto::rr::RecordType;

use crate::delegation::challenge_chain::Link;
use crate::delegation::finding::question;
use crate::delegation::iterative::IterativeResolver;
use crate::model::identifier::Identifier;
use crate::model::name::Name;
use crate::model::text::listed;

use super::super::super::examination::Examination;
use super::super::super::findings::ScopedFinding;
use super::super::domains::Domain;
use super::super::own::{Holder, OwnServer};
use super::super::records::NeededCname;
use super::faults;
use super::looked_at::Proof;

/// A name at which a CA looks. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Subject {
    pub resolver: IterativeResolver,
    pub own: OwnServer,
    /// How the domain is proven.
    pub proof: Proof,
    /// The domain.
    pub base: Name,
    /// Whether a wildcard of the domain is to be proven.
    pub is_wildcard: bool,
    /// The name at which a CA looks.
    pub looked_at: Name,
    /// The CNAME that is needed there.
    pub needed: NeededCname,
}

impl Subject {
    /// What all names of an examination have in common.
    pub async fn of(examination: &Examination) -> Self {
        let own = OwnServer::of(examination);
        let root = Name::root();
        let needed = NeededCname::new(&own, &root, &root, &root, None);
        let (resolver, proof) = (examination.iterative.clone(), Proof::of(examination).await);
        Self { resolver, own, proof, base: root.clone(), is_wildcard: false, looked_at: root, needed }
    }

    /// The name at which a CA looks for a domain. Clients of accounts prove theirs by dns-01, whatever this server uses
    /// itself. `None` if the name is unknown.
    pub async fn of_domain(mut self, domain: &Domain) -> Option<Self> {
        self.base = domain.base.clone();
        self.is_wildcard = domain.names.iter().any(Identifier::is_wildcard);
        if !matches!(self.proof, Proof::Value) && self.own.holder(&self.base).await == Holder::Client {
            self.proof = Proof::Value;
        }
        self.looked_at = self.proof.looked_at(&self.base)?;
        self.needed = NeededCname::new(&self.own, &self.base, &self.looked_at, &self.base, None);
        Some(self)
    }

    /// The same with the record that is needed in the zone of a link.
    pub async fn in_zone(&self, link: &Link) -> Self {
        let zone = &link.zone;
        // Records at a name that is delegated belong in the zone above.
        let at = if zone.apex == self.looked_at { zone.parent.as_ref() } else { Some(zone) };
        let apex = at.map_or_else(|| zone.apex.clone(), |zone| zone.apex.clone());
        self.needing(&apex).await
    }

    /// The same with the record that is needed in a zone.
    pub async fn needing(&self, zone: &Name) -> Self {
        let owner = self.own.expected_owner(&self.base).await;
        let needed = NeededCname::new(&self.own, &self.base, &self.looked_at, zone, owner);
        Self { needed, ..self.clone() }
    }

    pub fn question(&self) -> String {
        question(RecordType::CNAME, &self.looked_at)
    }

    /// The TXT values of a link, shortened.
    pub fn texts(link: &Link) -> String {
        let shown = |value: &Vec<u8>| {
            let text = String::from_utf8_lossy(value);
            let start: String = text.chars().take(60).collect();
            format!("{start:?}")
        };
        listed(link.texts().iter().take(3).map(shown))
    }

    /// What is wrong with the records of a name that has a CNAME, wherever that leads.
    pub fn disorder(&self, link: &Link, leads_here: bool) -> Vec<ScopedFinding> {
        let mut found = Vec::new();
        let is_several = link.seen().any(|(_, seen)| seen.cnames.len() > 1);
        let first = link.first_seen().map(|seen| &seen.cnames);
        if is_several {
            let answer = format!("it has the CNAMEs {}", listed(link.targets()));
            found.push(faults::SEVERAL_CNAMES.found(&self.looked_at, self.question(), answer));
        } else if link.seen().any(|(_, seen)| Some(&seen.cnames) != first) {
            found.push(self.differing(link));
        }
        if !link.texts().is_empty() {
            let answer = format!("beside its CNAME it has TXT {}", Self::texts(link));
            let fault = faults::TXT_BESIDE.found(&self.looked_at, self.question(), answer);
            found.push(if leads_here { fault } else { self.needed.advise(fault, "remove the TXT records there") });
        }
        found
    }

    fn differing(&self, link: &Link) -> ScopedFinding {
        let says = link.seen().map(|(server, seen)| match seen.cnames.first() {
            Some(target) => format!("{server} says {target}"),
            None => format!("{server} has no CNAME"),
        });
        let fault = faults::DIFFERS.found(&self.looked_at, self.question(), listed(says));
        let without: Vec<_> =
            link.seen().filter(|(_, seen)| seen.cnames.is_empty()).map(|(server, _)| server).collect();
        match without.is_empty() {
            true => fault,
            false => fault.advice(format!(
                "wait until {} has the record as well; if that takes longer than minutes, have the provider transfer the \
                 zone {} again",
                listed(without),
                link.zone.apex
            )),
        }
    }
}
