//! What may be in a store after what was done with it.

use alloc::collections::BTreeMap;

use inos_pricing::{JournalStore, Listing, Part, Sequence};

/// What may be there.
#[derive(Debug, Default)]
pub(super) struct Model {
    segments: BTreeMap<u64, Segment>,
    snapshots: BTreeMap<Sequence, Snapshot>,
    begun: Option<u64>,
}

#[derive(Debug, Default)]
struct Segment {
    bytes: Vec<u8>,
    /// How many of the bytes are durable; `None`: the segment itself is not.
    synced_len: Option<usize>,
    is_dropped: bool,
}

#[derive(Debug, Default)]
struct Snapshot {
    /// What it may hold; `None`: it may be missing.
    possible: Vec<Option<Vec<u8>>>,
    is_dropped: bool,
}

/// A store with its model.
#[derive(Debug)]
pub(super) struct Tracked<'a, S> {
    pub(super) store: S,
    pub(super) model: &'a mut Model,
}

impl<S: JournalStore> Tracked<'_, S> {
    pub(super) fn start_segment(&mut self, segment: u64) -> Result<(), S::Error> {
        let last = self.store.list()?.segments.last().copied();
        let result = self.store.start_segment(segment);
        let is_above = last.is_none_or(|last| last < segment);
        assert!(is_above || result.is_err(), "segment {segment} was begun after {last:?}");
        if is_above {
            // Perhaps it was created, whatever the call says.
            self.model.segments.entry(segment).or_default();
        }
        if result.is_ok() {
            self.model.sync();
            self.model.begun = Some(segment);
        }
        result
    }

    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<(), S::Error> {
        let result = self.store.append(bytes);
        assert!(self.model.begun.is_some() || result.is_err(), "appended to no segment");
        if let Some(segment) = self.model.begun.and_then(|begun| self.model.segments.get_mut(&begun)) {
            segment.bytes.extend_from_slice(bytes);
        }
        result
    }

    pub(super) fn sync(&mut self) -> Result<(), S::Error> {
        self.store.sync()?;
        self.model.sync();
        Ok(())
    }

    pub(super) fn put_snapshot(&mut self, sequence: Sequence, bytes: &[u8]) -> Result<(), S::Error> {
        let result = self.store.put_snapshot(sequence, bytes);
        let none = || Snapshot { possible: vec![None], is_dropped: false };
        let snapshot = self.model.snapshots.entry(sequence).or_insert_with(none);
        if result.is_ok() {
            *snapshot = Snapshot::default();
        }
        snapshot.possible.push(Some(bytes.to_vec()));
        result
    }

    pub(super) fn drop_before(&mut self, segment: u64, snapshot: Sequence) -> Result<(), S::Error> {
        let result = self.store.drop_before(segment, snapshot);
        let begun = self.model.begun;
        for (_, dropped) in self.model.segments.range_mut(..segment).filter(|(number, _)| Some(**number) != begun) {
            dropped.is_dropped = true;
        }
        for (_, dropped) in self.model.snapshots.range_mut(..snapshot) {
            dropped.possible.push(None);
            dropped.is_dropped = true;
        }
        if result.is_ok() {
            self.model.segments.retain(|_, segment| !segment.is_dropped);
            self.model.snapshots.retain(|_, snapshot| !snapshot.is_dropped);
            let Listing { segments, snapshots } = self.store.list()?;
            assert!(segments.iter().all(|number| *number >= segment || Some(*number) == begun));
            assert!(snapshots.iter().all(|sequence| *sequence >= snapshot));
        }
        result
    }

    /// While nothing fails, what was written is seen.
    pub(super) fn check_seen(&mut self) {
        let Some(begun) = self.model.begun else { return };
        assert_eq!(self.store.read(Part::Segment(begun)).unwrap(), self.model.segments[&begun].bytes);
        assert_eq!(self.store.list().unwrap().segments.last(), Some(&begun));
    }
}

impl Model {
    fn sync(&mut self) {
        if let Some(segment) = self.begun.and_then(|begun| self.segments.get_mut(&begun)) {
            segment.synced_len = Some(segment.bytes.len());
        }
    }

    /// Whether a store that was opened after a crash holds what it may. Then the model is that of this store.
    /// After a kill what is seen need not be durable; entries are, since the store was opened.
    pub(super) fn check_opened<S: JournalStore>(&mut self, store: &mut S, is_crash: bool) {
        let listing = store.list().unwrap();
        assert!(listing.segments.is_sorted() && listing.snapshots.is_sorted());
        self.begun = None;

        for number in &listing.segments {
            assert!(self.segments.contains_key(number), "segment {number} comes from nowhere");
        }
        for sequence in &listing.snapshots {
            assert!(self.snapshots.contains_key(sequence), "snapshot {sequence:?} comes from nowhere");
        }
        let is_whole = self
            .segments
            .iter()
            .all(|(number, segment)| segment.synced_len.is_none() || listing.segments.contains(number));
        for (sequence, Snapshot { possible, is_dropped }) in &mut self.snapshots {
            let found = listing.snapshots.contains(sequence).then(|| store.read(Part::Snapshot(*sequence)).unwrap());
            assert!(possible.contains(&found), "snapshot {sequence:?} is neither missing nor whole as allowed");
            if found.is_some() && *is_dropped {
                assert!(is_whole, "snapshot {sequence:?} is there, and segments after it are not");
            }
            *is_dropped = false;
            *possible = vec![found];
        }
        self.snapshots.retain(|_, snapshot| snapshot.possible[0].is_some());

        let mut is_later_kept = true;
        for (number, segment) in self.segments.iter_mut().rev() {
            if !listing.segments.contains(number) {
                assert!(segment.synced_len.is_none() || segment.is_dropped, "segment {number} was synced, and is lost");
                is_later_kept &= segment.synced_len.is_none();
                continue;
            }
            assert!(is_later_kept, "segment {number} is there, and a later one is gone");
            let found = store.read(Part::Segment(*number)).unwrap();
            let synced_len = segment.synced_len.unwrap_or(0);
            assert!(
                found.len() >= synced_len && found.len() <= segment.bytes.len(),
                "segment {number} is too short or long"
            );
            assert_eq!(found[..synced_len], segment.bytes[..synced_len], "segment {number} was synced, and differs");
            for (found, written) in found.iter().zip(&segment.bytes) {
                assert!(found == written || *found == 0, "segment {number} has bytes that nobody wrote");
            }
            segment.synced_len = Some(if is_crash { found.len() } else { synced_len });
            segment.bytes = found;
            segment.is_dropped = false;
        }
        self.segments.retain(|number, _| listing.segments.contains(number));
    }
}
