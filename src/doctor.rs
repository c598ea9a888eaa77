//! The doctor: examines the set-up of this server, from the machine over the delegation to the names of certificates.
//!
//! A [`Check`](check::Check) looks at one thing and reports findings, good ones included. All checks of an
//! [`Examination`](examination::Examination) run side by side under one time limit, so that a dead server costs seconds.
//! The [`Report`](report::Report) lists the checks from the causes to the effects: a finding that follows from an earlier
//! one says so, and the first finding that follows from none is the root cause.
//!
//! Each check is a file below [`machine`], [`delegation`], [`names`] or [`vantage`], with a table of its faults. The
//! documentation of the doctor is generated from these tables.

pub mod check;
pub mod delegation;
pub mod documentation;
pub mod examination;
pub mod fault;
pub mod findings;
pub mod machine;
pub mod names;
pub mod registry;
pub mod report;
pub mod request;
pub mod run;
pub mod service;
pub mod text;
pub mod vantage;
pub mod zones;
