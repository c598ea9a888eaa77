//! What proves who somebody is: key hashing, the cache of verified credentials, TSIG keys and DNS cookies.

pub mod cookie;
pub mod credential_cache;
pub mod hasher;
pub mod keyring;
pub mod tsig;
