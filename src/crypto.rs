//! Credentials and their verification: key hashing, the cache of verified keys, TSIG keys and DNS cookies.

pub mod cookie;
pub mod credential_cache;
pub mod hasher;
pub mod key_issuer;
pub mod keyring;
pub mod tsig;
pub mod tsig_record;
