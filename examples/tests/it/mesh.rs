//! Goal: whatever dies and lies, the main job ends with the file or with the truth about its loss, and with balanced
//! books. Method: real files of every scheme through the whole job in this process, over several seeds, with the exact
//! content compared where it came back.

use core::time::Duration;
use std::path::{Path, PathBuf};

use clap::Parser;
use inos_examples::mesh::{Failure, Options, Progress, Report, run};
use inos_examples::rng::Rng;
use tempfile::TempDir;

/// A file of `len` bytes of which half compress.
fn file(folder: &TempDir, len: usize) -> PathBuf {
    let mut rng = Rng::new(len as u64, "content");
    let mut content = Vec::with_capacity(len + 16);
    while content.len() < len {
        content.extend_from_slice(&rng.next_u64().to_le_bytes());
        content.extend_from_slice(b"the rest");
    }
    content.truncate(len);
    let path = folder.path().join(format!("{len}.bin"));
    std::fs::write(&path, content).unwrap();
    path
}

fn options(file: &Path, more: &[&str]) -> Options {
    let file = file.to_str().unwrap();
    Options::parse_from(["mesh", file].into_iter().chain(more.iter().copied()))
}

fn mesh(file: &Path, more: &[&str]) -> Report {
    run(&options(file, more), Progress::Silent).unwrap()
}

/// What must hold after any run: the books balance, the charge follows the file, and a loss is named.
fn assert_honest(report: &Report) {
    let json = report.to_json();
    assert!(report.is_conserved(), "{json}");
    for round in &report.rounds {
        assert!(round.pieces_repaired <= round.pieces_lost, "{json}");
    }
    let held = json["held"].as_u64().unwrap();
    if report.is_intact() {
        assert_eq!((report.captured, report.released), (held, 0), "{json}");
        assert!(report.lost.is_empty() && !report.manifest_lost, "{json}");
    } else {
        assert_eq!((report.captured, report.released), (0, held), "{json}");
        assert!(!report.lost.is_empty() || report.manifest_lost, "{json}");
        for lost in &report.lost {
            assert!(lost.present < lost.needed, "{json}");
        }
    }
}

#[test]
fn files_of_every_scheme_come_back() {
    let folder = TempDir::new().unwrap();
    for len in [0, 1, 900_000, (1 << 20) - 1, 1 << 20, 5_000_001] {
        for seed in ["1", "7", "99"] {
            let out = folder.path().join("out");
            let source = file(&folder, len);
            let report = mesh(&source, &["--kill", "15%", "--seed", seed, "--out", out.to_str().unwrap()]);
            assert_honest(&report);
            assert!(report.is_intact(), "{}", report.to_json());
            assert_eq!(report.losses().0, 105 + report.rounds[3].unreachable.len());
            assert!(std::fs::read(&source).unwrap() == std::fs::read(&out).unwrap(), "{len} bytes differ");
            std::fs::remove_file(out).unwrap();
        }
    }
}

#[test]
fn a_large_file_is_repaired_among_liars() {
    let folder = TempDir::new().unwrap();
    let source = file(&folder, 101 << 20);
    let mut rejected = 0;
    for seed in ["7", "8", "9"] {
        // Nearly all of these nodes hold pieces, mostly the two liars among them.
        let report = mesh(&source, &["--nodes", "140", "--kill", "15%", "--seed", seed]);
        assert_honest(&report);
        assert!(report.is_intact(), "{}", report.to_json());
        assert!(report.losses().1 > 0, "nothing was repaired: {}", report.to_json());
        let first = &report.rounds[0];
        assert!(first.deposed.is_some() && first.primary.is_some() && first.primary != first.deposed, "no failover");
        assert!(first.group.as_ref().is_some_and(|group| group.ends_with("7 voters now")), "{:?}", first.group);
        assert_eq!(first.detected_after, Duration::from_secs(5), "silence is borne for five seconds, not less or more");
        assert_eq!(first.unreachable.len(), first.killed);
        // Who sent something bad is known by name, and nobody honest is.
        let json = report.to_json();
        let caught = json["nodes_caught"].as_array().unwrap().len() as u64;
        assert_eq!(caught > 0, report.rejected() > 0, "{json}");
        assert!(caught <= json["liars"].as_u64().unwrap(), "{json}");
        rejected += report.rejected();
    }
    assert!(rejected > 0, "no liar was met");
}

#[test]
fn too_much_at_once_is_named_and_not_charged() {
    let folder = TempDir::new().unwrap();
    let large = file(&folder, 101 << 20);
    let out = folder.path().join("out");
    let report = mesh(&large, &["--kill", "60%", "--waves", "1", "--out", out.to_str().unwrap()]);
    assert_honest(&report);
    assert!(!report.is_intact() && !report.lost.is_empty(), "{}", report.to_json());
    assert!(!out.exists() && !folder.path().join("out.partial").exists(), "an incomplete file was left");

    let report = mesh(&file(&folder, 1), &["--kill", "100%", "--waves", "1"]);
    assert_honest(&report);
    assert!(!report.is_intact() && report.manifest_lost);
    assert_eq!(report.rounds[0].pieces_lost, report.to_json()["granted"], "every copy died, and no other was made");
}

#[test]
fn one_wave_ends_with_the_file_or_the_truth() {
    let folder = TempDir::new().unwrap();
    let (mut intact, mut lost) = (0, 0);
    for len in [700_000, 3_000_000] {
        let source = file(&folder, len);
        for seed in 0..12 {
            let (kill, seed) = (format!("{}%", 50 + 4 * seed), seed.to_string());
            let report = mesh(&source, &["--nodes", "60", "--kill", &kill, "--waves", "1", "--seed", &seed]);
            assert_honest(&report);
            *(if report.is_intact() { &mut intact } else { &mut lost }) += 1;
        }
    }
    assert!(intact > 0 && lost > 0, "{intact} intact, {lost} lost: one of the cases was not met");
}

#[test]
fn the_seed_repeats_the_run() {
    let folder = TempDir::new().unwrap();
    let source = file(&folder, 3_000_000);
    let trace = |seed: &str| {
        let text = mesh(&source, &["--seed", seed]).to_json().to_string();
        let fields = text.split(',').filter(|field| !field.contains("took_ms") && !field.contains("read_ms"));
        fields.collect::<Vec<_>>().join(",")
    };
    assert_eq!(trace("5"), trace("5"));
    assert_ne!(trace("5"), trace("6"));
}

#[test]
fn small_meshes_and_small_budgets_are_told_what_they_can_have() {
    let folder = TempDir::new().unwrap();
    let source = file(&folder, 3_000_000);
    let report = mesh(&source, &["--nodes", "8", "--kill", "0%"]);
    assert_honest(&report);
    assert!(report.is_intact());
    let poor = run(&options(&source, &["--budget", "0"]), Progress::Silent);
    let Err(Failure::Refused(problem)) = poor else { panic!("{poor:?}") };
    assert!(problem.contains("--budget"), "{problem}");
}
