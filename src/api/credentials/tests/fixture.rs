//! A whole fixture behind the API, for the tests of what lives in it. The fuzz targets take it in as well, so it names
//! all that it uses from the crate's root.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;

use crate::api::credentials::Credentials;
use crate::config::Config;
use crate::crypto::credential_cache::CredentialCache;
use crate::crypto::hasher::Hasher;
use crate::crypto::key_issuer::KeyIssuer;
use crate::metrics::Metrics;
use crate::model::account::{Account, AllowFrom, Note};
use crate::model::actor::Actor;
use crate::model::secret::{ApiKey, ApiKeyHash};
use crate::model::time::Clock;
use crate::publisher::{Choice, OwnerRequest, Publisher, Registration, load};
use crate::store::Store;
use crate::store::writer::{Writer, WriterThread};

/// Everything between the API and the disk, on a real file. Tests of the API live in one as well.
pub struct Fixture {
    pub publisher: Publisher,
    pub keys: KeyIssuer,
    pub credentials: Credentials,
    pub metrics: Arc<Metrics>,
    _writer: WriterThread,
    pub folder: TempDir,
}

const ZONES: &str = "
[[zone]]
name = \"auth.test\"
ns = [\"ns1.auth.test\"]
contact = \"a@example.org\"
records = \"\"\"
ns1 A 127.0.0.1
\"\"\"
[[zone]]
name = \"second.test\"
ns = [\"ns1.auth.test\"]
contact = \"a@example.org\"
";

pub const HOME: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));

impl Fixture {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = Config::parse(Path::new("c.toml"), ZONES).unwrap();
        let store = Store::open(&folder.path().join("t.db")).unwrap();
        let clock = Clock::start(None);
        let zones = load(&store, &config.zones, &config.values, &clock).unwrap();
        let metrics = Arc::new(Metrics::default());
        let remembered = CredentialCache::new().unwrap();
        let cache = remembered.clone();
        let listener =
            Box::new(move |username, account: Option<Account>| cache.account_changed(username, account.as_ref()));
        let (writer, _writer) =
            Writer::start(store.clone(), zones.clone(), clock.clone(), metrics.clone(), listener).unwrap();
        let publisher = Publisher::new(store, writer, zones, clock.clone(), config.values, metrics.clone());
        let hasher = Hasher::start(metrics.clone()).unwrap();
        let keys = KeyIssuer::new(hasher.clone(), remembered.clone());
        let credentials = Credentials::new(publisher.clone(), hasher, remembered, clock).unwrap();
        Self { publisher, keys, credentials, metrics, _writer, folder }
    }

    pub async fn register_with(&self, hash: ApiKeyHash, allow_from: &[&str]) -> Account {
        let allow_from = AllowFrom::parse(allow_from).unwrap();
        let name = OwnerRequest::Subdomain(Choice::default());
        let registration = Registration { name, allow_from, note: Note::default(), key: hash, tsig: None, alias: None };
        self.publisher.register(Actor::OPERATOR, registration).await.unwrap()
    }

    pub async fn register(&self, allow_from: &[&str]) -> (Account, ApiKey) {
        let key = ApiKey::random().unwrap();
        (self.register_with(ApiKeyHash::of(&key).unwrap(), allow_from).await, key)
    }

    /// How many hashes were computed so far.
    pub fn hashes(&self) -> u64 {
        let text = self.metrics.render(&[]);
        let line = text.lines().find(|line| line.starts_with("txtgate_hash_seconds_count ")).unwrap();
        line.rsplit(' ').next().unwrap().parse().unwrap()
    }
}
