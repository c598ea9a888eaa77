//! DNS UPDATE (RFC 2136), signed by the TSIG key of an account; and signed queries, which are answered like others.
//!
//! Who signed is found out where the message arrives: that costs a look into memory and an HMAC. What is signed and
//! well-formed has to wait for the disk, so it goes on in a task of its own, from which the reply is sent; the loops of
//! the listeners go on meanwhile.

mod plan;

use std::sync::Arc;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tracing::{debug, error};

use crate::crypto::keyring::{Admission, Holder, Keyring, Ticket};
use crate::model::name::{MAX_NAME, NameRef};
use crate::publisher::{Amended, Author, PublishError, Publisher};

use super::answer::Answer;
use super::ede::Ede;
use super::question::{Echo, Question, Refusal};
use super::tsig::{Seal, Tsig, Unverified, Verified};
use super::{Client, Outcome, Responded, Responder, Source};

use plan::{Plan, Refused};

/// UPDATEs in progress, of all accounts together.
const AT_ONCE: usize = 1_024;

/// Who may sign, and what UPDATEs are handed to; a cheap handle.
#[derive(Clone, Debug)]
pub struct Updates {
    keyring: Keyring,
    publisher: Publisher,
    open_virtual_zones: bool,
    places: Arc<Semaphore>,
    runtime: Handle,
}

impl Updates {
    /// With the keys of `keyring`. `open_virtual_zones`: whether unsigned questions for the SOA of an alias are answered
    /// as well. Wants a tokio runtime around it, in which UPDATEs are carried out.
    pub fn new(keyring: Keyring, publisher: Publisher, open_virtual_zones: bool) -> Self {
        let places = Arc::new(Semaphore::new(AT_ONCE));
        Self { keyring, publisher, open_virtual_zones, places, runtime: Handle::current() }
    }

    /// Whether anybody may send UPDATEs.
    pub(super) fn are_on(&self) -> bool {
        !self.keyring.is_empty()
    }

    /// Whether anybody who asks hears that this name outside of our zones is a zone.
    pub(super) fn is_open_zone(&self, name: NameRef<'_>) -> bool {
        self.open_virtual_zones && self.are_on() && self.publisher.zones().aliases().contains(name)
    }
}

impl Responder {
    /// Answers a message with a TSIG record (RFC 8945 section 5).
    pub(super) fn respond_signed(&self, packet: &[u8], echo: &Echo<'_>, source: Source, out: &mut Vec<u8>) -> Outcome {
        let unsealed = Client { source, seal: None };
        let Ok(Some(tsig)) = Tsig::read(packet) else {
            return self.refuse(echo, ResponseCode::FormErr, None, unsealed, out);
        };
        let holder = self.updates.as_ref().and_then(|updates| updates.keyring.holder(tsig.key_name().as_ref()));
        match (tsig.verify(holder.as_ref().map(|holder| &holder.key), self.clock.commit()), holder) {
            (Ok(verified), Some(holder)) => self.respond_verified(&tsig.stripped(), verified, holder, source, out),
            (Err(Unverified::Rejected(error, seal)), _) => {
                debug!(?error, key = %tsig.key_name(), client = %source.address, "a message's TSIG is not right");
                self.metrics.unverified.one();
                let client = Client { source, seal: Some(&seal) };
                self.refuse(echo, ResponseCode::NotAuth, None, client, out)
            }
            (Err(Unverified::Malformed), _) | (_, None) => {
                self.refuse(echo, ResponseCode::FormErr, None, unsealed, out)
            }
        }
    }

    /// Answers a message that an account has signed; `packet` is it without its TSIG record.
    fn respond_verified(
        &self,
        packet: &[u8],
        verified: Verified,
        holder: Arc<Holder>,
        source: Source,
        out: &mut Vec<u8>,
    ) -> Outcome {
        let client = Client { source, seal: Some(&verified.seal) };
        let mut lower = [0; MAX_NAME];
        let is_allowed = holder.account.allow_from.allows(source.address);
        match Question::read(packet, &mut lower) {
            Ok(question) if !is_allowed => {
                self.refuse(&question.echo, ResponseCode::Refused, Some(Ede::NOT_FROM_THERE), client, out)
            }
            Ok(question) => {
                let is_own =
                    |name: NameRef<'_>| holder.account.aliases.iter().any(|own| own.alias.name().as_ref() == name);
                self.answer(&question, client, is_own, out)
            }
            Err(Refusal::Update(echo)) if !is_allowed => {
                self.refuse(&echo, ResponseCode::Refused, Some(Ede::NOT_FROM_THERE), client, out)
            }
            Err(Refusal::Update(echo)) => self.take(packet, &echo, verified, holder, source, out),
            Err(Refusal::Reply { echo, rcode, ede }) => self.refuse(&echo, rcode, ede, client, out),
            // It was neither, or the record would not have been found.
            Err(Refusal::Drop | Refusal::Signed(_)) => Outcome::Silence,
        }
    }

    /// Takes an UPDATE on, unless it says for itself that it cannot be carried out.
    fn take(
        &self,
        packet: &[u8],
        echo: &Echo<'_>,
        verified: Verified,
        holder: Arc<Holder>,
        source: Source,
        out: &mut Vec<u8>,
    ) -> Outcome {
        let Verified { seal, mac, expires } = verified;
        let client = Client { source, seal: Some(&seal) };
        let Some(updates) = &self.updates else { return Outcome::Silence };
        if echo.edns.is_some_and(|edns| edns.version > 0) {
            return self.refuse(echo, ResponseCode::BADVERS, None, client, out);
        }
        let plan = match Plan::read(packet, &holder.account, &self.zones.load()) {
            Ok(plan) => plan,
            Err(Refused { rcode, ede }) => return self.refuse(echo, rcode, ede, client, out),
        };
        let ticket = match holder.recent.admit(&mac, expires, self.clock.commit()) {
            Admission::New(ticket) => ticket,
            Admission::Done(rcode) => return self.refuse(echo, rcode, None, client, out),
            Admission::Busy => return self.refuse(echo, ResponseCode::ServFail, Some(Ede::BUSY), client, out),
            Admission::InProgress => {
                self.metrics.dropped.one();
                return Outcome::Silence;
            }
        };
        let Ok(place) = updates.places.clone().try_acquire_owned() else {
            return self.refuse(echo, ResponseCode::ServFail, Some(Ede::BUSY), client, out);
        };
        let (responder, question) = (self.clone(), echo.question.to_vec());
        let echo = Echo { question: &[], ..*echo };
        Outcome::Update(Box::new(Update { responder, holder, plan, ticket, seal, echo, question, source, place }))
    }
}

/// An UPDATE that only the disk is left to wait for.
#[derive(Debug)]
pub struct Update {
    responder: Responder,
    holder: Arc<Holder>,
    plan: Plan,
    ticket: Ticket,
    seal: Seal,
    /// Without its question, which is the next field.
    echo: Echo<'static>,
    question: Vec<u8>,
    source: Source,
    place: OwnedSemaphorePermit,
}

impl Update {
    /// Carries it out in a task of its own, and hands `send` the reply.
    ///
    /// A client that goes away does not end it half-way: what became of it must be known when it is sent again.
    pub fn carry_out(self, send: impl FnOnce(&[u8]) + Send + 'static) {
        let runtime = self.updates().map(|updates| updates.runtime.clone());
        let Some(runtime) = runtime else { return };
        runtime.spawn(async move {
            let mut reply = Vec::new();
            self.carry_out_here(&mut reply).await;
            send(&reply);
        });
    }

    /// The same, for who waits for it: appends the reply with its length before it. `None`: there is none, as the daemon
    /// ends.
    pub(super) async fn carried_out(self, out: &mut Vec<u8>) -> Option<Responded> {
        let runtime = self.updates()?.runtime.clone();
        let (tell, told) = oneshot::channel();
        runtime.spawn(async move {
            let mut reply = Vec::new();
            let responded = self.carry_out_here(&mut reply).await;
            // Nobody waits any more where the connection has ended.
            _ = tell.send((responded, reply));
        });
        let (responded, reply) = told.await.ok()?;
        // The encoder keeps to 65,535 bytes.
        out.extend_from_slice(&(reply.len() as u16).to_be_bytes());
        out.extend_from_slice(&reply);
        responded
    }

    fn updates(&self) -> Option<&Updates> {
        self.responder.updates.as_ref()
    }

    async fn carry_out_here(self, out: &mut Vec<u8>) -> Option<Responded> {
        let Self { responder, holder, plan, ticket, seal, echo, question, source, place } = self;
        let Plan { conditions, unmet, changes } = plan;
        let (username, count) = (holder.account.username, changes.len());
        let publisher = &responder.updates.as_ref()?.publisher;
        let amended = publisher.amend(Author::Account(username), conditions, changes).await;
        let Refused { rcode, ede } = said(amended, &unmet);
        debug!(%username, changes = count, ?rcode, client = %source.address, "an UPDATE was carried out");
        if rcode != ResponseCode::ServFail {
            ticket.done(rcode);
        }
        drop(place);
        let echo = Echo { question: &question, ..echo };
        let client = Client { source, seal: Some(&seal) };
        responder.reply(&echo, RecordType::ZERO, &Answer { ede, ..Answer::bare(rcode) }, client, out)
    }
}

/// What a reply says of what has become of an UPDATE.
fn said(amended: Result<Amended, PublishError>, unmet: &[ResponseCode]) -> Refused {
    let (rcode, ede) = match amended {
        Ok(Amended::Done) => (ResponseCode::NoError, None),
        Ok(Amended::Unmet(index)) => (unmet.get(index).copied().unwrap_or(ResponseCode::NXRRSet), None),
        Err(PublishError::NoZone(_)) => (ResponseCode::NotAuth, None),
        Err(PublishError::Store(error)) => {
            error!("an UPDATE failed: {error}");
            (ResponseCode::ServFail, Some(if error.is_passing() { Ede::BUSY } else { Ede::FAULT }))
        }
        Err(PublishError::TooManyLabels(_)) => (ResponseCode::Refused, Some(Ede::TOO_MANY_LABELS)),
        Err(_) => (ResponseCode::Refused, Some(Ede::NOT_AN_OWN_NAME)),
    };
    Refused { rcode, ede }
}
