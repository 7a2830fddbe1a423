//! Goal: exit status, messages and machine-readable output of the program itself. Method: the built binary in a process
//! of its own.

use std::process::{Command, Output};

use tempfile::TempDir;

fn mesh(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_mesh")).args(arguments).output().unwrap()
}

fn assert_refused(arguments: &[&str], hint: &str) {
    let output = mesh(arguments);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
    assert!(said.contains(hint), "{arguments:?} should be told about {hint}: {said}");
    assert!(output.stdout.is_empty());
}

#[test]
fn unusable_arguments_and_files_are_status_2() {
    let folder = TempDir::new().unwrap();
    assert_refused(&["--no-such-flag"], "--no-such-flag");
    assert_refused(&["--kill", "101%"], "from 0% to 100%");
    assert_refused(&["--waves", "0"], "1..=100");
    assert_refused(&["--nodes", "7"], "8..=10000");
    assert_refused(&["no such file"], "no such file");
    assert_refused(&[folder.path().to_str().unwrap()], "directory");
    let out = folder.path().join("missing/out");
    assert_refused(&["--out", out.to_str().unwrap()], "missing");
}

#[test]
fn the_status_tells_whether_the_file_came_back() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, vec![7; 2_000_000]).unwrap();
    let file = file.to_str().unwrap();

    let output = mesh(&[file, "--json", "--seed", "7"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stderr.is_empty(), "progress belongs on terminals");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["intact"], &report["credits_conserved"]), (&true.into(), &true.into()));
    assert_eq!(report["bytes"], 2_000_000);

    let page = folder.path().join("report.html");
    let output = mesh(&[file, "--kill", "100%", "--waves", "1", "--report", page.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    let page = std::fs::read_to_string(page).unwrap();
    assert!(page.starts_with("<!doctype html>") && page.contains("<p>LOST: "), "{page}");
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("LOST"), "{said}");
}

#[test]
fn help_names_every_option_and_status() {
    let help = String::from_utf8(mesh(&["--help"]).stdout).unwrap();
    for word in ["--nodes", "--kill", "--waves", "--seed", "--budget", "--out", "--report", "--json", "Exit status"] {
        assert!(help.contains(word), "{word} is missing: {help}");
    }
}
