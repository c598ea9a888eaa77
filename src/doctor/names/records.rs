//! The records that a domain needs, as advice.

use crate::delegation::finding::NeededRecord;
use crate::model::name::{Name, Owner};

use super::super::findings::ScopedFinding;
use super::own::OwnServer;

/// The CNAME that a name at which a CA looks needs.
#[derive(Debug, Clone)]
pub struct NeededCname {
    /// The name.
    pub name: Name,
    /// The zone in which the record belongs.
    pub zone: Name,
    /// The owner that it should lead to, if that is known.
    pub owner: Option<Owner>,
    /// A name that stands for an owner nobody knows.
    example: String,
    base: Name,
}

impl NeededCname {
    pub fn new(own: &OwnServer, base: &Name, name: &Name, zone: &Name, owner: Option<Owner>) -> Self {
        let example = own.first_zone().map_or_else(|| "FULLDOMAIN".to_owned(), |zone| format!("LABEL.{zone}"));
        Self { name: name.clone(), zone: zone.clone(), owner, example, base: base.clone() }
    }

    /// The same with another owner.
    pub fn to(&self, owner: Owner) -> Self {
        Self { owner: Some(owner), ..self.clone() }
    }

    /// Adds the record to a finding, after what has to be done first.
    pub fn advise(&self, finding: ScopedFinding, first: &str) -> ScopedFinding {
        self.advise_after(finding, &if first.is_empty() { String::new() } else { format!("{first}, and ") })
    }

    /// Adds the record to a finding, as what can be done in the place of something else.
    pub fn advise_or(&self, other: &str, finding: ScopedFinding) -> ScopedFinding {
        self.advise_after(finding, &format!("{other}, or "))
    }

    fn advise_after(&self, finding: ScopedFinding, first: &str) -> ScopedFinding {
        match &self.owner {
            Some(owner) => {
                let target = Some(owner.to_string());
                let needed = NeededRecord { name: self.name.to_string(), target, txt: None };
                finding.advice(format!("{first}put this record into the zone {}", self.zone)).needs(needed)
            }
            None => finding.advice(format!(
                "{first}add `{}. CNAME {}.` to the zone {}; the fulldomain of its account takes the place of {}: the \
                 client's registration has it, or `txtgate account create {}` prints one",
                self.name, self.example, self.zone, self.example, self.base
            )),
        }
    }
}

/// What to do so that this server has a zone.
pub fn add_zone(apex: &Name) -> String {
    format!("add a [[zone]] with `name = \"{apex}\"` to the configuration and run `systemctl reload txtgate`")
}
