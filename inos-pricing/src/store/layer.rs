//! What a file store asks of a file system: nothing else reaches the disk, so that a simulated disk can stand in.

use alloc::{string::String, vec::Vec};
use core::fmt::Debug;
use std::{fs::TryLockError, io};

/// One directory. Names are those of its entries. Nobody but this crate can implement it: its module is private.
pub trait Layer: Debug {
    /// A file that was created, open for appending.
    type File: Debug;
    /// Held while the directory must be this process's own.
    type Lock: Debug;

    /// Locks the file with this name, which is created if need be.
    fn lock(&mut self, name: &str) -> Result<Self::Lock, TryLockError>;

    /// The names of the regular files, in any order.
    fn list(&mut self) -> io::Result<Vec<String>>;

    /// All bytes of a file.
    fn read(&mut self, name: &str) -> io::Result<Vec<u8>>;

    /// A new, empty file. An error if the name is taken.
    fn create(&mut self, name: &str) -> io::Result<Self::File>;

    /// Writes all of `bytes` at the end.
    fn append(&mut self, file: &mut Self::File, bytes: &[u8]) -> io::Result<()>;

    /// `fsync`: bytes, length and the rest of what the file system knows of the file.
    fn sync_all(&mut self, file: &mut Self::File) -> io::Result<()>;

    /// `fdatasync`: bytes and length.
    fn sync_data(&mut self, file: &mut Self::File) -> io::Result<()>;

    /// Gives a file another name, in place of the file that has it.
    fn rename(&mut self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    fn remove(&mut self, name: &str) -> io::Result<()>;

    /// Makes creations, renames and removals so far durable.
    fn sync_directory(&mut self) -> io::Result<()>;
}
