//! The server's name and version, which it tells only if the configuration says so.

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;

use super::answer::{Answer, Records};
use super::question::Question;

/// Names of class CH, in wire form (RFC 4892 section 3; `version.bind` and `hostname.bind` are BIND's older names).
const VERSION: [&[u8]; 2] = [b"\x07version\x04bind\x00", b"\x07version\x06server\x00"];
const NAME: [&[u8]; 2] = [b"\x02id\x06server\x00", b"\x08hostname\x04bind\x00"];

/// The server's name and version. An empty one is not told.
#[derive(Clone, Debug, Default)]
pub struct ServerIdentity {
    /// The answer to NSID (RFC 5001), `id.server` and `hostname.bind`.
    pub nsid: String,
    /// The answer to `version.bind` and `version.server`.
    pub version: String,
}

impl ServerIdentity {
    /// The name, unless it is empty.
    pub fn nsid(&self) -> Option<&str> {
        Some(&*self.nsid).filter(|nsid| !nsid.is_empty())
    }

    /// Answers a question of class CH with TXT, or refuses it.
    pub fn answer(&self, question: &Question<'_>) -> Answer<'_> {
        let name = question.name().as_wire();
        let text = match () {
            () if question.rtype() != RecordType::TXT => "",
            () if VERSION.contains(&name) => &self.version,
            () if NAME.contains(&name) => &self.nsid,
            () => "",
        };
        if text.is_empty() {
            return Answer::bare(ResponseCode::Refused);
        }
        Answer::found(Records::Identity(text))
    }
}
