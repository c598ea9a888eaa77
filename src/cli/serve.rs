//! `serve`: starts the daemon, informs systemd and the user, and handles signals.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use sd_notify::NotifyState;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{error, info, warn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::reload::Handle;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry, fmt, reload};

use crate::config::source::ConfigSource;
use crate::config::{Config, Log, LogFormat};
use crate::daemon::Daemon;

use super::error::{CliError, Result};
use super::output::{print, tell};

type Level = Handle<EnvFilter, Registry>;

/// `serve`
#[derive(Debug, Args)]
pub struct Serve {
    /// Begin with an empty database where there was one that is missing now; for one start
    #[arg(long)]
    init: bool,
}

/// Runs the daemon until a signal ends it. `named` is the configuration of the command line.
pub fn serve(wanted: &Serve, named: Option<PathBuf>) -> Result<()> {
    let source = match ConfigSource::named(named)? {
        Some(source) => source,
        None => {
            let source = ConfigSource::of_daemon()?;
            tell(&format!("the configuration is {}; --config names another", source.described()));
            source
        }
    };
    let config = source.load()?;
    let level = start_log(&config.log);
    config.notes.iter().for_each(|note| warn!("{note}"));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(run(wanted, config, &source, &level));
    // A thread that still blocks must not keep the process.
    runtime.shutdown_timeout(Duration::from_secs(1));
    outcome
}

async fn run(wanted: &Serve, config: Config, source: &ConfigSource, level: &Level) -> Result<()> {
    // Before the sockets: a signal that arrives while they are bound must not be lost.
    let mut signals = Signals::new()?;
    let daemon = Daemon::start(config, wanted.init).await?;
    match print(&format!("{}\nready", daemon.bound().lines().join("\n"))) {
        // The parent process need not read the output.
        Err(CliError::Closed) => {}
        done => done?,
    }
    notify(&[NotifyState::Ready, NotifyState::Status("serving")]);
    let watchdog = tokio::spawn(watchdog(daemon.watchdog()));
    while signals.next().await == Signalled::Reload {
        let since = NotifyState::monotonic_usec_now().ok();
        notify(&[NotifyState::Reloading].into_iter().chain(since).collect::<Vec<_>>());
        reload_from(source, &daemon, level).await;
        notify(&[NotifyState::Ready]);
    }
    notify(&[NotifyState::Stopping]);
    info!("stopping");
    watchdog.abort();
    daemon.stop().await;
    info!("stopped");
    Ok(())
}

/// Reloads zones, certificates and the log level on SIGHUP. Other changes need a restart. A wrong configuration changes
/// nothing.
async fn reload_from(source: &ConfigSource, daemon: &Daemon, level: &Level) {
    let config = match source.load() {
        Ok(config) => config,
        Err(error) => return error!(%error, "not reloaded"),
    };
    let filter = filter(&config.log.level);
    if let Err(error) = daemon.reload(config).await {
        return error!(%error, "not reloaded");
    }
    if let Err(error) = level.reload(filter) {
        warn!(%error, "the log level stays as it was");
    }
    info!("reloaded");
}

struct Signals {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
    /// Caught so that it does not end the process: a write beyond the limit of a file's size is an error like a full disk.
    _file_size: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        let file_size = SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw());
        let [hangup, terminate, interrupt, file_size] =
            [SignalKind::hangup(), SignalKind::terminate(), SignalKind::interrupt(), file_size].map(signal);
        Ok(Self { hangup: hangup?, terminate: terminate?, interrupt: interrupt?, _file_size: file_size? })
    }

    async fn next(&mut self) -> Signalled {
        tokio::select! {
            _ = self.terminate.recv() => Signalled::Stop,
            _ = self.interrupt.recv() => Signalled::Stop,
            _ = self.hangup.recv() => Signalled::Reload,
        }
    }
}

/// The request of a signal.
#[derive(PartialEq, Eq)]
enum Signalled {
    Stop,
    Reload,
}

/// Feeds systemd's watchdog while every loop makes progress.
async fn watchdog(mut watchdog: crate::daemon::Watchdog) {
    let Some(limit) = sd_notify::watchdog_enabled() else { return };
    let mut round = tokio::time::interval(limit / 3);
    loop {
        round.tick().await;
        match watchdog.stopped() {
            None => notify(&[NotifyState::Watchdog]),
            Some(name) => error!(
                r#loop = name,
                "a loop makes no progress; the watchdog is not fed, and systemd will restart the daemon"
            ),
        }
    }
}

fn notify(states: &[NotifyState<'_>]) {
    // Without systemd this is not an error.
    if let Err(error) = sd_notify::notify(states) {
        warn!(%error, "cannot notify systemd");
    }
}

/// The filter of the configuration, without the lines of the QUIC library, of which a peer could cause one for each
/// packet. A level that names `quinn` shows them.
fn filter(level: &str) -> EnvFilter {
    EnvFilter::new(format!("quinn=error,quinn_udp=warn,{level}"))
}

fn start_log(log: &Log) -> Level {
    let (filter, level) = reload::Layer::new(filter(&log.level));
    let registry = tracing_subscriber::registry().with(filter);
    let colours = std::io::stderr().is_terminal();
    let started = match log.format {
        LogFormat::Text => registry.with(fmt::layer().with_ansi(colours).with_writer(std::io::stderr)).try_init(),
        LogFormat::Json => registry.with(fmt::layer().json().with_writer(std::io::stderr)).try_init(),
    };
    // Only a second log in one process fails; the first one stays in use.
    _ = started;
    level
}
