//! Checks of the DNS around this server, as a CA's resolvers see it: where a zone is delegated to, where the CNAME of a
//! challenge leads, which CAs may issue, and what a persistent authorization says.

pub mod caa;
pub mod challenge_target;
pub mod nameservers;
pub mod persist;
