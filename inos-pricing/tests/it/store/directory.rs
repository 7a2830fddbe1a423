//! Files in a real directory: nothing can crash the machine here, but processes can be killed.

use core::sync::atomic::{AtomicU64, Ordering};
use std::{
    env, fs,
    io::{BufRead, BufReader, ErrorKind},
    path::{Path, PathBuf},
    process::{self, Command, Stdio},
};

use inos_pricing::{FileError, FileName, FileOperation, FileStore, JournalStore, Listing, Part, Sequence};

use super::laws::{Place, laws};

/// A new directory, removed with the value.
pub(crate) struct Scratch {
    pub(crate) path: PathBuf,
}

impl Scratch {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!("inos-pricing-{}-{}", process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Self { path }
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(&self.path).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

impl Place for Scratch {
    type Store = FileStore;

    fn open(&mut self) -> FileStore {
        FileStore::open(&self.path).unwrap()
    }

    fn crash(&mut self, store: FileStore, _seed: u64) {
        drop(store);
    }
}

laws!(file_store_in_a_directory, Scratch::new());

#[test]
fn the_directory_is_made_and_its_parent_is_not() {
    let scratch = Scratch::new();
    let inner = scratch.path.join("ledger");
    let mut store = FileStore::open(&inner).unwrap();
    store.start_segment(1).unwrap();
    store.put_snapshot(Sequence(12), b"x").unwrap();
    drop(store);
    let mut names: Vec<_> = fs::read_dir(&inner).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["journal-00000000000000000001", "journal.lock", "snapshot-00000000000000000012"]);

    let error = FileStore::open(scratch.path.join("a/b")).unwrap_err();
    assert!(matches!(
        error,
        FileError::Io { operation: FileOperation::OpenDirectory, name: FileName::Directory, source }
            if source.kind() == ErrorKind::NotFound
    ));
    let file = inner.join("journal.lock");
    assert!(matches!(FileStore::open(file), Err(FileError::Io { .. })), "a file is no directory");
}

#[test]
fn leftovers_go_and_foreign_files_stay() {
    let scratch = Scratch::new();
    let foreign = [
        "journal-1",
        "journal-00000000000000000001.tmp",
        "journal-0000000000000000000x",
        "journal-+0000000000000000001",
        "journal-99999999999999999999",
        "snapshot-000000000000000000001",
        "snapshot-00000000000000000001.tmp.tmp",
        "snapshot-00000000000000000001.bak",
        "notes.tmp",
    ];
    for name in foreign {
        fs::write(scratch.path.join(name), name).unwrap();
    }
    fs::create_dir(scratch.path.join("journal-00000000000000000007")).unwrap();
    fs::write(scratch.path.join("snapshot-00000000000000000001.tmp"), "half").unwrap();
    fs::write(scratch.path.join("snapshot-00000000000000000002"), "whole").unwrap();

    let mut store = FileStore::open(&scratch.path).unwrap();
    assert_eq!(store.list().unwrap(), Listing { segments: vec![], snapshots: vec![Sequence(2)] });
    store.start_segment(3).unwrap();
    store.drop_before(u64::MAX, Sequence(u64::MAX)).unwrap();
    let mut expected = foreign.to_vec();
    expected.extend(["journal-00000000000000000003", "journal-00000000000000000007", "journal.lock"]);
    expected.sort_unstable();
    assert_eq!(scratch.names(), expected);
    for name in foreign {
        assert_eq!(fs::read_to_string(scratch.path.join(name)).unwrap(), name);
    }
}

#[test]
fn an_error_says_what_failed_and_where() {
    let scratch = Scratch::new();
    let mut store = FileStore::open(&scratch.path).unwrap();
    let error = store.read(Part::Segment(5)).unwrap_err();
    assert_eq!(error.to_string(), "reading failed on journal-00000000000000000005");
    assert!(matches!(error, FileError::Io { source, .. } if source.kind() == ErrorKind::NotFound));
}

#[test]
fn one_store_at_a_time() {
    let scratch = Scratch::new();
    let store = FileStore::open(&scratch.path).unwrap();
    assert!(matches!(FileStore::open(&scratch.path), Err(FileError::Locked)));
    drop(store);
    FileStore::open(&scratch.path).unwrap();
}

const CHILD: &str = "INOS_PRICING_CHILD_DIRECTORY";

/// Run by the next test in a process of its own: appends and syncs until it is killed.
#[test]
#[ignore = "a child of the next test"]
fn child() {
    let Some(path) = env::var_os(CHILD) else { return };
    let mut store = FileStore::open(Path::new(&path)).unwrap();
    store.start_segment(1).unwrap();
    for number in 0_u64.. {
        store.append(&number.to_le_bytes()).unwrap();
        store.sync().unwrap();
        println!("synced {number}");
    }
}

#[test]
fn a_killed_process_keeps_others_out_and_loses_nothing_that_it_synced() {
    for round in 1..=5 {
        let scratch = Scratch::new();
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["store::directory::child", "--exact", "--ignored", "--nocapture"])
            .env(CHILD, &scratch.path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(|line| line.unwrap());
        let number = |line: String| line.rsplit_once("synced ").map(|(_, number)| number.parse::<u64>().unwrap());
        let mut synced = lines.filter_map(number);
        let mut last = synced.by_ref().nth(20 * round).unwrap();
        assert!(matches!(FileStore::open(&scratch.path), Err(FileError::Locked)));
        child.kill().unwrap();
        last = synced.last().unwrap_or(last);
        child.wait().unwrap();

        let bytes = FileStore::open(&scratch.path).unwrap().read(Part::Segment(1)).unwrap();
        let (numbers, torn) = bytes.as_chunks::<8>();
        assert!(torn.is_empty(), "a write of eight bytes is not torn by a kill");
        assert!(numbers.iter().enumerate().all(|(index, bytes)| u64::from_le_bytes(*bytes) == index as u64));
        assert!(numbers.len() as u64 > last);
    }
}
