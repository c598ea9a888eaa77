//! What the set-ups are made of: parents, secondaries and signed zones.

use hickory_proto::rr::RData;

use crate::harness::dns::{SOA, ask, query};
use crate::harness::lab::{Lab, PARENT, ROOT, TLD, parent, root, tld};
use crate::harness::nameserver::{Fault, Zone};
use crate::harness::signer::Signer;
use crate::harness::{Home, Process, Settings, ZONE};

/// The delegation as it should be.
pub const RIGHT: &str = "auth NS ns1.auth\nns1.auth A 127.0.1.53\n";
/// A second nameserver, `ns2.example.org`.
pub const SECOND: &str = "127.0.1.60";
pub const AND_SECOND: &str = "auth NS ns2\nns2 A 127.0.1.60\n";

/// A lab whose parent has these records, and a daemon.
pub fn delegated(records: &str) -> (Lab, Process) {
    let mut lab = Lab::new();
    lab.parent(records);
    let daemon = Process::start(&lab.settings());
    (lab, daemon)
}

/// The right delegation, and a second nameserver that refuses or fails as the faults say.
pub fn with_second(faults: &[Fault]) -> (Lab, Process) {
    let (mut lab, daemon) = two(&format!("{RIGHT}{AND_SECOND}"));
    lab.serve(SECOND, vec![copy_of(&daemon, 0)], faults);
    (lab, daemon)
}

/// A daemon that has a second nameserver in `ns`.
pub fn two(records: &str) -> (Lab, Process) {
    let mut lab = Lab::new();
    lab.parent(records);
    let settings = lab.settings().nameservers(&["ns1.auth.example.org", "ns2.example.org"]);
    let daemon = Process::start(&settings);
    (lab, daemon)
}

/// What a secondary has after a transfer, so many changes ago.
pub fn copy_of(daemon: &Process, behind: u32) -> Zone {
    copy_with(daemon, behind, "ns2.example.org.")
}

/// The same with this second nameserver.
pub fn copy_with(daemon: &Process, behind: u32, second: &str) -> Zone {
    let reply = ask(daemon.dns(), &query(ZONE, SOA));
    let RData::SOA(soa) = &reply.answers()[0].data else { panic!("{reply:?}") };
    let serial = soa.serial.wrapping_sub(behind);
    let soa = format!("@ SOA {} {} {serial} 3600 600 86400 10\n", soa.mname, soa.rname);
    Zone::new(&format!("{ZONE}."), &format!("{soa}@ NS ns1\n@ NS {second}\nns1 A 127.0.1.53\n"))
}

/// Root, org and example.org, all of them signed. `change` makes the zone of example.org from the key that org knows.
pub fn signed_lab(change: impl Fn(&Signer) -> Zone) -> Lab {
    let (mut lab, signer) = signed_lab_without_parent();
    lab.serve(PARENT, vec![change(&signer)], &[]);
    lab
}

/// The folder of a daemon whose zone is signed, and the DS record for the parent as a line of its zone file.
pub fn signed_home(settings: &Settings) -> (Home, String) {
    let home = Home::new(&settings.clone().zone("dnssec-key = \"zone.key\""));
    home.run_ok(&["dnssec", "init", ZONE]);
    let printed = home.run_ok(&["dnssec", "init", "--force", ZONE]);
    let ds = printed.lines().find_map(|line| line.split_once(" IN DS ")).unwrap_or_else(|| panic!("{printed}")).1;
    (home, format!("auth DS {ds}\n"))
}

/// A signed zone below signed parents, whose DS records are as `ds` makes them of the right one.
pub fn signed(ds: impl Fn(&str) -> String) -> (Lab, Process) {
    let (mut lab, signer) = signed_lab_without_parent();
    let (home, right) = signed_home(&lab.settings());
    lab.serve(PARENT, vec![parent(&format!("{RIGHT}{}", ds(&right))).signed(&signer)], &[]);
    (lab, home.start())
}

/// Signed zones down to org, and the key of example.org.
pub fn signed_lab_without_parent() -> (Lab, Signer) {
    let [of_root, of_org, of_example] = [(); 3].map(|()| Signer::new());
    let mut lab = Lab::empty();
    lab.serve(ROOT, vec![root("").with(of_org.ds("org.")).signed(&of_root)], &[]);
    lab.serve(TLD, vec![tld("org", PARENT).with(of_example.ds("example.org.")).signed(&of_org)], &[]);
    (lab, of_example)
}
