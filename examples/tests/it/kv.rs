//! Goal: `replicated-kv` keeps its promises about writes, processes and files. Method: the built program, with short runs,
//! in a temporary folder of its own that has to be empty afterwards.

use core::time::Duration;
use std::io::ErrorKind;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Instant;

use tempfile::TempDir;

fn program(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_replicated-kv"));
    command.args(arguments).env("TMPDIR", folder).env("TEMP", folder).env("TMP", folder);
    command
}

fn is_empty(folder: &Path) -> bool {
    folder.read_dir().unwrap().next().is_none()
}

#[allow(clippy::disallowed_methods, reason = "processes are waited for in real time")]
fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let started = Instant::now();
    while !done() {
        assert!(started.elapsed() < Duration::from_secs(20), "{what} took too long");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn assert_intact(arguments: &[&str], kills: usize) -> serde_json::Value {
    let folder = TempDir::new().unwrap();
    let output = program(folder.path(), arguments).arg("--json").output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stderr.is_empty() && is_empty(folder.path()));
    let report: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!((&report["intact"], &report["members_agree"]), (&true.into(), &true.into()));
    assert!(report["writes"].as_u64().unwrap() > 0 && report["session_reads"].as_u64().unwrap() > 0);
    let failovers = report["failovers"].as_array().unwrap();
    assert_eq!(failovers.len(), kills);
    for failover in failovers {
        assert!(failover["to_first_commit_ms"].as_f64().unwrap() > 0.0);
        assert!(failover["torn_bytes"].as_u64().unwrap() > 0, "the journal was torn, and the tail cut");
    }
    report
}

#[test]
fn no_write_is_lost_or_applied_twice_when_primaries_die() {
    let report = assert_intact(&["--seconds", "3", "--kills", "2", "--clients", "4"], 2);
    assert_eq!((&report["voters"], &report["fast_receipts"]), (&3.into(), &0.into()));
    let report =
        assert_intact(&["--seconds", "2", "--kills", "1", "--clients", "4", "--mode", "fast", "--voters", "5"], 1);
    assert!(report["fast_receipts"].as_u64().unwrap() > 0);
    assert_intact(&["--seconds", "2", "--kills", "1", "--clients", "2", "--mode", "flex:1"], 1);
}

#[test]
fn unusable_arguments_are_status_2() {
    let folder = TempDir::new().unwrap();
    for (arguments, hint) in [
        (&["--no-such-flag"][..], "--no-such-flag"),
        (&["--voters", "0"], "1..=9"),
        (&["--mode", "quick"], "majority, fast, fast-safe, or flex:W"),
        (&["--mode", "flex:4"], "not so many voters"),
        (&["--seconds", "0"], "1..=3600"),
    ] {
        let Output { status, stdout, stderr } = program(folder.path(), arguments).output().unwrap();
        let said = String::from_utf8(stderr).unwrap();
        assert_eq!(status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains(hint) && stdout.is_empty(), "{arguments:?} should be told about {hint}: {said}");
    }
    assert!(is_empty(folder.path()));
}

#[test]
fn help_names_every_option_and_status() {
    let help = program(Path::new("."), &["--help"]).output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    for word in ["--voters", "--mode", "--seconds", "--kills", "--clients", "--json", "Exit status"] {
        assert!(help.contains(word), "{word} is missing: {help}");
    }
}

/// A member of its own group, which ends with the pipe to it.
fn member(root: &Path, start: &str) -> Child {
    let root = root.to_str().unwrap();
    let arguments = ["node", "--id", "0", "--voters", "1", "--mode", "majority", "--start", start, "--root", root];
    program(Path::new(root), &arguments).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn assert_refuses_to_start(root: &Path, start: &str, hint: &str) {
    let mut member = member(root, start);
    let pipe = member.stdin.take();
    let output = member.wait_with_output().unwrap();
    drop(pipe);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains(hint), "{start}: {said}");
}

#[test]
fn a_member_is_founded_once_and_recovers_only_what_is_there() {
    let root = TempDir::new().unwrap();
    let journal = root.path().join("node-0/journal");
    assert_refuses_to_start(root.path(), "recover", "lost its memory");

    let mut founder = member(root.path(), "found");
    // The first record is the state of the founder. Behind it comes its vote for itself.
    wait_until("voting", || {
        let bytes = std::fs::read(&journal).unwrap();
        bytes.get(4..8).is_some_and(|len| bytes.len() > 24 + u32::from_le_bytes(len.try_into().unwrap()) as usize)
    });
    founder.kill().unwrap();
    founder.wait().unwrap();
    assert_refuses_to_start(root.path(), "found", "there is a journal already");

    // Damage at the beginning, with intact records behind it.
    let mut bytes = std::fs::read(&journal).unwrap();
    bytes[30] ^= 1;
    std::fs::write(&journal, bytes).unwrap();
    assert_refuses_to_start(root.path(), "recover", "damaged at byte 0");
}

#[cfg(unix)]
#[test]
fn members_end_with_their_driver_and_leave_nothing_behind() {
    let folder = TempDir::new().unwrap();
    let mut driver = program(folder.path(), &["--seconds", "60"]).stdout(Stdio::null()).spawn().unwrap();
    let is_running = || {
        let mut roots = folder.path().read_dir().unwrap();
        roots.next().is_some_and(|root| {
            (0..3).all(|node| root.as_ref().unwrap().path().join(format!("address-{node}")).exists())
        })
    };
    wait_until("starting", is_running);
    driver.kill().unwrap();
    driver.wait().unwrap();
    // The last member removes the last file.
    wait_until("ending", || match folder.path().read_dir() {
        Ok(mut left) => left.next().is_none(),
        Err(error) => error.kind() != ErrorKind::NotFound,
    });
}
