//! Enrolment tokens wherever a registration secret is taken.

use std::time::Duration;

use super::registration::{SECRET, basic, secret_site};
use super::*;
use crate::model::account::{AllowFrom, Note};
use crate::model::actor::Actor;
use crate::model::enrolment::{EnrolmentId, Terms};
use crate::model::secret::SecretHash;

const CLOSED: &str = "registration = \"closed\"";

/// Makes a token with other terms than the usual: one use, an hour, from anywhere, random labels.
pub async fn token(site: &Site, alter: impl FnOnce(&mut Terms)) -> (String, EnrolmentId) {
    let expires = site.fixture.publisher.moment().running.plus(Duration::from_secs(3_600));
    let (allow_from, note) = (AllowFrom::default(), Note::default());
    let mut terms = Terms { uses: 1, expires, allow_from, labels: Vec::new(), note };
    alter(&mut terms);
    let (token, hash) = SecretHash::random().unwrap();
    (token, site.fixture.publisher.enrol(Actor::OPERATOR, hash, terms).await.unwrap().id)
}

fn labels(terms: &mut Terms, labels: &[&str]) {
    terms.labels = labels.iter().map(|label| label.parse().unwrap()).collect();
}

async fn register(site: &Site, token: &str, body: &str) -> Reply {
    site.ask("POST /register", &basic(&format!("u:{token}")), body).await
}

#[tokio::test]
async fn a_token_registers_wherever_a_secret_does_and_so_often_as_it_says() {
    for site in [secret_site().await, Site::new(CLOSED).await] {
        let (token, _) = token(&site, |terms| terms.uses = 3).await;
        assert_eq!(register(&site, &token, "").await.status, 201);
        assert_eq!(site.ask(&format!("POST /base/{token}/register"), "", "null\n").await.status, 201);
        let bearer = format!("Authorization: Bearer {token}\r\n");
        assert_eq!(site.ask("POST /register", &bearer, "{}").await.status, 201);
        let over = site.ask("POST /register", &bearer, "{}").await;
        over.is_failure(401, "forbidden");
        assert!(over.body.contains("as often as it may"), "{over:?}");
        assert_eq!(site.fixture.publisher.enrolments().unwrap()[0].used, 3);
    }
}

#[tokio::test]
async fn twenty_that_race_for_a_token_of_one_use_get_one_account() {
    let site = Site::new(CLOSED).await;
    let (token, _) = token(&site, |_| {}).await;
    let mut replies = Vec::new();
    let racers: Vec<_> = (0..20).map(|_| register(&site, &token, "")).collect();
    futures(racers, |reply| replies.push(reply)).await;
    let made = replies.iter().filter(|reply| reply.status == 201).count();
    assert_eq!((made, replies.len()), (1, 20), "{replies:?}");
    replies.iter().filter(|reply| reply.status != 201).for_each(|reply| reply.is_failure(401, "forbidden"));
    let counts = site.fixture.publisher.store().read(|rows| rows.counts()).unwrap();
    assert_eq!((counts.accounts, site.fixture.publisher.enrolments().unwrap()[0].used), (1, 1));
}

/// Polls all of them at once on one task, and hands each result over as it comes.
async fn futures<F: Future>(futures: Vec<F>, mut done: impl FnMut(F::Output)) {
    let mut pending: Vec<_> = futures.into_iter().map(Box::pin).collect();
    std::future::poll_fn(|context| {
        pending.retain_mut(|future| match future.as_mut().poll(context) {
            std::task::Poll::Ready(output) => {
                done(output);
                false
            }
            std::task::Poll::Pending => true,
        });
        if pending.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
}

#[tokio::test]
async fn a_refused_registration_uses_nothing_up() {
    let site = secret_site().await;
    let (token, _) = token(&site, |terms| labels(terms, &["shop"])).await;
    for (body, code) in [
        (r#"{"subdomain":"other"}"#, "bad_subdomain"),
        (r#"{"zone":"x.test"}"#, "bad_zone"),
        (r#"{"allowfrom":["x"]}"#, "invalid_allowfrom_cidr"),
        ("[", "malformed_json_payload"),
    ] {
        register(&site, &token, body).await.is_failure(400, code);
    }
    assert_eq!(register(&site, &token, r#"{"subdomain":"Shop"}"#).await.json()["fulldomain"], "shop.auth.test");
}

#[tokio::test]
async fn a_token_gives_the_labels_that_it_names_and_no_others() {
    let site = Site::new(CLOSED).await;
    let (some, _) = token(&site, |terms| {
        terms.uses = 9;
        labels(terms, &["shop", "web", "mail", "db-*"]);
    })
    .await;
    // Clients that cannot choose get the first that is free.
    for label in ["shop.auth.test", "web.auth.test"] {
        assert_eq!(register(&site, &some, "null\n").await.json()["fulldomain"], label);
    }
    // `mail` is nobody's to have.
    let none_left = register(&site, &some, "").await;
    none_left.is_failure(400, "bad_subdomain");
    assert!(none_left.body.contains("every subdomain that the enrolment token names"), "{none_left:?}");
    register(&site, &some, r#"{"subdomain":"shop"}"#).await.is_failure(409, "subdomain_taken");
    assert_eq!(register(&site, &some, r#"{"subdomain":"db-1"}"#).await.json()["fulldomain"], "db-1.auth.test");
    assert_eq!(register(&site, &some, r#"{"zone":"second.test"}"#).await.json()["fulldomain"], "shop.second.test");
    register(&site, &some, r#"{"subdomain":"x"}"#).await.is_failure(400, "bad_subdomain");
    let (random, _) = token(&site, |_| {}).await;
    register(&site, &random, r#"{"subdomain":"x"}"#).await.is_failure(400, "bad_subdomain");
    assert_eq!(register(&site, &random, "").await.json()["subdomain"].as_str().unwrap().len(), 36);
    let used: Vec<u32> = site.fixture.publisher.enrolments().unwrap().iter().map(|enrolment| enrolment.used).collect();
    assert_eq!(used, [4, 1]);
}

#[tokio::test]
async fn a_token_ends_by_time_by_place_and_by_being_revoked() {
    let site = Site::new(CLOSED).await;
    let (expired, _) = token(&site, |terms| terms.expires = crate::model::time::RunningTime::START).await;
    let (elsewhere, _) = token(&site, |terms| terms.allow_from = AllowFrom::parse(&["192.0.2.0/24"]).unwrap()).await;
    for (token, why) in [(&expired, "expired"), (&elsewhere, "from this address")] {
        let reply = register(&site, token, "").await;
        reply.is_failure(401, "forbidden");
        assert!(reply.body.contains(why), "{reply:?}");
    }
    let (revoked, id) = token(&site, |_| {}).await;
    assert!(
        site.fixture.publisher.revoke(Actor::OPERATOR, id).await.unwrap()
            && !site.fixture.publisher.revoke(Actor::OPERATOR, id).await.unwrap()
    );
    // As if it had never been.
    register(&site, &revoked, "").await.is_failure(404, "not_found");
    let secret = secret_site().await;
    let reply = register(&secret, &revoked, "").await;
    assert!(reply.status == 401 && reply.body.contains("secret is wrong"), "{reply:?}");
    assert_eq!(register(&secret, SECRET, "").await.status, 201);
}

#[tokio::test]
async fn guessing_tokens_slows_down() {
    let site = Site::new(CLOSED).await;
    let (token, _) = token(&site, |_| {}).await;
    for attempt in 0..10 {
        register(&site, &format!("a-wrong-token-of-some-length-{attempt}"), "").await.is_failure(404, "not_found");
    }
    register(&site, &token, "").await.is_failure(429, "too_many_requests");
    assert_eq!(site.fixture.hashes(), 0);
}

#[tokio::test]
async fn a_subdomain_uses_a_token_too() {
    let site = Site::new(CLOSED).await;
    let (token, _) = token(&site, |terms| terms.uses = 2).await;
    let account = Registered(register(&site, &token, "").await.json());
    let headers = format!("{}{}", account.headers(), basic(&format!("u:{token}")));
    assert_eq!(site.ask("POST /v1/subdomains", &headers, "").await.status, 201);
    site.ask("POST /v1/subdomains", &headers, "").await.is_failure(401, "forbidden");
}
