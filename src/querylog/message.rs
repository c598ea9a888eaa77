//! How a message arrived, and what became of its reply: the words that the query path and the query log share.

use serde::{Deserialize, Serialize};

use crate::zone::signing::Carrier;

/// The kind of listener that received a message.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    Udp,
    Tcp,
    Tls,
    Quic,
}

impl Transport {
    /// The name in lower case, for users.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Quic => "quic",
        }
    }

    /// The name of its listeners in the log.
    pub const fn listener(self) -> &'static str {
        match self {
            Self::Udp => "DNS over UDP",
            Self::Tcp => "DNS over TCP",
            Self::Tls => "DNS over TLS",
            Self::Quic => "DNS over QUIC",
        }
    }

    /// Whether it carries messages in datagrams or streams.
    pub fn carrier(self) -> Carrier {
        match self {
            Self::Udp => Carrier::Datagram,
            Self::Tcp | Self::Tls | Self::Quic => Carrier::Stream,
        }
    }
}

/// What became of the reply to a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReplyOutcome {
    /// The reply was sent.
    Sent,
    /// The client's network is over the rate limit: an empty reply with TC was sent, and the client can retry over TCP.
    Slipped,
    /// The client's network is over the rate limit for errors: nothing was sent.
    Dropped,
    /// Nothing was sent for another reason: the signing limit is exhausted, or the same UPDATE is already in progress and
    /// its sender gets one reply.
    Unanswered,
}

impl ReplyOutcome {
    /// The name in lower case, for users.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Slipped => "slipped",
            Self::Dropped => "dropped",
            Self::Unanswered => "unanswered",
        }
    }

    /// Whether the rate limit prevented the full reply.
    pub fn is_limited(self) -> bool {
        matches!(self, Self::Slipped | Self::Dropped)
    }

    /// Whether a message went out.
    pub fn is_sent(self) -> bool {
        matches!(self, Self::Sent | Self::Slipped)
    }
}

/// The state of the DNS cookie in a message (RFC 7873).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CookieState {
    /// No COOKIE option.
    Absent,
    /// A COOKIE option of an invalid length, which is a format error.
    Malformed,
    /// A client cookie alone, or with a server cookie in another server's format.
    ClientOnly,
    /// A server cookie that is forged, belongs to another client, or is too old.
    Invalid,
    /// A server cookie that this server, or one with the same secret, gave to this client.
    Valid,
}

impl CookieState {
    /// The name in lower case, for users.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Malformed => "malformed",
            Self::ClientOnly => "client-only",
            Self::Invalid => "invalid",
            Self::Valid => "valid",
        }
    }
}
