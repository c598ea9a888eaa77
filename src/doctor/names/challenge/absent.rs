//! Names without a CNAME, and names whose records come from a wildcard.

use crate::delegation::challenge_chain::{Link, Seen};
use crate::model::name::{CHALLENGE_LABEL, Name};
use crate::model::text::listed;

use super::super::super::findings::ScopedFinding;
use super::faults;
use super::subject::Subject;

/// First labels that people write in place of `_acme-challenge`.
const MISSPELT: [&str; 4] = ["acme-challenge", "_acme_challenge", "_acmechallenge", "_acme-challenges"];

/// The finding about a name without a CNAME.
pub async fn judge(subject: &Subject, link: &Link) -> ScopedFinding {
    if let Some(wildcard) = wildcard(subject, link).await {
        return wildcard;
    }
    let (name, asked) = (&subject.looked_at, subject.question());
    if !link.texts().is_empty() {
        let answer = format!("it has no CNAME, but TXT {}", Subject::texts(link));
        let fault = faults::TXT_IN_PLACE.found(name, asked, answer);
        return subject.needed.advise(fault, "remove the TXT records there");
    }
    if let Some(found) = misplaced(subject, &link.zone.apex).await {
        return found;
    }
    let exists = link.first_seen().is_some_and(|seen| seen.exists);
    let answer = if exists { "it has no CNAME record" } else { "the name does not exist" };
    subject.needed.advise(faults::MISSING.found(name, asked, format!("{answer} in the zone {}", link.zone.apex)), "")
}

/// The finding about a wildcard that answers in the place of the name: any other name beside it has the same records.
pub async fn wildcard(subject: &Subject, link: &Link) -> Option<ScopedFinding> {
    let beside = subject.resolver.beside(&subject.looked_at).await?;
    let is_same = |seen: &Seen| seen.cnames == beside.cnames && seen.texts == beside.texts;
    if !link.seen().any(|(_, seen)| is_same(seen)) {
        return None;
    }
    let what = match beside.cnames.first() {
        Some(target) => format!("CNAME {target}"),
        None => format!("TXT {}", Subject::texts(link)),
    };
    let answer = format!("a wildcard of the zone {} answers for every name: {what}", link.zone.apex);
    let fault = faults::WILDCARD.found(&subject.looked_at, subject.question(), answer);
    Some(subject.needed.advise(fault, ""))
}

/// The finding about a record that is at another name than the one that CAs look at.
async fn misplaced(subject: &Subject, zone: &Name) -> Option<ScopedFinding> {
    let (name, asked) = (&subject.looked_at, subject.question());
    if let Some(doubled) = joined(name, zone)
        && let Some(seen) = subject.resolver.seen_at(&doubled).await
    {
        let answer = format!("it does not exist; {doubled} has {}", shown(&seen));
        let fault = faults::NAME_DOUBLED.found(name, asked, answer);
        return Some(subject.needed.advise(fault, &format!("remove the record at {doubled}")));
    }
    let is_plain = name.parent().as_ref() == Some(&subject.base);
    for label in MISSPELT.iter().filter(|_| is_plain) {
        let Ok(other) = subject.base.child(label) else { continue };
        let Some(seen) = subject.resolver.seen_at(&other).await else { continue };
        let answer = format!("it does not exist; {other} has {}", shown(&seen));
        let advice = format!("rename the record {other} to {CHALLENGE_LABEL}.{}", subject.base);
        return Some(faults::NAME_MISSPELT.found(name, asked, answer).advice(advice));
    }
    None
}

fn shown(seen: &Seen) -> String {
    match seen.cnames.is_empty() {
        true => "a TXT record".to_owned(),
        false => format!("a CNAME to {}", listed(&seen.cnames)),
    }
}

/// A name with another one behind it, as where a closing dot is missing.
fn joined(name: &Name, zone: &Name) -> Option<Name> {
    let wire = name.as_wire();
    let labels = wire.get(..wire.len().checked_sub(1)?)?;
    Name::from_wire(&[labels, zone.as_wire()].concat()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_without_closing_dot_has_the_zone_twice() {
        let name = |text: &str| text.parse::<Name>().unwrap();
        let doubled = joined(&name("_acme-challenge.example.com"), &name("example.com")).unwrap();
        assert_eq!(doubled.to_string(), "_acme-challenge.example.com.example.com");
    }
}
