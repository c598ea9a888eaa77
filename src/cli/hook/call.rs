//! Reads the call of an ACME client. Each client has its own arguments for "publish this value".

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};

use crate::model::name::Name;
use crate::model::txt::TxtValue;

use super::error::HookError;

/// The request of a client.
#[derive(Debug, PartialEq, Eq)]
pub enum Call {
    /// Publish these values.
    Publish(Vec<HookChallenge>),
    /// Retire these values.
    Retire(Vec<HookChallenge>),
    /// Register accounts for these domains, as users do before they start a client.
    Register(Vec<HookTarget>),
    /// Nothing that concerns challenges.
    Nothing,
}

/// A value and its target.
#[derive(Debug, PartialEq, Eq)]
pub struct HookChallenge {
    pub target: HookTarget,
    pub txt: TxtValue,
}

/// The name that a challenge is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HookTarget {
    /// A domain, without `*.` and without `_acme-challenge.`.
    Domain(Name),
    /// The name to which lego has followed the CNAME.
    Fulldomain(Name),
}

type Result<T> = std::result::Result<T, HookError>;

impl Call {
    /// Reads a client's arguments or, without arguments, the environment.
    ///
    /// Fails if no client calls like this, and for a challenge of another type: then the exit code is the one that the
    /// client expects.
    pub fn of(words: &[String], environment: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let one = |domain, txt| Ok(vec![HookChallenge::new(HookTarget::of_domain(domain)?, txt)?]);
        let lego = |fqdn, txt| Ok(vec![HookChallenge::new(HookTarget::fqdn(fqdn)?, txt)?]);
        match words.as_slice() {
            // certbot
            [] => certbot(environment),
            // dehydrated, with HOOK_CHAIN several at once
            ["deploy_challenge", rest @ ..] => triples(rest).map(Self::Publish),
            ["clean_challenge", rest @ ..] => triples(rest).map(Self::Retire),
            // uacme
            ["begin", "dns-01", domain, _token, txt] => one(domain, txt).map(Self::Publish),
            ["done" | "failed", "dns-01", domain, _token, txt] => one(domain, txt).map(Self::Retire),
            ["begin", kind, _, _, _] => Err(HookError::OtherChallenge((*kind).to_owned())),
            ["done" | "failed", _, _, _, _] => Ok(Self::Nothing),
            // lego, and with EXEC_MODE=RAW
            ["present", fqdn, txt] => lego(fqdn, txt).map(Self::Publish),
            ["cleanup", fqdn, txt] => lego(fqdn, txt).map(Self::Retire),
            ["present", "--", domain, _token, key] => one(domain, &digested(key)).map(Self::Publish),
            ["cleanup", "--", domain, _token, key] => one(domain, &digested(key)).map(Self::Retire),
            // acmetool; newer versions say at the end whether it is for a wildcard
            ["challenge-dns-start", domain, _target, txt, ..] => one(domain, txt).map(Self::Publish),
            ["challenge-dns-stop", domain, _target, txt, ..] => one(domain, txt).map(Self::Retire),
            [
                "live-updated"
                | "challenge-http-start"
                | "challenge-http-stop"
                | "challenge-tls-sni-start"
                | "challenge-tls-sni-stop",
                ..,
            ] => Err(HookError::OtherEvent),
            // Apache's mod_md; without MDChallengeDns01Version 2 the second has no value to retire
            ["setup", domain, txt] => one(domain, txt).map(Self::Publish),
            ["teardown", domain, txt] => one(domain, txt).map(Self::Retire),
            ["teardown", _] => Ok(Self::Nothing),
            // people
            ["register", domains @ ..] if !domains.is_empty() => {
                domains.iter().map(|domain| HookTarget::of_domain(domain)).collect::<Result<_>>().map(Self::Register)
            }
            // the other events of dehydrated, present and future
            [word, ..] if word.contains('_') => Ok(Self::Nothing),
            [word, ..] => Err(HookError::Unknown { word: (*word).to_owned(), count: words.len() - 1 }),
        }
    }
}

/// certbot calls with the environment. Auth and clean-up differ only by the output of the auth hook. That output stays in
/// the environment while the next certificate is renewed, so only output with this very value means clean-up.
fn certbot(environment: impl Fn(&str) -> Option<String>) -> Result<Call> {
    let (Some(domain), Some(txt)) = (environment("CERTBOT_DOMAIN"), environment("CERTBOT_VALIDATION")) else {
        return Err(HookError::NobodyCalled);
    };
    let challenge = HookChallenge::new(HookTarget::of_domain(&domain)?, &txt)?;
    let is_done = environment("CERTBOT_AUTH_OUTPUT").is_some_and(|output| output.contains(&txt));
    Ok(if is_done { Call::Retire(vec![challenge]) } else { Call::Publish(vec![challenge]) })
}

fn triples(words: &[&str]) -> Result<Vec<HookChallenge>> {
    let (triples, rest) = words.as_chunks();
    if triples.is_empty() || !rest.is_empty() {
        return Err(HookError::Triples(words.len()));
    }
    triples.iter().map(|[domain, _token, txt]| HookChallenge::new(HookTarget::of_domain(domain)?, txt)).collect()
}

/// The TXT value of a key authorization (RFC 8555 section 8.4).
fn digested(key_authorization: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, key_authorization.as_bytes()))
}

impl HookChallenge {
    fn new(target: HookTarget, txt: &str) -> Result<Self> {
        let txt = txt.parse().map_err(|problem| HookError::Txt { problem })?;
        Ok(Self { target, txt })
    }
}

impl HookTarget {
    /// The domain, where the client has named it.
    pub fn domain(&self) -> Option<&Name> {
        match self {
            Self::Domain(domain) => Some(domain),
            Self::Fulldomain(_) => None,
        }
    }

    /// The domain, or the fulldomain.
    pub fn name(&self) -> &Name {
        match self {
            Self::Domain(name) | Self::Fulldomain(name) => name,
        }
    }

    fn of_domain(text: &str) -> Result<Self> {
        let bare = text.strip_prefix("*.").unwrap_or(text);
        Self::fqdn(bare).map(|target| Self::Domain(target.name().clone()))
    }

    /// Reads lego's name: the challenge's own name, or the target of its CNAME.
    fn fqdn(text: &str) -> Result<Self> {
        match text.strip_prefix("_acme-challenge.") {
            Some(domain) => parse_name(domain).map(Self::Domain),
            None => parse_name(text).map(Self::Fulldomain),
        }
    }
}

fn parse_name(text: &str) -> Result<Name> {
    text.parse().map_err(|problem| HookError::Domain { text: text.chars().take(80).collect(), problem })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TXT: &str = "8Ce-WETGoIH4Qeq-llc77UT5sl8q3-_HC3wpg1YerVM";
    const TXT2: &str = "-Us4eE34XGXrpJbzu6p9rCQwCklGRQ0ZYkiNgcKXbs_";

    fn of(line: &str) -> Result<Call> {
        let words: Vec<String> = line.split_whitespace().map(|word| word.replace("TXT2", TXT2)).collect();
        let words: Vec<String> = words.iter().map(|word| word.replace("TXT", TXT)).collect();
        Call::of(&words, |_| None)
    }

    fn challenge(domain: &str, txt: &str) -> HookChallenge {
        HookChallenge::new(HookTarget::Domain(domain.parse().unwrap()), txt).unwrap()
    }

    fn published(call: Result<Call>) -> Vec<HookChallenge> {
        let Ok(Call::Publish(challenges)) = call else { panic!("{call:?}") };
        challenges
    }

    fn retired(call: Result<Call>) -> Vec<HookChallenge> {
        let Ok(Call::Retire(challenges)) = call else { panic!("{call:?}") };
        challenges
    }

    #[test]
    fn each_client_is_understood() {
        for (publish, retire) in [
            ("deploy_challenge example.com token TXT", "clean_challenge example.com token TXT"),
            ("begin dns-01 example.com token TXT", "done dns-01 example.com token TXT"),
            ("begin dns-01 Example.COM. -token TXT", "failed dns-01 *.example.com token TXT"),
            ("present _acme-challenge.example.com. TXT", "cleanup _acme-challenge.example.com. TXT"),
            ("challenge-dns-start example.com file TXT", "challenge-dns-stop example.com file TXT"),
            ("challenge-dns-start example.com file TXT wildcard", "challenge-dns-stop example.com file TXT wildcard"),
            ("setup example.com TXT", "teardown example.com TXT"),
        ] {
            assert_eq!(published(of(publish)), [challenge("example.com", TXT)], "{publish}");
            assert_eq!(retired(of(retire)), [challenge("example.com", TXT)], "{retire}");
        }
    }

    #[test]
    fn dehydrated_may_chain() {
        let both = [challenge("example.com", TXT), challenge("example.com", TXT2)];
        assert_eq!(published(of("deploy_challenge example.com t TXT *.example.com t TXT2")), both);
        assert_eq!(retired(of("clean_challenge example.com t TXT example.com t TXT2")), both);
        for wrong in ["deploy_challenge", "deploy_challenge example.com t", "clean_challenge a t TXT b t"] {
            assert!(matches!(of(wrong), Err(HookError::Triples(_))), "{wrong}");
        }
    }

    #[test]
    fn lego_follows_cnames_and_has_a_raw_mode() {
        let [HookChallenge { target, .. }] = &published(of("present 5f2c.auth.test. TXT"))[..] else { panic!() };
        assert_eq!(*target, HookTarget::Fulldomain("5f2c.auth.test".parse().unwrap()));
        // The SHA-256 of "token.thumbprint", by `openssl dgst -binary -sha256 | basenc --base64url`.
        let digest = "61rBZ_4knHblO0MNoxFsXZ_eTFUHum0B6IVRbhvUn5I";
        assert_eq!(published(of("present -- example.com token token.thumbprint")), [challenge("example.com", digest)]);
        assert_eq!(retired(of("cleanup -- example.com token token.thumbprint")), [challenge("example.com", digest)]);
    }

    #[test]
    fn other_challenges_and_events_are_left_to_others() {
        assert!(
            matches!(of("begin http-01 example.com t a"), Err(HookError::OtherChallenge(kind)) if kind == "http-01")
        );
        assert!(matches!(of("challenge-http-start example.com f t"), Err(HookError::OtherEvent)));
        for nothing in [
            "startup_hook",
            "exit_hook",
            "deploy_cert example.com k c f",
            "this_hookscript_is_broken",
            "done http-01 example.com t a",
            "teardown example.com",
        ] {
            assert_eq!(of(nothing).unwrap(), Call::Nothing, "{nothing}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(matches!(of("presnt x y"), Err(HookError::Unknown { count: 2, .. })));
        assert!(matches!(of("present x"), Err(HookError::Unknown { count: 1, .. })));
        assert!(matches!(of("register"), Err(HookError::Unknown { .. })));
        assert!(matches!(of("setup a..b TXT"), Err(HookError::Domain { .. })));
        assert!(matches!(of("setup example.com token.thumbprint"), Err(HookError::Txt { .. })));
        assert!(matches!(Call::of(&[], |_| None), Err(HookError::NobodyCalled)));
    }

    #[test]
    fn certbots_clean_up_is_told_from_its_next_challenge() {
        let of = |output: Option<&str>| {
            let output = output.map(str::to_owned);
            Call::of(&[], move |name| match name {
                "CERTBOT_DOMAIN" => Some("example.com".into()),
                "CERTBOT_VALIDATION" => Some(TXT.into()),
                "CERTBOT_AUTH_OUTPUT" => output.clone(),
                _ => None,
            })
        };
        let expected = [challenge("example.com", TXT)];
        assert_eq!(published(of(None)), expected);
        assert_eq!(retired(of(Some(&format!("txtgate: {TXT} for example.com")))), expected);
        // Left in the environment by the certificate before.
        assert_eq!(published(of(Some(&format!("txtgate: {TXT2} for example.org")))), expected);
    }
}
