//! What can be wrong with the record at which a CA looks.

use crate::delegation::finding::Assessment::{Fault as Bad, Warning};

use super::super::super::fault::Fault;

/// Everything that the check can find.
pub static ALL: &[&Fault] = &[
    &IN_OWN_ZONE,
    &ZONE_UNOWNED,
    &NS_IN_PLACE,
    &NS_LAME,
    &NS_ELSEWHERE,
    &DIFFERS,
    &SEVERAL_CNAMES,
    &TXT_BESIDE,
    &WILDCARD,
    &NAME_DOUBLED,
    &NAME_MISSPELT,
    &TXT_IN_PLACE,
    &MISSING,
    &PERSIST_MISSING,
    &LOOP,
    &ENDLESS,
    &LONG,
    &TARGET_DOUBLED,
    &TARGET_APEX,
    &TARGET_DEEP,
    &TARGET_STATIC,
    &TARGET_UNKNOWN,
    &TARGET_DELETED,
    &TARGET_DISABLED,
    &TARGET_UNCONFIGURED,
    &TARGET_ZONE,
    &TARGET_DEAD,
    &TARGET_MISSING,
    &TARGET_ELSEWHERE,
];

const fn fault(code: &'static str, meaning: &'static str, mend: &'static str) -> Fault {
    Fault { code, assessment: Bad, meaning, mend }
}

pub const IN_OWN_ZONE: Fault = fault(
    "challenge-in-own-zone",
    "this server publishes nothing for names within its own zones, beside the apex and its wildcard",
    "ask for the apex of the zone or its wildcard, which cover it",
);

pub const ZONE_UNOWNED: Fault = fault(
    "challenge-zone-unowned",
    "NS records lead here, and no account may publish there",
    "give the zone to an account with `txtgate account create DOMAIN --zone ZONE`",
);

pub const NS_IN_PLACE: Fault = fault(
    "challenge-ns-in-place-of-cname",
    "NS records delegate the name to this server as a zone of its own, which is not in the configuration",
    "replace the NS records with a CNAME, or add the zone to the configuration as a [[zone]]",
);

pub const NS_LAME: Fault = fault(
    "challenge-ns-lame",
    "NS records delegate the name to nameservers that do not have it, so CAs get errors",
    "replace the NS records with a CNAME",
);

pub const NS_ELSEWHERE: Fault = fault(
    "challenge-ns-elsewhere",
    "NS records delegate the name to nameservers of somebody else, where this server publishes nothing",
    "replace the NS records with a CNAME",
);

pub const DIFFERS: Fault = fault(
    "challenge-differs",
    "a CA asks from several networks, and each may ask another nameserver",
    "wait until the change has reached every nameserver; if it does not, have the provider transfer the zone again",
);

pub const SEVERAL_CNAMES: Fault = fault(
    "challenge-several-cnames",
    "a name may have one CNAME; resolvers take any of several, or fail",
    "remove all CNAME records but one",
);

pub const TXT_BESIDE: Fault = fault(
    "challenge-txt-beside-cname",
    "beside a CNAME no other record may stand: many resolvers find the TXT record in place of the CNAME",
    "remove the TXT records at the name",
);

pub const WILDCARD: Fault = fault(
    "challenge-wildcard",
    "a wildcard of the zone answers for the name at which CAs look",
    "add the CNAME of the name itself, which takes precedence over the wildcard",
);

pub const NAME_DOUBLED: Fault = fault(
    "challenge-name-doubled",
    "the name of the record has the zone twice: it was written without a closing dot, or in full where only the part before \
     the zone belongs",
    "rename the record to `_acme-challenge`, without the zone",
);

pub const NAME_MISSPELT: Fault =
    fault("challenge-name-misspelt", "the record has another name than CAs look at", "rename the record");

pub const TXT_IN_PLACE: Fault = fault(
    "challenge-txt-in-place-of-cname",
    "a TXT record that somebody left there is what CAs find",
    "replace the TXT records with a CNAME",
);

pub const MISSING: Fault =
    fault("challenge-missing", "CAs find nothing at the name at which they look", "add the CNAME");

pub const PERSIST_MISSING: Fault = fault(
    "persist-missing",
    "there is neither a CNAME nor a persistent authorization for this server's account with the CA",
    "add the CNAME, or the TXT record",
);

pub const LOOP: Fault = fault("challenge-loop", "the CNAMEs lead back to themselves", "correct the last CNAME");

pub const ENDLESS: Fault = fault(
    "challenge-endless",
    "resolvers give up on so many CNAMEs in a row",
    "have the first CNAME lead here directly",
);

pub const LONG: Fault = Fault {
    code: "challenge-long-chain",
    assessment: Warning,
    meaning: "some resolvers give up on so many CNAMEs in a row",
    mend: "have the first CNAME lead here directly",
};

pub const TARGET_DOUBLED: Fault = fault(
    "target-doubled",
    "the target of the CNAME has the domain's zone at its end: it was written without a closing dot",
    "write the target with a closing dot",
);

pub const TARGET_APEX: Fault = fault(
    "target-apex",
    "the CNAME leads to the zone of this server itself, where no account publishes",
    "have the CNAME lead to the fulldomain of an account",
);

pub const TARGET_DEEP: Fault = fault(
    "target-deep",
    "the CNAME leads to a name below that of an account, where nothing is published",
    "have the CNAME lead to the fulldomain of the account",
);

pub const TARGET_STATIC: Fault = fault(
    "target-static",
    "the CNAME leads to records of this server's configuration, where no account publishes",
    "have the CNAME lead to the fulldomain of an account",
);

pub const TARGET_UNKNOWN: Fault = fault(
    "target-unknown",
    "the CNAME leads to a name of this server's zone that nobody has registered",
    "have the CNAME lead to the fulldomain of an account",
);

pub const TARGET_DELETED: Fault = fault(
    "target-deleted",
    "the CNAME leads to the name of an account that was deleted",
    "have the CNAME lead to the fulldomain of another account",
);

pub const TARGET_DISABLED: Fault = fault(
    "target-disabled",
    "the CNAME leads to the name of an account that is disabled: CAs find no value there",
    "enable the account with `txtgate account enable`",
);

pub const TARGET_UNCONFIGURED: Fault = fault(
    "target-zone-unconfigured",
    "the CNAME leads to a zone that NS records delegate to this server, and the configuration does not have it",
    "add the zone to the configuration as a [[zone]], or have the CNAME lead to the fulldomain of an account",
);

pub const TARGET_ZONE: Fault = fault(
    "target-other-zone",
    "the CNAME leads to the label of an account of this server, in a zone that is not this server's",
    "have the CNAME lead to the fulldomain of the account",
);

pub const TARGET_DEAD: Fault = fault(
    "target-dead",
    "the CNAME leads to a zone whose nameservers do not answer for it",
    "have the CNAME lead to the fulldomain of an account of this server",
);

pub const TARGET_MISSING: Fault = fault(
    "target-missing",
    "the CNAME leads to a name that does not exist, in a zone that is not this server's",
    "have the CNAME lead to the fulldomain of an account of this server",
);

pub const TARGET_ELSEWHERE: Fault = fault(
    "target-elsewhere",
    "the CNAME leads to a zone that is not this server's, where this server publishes nothing",
    "have the CNAME lead to the fulldomain of an account of this server",
);
