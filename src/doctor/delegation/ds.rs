//! Whether the DS records in the parent zone are of the zone's keys.

use hickory_proto::dnssec::rdata::{DNSKEY, DS};
use hickory_proto::dnssec::{Algorithm, PublicKeyBuf};

use crate::delegation::chain::{Chain, is_one_named};
use crate::delegation::finding::Assessment;
use crate::delegation::signatures::is_known;
use crate::delegation::survey::ParentSurvey;
use crate::model::text::listed;

use super::super::check::{Check, Group};
use super::super::examination::Examination;
use super::super::fault::Fault;
use super::super::findings::{Findings, ScopedFinding};
use super::super::zones::SurveyedZone;

pub static CHECK: Check = Check {
    id: "ds",
    group: Group::Delegation,
    title: "DNSSEC of the zone",
    looks_at: "The DS records in the parent zone, compared with the keys of the zone here and at each nameserver.",
    after: &["chain-of-trust", "delegated"],
    faults: &[&WITHOUT_SIGNING, &MISMATCH, &ALGORITHM, &OTHER_KEYS, &MISSING],
    run: |examination, findings| Box::pin(run(examination, findings)),
};

const WITHOUT_SIGNING: Fault = Fault {
    code: "ds-without-signing",
    assessment: Assessment::Fault,
    meaning: "the parent zone says that the zone is signed, and it is not, so validating resolvers refuse every answer",
    mend: "remove the DS records from the parent zone, or sign the zone: set `dnssec-key`, then `txtgate dnssec init`",
};

const MISMATCH: Fault = Fault {
    code: "ds-mismatch",
    assessment: Assessment::Fault,
    meaning: "the DS records are of other keys, so validating resolvers refuse every answer",
    mend: "replace the DS records in the parent zone by that of `txtgate dnssec status`",
};

const ALGORITHM: Fault = Fault {
    code: "ds-algorithm",
    assessment: Assessment::Warning,
    meaning: "validators do not know the algorithms of the DS records, so the zone is as good as unsigned",
    mend: "replace the DS records in the parent zone by that of `txtgate dnssec status`, which is SHA-256",
};

const OTHER_KEYS: Fault = Fault {
    code: "nameserver-other-keys",
    assessment: Assessment::Fault,
    meaning: "the keys of the zone at this nameserver are not those of the DS records, so validating resolvers refuse its \
              answers",
    mend: "let the nameserver transfer the zone from this server again, and check that it keeps DNSSEC records",
};

const MISSING: Fault = Fault {
    code: "ds-missing",
    assessment: Assessment::Warning,
    meaning: "the zone is signed, and its parent zone does not say so: nobody validates the signatures",
    mend: "run `txtgate dnssec status`, and add the DS record that it prints to the parent zone",
};

async fn run(examination: &Examination, findings: &mut Findings) {
    for surveyed in examination.surveyed_zones().await {
        if let Ok(parent) = &surveyed.survey.parent
            && !surveyed.survey.names.is_empty()
        {
            judge(surveyed, parent, findings);
        }
    }
}

fn judge(surveyed: &SurveyedZone, parent: &ParentSurvey, findings: &mut Findings) {
    let (zone, apex) = (&surveyed.zone, surveyed.zone.apex());
    let question = format!("DS of {apex} in the zone {}", parent.zone.apex);
    let keys: Vec<DNSKEY> = zone.keys.iter().filter_map(|rdata| dnskey(rdata)).collect();
    // Without the database, the keys of a signed zone are not known here.
    let is_signed = !keys.is_empty() || (zone.has_key_file && zone.serial.is_none());
    let found = match (parent.ds.is_empty(), is_signed) {
        (true, false) => return findings.good(apex, question, "not signed, and no DS record"),
        (true, true) => missing(surveyed, parent, &question),
        (false, false) => Some(without_signing(surveyed, parent, &question)),
        (false, true) if keys.is_empty() => return,
        // A validator ignores what it does not know.
        (false, true) if !parent.ds.iter().any(is_known) => {
            Some(ALGORITHM.found(apex, &question, listed(parent.ds.iter().map(numbers))))
        }
        (false, true) if !is_one_named(apex, &parent.ds, &keys) => Some(mismatch(surveyed, parent, &keys, &question)),
        (false, true) => None,
    };
    match found {
        Some(found) => findings.add(found.in_zone(&zone.name)),
        None => {
            findings.good(apex, &question, "as the keys of the zone are");
            judge_nameservers(surveyed, parent, &question, findings);
        }
    }
}

/// A hint where the parent zone is signed itself.
fn missing(surveyed: &SurveyedZone, parent: &ParentSurvey, question: &str) -> Option<ScopedFinding> {
    let apex = surveyed.zone.apex();
    let is_parent_signed = matches!(parent.chain, Chain::Secure(_));
    is_parent_signed.then(|| {
        let advice = format!(
            "run `txtgate dnssec status {apex}`, and add the DS record that it prints to the zone {}",
            parent.zone.apex
        );
        MISSING.found(apex, question, "there is none, and the zone is signed").advice(advice)
    })
}

fn without_signing(surveyed: &SurveyedZone, parent: &ParentSurvey, question: &str) -> ScopedFinding {
    let apex = surveyed.zone.apex();
    let advice = format!(
        "remove the DS records of {apex} from the zone {}, or sign the zone: set `dnssec-key` and run \
         `txtgate dnssec init {apex}`",
        parent.zone.apex
    );
    let answer = format!("{}, and the zone is not signed", listed(parent.ds.iter().map(numbers)));
    WITHOUT_SIGNING.found(apex, question, answer).advice(advice)
}

fn mismatch(surveyed: &SurveyedZone, parent: &ParentSurvey, keys: &[DNSKEY], question: &str) -> ScopedFinding {
    let apex = surveyed.zone.apex();
    let tags = listed(keys.iter().filter_map(|key| key.calculate_key_tag().ok()));
    let answer = format!("{}, and the keys of the zone have the tags {tags}", listed(parent.ds.iter().map(numbers)));
    let advice = format!(
        "replace the DS records of {apex} in the zone {} by the one that `txtgate dnssec status {apex}` prints",
        parent.zone.apex
    );
    MISMATCH.found(apex, question, answer).advice(advice)
}

/// Whether each nameserver shows a key that the DS records name.
fn judge_nameservers(surveyed: &SurveyedZone, parent: &ParentSurvey, question: &str, findings: &mut Findings) {
    let apex = surveyed.zone.apex();
    if parent.ds.is_empty() {
        return;
    }
    for server in surveyed.survey.servers.iter().filter(|server| server.serves()) {
        if is_one_named(apex, &parent.ds, &server.keys) {
            continue;
        }
        let answer = match server.keys.is_empty() {
            true => "shows no DNSKEY record".to_owned(),
            false => "shows other keys than the DS records name".to_owned(),
        };
        findings.add(OTHER_KEYS.found(&server.server, question, answer).in_zone(&surveyed.zone.name));
    }
}

fn numbers(ds: &DS) -> String {
    let digest = u8::from(ds.digest_type());
    format!("a DS record of the key {} (algorithm {}, digest type {digest})", ds.key_tag(), u8::from(ds.algorithm()))
}

/// Reads the RDATA of a DNSKEY record (RFC 4034 section 2.1): flags, a protocol number, the algorithm and the key.
fn dnskey(rdata: &[u8]) -> Option<DNSKEY> {
    let (&[high, low, _, algorithm], key) = rdata.split_first_chunk::<4>()?;
    let key = PublicKeyBuf::new(key.to_vec(), Algorithm::from_u8(algorithm));
    Some(DNSKEY::with_flags(u16::from_be_bytes([high, low]), key))
}
