//! Which configuration a command takes, and what it says about it.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use crate::harness::process::BINARY;
use crate::harness::{Home, Settings, skip};

/// A command in the folder `here`, without `--config`.
fn unnamed(here: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    command.args(arguments).current_dir(here);
    command
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Whether this machine has a configuration of its own, which commands without a name would take.
fn has_system_configuration(what: &str) -> bool {
    let has_one = Path::new("/etc/txtgate/config.toml").exists();
    if has_one {
        skip(what, "this machine has /etc/txtgate/config.toml");
    }
    has_one
}

#[test]
fn a_file_of_the_current_folder_is_taken_by_no_command_that_does_not_name_it() {
    if has_system_configuration("commands without a configuration") {
        return;
    }
    let home = Home::new(&Settings::default());
    for arguments in [&["account", "create", "a b.example.com"][..], &["status"], &["txt", "list"], &["backup", "x"]] {
        let output = unnamed(home.path(), arguments).output().unwrap();
        let said = said(&output);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains("/etc/txtgate/config.toml"), "{said}");
        assert!(said.contains(&format!("{BINARY} -c ./config.toml {}", arguments[0])), "{said}");
    }
    assert!(!home.database().exists(), "no other database is begun");
    let named = unnamed(home.path(), &["-c", "./config.toml", "account", "create", "example.com"]).output().unwrap();
    assert!(named.status.success(), "{}", said(&named));
}

#[test]
fn serve_and_check_take_the_file_of_the_current_folder_and_say_so_first() {
    if has_system_configuration("serve without a configuration") {
        return;
    }
    let home = Home::new(&Settings::default());
    let output = unnamed(home.path(), &["config", "check"]).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let path = home.path().canonicalize().unwrap().join("config.toml");
    assert!(String::from_utf8_lossy(&output.stdout).starts_with(&format!("{} is right", path.display())));
    // A configuration that ends the start, so that there is nothing to stop.
    std::fs::write(home.config(), "databas = 1\n").unwrap();
    let said = said(&unnamed(home.path(), &["serve"]).output().unwrap());
    assert!(said.lines().next().unwrap().contains(&path.display().to_string()), "{said}");
}

#[test]
fn a_file_that_others_could_have_written_is_taken_only_by_name() {
    if has_system_configuration("a configuration of others") {
        return;
    }
    let home = Home::new(&Settings::default());
    std::fs::set_permissions(home.path(), PermissionsExt::from_mode(0o777)).unwrap();
    let output = unnamed(home.path(), &["serve"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = said(&output);
    assert!(said.contains("others can write") && said.contains("-c ./config.toml serve"), "{said}");
    home.run_ok(&["config", "check"]);
}

#[test]
fn without_any_configuration_the_places_are_named() {
    if has_system_configuration("no configuration") {
        return;
    }
    let nowhere = tempfile::tempdir().unwrap();
    for arguments in [&["serve"][..], &["status"], &["config", "check"]] {
        let output = unnamed(nowhere.path(), arguments).output().unwrap();
        let said = said(&output);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("/etc/txtgate/config.toml") && said.contains("--config FILE"), "{said}");
    }
}

/// In a mount namespace with an `/etc` of its own: the machine's configuration, and another in the current folder.
#[test]
fn commands_find_the_machines_daemon_wherever_they_are_typed() {
    let what = "the machine's configuration";
    let [machine, checkout] = [(); 2].map(|()| Home::new(&Settings::default()));
    let script =
        "mount -t tmpfs none /etc && mkdir /etc/txtgate && cp \"$1/config.toml\" /etc/txtgate/config.toml || exit 99
        sed -i \"1i database = \\\"$1/txtgate.db\\\"\" /etc/txtgate/config.toml
        cd \"$2\" && \"$3\" account create example.com";
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--mount", "sh", "-c", script, "sh"]);
    let Ok(output) = command.args([machine.path(), checkout.path(), Path::new(BINARY)]).output() else {
        return skip(what, "there is no unshare");
    };
    let said = said(&output);
    if output.status.code() == Some(99) || said.contains("unshare") {
        return skip(what, &said);
    }
    assert!(output.status.success(), "{said}");
    let database = machine.database();
    assert!(said.contains(&format!("changed in the database {}", database.display())), "{said}");
    assert!(database.exists() && !checkout.database().exists());
}

#[test]
fn a_change_says_which_daemon_or_database_it_changed() {
    let home = Home::new(&Settings::default());
    let database = format!("changed in the database {}", home.database().display());
    let created = home.run(&["account", "create", "example.com", "--subdomain", "shop", "--json"]);
    assert!(said(&created).contains(&database), "{}", said(&created));
    assert_eq!(String::from_utf8_lossy(&created.stdout).lines().count(), 1, "standard output has the reply alone");
    assert_eq!(said(&home.run(&["account", "list"])), "", "nothing is changed");
    let daemon = home.start();
    let socket = format!("changed by the daemon on {}", home.path().join("txtgate.sock").display());
    for arguments in [&["account", "disable", "shop"][..], &["account", "delete", "shop"], &["enrol", "create"]] {
        let output = home.run(arguments);
        assert!(output.status.success() && said(&output).contains(&socket), "{arguments:?}: {}", said(&output));
    }
    drop(daemon);
}
