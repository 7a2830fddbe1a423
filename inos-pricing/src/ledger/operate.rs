//! What each operation does to accounts, holds and streams.

use super::ahead::Sides;
use super::chain::Change;
use super::record::{Effect, Kind, State};
use super::stream::Stream;
use super::{Ledger, Mode};
use crate::{AccountId, AccountKind, Credits, Millis, Operation, Rejection, Remainder, Side, TxId};

impl Ledger {
    /// Changes the accounts, holds and streams, or nothing. Every rejection from here depends on the state and burns
    /// the id.
    ///
    /// `sides` are the accounts of a transfer or hold, where they were looked up before.
    pub(super) fn execute(&mut self, now: Millis, operation: &Operation, sides: Sides) -> Result<Effect, Rejection> {
        match *operation {
            Operation::Open { account, kind } => self.open(account, kind)?,
            Operation::Transfer { from, to, amount } => {
                let (from, to) = self.payable((from, to), sides, amount)?;
                self.post(from, to, amount);
                return Ok(Effect::Moved(from, to));
            }
            Operation::Hold { from, to, amount, deadline } => {
                if deadline <= now {
                    return Err(Rejection::DeadlinePassed { now });
                }
                let (from, to) = self.payable((from, to), sides, amount)?;
                self.pend(from, to, amount);
                return Ok(Effect::Held(from, to));
            }
            Operation::Capture { hold, amount, remainder } => return self.capture(now, hold, amount, remainder),
            Operation::Release { hold } => {
                let slot = self.open_hold(now, hold)?;
                self.resolve(now, slot, State::Released);
            }
            Operation::Refund { original, amount } => self.refund(original, amount)?,
            Operation::OpenStream { from, to, reserve, per_hour } => {
                let (from, to) = self.payable((from, to), sides, reserve)?;
                self.pend(from, to, reserve);
                return Ok(Effect::Streaming(Stream { from, to, per_hour, reserve, carried: 0, since: now }));
            }
            Operation::TopUp { stream, amount } => self.top_up(now, stream, amount)?,
            Operation::SetRate { stream, per_hour } => {
                let (_, mut open) = self.open_stream(stream)?;
                self.settle(now, &mut open);
                open.per_hour = per_hour;
                self.put_stream(stream, Some(open));
            }
            Operation::Settle { stream } => {
                let (_, mut open) = self.open_stream(stream)?;
                self.settle(now, &mut open);
                self.put_stream(stream, Some(open));
            }
            Operation::CloseStream { stream } => {
                let (slot, mut open) = self.open_stream(stream)?;
                self.settle(now, &mut open);
                self.unpend(open.from, open.to, open.reserve);
                self.put_stream(stream, None);
                self.touch_record(slot);
                let record = self.records.at_mut(slot);
                (record.state, record.settled) = (State::StreamClosed, now);
                self.age(slot);
            }
        }
        Ok(Effect::Done)
    }

    fn open(&mut self, account: AccountId, kind: AccountKind) -> Result<(), Rejection> {
        if self.accounts.find(account).is_some() {
            return Err(Rejection::AccountExists);
        }
        let max_accounts = self.limits.max_accounts;
        if self.mode != Mode::Replay && self.accounts.list().len() >= max_accounts as usize {
            return Err(Rejection::AccountTableFull { max_accounts });
        }
        self.accounts.open(account, kind);
        self.note(Change::Opened);
        Ok(())
    }

    /// The slots of payer and receiver, if the payer can pay.
    fn payable(
        &mut self,
        (from, to): (AccountId, AccountId),
        found: Sides,
        amount: Credits,
    ) -> Result<(u32, u32), Rejection> {
        let find = |found: Option<u32>, account, side| {
            found.or_else(|| self.accounts.find(account)).ok_or(Rejection::AccountNotFound { side })
        };
        let from = find(found.0, from, Side::From)?;
        let to = find(found.1, to, Side::To)?;
        self.afford(from, amount)?;
        Ok((from, to))
    }

    /// Whether an account can pay: in a chain that is asked at its end, in a replay it was asked before.
    fn afford(&mut self, slot: u32, amount: Credits) -> Result<(), Rejection> {
        match self.mode {
            Mode::Alone => {
                self.accounts.balance(slot).afford(amount).map_err(|available| Rejection::Overdraft { available })
            }
            Mode::Chain => {
                self.note(Change::Paid(slot, amount));
                Ok(())
            }
            Mode::Replay => Ok(()),
        }
    }

    fn capture(&mut self, now: Millis, hold: TxId, amount: Credits, rest: Remainder) -> Result<Effect, Rejection> {
        let slot = self.open_hold(now, hold)?;
        let remaining = self.records.at(slot).remaining;
        let left = remaining.checked_sub(amount).ok_or(Rejection::CaptureExceedsHold { remaining })?;
        self.touch_record(slot);
        self.records.at_mut(slot).remaining = left;
        let (from, to) = self.sides(slot);
        self.unpend(from, to, amount);
        self.post(from, to, amount);
        if rest == Remainder::Release || left == Credits::ZERO {
            self.resolve(now, slot, State::Captured);
        }
        Ok(Effect::Captured(from, to))
    }

    fn refund(&mut self, original: TxId, amount: Credits) -> Result<(), Rejection> {
        let Some(slot) = self.records.find(self.records.hash(original), original) else {
            // What can be refunded is remembered until both watermarks have passed its id.
            let forgotten = original.time() < self.watermark.min(self.refund_mark);
            let closed = Rejection::RefundWindowClosed { since: self.refund_mark };
            return Err(if forgotten { closed } else { Rejection::OriginalNotFound });
        };
        let record = self.records.at(slot);
        if !record.is_refundable() {
            return Err(Rejection::NotRefundable);
        }
        if record.settled < self.refund_mark {
            return Err(Rejection::RefundWindowClosed { since: self.refund_mark });
        }
        let refundable = record.remaining;
        let left = refundable.checked_sub(amount).ok_or(Rejection::RefundExceedsOriginal { refundable })?;
        let (from, to) = if record.kind == Kind::Capture { record.capture_sides() } else { self.sides(slot) };
        self.afford(to, amount)?;
        self.touch_record(slot);
        self.records.at_mut(slot).remaining = left;
        self.touch_accounts(to, from);
        self.accounts.pay_back(to, from, amount);
        Ok(())
    }

    fn top_up(&mut self, now: Millis, stream: TxId, amount: Credits) -> Result<(), Rejection> {
        let (_, mut open) = self.open_stream(stream)?;
        let mut settled = open;
        settled.settle(now);
        let reserve = settled.reserve;
        let more = reserve.checked_add(amount).ok_or(Rejection::ReserveTooLarge { reserve })?;
        self.afford(open.from, amount)?;
        self.settle(now, &mut open);
        self.pend(open.from, open.to, amount);
        if reserve == Credits::ZERO {
            open.since = now;
        }
        open.reserve = more;
        self.put_stream(stream, Some(open));
        Ok(())
    }

    /// Pays what a stream owes.
    fn settle(&mut self, now: Millis, stream: &mut Stream) {
        let owed = stream.settle(now);
        if owed == Credits::ZERO {
            return;
        }
        self.unpend(stream.from, stream.to, owed);
        self.post(stream.from, stream.to, owed);
    }

    /// The slot of a hold that is open and not overdue.
    fn open_hold(&self, now: Millis, hold: TxId) -> Result<u32, Rejection> {
        let slot = self.records.find(self.records.hash(hold), hold).ok_or(Rejection::HoldNotFound)?;
        let record = self.records.at(slot);
        let deadline = record.deadline();
        match record.state {
            State::None | State::StreamOpen | State::StreamClosed => Err(Rejection::NotAHold),
            State::Captured => Err(Rejection::HoldCaptured),
            State::Released => Err(Rejection::HoldReleased),
            State::Expired => Err(Rejection::HoldExpired { deadline }),
            State::Open if deadline <= now => Err(Rejection::HoldExpired { deadline }),
            State::Open => Ok(slot),
        }
    }

    /// The slot of an open stream, and the stream.
    fn open_stream(&self, stream: TxId) -> Result<(u32, Stream), Rejection> {
        let slot = self.records.find(self.records.hash(stream), stream).ok_or(Rejection::StreamNotFound)?;
        match self.records.at(slot).state {
            State::StreamOpen => Ok((slot, *self.streams.get(&stream).expect("an open stream is among the open ones"))),
            State::StreamClosed => Err(Rejection::StreamClosed),
            _ => Err(Rejection::NotAStream),
        }
    }

    /// Returns what is left of an open hold to the payer and lets its id age.
    pub(super) fn resolve(&mut self, now: Millis, slot: u32, state: State) {
        self.touch_record(slot);
        let record = self.records.at_mut(slot);
        let key = (record.deadline(), record.id);
        (record.state, record.settled) = (state, now);
        let left = core::mem::take(&mut record.remaining);
        self.deadlines.remove(&key);
        self.note(Change::Due(key, slot));
        let (from, to) = self.sides(slot);
        self.unpend(from, to, left);
        self.age(slot);
    }

    /// The slots of the payer and the receiver of a transfer or a hold that was applied.
    fn sides(&self, slot: u32) -> (u32, u32) {
        let (from, to) = self.records.at(slot).sides();
        let find = |id| self.accounts.find(id).expect("accounts stay open, and this was applied between two");
        (find(from), find(to))
    }

    fn post(&mut self, from: u32, to: u32, amount: Credits) {
        self.touch_accounts(from, to);
        self.accounts.post(from, to, amount, &self.windows);
    }

    fn pend(&mut self, from: u32, to: u32, amount: Credits) {
        self.touch_accounts(from, to);
        self.accounts.pend(from, to, amount);
    }

    fn unpend(&mut self, from: u32, to: u32, amount: Credits) {
        self.touch_accounts(from, to);
        self.accounts.unpend(from, to, amount);
    }

    pub(super) fn put_stream(&mut self, id: TxId, stream: Option<Stream>) {
        let before = match stream {
            Some(stream) => self.streams.insert(id, stream),
            None => self.streams.remove(&id),
        };
        self.note(Change::Stream(id, before));
    }
}
