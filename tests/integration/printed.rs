//! What `account create` prints for a client is what the client needs, and no key of it becomes an argument, which every
//! user of the machine could read.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::ca_lab::CaLab;
use crate::harness::dns::txts;
use crate::harness::pebble::Options;
use crate::harness::process::BINARY;
use crate::harness::{Home, Process, Settings, skip};

/// A machine with nothing but the programs that it is given; each writes down what it is called with.
struct Machine(TempDir);

impl Machine {
    fn new() -> Self {
        let machine = Self(tempfile::tempdir().unwrap());
        std::fs::create_dir(machine.path("bin")).unwrap();
        ["cat", "mkdir"].iter().for_each(|name| machine.program(name, &format!("exec /bin/{name} \"$@\"")));
        machine
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A program that does this.
    fn program(&self, name: &str, text: &str) {
        let path = self.path("bin").join(name);
        let noted = self.path("arguments");
        let text = format!("#!/bin/sh\nprintf '%s\\n' {name} \"$@\" >> '{}'\n{text}\n", noted.display());
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    }

    /// Does what was printed, with a folder of its own in place of `/etc`; every argument of every program.
    fn follow(&self, printed: &str) -> String {
        let script = printed.replace("/etc", self.path("etc").to_str().unwrap());
        let mut shell = Command::new("/bin/sh");
        shell.args(["-e", "-c", &script]).current_dir(self.0.path());
        let output = shell.env_clear().env("PATH", self.path("bin")).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{printed}\n{said}");
        std::fs::read_to_string(self.path("arguments")).unwrap()
    }
}

/// What is printed for a new account of `example.com`, and the account's name for it.
fn created(home: &Home, format: &str, more: &[&str]) -> String {
    home.run_ok(&[&["account", "create", "example.com", "--format", format], more].concat())
}

#[test]
fn certbot_gets_a_certificate_with_what_is_printed_for_it() {
    if !PathBuf::from("/usr/bin/certbot").exists() {
        return skip("certbot with the settings that are printed", "it is not installed (apt-get install certbot)");
    }
    // certbot 2.1 breaks where a nonce is refused while it waits.
    let Some(lab) = CaLab::real(Options { bad_nonces: 0, ..Options::default() }) else { return };
    let daemon = Process::start(&lab.settings);
    let printed = created(daemon.home(), "certbot", &["--server", &format!("http://{}", daemon.api())]);

    let machine = Machine::new();
    symlink(BINARY, machine.path("txtgate")).unwrap();
    machine.program("txtgate", &format!("exec '{}' \"$@\"", machine.path("txtgate").display()));
    let own = machine.0.path().display();
    machine.program(
        "certbot",
        &format!(
            "exec /usr/bin/certbot \"$@\" --no-verify-ssl --non-interactive --agree-tos --no-eff-email -m a@example.com \
             --server '{}' --config-dir '{own}/c' --work-dir '{own}/w' --logs-dir '{own}/l'",
            lab.ca.directory(),
        ),
    );
    let json = &printed[printed.find('{').unwrap()..=printed.rfind('}').unwrap()];
    let account: Value = serde_json::from_str(json).unwrap();
    let fulldomain = account["example.com"]["fulldomain"].as_str().unwrap();
    lab.resolver.add(&format!("_acme-challenge.example.com. CNAME {fulldomain}."));

    let arguments = machine.follow(&printed);
    assert!(machine.path("c/live/example.com/fullchain.pem").exists());
    assert_eq!(
        arguments.lines().filter(|line| *line == "hook").count(),
        4,
        "published twice, retired twice: {arguments}"
    );
    assert_eq!(txts(daemon.dns(), fulldomain), [""; 0]);
    assert!(!arguments.contains(account["example.com"]["password"].as_str().unwrap()), "{arguments}");
    let accounts = machine.path("etc/txtgate/accounts.json");
    assert_eq!(std::fs::metadata(&accounts).unwrap().permissions().mode() & 0o777, 0o600);

    // Another account's file is not for overwriting.
    let before = std::fs::read_to_string(&accounts).unwrap();
    let again = printed.replace("/etc", machine.path("etc").to_str().unwrap());
    let again = Command::new("/bin/sh").args(["-e", "-c", &again]).output().unwrap();
    assert!(!again.status.success() && std::fs::read_to_string(&accounts).unwrap() == before);
}

#[test]
fn no_key_is_printed_as_an_argument_of_anything() {
    let home = Home::new(&Settings::default());
    for format in ["lego", "httpreq", "certbot", "acme-sh", "lego-rfc2136"] {
        let machine = Machine::new();
        ["lego", "certbot", "acme.sh"].iter().for_each(|client| machine.program(client, ""));
        let printed = created(&home, format, &["--tsig", "--server", "https://api.test"]);
        let arguments = machine.follow(&printed);
        assert!(arguments.contains("*.example.com"), "the client was called: {arguments}");
        let keys: Vec<&str> = ["\"password\": \"", "PASSWORD=", "SECRET="]
            .iter()
            .flat_map(|before| printed.split(before).skip(1))
            .filter_map(|rest| rest.split(|c: char| c == '"' || c.is_whitespace()).next())
            .collect();
        assert!(!keys.is_empty() && keys.iter().all(|key| key.len() >= 40), "{format}: {printed}");
        assert!(keys.iter().all(|key| !arguments.contains(key)), "{format}: {keys:?} in {arguments}");
    }
}
