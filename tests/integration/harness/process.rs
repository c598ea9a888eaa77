//! The daemon as a process of its own.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::{PATIENCE, Settings};

/// The binary under test.
pub const BINARY: &str = env!("CARGO_BIN_EXE_txtgate");

/// A folder with a configuration, in which a daemon keeps its files.
#[derive(Clone)]
pub struct Home(Arc<TempDir>);

impl Home {
    /// A new one.
    pub fn new(settings: &Settings) -> Self {
        let home = Self(Arc::new(tempfile::tempdir().unwrap()));
        home.write(settings);
        home
    }

    /// Puts another configuration in place.
    pub fn write(&self, settings: &Settings) {
        std::fs::write(self.config(), settings.text()).unwrap();
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn config(&self) -> PathBuf {
        self.path().join("config.toml")
    }

    pub fn database(&self) -> PathBuf {
        self.path().join("txtgate.db")
    }

    /// Starts a daemon here.
    pub fn start(&self) -> Process {
        self.launch(&Launch::default())
    }

    /// Starts a daemon here in a special way.
    pub fn launch(&self, launch: &Launch) -> Process {
        self.try_launch(launch).unwrap_or_else(|failed| panic!("the daemon did not start: {failed:?}"))
    }

    /// The same, for daemons that are expected to fail.
    pub fn try_launch(&self, launch: &Launch) -> Result<Process, Failed> {
        Process::spawn(self.clone(), launch)
    }

    /// Runs one of the operator's commands to its end.
    pub fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(BINARY);
        command.arg("--config").arg(self.config()).args(arguments);
        command.current_dir(self.path()).output().unwrap()
    }

    /// The same, which must succeed; what it printed.
    pub fn run_ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{arguments:?}: {}\n{out}{err}", output.status);
        out.into_owned()
    }

    /// The same, which must fail; its exit code and what it said.
    pub fn run_err(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let output = self.run(arguments);
        assert!(!output.status.success(), "{arguments:?} succeeded: {}", String::from_utf8_lossy(&output.stdout));
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

/// How to start a daemon.
#[derive(Default)]
pub struct Launch {
    /// A command and its arguments to which the daemon's own are added.
    pub wrapper: Vec<String>,
    /// More environment.
    pub environment: Vec<(&'static str, &'static str)>,
}

impl Launch {
    /// With room for so many descriptors.
    pub fn descriptors(count: usize) -> Self {
        let script = format!("ulimit -n {count}; exec \"$@\"");
        Self { wrapper: ["sh", "-c", &script, "sh"].map(str::to_owned).into(), environment: Vec::new() }
    }
}

/// A daemon that did not come up.
#[derive(Debug)]
pub struct Failed {
    pub code: Option<i32>,
    pub log: String,
}

/// A running daemon. Dropping it kills it.
pub struct Process {
    home: Home,
    child: Child,
    daemon: Pid,
    lines: Vec<String>,
    log: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl Process {
    /// A daemon in a folder of its own.
    pub fn start(settings: &Settings) -> Self {
        Home::new(settings).start()
    }

    fn spawn(home: Home, launch: &Launch) -> Result<Self, Failed> {
        let mut words = launch.wrapper.clone();
        words.extend([BINARY, "serve", "--config", &home.config().display().to_string()].map(str::to_owned));
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).envs(launch.environment.iter().copied()).current_dir(home.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let reader = Some(gather(child.stderr.take().unwrap(), log.clone()));
        let lines = lines_of(child.stdout.take().unwrap());
        let daemon = Pid::from_child(&child);
        let mut process = Self { home, child, daemon, lines: Vec::new(), log, reader };
        if process.is_ready(&lines) {
            process.daemon = only_child(daemon).filter(|_| is_traced(&launch.wrapper)).unwrap_or(daemon);
            return Ok(process);
        }
        let code = process.child.wait().unwrap().code();
        _ = process.reader.take().map(JoinHandle::join);
        let log = process.log();
        Err(Failed { code, log })
    }

    /// Reads until `ready`; false where the daemon ended before.
    fn is_ready(&mut self, lines: &Receiver<String>) -> bool {
        let start = Instant::now();
        loop {
            match lines.recv_timeout(PATIENCE.saturating_sub(start.elapsed())) {
                Ok(line) if line == "ready" => return true,
                Ok(line) => self.lines.push(line),
                Err(RecvTimeoutError::Disconnected) => return false,
                Err(RecvTimeoutError::Timeout) => panic!("not ready after {PATIENCE:?}:\n{}", self.log()),
            }
        }
    }

    pub fn home(&self) -> &Home {
        &self.home
    }

    /// The process's id, of the daemon itself also under a wrapper.
    pub fn pid(&self) -> i32 {
        self.daemon.as_raw_nonzero().get()
    }

    /// What it printed before `ready`.
    pub fn lines(&self) -> &[String] {
        &self.lines
    }

    pub fn dns(&self) -> SocketAddr {
        self.address("dns ")
    }

    pub fn dns_tls(&self) -> SocketAddr {
        self.address("dns-tls ")
    }

    pub fn dns_quic(&self) -> SocketAddr {
        self.address("dns-quic ")
    }

    pub fn api(&self) -> SocketAddr {
        let scheme = if self.lines.iter().any(|line| line.starts_with("api https")) { "https" } else { "http" };
        self.address(&format!("api {scheme}://"))
    }

    /// The operator's API over the network.
    pub fn admin(&self) -> SocketAddr {
        let scheme = if self.lines.iter().any(|line| line.starts_with("admin https")) { "https" } else { "http" };
        self.address(&format!("admin {scheme}://"))
    }

    pub fn metrics(&self) -> SocketAddr {
        self.address("metrics http://")
    }

    fn address(&self, prefix: &str) -> SocketAddr {
        let found = self.lines.iter().find_map(|line| line.strip_prefix(prefix));
        found.unwrap_or_else(|| panic!("no {prefix:?} in {:?}", self.lines)).parse().unwrap()
    }

    /// The log so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&self.log.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(self.daemon, signal).unwrap();
    }

    /// Ends it with SIGKILL and waits.
    pub fn kill(mut self) {
        self.end();
    }

    /// Ends it with SIGTERM; its exit code, and how long that took.
    pub fn terminate(mut self) -> (ExitStatus, Duration, String) {
        let start = Instant::now();
        self.signal(Signal::TERM);
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(start.elapsed() < PATIENCE, "SIGTERM did not end it:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        };
        _ = self.reader.take().map(JoinHandle::join);
        (status, start.elapsed(), self.log())
    }

    /// CPU time that it has used, user and system.
    pub fn cpu(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
        // The second field, a name in parentheses, may hold spaces.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        // USER_HZ is 100 on all of Linux.
        Duration::from_millis(ticks * 10)
    }

    fn end(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            // The daemon before its wrapper, which would otherwise let it go.
            _ = kill_process(self.daemon, Signal::KILL);
            if self.daemon == Pid::from_child(&self.child) {
                _ = self.child.kill();
            }
            _ = self.child.wait();
        }
        _ = self.reader.take().map(JoinHandle::join);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
        if std::thread::panicking() {
            eprintln!("--- the daemon's log in {}:\n{}", self.home.path().display(), tail(&self.log()));
        }
    }
}

fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(60)..].join("\n")
}

fn is_traced(wrapper: &[String]) -> bool {
    wrapper.first().is_some_and(|command| command == "strace")
}

fn only_child(parent: Pid) -> Option<Pid> {
    let parent = parent.as_raw_nonzero();
    let children = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).ok()?;
    Pid::from_raw(children.split_whitespace().next()?.parse().ok()?)
}

fn gather(mut from: impl Read + Send + 'static, into: Arc<Mutex<Vec<u8>>>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let mut buffer = [0; 4_096];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            into.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&buffer[..count]);
        }
    })
}

fn lines_of(from: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        // Goes on after `ready`, so that the daemon never meets a closed pipe.
        BufReader::new(from).lines().map_while(Result::ok).for_each(|line| _ = sender.send(line));
    });
    receiver
}
