//! `/enrolments`: tokens with which others may register.

use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use crate::model::enrolment::{Enrolment, EnrolmentId, Over, Terms};
use crate::model::secret::SecretHash;
use crate::model::time::Timestamp;
use crate::publisher::Publisher;

use super::super::account::read;
use super::super::fields::Fields;
use super::super::reply;
use super::Failure;

/// How often and for how long a token is good where nothing is told.
const USES: u32 = 1;
const LIFETIME: Duration = Duration::from_secs(7 * 86_400);
/// The longest.
const MAX_LIFETIME: Duration = Duration::from_secs(400 * 86_400);

/// Makes a token, and shows it this once.
pub async fn create(State(publisher): State<Publisher>, fields: Fields) -> Result<Response, Failure> {
    let lifetime = fields.lifetime()?.unwrap_or(LIFETIME);
    if lifetime.is_zero() || lifetime > MAX_LIFETIME {
        return Err(Failure::field("bad_lifetime", "lifetime", "write from 1s to 400d"));
    }
    let terms = Terms {
        uses: fields.uses()?.unwrap_or(USES),
        expires: publisher.now().plus(lifetime),
        allow_from: fields.allow_from()?.unwrap_or_default(),
        labels: fields.labels()?,
        note: fields.note()?.unwrap_or_default(),
    };
    let (token, hash) = SecretHash::random()?;
    let enrolment = publisher.enrol(hash, terms).await?;
    let mut shown = view(&enrolment, publisher.now());
    shown["token"] = token.into();
    Ok(reply::json(StatusCode::CREATED, &shown))
}

/// All tokens, without the tokens themselves: only their hashes are kept.
pub async fn list(State(publisher): State<Publisher>) -> Result<Response, Failure> {
    let enrolments = read(&publisher, Publisher::enrolments).await?;
    let views: Vec<Value> = enrolments.iter().map(|enrolment| view(enrolment, publisher.now())).collect();
    Ok(reply::json(StatusCode::OK, &json!({ "enrolments": views })))
}

/// Revokes a token. The accounts that were registered with it stay.
pub async fn revoke(State(publisher): State<Publisher>, Path(id): Path<String>) -> Result<Response, Failure> {
    let none = || Failure::NotFound("there is no enrolment token with this id; see the list".into());
    let id: EnrolmentId = id.parse().map_err(|_| none())?;
    if !publisher.revoke(id).await? {
        return Err(none());
    }
    Ok(reply::json(StatusCode::OK, &json!({ "revoked": id })))
}

fn view(enrolment: &Enrolment, now: Timestamp) -> Value {
    let Enrolment { id, terms, used, created } = enrolment;
    json!({
        "id": id,
        "note": terms.note,
        "uses": terms.uses,
        "used": used,
        "expires": terms.expires.to_string(),
        "allowfrom": terms.allow_from,
        "labels": terms.labels,
        "created": created.to_string(),
        "state": match enrolment.over(now) {
            None => "valid",
            Some(Over::UsedUp) => "used up",
            Some(Over::Expired) => "expired",
            Some(Over::Revoked) => "revoked",
        },
    })
}
