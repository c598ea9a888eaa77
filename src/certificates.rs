//! The life of certificates: the API's own, and managed ones that other programs of this machine use. Issued, written to
//! files, deployed, renewed, revoked and deleted.
//!
//! [`issue`] gets a certificate: `preflight` checks what the CA will check, then comes the order. One loop, in
//! [`renewal_task`], serves both kinds: [`api_certificate`] and [`managed`].

pub mod api_certificate;
pub mod error;
pub mod grants;
pub mod issue;
pub mod issue_request;
mod labels;
pub mod left_out;
pub mod leftovers;
pub mod managed;
pub mod missing_record;
mod pending;
mod preflight;
pub mod progress;
pub mod provable;
mod prove;
pub mod renewal;
pub mod renewal_task;
pub mod services;

use std::path::Path;

use crate::acme::Authority;
use crate::config::{ManagedCertificate, OwnCertificate};
use crate::net::tls::Tls;

pub use error::CertificateError;

use api_certificate::{ApiCertificate, ApiCertificateTask};
use managed::ManagedCertificates;
use services::IssueServices;

/// All certificates of the daemon, and its account with the CA. A cheap handle.
#[derive(Clone, Debug)]
pub struct Certificates {
    authority: Authority,
    api: Option<ApiCertificate>,
    managed: ManagedCertificates,
}

impl Certificates {
    /// Starts the renewal tasks of the managed certificates, and prepares the API's: its renewal task is returned, to be run when DNS is
    /// served. `api` is `None` if the API has no certificate of the daemon's. Relative directories in commands are relative
    /// to `base`.
    pub async fn start(
        services: IssueServices,
        api: Option<(Tls, OwnCertificate)>,
        managed: &[ManagedCertificate],
        base: &Path,
    ) -> (Self, Option<ApiCertificateTask>) {
        leftovers::remove_leftovers(&services.authority.settings().state);
        labels::take_back(&services.publisher, &services.authority.settings().state).await;
        let authority = services.authority.clone();
        let mut certificate = None;
        let mut task = None;
        if let Some((tls, settings)) = api {
            let started = ApiCertificate::start(services.clone(), tls, settings).await;
            certificate = Some(started.0);
            task = Some(started.1);
        }
        let managed = ManagedCertificates::start(services, managed, base).await;
        (Self { authority, api: certificate, managed }, task)
    }

    /// The CA and the account there.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The API's certificate, if the daemon keeps it.
    pub fn api(&self) -> Option<&ApiCertificate> {
        self.api.as_ref()
    }

    /// The managed certificates.
    pub fn managed(&self) -> &ManagedCertificates {
        &self.managed
    }

    /// Applies the managed certificates of a new configuration, and retries at once what has failed.
    pub fn reload(&self, managed: &[ManagedCertificate]) {
        if let Some(api) = &self.api {
            api.retry_now();
        }
        self.managed.reload(managed);
    }

    /// Ends the renewal tasks of the managed certificates.
    pub fn stop(&self) {
        self.managed.stop();
    }
}
