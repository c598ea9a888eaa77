//! Whether the chain of trust holds down to the parent zone.

use crate::delegation::chain::Chain;
use crate::delegation::finding::Assessment;
use crate::delegation::signatures::SignatureFault;

use super::super::check::{Check, Group};
use super::super::examination::Examination;
use super::super::fault::Fault;
use super::super::findings::Findings;
use super::super::zones::SurveyedZone;

pub static CHECK: Check = Check {
    id: "chain-of-trust",
    group: Group::Delegation,
    title: "DNSSEC above the zone",
    looks_at: "The DS and DNSKEY records and their signatures from the root down to the parent of each zone. Validating \
               resolvers, such as those of CAs, refuse everything below a broken link.",
    after: &["parent-zone"],
    faults: &[&EXPIRED, &NOT_YET_VALID, &BROKEN, &UNKNOWN],
    run: |examination, findings| Box::pin(run(examination, findings)),
};

const EXPIRED: Fault = Fault {
    code: "chain-expired",
    assessment: Assessment::Fault,
    meaning: "validating resolvers refuse every answer below this zone",
    mend: "sign the zone again: whoever runs its primary nameserver has a signer that has stopped",
};

const NOT_YET_VALID: Fault = Fault {
    code: "chain-not-yet-valid",
    assessment: Assessment::Fault,
    meaning: "the clock of this machine is behind, or that of the zone's signer is ahead",
    mend: "compare `date -u` with another clock and start time synchronization, such as `timedatectl set-ntp true`",
};

const BROKEN: Fault = Fault {
    code: "chain-broken",
    assessment: Assessment::Fault,
    meaning: "validating resolvers refuse every answer below this zone",
    mend: "let the operator of the zone compare its keys with the DS records in its parent, and sign the zone again",
};

const UNKNOWN: Fault = Fault {
    code: "chain-unknown",
    assessment: Assessment::Unknown,
    meaning: "whether validating resolvers accept the zones below is unknown",
    mend: "run `txtgate doctor` again; if the answer stays away, ask the operator of the zone's nameservers",
};

async fn run(examination: &Examination, findings: &mut Findings) {
    for surveyed in examination.surveyed_zones().await {
        judge(surveyed, findings);
    }
}

fn judge(surveyed: &SurveyedZone, findings: &mut Findings) {
    let Ok(parent) = &surveyed.survey.parent else { return };
    let question = format!("DS and DNSKEY records down to {}", parent.zone.apex);
    let zone = &surveyed.zone.name;
    match &parent.chain {
        Chain::Secure(_) => findings.good(&parent.zone.apex, question, "every signature is valid"),
        Chain::Insecure(unsigned) => {
            findings.good(&parent.zone.apex, question, format!("nothing to validate: {unsigned} is not signed"));
        }
        Chain::Unknown { zone: asked, problem } => findings.add(UNKNOWN.found(asked, question, problem).in_zone(zone)),
        Chain::Broken { zone: broken, fault } => {
            let kind = match fault {
                SignatureFault::Expired { .. } => &EXPIRED,
                SignatureFault::NotYet { .. } => &NOT_YET_VALID,
                _ => &BROKEN,
            };
            findings.add(kind.found(format!("the zone {broken}"), question, fault).in_zone(zone));
        }
    }
}
