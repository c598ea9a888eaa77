//! Tells secondaries of new serials (RFC 1996), each address of a secondary and each zone in a task of its own, so that one
//! that does not reply holds up no other.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{MissedTickBehavior, interval};

use crate::config::SecondarySettings;
use crate::model::name::ZoneName;
use crate::model::serial::Serial;
use crate::zone::change::Subscription;

use super::admission::Transferable;
use super::notify_target::{NotifyServices, TargetTask};
use super::secondary_state::NotifyTarget;

/// How often the serials are looked at without a change: some rise in memory alone, and a reload brings other zones.
const ROUND: Duration = Duration::from_secs(1);

/// Tells secondaries of new serials.
#[derive(Debug)]
pub struct SecondaryNotifier {
    services: NotifyServices,
    serials: BTreeMap<ZoneName, watch::Sender<Serial>>,
    targets: BTreeMap<NotifyTarget, (SecondarySettings, AbortHandle)>,
    /// Ends all of them when it is dropped.
    tasks: JoinSet<()>,
    /// What the tasks were made of.
    made_of: Option<Arc<Transferable>>,
}

impl SecondaryNotifier {
    pub fn new(services: NotifyServices) -> Self {
        let (serials, targets) = (BTreeMap::new(), BTreeMap::new());
        Self { services, serials, targets, tasks: JoinSet::new(), made_of: None }
    }

    /// Tells secondaries for as long as there are changes.
    pub async fn keep_notifying(mut self, mut changes: Subscription) {
        let mut rounds = interval(ROUND);
        rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                event = changes.next() => if event.is_none() { return },
                _ = rounds.tick() => self.follow_settings(),
            }
            self.follow_serials();
        }
    }

    fn follow_serials(&self) {
        let Some(made_of) = &self.made_of else { return };
        for zone in made_of.zones() {
            let Some(sender) = self.serials.get(&zone.name) else { continue };
            let present = zone.serial();
            sender.send_if_modified(|serial| std::mem::replace(serial, present) != present);
        }
    }

    /// Starts and ends tasks where the configuration has changed.
    fn follow_settings(&mut self) {
        let present = self.services.transfers.transferable();
        if self.made_of.as_ref().is_some_and(|made_of| made_of.is_same(&present)) {
            return;
        }
        let wanted = wanted(&present);
        self.targets.retain(|target, (settings, task)| {
            let is_kept = wanted.get(target).is_some_and(|wanted| **wanted == *settings);
            if !is_kept {
                task.abort();
            }
            is_kept
        });
        self.services.transfers.states().retain(|target| wanted.contains_key(target));
        self.services.metrics.transfers.forget_lags();
        self.serials.retain(|name, _| present.zones().any(|zone| zone.name == *name));
        for zone in present.zones() {
            self.serials.entry(zone.name.clone()).or_insert_with(|| watch::Sender::new(zone.serial()));
        }
        for (target, settings) in wanted {
            let is_reported = !present.is_catalog(&target.zone);
            self.start(target, settings, is_reported);
        }
        while self.tasks.try_join_next().is_some() {}
        self.made_of = Some(present);
    }

    fn start(&mut self, target: NotifyTarget, settings: &SecondarySettings, is_reported: bool) {
        let Some(serials) = self.serials.get(&target.zone) else { return };
        if self.targets.contains_key(&target) {
            return;
        }
        let key = settings.key.clone();
        let services = self.services.clone();
        let task = TargetTask::new(target.clone(), key, services, serials.subscribe(), is_reported);
        let handle = self.tasks.spawn(task.run());
        self.targets.insert(target, (settings.clone(), handle));
    }
}

/// Every address of every secondary with each of its zones.
fn wanted(transferable: &Transferable) -> BTreeMap<NotifyTarget, &SecondarySettings> {
    let mut wanted = BTreeMap::new();
    for secondary in transferable.secondaries() {
        for zone in transferable.zones().filter(|zone| transferable.has_zone(secondary, &zone.name)) {
            for address in &secondary.notify {
                let (name, address, zone) = (secondary.name.clone(), *address, zone.name.clone());
                wanted.insert(NotifyTarget { secondary: name, address, zone }, secondary);
            }
        }
    }
    wanted
}
