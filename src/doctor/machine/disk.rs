//! Room on the disk of the database, and whether it can be written.

use std::path::Path;

use rustix::fs::statvfs;

use crate::delegation::finding::Assessment;
use crate::file::{Unusable, folder_of, writable};

use super::super::check::{Check, Group};
use super::super::examination::Examination;
use super::super::fault::Fault;
use super::super::findings::Findings;

/// Less room than this, in bytes, is a warning.
const LOW: u64 = 256 << 20;
/// Less room than this, in bytes, is a fault: SQLite's write-ahead log alone may need it.
const FULL: u64 = 16 << 20;
/// Fewer free inodes than this are a fault.
const FEW_INODES: u64 = 100;
const MIB: u64 = 1 << 20;

pub static CHECK: Check = Check {
    id: "disk",
    group: Group::Machine,
    title: "Disk",
    looks_at: "Room and free inodes on the file system of the database, and whether its folder can be written.",
    after: &[],
    faults: &[&FULL_DISK, &LOW_DISK, &UNWRITABLE],
    run: |examination, findings| Box::pin(run(examination, findings)),
};

const FULL_DISK: Fault = Fault {
    code: "disk-full",
    assessment: Assessment::Fault,
    meaning: "values cannot be published; DNS goes on with those that are there",
    mend: "free some space on that disk: `du -xh / | sort -h | tail` shows what takes it",
};

const LOW_DISK: Fault = Fault {
    code: "disk-low",
    assessment: Assessment::Warning,
    meaning: "once the disk is full, values cannot be published",
    mend: "free some space on that disk, or let it grow",
};

const UNWRITABLE: Fault = Fault {
    code: "disk-unwritable",
    assessment: Assessment::Fault,
    meaning: "the daemon cannot store changes there",
    mend: "let the daemon's user write the folder of the database, and mount its file system for writing",
};

async fn run(examination: &Examination, findings: &mut Findings) {
    let folder = folder_of(&examination.config.database).to_owned();
    let look = tokio::task::spawn_blocking(move || {
        let mut found = Findings::default();
        look_at(&folder, &mut found);
        found
    });
    // An error says that the runtime ends.
    let found = look.await.unwrap_or_default();
    found.into_vec().into_iter().for_each(|finding| findings.add(finding));
}

fn look_at(folder: &Path, findings: &mut Findings) {
    let shown = folder.display();
    match statvfs(folder) {
        Ok(found) => {
            let room = found.f_bavail.saturating_mul(found.f_frsize);
            let has_few_inodes = found.f_files > 0 && found.f_favail < FEW_INODES;
            judge_room(&shown.to_string(), room, has_few_inodes.then_some(found.f_favail), findings);
        }
        Err(error) => {
            let error = std::io::Error::from(error);
            let question = format!("the room in {shown}");
            return findings.add(UNWRITABLE.found(shown, question, Unusable(folder, &error)));
        }
    }
    let question = format!("whether {shown} can be written");
    match writable(folder) {
        Ok(()) => findings.good(shown, question, "yes"),
        Err(error) => findings.add(UNWRITABLE.found(shown, question, Unusable(folder, &error))),
    }
}

fn judge_room(folder: &str, room: u64, few_inodes: Option<u64>, findings: &mut Findings) {
    let question = format!("the room in {folder}");
    let answer = format!("{} MiB are free", room / MIB);
    match few_inodes {
        Some(inodes) => findings.add(FULL_DISK.found(folder, question, format!("{inodes} inodes are free"))),
        None if room < FULL => findings.add(FULL_DISK.found(folder, question, answer)),
        None if room < LOW => findings.add(LOW_DISK.found(folder, question, answer)),
        None => findings.good(folder, question, answer),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_judged_by_bytes_and_inodes() {
        for (room, inodes, code) in [
            (LOW, None, None),
            (LOW - 1, None, Some("disk-low")),
            (FULL - 1, None, Some("disk-full")),
            (LOW, Some(3), Some("disk-full")),
        ] {
            let mut findings = Findings::default();
            judge_room("/x", room, inodes, &mut findings);
            assert_eq!(findings.into_vec()[0].code, code, "{room} {inodes:?}");
        }
    }
}
