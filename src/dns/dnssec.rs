//! Adds signatures and denials of existence to the answers of a signed zone.
//!
//! Negative answers are compact denials (RFC 9824): one NSEC at the name in the question, without the type in the
//! question. The NSEC of a name that does not exist lists NXNAME beside RRSIG and NSEC.

use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;

use crate::model::name::{MAX_NAME, NameRef};
use crate::model::serial::Serial;
use crate::model::txt::{MAX_STRING, RecordSet, TXT_VALUE};
use crate::zone::signing::nsec::{NXNAME, nsec_rdata};
use crate::zone::signing::{Carrier, Refused, Signed, Signing, Unsigned};
use crate::zone::{Node, Zone, zone_of};

use super::answer::{Answer, Records};
use super::ede::Ede;
use super::question::Question;
use super::signatures::{Denial, NsecRole, Signatures, SigningOutcome};

/// Signs an answer from a signed zone if the client has set DO (RFC 3225). Returns how long the next query of the same
/// stream must wait; zero for datagrams.
pub fn sign_answer<'z>(
    zones: &'z [Zone],
    question: &Question<'_>,
    carrier: Carrier,
    answer: &mut Answer<'z>,
) -> Duration {
    let Some(edns) = question.echo.edns.filter(|edns| edns.dnssec_ok && answer.is_authoritative) else {
        return Duration::ZERO;
    };
    // Most daemons sign no zone. This check saves them a second look-up of the name.
    if zones.iter().all(|zone| zone.signing.is_none()) {
        return Duration::ZERO;
    }
    let Some(zone) = zone_of(zones, question.name()) else { return Duration::ZERO };
    let Some(signing) = zone.signing.as_deref() else { return Duration::ZERO };
    let mut signer = AnswerSigner { zone, signing, rtype: question.rtype(), carrier, pause: Duration::ZERO };
    match signer.signatures(question.name(), answer) {
        Ok(signatures) => {
            if signatures.denial.as_ref().is_some_and(|denial| denial.role != NsecRole::Proof) {
                answer.negative = None;
                answer.rcode = ResponseCode::NoError;
            }
            answer.signing = SigningOutcome::Signed(Box::new(signatures));
        }
        Err(Refused::Busy) => {
            answer.signing = SigningOutcome::Withheld;
            // The header must not claim what the server cannot prove now.
            answer.rcode = ResponseCode::NoError;
        }
        Err(Refused::Clock) => *answer = Answer { ede: Some(Ede::CLOCK), ..answer.failed() },
        Err(Refused::Random) => *answer = answer.failed(),
    }
    // RFC 9824 section 5.1: only clients that set CO get NXDOMAIN together with a compact denial.
    if answer.rcode == ResponseCode::NXDomain && !edns.compact_ok {
        answer.rcode = ResponseCode::NoError;
    }
    signer.pause
}

struct AnswerSigner<'z> {
    zone: &'z Zone,
    signing: &'z Signing,
    rtype: RecordType,
    carrier: Carrier,
    pause: Duration,
}

impl<'z> AnswerSigner<'z> {
    fn signatures(&mut self, name: NameRef<'_>, answer: &Answer<'z>) -> Result<Signatures, Refused> {
        let mut signatures = Signatures::default();
        let mut buffer = [0; MAX_NAME];
        let mut owner = name;
        for alias in &answer.aliases {
            signatures.aliases.push(self.set(owner, alias)?);
            let target = alias.rdatas.first().map(|rdata| &rdata[..]).unwrap_or(&[0]);
            owner = NameRef::lowered(target, &mut buffer);
        }
        signatures.records = match &answer.records {
            // The server's identity is in no zone.
            Records::None | Records::Identity(_) => None,
            Records::Soa(_) => Some(self.soa(answer.serial)?),
            Records::Static(set) => Some(self.set(owner, set)?),
            Records::Live(txt) => {
                let rdatas = txt.texts().map(TxtRdata::of);
                Some(self.signing.sign(&Unsigned { owner, rtype: RecordType::TXT, ttl: txt.ttl, rdatas })?)
            }
        };
        if answer.negative.is_some() {
            let role = NsecRole::of(self.rtype);
            if role == NsecRole::Proof {
                signatures.soa = Some(self.soa(answer.serial)?);
            }
            signatures.denial = Some(self.denial(owner, answer.rcode, role)?);
        }
        Ok(signatures)
    }

    fn set(&self, owner: NameRef<'_>, set: &RecordSet) -> Result<Arc<Signed>, Refused> {
        let RecordSet { rtype, ttl, ref rdatas } = *set;
        self.signing.sign(&Unsigned { owner, rtype, ttl, rdatas: rdatas.iter() })
    }

    fn soa(&self, serial: Serial) -> Result<Arc<Signed>, Refused> {
        let mut rdata = Vec::with_capacity(128);
        self.zone.soa.write_rdata(serial, &mut rdata);
        let owner = self.zone.name.apex().as_ref();
        let ttl = self.zone.soa.negative_ttl;
        self.signing.sign(&Unsigned { owner, rtype: RecordType::SOA, ttl, rdatas: std::iter::once(&rdata) })
    }

    fn denial(&mut self, owner: NameRef<'_>, rcode: ResponseCode, role: NsecRole) -> Result<Denial, Refused> {
        let is_missing = rcode == ResponseCode::NXDomain;
        let apex = self.zone.name.apex().as_ref();
        let rdata = if is_missing {
            nsec_rdata(owner, apex, std::iter::once(NXNAME))
        } else {
            nsec_rdata(owner, apex, self.types_at(owner).into_iter())
        };
        let ttl = self.zone.soa.negative_ttl;
        let set = Unsigned { owner, rtype: RecordType::NSEC, ttl, rdatas: std::iter::once(&rdata) };
        let signed = if is_missing {
            let (signed, pause) = self.signing.sign_denial(&set, self.carrier)?;
            self.pause = pause;
            signed
        } else if matches!(self.rtype, RecordType::TXT | RecordType::ANY) {
            self.signing.sign_variant(&set)?
        } else {
            self.signing.sign(&set)?
        };
        Ok(Denial { rdata, ttl, signed, role })
    }

    /// The types at a name, except the one in the question. The answer already says that this type does not exist, and a
    /// value that is published at this moment must not make the proof contradict the answer.
    ///
    /// A name at which accounts publish always lists TXT, even without a value. A validator relies only on the absence of
    /// types from a bitmap (RFC 4035 section 5.4), and a cache may use that absence to answer for any type (RFC 8198
    /// section 5.1). A bitmap without TXT in the answer for CAA would hide a value that is published a moment later; a
    /// superfluous TXT only makes the cache ask. The denial of TXT itself leaves out TXT (RFC 9824 section 3.2).
    fn types_at(&self, name: NameRef<'_>) -> Vec<RecordType> {
        let mut types = match self.zone.locate(name).map(|(node, _)| node) {
            Some(Node::Apex(sets, _)) => {
                [&[RecordType::SOA][..], &types_of(sets), &types_of(self.signing.sets())].concat()
            }
            Some(Node::Static(sets)) => types_of(sets),
            Some(Node::Owner(_)) => vec![RecordType::TXT],
            _ => Vec::new(),
        };
        if self.zone.name.is_challenge() && name == self.zone.name.apex().as_ref() {
            types.push(RecordType::TXT);
        }
        types.retain(|rtype| *rtype != self.rtype && self.rtype != RecordType::ANY);
        types
    }
}

fn types_of(sets: &[RecordSet]) -> Vec<RecordType> {
    sets.iter().map(|set| set.rtype).collect()
}

/// The RDATA of a TXT record.
enum TxtRdata {
    /// A challenge value: one character-string. Nearly all values are of this kind, and need no allocation.
    Challenge([u8; 1 + TXT_VALUE]),
    /// Any other value.
    Long(Vec<u8>),
}

impl TxtRdata {
    fn of(text: &[u8]) -> Self {
        if text.len() == TXT_VALUE {
            let mut rdata = [TXT_VALUE as u8; 1 + TXT_VALUE];
            rdata[1..].copy_from_slice(text);
            return Self::Challenge(rdata);
        }
        // invariant: a string has at most 255 bytes
        Self::Long(text.chunks(MAX_STRING).flat_map(|string| [&[string.len() as u8][..], string].concat()).collect())
    }
}

impl AsRef<[u8]> for TxtRdata {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Challenge(rdata) => rdata,
            Self::Long(rdata) => rdata,
        }
    }
}
