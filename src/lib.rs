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
//! Two paths meet in the [`zone`]. On the **write path** a front end ([`api`]) turns bytes into domain types and hands
//! them to the [`publisher`], the only writer. First the change is durable in the [`store`], then it is visible in the
//! zone, and only then does the caller get its 200. A DNS UPDATE arrives through [`dns`] and takes the same path. On the
//! **query path** [`dns`] turns bytes into a question, asks the zone, and turns the answer into bytes. It never touches
//! the store and never waits.
//!
//! # Layers
//!
//! A module imports lower layers only, never its neighbours; the values (layer 0) may use each other.
//!
//! | layer | modules | responsibility |
//! |---|---|---|
//! | 9 | [`cli`] | arguments, terminal output, exit codes; one file per command |
//! | 8 | [`daemon`] | start, bind everything, reload, drain, watchdog |
//! | 7 | [`console`] | the web console: pages over the admin API |
//! | 6 | [`api`] | HTTP: the public API and the admin API |
//! | 5 | [`dns`], [`certificates`], [`doctor`] | the query path; the life of certificates: the API's own and managed ones; checks of the set-up |
//! | 4 | [`publisher`], [`acme`], [`delegation`], [`querylog`], [`notify`], [`replication`] | the write path and its rules; the protocol client of RFC 8555; DNS checks; what was asked for, and what that means; notifications; zone transfers to secondaries |
//! | 3 | [`store`], [`config`] | durable state; the configuration |
//! | 2 | [`zone`] | what DNS can see, in memory |
//! | 1 | [`net`], [`crypto`], [`process`] | sockets and the DNS client; key hashing, credential cache, keyring, cookies; programs that the daemon runs |
//! | 0 | [`model`], [`metrics`], [`file`] | names, TXT values, accounts, secrets, time; counters; private files |
//!
//! [`file`]: mod@crate::file

pub mod acme;
pub mod api;
pub mod certificates;
pub mod cli;
pub mod config;
pub mod console;
pub mod crypto;
pub mod daemon;
pub mod delegation;
pub mod dns;
pub mod doctor;
pub mod file;
pub mod metrics;
pub mod model;
pub mod net;
pub mod notify;
pub mod process;
pub mod publisher;
pub mod querylog;
pub mod replication;
pub mod store;
pub mod zone;
