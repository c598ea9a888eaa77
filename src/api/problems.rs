//! What is wrong with the daemon, in the words of the command line and of the console.

use std::fmt;

use crate::certificates::managed::report::ManagedCertificateView;
use crate::model::name::idn::both_ways;
use crate::notify::matter::MatterKind;
use crate::notify::report::{ChannelReport, NotifyReport};

use super::types::status::Status;

/// What a problem is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Topic {
    Database,
    Clock,
    ApiCertificate,
    /// The managed certificate with this name.
    Certificate(String),
    /// A matter that only the notifications know of.
    Matter(MatterKind),
    /// A channel of the notifications.
    Channel,
}

/// One thing that is wrong. Displays as one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub topic: Topic,
    /// What is wrong, or with what something is wrong, without a full stop.
    pub title: String,
    /// What was found, and what to do.
    pub details: String,
}

impl Problem {
    fn new(topic: Topic, title: impl Into<String>, details: impl Into<String>) -> Self {
        Self { topic, title: title.into(), details: details.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.title, self.details)
    }
}

/// Everything that is wrong, by the daemon's status and its managed certificates.
pub fn problems(status: &Status, managed: &[ManagedCertificateView]) -> Vec<Problem> {
    let database = status.database_problem.iter();
    let database = database.map(|problem| Problem::new(Topic::Database, "the database", problem));
    let clock = status.clock_problem.iter().map(|problem| Problem::new(Topic::Clock, "the clock", problem));
    let api = status.certificates.as_ref().and_then(|own| own.api.as_ref());
    let api = api.and_then(|report| report.attempts.explained());
    let api = api.map(|problem| Problem::new(Topic::ApiCertificate, "the API's certificate", problem));
    let managed = managed.iter().filter_map(|view| {
        let title = format!("the certificate {}", both_ways(&view.name));
        Some(Problem::new(Topic::Certificate(view.name.clone()), title, view.problem()?))
    });
    let told = status.notifications.iter().flat_map(of_notifications);
    database.chain(clock).chain(api).chain(managed).chain(told).collect()
}

/// Matters that nothing else in the status shows, and channels that fail.
fn of_notifications(report: &NotifyReport) -> impl Iterator<Item = Problem> {
    let is_elsewhere = |kind| matches!(kind, MatterKind::RenewalFailed | MatterKind::Database | MatterKind::Clock);
    let matters = report.matters.iter().filter(move |matter| !is_elsewhere(matter.kind));
    let matters = matters.map(|matter| Problem::new(Topic::Matter(matter.kind), &matter.summary, &matter.details));
    matters.chain(report.channels.iter().filter_map(of_channel))
}

fn of_channel(channel: &ChannelReport) -> Option<Problem> {
    let problem = channel.problem.as_ref()?;
    let waiting = match channel.waiting {
        1 => "1 message waits".to_owned(),
        count => format!("{count} messages wait"),
    };
    let title = format!("notifications by {} to {}, {waiting}", channel.channel, channel.target);
    Some(Problem::new(Topic::Channel, title, problem))
}
