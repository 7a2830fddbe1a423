//! A simulated disk, for tests of what is kept on one: seeded, deterministic, and as bad as a real one may be.
//!
//! [`SimDisk`] has one directory. Between programs and its platter is a page cache, in sectors of 512 bytes. What is
//! not synced a crash keeps or drops, sector by sector and entry by entry, as a seed decides; [`Fault`]s strike at
//! chosen operations. [`FileStore::open_sim`](crate::FileStore::open_sim) puts the same code on it that runs on files.
//!
//! ```
//! use inos_pricing::{FileStore, JournalStore, Part, sim::{Fault, SimDisk}};
//!
//! # fn main() -> Result<(), inos_pricing::FileError> {
//! let disk = SimDisk::default();
//! let mut store = FileStore::open_sim(&disk)?;
//! store.start_segment(1)?;
//! store.append(b"synced")?;
//! store.sync()?;
//! store.append(b", not synced")?;
//! disk.inject(disk.operation_count(), Fault::PowerCut);
//! assert!(store.sync().is_err());
//!
//! disk.crash(7);
//! let bytes = FileStore::open_sim(&disk)?.read(Part::Segment(1))?;
//! assert!(bytes.starts_with(b"synced"), "what follows may be anything");
//! # Ok(())
//! # }
//! ```

mod disk;
mod inode;
mod mount;
mod rng;
#[cfg(test)]
mod tests;

pub use self::{
    disk::{Fault, SimDisk},
    mount::{Mount, MountLock, SimFile},
};
