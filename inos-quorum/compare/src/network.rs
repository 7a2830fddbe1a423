//! A group on a simulated network: frames take their time, members and clients act at moments of one clock.

use alloc::collections::BTreeMap;
use core::time::Duration;

use crate::cluster::{Member, Receipt, Rule};
use crate::delays::{Net, Rng};

/// A group and the frames between its members. Frames overtake each other; none is lost but those of dead members.
pub(crate) struct Network<M> {
    pub(crate) now: Duration,
    /// `None`: dead.
    pub(crate) members: Vec<Option<M>>,
    net: Net,
    rng: Rng,
    straggler: Option<usize>,
    /// By arrival, then by number.
    under_way: BTreeMap<(Duration, u64), Envelope>,
    sent: u64,
    frame: Vec<u8>,
    /// When, where and what; taken by whoever waits for them.
    pub(crate) receipts: Vec<(Duration, usize, Receipt)>,
}

struct Envelope {
    from: usize,
    to: usize,
    bytes: Vec<u8>,
}

impl<M: Member> Network<M> {
    pub(crate) fn new(members: usize, rule: Rule, net: Net, seed: u64) -> Self {
        Self {
            now: Duration::from_secs(1),
            members: (0..members).map(|node| Some(M::found(node, members, rule, seed))).collect(),
            net,
            rng: Rng(seed),
            straggler: None,
            under_way: BTreeMap::new(),
            sent: 0,
            frame: Vec::new(),
            receipts: Vec::new(),
        }
    }

    /// Waits until one member was primary for a whole second: rivals that asked for votes at the same moment may depose
    /// the first. The last member that is not primary straggles from here on, where the network has a straggler.
    pub(crate) fn elect(&mut self) -> usize {
        let end = self.now + Duration::from_secs(60);
        let (mut primary, mut since) = (None, self.now);
        while primary.is_none() || self.now < since + Duration::from_secs(1) {
            assert!(
                self.now < end,
                "{} members on {} keep a primary within a minute",
                self.members.len(),
                self.net.name()
            );
            self.pass(Duration::from_millis(10));
            if self.primary() != primary {
                (primary, since) = (self.primary(), self.now);
            }
        }
        let primary = primary.expect("the loop ends with one");
        self.straggler = (0..self.members.len()).rev().find(|&node| node != primary);
        primary
    }

    /// A member that believes to be primary.
    pub(crate) fn primary(&self) -> Option<usize> {
        self.members.iter().position(|member| member.as_ref().is_some_and(M::is_primary))
    }

    pub(crate) fn write(&mut self, node: usize, serial: u64) -> bool {
        let now = self.now;
        let taken = self.members[node].as_mut().is_some_and(|member| member.write(now, serial));
        self.drain(node);
        taken
    }

    pub(crate) fn pass(&mut self, span: Duration) {
        let end = self.now + span;
        loop {
            let arrival = self.under_way.first_key_value().map(|(&(at, _), _)| at);
            let deadlines = self.members.iter().flatten().map(M::deadline);
            let due = deadlines.chain(arrival).min().unwrap_or(Duration::MAX).max(self.now);
            if due > end {
                break;
            }
            self.now = due;
            if arrival == Some(due) {
                self.deliver();
                continue;
            }
            for node in 0..self.members.len() {
                if let Some(member) = self.members[node].as_mut().filter(|member| member.deadline() <= due) {
                    member.timeout(due);
                    self.drain(node);
                }
            }
        }
        self.now = end;
    }

    fn deliver(&mut self) {
        let Some((_, Envelope { from, to, bytes })) = self.under_way.pop_first() else { return };
        if let Some(member) = &mut self.members[to] {
            member.receive(self.now, from, &bytes);
            self.drain(to);
        }
    }

    fn drain(&mut self, node: usize) {
        let Some(member) = &mut self.members[node] else { return };
        while let Some(to) = member.transmit(&mut self.frame) {
            let slow = self.straggler.is_some_and(|straggler| straggler == node || straggler == to);
            let arrival = self.now + self.net.one_way(slow, &mut self.rng);
            self.sent += 1;
            self.under_way.insert((arrival, self.sent), Envelope { from: node, to, bytes: self.frame.clone() });
        }
        while let Some(receipt) = member.receipt() {
            self.receipts.push((self.now, node, receipt));
        }
    }
}
