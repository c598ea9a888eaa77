//! `/doctor`: examines the set-up.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use tokio::sync::mpsc::channel;

use crate::doctor::run::LIMIT;
use crate::doctor::service::{Doctor, ExaminationError};

use super::super::error::Failure;
use super::super::json_body::JsonBody;
use super::super::reply;
use super::super::stream;
use super::super::types::doctor::{ExaminationLine, ExaminationRequest};

/// Lines that wait for the client: more than an examination has.
const LINES: usize = 256;

/// Shows the last report of the daemon's own examinations.
pub async fn last(State(doctor): State<Option<Doctor>>) -> Result<Response, Failure> {
    let last = running(doctor)?.reports().borrow().clone();
    match last {
        Some(report) => Ok(reply::json(StatusCode::OK, &*report)),
        None => Err(Failure::NotFound(
            "the daemon has not examined its set-up since its start; run `txtgate doctor`".into(),
        )),
    }
}

/// Examines the set-up now. The reply has a line for each check that ends, and the report as the last one.
pub async fn examine(
    State(doctor): State<Option<Doctor>>,
    JsonBody(request): JsonBody<ExaminationRequest>,
) -> Result<Response, Failure> {
    let doctor = running(doctor)?;
    let begun = doctor.begin(request).map_err(|error| match error {
        ExaminationError::Busy => Failure::Busy { retry_after: LIMIT },
        other => Failure::field("bad_examination", "names", other),
    })?;
    let (lines, reader) = channel(LINES);
    tokio::spawn(async move {
        let told = lines.clone();
        // A client that reads too slowly misses a line of progress.
        let tell = move |progress| _ = told.try_send(line(&ExaminationLine::Progress(progress)));
        tokio::select! {
            report = begun.run(tell) => { _ = lines.send(line(&ExaminationLine::Report(Box::new(report)))).await; }
            () = lines.closed() => {}
        }
    });
    Ok(stream::of_lines(reader))
}

fn running(doctor: Option<Doctor>) -> Result<Doctor, Failure> {
    doctor.ok_or_else(|| Failure::NotFound("no daemon runs; start it with `txtgate serve`".into()))
}

fn line(line: &ExaminationLine) -> String {
    // invariant: a report has no map with keys that are not strings, the one thing that fails here
    serde_json::to_string(line).unwrap_or_default()
}
