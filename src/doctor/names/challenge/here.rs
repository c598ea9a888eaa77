//! Names that lead to this server.

use crate::delegation::finding::{Assessment, Finding};
use crate::model::name::{Name, Owner, OwnerLabel};

use super::super::super::findings::ScopedFinding;
use super::super::own::OwnerStatus;
use super::faults;
use super::subject::Subject;

/// The finding about a name that lies in a zone of this server itself.
pub async fn in_own_zone(subject: &Subject) -> Option<ScopedFinding> {
    let zone = subject.own.zone_at(&subject.looked_at)?.clone();
    let (name, asked) = (&subject.looked_at, subject.question());
    let good = |answer: String| Some(ScopedFinding::good(Finding::new(Assessment::Good, name, asked.clone(), answer)));
    if zone.apex() == &subject.base {
        return good(format!("it lies in this server's zone {zone}"));
    }
    if !zone.is_challenge() {
        let answer = format!("it lies in this server's zone {zone}");
        let advice = format!("ask for {zone} and *.{zone}, which cover {}", subject.base);
        return Some(faults::IN_OWN_ZONE.found(name, asked, answer).advice(advice));
    }
    match subject.own.status(&Owner::apex(zone.clone())).await {
        OwnerStatus::Served { account, values } => good(served(&zone.to_string(), account, values)),
        OwnerStatus::NotSeen => good(format!("it is a zone of this server: {zone}")),
        OwnerStatus::Disabled { account } => Some(
            faults::TARGET_DISABLED
                .found(name, asked, format!("its account {account} is disabled"))
                .advice(format!("run `txtgate account enable {account}`")),
        ),
        OwnerStatus::Deleted | OwnerStatus::Unknown | OwnerStatus::Static => Some(
            faults::ZONE_UNOWNED
                .found(name, asked, format!("nobody owns {zone}"))
                .advice(format!("run `txtgate account create {} --zone {zone}`", subject.base)),
        ),
    }
}

/// The finding about a chain of CNAMEs that ends at a name in a zone of this server.
pub async fn judge(subject: &Subject, target: &Name) -> ScopedFinding {
    let (name, asked) = (&subject.looked_at, subject.question());
    let answer = format!("it leads to {target}");
    let Some(owner) = subject.own.owner_at(target) else {
        return no_owner(subject, target, answer).await;
    };
    match subject.own.status(&owner).await {
        OwnerStatus::Served { account, values } => {
            let answer = served(&owner.to_string(), account, values);
            ScopedFinding::good(Finding::new(Assessment::Good, name, asked, answer))
        }
        OwnerStatus::NotSeen => ScopedFinding::good(Finding::new(Assessment::Good, name, asked, answer)),
        OwnerStatus::Disabled { account } => {
            let answer = format!("{answer}, of the disabled account {account}");
            let advice = format!("run `txtgate account enable {account}`");
            faults::TARGET_DISABLED.found(name, asked, answer).advice(advice)
        }
        OwnerStatus::Deleted => subject.needed.advise(faults::TARGET_DELETED.found(name, asked, answer), ""),
        OwnerStatus::Static => subject.needed.advise(faults::TARGET_STATIC.found(name, asked, answer), ""),
        OwnerStatus::Unknown if owner.label == OwnerLabel::Apex => {
            let advice = format!("run `txtgate account create {} --zone {}`", subject.base, owner.zone);
            faults::ZONE_UNOWNED.found(name, asked, answer).advice(advice)
        }
        OwnerStatus::Unknown => subject.needed.advise(faults::TARGET_UNKNOWN.found(name, asked, answer), ""),
    }
}

/// The finding about a target where no account can have a name.
async fn no_owner(subject: &Subject, target: &Name, answer: String) -> ScopedFinding {
    let (name, asked) = (&subject.looked_at, subject.question());
    if subject.own.zone_at(target).is_some_and(|zone| zone.apex() == target) {
        return subject.needed.advise(faults::TARGET_APEX.found(name, asked, answer), "");
    }
    let mut above = target.parent();
    while let Some(at) = above {
        let Some(owner) = subject.own.owner_at(&at) else {
            above = at.parent().filter(|at| subject.own.zone_at(at).is_some());
            continue;
        };
        if matches!(subject.own.status(&owner).await, OwnerStatus::Served { .. }) {
            let needed = subject.needed.to(owner);
            return needed.advise(faults::TARGET_DEEP.found(name, asked, answer), "");
        }
        break;
    }
    subject.needed.advise(faults::TARGET_UNKNOWN.found(name, asked, answer), "")
}

fn served(name: &str, account: Option<String>, values: usize) -> String {
    let whose = account.map_or_else(|| "of this server itself".to_owned(), |account| format!("of account {account}"));
    let values = match values {
        0 => "no value is published".to_owned(),
        1 => "1 value is published".to_owned(),
        many => format!("{many} values are published"),
    };
    format!("it leads to {name}, {whose}; {values}")
}
