//! The records of a member in a file: appended, made durable, replaced by a checkpoint, read back after a crash.
//!
//! What to notice: what the group demands of storage. Records stay in order, a crash may lose the newest but none from the
//! middle, and none that `Group::persisted` was called for. Hence
//!
//! - [`Journal::sync`] returns only after the system said that the bytes are on the device, and only then is `persisted`
//!   called;
//! - a checkpoint goes into a new file that takes the place of the old one in a single step (`rename`), once it is
//!   durable: at every instant one of the two is whole;
//! - what a crash left half-written at the end, the torn tail, is cut off before anything is appended. It was never
//!   reported, so nobody relies on it. Damage in front of something that had been synced is another matter: a vote or an
//!   acknowledged write may be in there. Then the member must not start from this file ([`JournalError::Damaged`]).
//!
//! One record: magic 4 bytes, length 4, synced 8, checksum 8, payload; little-endian. `synced` is how much of the file
//! was durable when the record was written. It tells damage from a torn tail: an intact record that counts on what is
//! not intact proves that the latter had been synced. (Damage in the very last batch looks like a torn tail to any file
//! format; a device that loses synced bytes is outside the failure model.)

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64;

const MAGIC: [u8; 4] = *b"KVJ1";
const HEADER: usize = 24;

/// Why a member cannot start from its journal.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The file cannot be read or written.
    #[error("the journal cannot be used: {0}")]
    Io(#[from] io::Error),
    /// The device: a record that was durable is not intact any more. The member's memory is lost; it comes back as a
    /// new member, with `Boot::Join`.
    #[error("the journal is damaged at byte {at}, in front of records that were durable")]
    Damaged {
        /// Where the damaged record begins.
        at: u64,
    },
}

/// A journal open for appending.
#[derive(Debug)]
pub struct Journal {
    folder: PathBuf,
    file: File,
    /// Bytes of the file that are durable. All before `pending`.
    synced: u64,
    /// Records since the last [`sync`](Self::sync).
    pending: Vec<u8>,
    /// The file is still the new one, beside the one that it is to replace.
    replaces: bool,
}

/// What was found at the start.
#[derive(Debug)]
pub struct Found {
    /// The journal, cut to what is intact.
    pub journal: Journal,
    /// Its records, oldest first; none at the very first start.
    pub records: Vec<Vec<u8>>,
    /// Bytes of the torn tail that was cut off.
    pub torn_bytes: u64,
}

impl Journal {
    /// Opens the journal in `folder`, or begins one.
    ///
    /// # Errors
    /// [`JournalError`]; the file is as it was.
    pub fn open(folder: &Path) -> Result<Found, JournalError> {
        // A checkpoint that did not become durable in time to take the journal's place.
        match fs::remove_file(next_path(folder)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        let path = path(folder);
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path)?;
        let bytes = fs::read(&path)?;
        let (records, intact) = scan(&bytes)?;
        let synced = intact as u64;
        let torn_bytes = bytes.len() as u64 - synced;
        file.set_len(synced)?;
        file.seek(SeekFrom::End(0))?;
        // What was read may have been in the system's memory only, and a new file's name as well.
        file.sync_all()?;
        sync_folder(folder)?;
        let journal = Self { folder: folder.to_owned(), file, synced, pending: Vec::new(), replaces: false };
        Ok(Found { journal, records, torn_bytes })
    }

    /// Adds a record. It counts for nothing until [`sync`](Self::sync).
    ///
    /// # Panics
    /// When the record is longer than 4 GiB.
    pub fn append(&mut self, record: &[u8]) {
        put_record(&mut self.pending, self.synced, record);
    }

    /// Begins anew with `record`, which makes all before it superfluous. They stay until the next
    /// [`sync`](Self::sync).
    ///
    /// # Errors
    /// The new file cannot be created; use the journal no more.
    ///
    /// # Panics
    /// When the record is longer than 4 GiB.
    pub fn replace(&mut self, record: &[u8]) -> io::Result<()> {
        self.file = File::create(next_path(&self.folder))?;
        (self.synced, self.replaces) = (0, true);
        self.pending.clear();
        self.append(record);
        Ok(())
    }

    /// Makes all records durable.
    ///
    /// # Errors
    /// What is in the file now is unknown: after a failed sync the system may have dropped the bytes and forgotten the
    /// failure, so trying again proves nothing. Use the journal no more; open it anew.
    pub fn sync(&mut self) -> io::Result<()> {
        self.file.write_all(&self.pending)?;
        self.file.sync_data()?;
        self.synced += self.pending.len() as u64;
        self.pending.clear();
        if self.replaces {
            fs::rename(next_path(&self.folder), path(&self.folder))?;
            sync_folder(&self.folder)?;
            self.replaces = false;
        }
        Ok(())
    }

    /// Bytes of the journal that are durable.
    #[must_use]
    pub const fn synced_bytes(&self) -> u64 {
        self.synced
    }
}

/// Leaves the journal in `folder` as a power failure in the middle of an append might.
///
/// # Errors
/// The file cannot be written.
pub fn tear(folder: &Path) -> io::Result<()> {
    let mut file = OpenOptions::new().append(true).open(path(folder))?;
    let mut record = Vec::new();
    put_record(&mut record, file.metadata()?.len(), b"half of this never arrived");
    file.write_all(&record[..record.len() / 2])
}

fn path(folder: &Path) -> PathBuf {
    folder.join("journal")
}

fn next_path(folder: &Path) -> PathBuf {
    folder.join("journal.new")
}

/// A new name is durable once its folder is.
fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

fn put_record(out: &mut Vec<u8>, synced: u64, record: &[u8]) {
    let len = u32::try_from(record.len()).expect("records are bounded by limits of the configuration, far below 4 GiB");
    let mut sealed = Vec::with_capacity(12 + record.len());
    sealed.extend_from_slice(&len.to_le_bytes());
    sealed.extend_from_slice(&synced.to_le_bytes());
    sealed.extend_from_slice(record);
    let checksum = xxh3_64(&sealed);
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&sealed[..12]);
    out.extend_from_slice(&checksum.to_le_bytes());
    out.extend_from_slice(record);
}

/// The record at the beginning of `bytes`, if it is intact: what it says was synced, and its payload.
fn read_record(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let rest = bytes.strip_prefix(&MAGIC)?;
    let (len, rest) = rest.split_first_chunk()?;
    let (synced, rest) = rest.split_first_chunk()?;
    let (checksum, rest) = rest.split_first_chunk()?;
    let payload = rest.get(..usize::try_from(u32::from_le_bytes(*len)).ok()?)?;
    let sealed = [&len[..], &synced[..], payload].concat();
    (xxh3_64(&sealed) == u64::from_le_bytes(*checksum)).then_some((u64::from_le_bytes(*synced), payload))
}

/// The intact records, and where they end.
fn scan(bytes: &[u8]) -> Result<(Vec<Vec<u8>>, usize), JournalError> {
    let (mut records, mut at) = (Vec::new(), 0);
    while let Some((_, payload)) = read_record(&bytes[at..]) {
        records.push(payload.to_vec());
        at += HEADER + payload.len();
    }
    let relies = |from: usize| read_record(&bytes[from..]).is_some_and(|(synced, _)| synced > at as u64);
    if (at + 1..bytes.len()).any(relies) { Err(JournalError::Damaged { at: at as u64 }) } else { Ok((records, at)) }
}

#[cfg(test)]
mod tests {
    //! Goal: a journal gives back what was synced, whatever a crash did to the rest, and never less without saying so.
    //! Method: files cut and damaged at every byte.

    use super::*;
    use tempfile::TempDir;

    const RECORDS: [&[u8]; 4] = [b"a checkpoint", b"", b"one", b"another one"];

    /// A journal of all records, the first three synced one by one.
    fn written() -> (TempDir, Vec<u64>) {
        let folder = TempDir::new().unwrap();
        let mut journal = Journal::open(folder.path()).unwrap().journal;
        let mut ends = vec![0];
        for record in RECORDS {
            journal.append(record);
            journal.sync().unwrap();
            ends.push(journal.synced_bytes());
        }
        (folder, ends)
    }

    #[test]
    fn records_come_back_in_order_and_are_appended_to() {
        let (folder, _) = written();
        let Found { mut journal, records, torn_bytes } = Journal::open(folder.path()).unwrap();
        assert_eq!((records, torn_bytes), (RECORDS.map(<[u8]>::to_vec).to_vec(), 0));
        journal.append(b"later");
        journal.sync().unwrap();
        assert_eq!(Journal::open(folder.path()).unwrap().records.len(), 5);
    }

    #[test]
    fn a_torn_tail_is_cut_wherever_it_was_torn() {
        let (folder, ends) = written();
        let whole = fs::read(path(folder.path())).unwrap();
        for len in 0..whole.len() {
            fs::write(path(folder.path()), &whole[..len]).unwrap();
            let found = Journal::open(folder.path()).unwrap();
            let count = ends.iter().rposition(|&end| end <= len as u64).unwrap();
            assert_eq!((found.records.len(), found.torn_bytes), (count, len as u64 - ends[count]), "cut at {len}");
            assert_eq!(fs::metadata(path(folder.path())).unwrap().len(), ends[count]);
        }
        tear(folder.path()).unwrap();
        assert!(Journal::open(folder.path()).unwrap().torn_bytes > 0);
    }

    #[test]
    fn damage_in_front_of_what_was_synced_is_an_error() {
        let (folder, ends) = written();
        let whole = fs::read(path(folder.path())).unwrap();
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x10;
            fs::write(path(folder.path()), &damaged).unwrap();
            let record = ends.iter().rposition(|&end| end <= at as u64).unwrap();
            match Journal::open(folder.path()) {
                Err(JournalError::Damaged { at }) => assert!(record < 3 && at == ends[record]),
                found => assert_eq!((found.unwrap().records.len(), record), (3, 3), "damage at {at}"),
            }
            assert!(record == 3 || fs::read(path(folder.path())).unwrap() == damaged, "the evidence stays");
        }
    }

    #[test]
    fn an_unsynced_batch_may_lose_any_part_of_it() {
        let (folder, ends) = written();
        let Found { mut journal, .. } = Journal::open(folder.path()).unwrap();
        journal.append(b"these two");
        journal.append(b"in one batch");
        journal.sync().unwrap();
        let mut bytes = fs::read(path(folder.path())).unwrap();
        // The first of the two did not arrive; the second did.
        let first = usize::try_from(ends[4]).unwrap();
        bytes[first..first + 30].fill(0);
        fs::write(path(folder.path()), &bytes).unwrap();
        assert_eq!(Journal::open(folder.path()).unwrap().records.len(), 4);
    }

    #[test]
    fn a_checkpoint_replaces_all_once_it_is_durable() {
        let (folder, _) = written();
        let Found { mut journal, .. } = Journal::open(folder.path()).unwrap();
        journal.append(b"superfluous");
        journal.replace(b"a new checkpoint").unwrap();
        journal.append(b"after it");
        drop(journal); // a crash before the sync
        let Found { mut journal, records, .. } = Journal::open(folder.path()).unwrap();
        assert_eq!(records.len(), 4);
        journal.replace(b"a new checkpoint").unwrap();
        journal.append(b"after it");
        journal.sync().unwrap();
        journal.append(b"and after that");
        journal.sync().unwrap();
        let found = Journal::open(folder.path()).unwrap();
        assert_eq!(found.records, [&b"a new checkpoint"[..], b"after it", b"and after that"]);
    }
}
