//! DNS UPDATE (RFC 2136), signed by the TSIG key of an account.
//!
//! The listener's thread verifies the signature and reads the sections, which costs a look-up in memory and an HMAC. A
//! valid UPDATE then waits for the disk in a task of its own, which also sends the reply. So no UPDATE holds up a
//! listener. If the configuration says so, the reply also waits until every nameserver serves the values.

mod plan;
mod refusal;
mod sections;
mod wait;
mod zone;

use std::sync::Arc;

use hickory_proto::op::ResponseCode;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tracing::debug;

use crate::crypto::keyring::{Admission, Keyring, Ticket, TsigHolder};
use crate::crypto::tsig_record::{ReplyTsig, VerifiedRequest};
use crate::delegation::propagation::Propagation;
use crate::model::actor::{Actor, FrontEnd, KeyUsed};
use crate::model::name::{Name, NameRef};
use crate::publisher::Publisher;
use crate::zone::Zone;

use super::answer::Answer;
use super::echo::Echo;
use super::error_reply::ErrorReply;
use super::reply::{Received, ReplyWriter, WrittenReply};
use super::source::MessageSource;

use plan::UpdatePlan;
use refusal::{UpdateFailure, UpdateRefusal};
use wait::UpdateWait;

pub use sections::updated_names;

/// UPDATEs in progress, of all accounts together.
const MAX_IN_PROGRESS: usize = 1_024;

/// Accepts the UPDATEs of accounts; a cheap handle.
#[derive(Clone, Debug)]
pub struct Updates {
    keyring: Keyring,
    publisher: Publisher,
    open_virtual_zones: bool,
    propagation: Option<Propagation>,
    permits: Arc<Semaphore>,
    runtime: Handle,
}

/// Why an UPDATE is not accepted.
#[derive(Debug)]
pub enum NotAccepted {
    /// The UPDATE is refused, or was carried out before and gets the same reply again.
    Refused(ErrorReply),
    /// The same message is in progress, and its sender gets one reply.
    InProgress,
}

impl From<UpdateRefusal> for NotAccepted {
    fn from(refusal: UpdateRefusal) -> Self {
        Self::Refused(refusal.into())
    }
}

impl Updates {
    /// Accepts UPDATEs that are signed with the keys of `keyring`, and carries them out with `publisher`. Must be called
    /// within a tokio runtime. `open_virtual_zones`: whether unsigned questions for the SOA of an alias are answered too.
    pub fn new(keyring: Keyring, publisher: Publisher, open_virtual_zones: bool) -> Self {
        let permits = Arc::new(Semaphore::new(MAX_IN_PROGRESS));
        Self { keyring, publisher, open_virtual_zones, propagation: None, permits, runtime: Handle::current() }
    }

    /// Replies to an UPDATE only when every nameserver of the delegation serves its values.
    pub fn waiting_for(self, propagation: Propagation) -> Self {
        Self { propagation: Some(propagation), ..self }
    }

    /// Whether any account has a key.
    pub fn are_on(&self) -> bool {
        !self.keyring.is_empty()
    }

    /// The account whose key has this name.
    pub fn holder(&self, key_name: &Name) -> Option<Arc<TsigHolder>> {
        self.keyring.holder(key_name.as_ref())
    }

    /// Whether clients without a signature see this name outside the zones as a zone.
    pub fn is_open_zone(&self, name: NameRef<'_>) -> bool {
        self.open_virtual_zones && self.are_on() && self.publisher.zones().aliases().contains(name)
    }

    /// Accepts an UPDATE, unless its sections show that it cannot be carried out. `message` is the UPDATE without its TSIG
    /// record.
    pub fn accept(
        &self,
        message: &[u8],
        received: Received<'_>,
        verified: &VerifiedRequest,
        holder: &Arc<TsigHolder>,
        zones: &[Zone],
        replies: &ReplyWriter,
    ) -> Result<Box<PendingUpdate>, NotAccepted> {
        let echo = received.echo;
        let plan = UpdatePlan::read(message, &holder.account, zones)?;
        let ticket = match holder.recent.admit(&verified.mac, verified.expires, replies.clock.commit()) {
            Admission::New(ticket) => ticket,
            Admission::Done(rcode) => return Err(NotAccepted::Refused(rcode.into())),
            Admission::Busy => return Err(UpdateRefusal::AccountBusy.into()),
            Admission::InProgress => return Err(NotAccepted::InProgress),
        };
        let permit = self.permits.clone().try_acquire_owned().map_err(|_| UpdateRefusal::ServerBusy)?;
        Ok(Box::new(PendingUpdate {
            replies: replies.clone(),
            publisher: self.publisher.clone(),
            propagation: self.propagation.clone(),
            runtime: self.runtime.clone(),
            holder: holder.clone(),
            plan,
            ticket,
            tsig: verified.reply.clone(),
            echo: Echo { question: &[], ..*echo },
            question: echo.question.to_vec(),
            source: received.source,
            updated: received.updated.to_vec(),
            permit,
        }))
    }
}

/// An UPDATE that waits for the disk.
#[derive(Debug)]
pub struct PendingUpdate {
    replies: ReplyWriter,
    publisher: Publisher,
    propagation: Option<Propagation>,
    runtime: Handle,
    holder: Arc<TsigHolder>,
    plan: UpdatePlan,
    ticket: Ticket,
    tsig: ReplyTsig,
    /// The echo without its question, which is the next field.
    echo: Echo<'static>,
    question: Vec<u8>,
    source: MessageSource,
    updated: Vec<Name>,
    permit: OwnedSemaphorePermit,
}

impl PendingUpdate {
    /// Carries the UPDATE out in a task of its own, and calls `send` with the reply.
    ///
    /// The task goes on when the client disconnects, because a retry of the same message must find its result.
    pub fn carry_out(self, send: impl FnOnce(&[u8]) + Send + 'static) {
        self.runtime.clone().spawn(async move {
            let mut reply = Vec::new();
            if self.run(&mut reply).await.is_some() {
                send(&reply);
            }
        });
    }

    /// Carries the UPDATE out, waits for it, and appends the reply preceded by its length. `None` if there is no reply.
    pub(super) async fn carried_out(self, out: &mut Vec<u8>) -> Option<WrittenReply> {
        let (sender, receiver) = oneshot::channel();
        self.runtime.clone().spawn(async move {
            let mut reply = Vec::new();
            let responded = self.run(&mut reply).await;
            // An error means that the connection has ended.
            _ = sender.send((responded, reply));
        });
        let (responded, reply) = receiver.await.ok()?;
        let responded = responded?;
        // The encoder writes at most 65,535 bytes.
        out.extend_from_slice(&(reply.len() as u16).to_be_bytes());
        out.extend_from_slice(&reply);
        Some(responded)
    }

    async fn run(mut self, out: &mut Vec<u8>) -> Option<WrittenReply> {
        let publisher = self.publisher.clone();
        let wait = self.propagation.take().and_then(|propagation| UpdateWait::of(propagation, &self.plan.plan.edits));
        let plan = std::mem::take(&mut self.plan.plan);
        let username = self.holder.account.username;
        let actor = Actor::account(username, FrontEnd::Update, self.source.address, KeyUsed::Tsig);
        let carried_out = async move {
            // Before anything is changed, so that a refusal leaves nothing behind.
            let permit = wait.as_ref().map(|wait| wait.permit(username)).transpose()?;
            publisher.amend(actor, plan).await?;
            match (wait, permit) {
                (Some(wait), Some(permit)) => wait.until_served(permit).await,
                _ => Ok(()),
            }
        };
        self.reply_after(carried_out, out).await
    }

    /// Replies with what `carried_out` comes to. It runs in a task of its own, so that a panic in it becomes a reply as well.
    async fn reply_after<F>(self, carried_out: F, out: &mut Vec<u8>) -> Option<WrittenReply>
    where
        F: Future<Output = Result<(), UpdateFailure>> + Send + 'static,
    {
        let Self { replies, holder, plan, ticket, tsig, echo, question, source, updated, permit, runtime, .. } = self;
        let answer = match runtime.spawn(carried_out).await {
            Ok(Ok(())) => Answer::bare(ResponseCode::NoError),
            Ok(Err(failure)) => Answer::refused(UpdateRefusal::of_failure(&failure, &plan.unmet).into()),
            Err(error) => Answer::refused(UpdateRefusal::of_panic(&error).into()),
        };
        let username = holder.account.username;
        let rcode = answer.rcode;
        debug!(%username, rcode = u16::from(rcode), client = %source.address, "an UPDATE was carried out");
        if rcode != ResponseCode::ServFail {
            ticket.done(rcode);
        }
        drop(permit);
        let echo = Echo { question: &question, ..echo };
        let received = Received { source, echo: &echo, tsig: Some(&tsig), updated: &updated };
        let start = out.len();
        let responded = replies.reply(received, &answer, out);
        if let Some(tap) = &replies.tap
            && responded.is_some()
        {
            tap.response(&out[start..], source, None);
        }
        responded
    }
}

#[cfg(test)]
impl PendingUpdate {
    /// The reply where the work panics.
    pub(super) async fn reply_after_panic(self) -> Vec<u8> {
        let mut out = Vec::new();
        self.reply_after(async { panic!("on purpose") }, &mut out).await.expect("a reply");
        out
    }
}
