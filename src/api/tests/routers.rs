//! The routers as the tests serve them. The fuzz targets take this in as well, so it names what it uses from the crate's
//! root, but for the [`Fixture`], which stands beside it in both.

use std::path::Path;

use axum::{Extension, Router};

use super::Fixture;
use crate::api::QueryFeed;
use crate::api::Verdicts;
use crate::api::admin::{self, DaemonServices, Facts, QueryStreams};
use crate::api::types::server::ServerSettings;
use crate::config::{self, Config};
use crate::crypto::keyring::Keyring;
use crate::model::actor::Actor;
use crate::net::dns_client::DnsClient;
use crate::querylog::QueryLog;

/// The API's settings out of some lines of the configuration.
pub fn settings(api: &str) -> config::Api {
    let text = format!("[api]\n{api}\n[[zone]]\nname = \"auth.test\"\nns = [\"ns1.example\"]\ncontact = \"a@b.c\"\n");
    Config::parse(Path::new("c.toml"), &text).unwrap().api
}

/// What is to ask nobody.
pub fn nobody() -> DnsClient {
    DnsClient::new(&[([127, 0, 0, 1], 9).into()])
}

/// Verdicts of a log that is off: none.
pub fn unknowing() -> Verdicts {
    Verdicts::new(QueryLog::off(), nobody())
}

/// The public API.
pub fn public(fixture: &Fixture, api: &str, lookup: DnsClient) -> Router {
    let (publisher, credentials) = (fixture.publisher.clone(), fixture.credentials.clone());
    let (keys, metrics) = (fixture.keys.clone(), fixture.metrics.clone());
    let (_, never) = tokio::sync::watch::channel(false);
    let queries = QueryFeed::new(QueryLog::off(), never);
    crate::api::router(&settings(api), publisher, credentials, keys, metrics, lookup, queries)
}

/// The operator's API.
pub fn operator(fixture: &Fixture, watch: Option<QueryStreams>) -> Router {
    let text = "[[zone]]\nname = \"auth.test\"\nns = [\"ns1.example\"]\ncontact = \"a@b.c\"\n";
    let server = ServerSettings::of(&Config::parse(Path::new("c.toml"), text).unwrap());
    let facts = Facts { started: None, listeners: vec!["DNS".into()], server };
    let (publisher, keys) = (fixture.publisher.clone(), fixture.keys.clone());
    let keyring = Keyring::open(&fixture.folder.path().join("t.db"), false).unwrap();
    admin::router(
        publisher,
        keys,
        keyring,
        fixture.metrics.clone(),
        facts,
        DaemonServices { watch, ..DaemonServices::default() },
    )
    .layer(Extension(Actor::OPERATOR))
}
