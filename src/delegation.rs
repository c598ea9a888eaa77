//! Checks of the DNS around this server, as the resolvers of a CA see it.
//!
//! Each check returns a [`Finding`](finding::Finding) for each question: what was asked, what came back, what that means, and what to do.
//! A question without an answer is a finding of its own and never counts as a missing record. The checks decide
//! nothing: `certificates` decides by their findings whether it orders a certificate.
//!
//! [`parent`] and [`nameservers`] check a zone of this server: to which nameservers its parent zone delegates it, and
//! whether they show what is published here. [`ds`] reads the parent's DS records. [`challenge_target`] finds out where
//! the names of a certificate are proven, [`persist`] reads persistent authorizations in other people's zones, and
//! [`caa`] reads CAA records. [`issuer`] is a CA as DNS records name it.

pub mod caa;
pub mod challenge_target;
pub mod ds;
pub mod finding;
pub mod issuer;
pub mod nameservers;
pub mod parent;
pub mod persist;
#[cfg(test)]
mod tests;
