//! Revocation, as a command will ask for it: through the library, on the files that a daemon has written.

use txtgate::acme::certificate::Chain;
use txtgate::acme::revocation::{RevocationReason, RevokedBy, revoke};
use txtgate::acme::{AcmeError, Authority};
use txtgate::config::Config;

use crate::harness::pebble::{Options, Pebble};
use crate::harness::ports::free_port;
use crate::harness::{Process, until};

#[test]
fn by_the_account_and_by_the_certificates_own_key() {
    let Some(pebble) = Pebble::start(&Options { resolver: Some(free_port()), ..Options::default() }) else { return };
    let settings = pebble.settings().with("api.tls", "mode = \"acme\"");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for (key_type, by_account) in [("p256", true), ("p384", false)] {
        let settings = settings.clone().with("acme", &format!("key-type = {key_type:?}"));
        let daemon = Process::start(&settings);
        let file = daemon.home().path().join("acme/api.pem");
        until("the certificate is there", || file.exists());
        let chain = Chain::from_pem(&std::fs::read_to_string(file).unwrap()).unwrap();
        let status = || pebble.status_of(&chain.info.serial);
        assert_eq!(status()["Status"], "Valid", "{}", status());

        let authority = Authority::new(Config::read(&daemon.home().config()).unwrap().acme);
        let again: Result<(), AcmeError> = runtime.block_on(async {
            let (account, key) = (authority.account().await?, chain.key().signing_key()?);
            let by = || {
                if by_account {
                    RevokedBy::Account(&account)
                } else {
                    RevokedBy::CertificateKey(account.client(), &key)
                }
            };
            revoke(by(), &chain.certificates()[0], RevocationReason::KeyCompromise).await?;
            revoke(by(), &chain.certificates()[0], RevocationReason::Superseded).await
        });
        assert_eq!(status()["Status"], "Revoked", "{}", status());
        assert_eq!(status()["Reason"], 1, "{}", status());
        let again = again.unwrap_err();
        assert!(again.is("alreadyRevoked") && again.explained().contains("nothing needs to be done"), "{again}");
    }
}
