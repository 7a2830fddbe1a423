//! Sharing out a number as evenly as the takers' rooms allow.

use alloc::vec::Vec;

/// How much of `total` each taker gets: as even as the rooms allow, never more than its room, all of `total` unless there
/// is no room left. What does not divide evenly goes to the first takers that have room. O(n log n).
///
/// One unit more or less of one room changes at most two shares, by one each, of which at most one is another taker's.
pub(super) fn share_evenly(total: u64, rooms: &[u64]) -> Vec<u64> {
    let mut ascending = rooms.to_vec();
    ascending.sort_unstable();
    let mut left = total;
    let (mut level, mut extra) = (u64::MAX, 0);
    for (room, takers) in ascending.into_iter().zip((1..=rooms.len()).rev()) {
        let takers = u64::try_from(takers).unwrap_or(u64::MAX);
        // This one and all with more room cannot be filled: they share what is left.
        if room > left / takers {
            (level, extra) = (left / takers, left % takers);
            break;
        }
        left -= room;
    }
    let mut shares = Vec::with_capacity(rooms.len());
    for &room in rooms {
        let more = u64::from(room > level && extra > 0);
        extra -= more;
        shares.push(room.min(level.saturating_add(more)));
    }
    shares
}
