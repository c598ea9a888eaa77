//! The examination that somebody has asked for in the console, and its report.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::Body;
use http_body_util::BodyExt;

use crate::api::types::doctor::{ExaminationLine, Progress, Report};

/// The most titles of checks that are kept.
const MAX_ENDED: usize = 256;

/// One examination at a time, and the report of the last one.
#[derive(Debug, Clone, Default)]
pub struct Examinations(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    version: u64,
    running: Option<Running>,
    outcome: Option<Outcome>,
}

/// An examination under way.
#[derive(Debug, Clone, Default)]
pub struct Running {
    /// The names, as they were typed.
    pub names: String,
    /// How many checks run.
    pub checks: usize,
    /// The titles of those that have ended.
    pub ended: Vec<String>,
}

/// The place of the one examination. Dropping it frees the place.
#[derive(Debug)]
pub struct Place(Examinations);

impl Place {
    /// Reads the lines of the examination to their end.
    pub async fn read(self, mut lines: Body) {
        let Self(examinations) = &self;
        let mut waiting = Vec::new();
        let mut is_reported = false;
        while let Some(Ok(frame)) = lines.frame().await {
            waiting.extend_from_slice(frame.data_ref().map_or(&[], |data| &**data));
            while let Some(end) = waiting.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = waiting.drain(..=end).collect();
                is_reported |= examinations.take(&line);
            }
        }
        if !is_reported {
            let problem = "the examination ended without a report; look at the daemon's log, and examine again";
            examinations.lock().outcome = Some(Outcome::Failed(problem.to_owned()));
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.running = None;
        state.version += 1;
    }
}

/// What the last examination has come to.
#[derive(Debug, Clone)]
pub enum Outcome {
    Report(Arc<Report>),
    /// It ended without a report.
    Failed(String),
}

impl Examinations {
    /// Takes the place of the examination; `None` if one is under way.
    pub fn begin(&self, names: &str) -> Option<Place> {
        let mut state = self.lock();
        if state.running.is_some() {
            return None;
        }
        state.running = Some(Running { names: names.to_owned(), ..Running::default() });
        state.version += 1;
        Some(Place(self.clone()))
    }

    /// Takes a line; whether it is the report. The place stays taken until the lines end.
    fn take(&self, line: &[u8]) -> bool {
        let mut state = self.lock();
        state.version += 1;
        match (serde_json::from_slice(line), &mut state.running) {
            (Ok(ExaminationLine::Progress(Progress::Started(checks))), Some(running)) => running.checks = checks,
            (Ok(ExaminationLine::Progress(Progress::Ended(title))), Some(running))
                if running.ended.len() < MAX_ENDED =>
            {
                running.ended.push(title);
            }
            (Ok(ExaminationLine::Report(report)), _) => {
                state.outcome = Some(Outcome::Report(Arc::from(report)));
                return true;
            }
            // The end of the lines tells of a failure.
            _ => {}
        }
        false
    }

    /// The examination under way.
    pub fn running(&self) -> Option<Running> {
        self.lock().running.clone()
    }

    /// What the last one has come to.
    pub fn outcome(&self) -> Option<Outcome> {
        self.lock().outcome.clone()
    }

    /// A number that is another one after a change.
    pub fn version(&self) -> u64 {
        self.lock().version
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_runs_at_a_time_and_an_end_without_report_is_told() {
        let examinations = Examinations::default();
        let place = examinations.begin("a.example").unwrap();
        assert!(examinations.begin("b.example").is_none());
        examinations.take(br#"{"progress":{"started":7}}"#);
        examinations.take(br#"{"progress":{"ended":"Clock"}}"#);
        let running = examinations.running().unwrap();
        assert_eq!((running.checks, running.ended), (7, vec!["Clock".to_owned()]));
        place.read(Body::from("{\"progress\":{\"ended\":\"Disk\"}}\nno JSON\n")).await;
        assert!(examinations.running().is_none());
        assert!(matches!(examinations.outcome(), Some(Outcome::Failed(_))));
        let place = examinations.begin("").unwrap();
        let report = r#"{"at":"","milliseconds":1,"by_daemon":true,"names":[],"first":null,"checks":[],"not_seen":[]}"#;
        assert!(examinations.take(format!("{{\"report\":{report}}}").as_bytes()));
        assert!(examinations.begin("").is_none(), "the lines of the one before have not ended");
        drop(place);
        assert!(examinations.running().is_none(), "a request that is given up frees the place");
    }
}
