//! What breaks, how it is noticed, and what is done about it.

use std::collections::BTreeSet;
use std::time::Instant;

use inos_alloc::NodeRef;

use super::mend::{Mended, mend};
use super::read_back::manifest_of;
use super::report::{Report, Round};
use super::vault::Vault;
use super::world::{FILE, GROUP, World};
use super::{BEAT_EVERY, Failure, Progress};
use crate::council::{Council, CouncilError};
use crate::geography::Site;

/// A wave: nodes die at once; they are missed, replaced, and what they held is rebuilt.
pub(super) fn wave(
    world: &mut World,
    vault: &mut Vault,
    council: &mut Council,
    victims: &BTreeSet<u32>,
    progress: Progress,
    report: &mut Report,
) -> Result<(), Failure> {
    let started = Instant::now();
    let mut round = strike(world, vault, council, victims, format!("wave {}", report.rounds.len() + 1))?;

    let failed: Vec<NodeRef> = round.unreachable.iter().map(|&node| world.handle(node)).collect();
    let plan = world.allocator.nodes_failed(&failed, world.now);
    let mut mended = Mended::default();
    for repair in &plan.repairs {
        match repair.resource {
            FILE => mended = mend(world, vault, repair, progress)?,
            GROUP => round.group = Some(replace_voters(world, vault, council)?),
            _ => {}
        }
    }
    world.listen()?;
    round.primary = council.primary();
    round.pieces_repaired = mended.pieces_repaired;
    round.rejected = mended.rejected;
    round.took = started.elapsed();
    report.rounds.push(round);
    Ok(())
}

/// The last blow: a whole zone fails, and is missed, but nothing is repaired before the file is read.
pub(super) fn zone(
    world: &mut World,
    vault: &mut Vault,
    council: &mut Council,
    site: Site,
    report: &mut Report,
) -> Result<(), Failure> {
    let started = Instant::now();
    let victims = world.standing_in(site);
    let mut round = strike(world, vault, council, &victims, format!("zone {site}"))?;
    round.took = started.elapsed();
    report.rounds.push(round);
    Ok(())
}

/// Kills nodes, waits until they are missed, and strikes them off the directory.
fn strike(
    world: &mut World,
    vault: &mut Vault,
    council: &mut Council,
    victims: &BTreeSet<u32>,
    name: String,
) -> Result<Round, Failure> {
    for &node in victims {
        world.link.kill(node)?;
    }
    let deposed = council.primary().filter(|primary| victims.contains(primary));
    council.kill(victims);
    let (unreachable, detected_after) = world.detect(council)?;
    let mut pieces_lost = 0;
    for holders in vault.directory.values_mut() {
        let held = holders.len();
        holders.retain(|node| !unreachable.contains(node));
        pieces_lost += (held - holders.len()) as u64;
    }
    Ok(Round {
        name,
        killed: victims.len(),
        living: world.living(),
        deposed,
        primary: council.primary(),
        unreachable,
        detected_after,
        pieces_lost,
        ..Round::default()
    })
}

/// Founds the next group, with the nodes that the allocator now has for it: the old group commits who follows it, the
/// new one starts with the manifest. Without a majority of the old group the manifest comes from a survivor, checked
/// against its root id; that is safe here because the dead do not come back and nobody else writes.
fn replace_voters(world: &World, vault: &Vault, council: &mut Council) -> Result<String, Failure> {
    let (alive, dead) = council.census();
    let Some(placement) = world.allocator.placement(&GROUP) else {
        return Ok("no node is left for the group".into());
    };
    let voters: Vec<u32> = placement.replicas.iter().map(|&node| world.number(node)).collect();
    let root = vault.sealed().manifest.root();
    let Some(manifest) = manifest_of(council, root) else {
        return Ok(format!("{dead} of {} voters are dead, and no other has the manifest", alive + dead));
    };
    let roster: Vec<u8> = voters.iter().flat_map(|voter| voter.to_le_bytes()).collect();
    let handed_over = match council.write(GROUP, &roster) {
        Ok(committed) => format!("{alive} of {} voters agreed in {:?}", alive + dead, committed.took),
        Err(CouncilError::NoMajority { .. }) => format!("only {alive} of {} voters left: refounded", alive + dead),
        Err(error) => return Err(error.into()),
    };
    let mut next = council.successor(&voters)?;
    next.write(FILE, &manifest.to_bytes())?;
    next.run(BEAT_EVERY);
    *council = next;
    let (alive, _) = council.census();
    Ok(format!("{handed_over}; {alive} voters now"))
}
