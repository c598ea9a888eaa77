//! A command and mail, and `txtgate notify test`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use serde_json::Value;

use crate::harness::ports::free_port;
use crate::harness::receiver::Receiver;
use crate::harness::{Home, Settings, until};

use super::{FULL, home, open};

/// A program that writes what it gets into a new file, and then does this.
fn script(home: &Home, name: &str, then: &str) -> PathBuf {
    let path = home.path().join(name);
    let folder = home.path().join(format!("{name}.got"));
    fs::create_dir(&folder).unwrap();
    let folder = folder.display();
    let text = format!(
        "#!/bin/sh\nfile=$(mktemp {folder}/XXXXXX)\n{{ env; echo \"arguments: $*\"; echo; cat; }} > $file\n\
         mv $file $file.done\n{then}\n"
    );
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// What such a program has got: its environment and arguments, and its input.
fn got(home: &Home, name: &str) -> Vec<(String, String)> {
    let files = fs::read_dir(home.path().join(format!("{name}.got"))).unwrap().map(|entry| entry.unwrap().path());
    let whole = files.filter(|path| path.extension().is_some_and(|extension| extension == "done"));
    let texts = whole.map(|path| fs::read_to_string(path).unwrap());
    texts.map(|text| text.split_once("\n\n").map(|(head, body)| (head.to_owned(), body.to_owned())).unwrap()).collect()
}

#[test]
fn a_command_and_mail_take_each_message() {
    let address = free_port();
    let receiver = Receiver::start(address, &[]);
    let home = home(Settings::default(), address, "");
    let command = script(&home, "command", "");
    let sendmail = script(&home, "sendmail", "");
    let notify = format!(
        "command = [{command:?}, \"a b\"]\nmail-to = [\"ops@example.org\", \"b@example.org\"]\n\
         mail-from = \"txtgate@example.org\"\nsendmail = {sendmail:?}\n{FULL}"
    );
    home.write(&super::told(Settings::default(), address, &notify));
    let _daemon = home.start();
    until("both have it", || got(&home, "command").len() == 1 && got(&home, "sendmail").len() == 1);
    let (environment, input) = got(&home, "command").remove(0);
    assert!(environment.contains("arguments: a b") && !environment.contains("CARGO"), "{environment}");
    let message: Value = serde_json::from_str(&input).unwrap();
    assert_eq!((&message["type"], &message["data"]["kind"]), (&"matter.begun".into(), &"disk-nearly-full".into()));
    let (environment, mail) = got(&home, "sendmail").remove(0);
    assert!(environment.contains("arguments: -t -i"), "{environment}");
    for line in [
        "From: txtgate@example.org",
        "To: ops@example.org,",
        " b@example.org",
        "Subject: [auth.example.org] the disk is nearly full",
        "Auto-Submitted: auto-generated",
    ] {
        assert!(mail.lines().any(|found| found == line), "{line:?}: {mail}");
    }
    let said = home.run_ok(&["notify", "test"]);
    assert_eq!(said.lines().count(), 3, "{said}");
    assert!(said.starts_with("\u{2713} webhook to http://127.0.0.1:") && !said.contains("token"), "{said}");
    assert_eq!(receiver.taken().last().unwrap().says()[0], "test");
    assert_eq!(open(&home), 1, "a test is not a matter");
}

#[test]
fn a_test_shows_what_is_wrong_with_each_channel() {
    let address = free_port();
    let home = home(Settings::default(), address, "");
    let command = script(&home, "command", "echo no pager >&2; exit 3");
    let sendmail = script(&home, "sendmail", "sleep 60");
    let notify = format!(
        "command = [{command:?}]\nmail-to = [\"ops@example.org\"]\nmail-from = \"txtgate@example.org\"\n\
         sendmail = {sendmail:?}"
    );
    home.write(&super::told(Settings::default(), address, &notify));
    let _daemon = home.start();
    let output = home.run(&["notify", "test"]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    let lines: Vec<_> = said.lines().collect();
    assert!(lines[0].starts_with("\u{2717} webhook") && lines[0].contains("refused"), "{said}");
    assert!(lines[1].ends_with("exit code 3: no pager"), "{said}");
    assert!(
        lines[2].starts_with("\u{2717} mail to ops@example.org: ")
            && lines[2].contains("killed after 1 s; under the systemd unit"),
        "{said}"
    );
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("3 of 3 channels failed"), "{said}");
}

#[test]
fn without_a_channel_a_test_says_how_to_add_one() {
    let home = Home::new(&Settings::default());
    let (code, said) = home.run_err(&["notify", "test"]);
    assert!(code == Some(1) && said.contains("no daemon"), "{said}");
    let _daemon = home.start();
    let (code, said) = home.run_err(&["notify", "test"]);
    assert!(code == Some(1) && said.contains("add `webhook`, `command` or `mail-to`"), "{said}");
}
