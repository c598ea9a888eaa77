//! Whether validating resolvers believe the zone of each name.

use std::sync::Arc;
use std::time::SystemTime;

use hickory_proto::rr::RecordType;

use crate::delegation::chain::Chain;
use crate::delegation::finding::{Assessment, Finding, question, question_at};
use crate::delegation::iterative::{IterativeResolver, ServerFailure, ZoneCut};
use crate::delegation::signatures::{SignatureFault, ZoneKeys, ZoneSecurity};
use crate::model::name::{CHALLENGE_LABEL, Name};
use crate::model::time::Timestamp;

use super::super::check::{Check, Group};
use super::super::examination::Examination;
use super::super::fault::Fault;
use super::super::findings::{Findings, ScopedFinding};
use super::domains::{domains, for_each};
use super::own::OwnServer;

pub static CHECK: Check = Check {
    id: "name-dnssec",
    group: Group::Names,
    title: "DNSSEC of the names",
    looks_at: "Compares the DS records of each zone on the way to a name with its keys, and checks the signatures of what \
               each nameserver answers at `_acme-challenge` and about CAA, with the proofs (NSEC, NSEC3) of what is not \
               there, which include that no wildcard answers instead, or that only the wildcard can answer, and of zones \
               below that are not signed. Proofs with more than 150 iterations of NSEC3 count as if the zone were not \
               signed, as for validators (RFC 9276).",
    after: &["name-zone"],
    faults: &[&DS_MISMATCH, &KEYS_MISSING, &EXPIRED, &NOT_YET, &UNSIGNED, &WRONG, &UNPROVEN, &WILDCARD],
    run: |examination, findings| Box::pin(run(examination, findings)),
};

const MEANING: &str = "CAs validate DNSSEC, so they find no record of the zone, and refuse";

const DS_MISMATCH: Fault = Fault {
    code: "name-ds-mismatch",
    assessment: Assessment::Fault,
    meaning: MEANING,
    mend: "replace the DS records at the registrar with those that the zone's DNS provider shows, or remove them",
};

const KEYS_MISSING: Fault = Fault {
    code: "name-keys-missing",
    assessment: Assessment::Fault,
    meaning: MEANING,
    mend: "remove the DS records at the registrar, or have the zone's DNS provider sign the zone again",
};

const EXPIRED: Fault = Fault {
    code: "name-signature-expired",
    assessment: Assessment::Fault,
    meaning: MEANING,
    mend: "have the zone's DNS provider sign the zone again; a secondary with old signatures must transfer it again",
};

const NOT_YET: Fault = Fault {
    code: "name-signature-early",
    assessment: Assessment::Fault,
    meaning: MEANING,
    mend: "compare the clocks of this machine and of the zone's signer",
};

const UNSIGNED: Fault = Fault {
    code: "name-unsigned",
    assessment: Assessment::Fault,
    meaning: MEANING,
    mend: "have the zone's DNS provider sign all of the zone, or remove the DS records at the registrar",
};

const WRONG: Fault = Fault {
    code: "name-signature-wrong",
    assessment: Assessment::Fault,
    meaning: MEANING,
    mend: "have the zone's DNS provider sign the zone again",
};

const UNPROVEN: Fault = Fault {
    code: "name-denial-unproven",
    assessment: Assessment::Fault,
    meaning: "CAs validate DNSSEC, so they take the answer that there is no such record for a forgery, and refuse",
    mend: "have the zone's DNS provider sign the zone again, with NSEC or NSEC3 records, and serve them at each nameserver",
};

const WILDCARD: Fault = Fault {
    code: "name-wildcard-unproven",
    assessment: Assessment::Fault,
    meaning: "CAs validate DNSSEC, so they take the answer of the wildcard for a forgery, and refuse",
    mend: "have the zone's DNS provider sign the zone again, with NSEC or NSEC3 records, and serve them at each nameserver; \
           or add the record of the name itself, which takes precedence over the wildcard",
};

/// The fault of the table that an error of a zone's signatures is.
fn fault(found: &SignatureFault) -> &'static Fault {
    match found {
        SignatureFault::NoKeys { .. } => &KEYS_MISSING,
        SignatureFault::OtherKeys { .. } => &DS_MISMATCH,
        SignatureFault::Unsigned { .. } => &UNSIGNED,
        SignatureFault::Expired { .. } => &EXPIRED,
        SignatureFault::NotYet { .. } => &NOT_YET,
        SignatureFault::Wrong { .. } => &WRONG,
        SignatureFault::Unproven { .. } => &UNPROVEN,
        SignatureFault::UnprovenWildcard { .. } => &WILDCARD,
    }
}

/// The date, by the machine's clock: resolvers elsewhere go by theirs.
fn wall_clock() -> Timestamp {
    Timestamp::from_unix(SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs()))
}

async fn run(examination: &Examination, findings: &mut Findings) {
    let resolver = examination.iterative.clone();
    let own = OwnServer::of(examination);
    let now = wall_clock();
    for_each(domains(&examination.names), findings, |domain| {
        let (resolver, own) = (resolver.clone(), own.clone());
        async move {
            if own.zone_at(&domain.base).is_some() { Vec::new() } else { check(&resolver, &domain.base, now).await }
        }
    })
    .await;
}

/// Checks the chain of trust to the name's zone, or to the lowest zone above it that is signed. A zone that nothing is found
/// of is the matter of another check.
async fn check(resolver: &IterativeResolver, base: &Name, now: Timestamp) -> Vec<ScopedFinding> {
    let Ok(zone) = resolver.zone_of(base).await else { return Vec::new() };
    let asked = question(RecordType::DS, &zone.apex);
    let good = |asked: String, answer: String| ScopedFinding::good(Finding::new(Assessment::Good, base, asked, answer));
    let Some(signed) = lowest_signed(resolver, &zone, now).await else {
        return vec![good(asked, format!("the parent of {} has no DS records: it need not be signed", zone.apex))];
    };
    let keys = match Chain::follow(resolver, &signed).await {
        Chain::Secure(keys) => keys,
        Chain::Insecure(above) => return vec![good(asked, format!("{above} is not signed, so nobody validates"))],
        Chain::Unknown { .. } => return Vec::new(),
        Chain::Broken { zone, fault: broken } => {
            return vec![fault(&broken).found(&zone, question(RecordType::DNSKEY, &zone), broken)];
        }
    };
    let mut found = Vec::new();
    if signed.apex == zone.apex {
        found = check_answers(resolver, &zone, &keys, base, now).await;
    } else if let Some(below) = zone.ancestry().into_iter().rev().find(|cut| is_below(cut, &signed)) {
        found.extend(check_insecurity(resolver, &signed, &keys, &below, now).await);
    }
    if found.is_empty() {
        let asked = question(RecordType::DNSKEY, &zone.apex);
        found.push(good(asked, format!("the keys and signatures of {} are good", signed.apex)));
    }
    found
}

/// The lowest zone with DS records in its parent, top-level domains left out: most names are in zones without any.
async fn lowest_signed(resolver: &IterativeResolver, zone: &Arc<ZoneCut>, now: Timestamp) -> Option<Arc<ZoneCut>> {
    for zone in zone.ancestry().into_iter().filter(|zone| zone.apex.as_ref().labels().count() > 1) {
        if !matches!(resolver.zone_security(&zone, now).await, Ok(ZoneSecurity::Unsigned) | Err(_)) {
            return Some(zone);
        }
    }
    None
}

fn is_below(cut: &ZoneCut, signed: &ZoneCut) -> bool {
    cut.parent.as_ref().is_some_and(|parent| parent.apex == signed.apex)
}

/// Checks that a signed zone proves that the zone below is not signed: otherwise its answers have to be.
async fn check_insecurity(
    resolver: &IterativeResolver,
    signed: &ZoneCut,
    keys: &ZoneKeys,
    below: &ZoneCut,
    now: Timestamp,
) -> Option<ScopedFinding> {
    let reply = resolver.resolve(&below.apex, RecordType::DS).await.ok()?.reply;
    let broken = keys.check(&below.apex, RecordType::DS, &reply, now).err().filter(|_| reply.is_authoritative())?;
    let subject = format!("{}, the zone above {}", signed.apex, below.apex);
    Some(fault(&broken).found(subject, question(RecordType::DS, &below.apex), broken))
}

/// Checks the signatures of what each nameserver says to the questions of a CA: a secondary may have old ones.
async fn check_answers(
    resolver: &IterativeResolver,
    zone: &ZoneCut,
    keys: &ZoneKeys,
    base: &Name,
    now: Timestamp,
) -> Vec<ScopedFinding> {
    let Ok(name) = base.child(CHALLENGE_LABEL) else { return Vec::new() };
    let (texts, caa) =
        tokio::join!(resolver.ask_all(zone, &name, RecordType::TXT), resolver.ask_all(zone, base, RecordType::CAA));
    let mut found: Vec<ScopedFinding> = Vec::new();
    let texts = texts.into_iter().map(|answer| (&name, RecordType::TXT, answer));
    for (name, rtype, (server, reply)) in texts.chain(caa.into_iter().map(|answer| (base, RecordType::CAA, answer))) {
        let usable = reply.ok().filter(|reply| reply.is_authoritative());
        let Some(reply) = usable.filter(|reply| ServerFailure::of(reply, &zone.apex, name).is_none()) else {
            continue;
        };
        let subject = format!("{server}, a nameserver of {}", zone.apex);
        // A nameserver with old signatures has them for every answer.
        let is_known = found.iter().any(|known| known.finding.subject == subject);
        if let Err(broken) = keys.check(name, rtype, &reply, now)
            && !is_known
        {
            found.push(fault(&broken).found(subject, question_at(rtype, name, &server), broken));
        }
    }
    found
}
