//! `/admin-tokens`: tokens for the admin API over the network.

use std::time::Duration;

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;

use crate::model::actor::Actor;
use crate::model::admin_token::{AdminToken, AdminTokenId, AdminTokenTerms};
use crate::model::secret::SecretHash;
use crate::model::time::Moment;
use crate::publisher::Publisher;

use super::super::blocking::read;
use super::super::error::Failure;
use super::super::json_body::JsonBody;
use super::super::reply;
use super::super::types::admin_tokens::{
    AdminTokenState, AdminTokenView, CreateAdminToken, CreatedAdminToken, RevokedAdminToken,
};
use super::super::types::list::List;
use super::super::types::revealed::RevealedSecret;
use super::token_lifetime;

/// How long a token is valid by default.
const LIFETIME: Duration = Duration::from_secs(30 * 86_400);

/// Creates a token, and shows it once.
pub async fn create(
    State(publisher): State<Publisher>,
    Extension(actor): Extension<Actor>,
    JsonBody(request): JsonBody<CreateAdminToken>,
) -> Result<Response, Failure> {
    let lifetime = token_lifetime::of_request(request.lifetime, LIFETIME)?;
    let terms = AdminTokenTerms {
        scope: request.scope,
        expires: publisher.moment().running.plus(lifetime),
        allow_from: request.allowfrom.unwrap_or_default(),
        note: request.note.unwrap_or_default(),
    };
    let (secret, hash) = SecretHash::random()?;
    let token = publisher.create_admin_token(actor, hash, terms).await?;
    let details = AdminTokenView::of(&token, publisher.moment());
    Ok(reply::json(StatusCode::CREATED, &CreatedAdminToken { details, token: RevealedSecret::new(secret) }))
}

/// Lists all tokens without their secrets, of which the store has only hashes.
pub async fn list(State(publisher): State<Publisher>) -> Result<Response, Failure> {
    let tokens = read(&publisher, Publisher::admin_tokens).await?;
    let now = publisher.moment();
    let views: Vec<_> = tokens.iter().map(|token| AdminTokenView::of(token, now)).collect();
    Ok(reply::json(StatusCode::OK, &List::whole(views)))
}

/// Revokes a token; its next request is refused.
pub async fn revoke(
    State(publisher): State<Publisher>,
    Extension(actor): Extension<Actor>,
    Path(id): Path<String>,
) -> Result<Response, Failure> {
    let Ok(id) = id.parse::<AdminTokenId>() else { return Err(unknown()) };
    if !publisher.revoke_admin_token(actor, id).await? {
        return Err(unknown());
    }
    Ok(reply::json(StatusCode::OK, &RevokedAdminToken { revoked: id }))
}

fn unknown() -> Failure {
    Failure::NotFound("there is no admin token with this id; `txtgate admin token list` shows all tokens".into())
}

impl AdminTokenView {
    fn of(token: &AdminToken, now: Moment) -> Self {
        let AdminToken { id, terms, created } = token;
        Self {
            id: *id,
            scope: terms.scope,
            expires: now.date_of(terms.expires).to_string(),
            allowfrom: terms.allow_from.clone(),
            note: terms.note.clone(),
            created: created.to_string(),
            state: if token.is_expired(now.running) { AdminTokenState::Expired } else { AdminTokenState::Valid },
        }
    }
}
