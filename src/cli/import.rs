//! `import acme-dns`: takes over an installation of acme-dns with the credentials of all its clients.

mod certmagic;
mod made;
mod old;

use std::fs::{DirBuilder, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use tempfile::TempDir;

use crate::config::Config;
use crate::daemon::Services;
use crate::file;
use crate::model::actor::Actor;
use crate::model::name::ZoneName;
use crate::publisher::ImportPlan;
use crate::store::backup;
use crate::store::import::{ForeignAccount, Left, Postgres, Source};

use super::error::{CliError, Result};
use super::output::print;
use super::transfer::ImportArgs;

use made::{Made, made};
use old::Old;

/// `import ...`
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Take over accounts, keys, values and settings of acme-dns 1.x or 2.x, or of acme-dns-rust
    AcmeDns(AcmeDns),
    /// Take over accounts from the file of another txtgate's `export --format txtgate`, while the daemon runs
    Txtgate(ImportArgs),
}

/// `import acme-dns`
#[derive(Debug, Args)]
#[command(after_help = "\
--config names acme-dns's own configuration [default: /etc/acme-dns/config.cfg, then ./config.cfg]. It and the database
are only read. A PostgreSQL password may come from PGPASSWORD.

What could not be carried over is listed, each with its reason. Running it again adds what is new there, and changes
nothing that is here.")]
pub struct AcmeDns {
    /// The database of acme-dns, in place of the one in its configuration: a file, or postgres://user@host/database
    #[arg(long, value_name = "FILE|URL")]
    database: Option<String>,
    /// The configuration to write; an existing one is used as it is, and not overwritten
    #[arg(long, value_name = "FILE", default_value = "/etc/txtgate/config.toml")]
    output: PathBuf,
    /// Replace an existing configuration
    #[arg(long)]
    overwrite: bool,
    /// Show what would be done without doing it
    #[arg(long)]
    dry_run: bool,
}

/// Imports from acme-dns. `config` is the configuration of acme-dns, if one was named.
pub fn run(wanted: &AcmeDns, config: Option<PathBuf>) -> Result<()> {
    let from = config.unwrap_or_else(Old::default_path);
    let old = Old::read(&from)?;
    let target = ImportTarget::of(wanted, &old, &from)?;
    let source = source(&old, &from, wanted.database.as_deref())?;
    let start = Instant::now();
    let contents = source.read()?;
    let count = contents.accounts.len();
    let mut left = contents.left;
    let mut plan = if wanted.dry_run {
        target.rehearsed(contents.accounts)?
    } else {
        let plan = target.moved_in(contents.accounts)?;
        target.write_config(wanted)?;
        plan
    };
    left.append(&mut plan.left);
    left.extend(target.left.iter().cloned());
    let took = start.elapsed();
    let summary = ImportSummary { wanted, target: &target, source: &source, plan: &plan, count, left: &left, took };
    print(&summary.text())?;
    // Once more at the end, and in the exit code: clients would find out too late.
    match target.urgent.is_empty() {
        true => Ok(()),
        false => Err(CliError::Missing(format!("before txtgate takes acme-dns's place: {}", target.urgent.join("; ")))),
    }
}

/// The database of acme-dns's accounts.
fn source(old: &Old, from: &Path, named: Option<&str>) -> Result<Source> {
    let postgres = |text: &str| {
        let password = std::env::var("PGPASSWORD").ok();
        Ok(Source::Postgres(Box::new(Postgres::parse(text, password.as_deref())?)))
    };
    match (named, old.database.engine.as_str()) {
        (Some(named), _) if named.starts_with("postgres://") || named.starts_with("postgresql://") => postgres(named),
        (Some(named), _) => Ok(Source::Sqlite(named.into())),
        (None, "postgres") => postgres(&old.database.connection),
        (None, "sqlite" | "sqlite3") => Ok(Source::Sqlite(old::located(from, &old.database.sqlite_file()))),
        (None, other) => Err(CliError::Usage(format!(
            "{}: database.engine: {other:?} is neither sqlite3, sqlite nor postgres; name the database with --database",
            from.display()
        ))),
    }
}

/// The txtgate installation that replaces acme-dns.
struct ImportTarget {
    zone: ZoneName,
    config: Config,
    /// The text of the configuration, unless the file exists or cannot be made.
    text: Option<String>,
    left: Vec<Left>,
    /// What has to be done before it can take acme-dns's place.
    urgent: Vec<String>,
}

impl ImportTarget {
    fn of(wanted: &AcmeDns, old: &Old, from: &Path) -> Result<Self> {
        let path = wanted.output.as_path();
        let zone: ZoneName = old.zone().map_err(|error| old::wrong(from, "general.domain", &error))?;
        if path.exists() && !wanted.overwrite {
            let config = Config::read(path)?;
            if !config.zones.iter().any(|settings| settings.name == zone) {
                let problem =
                    format!("{} has no zone {zone}, which acme-dns serves; add it, or use --overwrite", path.display());
                return Err(CliError::Usage(problem));
            }
            return Ok(Self { zone, config, text: None, left: Vec::new(), urgent: Vec::new() });
        }
        let Made { text, readable, left, urgent } = made(old, from, path)?;
        match Config::parse(path, &readable) {
            Ok(config) => Ok(Self { zone, config, text: Some(text), left, urgent }),
            Err(error) => Self::of_accounts(zone, path, left, &error.problems()),
        }
    }

    /// Of the accounts alone, where no configuration can be made that works.
    fn of_accounts(zone: ZoneName, path: &Path, mut left: Vec<Left>, problems: &[String]) -> Result<Self> {
        left.extend(problems.iter().map(|problem| Left::new("the configuration", problem)));
        let config = Config::parse(path, &made::least(&zone, path))?;
        let urgent = vec![format!("no configuration could be made; write {} by hand", path.display())];
        Ok(Self { zone, config, text: None, left, urgent })
    }

    fn moved_in(&self, accounts: Vec<ForeignAccount>) -> Result<ImportPlan> {
        let folder = file::folder_of(&self.config.database);
        let created = DirBuilder::new().recursive(true).mode(0o700).create(folder);
        created.map_err(|source| CliError::File { path: folder.to_owned(), source })?;
        let services = Services::open(&self.config)?;
        let outcome = carry_out(&services, &self.zone, accounts);
        services.close();
        outcome
    }

    /// Makes the plan on a copy of the database, so that nothing is written and a daemon may run.
    fn rehearsed(&self, accounts: Vec<ForeignAccount>) -> Result<ImportPlan> {
        let folder = TempDir::with_prefix("txtgate-import-")?;
        let config = Config { database: folder.path().join("txtgate.db"), ..self.config.clone() };
        if self.config.database.exists() {
            backup::backup(&self.config.database, &config.database)?;
        }
        let services = Services::rehearse(&config)?;
        let plan = services.publisher().plan_import(&self.zone, accounts);
        services.close();
        Ok(plan?)
    }

    fn write_config(&self, wanted: &AcmeDns) -> Result<()> {
        let Some(text) = &self.text else { return Ok(()) };
        let path = wanted.output.as_path();
        write_config(path, text).map_err(|source| CliError::File { path: path.to_owned(), source })
    }
}

fn write_config(path: &Path, text: &str) -> std::io::Result<()> {
    std::fs::create_dir_all(file::folder_of(path))?;
    if path.exists() {
        return file::replace(path, text.as_bytes());
    }
    // The file holds no secret, and the daemon runs as another user.
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o644).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn carry_out(services: &Services, zone: &ZoneName, accounts: Vec<ForeignAccount>) -> Result<ImportPlan> {
    let plan = Arc::new(services.publisher().plan_import(zone, accounts)?);
    if !plan.is_empty() {
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        runtime.block_on(services.publisher().import(Actor::COMMAND_LINE, plan.clone()))?;
    }
    Ok(Arc::unwrap_or_clone(plan))
}

/// The summary of an import.
struct ImportSummary<'a> {
    wanted: &'a AcmeDns,
    target: &'a ImportTarget,
    source: &'a Source,
    plan: &'a ImportPlan,
    /// The accounts that could be read.
    count: usize,
    left: &'a [Left],
    took: Duration,
}

impl ImportSummary<'_> {
    fn text(&self) -> String {
        let plan = self.plan;
        let dry = self.wanted.dry_run;
        let would = if dry { "would be " } else { "" };
        let config = self.wanted.output.display();
        let urgent = self.target.urgent.iter().map(|urgent| format!("BEFORE THE SWITCH: {urgent}\n\n"));
        let mut out = urgent.collect::<String>();
        out += &format!(
            "{}: {} accounts, read in {:.1} s\n  - {} accounts {would}moved in; {} are here already\n  \
             - {} live values {would}published again; {} are too old for any authority to ask for\n  - database {}\n",
            self.source,
            self.count,
            self.took.as_secs_f64(),
            plan.accounts.len(),
            plan.known,
            plan.value_count(),
            plan.expired,
            self.target.config.database.display(),
        );
        match (&self.target.text, dry) {
            (None, _) if !self.wanted.output.exists() => out += "  - no configuration\n",
            (None, _) => out += &format!("  - configuration {config}, used as it is\n"),
            (Some(_), false) => out += &format!("  - configuration {config}, written\n"),
            (Some(text), true) => out += &format!("  - configuration {config} would be written:\n\n{text}\n"),
        }
        if self.left.is_empty() {
            return out + "Nothing stays behind.";
        }
        let lines: Vec<String> = self.left.iter().map(|left| format!("  - {left}")).collect();
        format!("{out}{} things stay behind:\n{}", self.left.len(), lines.join("\n"))
    }
}
