//! Checks of the DNS around this server, as the resolvers of a CA see it.
//!
//! Each check returns a [`Finding`](finding::Finding) for each question: what was asked, what came back, what that means, and what to do.
//! A question without an answer is a finding of its own and never counts as a missing record. The checks decide
//! nothing: `certificates` decides by their findings whether it orders a certificate.
//!
//! [`parent`] and [`nameservers`] check a zone of this server: to which nameservers its parent zone delegates it.
//! [`propagation`] waits until they serve what is published here. [`ds`] reads the parent's DS records. [`challenge_target`] finds out where
//! the names of a certificate are proven, [`persist`] reads persistent authorizations in other people's zones, and
//! [`caa`] reads CAA records. [`issuer`] is a CA as DNS records name it. [`walk`] goes the whole way from the root to a name,
//! as strictly as any resolver of a CA, and [`roots`] is where such a walk begins. [`iterative`] finds the nameservers of any
//! name from there and compares what they say, and [`challenge_chain`] follows the name of a proof through them.
//! [`signatures`] checks the signatures of their zones, and [`denial`] the proofs of what is not there.
//! [`chain`] follows the signatures from the root to a zone as a validating resolver does, and [`survey`] gathers what all
//! nameservers on the way say of a zone of this server.

pub mod caa;
pub mod chain;
pub mod challenge_chain;
pub mod challenge_target;
pub mod denial;
pub mod doubled;
pub mod ds;
pub mod finding;
pub mod issuer;
pub mod iterative;
pub mod lookups;
pub mod nameservers;
pub mod parent;
pub mod persist;
pub mod propagation;
pub mod roots;
pub mod signatures;
pub mod survey;
#[cfg(test)]
mod tests;
pub mod walk;
