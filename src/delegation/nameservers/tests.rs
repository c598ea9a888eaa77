use crate::delegation::tests::{zone, zone_named};
use crate::net::dns_client::tests::Resolver;

use super::*;

/// A resolver that fails shows neither that there is no delegation nor that a nameserver has no address.
#[tokio::test]
async fn a_delegation_that_cannot_be_looked_up_is_unknown_and_not_missing() {
    let resolver = Resolver::start().await;
    resolver.fail();
    let (delegation, findings) = Delegation::find(&zone(), &resolver.client()).await;
    let servers = delegation.unwrap().servers;
    assert!(servers.len() == 1 && servers[0].to_string() == "ns1.auth.example.org (192.0.2.1)", "{servers:?}");
    assert!(findings.len() == 1 && findings[0].is_unknown(), "{findings:?}");
    assert!(findings[0].to_string().contains("could not look up NS of example.org"), "{findings:?}");

    let outside = zone_named("auth.example.net", "");
    let (delegation, findings) = Delegation::find(&outside, &resolver.client()).await;
    let delegation = delegation.unwrap();
    assert!(delegation.servers.is_empty() && !delegation.is_of_parent, "{delegation:?}");
    assert_eq!(delegation.unresolved.len(), 1, "nobody knows where it is: {delegation:?}");
    assert!(findings.len() == 2 && findings.iter().all(Finding::is_unknown), "{findings:?}");
    assert!(findings[1].to_string().contains("could not look up A of ns1.auth.example.org"), "{findings:?}");
}

#[test]
fn nameservers_that_only_one_side_has_are_warnings() {
    let apex: Name = "auth.example.org".parse().unwrap();
    let [one, two] = ["ns1.example.org", "ns2.example.org"].map(|name| name.parse::<Name>().unwrap());
    let findings = differences(&apex, &[one.clone(), two.clone()], std::slice::from_ref(&one));
    assert!(
        findings.len() == 1 && findings[0].answer.contains("names the nameserver ns2.example.org, which is not in")
    );
    let findings = differences(&apex, std::slice::from_ref(&one), &[one.clone(), two]);
    assert!(findings.len() == 1 && findings[0].answer.contains("does not name the nameserver ns2.example.org"));
    assert_eq!(findings[0].assessment, Assessment::Warning);
}
