//! The main job: store a file in a mesh of in-process nodes, break the mesh, read the file back.
//!
//! What to notice: the five crates never meet in their own code. This module carries ids from one to the next: the
//! allocator's placement says where the encoder's pieces go, the link moves them, the manifest's root id is what the
//! council's answer is checked against, and the ledger holds what the allocator granted.

mod escrow;
mod failure;
mod mend;
mod options;
mod progress;
mod read_back;
mod report;
mod targets;
mod transfer;
mod vault;
mod world;

pub use options::{NODES_MAX, NODES_MIN, Options, Percent};
pub use progress::Progress;
pub use report::{LostStripe, Report, Round};

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::council::{Council, CouncilError};
use crate::geography::Site;
use crate::link::LinkError;
use crate::rng::Rng;

use escrow::{Escrow, EscrowError};
use read_back::{Draft, read_back};
use vault::{Source, Vault};
use world::{FILE, World};

/// Why a run could not be carried out; exit status 2. That the file was lost is no such reason: it is in the
/// [`Report`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The file cannot be stored, or its copy cannot be written.
    #[error("{path}: {problem}")]
    File {
        /// Which file.
        path: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The file needs more than the mesh or the customer has.
    #[error("{0}")]
    Refused(String),
    /// The host thread or its rings failed.
    #[error("the link to the nodes failed: {0}")]
    Link(#[from] LinkError),
    /// The replica group could not be set up.
    #[error("the manifest's group failed: {0}")]
    Council(#[from] CouncilError),
    /// The ledger refused a step that its rules allow.
    #[error("the ledger failed: {0}")]
    Escrow(#[from] EscrowError),
}

impl Failure {
    fn file(path: &Path, problem: &dyn core::fmt::Display) -> Self {
        Self::File { path: path.display().to_string(), problem: problem.to_string() }
    }
}

/// Stores, breaks, repairs, reads back, and settles.
///
/// # Errors
/// [`Failure`] when the arguments, the file or the machine do not allow the run.
pub fn run(options: &Options, progress: Progress) -> Result<Report, Failure> {
    let started = Instant::now();
    let mut source = Source::open(options.file.as_deref())?;
    if let (Some(out), true) = (&options.out, options.out == options.report) {
        return Err(Failure::file(out, &"cannot be both the copy and the report"));
    }
    // Where nothing can be written is known before the work, not after it.
    let copy = options.out.as_deref().map(|path| Draft::create(path, &source)).transpose()?;
    let page = options.report.as_deref().map(|path| Draft::create(path, &source)).transpose()?;
    let mut world = World::new(options)?;
    let mut escrow = Escrow::open(options.budget, options.seed)?;
    let mut report = Report::new(options, &source);

    let mut vault = Vault::plan(&mut world, &source, &escrow, &mut report)?;
    escrow.hold(vault.price())?;
    vault.store(&mut world, &mut source, progress, &mut report)?;

    let mut council = Council::new(&world.voters()?, options.seed)?;
    let written = council.write(FILE, &vault.sealed().manifest.to_bytes())?;
    report.manifest_written(&written, council.census());
    // A majority holds it; a moment later everybody does.
    council.run(BEAT_EVERY);

    for victims in waves(options, &council) {
        failure::wave(&mut world, &mut vault, &mut council, &victims, progress, &mut report)?;
    }
    failure::zone(&mut world, &mut vault, &mut council, doomed_zone(options.seed), &mut report)?;

    let intact = read_back(&mut world, &vault, &council, copy, progress, &mut report)?;
    escrow.settle(intact, &vault.stored_by_node(&world), &mut report)?;
    report.finish(&world, started.elapsed());
    if let Some(mut page) = page {
        page.write(report.to_html().as_bytes())?;
        page.keep()?;
    }
    Ok(report)
}

/// Which nodes each wave kills: the same number in each but for rounding, chosen by the seed, each node once. The
/// first to die is the primary of the manifest's group, so that a failover is part of every run that kills any.
fn waves(options: &Options, council: &Council) -> Vec<BTreeSet<u32>> {
    let mut nodes: Vec<u32> = (0..options.nodes).collect();
    Rng::new(options.seed, "waves").shuffle(&mut nodes);
    if let Some(at) = nodes.iter().position(|&node| Some(node) == council.primary()) {
        nodes.swap(0, at);
    }
    let total = options.kill.of(options.nodes) as usize;
    let waves = options.waves as usize;
    let bounds = (0..=waves).map(|wave| total * wave / waves);
    let bounds: Vec<usize> = bounds.collect();
    bounds.windows(2).map(|pair| nodes[pair[0]..pair[1]].iter().copied().collect()).collect()
}

/// The zone that fails at the end.
fn doomed_zone(seed: u64) -> Site {
    let sites: Vec<Site> = Site::all().collect();
    sites[Rng::new(seed, "zone").index(sites.len())]
}

/// How often nodes are asked for a sign of life, in simulated time.
const BEAT_EVERY: Duration = Duration::from_secs(1);
/// Silence after which a node counts as unreachable and is replaced.
const UNREACHABLE_AFTER: Duration = Duration::from_secs(5);
