//! How many bytes a transfer makes of itself on disk.

use inos_pricing::Transaction;

use crate::Setting;
use crate::book::{Book, check, seconds};
use crate::contest::{Figures, Role};
use crate::directory::Directory;
use crate::double_entry::DoubleEntry;
use crate::on_disk::OursOnDisk;
use crate::replay::Journals;
use crate::report::{Better, Row, Target};
use crate::sqlite::Sqlite;
use crate::tables::Redb;
use crate::workload::{BATCH, balances_after, transfers};

pub(crate) fn run(name: &'static str, setting: &Setting) -> std::io::Result<Row> {
    let transfers = transfers(16);
    let count = transfers.len() as f64;
    let journal = Journals::of(&transfers).transfers.len() as f64 / count;
    let expected = balances_after(&transfers);
    let mut figures = vec![Figures::counted(OursOnDisk::NAME, Role::Ours, journal)];
    let mut absent = vec![DoubleEntry::NAME];
    let mut notes = vec![format!(
        "{} transfers in commits of {BATCH}; ours: the length of the journal; the others: bytes passed to write calls, log and \
         tables, less those of opening the accounts",
        transfers.len()
    )];
    let peers = [(Redb::NAME, on_disk::<Redb> as Count), (Sqlite::NAME, on_disk::<Sqlite>)];
    for (peer, count_bytes) in peers {
        match count_bytes(setting, &transfers, &expected)? {
            Some(bytes) => figures.push(Figures::counted(peer, Role::Peer, bytes / count)),
            None => absent.push(peer),
        }
    }
    match on_disk::<OursOnDisk>(setting, &transfers, &expected)? {
        Some(bytes) => notes.push(format!("ours counted like the others: {:.2}", bytes / count)),
        None => notes.push("the kernel does not count the bytes of write calls".into()),
    }
    notes.push(DoubleEntry::ABSENT.into());
    let shape = (name, "bytes/transfer", Better::Lower);
    Ok(Row::new(shape, &figures, &absent, &[Target::AtMost(64.0)], notes))
}

type Count = fn(&Setting, &[Transaction], &[u64]) -> std::io::Result<Option<f64>>;

fn on_disk<B: Book>(setting: &Setting, transfers: &[Transaction], expected: &[u64]) -> std::io::Result<Option<f64>> {
    let directory = Directory::create(&setting.dir)?;
    let mut book = B::open(directory.path());
    let before = by_process();
    seconds(&mut book, transfers, BATCH);
    let after = by_process();
    check(&mut book, expected);
    Ok(before.zip(after).map(|(before, after)| (after - before) as f64))
}

/// The bytes of all write calls of the process so far, `None` where the kernel does not count them.
fn by_process() -> Option<u64> {
    let counters = std::fs::read_to_string("/proc/self/io").ok()?;
    counters.lines().find_map(|line| line.strip_prefix("wchar: "))?.parse().ok()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::by_process;
    use crate::directory::Directory;

    /// Other tests write at the same time, so only a lower bound is certain.
    #[test]
    fn a_write_is_counted() {
        let directory = Directory::create(&std::env::temp_dir()).expect("the temporary directory is writable");
        let before = by_process().expect("Linux counts");
        std::fs::write(directory.path().join("file"), [0; 12_345]).expect("it is writable");
        assert!(by_process().expect("Linux counts") >= before + 12_345);
    }
}
