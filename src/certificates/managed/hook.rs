//! Deploy hooks: a program that runs for each new certificate, usually to make a server load it.
//!
//! The daemon runs it without a shell, with an environment of a few named variables, without input, with bounded output
//! and time, and as another user where the daemon may become one.

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
use crate::acme::certificate::CertificateInfo;

/// The most bytes that are stored of each of the two outputs.
const MAX_OUTPUT: usize = 4_096;
/// How long the outputs are read after the program has ended.
const LINGER: Duration = Duration::from_secs(1);
/// The hook's `PATH`.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

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
    let started = command(hook, certificate, &live::live(certificate), info).spawn();
    let ending = match started {
        Ok(child) => wait(hook, child).await,
        Err(error) => Ending { success: false, ended: format!("cannot be run: {error}"), output: String::new() },
    };
    let serial = info.serial.clone();
    HookOutcome { serial, at, success: ending.success, ended: ending.ended, output: ending.output }
}

/// How a program has ended.
struct Ending {
    success: bool,
    ended: String,
    output: String,
}

/// Waits for the program, and kills it when its time is over.
async fn wait(hook: &DeployHook, mut child: Child) -> Ending {
    let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    let out = child.stdout.take();
    let err = child.stderr.take();
    let (running, outputs_end) = watch::channel(());
    let end = async {
        let end = timeout(hook.timeout, child.wait()).await;
        if end.is_err() {
            // Kills everything that the program has started, too.
            _ = group.map(|group| kill_process_group(group, Signal::KILL));
            _ = child.wait().await;
        }
        drop(running);
        end
    };
    let (end, out, err) = tokio::join!(end, beginning(out, outputs_end.clone()), beginning(err, outputs_end));
    let ended = match &end {
        Ok(Ok(status)) => describe(*status),
        Ok(Err(error)) => format!("cannot be waited for: {error}"),
        Err(_) => format!("killed after {} s", hook.timeout.as_secs()),
    };
    let success = matches!(end, Ok(Ok(status)) if status.success());
    Ending { success, ended, output: format!("{out}{err}").trim_end().to_owned() }
}

fn command(hook: &DeployHook, certificate: &ManagedCertificate, live: &Path, info: &CertificateInfo) -> Command {
    let mut command = Command::new(&hook.program);
    command.args(&hook.arguments).current_dir("/").env_clear().env("PATH", PATH);
    command.env("TXTGATE_CERT_NAME", certificate.name.to_string());
    command.env("TXTGATE_CERT_NAMES", info.names.join(" "));
    command.env("TXTGATE_LIVE", live);
    command.env("TXTGATE_FULLCHAIN", live.join("fullchain.pem")).env("TXTGATE_PRIVKEY", live.join("privkey.pem"));
    if certificate.pkcs12.is_some() {
        command.env("TXTGATE_PKCS12", live.join(live::BUNDLE));
    }
    command.env("TXTGATE_CERT_SERIAL", &info.serial);
    command.env("TXTGATE_CERT_NOT_AFTER", info.not_after.to_string());
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

/// Reads the beginning of an output. Reads and drops the rest, so that the program never blocks on its output. Stops soon
/// after the program has ended: processes that it leaves behind may hold the output open for ever.
async fn beginning(output: Option<impl AsyncRead + Unpin>, mut running: watch::Receiver<()>) -> String {
    let Some(mut output) = output else { return String::new() };
    let mut late = pin!(async move {
        // Fails when the sender is gone: the program has ended.
        _ = running.changed().await;
        sleep(LINGER).await;
    });
    let mut stored = Vec::new();
    let mut buffer = [0; 4_096];
    loop {
        let read = tokio::select! {
            read = output.read(&mut buffer) => read,
            () = &mut late => break,
        };
        let Ok(count @ 1..) = read else { break };
        let room = MAX_OUTPUT.saturating_sub(stored.len()).min(count);
        stored.extend_from_slice(&buffer[..room]);
    }
    String::from_utf8_lossy(&stored).into_owned()
}

fn describe(status: ExitStatus) -> String {
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

    async fn ran(script: &str, timeout: Duration) -> HookOutcome {
        let wanted: file::Certificate = toml::from_str("names = [\"a.test.example\"]").unwrap();
        let certificate = ManagedCertificate::read(&wanted, Path::new("/")).unwrap();
        let key = CertificateKey::generate(KeyType::P256).unwrap();
        let info = key.self_signed(&certificate.names).unwrap().info;
        let arguments = vec!["-c".into(), script.into()];
        let hook = DeployHook { program: "/bin/sh".into(), arguments, timeout, owner: Default::default() };
        run(&hook, &certificate, &info, String::new()).await
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
