//! Load that was placed and that no report has counted yet.

use core::time::Duration;

use super::{Account, Booking, Ended, Link, NodeTable};
use crate::id::Id;
use crate::scheme::{Part, share_permille};
use crate::slab::NONE;
use crate::units::Capacity;

/// The decision that books something, when, and for how long.
#[derive(Clone, Copy, Debug)]
pub(in crate::allocator) struct Term {
    pub(in crate::allocator) seq: u64,
    pub(in crate::allocator) now: Duration,
    pub(in crate::allocator) ttl: Duration,
}

impl<N: Id> NodeTable<N> {
    /// What is booked for a resource on a node.
    pub(in crate::allocator) fn booked_on(&self, link: u32) -> Capacity {
        let mut booked = Capacity::default();
        let mut at = self.links[link].bookings;
        while at != NONE {
            booked = booked.saturating_add(self.bookings[at].need);
            at = self.bookings[at].of_link;
        }
        booked
    }

    /// Gives a node something: as [`Self::book_again`], and it counts for its share.
    pub(in crate::allocator) fn book(&mut self, link: u32, need: Capacity, term: Term) {
        let index = self.links[link].node;
        let given = Part::of(need, self.cold_mut(index).spec.capacity).millionths();
        let trust = self.trust;
        self.hot_mut(index).trust.give(given, &trust, term.now);
        self.given.add(given);
        self.book_again(link, need, term);
    }

    /// Adds a booking, or adds to the one this decision has for the link. `now + ttl` of later terms must not be
    /// earlier.
    pub(in crate::allocator) fn book_again(&mut self, link: u32, need: Capacity, term: Term) {
        let Link { node: index, bookings: newest, .. } = self.links[link];
        let load_permille = share_permille(need, self.cold_mut(index).spec.capacity);
        self.set_need(link, self.links[link].need.saturating_add(need));
        let account = self.account(index);
        if newest != NONE && self.bookings[newest].seq == term.seq {
            let booking = &mut self.bookings[newest];
            booking.load_permille = booking.load_permille.saturating_add(load_permille);
            booking.need = booking.need.saturating_add(need);
        } else {
            let last = self.accounts[account].last;
            let booking = self.bookings.insert(Booking {
                link,
                seq: term.seq,
                load_permille,
                need,
                deadline: term.now.saturating_add(term.ttl),
                before: last,
                after: NONE,
                older: self.newest,
                newer: NONE,
                of_link: newest,
            });
            self.links[link].bookings = booking;
            if last != NONE {
                self.bookings[last].after = booking;
            } else {
                self.accounts[account].first = booking;
            }
            if self.newest != NONE {
                self.bookings[self.newest].newer = booking;
            } else {
                self.oldest = booking;
            }
            self.newest = booking;
            self.accounts[account].last = booking;
            self.accounts[account].count += 1;
        }
        self.accounts[account].needs = self.accounts[account].needs.saturating_add(need);
        let hot = self.hot_mut(index);
        hot.booked_permille = hot.booked_permille.saturating_add(load_permille);
        self.settle(index);
    }

    /// The account of a node, opened if it has none.
    pub(super) fn account(&mut self, index: u32) -> u32 {
        let account = self.hot_mut(index).account;
        if account != NONE {
            return account;
        }
        let account = self.accounts.insert(Account { needs: Capacity::default(), first: NONE, last: NONE, count: 0 });
        self.hot_mut(index).account = account;
        account
    }

    /// Takes one booking out of its lists and off its node, whose place in the index the caller settles.
    pub(super) fn take_booking(&mut self, at: u32) -> Option<Booking> {
        let booking = self.bookings.remove(at)?;
        let Booking { before, after, older, newer, .. } = booking;
        if before != NONE {
            self.bookings[before].after = after;
        }
        if after != NONE {
            self.bookings[after].before = before;
        }
        if older != NONE {
            self.bookings[older].newer = newer;
        } else {
            self.oldest = newer;
        }
        if newer != NONE {
            self.bookings[newer].older = older;
        } else {
            self.newest = older;
        }
        // A link has one booking, or a few when its pieces needed more.
        if self.links[booking.link].bookings == at {
            self.links[booking.link].bookings = booking.of_link;
        } else {
            let mut of_link = self.links[booking.link].bookings;
            while self.bookings[of_link].of_link != at {
                of_link = self.bookings[of_link].of_link;
            }
            self.bookings[of_link].of_link = booking.of_link;
        }
        let index = self.links[booking.link].node;
        let hot = self.hot_mut(index);
        hot.booked_permille = hot.booked_permille.saturating_sub(booking.load_permille);
        let number = hot.account;
        let account = &mut self.accounts[number];
        if before == NONE {
            account.first = after;
        }
        if after == NONE {
            account.last = before;
        }
        account.count -= 1;
        account.needs = account.needs.saturating_sub(booking.need);
        if account.count == 0 {
            self.accounts.remove(number);
            self.hot_mut(index).account = NONE;
        }
        Some(booking)
    }

    pub(super) fn unbook(&mut self, at: u32) {
        if let Some(booking) = self.take_booking(at) {
            self.settle(self.links[booking.link].node);
        }
    }

    pub(in crate::allocator) fn next_deadline(&self) -> Option<Duration> {
        (self.oldest != NONE).then(|| self.bookings[self.oldest].deadline)
    }

    /// Drops the booking that expired first, if one has.
    pub(in crate::allocator) fn pop_expired(&mut self, now: Duration) -> Option<Ended> {
        if self.next_deadline()? > now {
            return None;
        }
        let Booking { link, seq, load_permille, need, .. } = self.take_booking(self.oldest)?;
        let Link { node, resource, need: all, .. } = self.links[link];
        // It never came: the node does not carry it either, and begins again with its first share.
        self.set_need(link, all.saturating_sub(need));
        let trust = self.trust;
        self.hot_mut(node).trust.fall(&trust);
        self.settle(node);
        Some(Ended { node: self.handle(node)?, resource, seq, load_permille, need })
    }
}
