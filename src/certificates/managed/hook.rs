//! Deploy hooks: a program that runs for each new certificate, usually to make a server load it.
//!
//! It runs as another user where the daemon may become one; see [`process`] for the rest.

use std::path::Path;

use serde::{Deserialize, Serialize};
use tokio::process::Command;

use crate::config::ManagedCertificate;
use crate::config::certificate::DeployHook;
use crate::process;

use super::live;
use crate::acme::certificate::CertificateInfo;

/// The outcome of a run of a hook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct HookOutcome {
    /// The serial number of the certificate that it ran for.
    pub serial: String,
    /// When it started.
    pub at: String,
    /// Whether it has succeeded.
    pub success: bool,
    /// `exit code 0`, `killed by signal 9`, `killed after 60 s`.
    pub ended: String,
    /// The beginning of what it has printed.
    pub output: String,
}

/// Runs the hook of a certificate, beginning `at`.
pub async fn run(
    hook: &DeployHook,
    certificate: &ManagedCertificate,
    info: &CertificateInfo,
    at: String,
) -> HookOutcome {
    let command = command(hook, certificate, &live::live(certificate), info);
    let ending = process::run(command, None, hook.timeout).await;
    let serial = info.serial.clone();
    HookOutcome { serial, at, success: ending.success, ended: ending.ended, output: ending.output }
}

fn command(hook: &DeployHook, certificate: &ManagedCertificate, live: &Path, info: &CertificateInfo) -> Command {
    let mut command = process::command(&hook.program, &hook.arguments);
    command.env("TXTGATE_CERT_NAME", certificate.name.to_string());
    command.env("TXTGATE_CERT_NAMES", info.names.join(" "));
    command.env("TXTGATE_LIVE", live);
    command.env("TXTGATE_FULLCHAIN", live.join("fullchain.pem")).env("TXTGATE_PRIVKEY", live.join("privkey.pem"));
    if certificate.pkcs12.is_some() {
        command.env("TXTGATE_PKCS12", live.join(live::BUNDLE));
    }
    command.env("TXTGATE_CERT_SERIAL", &info.serial);
    command.env("TXTGATE_CERT_NOT_AFTER", info.not_after.to_string());
    if let Some(group) = hook.owner.group {
        command.gid(group);
    }
    if let Some(user) = hook.owner.user {
        command.uid(user);
    }
    command
}
