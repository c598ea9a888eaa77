//! What the renewal task of a managed certificate works on: the history, and the certificate in the files.

use tracing::error;

use crate::acme::certificate::CertificateInfo;
use crate::config::ManagedCertificate;
use crate::model::url::Url;

use super::super::error::Result;
use super::super::renewal::CertificateInUse;
use super::history::{CertificateHistory, StateFolder};
use super::lacking::LackingNames;
use super::live;

/// The state of a certificate.
#[derive(Debug)]
pub struct CertificateState {
    /// What the daemon remembers.
    pub history: CertificateHistory,
    /// The certificate in the files.
    pub in_use: Option<CertificateInUse>,
    /// Whether a bundle was asked for after the certificate was issued.
    pub lacks_bundle: bool,
    /// The names that the certificate lacks.
    pub lacking: LackingNames,
}

impl CertificateState {
    /// Reads the state. Files that cannot be used count as none. Blocks.
    pub fn load(wanted: &ManagedCertificate, folder: &StateFolder) -> Result<Self> {
        let history = folder.read_history()?;
        folder.create()?;
        let in_use = match live::read(wanted) {
            Ok(chain) => chain.map(|chain| CertificateInUse::stored(chain.info)),
            Err(problem) => {
                error!(name = %wanted.name, "the files cannot be used, and another certificate is issued: {problem}");
                None
            }
        };
        let lacks_bundle = in_use.is_some() && wanted.pkcs12.is_some() && !live::has_bundle(wanted);
        Ok(Self { history, in_use, lacks_bundle, lacking: LackingNames::default() })
    }

    /// Whether the certificate in the files is revoked.
    pub fn is_revoked(&self) -> bool {
        self.in_use.as_ref().is_some_and(|in_use| self.history.revoked.as_ref() == Some(&in_use.info.serial))
    }

    /// Whether the certificate in the files was issued by another CA.
    pub fn is_from_other_ca(&self, directory: &Url) -> bool {
        let (Some(in_use), Some((serial, ca))) = (&self.in_use, &self.history.issued) else { return false };
        *serial == in_use.info.serial && ca != directory
    }

    /// The certificate that the next one replaces (RFC 9773 section 5): only the CA that has issued it knows it.
    pub fn replaces(&self, directory: &Url) -> Option<String> {
        let info = &self.in_use.as_ref()?.info;
        let (serial, ca) = self.history.issued.as_ref()?;
        if *serial == info.serial && ca == directory { info.renewal_id.clone() } else { None }
    }

    /// The certificate in the files, if the hook still has to run for it.
    pub fn undeployed(&self, wanted: &ManagedCertificate) -> Option<CertificateInfo> {
        let info = &self.in_use.as_ref()?.info;
        let is_deployed = self.history.hook.as_ref().is_some_and(|hook| hook.success && hook.serial == info.serial);
        if wanted.hook.is_none() || is_deployed || self.history.deleting { None } else { Some(info.clone()) }
    }
}

#[cfg(test)]
mod tests {
    use crate::acme::certificate::CertificateKey;
    use crate::config::KeyType;

    use super::*;

    #[test]
    fn a_certificate_of_another_ca_is_not_named_as_replaced() {
        let key = CertificateKey::generate(KeyType::P256).unwrap();
        let mut info = key.self_signed(&["a.example".parse().unwrap()]).unwrap().info;
        info.renewal_id = Some("aki.serial".into());
        let (ours, other): (Url, Url) = ("https://a.test/dir".parse().unwrap(), "https://b.test/dir".parse().unwrap());
        let replaces = |issued| {
            let history = CertificateHistory { issued, ..CertificateHistory::default() };
            let in_use = Some(CertificateInUse::stored(info.clone()));
            let lacking = LackingNames::default();
            CertificateState { history, in_use, lacks_bundle: false, lacking }.replaces(&ours)
        };
        assert_eq!(replaces(Some((info.serial.clone(), ours.clone()))), info.renewal_id);
        assert_eq!(replaces(Some((info.serial.clone(), other))), None);
        assert_eq!(replaces(Some(("another".into(), ours.clone()))), None);
        assert_eq!(replaces(None), None);
    }
}
