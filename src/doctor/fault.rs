//! What can be wrong.

use crate::delegation::finding::Assessment;

/// Something that a check can find wrong.
#[derive(Debug, PartialEq, Eq)]
pub struct Fault {
    /// The name of the fault in reports, in kebab case, unique in all checks.
    pub code: &'static str,
    /// How bad it is. Nothing but [`Good`](Assessment::Good) is a finding.
    pub assessment: Assessment,
    /// What it means for validations, in a sentence without a full stop.
    pub meaning: &'static str,
    /// What to do about it, in the imperative, without a full stop. A finding that knows more says it in its own advice.
    pub mend: &'static str,
}
