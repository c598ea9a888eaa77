//! Black-box tests: the real binary, real sockets, real SQLite files; raw DNS messages and raw HTTP bytes.
//!
//! Nothing here goes through a resolver or an HTTP client that would hide faults. Each test has a daemon of its own, in
//! a folder of its own, on ports that the kernel has chosen.

// Clippy takes helpers outside of `#[test]` functions for production code; here a panic is what a failure is.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::print_stderr)]

mod acme;
mod api;
mod cli;
mod clients;
mod config;
mod delegations;
mod dns;
mod dnssec;
mod docs;
mod enrol;
mod floods;
mod harness;
mod hook;
mod httpreq;
mod import;
mod layers;
mod openapi;
mod persist;
mod pipes;
mod printed;
mod restart;
mod storage;
mod updates;
mod walk;
