//! What force may do, and what it must not.
//!
//! The survivor's whole log is the history of the new generation, and the branch that is grown for it begins with that:
//! so the laws on what is committed hold for all of it, and for nothing that the survivor lacked. Nobody goes over to
//! another generation but who is blank; who hears of one stops for good, and what it has and the survivor lacked is
//! owed to the new generation.

use alloc::{format, vec::Vec};

use super::{Checked, Checker, Returned, Watched};
use crate::{
    Actor, Generation, Group, Lsn, OpId, Role,
    sim::{
        Violation,
        branch::{BranchId, Root},
        machine::{Applied, Claim, Lists},
        oracle::writer,
    },
};

impl Checker {
    /// The member has been forced to go on alone; nothing else has happened to it since its last step. Before, so many
    /// configurations of its log were not known to be committed.
    pub(in crate::sim) fn fork<const MERGES: bool>(
        &mut self,
        node: usize,
        group: &Group<u64, Lists<MERGES>>,
        changes: usize,
        tick: u64,
    ) -> Checked {
        let Some(mut watched) = self.seats[node].take() else { return Ok(()) };
        let (generation, parent) = (group.generation(), watched.branch);
        let before = self.branches.get(parent).generation;
        if generation.number != before.number + 1 || self.branches.of(generation).is_some() {
            return Err(Violation::new("force makes the next generation", format!("{generation:?} after {before:?}")));
        }
        let configuration = group.configuration();
        if configuration.voters != [watched.seat] || configuration.number != watched.configuration.number + 1 {
            let detail = format!("{:?}, then {configuration:?}", watched.configuration);
            return Err(Violation::new("a survivor goes on as the only voter", detail));
        }
        let root = Root {
            parent,
            first_epoch: group.epoch(),
            log: watched.mirror.clone(),
            tails: Default::default(),
            number: configuration.number,
            tick,
        };
        let settled = watched.configuration.number.saturating_sub(changes as u64);
        watched.branch = self.branches.fork(generation, root, settled);
        self.seats[node] = Some(watched);
        Ok(())
    }

    /// The log in which an orphan stood has what its writer is said to have read of this history.
    pub(super) fn claim(&self, watched: &Watched, value: Applied) -> Checked {
        let Some(Claim { origin, read }) = value.claim.filter(|claim| claim.read > 0) else { return Ok(()) };
        let here = usize::try_from(read).ok().and_then(|read| watched.mirror.get(read - 1));
        let here = here.map(|&epoch| (self.branches.owner(watched.branch, epoch), epoch));
        // Its operation may have been repeated: the same place in another branch may have a copy of it.
        let has_stood = |&branch: &BranchId| {
            let known = self.entries.get(&(branch, origin));
            known.is_some_and(|known| !known.is_orphan && known.write == Some(writer(value.value)))
        };
        let had_read = |branch: BranchId| {
            let mut at = origin;
            while at.sequence > read {
                // A lone voter without storage forgets what nobody has seen.
                let Some(known) = self.entries.get(&(self.branches.owner(branch, at.epoch), at)) else { return true };
                at = Lsn { epoch: known.before, sequence: at.sequence - 1 };
            }
            here == Some((self.branches.owner(branch, at.epoch), at.epoch))
        };
        let mut stood = self.branches.ids().filter(has_stood).peekable();
        if stood.peek().is_some() && !stood.any(had_read) {
            let detail = format!("{value:?} at {:?}, where {read} is of {here:?}", watched.seat);
            return Err(Violation::new("an orphan's writer had what it is said to have read", detail));
        }
        Ok(())
    }

    /// Who has stopped does nothing any more; nobody else changes generations, but who has nothing yet.
    pub(super) fn generation<const MERGES: bool>(
        &mut self,
        watched: &mut Watched,
        group: &Group<u64, Lists<MERGES>>,
    ) -> Checked {
        let described = |watched: &Watched| format!("{:?} of {:?}", watched.seat, group.generation());
        let stops = group.role() == Role::Superseded;
        if watched.has_stopped {
            let appends = group.last().sequence > watched.stopped_at;
            let commits = watched.commit > 0 && group.inspect().commit > watched.commit;
            if !stops || appends || commits {
                return Err(Violation::new("who has stopped stays stopped", described(watched)));
            }
            return Ok(());
        }
        if stops {
            (watched.has_stopped, watched.stopped_at) = (true, watched.mirror.len() as u64);
            self.depart(watched, group.generation());
            return Ok(());
        }
        if group.generation() == self.branches.get(watched.branch).generation {
            return Ok(());
        }
        let is_blank = watched.mirror.is_empty() && watched.configuration.number == 0;
        match self.branches.of(group.generation()).filter(|_| is_blank) {
            Some(branch) => watched.branch = branch,
            None => return Err(Violation::new("who has a history keeps its generation", described(watched))),
        }
        Ok(())
    }

    /// The branch of a member that is back in the seat it had.
    pub(super) fn rejoin<const MERGES: bool>(
        &self,
        watched: &Watched,
        before: &Watched,
        group: &Group<u64, Lists<MERGES>>,
    ) -> Result<BranchId, Violation> {
        if watched.has_stopped {
            return Ok(before.branch);
        }
        // A generation whose making was not durable has never been.
        if group.generation() > self.branches.get(before.branch).generation {
            let detail = format!("{:?} of {:?}", watched.seat, group.generation());
            return Err(Violation::new("who has stopped stays stopped", detail));
        }
        Ok(watched.branch)
    }

    /// What the stopped member has and a survivor lacked is owed to the later generation.
    fn depart(&mut self, watched: &Watched, generation: Generation) {
        let from = watched.branch;
        let later = self.branches.of(generation).filter(|&to| self.branches.get(to).root.is_some() && to != from);
        let Some(to) = later else { return };
        let places = watched.mirror.iter().enumerate();
        let places = places.map(|(at, &epoch)| Lsn { epoch, sequence: at as u64 + 1 });
        let lacked = places.filter(|&lsn| self.branches.is_taken_over(from, to, lsn) == Some(false));
        let writes = lacked.filter_map(|lsn| self.known(from, lsn)?.write);
        // What fell out of its log before is kept until somebody has dealt with it.
        let writes: Vec<OpId> = writes.chain(self.dropped_by(watched.seat)).collect();
        self.returned.retain(|returned| returned.seat != watched.seat || returned.is_done);
        self.returned.push(Returned { seat: watched.seat, to, writes, dropped: 0, is_done: false });
    }

    /// The node's member says that so many of the writes it had are given up.
    pub(in crate::sim) fn gave_up(&mut self, node: usize, count: u64) {
        let seat = self.seats[node].as_ref().map(|watched| watched.seat);
        let mut owing = self.returned.iter_mut().filter(|returned| !returned.is_done);
        if let Some(returned) = owing.find(|returned| Some(returned.seat) == seat) {
            returned.dropped += count;
        }
    }

    /// The node's member says that it has handed over all there was.
    pub(in crate::sim) fn handed_over(&mut self, node: usize) {
        let seat = self.seats[node].as_ref().map(|watched| watched.seat);
        let mut owing = self.returned.iter_mut().filter(|returned| !returned.is_done);
        if let Some(returned) = owing.find(|returned| Some(returned.seat) == seat) {
            returned.is_done = true;
        }
    }

    /// Of each member of an older generation that handed over to `branch`: its seat, the writes that were owed, and how
    /// many of them it gave up.
    pub(in crate::sim) fn handovers(&self, branch: BranchId) -> impl Iterator<Item = (Actor<u64>, &[OpId], u64)> {
        let done = self.returned.iter().filter(move |returned| returned.is_done && returned.to == branch);
        done.map(|returned| (returned.seat, returned.writes.as_slice(), returned.dropped))
    }
}
