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
    for option in ["--out", "--report"] {
        let missing = folder.path().join("missing/out");
        assert_refused(&[option, missing.to_str().unwrap()], "missing");
        assert_refused(&[option, folder.path().to_str().unwrap()], "directory");
    }
}

#[test]
fn what_is_written_harms_nothing_that_is_there() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (file, other, draft) = (path("file"), path("other"), path("new.partial"));
    for (name, content) in [(&file, "stored"), (&other, "old"), (&draft, "somebody's")] {
        std::fs::write(name, content).unwrap();
    }
    let read = |name: &str| std::fs::read_to_string(name).unwrap();

    for option in ["--out", "--report"] {
        assert_refused(&[&file, option, &file], "the file to be stored");
        assert_refused(&[&file, option, &path("new")], "new.partial");
        assert_refused(&[&draft, option, &path("new")], "new.partial");
    }
    assert_refused(&[&file, "--out", &other, "--report", &other], "both");
    assert_eq!([read(&file), read(&other), read(&draft)], ["stored", "old", "somebody's"]);

    // A refused run and a lost file leave what was there.
    assert_refused(&[&file, "--budget", "0", "--out", &other], "--budget");
    assert_eq!(mesh(&[&file, "--kill", "100%", "--out", &other]).status.code(), Some(1));
    assert_eq!(read(&other), "old");
    assert_eq!(mesh(&[&file, "--out", &other]).status.code(), Some(0));
    assert_eq!(read(&other), "stored");
    let mut left: Vec<_> = folder.path().read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["file", "new.partial", "other"]);
}

#[cfg(unix)]
#[test]
fn links_and_what_is_no_file_stay_what_they_are() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (file, target, link) = (path("file"), path("target"), path("link"));
    std::fs::write(&file, "stored").unwrap();
    std::fs::write(&target, "old").unwrap();
    std::os::unix::fs::symlink(&target, &link).unwrap();

    assert_eq!(mesh(&[&file, "--out", &link]).status.code(), Some(0));
    assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(std::fs::read_to_string(&target).unwrap(), "stored");
    let _socket = std::os::unix::net::UnixListener::bind(path("socket")).unwrap();
    assert_refused(&[&file, "--out", &path("socket")], "not a regular file");
    assert_refused(&[&link, "--report", &target], "the file to be stored");
}

#[cfg(target_os = "linux")]
#[test]
fn output_that_cannot_be_written_is_status_2() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "stored").unwrap();
    let full = || std::fs::File::options().write(true).open("/dev/full").unwrap();

    let output = Command::new(env!("CARGO_BIN_EXE_mesh")).arg(&file).stdout(full()).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("standard output"));
    let status = Command::new(env!("CARGO_BIN_EXE_mesh")).arg("no such file").stderr(full()).status().unwrap();
    assert_eq!(status.code(), Some(2), "no panic when there is nobody to tell");
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
