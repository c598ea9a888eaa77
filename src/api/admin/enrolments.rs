//! `/enrolments`: tokens that let others register.

use std::time::Duration;

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;

use crate::model::actor::Actor;
use crate::model::enrolment::{Enrolment, EnrolmentId, MAX_LABELS, Over, Terms};
use crate::model::secret::SecretHash;
use crate::model::time::Moment;
use crate::publisher::Publisher;

use super::super::blocking::read;
use super::super::error::Failure;
use super::super::json_body::JsonBody;
use super::super::reply;
use super::super::types::enrolments::{
    CreateEnrolment, CreatedEnrolment, EnrolmentState, EnrolmentView, RevokedEnrolment,
};
use super::super::types::list::List;
use super::super::types::revealed::RevealedSecret;
use super::token_lifetime;

/// The registrations that a token pays for by default.
const USES: u32 = 1;
/// How long a token is valid by default.
const LIFETIME: Duration = Duration::from_secs(7 * 86_400);

/// Creates a token, and shows it once.
pub async fn create(
    State(publisher): State<Publisher>,
    Extension(actor): Extension<Actor>,
    JsonBody(request): JsonBody<CreateEnrolment>,
) -> Result<Response, Failure> {
    let lifetime = token_lifetime::of_request(request.lifetime, LIFETIME)?;
    if request.labels.len() > MAX_LABELS {
        let message = format!("at most {MAX_LABELS} labels; found {}", request.labels.len());
        return Err(Failure::field("bad_labels", "labels", message));
    }
    let terms = Terms {
        uses: request.uses.unwrap_or(USES),
        expires: publisher.moment().running.plus(lifetime),
        allow_from: request.allowfrom.unwrap_or_default(),
        labels: request.labels,
        note: request.note.unwrap_or_default(),
    };
    let (token, hash) = SecretHash::random()?;
    let enrolment = publisher.enrol(actor, hash, terms).await?;
    let enrolment = EnrolmentView::of(&enrolment, publisher.moment());
    Ok(reply::json(StatusCode::CREATED, &CreatedEnrolment { enrolment, token: RevealedSecret::new(token) }))
}

/// Lists all tokens without their secrets, of which the store has only hashes.
pub async fn list(State(publisher): State<Publisher>) -> Result<Response, Failure> {
    let enrolments = read(&publisher, Publisher::enrolments).await?;
    let now = publisher.moment();
    let views: Vec<_> = enrolments.iter().map(|enrolment| EnrolmentView::of(enrolment, now)).collect();
    Ok(reply::json(StatusCode::OK, &List::whole(views)))
}

/// Revokes a token. Accounts that were registered with it stay.
pub async fn revoke(
    State(publisher): State<Publisher>,
    Extension(actor): Extension<Actor>,
    Path(id): Path<String>,
) -> Result<Response, Failure> {
    let Ok(id) = id.parse::<EnrolmentId>() else { return Err(unknown()) };
    if !publisher.revoke(actor, id).await? {
        return Err(unknown());
    }
    Ok(reply::json(StatusCode::OK, &RevokedEnrolment { revoked: id }))
}

fn unknown() -> Failure {
    Failure::NotFound("there is no enrolment token with this id; `txtgate enrol list` shows all tokens".into())
}

impl EnrolmentView {
    fn of(enrolment: &Enrolment, now: Moment) -> Self {
        let Enrolment { id, terms, used, created } = enrolment;
        Self {
            id: *id,
            note: terms.note.clone(),
            uses: terms.uses,
            used: *used,
            expires: now.date_of(terms.expires).to_string(),
            allowfrom: terms.allow_from.clone(),
            labels: terms.labels.clone(),
            created: created.to_string(),
            state: match enrolment.over(now.running) {
                None => EnrolmentState::Valid,
                Some(Over::UsedUp) => EnrolmentState::UsedUp,
                Some(Over::Expired) => EnrolmentState::Expired,
                Some(Over::Revoked) => EnrolmentState::Revoked,
            },
        }
    }
}
