//! A reply that refuses: a response code, and the extended error that explains it.

use hickory_proto::op::ResponseCode;

use super::ede::Ede;

/// Why a message is refused, as the reply says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErrorReply {
    /// The response code.
    pub rcode: ResponseCode,
    /// The explanation, where the response code alone does not say enough.
    pub ede: Option<Ede>,
}

impl ErrorReply {
    /// A refusal with an explanation.
    pub const fn new(rcode: ResponseCode, ede: Ede) -> Self {
        Self { rcode, ede: Some(ede) }
    }
}

impl From<ResponseCode> for ErrorReply {
    /// A refusal whose response code says everything.
    fn from(rcode: ResponseCode) -> Self {
        Self { rcode, ede: None }
    }
}
