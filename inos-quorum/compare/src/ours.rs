//! inos-quorum as a member of a group. All that depends on its interface is here.

use core::time::Duration;

use inos_quorum::{
    Actor, Boot, Config, Event, Group, GroupId, Lsn, Machine, Mode, OpId, Policy, Read, Role, Stage as GroupStage,
    Storage, Undecodable,
};

use crate::cluster::{DELTA_BYTES, Delta, Member, Receipt, Rule, Stage, delta, serial_of};

/// Adds up the serials of its deltas.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sum(u64);

impl Machine for Sum {
    type Delta = Delta;
    type Output = ();
    const POLICY: Policy = Policy::Reject;

    fn encode(delta: &Delta, out: &mut Vec<u8>) {
        out.extend_from_slice(delta);
    }

    fn decode(bytes: &[u8]) -> Result<Delta, Undecodable> {
        <[u8; DELTA_BYTES]>::try_from(bytes).map_err(|_| Undecodable)
    }

    fn encode_output((): &(), _: &mut Vec<u8>) {}

    fn decode_output(bytes: &[u8]) -> Result<(), Undecodable> {
        if bytes.is_empty() { Ok(()) } else { Err(Undecodable) }
    }

    fn apply(&mut self, _: Lsn, delta: &Delta) {
        self.0 += serial_of(delta);
    }

    fn snapshot(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0.to_le_bytes());
    }

    fn restore(bytes: &[u8]) -> Result<Self, Undecodable> {
        bytes.try_into().map(|bytes| Self(u64::from_le_bytes(bytes))).map_err(|_| Undecodable)
    }
}

#[derive(Debug)]
pub(crate) struct Ours(Group<u64, Sum>);

fn mode(rule: Rule) -> Mode {
    match rule {
        Rule::Fast => Mode::Fast,
        Rule::FastSafe => Mode::FastSafe,
        Rule::Flex3 => Mode::Flex { write: 3 },
        Rule::Majority => Mode::Majority,
    }
}

impl Member for Ours {
    const NAME: &'static str = "ours";

    fn found(node: usize, members: usize, rule: Rule, seed: u64) -> Self {
        let config = Config { storage: Storage::Volatile, ..Config::new(GroupId(1), mode(rule)) };
        let me = Actor { node: node as u64, incarnation: 1 };
        let boot = Boot::Genesis((0..members as u64).collect());
        Self(Group::new(config, me, seed, boot).expect("a sound configuration"))
    }

    fn receive(&mut self, now: Duration, from: usize, frame: &[u8]) {
        self.0.handle_message(now, from as u64, frame).expect("an honest frame");
    }

    fn transmit(&mut self, out: &mut Vec<u8>) -> Option<usize> {
        self.0.poll_transmit(out).map(|to| usize::try_from(to).expect("members are few"))
    }

    fn timeout(&mut self, now: Duration) {
        self.0.handle_timeout(now);
    }

    fn deadline(&self) -> Duration {
        self.0.poll_timeout().unwrap_or(Duration::MAX)
    }

    fn write(&mut self, now: Duration, serial: u64) -> bool {
        self.0.write(now, OpId { client: 1, serial }, delta(serial)).is_ok()
    }

    fn receipt(&mut self) -> Option<Receipt> {
        loop {
            let Event::Receipt { id, stage, .. } = self.0.poll_event()? else { continue };
            let stage = match stage {
                GroupStage::Fast { .. } => Stage::Fast,
                GroupStage::Committed => Stage::Committed,
                _ => continue,
            };
            return Some(Receipt { serial: id.serial, stage });
        }
    }

    fn is_primary(&self) -> bool {
        self.0.role() == Role::Primary
    }

    fn applied(&self) -> u64 {
        self.0.read(Read::Committed).expect("never fails").0.0
    }
}
