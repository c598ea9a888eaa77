//! The life of certificates: the API's own one and those that other programs of this machine use. Ordered, put into
//! files, deployed, renewed, revoked and deleted.

pub mod api_certificate;
pub mod grants;
pub mod issue;
pub mod managed;
pub mod progress;
pub mod renewal;
