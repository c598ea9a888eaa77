//! Whoever has signed in, as handlers get it.

use std::net::IpAddr;

use crate::model::actor::Actor;

use super::session::Session;

/// Whoever has signed in, with the address of this request.
#[derive(Debug, Clone)]
pub struct SignedIn {
    pub session: Session,
    pub address: IpAddr,
}

impl SignedIn {
    /// On whose authority a request acts.
    pub fn actor(&self) -> Actor {
        self.session.visitor.actor(self.address)
    }
}
