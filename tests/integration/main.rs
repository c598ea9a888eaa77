//! Black-box tests: the real binary, real sockets, real SQLite files; raw DNS messages and raw HTTP bytes.
//!
//! Nothing here goes through a resolver or an HTTP client that would hide faults. Each test has a daemon of its own, in
//! a folder of its own, on ports that the kernel has chosen.

// Clippy takes helpers outside of `#[test]` functions for production code; here a panic is what a failure is.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::print_stderr)]

mod account_list;
mod acme;
mod admin_api;
mod api;
mod backup;
mod bulk;
mod cli;
mod clients;
mod config;
mod console;
mod console_pages;
mod console_refusals;
mod container;
mod contrib;
mod delegations;
mod dns;
mod dnssec;
mod docs;
mod doctor;
mod enrol;
mod floods;
mod harness;
mod hook;
mod httpreq;
mod import;
mod labs;
mod layers;
mod logs;
mod manual;
mod notify;
mod openapi;
mod persist;
mod pipes;
mod printed;
mod queries;
mod queries_on_disk;
mod rehearse;
mod replication;
mod restart;
mod retirement;
mod served;
mod storage;
mod transfer;
mod updates;
mod verdicts;
mod walk;
