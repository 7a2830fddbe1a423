//! Goal: between processes too, every contestant brings every message, and a row has every peer and limit.
//!
//! Method: the program runs cases as its user would; it compares each answer itself and fails when one is wrong or a
//! process of its own fails. What it prints is parsed.

use std::process::Command;

use serde_json::Value;

fn row(case: &str) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_inos-sab-compare"));
    let output = command.args(["--quick", "--json", "--case", case]).output().expect("the program can be started");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{case}: {}{text}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(text.lines().count(), 1, "one line for one case: {text}");
    serde_json::from_str(&text).expect("a JSON object")
}

/// The names in a part of a row; each has a figure.
fn measured(row: &Value, part: &str) -> Vec<String> {
    let part = row[part].as_object().expect("an object");
    part.iter()
        .filter(|(_, value)| value.as_f64().is_some_and(|value| value > 0.0))
        .map(|(name, _)| name.clone())
        .collect()
}

#[test]
fn ends_that_spin_in_two_processes() {
    let row = row("roundtrip-spin-process");
    assert_eq!(measured(&row, "peers"), ["iceoryx2"]);
    assert_eq!(measured(&row, "limits"), ["pingpong"]);
    assert!(row["peers"]["rtrb"].is_null() && row["peers"]["crossbeam"].is_null(), "{row}");
    assert_eq!((row["unit"].as_str(), row["better"].as_str()), (Some("ns"), Some("lower")));
}

#[test]
fn ends_that_sleep_in_two_processes() {
    for case in ["roundtrip-block-process", "roundtrip-park-process"] {
        let row = row(case);
        assert_eq!(measured(&row, "peers"), ["iceoryx2", "pipe", "unix-socket"]);
        assert!(row["ours"].as_f64().is_some_and(|ours| ours > 0.0), "{row}");
    }
}

#[test]
fn payloads_go_by_handle_to_another_process() {
    for case in ["handle-64KiB", "handle-64KiB-no-touch"] {
        let row = row(case);
        assert_eq!(measured(&row, "peers"), ["iceoryx2", "unix-socket"]);
        assert_eq!(measured(&row, "limits"), ["memcpy"]);
        assert_eq!(row["rounds"], 5);
    }
}

#[test]
fn a_case_that_does_not_exist_is_refused() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_inos-sab-compare"));
    let output = command.args(["--case", "spsc-7"]).output().expect("the program can be started");
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("spsc-64"), "it says which there are");
}
