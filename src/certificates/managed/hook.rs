//! Deploy hooks: a program that is run with each new certificate, mostly to have a server take it.
//!
//! No shell, an environment of a few named variables, no input, output and time with an end, and another user where the
//! daemon may become one.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::config::ManagedCertificate;
use crate::config::certificate::DeployHook;

use super::live;
use crate::acme::certificate::Facts;

/// Bytes of what it prints that are kept, of each of its two outputs.
const KEPT: usize = 4_096;
/// How long its outputs are read on after it has ended.
const LINGER: Duration = Duration::from_secs(1);
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
    let (running, outputs_end) = watch::channel(());
    let end = async {
        let end = timeout(hook.timeout, child.wait()).await;
        if end.is_err() {
            // All that it has started too: its work is over.
            _ = group.map(|group| kill_process_group(group, Signal::KILL));
            _ = child.wait().await;
        }
        drop(running);
        end
    };
    let (end, out, err) = tokio::join!(end, beginning(out, outputs_end.clone()), beginning(err, outputs_end));
    let (success, ended) = match end {
        Ok(Ok(status)) => (status.success(), ended(status)),
        Ok(Err(error)) => (false, format!("cannot be waited for: {error}")),
        Err(_) => (false, format!("killed after {} s", hook.timeout.as_secs())),
    };
    (success, ended, format!("{out}{err}").trim_end().to_owned())
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

/// The beginning of an output; the rest is read, so that the program never waits for it, and forgotten. Not for long once
/// the program has ended: what it has left running may hold its outputs open for ever.
async fn beginning(output: Option<impl AsyncRead + Unpin>, mut running: watch::Receiver<()>) -> String {
    let Some(mut output) = output else { return String::new() };
    let mut late = pin!(async move {
        // An error says that nobody is there to change it: the program has ended.
        _ = running.changed().await;
        sleep(LINGER).await;
    });
    let (mut kept, mut buffer) = (Vec::new(), [0; 4_096]);
    loop {
        let read = tokio::select! {
            read = output.read(&mut buffer) => read,
            () = &mut late => break,
        };
        let Ok(count @ 1..) = read else { break };
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

#[cfg(test)]
mod tests {
    use rustix::process::kill_process;

    use crate::acme::certificate::CertificateKey;
    use crate::config::{KeyType, file};

    use super::*;

    async fn ran(script: &str, timeout: Duration) -> Outcome {
        let wanted: file::Certificate = toml::from_str("names = [\"a.test.example\"]").unwrap();
        let certificate = ManagedCertificate::read(&wanted, Path::new("/")).unwrap();
        let key = CertificateKey::generate(KeyType::P256).unwrap();
        let facts = key.self_signed(&certificate.names).unwrap().facts;
        let arguments = vec!["-c".into(), script.into()];
        let hook = DeployHook { program: "/bin/sh".into(), arguments, timeout, owner: Default::default() };
        run(&hook, &certificate, &facts, String::new()).await
    }

    #[tokio::test]
    async fn a_hook_that_leaves_something_running_has_ended_when_it_ends() {
        let outcome = ran("echo done; sleep 60 & echo $!", Duration::from_secs(10)).await;
        assert!(outcome.success && outcome.ended == "exit code 0", "{outcome:?}");
        let (said, left) = outcome.output.split_once('\n').unwrap();
        assert_eq!(said, "done");
        let left = Pid::from_raw(left.parse().unwrap()).unwrap();
        kill_process(left, Signal::KILL).expect("what it has left is not killed");
    }

    #[tokio::test]
    async fn what_a_hook_has_printed_before_it_was_killed_is_kept() {
        let outcome = ran("echo reloading; sleep 60", Duration::from_secs(1)).await;
        assert_eq!((outcome.success, outcome.ended.as_str()), (false, "killed after 1 s"));
        assert_eq!(outcome.output, "reloading");
    }
}
