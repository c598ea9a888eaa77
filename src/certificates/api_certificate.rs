//! The certificate of the API: issued, stored, renewed, and replaced while the API is in use.

use std::fs::{self, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tracing::{error, info, warn};

use crate::acme::certificate::{CertificateInfo, CertificateKey, Chain};
use crate::acme::retry_after::RetryAfterGate;
use crate::config::{OwnCertificate, UntilIssued};
use crate::delegation::challenge_target::ProvenTargets;
use crate::file::state::{self, FileError, blocking};
use crate::metrics::Metrics;
use crate::net::tls::Tls;

use super::error::{CertificateError, Result};
use super::issue_request::IssueRequest;
use super::pending::forget;
use super::progress::OrderProgress;
use super::renewal::{CertificateInUse, RenewalBasis};
use super::renewal_task::{self, Attempts, RenewalTask, Step};
use super::services::IssueServices;

/// The beginning of the line in the certificate's file that names the CA.
const ISSUED_BY: &str = "directory: ";

/// The API's certificate. A cheap handle.
#[derive(Clone, Debug)]
pub struct ApiCertificate(Arc<ApiCertificateShared>);

#[derive(Debug)]
struct ApiCertificateShared {
    services: IssueServices,
    tls: Tls,
    settings: OwnCertificate,
    report: Mutex<ApiCertificateReport>,
    progress: OrderProgress,
    gate: RetryAfterGate,
    wake: Notify,
}

/// The API's certificate for the operator.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ApiCertificateReport {
    /// The certificate that the API shows.
    pub shown: Option<CertificateInfo>,
    /// Whether that certificate is self-signed.
    pub self_signed: bool,
    /// When the certificate is renewed.
    pub renew_at: Option<String>,
    /// What has set that time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renewal_basis: Option<RenewalBasis>,
    /// How the last attempts went.
    #[serde(flatten)]
    pub attempts: Attempts,
}

impl ApiCertificate {
    /// Shows the stored certificate, or what the configuration wants until there is one. Sends no request. A problem with
    /// the stored certificate is reported, and another one is issued: it must not keep DNS from being served.
    pub async fn start(services: IssueServices, tls: Tls, settings: OwnCertificate) -> (Self, ApiCertificateTask) {
        let certificate = Self(Arc::new(ApiCertificateShared {
            services,
            tls,
            settings,
            report: Mutex::default(),
            progress: OrderProgress::new("the API's certificate"),
            gate: RetryAfterGate::default(),
            wake: Notify::new(),
        }));
        let stored = match certificate.show_stored().await {
            Ok(stored) => stored,
            Err(problem) => {
                certificate.report_unusable(&problem);
                None
            }
        };
        if stored.is_none() {
            match certificate.0.settings.until_issued {
                UntilIssued::SelfSigned => {
                    if let Err(problem) = certificate.show_self_signed() {
                        certificate.report_unusable(&problem);
                    }
                }
                UntilIssued::Closed => {
                    warn!("the API refuses every handshake until the CA has issued its certificate");
                }
            }
        }
        let in_use = stored.map(CertificateInUse::stored);
        (certificate.clone(), ApiCertificateTask { certificate, in_use })
    }

    /// Shows the certificate of the state folder, if there is one.
    async fn show_stored(&self) -> Result<Option<CertificateInfo>> {
        let Some(chain) = self.read_stored().await? else { return Ok(None) };
        self.show(&chain, false)?;
        Ok(Some(chain.info))
    }

    fn report_unusable(&self, problem: &CertificateError) {
        let explained = problem.explained();
        error!("the API has no certificate until another one is issued: {explained}");
        self.update(|report| report.attempts.problem = Some(explained));
    }

    /// The report for the operator.
    pub fn report(&self) -> ApiCertificateReport {
        self.0.report.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Makes the next attempt at once, unless the CA has set the time: the operator may have corrected something.
    pub fn retry_now(&self) {
        self.0.services.authority.retry_now();
        self.0.wake.notify_one();
    }

    fn update<T>(&self, change: impl FnOnce(&mut ApiCertificateReport) -> T) -> T {
        change(&mut self.0.report.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn path(&self) -> PathBuf {
        self.0.services.authority.settings().state.join("api.pem")
    }

    /// The certificate of the state folder, if it was issued by the configured CA for the configured names.
    async fn read_stored(&self) -> Result<Option<Chain>> {
        let folder = self.0.services.authority.settings().state.clone();
        let path = self.path();
        let text = blocking(move || {
            state::create_private_folder(&folder)?;
            state::read_private(&path)
        });
        let Some(text) = text.await? else { return Ok(None) };
        let path = self.path();
        let chain = match Chain::from_pem(&text) {
            Ok(chain) => chain,
            Err(problem) => {
                error!("{} cannot be used, and another certificate is issued; {problem}", path.display());
                return Ok(None);
            }
        };
        let is_from_ca = text.starts_with(&self.issued_by());
        if !is_from_ca || !chain.info.is_for(&self.0.settings.names) {
            info!("the certificate in {} is from another CA, or for other names", path.display());
            return Ok(None);
        }
        Ok(Some(chain))
    }

    /// The first line of the certificate's file.
    fn issued_by(&self) -> String {
        format!("{ISSUED_BY}{}\n", self.0.services.authority.settings().directory)
    }

    fn show_self_signed(&self) -> Result<()> {
        let key = CertificateKey::generate(self.0.services.authority.settings().key_type)?;
        let chain = key.self_signed(&self.0.settings.names)?;
        warn!(sha256 = chain.info.sha256, "the API shows a self-signed certificate until the CA has issued one");
        self.show(&chain, true)
    }

    fn show(&self, chain: &Chain, self_signed: bool) -> Result<()> {
        self.0.tls.install(chain.certified()?);
        let expires = if self_signed { 0 } else { chain.info.not_after.as_unix() };
        self.0.services.metrics.api_certificate_expires.set(expires);
        self.update(|report| {
            report.shown = Some(chain.info.clone());
            report.self_signed = self_signed;
        });
        Ok(())
    }

    /// Gets a certificate, writes it to disk, and then shows it.
    async fn renew(&self, in_use: Option<&CertificateInfo>) -> Result<CertificateInfo> {
        let settings = self.0.services.authority.settings();
        let pending = settings.state.join("api.pending");
        let request = IssueRequest {
            names: &self.0.settings.names,
            settings,
            allows_subset: false,
            unless_for: None,
            is_renewal: in_use.is_some(),
            replaces: in_use.and_then(|info| info.renewal_id.clone()),
            proven_before: ProvenTargets::new(),
            checks_caa: false,
            pending: &pending,
            grants: &settings.state.join("api.grants"),
            progress: &self.0.progress,
            gate: &self.0.gate,
        };
        let chain = self.0.services.issue(&request).await?.chain;
        // One file holds both: a chain and the key of another one can never meet.
        let text = format!("{}{}{}", self.issued_by(), chain.key().reveal_pem(), chain.pem());
        let path = self.path();
        blocking(move || replace_key_file(&path, text.as_bytes())).await?;
        self.show(&chain, false)?;
        if let Err(problem) = forget(&pending).await {
            warn!("the finished order of the API's certificate cannot be deleted: {problem}");
        }
        Ok(chain.info)
    }
}

/// Replaces the file of a key. Others may have been able to read the old file; nobody else can read the new one.
fn replace_key_file(path: &Path, bytes: &[u8]) -> std::result::Result<(), FileError> {
    match fs::set_permissions(path, Permissions::from_mode(0o600)) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(FileError::io(path, error)),
        _ => state::write(path, bytes),
    }
}

/// Issues and renews the API's certificate; see [`ApiCertificateTask::run`].
#[derive(Debug)]
pub struct ApiCertificateTask {
    certificate: ApiCertificate,
    in_use: Option<CertificateInUse>,
}

impl ApiCertificateTask {
    /// Gets the certificate, and renews it for as long as the daemon runs. To be called when DNS is served.
    pub async fn run(self) {
        renewal_task::run(self).await;
    }

    async fn is_due(&mut self) -> bool {
        let Some(in_use) = &mut self.in_use else { return true };
        in_use.is_due(&self.certificate.0.services.authority).await
    }

    fn report_due(&self) {
        let in_use = self.in_use.as_ref();
        self.certificate.update(|report| {
            report.renew_at = in_use.map(|in_use| in_use.due().to_string());
            report.renewal_basis = in_use.map(CertificateInUse::basis);
        });
    }
}

impl RenewalTask for ApiCertificateTask {
    async fn step(&mut self) -> Result<Step> {
        let is_due = self.is_due().await;
        self.report_due();
        if let Some(in_use) = self.in_use.as_ref().filter(|_| !is_due) {
            return Ok(Step::Idle(in_use.sleep()));
        }
        let issued = self.certificate.renew(self.in_use.as_ref().map(|in_use| &in_use.info)).await?;
        self.metrics().certificates_issued.one();
        self.in_use = Some(CertificateInUse::issued(issued, self.in_use.as_ref()));
        self.report_due();
        Ok(Step::Done)
    }

    fn update<T>(&self, change: impl FnOnce(&mut Attempts) -> T) -> T {
        self.certificate.update(|report| change(&mut report.attempts))
    }

    fn title(&self) -> String {
        "the API's certificate".to_owned()
    }

    fn metrics(&self) -> &Metrics {
        &self.certificate.0.services.metrics
    }

    fn wake(&self) -> &Notify {
        &self.certificate.0.wake
    }

    fn failed(&self, _problem: &CertificateError) {}

    fn step_ended(&self) {
        self.certificate.0.progress.end();
    }
}
