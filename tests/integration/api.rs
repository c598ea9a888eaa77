//! What the HTTP API says, byte by byte.

mod addresses;
mod cors;
mod errors;
mod limits;
mod new_keys;
mod paths;
mod register;
mod registration;
mod secrecy;
mod tls;
mod update;
mod v1;
