//! The stored file: how it was cut up, where each piece went, and how to get it back.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use inos_alloc::{Class, Demand, Placement, Policy, Requirements, ResourceSpec, Scheme, Tiers, replica_target, scheme};
use inos_chunk::{CHUNK_SIZE, Config, EncodeError, Encoder, Geometry, Manifest, Piece, Place};
use inos_pricing::{
    Credits, Floor, GeoPlan, Millis, PriceError, Quote, Rates, Replicas, Spread, TierPlan, Usage, max_affordable, quote,
};

use super::escrow::Escrow;
use super::report::Report;
use super::targets::Targets;
use super::transfer::Directory;
use super::world::{FILE, World};
use super::{Failure, Progress};
use crate::host::Address;
use crate::link::Answer;

/// What the mesh charges: 20 credits for a GB-hour, 2 for a GB moved.
const RATES: Rates = Rates { storage: 20, compute: 1, bandwidth: 2 };
/// How long the file is kept, as far as the price is concerned.
const KEPT: Millis = Millis::HOUR;

/// The file on its way in.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) path: PathBuf,
    pub(super) len: u64,
    file: File,
}

impl Source {
    /// Opens `path`, or this program's own executable.
    pub(super) fn open(path: Option<&Path>) -> Result<Self, Failure> {
        let path = match path {
            Some(path) => path.to_owned(),
            None => std::env::current_exe().map_err(|error| Failure::file(Path::new("this program"), &error))?,
        };
        let refuse = |problem: &str| Failure::file(&path, &problem);
        let metadata = std::fs::metadata(&path).map_err(|error| Failure::file(&path, &error))?;
        if metadata.is_dir() {
            return Err(refuse("is a directory; name a file"));
        }
        if !metadata.is_file() {
            return Err(refuse("is not a regular file"));
        }
        let file = File::open(&path).map_err(|error| Failure::file(&path, &error))?;
        Ok(Self { len: metadata.len(), path, file })
    }

    /// The next chunk, empty at the end.
    fn chunk(&mut self) -> Result<Bytes, Failure> {
        let mut chunk = Vec::with_capacity(CHUNK_SIZE);
        let taken = Read::by_ref(&mut self.file).take(CHUNK_SIZE as u64).read_to_end(&mut chunk);
        taken.map_err(|error| Failure::file(&self.path, &error))?;
        Ok(chunk.into())
    }
}

/// A stored file.
#[derive(Debug)]
pub(super) struct Vault {
    scheme: Scheme,
    placement: Placement,
    config: Config,
    price: Quote,
    usage: Usage,
    pub(super) directory: Directory,
    /// Data pieces in the order of the encoder: what the allocator calls chunk n.
    pub(super) chunks: Vec<(u32, u16)>,
    sealed: Option<Sealed>,
}

/// What is known once the whole file went in.
#[derive(Debug)]
pub(super) struct Sealed {
    pub(super) manifest: Manifest,
    /// BLAKE3 of the file.
    pub(super) hash: blake3::Hash,
}

impl Vault {
    /// Decides how many nodes the file deserves and can pay for, and which.
    pub(super) fn plan(
        world: &mut World,
        source: &Source,
        escrow: &Escrow,
        report: &mut Report,
    ) -> Result<Self, Failure> {
        let refused = |error: &dyn core::fmt::Display| Failure::Refused(error.to_string());
        let budget = escrow.budget();
        let spec = ResourceSpec {
            size: source.len,
            demand: Demand::ZERO,
            budget: budget.0,
            class: Class::Blob,
            requires: Requirements::default(),
        };
        let usage = Usage {
            stored: inos_pricing::Bytes(source.len),
            held: KEPT,
            cpu: Millis::ZERO,
            moved: inos_pricing::Bytes(source.len),
        };

        let mut tiers = Tiers::default();
        let target = replica_target(&spec, &tiers);
        let floor = replicas(target.floor);
        let affordable =
            max_affordable(&RATES, &TierPlan, &usage, budget, floor..=replicas(target.want), Floor::Refuse)
                .map_err(|error| refused(&error))?;
        let Some(affordable) = affordable else { return Err(too_dear(&usage, budget, floor)) };
        for tier in &mut tiers.tiers {
            tier.ceiling = tier.ceiling.min(u32::from(affordable.replicas.0));
        }

        let placement = world
            .allocator
            .allocate(FILE, &spec, &Policy { tiers, ..Policy::default() }, world.now)
            .map_err(|error| refused(&error))?;
        let scheme = scheme(source.len).for_nodes(placement.granted);
        let geometry = match scheme {
            Scheme::Stripes { .. } | Scheme::Hierarchy if placement.granted < Geometry::DEFAULT.shards() => {
                Geometry::for_nodes(placement.granted).map_err(|error| refused(&error))?
            }
            _ => Geometry::DEFAULT,
        };
        let price = quote(&RATES, &TierPlan, &usage, replicas(placement.granted)).map_err(|error| refused(&error))?;
        let config = Config { geometry, ..Config::default() };
        report.planned(target.want, &placement, scheme, &config);
        Ok(Self {
            scheme,
            placement,
            config,
            price,
            usage,
            directory: Directory::new(),
            chunks: Vec::new(),
            sealed: None,
        })
    }

    /// Credits to hold before anything is stored.
    pub(super) const fn price(&self) -> Credits {
        self.price.total
    }

    /// How the nodes share the file.
    pub(super) const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// What the encoder found out.
    pub(super) fn sealed(&self) -> &Sealed {
        self.sealed.as_ref().expect("the file was stored before anything is done with it")
    }

    /// Encodes the file piece by piece and puts each piece where the allocator wants it.
    pub(super) fn store(
        &mut self,
        world: &mut World,
        source: &mut Source,
        progress: Progress,
        report: &mut Report,
    ) -> Result<(), Failure> {
        let path = source.path.clone();
        let refused = |error: &dyn core::fmt::Display| Failure::file(&path, error);
        let bar = progress.bytes("storing".into(), source.len);
        // What the encoder was told and what it got differ: this is not the file that was priced.
        let changed = |error: EncodeError| Failure::file(&path, &format_args!("changed while it was read: {error}"));
        let mut encoder = Encoder::new(source.len, &self.config).map_err(|error| refused(&error))?;
        // The voters keep the root page, and nobody here keeps others.
        if encoder.level() != Some(0) {
            return Err(refused(&"is too large: the manifest would have several pages"));
        }
        let mut targets = Targets::new(self.scheme, &self.placement, world, source.len)?;
        let mut hasher = blake3::Hasher::new();
        loop {
            let chunk = source.chunk()?;
            if chunk.is_empty() {
                encoder.end().map_err(changed)?;
            }
            hasher.update(&chunk);
            bar.inc(chunk.len() as u64);
            let ended = chunk.is_empty();
            encoder.push(chunk).map_err(changed)?;
            while let Some(piece) = encoder.next_piece() {
                self.put_new(world, &mut targets, &encoder, &piece)?;
            }
            if ended {
                break;
            }
        }
        settle(world)?;
        world.counted = targets.newest();
        world.listen()?;
        bar.finish_and_clear();

        let manifest = encoder.finish().map_err(|error| refused(&error))?;
        let hash = hasher.finalize();
        let placed = self.placed_bytes(&manifest);
        let geo = self.geo_quote(&manifest, placed).map_err(|error| refused(&error))?;
        report.stored(&manifest, hash, placed);
        report.priced(&self.price, &geo);
        self.sealed = Some(Sealed { manifest, hash });
        Ok(())
    }

    fn put_new(
        &mut self,
        world: &mut World,
        targets: &mut Targets,
        encoder: &Encoder,
        piece: &Piece,
    ) -> Result<(), Failure> {
        let Place::Shard { stripe, index } = piece.place else { return Ok(()) };
        let Some(shape) = encoder.stripe(stripe) else { return Ok(()) };
        let nodes = targets.of(world, stripe, index, shape)?;
        // Schemes that keep whole copies have no use for parity, and no node for it.
        if nodes.is_empty() {
            return Ok(());
        }
        if index < shape.data {
            self.chunks.push((stripe, index));
        }
        put(world, piece, &nodes)?;
        self.directory.insert((stripe, index), nodes);
        Ok(())
    }

    /// Bytes on all nodes, uncompressed.
    fn placed_bytes(&self, manifest: &Manifest) -> u64 {
        let sizes = self.directory.iter().map(|(&place, holders)| piece_bytes(manifest, place) * holders.len() as u64);
        sizes.sum()
    }

    /// What each living node stores, uncompressed: the weights by which the charge is shared out.
    pub(super) fn stored_by_node(&self, world: &World) -> Vec<(u32, u64)> {
        let manifest = &self.sealed().manifest;
        let mut stored: BTreeMap<u32, u64> = BTreeMap::new();
        for (&place, holders) in &self.directory {
            for &node in holders.iter().filter(|&&node| !world.is_dead(node)) {
                *stored.entry(node).or_default() += piece_bytes(manifest, place);
            }
        }
        stored.into_iter().collect()
    }

    /// The other price: by what is stored, not by how many serve it.
    fn geo_quote(&self, manifest: &Manifest, placed: u64) -> Result<Quote, PriceError> {
        let copies = placed.div_ceil(manifest.plain_len().max(1)).clamp(1, 700);
        let copies = Replicas(u16::try_from(copies).expect("at most 700"));
        quote(&RATES, &GeoPlan { spread: Spread::ManyRegions }, &self.usage, copies)
    }
}

fn piece_bytes(manifest: &Manifest, (stripe, index): (u32, u16)) -> u64 {
    manifest.piece_len(Place::Shard { stripe, index }).map_or(0, u64::from)
}

/// Sends a piece to some nodes.
pub(super) fn put(world: &mut World, piece: &Piece, nodes: &[u32]) -> Result<(), Failure> {
    let Place::Shard { stripe, index } = piece.place else { return Ok(()) };
    let header = piece.encode_header();
    for &node in nodes {
        world.link.put(Address { node, stripe, index }, &header, &piece.bytes, &mut ignore_stored)?;
    }
    Ok(())
}

/// Waits until everything that was sent is stored.
pub(super) fn settle(world: &mut World) -> Result<(), Failure> {
    world.link.finish(&mut ignore_stored)?;
    Ok(())
}

/// A node that dies between its choice and its answer is found by the next signs of life, and repaired then.
fn ignore_stored(_: Address, _: Answer) {}

fn replicas(count: u32) -> Replicas {
    Replicas(u16::try_from(count).unwrap_or(u16::MAX))
}

fn too_dear(usage: &Usage, budget: Credits, floor: Replicas) -> Failure {
    let needed = quote(&RATES, &TierPlan, usage, floor).map_or(u64::MAX, |quote| quote.total.0);
    Failure::Refused(format!(
        "{} replicas for an hour cost {needed} credits, the budget is {}; raise --budget",
        floor.0, budget.0
    ))
}
