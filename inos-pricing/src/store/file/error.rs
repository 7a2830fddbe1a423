//! What goes wrong with files, and with which.

use core::fmt::{self, Display, Formatter};
use std::io;

use crate::{Part, SegmentError, Sequence};

/// Why a call to a [`FileStore`](crate::FileStore) failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// Another [`FileStore`](crate::FileStore) has the directory open, in this process or another. Nothing changed.
    #[error("another store has the directory open")]
    Locked,
    /// The caller used segments out of turn. Nothing changed.
    #[error(transparent)]
    Segment(#[from] SegmentError),
    /// An earlier call failed, and what the disk holds is not known: this store writes no more. Nothing changed. Drop
    /// it, and open the directory again.
    #[error("an earlier {operation} failed, and what the disk holds is not known")]
    Poisoned {
        /// What failed.
        operation: FileOperation,
    },
    /// The file system failed, or is full, or may not be accessed, or the file does not exist. What changed is with the
    /// call that returns it.
    #[error("{operation} failed on {name}")]
    Io {
        /// What failed.
        operation: FileOperation,
        /// On which file.
        name: FileName,
        /// Why.
        source: io::Error,
    },
}

/// An operation on a file or directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileOperation {
    /// Opening the directory, creating it if need be.
    OpenDirectory,
    /// Locking the directory's lock file.
    Lock,
    /// Listing the directory.
    List,
    /// Reading a file.
    Read,
    /// Creating a file.
    Create,
    /// Appending to a file.
    Append,
    /// Syncing a file.
    Sync,
    /// Renaming a file.
    Rename,
    /// Removing a file.
    Remove,
    /// Syncing the directory, or the one that has its entry.
    SyncDirectory,
}

impl Display for FileOperation {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OpenDirectory => "opening the directory",
            Self::Lock => "locking",
            Self::List => "listing",
            Self::Read => "reading",
            Self::Create => "creating",
            Self::Append => "appending",
            Self::Sync => "syncing",
            Self::Rename => "renaming",
            Self::Remove => "removing",
            Self::SyncDirectory => "syncing the directory",
        })
    }
}

/// A file of a [`FileStore`](crate::FileStore); it displays as the file's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileName {
    /// The directory itself.
    Directory,
    /// The file that is locked while the directory is open.
    Lock,
    /// A segment or snapshot.
    Part(Part),
    /// A snapshot that is being written.
    Temporary(Sequence),
}

impl Display for FileName {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory => f.write_str("."),
            Self::Lock => f.write_str("journal.lock"),
            Self::Part(part) => part.fmt(f),
            Self::Temporary(sequence) => write!(f, "{}.tmp", Part::Snapshot(*sequence)),
        }
    }
}

impl FileName {
    /// What a name says; `None` for files that are none of ours.
    pub(super) fn parse(name: &str) -> Option<Self> {
        if let Some(digits) = name.strip_prefix("journal-") {
            return number(digits).map(|segment| Self::Part(Part::Segment(segment)));
        }
        let rest = name.strip_prefix("snapshot-")?;
        match rest.strip_suffix(".tmp") {
            Some(digits) => number(digits).map(|sequence| Self::Temporary(Sequence(sequence))),
            None => number(rest).map(|sequence| Self::Part(Part::Snapshot(Sequence(sequence)))),
        }
    }
}

/// Exactly 20 digits that fit 64 bits.
fn number(digits: &str) -> Option<u64> {
    let is_number = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().ok()).flatten()
}
