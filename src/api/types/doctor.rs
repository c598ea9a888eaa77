//! `/doctor`

pub use crate::doctor::check::Group;
pub use crate::doctor::report::{CheckReport, LastLookup, Report, ReportedFinding};
pub use crate::doctor::request::{ExaminationLine, ExaminationRequest, Progress};
