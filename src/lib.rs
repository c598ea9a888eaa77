//! txtgate: a DNS-01 challenge daemon.
//!
//! It is the authoritative DNS server of one small delegated zone, and an HTTP API that lets an ACME client publish
//! TXT values under its own label of that zone and nothing else. A domain's owner points
//! `_acme-challenge.example.com CNAME <label>.<zone>` at it, once; from then on any ACME client proves control of that
//! name, wildcards included (RFC 8555 section 8.4).
//!
//! ```text
//!  ACME client                                                   CA: resolvers at many vantage points
//!      | HTTPS  POST /update                                          | UDP / TCP  TXT?
//!      v                                                              v
//!   +------+   parsed, authenticated    +-----------+            +---------+
//!   | api  | -------------------------> | publisher |            |   dns   |  bytes -> Question -> Answer -> bytes
//!   +------+   (owner, TxtValue)        +-----------+            +---------+
//!                                        1 |     | 2                  ^
//!                                  durable v     v visible            | read only, in memory, no await
//!                                    +-------+ +------+               |
//!                                    | store | | zone | --------------+
//!                                    +-------+ +------+
//! ```
//!
//! Two roads meet in the [`zone`]. On the **write road** a front ([`api`]) turns bytes into domain types and hands
//! them to the [`publisher`], the only writer: first the change is durable in the [`store`], then it is visible in the
//! zone, and only then does the caller hear 200. DNS UPDATE comes in by [`dns`] and walks the same road. On the
//! **read road** [`dns`] turns bytes into a question, asks the zone, and turns the answer into bytes; it never touches
//! the store and never waits.
//!
//! # Layers
//!
//! A module imports lower layers only, never its neighbours; the words (layer 0) may use each other.
//!
//! | layer | modules | what they are |
//! |---|---|---|
//! | 7 | [`cli`] | the commands |
//! | 6 | [`daemon`] | everything started, bound, reloaded and drained |
//! | 5 | [`dns`], [`api`], [`acme`] | the two fronts: bytes at one end, domain types at the other; the ACME client |
//! | 4 | [`credentials`] | who may walk the write road |
//! | 3 | [`publisher`], [`tls`] | the write road and its rules; certificates of the listeners |
//! | 2 | [`store`], [`config`], [`hasher`], [`keyring`] | durable state; the configuration; key hashing; TSIG keys |
//! | 1 | [`zone`], [`net`], [`remembered`], [`pace`], [`lookup`], [`file`] | what DNS sees; sockets; what is remembered; growing delays; questions to other servers; files replaced whole |
//! | 0 | [`name`], [`txt`], [`account`], [`enrolment`], [`secret`], [`cookie`], [`serial`], [`time`], [`tsig`], [`metrics`], [`url`], [`identifier`] | the words |
//!
//! [`file`]: mod@crate::file

pub mod account;
pub mod acme;
pub mod api;
pub mod cli;
pub mod config;
pub mod cookie;
pub mod credentials;
pub mod daemon;
pub mod dns;
pub mod enrolment;
pub mod file;
pub mod hasher;
pub mod identifier;
pub mod keyring;
pub mod lookup;
pub mod metrics;
pub mod name;
pub mod net;
pub mod pace;
pub mod publisher;
pub mod remembered;
pub mod secret;
pub mod serial;
pub mod store;
pub mod time;
pub mod tls;
pub mod tsig;
pub mod txt;
pub mod url;
pub mod zone;
