//! Histories, one for each generation: a branch grows from where a survivor left the one before by force.

use alloc::{collections::BTreeMap, format, vec::Vec};

use super::{
    Violation,
    machine::{Applied, KEYS, Tail},
};
use crate::{Actor, Configuration, Generation, Lsn};

/// Names a branch. The first one is 0.
pub(super) type BranchId = usize;

/// A value of a history, and its list after it.
#[derive(Clone, Copy, Debug)]
struct Place {
    applied: Applied,
    tail: Tail,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct CommittedEntry {
    pub(super) epoch: u64,
    /// `None` while nobody who has the entry itself has been asked.
    pub(super) hash: Option<u64>,
    /// The epoch of the primary that committed it: later primaries have it.
    pub(super) by: u64,
}

/// Where a branch comes from.
#[derive(Clone, Debug)]
pub(super) struct Root {
    pub(super) parent: BranchId,
    /// Its own epochs begin here.
    pub(super) first_epoch: u64,
    /// Epochs of the entries of the survivor's log: all of them are in the history of the branch, whether or not they were
    /// committed before.
    pub(super) log: Vec<u64>,
    /// The lists after those of them that were committed in the parent.
    pub(super) tails: [Tail; KEYS as usize],
    /// Number of the configuration that has the survivor for its only voter.
    pub(super) number: u64,
    /// When it was made, by the clock of the oracle.
    pub(super) tick: u64,
}

/// What the members of one generation agree on.
#[derive(Clone, Debug)]
pub(super) struct Branch {
    pub(super) generation: Generation,
    /// `None` of the first one.
    pub(super) root: Option<Root>,
    pub(super) committed: Vec<CommittedEntry>,
    history: Vec<Place>,
    by_value: BTreeMap<u64, usize>,
    tails: [Tail; KEYS as usize],
    configurations: BTreeMap<u64, Configuration<u64>>,
    /// The greatest epoch that had a primary.
    pub(super) newest_primary: u64,
}

impl Branch {
    fn new(generation: Generation, root: Option<Root>) -> Self {
        Self {
            generation,
            root,
            committed: Vec::new(),
            history: Vec::new(),
            by_value: BTreeMap::new(),
            tails: [Tail::default(); KEYS as usize],
            configurations: BTreeMap::new(),
            newest_primary: 0,
        }
    }

    /// A branch that takes over the whole `log` of a survivor, and with it what was committed in the parent as far as the
    /// survivor had it. `settled` is the number of the last configuration that the survivor knew to be committed.
    fn fork(parent: &Self, generation: Generation, root: Root, settled: u64) -> Self {
        let mut branch = Self::new(generation, None);
        let shared = root.log.iter().zip(&parent.committed).take_while(|(epoch, entry)| **epoch == entry.epoch).count();
        branch.committed.extend(&parent.committed[..shared]);
        let (first_epoch, rest) = (root.first_epoch, &root.log[shared..]);
        branch.committed.extend(rest.iter().map(|&epoch| CommittedEntry { epoch, hash: None, by: first_epoch }));
        for place in parent.history.iter().take_while(|place| place.applied.lsn.sequence <= shared as u64) {
            branch.push(place.applied);
        }
        let inherited = parent.configurations.range(..=settled);
        branch.configurations.extend(inherited.map(|(&number, configuration)| (number, configuration.clone())));
        branch.root = Some(Root { tails: branch.tails, ..root });
        branch
    }

    /// Whether it has committed anything of its own, and with that all that its survivor had: not if that one crashed before
    /// force was durable.
    pub(super) fn has_lived(&self) -> bool {
        self.root.as_ref().is_none_or(|root| self.committed.len() > root.log.len())
    }

    fn push(&mut self, applied: Applied) {
        self.by_value.insert(applied.value, self.history.len());
        let tail = &mut self.tails[usize::from(applied.key)];
        *tail = tail.with(applied.value);
        let tail = *tail;
        self.history.push(Place { applied, tail });
    }

    /// A member has applied this as its value number `place`: the same as all others, and no write twice.
    pub(super) fn append(&mut self, seat: Actor<u64>, place: usize, applied: Applied) -> Result<(), Violation> {
        if let Some(known) = self.history.get(place) {
            if known.applied != applied {
                let detail = format!("place {place}: {applied:?} at {seat:?}, elsewhere {:?}", known.applied);
                return Err(Violation::new("members apply one history", detail));
            }
            return Ok(());
        }
        if self.by_value.contains_key(&applied.value) {
            return Err(Violation::new("nothing is applied twice", format!("{applied:?} at {seat:?}")));
        }
        self.push(applied);
        Ok(())
    }

    /// Where the value stands, and the list after it.
    pub(super) fn find_value(&self, value: u64) -> Option<(Lsn, Tail)> {
        let place = self.history[*self.by_value.get(&value)?];
        Some((place.applied.lsn, place.tail))
    }

    /// The list after `value`, which stands at `lsn`.
    pub(super) fn find(&self, lsn: Lsn, value: u64) -> Option<Tail> {
        self.find_value(value).filter(|&(at, _)| at == lsn).map(|(_, tail)| tail)
    }

    pub(super) fn values(&self) -> impl Iterator<Item = Applied> {
        self.history.iter().map(|place| place.applied)
    }

    pub(super) fn tail(&self, key: u8) -> Tail {
        self.tails[usize::from(key)]
    }

    pub(super) fn has_committed(&self, lsn: Lsn) -> bool {
        let entry = lsn.sequence.checked_sub(1).and_then(|at| self.committed.get(usize::try_from(at).ok()?));
        entry.is_some_and(|entry| entry.epoch == lsn.epoch)
    }

    /// A configuration that a member knows to be committed, with the ones before and after it whose quorums it has to
    /// meet. The one made by force meets none of those before it: that is what force is.
    pub(super) fn configure(
        &mut self,
        configuration: &Configuration<u64>,
    ) -> Result<Vec<[Configuration<u64>; 2]>, Violation> {
        let number = configuration.number;
        let known = self.configurations.entry(number).or_insert_with(|| configuration.clone());
        if known != configuration {
            let detail = format!("{known:?} and {configuration:?}");
            return Err(Violation::new("a number names one configuration", detail));
        }
        let forced = self.root.as_ref().map(|root| root.number);
        let is_bound = |number: &u64| forced != Some(*number);
        let before = number.checked_sub(1).filter(|_| is_bound(&number));
        let before = before.and_then(|number| self.configurations.get(&number));
        let after = self.configurations.get(&(number + 1)).filter(|after| is_bound(&after.number));
        let before = before.map(|before| [before.clone(), configuration.clone()]);
        Ok(before.into_iter().chain(after.map(|after| [configuration.clone(), after.clone()])).collect())
    }
}

/// All of them.
#[derive(Clone, Debug)]
pub(super) struct Branches {
    all: Vec<Branch>,
}

impl Branches {
    pub(super) fn new() -> Self {
        Self { all: Vec::from([Branch::new(Generation::default(), None)]) }
    }

    pub(super) fn of(&self, generation: Generation) -> Option<BranchId> {
        self.all.iter().position(|branch| branch.generation == generation)
    }

    pub(super) fn get(&self, id: BranchId) -> &Branch {
        &self.all[id]
    }

    pub(super) fn get_mut(&mut self, id: BranchId) -> &mut Branch {
        &mut self.all[id]
    }

    pub(super) fn ids(&self) -> core::ops::Range<BranchId> {
        0..self.all.len()
    }

    pub(super) fn fork(&mut self, generation: Generation, root: Root, settled: u64) -> BranchId {
        let branch = Branch::fork(&self.all[root.parent], generation, root, settled);
        self.all.push(branch);
        self.all.len() - 1
    }

    /// The branch that an epoch seen in `id` belongs to: the branch itself, or one that it comes from.
    pub(super) fn owner(&self, mut id: BranchId, epoch: u64) -> BranchId {
        while let Some(root) = &self.all[id].root
            && epoch < root.first_epoch
        {
            id = root.parent;
        }
        id
    }

    /// The roots between `from` and the branch `to` that comes from it, the last one first; `None` when it does not.
    fn roots(&self, from: BranchId, to: BranchId) -> Option<Vec<&Root>> {
        let (mut roots, mut id) = (Vec::new(), to);
        while id != from {
            let root = self.all[id].root.as_ref()?;
            roots.push(root);
            id = root.parent;
        }
        Some(roots)
    }

    /// Whether what stands at `lsn` in the branch `from` was in the log of each survivor on the way to `to`; `None` when
    /// `to` does not come from there.
    pub(super) fn is_taken_over(&self, from: BranchId, to: BranchId, lsn: Lsn) -> Option<bool> {
        let at = usize::try_from(lsn.sequence.checked_sub(1)?).ok()?;
        Some(self.roots(from, to)?.iter().all(|root| root.log.get(at) == Some(&lsn.epoch)))
    }

    /// Whether what happened in `from` at `tick` is of `to`, or was before a survivor left for it.
    pub(super) fn precedes(&self, from: BranchId, to: BranchId, tick: u64) -> bool {
        self.roots(from, to).is_some_and(|roots| roots.iter().all(|root| tick < root.tick))
    }

    /// Whether a read in `from` that returned `tail` at `tick` binds the branch `to`: it saw nothing that a survivor
    /// lacked, and was over when that one went on by force.
    pub(super) fn binds(&self, from: BranchId, to: BranchId, key: u8, tail: Tail, tick: u64) -> bool {
        self.roots(from, to).is_some_and(|roots| {
            roots.iter().all(|root| tick < root.tick && tail.len <= root.tails[usize::from(key)].len)
        })
    }
}
