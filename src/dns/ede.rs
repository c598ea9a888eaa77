//! Extended DNS errors (RFC 8914): why a reply is what it is, for whoever runs a resolver or looks with `dig`.

/// An extended error.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ede {
    /// The INFO-CODE.
    pub code: u16,
    /// The EXTRA-TEXT.
    pub text: &'static str,
}

impl Ede {
    /// RFC 8914 section 4.1: a fault of ours that has no code of its own.
    pub const FAULT: Self = Self { code: 0, text: "internal fault" };
    /// RFC 8914 section 4.1: the wall clock is behind what is stored, so signatures would carry a wrong time.
    pub const CLOCK: Self = Self { code: 0, text: "the clock is wrong, nothing is signed" };
    /// RFC 8914 section 4.15.
    pub const NOT_READY: Self = Self { code: 14, text: "zones are not loaded yet" };
    /// RFC 8914 section 4.19.
    pub const PROHIBITED: Self = Self { code: 18, text: "no zone transfers" };
    /// RFC 8914 section 4.21.
    pub const NOT_AUTHORITATIVE: Self = Self { code: 20, text: "not in a zone of this server" };
    /// RFC 9824: the type asked for stands in no zone.
    pub const INVALID_QUERY_TYPE: Self = Self { code: 30, text: "a type that no zone holds" };
}
