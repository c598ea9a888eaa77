//! DNS UPDATE (RFC 2136), signed by the TSIG key of an account.
//!
//! The listener's thread verifies the signature and reads the sections, which costs a look-up in memory and an HMAC. A
//! valid UPDATE then waits for the disk in a task of its own, which also sends the reply. So no UPDATE holds up a
//! listener.

mod plan;
mod refusal;
mod sections;
mod zone;

use std::sync::Arc;

use hickory_proto::op::ResponseCode;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tracing::debug;

use crate::crypto::keyring::{Admission, Keyring, Ticket, TsigHolder};
use crate::model::actor::{Actor, FrontEnd, KeyUsed};
use crate::model::name::{Name, NameRef};
use crate::publisher::{Abort, Publisher};
use crate::zone::Zone;

use super::answer::Answer;
use super::error_reply::ErrorReply;
use super::question::Echo;
use super::reply::{Received, ReplyWriter, WrittenReply};
use super::source::MessageSource;
use super::tsig::{ReplyTsig, VerifiedRequest};

use plan::UpdatePlan;
use refusal::UpdateRefusal;

pub use sections::updated_names;

/// UPDATEs in progress, of all accounts together.
const MAX_IN_PROGRESS: usize = 1_024;

/// Accepts the UPDATEs of accounts; a cheap handle.
#[derive(Clone, Debug)]
pub struct Updates {
    keyring: Keyring,
    publisher: Publisher,
    open_virtual_zones: bool,
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
        Self { keyring, publisher, open_virtual_zones, permits, runtime: Handle::current() }
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
        if echo.edns.is_some_and(|edns| edns.version > 0) {
            return Err(NotAccepted::Refused(ResponseCode::BADVERS.into()));
        }
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

    async fn run(self, out: &mut Vec<u8>) -> Option<WrittenReply> {
        let Self { replies, publisher, holder, plan, ticket, tsig, echo, question, source, updated, permit, .. } = self;
        let UpdatePlan { plan, unmet } = plan;
        let username = holder.account.username;
        let count = plan.edits.len();
        let actor = Actor::account(username, FrontEnd::Update, source.address, KeyUsed::Tsig);
        let answer = match publisher.amend(actor, plan).await {
            Ok(_) => Answer::bare(ResponseCode::NoError),
            Err(Abort::Refused(rule)) => Answer::refused(UpdateRefusal::of_rule(&rule, &unmet).into()),
            Err(Abort::Store(error)) => Answer::refused(UpdateRefusal::of_store(&error).into()),
        };
        let rcode = answer.rcode;
        debug!(%username, changes = count, ?rcode, client = %source.address, "an UPDATE was carried out");
        if rcode != ResponseCode::ServFail {
            ticket.done(rcode);
        }
        drop(permit);
        let echo = Echo { question: &question, ..echo };
        let received = Received { source, echo: &echo, tsig: Some(&tsig), updated: &updated };
        replies.reply(received, &answer, out)
    }
}
