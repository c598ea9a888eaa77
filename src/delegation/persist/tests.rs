use hickory_proto::rr::RData;
use hickory_proto::rr::rdata::TXT;

use crate::net::dns_client::tests::Resolver;

use super::*;

fn requirement(lifetime: Option<u64>) -> PersistRequirement {
    PersistRequirement {
        issuers: vec!["ca.test".into(), "other.ca.test".into()],
        account: "https://ca.test/acct/1".parse().unwrap(),
        hash: None,
        lifetime: lifetime.map(Duration::from_secs),
    }
}

fn domain() -> Name {
    "example.com".parse().unwrap()
}

/// What is read of a record at `_validation-persist.example.com`.
fn read(
    requirement: &PersistRequirement,
    text: &str,
    is_wildcard: bool,
    accepts_former_key: bool,
) -> Result<String, String> {
    let base = domain();
    let looked_at = base.child("_validation-persist").unwrap();
    let query = PersistQuery { base: &base, looked_at: &looked_at, is_wildcard, accepts_former_key };
    requirement.read(text.as_bytes(), query, Timestamp::from_unix(1_000)).map(|value| value.to_string())
}

/// The example of draft-ietf-acme-dns-persist-02 section 10.2.
#[test]
fn a_hashed_name_binds_account_key_and_domain() {
    let prefix = "https://ca.example/account-hash/";
    let thumbprint = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs".into();
    let hashing = PersistRequirement {
        issuers: vec!["authority.example".into()],
        account: "https://ca.example/acct/123".parse().unwrap(),
        hash: Some(AccountHash { prefix: prefix.into(), thumbprint }),
        lifetime: None,
    };
    let record = |hash: &str| format!("authority.example; accounturi={prefix}sha-256/{hash}");
    let right = record("5SQm7n6tPh2-PlLbCKGnViTXX5z19SCN4cPGQHSk-kw");
    assert_eq!(hashing.value(&domain(), false, Timestamp::from_unix(1)).unwrap().as_str(), right);
    let any_domain = record("NpDnSwUthQK8zCgFdefYxAdAVPnygMLbs9US6oO-5ug");
    for (text, trusting, is_right) in [
        (&right, false, true),
        (&any_domain, false, true),
        (&record(&"x".repeat(43)), false, false),
        (&record(&"x".repeat(43)), true, true),
        (&"authority.example; accounturi=https://ca.example/acct/123".to_owned(), true, false),
    ] {
        assert_eq!(read(&hashing, text, false, trusting).is_ok(), is_right, "{text} {trusting}");
    }
}

#[test]
fn a_value_says_what_is_wanted_and_no_more() {
    let now = Timestamp::from_unix(1_000);
    let value = |wildcard, lifetime| requirement(lifetime).value(&domain(), wildcard, now).unwrap().to_string();
    assert_eq!(value(false, None), "ca.test; accounturi=https://ca.test/acct/1");
    let all = "ca.test; accounturi=https://ca.test/acct/1; policy=wildcard; persistUntil=1060";
    assert_eq!(value(true, Some(60)), all);
    let nobody = requirement(None).with_issuers(&[]);
    assert_eq!(nobody.value(&domain(), false, now), Err(PersistRequirementError::NoIssuer));
    let odd = requirement(None).with_issuers(&["CA.test".into()]);
    assert!(matches!(odd.value(&domain(), false, now), Err(PersistRequirementError::Value(_))));
}

#[test]
fn a_record_is_right_or_it_is_said_what_is_wrong() {
    let read = |text: &str, wildcard| read(&requirement(None), text, wildcard, true);
    let plain = "other.ca.test; accounturi=https://ca.test/acct/1";
    let more = "; policy=Wildcard; persistUntil=1001";
    assert_eq!(read(plain, false).as_deref(), Ok(plain));
    assert!(read(&format!("{plain}{more}"), true).is_ok());
    for (text, what) in [
        (plain.to_owned(), "has no policy=wildcard"),
        (format!("{plain}; policy=wildcard;"), "is malformed (nothing may be empty"),
        ("x.test; accounturi=https://ca.test/acct/1".into(), "is for another CA"),
        ("ca.test; accounturi=https://ca.test/acct/10".into(), "is for another account"),
        (format!("{plain}; policy=wildcard; persistUntil=1000"), "has expired by its persistUntil"),
        ("1".repeat(43), "is malformed"),
    ] {
        let said = read(&text, true).unwrap_err();
        assert!(said.starts_with("its TXT \"") && said.contains(what), "{text}: {said}");
    }
}

#[test]
fn what_one_covers_it_may_replace() {
    let text = |more: &str| format!("ca.test; accounturi=urn:1{more}").parse::<PersistValue>().unwrap();
    let all = ["; policy=wildcard", "", "; policy=wildcard; persistUntil=9", "; persistUntil=9", "; persistUntil=8"];
    let expected = [
        [true, true, true, true, true],
        [false, true, false, true, true],
        [false, false, true, true, true],
        [false, false, false, true, true],
        [false, false, false, false, true],
    ];
    let found = all.map(|one| all.map(|other| covers(&text(one), &text(other))));
    assert_eq!(found, expected);
    assert!(!covers(&text(""), &"ca.test; accounturi=urn:2".parse().unwrap()));
    assert!(!covers(&text(""), &"ca2.test; accounturi=urn:1".parse().unwrap()));
}

#[test]
fn long_texts_are_cut_as_zone_files_want_them() {
    assert_eq!(quoted(r#"a "b" \c"#), r#""a \"b\" \\c""#);
    let cut = quoted(&"x".repeat(300));
    assert_eq!(cut, format!("\"{}\" \"{}\"", "x".repeat(255), "x".repeat(45)));
}

/// A resolver that fails does not show that there is no record.
#[tokio::test]
async fn a_record_that_cannot_be_looked_up_is_unknown_and_not_missing() {
    let resolver = Resolver::start().await;
    let base = domain();
    let looked_at = base.child("_validation-persist").unwrap();
    let query = PersistQuery { base: &base, looked_at: &looked_at, is_wildcard: false, accepts_former_key: false };
    let check = async || {
        let requirement = requirement(None);
        requirement.check(&Lookups::Recursive(resolver.client()), query, Timestamp::from_unix(1_000)).await.unwrap()
    };
    let missing = check().await;
    assert!(missing.value.is_none() && missing.finding.is_fault(), "{missing:?}");
    let record = "ca.test; accounturi=https://ca.test/acct/1";
    assert_eq!(missing.finding.needed.unwrap().txt, Some(format!("\"{record}\"")));
    resolver.tell("_validation-persist.example.com.", &[RData::TXT(TXT::new(vec![record.into()]))]);
    let found = check().await;
    assert_eq!((found.value.unwrap().as_str(), found.finding.assessment), (record, Assessment::Good));
    resolver.fail();
    let unknown = check().await;
    assert!(unknown.value.is_none() && unknown.finding.is_unknown(), "{unknown:?}");
    assert!(unknown.finding.answer.contains("could not look up TXT of _validation-persist"), "{unknown:?}");
}
