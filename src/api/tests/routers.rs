//! The routers as the tests serve them. The fuzz targets take this in as well, so it names what it uses from the crate's
//! root, but for the [`House`], which stands beside it in both.

use std::path::Path;

use axum::Router;

use super::House;
use crate::api::admin::{self, Facts, Watch};
use crate::config::{self, Config};
use crate::crypto::keyring::Keyring;
use crate::net::lookup::Lookup;

/// The API's settings out of some lines of the configuration.
pub fn settings(api: &str) -> config::Api {
    let text = format!("[api]\n{api}\n[[zone]]\nname = \"auth.test\"\nns = [\"ns1.example\"]\ncontact = \"a@b.c\"\n");
    Config::parse(Path::new("c.toml"), &text).unwrap().api
}

/// What is to ask nobody.
pub fn nobody() -> Lookup {
    Lookup::new(&[([127, 0, 0, 1], 9).into()])
}

/// The public API.
pub fn public(house: &House, api: &str, lookup: Lookup) -> Router {
    let (publisher, credentials) = (house.publisher.clone(), house.credentials.clone());
    crate::api::router(&settings(api), publisher, credentials, house.hasher.clone(), house.metrics.clone(), lookup)
}

/// The operator's API.
pub fn operator(house: &House, watch: Option<Watch>) -> Router {
    let facts = Facts { started: None, listeners: vec!["DNS".into()] };
    let (publisher, hasher) = (house.publisher.clone(), house.hasher.clone());
    let keyring = Keyring::open(&house.folder.path().join("t.db"), false).unwrap();
    admin::router(publisher, hasher, keyring, house.metrics.clone(), facts, watch, None)
}
