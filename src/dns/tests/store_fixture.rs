//! A publisher over a real database, for UPDATEs.

use std::path::Path;

use tempfile::TempDir;

use crate::config::Config;
use crate::metrics::Metrics;
use crate::model::account::{Account, AllowFrom, Note};
use crate::model::actor::Actor;
use crate::model::secret::{ApiKey, ApiKeyHash};
use crate::publisher::{Choice, OwnerRequest, Publisher, Registration, load};
use crate::store::Store;
use crate::store::writer::{Writer, WriterThread};

use super::*;

const ZONES: &str = "
[[zone]]
name = \"auth.test\"
ns = [\"ns1.auth.test\"]
contact = \"a@example.org\"
records = \"\"\"
ns1 A 127.0.0.1
\"\"\"
";

/// A publisher, and the folder of its database.
pub struct StoreFixture {
    pub publisher: Publisher,
    _writer: WriterThread,
    pub folder: TempDir,
}

impl StoreFixture {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = Config::parse(Path::new("c.toml"), ZONES).unwrap();
        let store = Store::open(&folder.path().join("t.db")).unwrap();
        let clock = Clock::start(None);
        let zones = load(&store, &config.zones, &config.values, &clock).unwrap();
        let metrics = Arc::new(Metrics::default());
        let listener = Box::new(|_, _| {});
        let (writer, _writer) =
            Writer::start(store.clone(), zones.clone(), clock.clone(), metrics.clone(), listener).unwrap();
        let publisher = Publisher::new(store, writer, zones, clock, config.values, metrics);
        Self { publisher, _writer, folder }
    }

    /// Registers an account with a subdomain of its own.
    pub async fn register(&self) -> Account {
        let key = ApiKeyHash::of(&ApiKey::random().unwrap()).unwrap();
        let name = OwnerRequest::Subdomain(Choice::default());
        let allow_from = AllowFrom::default();
        let registration = Registration { name, allow_from, note: Note::default(), key, tsig: None, alias: None };
        self.publisher.register(Actor::OPERATOR, registration).await.unwrap()
    }
}
