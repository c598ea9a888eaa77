//! Programs that the daemon runs: deploy hooks, and commands that take notifications.
//!
//! Each runs without a shell, with an environment of a few named variables, with bounded output and time, and in a process
//! group of its own, which is killed as a whole when the time is over.

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt;
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// The most bytes that are stored of each of the two outputs.
const MAX_OUTPUT: usize = 4_096;
/// How long the outputs are read after the program has ended.
const LINGER: Duration = Duration::from_secs(1);
/// The `PATH` of each program.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

static RUNNING: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());

/// The processes of programs that run. Whoever waits for all children of this process leaves these to the tasks that run
/// them.
#[derive(Debug)]
pub struct RunningPrograms(MutexGuard<'static, BTreeSet<i32>>);

impl RunningPrograms {
    /// While this is held, no program starts.
    pub fn lock() -> Self {
        Self(RUNNING.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub fn contains(&self, process: i32) -> bool {
        self.0.contains(&process)
    }

    fn start(mut self, command: &mut Command) -> std::io::Result<(Child, Running)> {
        let child = command.spawn()?;
        let process = child.id().and_then(|id| i32::try_from(id).ok()).unwrap_or_default();
        self.0.insert(process);
        Ok((child, Running(process)))
    }
}

/// One process of a program, until it was waited for.
struct Running(i32);

impl Drop for Running {
    fn drop(&mut self) {
        RunningPrograms::lock().0.remove(&self.0);
    }
}

/// How a program has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    pub success: bool,
    /// `exit code 0`, `killed by signal 9`, `killed after 60 s`.
    pub ended: String,
    /// The beginning of what it has printed.
    pub output: String,
}

/// A command for [`run`], with nothing in its environment but `PATH`, in the root folder.
pub fn command(program: &str, arguments: &[String]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).current_dir("/").env_clear().env("PATH", PATH);
    command
}

/// Runs a program to its end, with `input` as its standard input, and kills it after `limit`.
pub async fn run(mut command: Command, input: Option<Vec<u8>>, limit: Duration) -> Ending {
    command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0).kill_on_drop(true);
    match RunningPrograms::lock().start(&mut command) {
        Ok((child, _running)) => wait(child, input.unwrap_or_default(), limit).await,
        Err(error) => Ending { success: false, ended: format!("cannot be run: {error}"), output: String::new() },
    }
}

/// Waits for the program, and kills it when its time is over.
async fn wait(mut child: Child, input: Vec<u8>, limit: Duration) -> Ending {
    let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    let feeding = feed(child.stdin.take(), input);
    let out = child.stdout.take();
    let err = child.stderr.take();
    let (running, outputs_end) = watch::channel(());
    let end = async {
        let end = timeout(limit, child.wait()).await;
        if end.is_err() {
            // Kills everything that the program has started, too.
            _ = group.map(|group| kill_process_group(group, Signal::KILL));
            _ = child.wait().await;
        }
        drop(running);
        end
    };
    let feeding = until_ended(feeding, outputs_end.clone());
    let (end, (), out, err) =
        tokio::join!(end, feeding, beginning(out, outputs_end.clone()), beginning(err, outputs_end));
    let ended = match &end {
        Ok(Ok(status)) => describe(*status),
        Ok(Err(error)) => format!("cannot be waited for: {error}"),
        Err(_) => format!("killed after {} s", limit.as_secs()),
    };
    let success = matches!(end, Ok(Ok(status)) if status.success());
    Ending { success, ended, output: format!("{out}{err}").trim_end().to_owned() }
}

/// Writes the standard input, and closes it. A program may end without reading it, which is not an error of it.
async fn feed(stdin: Option<ChildStdin>, input: Vec<u8>) {
    if let Some(mut stdin) = stdin {
        _ = stdin.write_all(&input).await;
    }
}

/// Works until the program has ended: processes that it leaves behind may hold its standard input open, and read nothing.
async fn until_ended(work: impl Future<Output = ()>, mut running: watch::Receiver<()>) {
    tokio::select! {
        () = work => {}
        // Fails when the sender is gone: the program has ended.
        _ = running.changed() => {}
    }
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

    use super::*;

    async fn ran(script: &str, input: Option<&str>, limit: Duration) -> Ending {
        let command = command("/bin/sh", &["-c".into(), script.into()]);
        run(command, input.map(|text| text.as_bytes().to_vec()), limit).await
    }

    #[tokio::test]
    async fn a_program_that_leaves_something_running_has_ended_when_it_ends() {
        let ending = ran("echo done; sleep 60 & echo $!", None, Duration::from_secs(10)).await;
        assert!(ending.success && ending.ended == "exit code 0", "{ending:?}");
        let (said, left) = ending.output.split_once('\n').unwrap();
        assert_eq!(said, "done");
        let left = Pid::from_raw(left.parse().unwrap()).unwrap();
        kill_process(left, Signal::KILL).expect("what it has left is not killed");
    }

    #[tokio::test]
    async fn what_a_program_has_printed_before_it_was_killed_is_kept() {
        let ending = ran("echo reloading; sleep 60", None, Duration::from_secs(1)).await;
        assert_eq!((ending.success, ending.ended.as_str()), (false, "killed after 1 s"));
        assert_eq!(ending.output, "reloading");
    }

    #[tokio::test]
    async fn a_program_gets_its_input_and_a_clean_environment_and_need_not_read() {
        let ending = ran("cat; env | grep -v -e ^PATH= -e ^PWD= -e ^_= -e ^SHLVL=", Some("hello"), LINGER * 10).await;
        assert_eq!((ending.ended.as_str(), ending.output.as_str()), ("exit code 1", "hello"));
        let unread = "x".repeat(1 << 20);
        assert!(ran("exec <&-; exit 0", Some(&unread), LINGER * 10).await.success);
        // A process that is left behind holds the input open.
        let ending = ran("sleep 60 >/dev/null 2>&1 & echo $!", Some(&unread), LINGER * 10).await;
        assert!(ending.success, "{ending:?}");
        _ = kill_process(Pid::from_raw(ending.output.parse().unwrap()).unwrap(), Signal::KILL);
    }
}
