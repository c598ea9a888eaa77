//! `doctor`: examines the set-up, in the running daemon or, if none runs, in this process.

mod printed;
mod progress;

use std::io::ErrorKind;
use std::net::SocketAddr;

use clap::Args;

use crate::acme::Authority;
use crate::api::types::doctor::{ExaminationLine, ExaminationRequest, Report};
use crate::config::Config;
use crate::daemon::Services;
use crate::doctor::documentation;
use crate::doctor::service::Doctor;
use crate::model::identifier::Identifier;
use crate::net::dns_client::{DNS_PORT, Upstream, server_address};

use super::error::{CliError, Result};
use super::operator::Operator;
use super::output::{Output, as_line, print};
use super::target::Target;

use printed::printed;
use progress::Bar;

/// `doctor [NAME ...]`
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Names of certificates to examine, like example.com or *.example.com [default: those that the server knows]
    names: Vec<String>,
    /// A server of another root than the public one; its port is that of all nameservers below it; may be repeated
    #[arg(long, value_name = "ADDR[:PORT]")]
    hints: Vec<String>,
    /// Also compare what this recursive resolver sees: udp:ADDR, tcp:ADDR, tls:ADDR#NAME or https://...; may be repeated
    #[arg(long, value_name = "RESOLVER")]
    resolver: Vec<Upstream>,
    /// Also show what is as it should be, with what was asked and what came back
    #[arg(short, long)]
    verbose: bool,
    /// Describe all checks and faults, as Markdown, and examine nothing
    #[arg(long, conflicts_with_all = ["names", "hints", "resolver", "json"])]
    list: bool,
    #[command(flatten)]
    output: Output,
}

impl DoctorArgs {
    /// Whether the command needs neither daemon nor configuration.
    pub fn is_list(&self) -> bool {
        self.list
    }
}

/// Describes the checks.
pub fn list() -> Result<()> {
    print(documentation::markdown().trim_end())
}

/// Examines the set-up, and prints the report. Fails with [`CliError::Unsound`] if anything is wrong.
pub fn doctor(wanted: &DoctorArgs, target: &Target) -> Result<()> {
    let request = request(wanted)?;
    let report = match Operator::of_daemon(target) {
        Ok(operator) => in_daemon(&operator, &request)?,
        Err(CliError::NoDaemon { source, .. })
            if matches!(source.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) =>
        {
            in_this_process(target.config("doctor")?, request)?
        }
        Err(error) => return Err(error),
    };
    if wanted.output.json {
        print(&as_line(&report))?;
    } else {
        print(&printed(&report, wanted.verbose))?;
    }
    if report.is_sound() { Ok(()) } else { Err(CliError::Unsound(report.problems().count())) }
}

fn request(wanted: &DoctorArgs) -> Result<ExaminationRequest> {
    let name = |text: &String| text.parse::<Identifier>().map_err(|error| CliError::Usage(error.to_string()));
    Ok(ExaminationRequest {
        names: wanted.names.iter().map(name).collect::<Result<_>>()?,
        hints: wanted.hints.iter().map(|text| hint(text)).collect::<Result<_>>()?,
        resolvers: wanted.resolver.clone(),
    })
}

fn hint(text: &str) -> Result<SocketAddr> {
    server_address(text, DNS_PORT).ok_or_else(|| {
        let wanted = "write the address of a root server, like 192.0.2.1, 192.0.2.1:5353 or [2001:db8::1]:5353";
        CliError::Usage(format!("--hints: {wanted}; found {text:?}"))
    })
}

fn in_daemon(operator: &Operator, request: &ExaminationRequest) -> Result<Report> {
    let bar = Bar::new();
    let mut report = None;
    operator.stream("/doctor", as_line(request).into_bytes(), |line| {
        match serde_json::from_str(line) {
            Ok(ExaminationLine::Progress(progress)) => bar.tell(&progress),
            Ok(ExaminationLine::Report(found)) => report = Some(*found),
            Err(error) => return Err(CliError::Refused(format!("the daemon's reply cannot be read: {error}"))),
        }
        Ok(())
    })?;
    bar.end();
    report.ok_or_else(|| CliError::Refused("the daemon ended the examination without a report; look at its log".into()))
}

/// Examines without a daemon, with the database as far as it is there and free.
fn in_this_process(config: &Config, request: ExaminationRequest) -> Result<Report> {
    // A database that is not there yet must not be created by an examination.
    let services = match config.database.exists() {
        true => Services::open(config).map_err(|error| Some(error.to_string())),
        false => Err(None),
    };
    let publisher = services.as_ref().map(|services| services.publisher().clone()).map_err(Clone::clone);
    let doctor = Doctor::new(config.clone(), Authority::new(config.acme.clone()), publisher, None);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let bar = Bar::new();
    let report = runtime.block_on(doctor.examine(request, |progress| bar.tell(&progress)));
    bar.end();
    drop(doctor);
    if let Ok(services) = services {
        services.close();
    }
    report.map_err(|error| CliError::Usage(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_have_the_port_of_nameservers_unless_they_name_one() {
        for (text, address) in [
            ("192.0.2.1", "192.0.2.1:53"),
            ("192.0.2.1:5353", "192.0.2.1:5353"),
            ("2001:db8::1", "[2001:db8::1]:53"),
            ("[2001:db8::1]", "[2001:db8::1]:53"),
            ("[2001:db8::1]:5353", "[2001:db8::1]:5353"),
        ] {
            assert_eq!(hint(text).unwrap().to_string(), address);
        }
        assert!(hint("a.root-servers.net").unwrap_err().to_string().contains("192.0.2.1:5353"));
    }
}
