//! `txtgate import` and `export`: an acme-dns moves in, keys and all, and could move out again.

mod config;
mod export;
mod moving;
#[cfg(feature = "postgres")]
mod postgres;
mod source;
mod sqlite;
