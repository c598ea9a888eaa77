//! Deploy hooks: a program that is run with each new certificate, mostly to have a server take it.
//!
//! No shell, an environment of a few named variables, no input, output and time with an end, and another user where the
//! daemon may become one.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process_group};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::config::ManagedCertificate;
use crate::config::certificate::DeployHook;

use super::super::certificate::Facts;
use super::live;

/// Octets of what it prints that are kept, of each of its two outputs.
const KEPT: usize = 4_096;
/// Where programs that it calls are looked for.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What came of a hook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Outcome {
    /// The certificate that it was run with, by its serial number.
    pub serial: String,
    /// When it ended.
    pub at: String,
    /// Whether it has done its work.
    pub success: bool,
    /// `exit code 0`, `killed by signal 9`, `killed after 60 s`.
    pub ended: String,
    /// What it has printed, the beginning of it.
    pub output: String,
}

/// Runs a certificate's hook.
pub async fn run(hook: &DeployHook, certificate: &ManagedCertificate, facts: &Facts, at: String) -> Outcome {
    let (success, ended, output) = match command(hook, certificate, &live::live(certificate), facts).spawn() {
        Ok(child) => watched(hook, child).await,
        Err(error) => (false, format!("cannot be run: {error}"), String::new()),
    };
    Outcome { serial: facts.serial.clone(), at, success, ended, output }
}

/// Whether it has done its work, how it has ended, and what it has printed.
async fn watched(hook: &DeployHook, mut child: Child) -> (bool, String, String) {
    let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let work = async { tokio::join!(child.wait(), beginning(out), beginning(err)) };
    let done = timeout(hook.timeout, work).await;
    match done {
        Ok((Ok(status), out, err)) => (status.success(), ended(status), format!("{out}{err}").trim_end().to_owned()),
        Ok((Err(error), ..)) => (false, format!("cannot be waited for: {error}"), String::new()),
        Err(_) => {
            // All that it has started too: they hold its outputs open, and its work is over.
            _ = group.map(|group| kill_process_group(group, Signal::KILL));
            _ = child.wait().await;
            (false, format!("killed after {} s", hook.timeout.as_secs()), String::new())
        }
    }
}

fn command(hook: &DeployHook, certificate: &ManagedCertificate, live: &Path, facts: &Facts) -> Command {
    let mut command = Command::new(&hook.program);
    command.args(&hook.arguments).current_dir("/").env_clear().env("PATH", PATH);
    command.env("TXTGATE_CERT_NAME", certificate.name.to_string());
    command.env("TXTGATE_CERT_NAMES", facts.names.join(" "));
    command.env("TXTGATE_LIVE", live);
    command.env("TXTGATE_FULLCHAIN", live.join("fullchain.pem")).env("TXTGATE_PRIVKEY", live.join("privkey.pem"));
    if certificate.pkcs12.is_some() {
        command.env("TXTGATE_PKCS12", live.join(live::BUNDLE));
    }
    command.env("TXTGATE_CERT_SERIAL", &facts.serial);
    command.env("TXTGATE_CERT_NOT_AFTER", facts.not_after.to_string());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.process_group(0).kill_on_drop(true);
    if let Some(group) = hook.owner.group {
        command.gid(group);
    }
    if let Some(user) = hook.owner.user {
        command.uid(user);
    }
    command
}

/// The beginning of an output; the rest is read, so that the program never waits for it, and forgotten.
async fn beginning(output: Option<impl AsyncRead + Unpin>) -> String {
    let Some(mut output) = output else { return String::new() };
    let (mut kept, mut buffer) = (Vec::new(), [0; 4_096]);
    while let Ok(count @ 1..) = output.read(&mut buffer).await {
        let room = KEPT.saturating_sub(kept.len()).min(count);
        kept.extend_from_slice(&buffer[..room]);
    }
    String::from_utf8_lossy(&kept).into_owned()
}

fn ended(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("killed by signal {signal}"),
        (None, None) => status.to_string(),
    }
}
