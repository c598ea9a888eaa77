//! What a reply repeats of its message.

use hickory_proto::rr::RecordType;

use super::edns::Edns;

/// The opcode of a query (RFC 1035 section 4.1.1).
pub(super) const QUERY: u8 = 0;

/// Bytes of a question's type and class.
const TYPE_AND_CLASS: usize = 4;

/// The parts of a message that its reply repeats.
#[derive(Clone, Copy, Debug)]
pub struct Echo<'p> {
    /// The message id.
    pub id: u16,
    /// The opcode, 4 bits.
    pub opcode: u8,
    /// Recursion desired: copied (RFC 1035 section 4.1.1).
    pub recursion_desired: bool,
    /// The question section byte for byte, because resolvers check the case of each letter. Empty unless the section
    /// holds exactly one question.
    pub question: &'p [u8],
    /// The OPT record; `None` if the message has none.
    pub edns: Option<Edns>,
}

impl<'p> Echo<'p> {
    /// The name in the question as sent, in uncompressed wire form.
    pub fn question_name(&self) -> Option<&'p [u8]> {
        let length = self.question.len().checked_sub(TYPE_AND_CLASS)?;
        self.question.get(..length)
    }

    /// The type in the question.
    pub fn question_type(&self) -> Option<RecordType> {
        let &[high, low, _, _] = self.question.last_chunk::<TYPE_AND_CLASS>()?;
        Some(u16::from_be_bytes([high, low]).into())
    }

    /// The type that a query asks for; `None` for other opcodes.
    pub fn queried_type(&self) -> Option<RecordType> {
        if self.opcode == QUERY { self.question_type() } else { None }
    }
}
