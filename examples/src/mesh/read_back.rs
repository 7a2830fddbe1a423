//! Reading the file back, stripe by stripe, from nodes of which some are dead and some lie.

use std::fs::File;
use std::io::{BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use inos_chunk::{Assembler, ChunkId, Limits, Manifest, StripeRepair};

use super::report::{LostStripe, Report};
use super::transfer::{Reading, fetch};
use super::vault::{Sealed, Source, Vault};
use super::world::{FILE, World};
use super::{Failure, Progress};
use crate::council::Council;

/// The manifest as some living voter has it, if it is the one with this root id.
pub(super) fn manifest_of(council: &Council, root: ChunkId) -> Option<Manifest> {
    council.copies(FILE).find_map(|copy| Manifest::open(copy, root, &Limits::default()).ok())
}

/// Reads the file, compares its hash, and says whether every byte came back. Never hands out a wrong byte: a chunk that
/// cannot be verified is missing. After the first stripe that is lost the others are only probed, to name them too.
pub(super) fn read_back(
    world: &mut World,
    vault: &Vault,
    council: &Council,
    mut copy: Option<Draft>,
    progress: Progress,
    report: &mut Report,
) -> Result<bool, Failure> {
    let started = Instant::now();
    let Sealed { manifest, hash } = vault.sealed();
    let Some(manifest) = manifest_of(council, manifest.root()) else {
        report.manifest_lost = true;
        return Ok(false);
    };
    let bar = progress.bytes("reading back".into(), manifest.plain_len());
    let mut hasher = blake3::Hasher::new();
    let mut assembler = Assembler::new(manifest.clone());
    for stripe in 0..manifest.stripe_count() {
        let shape = manifest.stripe(stripe).expect("the stripe is one of the manifest's");
        let data: Vec<u16> = (0..shape.data).collect();
        let all: Vec<u16> = (0..shape.data + shape.parity).collect();
        let (fetched, lack) = if report.lost.is_empty() {
            let mut reading = Reading { assembler: &mut assembler, stripe };
            let fetched = fetch(world, &vault.directory, stripe, &all, &mut reading)?;
            (fetched, assembler.shortfall(stripe))
        } else {
            let mut probe = StripeRepair::new(&manifest, stripe, &data).expect("the stripe is one of the manifest's");
            let fetched = fetch(world, &vault.directory, stripe, &all, &mut probe)?;
            (fetched, probe.shortfall().filter(|_| !probe.is_ready()))
        };
        report.rejected_reading += fetched.rejected;
        if let Some(lack) = lack {
            report.lost.push(LostStripe { stripe, needed: lack.needed, present: lack.present });
        } else {
            report.rebuilt_reading += data.iter().filter(|index| !fetched.pieces.contains_key(index)).count() as u64;
        }
        while let Some((_, chunk)) = assembler.next_ready() {
            hasher.update(&chunk);
            bar.inc(chunk.len() as u64);
            if let Some(copy) = &mut copy {
                copy.write(&chunk)?;
            }
        }
    }
    bar.finish_and_clear();
    let intact = report.lost.is_empty() && hasher.finalize() == *hash;
    report.read(intact, started.elapsed());
    match copy {
        Some(copy) if intact => copy.keep()?,
        _ => {}
    }
    Ok(intact)
}

/// A file that is written under another name until it is known to be right: what stands at its path is either what was
/// there before or the whole of the new one.
#[derive(Debug)]
pub(super) struct Draft {
    path: PathBuf,
    partial: PathBuf,
    file: BufWriter<File>,
    kept: bool,
}

impl Draft {
    /// Starts the file `path`, unless that would harm `source` or something that is no file.
    pub(super) fn create(path: &Path, source: &Source) -> Result<Self, Failure> {
        let refuse = |problem: &str| Failure::file(path, &problem);
        // Through links, so that these stay.
        let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        if let Ok(there) = std::fs::metadata(&path) {
            if there.is_dir() {
                return Err(refuse("is a directory; name a file"));
            }
            if !there.is_file() {
                return Err(refuse("is not a regular file"));
            }
            if std::fs::canonicalize(&source.path).is_ok_and(|source| source == path) {
                return Err(refuse("is the file to be stored; name another"));
            }
        }
        let mut partial = path.as_os_str().to_owned();
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        let file = File::create_new(&partial).map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => {
                Failure::file(&partial, &"is there already, perhaps from a run that was cut short; remove it")
            }
            _ => Failure::file(&path, &error),
        })?;
        Ok(Self { path, partial, file: BufWriter::new(file), kept: false })
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.file.write_all(bytes).map_err(|error| Failure::file(&self.partial, &error))
    }

    /// Gives the file its name.
    pub(super) fn keep(mut self) -> Result<(), Failure> {
        let renamed = self.file.flush().and_then(|()| std::fs::rename(&self.partial, &self.path));
        renamed.map_err(|error| Failure::file(&self.path, &error))?;
        self.kept = true;
        Ok(())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.kept {
            // Nothing to tell: the file is incomplete, and whoever looks finds it by its name.
            let _ = std::fs::remove_file(&self.partial);
        }
    }
}
