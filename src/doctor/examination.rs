//! What every check of one examination can use.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ring::digest::{SHA256, digest};
use tokio::sync::OnceCell;
use tokio::task::spawn_blocking;

use crate::acme::reachable::{ReachedAuthority, reach};
use crate::acme::{AcmeError, Authority};
use crate::config::Config;
use crate::delegation::iterative::IterativeResolver;
use crate::delegation::roots::Roots;
use crate::delegation::survey::Surveyor;
use crate::model::identifier::Identifier;
use crate::net::dns_client::{DnsClient, Upstream};
use crate::publisher::Publisher;
use crate::querylog::QueryLog;

use super::zones::{OwnZone, SurveyedZone, survey};

/// The time that the certificate authority has for its answer.
const CA_LIMIT: Duration = Duration::from_secs(8);

/// The SHA-256 digest of a file; `None` if it cannot be read.
pub fn digest_of(path: &Path) -> Option<[u8; 32]> {
    let bytes = std::fs::read(path).ok()?;
    digest(&SHA256, &bytes).as_ref().try_into().ok()
}

/// The same for tasks of the runtime, which must not wait for a disk.
pub async fn read_digest(path: PathBuf) -> Option<[u8; 32]> {
    // An error says that the runtime ends.
    spawn_blocking(move || digest_of(&path)).await.ok().flatten()
}

/// The context of the checks: what is examined, and with which means.
#[derive(Debug)]
pub struct Examination {
    /// The configuration in use.
    pub config: Arc<Config>,
    /// The names to examine.
    pub names: Vec<Identifier>,
    /// Where a walk from the root begins. Its port holds for every nameserver that is asked directly.
    pub roots: Roots,
    /// Recursive resolvers elsewhere, whose view of a published value is compared.
    pub upstreams: Vec<Upstream>,
    /// Asks the configured recursive resolvers, and nameservers directly. Its limit of questions under way is the
    /// examination's alone, so that certificates never wait for a check.
    pub dns: DnsClient,
    /// Looks names up from the roots down, and remembers the zones on its way.
    pub iterative: IterativeResolver,
    /// The certificate authority in use.
    pub authority: Authority,
    /// The zones as they are served, accounts and values; `None` where the database cannot be opened.
    pub publisher: Option<Publisher>,
    /// Why the database cannot be opened.
    pub database_problem: Option<String>,
    /// The digest of the configuration's file when it was read.
    pub config_digest: Option<[u8; 32]>,
    /// The daemon that examines itself; `None` where none runs with this configuration.
    pub daemon: Option<RunningDaemon>,
    /// What several checks look at, gathered by the first that needs it.
    pub gathered: Gathered,
}

/// What is gathered once in an examination.
#[derive(Debug, Default)]
pub struct Gathered {
    zones: OnceCell<Vec<SurveyedZone>>,
    /// The answer of the certificate authority.
    reached: OnceCell<Result<ReachedAuthority, AcmeError>>,
}

/// What a running daemon knows of itself.
#[derive(Debug, Clone)]
pub struct RunningDaemon {
    /// When it started.
    pub started: Instant,
    /// The addresses of DNS over UDP and TCP that it is bound to.
    pub dns: Vec<SocketAddr>,
    /// The addresses of the HTTP API that it is bound to.
    pub api: Vec<SocketAddr>,
    /// What was asked for names of this server.
    pub query_log: QueryLog,
}

impl Examination {
    /// Fetches the directory of the certificate authority, once for all checks.
    pub async fn reached_authority(&self) -> &Result<ReachedAuthority, AcmeError> {
        self.gathered.reached.get_or_init(|| reach(&self.config.acme, CA_LIMIT)).await
    }

    /// The port of nameservers: 53, unless root hints with another port were given.
    pub fn dns_port(&self) -> u16 {
        self.roots.port()
    }

    /// The zones of this server, and what every nameserver from the root down says of them.
    pub async fn surveyed_zones(&self) -> &[SurveyedZone] {
        self.gathered.zones.get_or_init(|| self.survey()).await
    }

    async fn survey(&self) -> Vec<SurveyedZone> {
        let surveyor =
            Surveyor { client: self.dns.clone(), resolver: self.iterative.clone(), roots: self.roots.clone() };
        survey(OwnZone::all(self.publisher.as_ref(), &self.config.zones), &surveyor).await
    }
}
