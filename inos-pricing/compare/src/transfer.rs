//! Transfers: in memory, and on disk before they are answered.

use alloc::rc::Rc;
use std::path::Path;

use inos_pricing::Transaction;

use crate::book::{Book, check, seconds};
use crate::contest::{Contestant, Figures, Role, Sliced, compete, compete_in_parts};
use crate::directory::Directory;
use crate::double_entry::DoubleEntry;
use crate::machine;
use crate::maps::{FoldMaps, SipMaps};
use crate::on_disk::OursOnDisk;
use crate::ours::Ours;
use crate::raw::{self, Raw};
use crate::replay::Journals;
use crate::report::{Better, Row, Target};
use crate::sqlite::Sqlite;
use crate::tables::Redb;
use crate::workload::{ACCOUNTS, BATCH, balances_after, transfers};
use crate::{Effort, Setting};

/// Batches of the first transfers for doubleentry, which takes as long for them as others for all.
const FEW: usize = 2;

pub(crate) fn memory(name: &'static str, setting: &Setting) -> Row {
    // Of ours 240 MB, and 570 MB.
    let all = transfers(if setting.effort == Effort::QUICK { 256 } else { 611 });
    let few = &all[..FEW * BATCH];
    let (expected, expected_of_few) = (balances_after(&all), balances_after(few));
    let turns = vec![
        Contestant::new(Ours::NAME, Role::Ours, || thousands_per_second::<Ours>(&all, &expected)),
        Contestant::new(SipMaps::NAME, Role::Limit, || thousands_per_second::<SipMaps>(&all, &expected)),
        Contestant::new(FoldMaps::NAME, Role::Limit, || thousands_per_second::<FoldMaps>(&all, &expected)),
        Contestant::new(DoubleEntry::NAME, Role::Peer, || thousands_per_second::<DoubleEntry>(few, &expected_of_few)),
    ];
    let figures = compete(turns, setting.effort.rounds);
    let notes = vec![
        format!(
            "{} transfers with ids of their own, all of them kept, in batches of {BATCH} between {ACCOUNTS} \
             accounts; tables grow in the timed part; final balances are equal",
            all.len()
        ),
        Ours::NOTE.into(),
        "maps: two std hash maps with SipHash-1-3, balances and ids that were seen, no double entry, no verdicts, no journal; \
         maps-foldhash: the same with a quicker hasher that has a key"
            .into(),
        DoubleEntry::NOTE.into(),
        format!("doubleentry: the first {} of the transfers", few.len()),
    ];
    let targets = [Target::TimesAsFastAs(1.5, SipMaps::NAME)];
    Row::new((name, "k transfers/s", Better::Higher), &figures, &[], &targets, notes)
}

/// A book of its own in each turn.
fn thousands_per_second<B: Book>(transfers: &[Transaction], expected: &[u64]) -> f64 {
    let mut book = B::open(Path::new(""));
    let seconds = seconds(&mut book, transfers, BATCH);
    check(&mut book, expected);
    transfers.len() as f64 / seconds / 1e3
}

/// One transfer in each commit.
pub(crate) fn durable_single(name: &'static str, setting: &Setting) -> std::io::Result<Row> {
    let disk =
        Disk { dir: &setting.dir, transfers: &transfers(1)[..setting.effort.units(300) as usize], len: 1, part: 10 };
    let commits = disk.transfers.len() as f64;
    let figures = disk.compete(128, setting.effort.rounds, |seconds| seconds * 1e6 / commits);
    let notes = disk.notes(&["fdatasync: 128 bytes appended to a new file, and fdatasync".into()]);
    let targets = [
        Target::AtMostTimes(1.2, raw::NAME),
        Target::TimesAsFastAs(1.0, Redb::NAME),
        Target::TimesAsFastAs(1.0, Sqlite::NAME),
    ];
    Ok(Row::new((name, "us/commit", Better::Lower), &figures, &[DoubleEntry::NAME], &targets, notes))
}

/// A full batch in each commit.
pub(crate) fn durable_batches(name: &'static str, setting: &Setting) -> std::io::Result<Row> {
    let transfers = transfers(setting.effort.units(16) as usize);
    let disk = Disk { dir: &setting.dir, transfers: &transfers, len: BATCH, part: 1 };
    let thousands = transfers.len() as f64 / 1e3;
    let group_len = Journals::of(&transfers[..BATCH]).transfers.len();
    let figures = disk.compete(group_len, setting.effort.rounds, |seconds| thousands / seconds);
    let directory = Directory::create(&setting.dir)?;
    let single = Raw::create(directory.path(), 128)?.seconds(200)? / 200.0 * 1e6;
    let notes = disk.notes(&[
        format!("fdatasync: {group_len} bytes, as many as ours, appended to a new file in one write, and fdatasync"),
        format!("128 bytes and fdatasync: {single:.0} us"),
    ]);
    let targets = [Target::TimesAsFastAs(4.0, Sqlite::NAME)];
    Ok(Row::new((name, "k transfers/s", Better::Higher), &figures, &[DoubleEntry::NAME], &targets, notes))
}

/// What the books on disk compete for.
#[derive(Clone, Copy)]
struct Disk<'a> {
    /// The parent of their directories.
    dir: &'a Path,
    transfers: &'a [Transaction],
    /// Of a commit.
    len: usize,
    /// Commits between those of the others.
    part: usize,
}

impl<'a> Disk<'a> {
    fn compete(self, raw_len: usize, rounds: usize, figure: impl Fn(f64) -> f64) -> Vec<Figures> {
        let expected = Rc::new(balances_after(self.transfers));
        let contestants = vec![
            self.book::<OursOnDisk>(Role::Ours, &expected),
            self.raw(raw_len),
            self.book::<Redb>(Role::Peer, &expected),
            self.book::<Sqlite>(Role::Peer, &expected),
        ];
        compete_in_parts(contestants, self.transfers.len().div_ceil(self.len * self.part), rounds, figure)
    }

    /// In a directory of its own in each turn.
    fn book<B: Book + 'a>(self, role: Role, expected: &Rc<Vec<u64>>) -> Sliced<'a> {
        let expected = Rc::clone(expected);
        Sliced::new(B::NAME, role, move || {
            let directory = Directory::create(self.dir).expect("the directory can be written");
            // The book is dropped before its directory is removed.
            let mut state = (B::open(directory.path()), directory);
            let mut rest = self.transfers;
            let expected = Rc::clone(&expected);
            Box::new(move || {
                let (part, after) = rest.split_at(rest.len().min(self.len * self.part));
                let seconds = seconds(&mut state.0, part, self.len);
                rest = after;
                if rest.is_empty() {
                    check(&mut state.0, &expected);
                }
                seconds
            })
        })
    }

    fn raw(self, len: usize) -> Sliced<'a> {
        Sliced::new(raw::NAME, Role::Limit, move || {
            let directory = Directory::create(self.dir).expect("the directory can be written");
            let mut state = (Raw::create(directory.path(), len).expect("the file can be written"), directory);
            Box::new(move || state.0.seconds(self.part).expect("the file can be written"))
        })
    }

    fn notes(self, others: &[String]) -> Vec<String> {
        let what = format!(
            "{} transfers in each round, {} in each commit, {ACCOUNTS} accounts; a directory of its own in each turn, on {}; \
             everybody commits {} at a time in turn; final balances are equal",
            self.transfers.len(),
            self.len,
            machine::file_system(self.dir),
            self.part
        );
        let peers = [Redb::NOTE, Sqlite::NOTE, DoubleEntry::ABSENT].map(String::from);
        [&[what, OursOnDisk::NOTE.into()], others, &peers].concat()
    }
}
