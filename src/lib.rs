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
//! zone, and only then does the caller hear 200. On the **read road** [`dns`] turns bytes into a question, asks the
//! zone, and turns the answer into bytes; it never touches the store and never waits.
//!
//! # Layers
//!
//! A module imports lower layers only (the words apart); `dns` and `api` never see each other but for what the operator
//! watches.
//!
//! | layer | modules | what they are |
//! |---|---|---|
//! | 5 | [`cli`], [`daemon`] | commands; everything started, bound, reloaded and drained |
//! | 4 | [`dns`], [`api`] | the two fronts: bytes at one end, domain types at the other |
//! | 3 | [`publisher`], [`credentials`] | the write road and its rules; who may walk it |
//! | 2 | [`store`], [`config`] | durable state; the configuration |
//! | 1 | [`zone`], [`net`], [`hasher`], [`remembered`], [`pace`] | what DNS sees; sockets; key hashing, its memory and its limits |
//! | 0 | [`name`], [`txt`], [`account`], [`secret`], [`serial`], [`time`], [`metrics`] | the words |

pub mod account;
pub mod config;
pub mod metrics;
pub mod name;
pub mod publisher;
pub mod secret;
pub mod serial;
pub mod store;
pub mod time;
pub mod txt;
pub mod zone;
