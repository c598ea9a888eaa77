//! The routers as the tests serve them. The fuzz targets take this in as well, so it names what it uses from the crate's
//! root, but for the [`Fixture`], which stands beside it in both.

use std::path::Path;

use axum::Router;

use super::Fixture;
use crate::api::admin::{self, Facts, WatchHook};
use crate::config::{self, Config};
use crate::crypto::keyring::Keyring;
use crate::net::dns_client::DnsClient;

/// The API's settings out of some lines of the configuration.
pub fn settings(api: &str) -> config::Api {
    let text = format!("[api]\n{api}\n[[zone]]\nname = \"auth.test\"\nns = [\"ns1.example\"]\ncontact = \"a@b.c\"\n");
    Config::parse(Path::new("c.toml"), &text).unwrap().api
}

/// What is to ask nobody.
pub fn nobody() -> DnsClient {
    DnsClient::new(&[([127, 0, 0, 1], 9).into()])
}

/// The public API.
pub fn public(fixture: &Fixture, api: &str, lookup: DnsClient) -> Router {
    let (publisher, credentials) = (fixture.publisher.clone(), fixture.credentials.clone());
    crate::api::router(&settings(api), publisher, credentials, fixture.hasher.clone(), fixture.metrics.clone(), lookup)
}

/// The operator's API.
pub fn operator(fixture: &Fixture, watch: Option<WatchHook>) -> Router {
    let facts = Facts { started: None, listeners: vec!["DNS".into()] };
    let (publisher, hasher) = (fixture.publisher.clone(), fixture.hasher.clone());
    let keyring = Keyring::open(&fixture.folder.path().join("t.db"), false).unwrap();
    admin::router(publisher, hasher, keyring, fixture.metrics.clone(), facts, watch, None)
}
