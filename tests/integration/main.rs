//! Black-box tests: the real binary, real sockets, real SQLite files; raw DNS messages and raw HTTP octets.
//!
//! Nothing here goes through a resolver or an HTTP client that would hide faults. Each test has a daemon of its own, in
//! a folder of its own, on ports that the kernel has chosen.

mod api;
mod cli;
mod clients;
mod config;
mod dns;
mod floods;
mod harness;
mod layers;
mod restart;
