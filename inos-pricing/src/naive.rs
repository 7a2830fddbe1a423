//! The ledger once more, slow and obvious.
//!
//! It keeps a list of everything it remembers and derives the rest from it each time: what is pending is the sum of
//! the open holds and streams, what a stream owes follows from all that ever happened to it, whether an id is remembered
//! is a comparison of times, and a chain that fails is undone by a copy of the whole ledger. It has no indexes, no packed
//! records and no journal. It defines what [`Ledger`](crate::Ledger) does, and the tests run both side by side; use it for nothing
//! else.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::{
    AccountId, AccountKind, Balance, Credits, Field, FlowWindow, LedgerError, Limits, Link, MAX_BATCH, Millis,
    Operation, Outcome, Rejection, Remainder, Sequence, Side, Transaction, TxId,
};

/// Parts of a credit in which streams count: a millisecond at one credit per hour.
const PARTS: u128 = 3_600_000;

/// The naive twin of [`Ledger`](crate::Ledger). Every operation is O(n).
///
/// ```
/// use inos_pricing::{AccountId, AccountKind, Limits, Millis, Transaction, TxId, naive};
///
/// # fn main() -> Result<(), inos_pricing::LedgerError> {
/// let mut ledger = naive::Ledger::new(Limits::default());
/// let mut outcomes = Vec::new();
/// let id = TxId::from_parts(Millis(1_000), 1).expect("both parts are in range");
/// ledger.apply(Millis(1_000), &[Transaction::open(id, AccountId(1), AccountKind::Holder)], &mut outcomes)?;
/// assert!(ledger.balance(AccountId(1)).0.is_some());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Ledger {
    limits: Limits,
    clock: Option<Millis>,
    sequence: u64,
    accounts: BTreeMap<AccountId, Posted>,
    memory: Vec<Remembered>,
    /// Who was paid what, and when.
    payments: Vec<(Millis, AccountId, u64)>,
    /// Within a chain payers may be short; who paid what, for its end.
    chain: Option<Vec<(AccountId, Credits)>>,
}

#[derive(Clone, Copy, Debug)]
struct Posted {
    kind: AccountKind,
    debits: u128,
    credits: u128,
}

#[derive(Clone, Debug)]
struct Remembered {
    transaction: Transaction,
    verdict: Result<Sequence, Rejection>,
    hold: Option<Hold>,
    stream: Option<Stream>,
    /// Of a transfer or capture that was applied.
    moved: Option<Moved>,
}

#[derive(Clone, Debug)]
struct Hold {
    from: AccountId,
    to: AccountId,
    deadline: Millis,
    remaining: u64,
    /// When and why it was resolved: the rejection that everything later gets.
    resolved: Option<(Millis, Rejection)>,
}

#[derive(Clone, Debug)]
struct Moved {
    from: AccountId,
    to: AccountId,
    at: Millis,
    refundable: u64,
}

#[derive(Clone, Debug)]
struct Stream {
    from: AccountId,
    to: AccountId,
    /// When what was paid in, and from when on which rate counts.
    events: Vec<(Millis, Event)>,
    paid: u128,
    closed: Option<Millis>,
}

#[derive(Clone, Copy, Debug)]
enum Event {
    Fund(u64),
    Rate(u64),
}

impl Stream {
    /// What was funded, and the parts of a credit that came due, until `now`: each stretch between two events at its
    /// rate, never more than what was funded by then.
    fn funded_and_due(&self, now: Millis) -> (u128, u128) {
        let (mut funded, mut due, mut rate, mut from) = (0_u128, 0_u128, 0_u128, Millis::ZERO);
        for &(at, event) in self.events.iter().chain(core::iter::once(&(now, Event::Fund(0)))) {
            let more = rate.saturating_mul(u128::from(at.0.saturating_sub(from.0)));
            due = due.saturating_add(more).min(funded.saturating_mul(PARTS));
            from = at;
            match event {
                Event::Fund(amount) => funded = funded.saturating_add(u128::from(amount)),
                Event::Rate(per_hour) => rate = u128::from(per_hour),
            }
        }
        (funded, due)
    }

    fn owed(&self, now: Millis) -> u64 {
        let due = self.funded_and_due(now).1.checked_div(PARTS).unwrap_or(0);
        u64::try_from(due.saturating_sub(self.paid)).unwrap_or(u64::MAX)
    }

    /// What is set aside and not paid.
    fn reserve(&self, now: Millis) -> u64 {
        let left = self.funded_and_due(now).0.saturating_sub(self.paid);
        if self.closed.is_some() { 0 } else { u64::try_from(left).unwrap_or(u64::MAX) }
    }
}

impl Ledger {
    /// An empty ledger.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            clock: None,
            sequence: 0,
            accounts: BTreeMap::new(),
            memory: Vec::new(),
            payments: Vec::new(),
            chain: None,
        }
    }

    /// As [`Ledger::apply`](crate::Ledger::apply).
    ///
    /// # Errors
    ///
    /// As [`Ledger::apply`](crate::Ledger::apply).
    pub fn apply(
        &mut self,
        now: Millis,
        batch: &[Transaction],
        outcomes: &mut Vec<Outcome>,
    ) -> Result<Sequence, LedgerError> {
        let Limits { max_batch, max_step, max_expiries, retention, refund_window, .. } = self.limits;
        let max_batch = max_batch.min(MAX_BATCH);
        if batch.len() as u64 > u64::from(max_batch) {
            return Err(LedgerError::BatchTooLong { len: batch.len(), max_batch });
        }
        if now > TxId::MAX_TIME {
            return Err(LedgerError::ClockOutOfRange { now, latest: TxId::MAX_TIME });
        }
        match self.clock {
            Some(clock) if now.0.saturating_sub(clock.0) > max_step.0 => {
                return Err(LedgerError::ClockStep { from: clock, to: now, max_step });
            }
            Some(clock) if now <= clock => {}
            _ => {
                self.clock = Some(now);
                self.next_sequence();
            }
        }
        let now = self.clock.unwrap_or(now);

        let watermark = Millis(now.0.saturating_sub(retention.0));
        let refund_mark = Millis(now.0.saturating_sub(refund_window.0));
        self.memory.retain(|known| {
            let (settled, mark) = match known {
                Remembered { hold: Some(Hold { resolved: None, .. }), .. }
                | Remembered { stream: Some(Stream { closed: None, .. }), .. } => return true,
                Remembered { hold: Some(Hold { resolved: Some((at, _)), .. }), .. }
                | Remembered { stream: Some(Stream { closed: Some(at), .. }), .. } => (*at, watermark),
                Remembered { moved: Some(Moved { at, .. }), .. } => (*at, watermark.min(refund_mark)),
                _ => (Millis::ZERO, watermark),
            };
            known.transaction.id.time().max(settled) >= mark
        });

        let mut overdue: Vec<(Millis, TxId)> = self
            .memory
            .iter()
            .filter_map(|known| Some((known.hold.as_ref()?, known.transaction.id)))
            .filter(|(hold, _)| hold.resolved.is_none() && hold.deadline <= now)
            .map(|(hold, id)| (hold.deadline, id))
            .collect();
        overdue.sort_unstable();
        overdue.truncate(max_expiries as usize);
        for (deadline, id) in overdue {
            self.next_sequence();
            if let Some(hold) = self.find_mut(id).and_then(|known| known.hold.as_mut()) {
                hold.remaining = 0;
                hold.resolved = Some((now, Rejection::HoldExpired { deadline }));
            }
        }

        let mut position = 0;
        while position < batch.len() {
            let links = batch[position..].iter().take_while(|transaction| transaction.link == Link::Next).count();
            let end = position.saturating_add(links).saturating_add(1).min(batch.len());
            if links == 0 {
                outcomes.push(self.answer(now, watermark, &batch[position]));
            } else {
                self.answer_chain(now, watermark, position, &batch[position..end], outcomes);
            }
            position = end;
        }
        Ok(Sequence(self.sequence))
    }

    /// As [`Ledger::balance`](crate::Ledger::balance).
    #[must_use]
    pub fn balance(&self, account: AccountId) -> (Option<Balance>, Sequence) {
        let balance = self.accounts.get(&account).map(|posted| {
            let pending = |hold_side: fn(&Hold) -> AccountId, stream_side: fn(&Stream) -> AccountId| {
                let held = self.memory.iter().filter_map(|known| {
                    let hold = known.hold.as_ref().filter(|&hold| hold_side(hold) == account);
                    let stream = known.stream.as_ref().filter(|&stream| stream_side(stream) == account);
                    let reserve = |stream: &Stream| stream.reserve(self.clock.unwrap_or(Millis::ZERO));
                    hold.map(|hold| hold.remaining).or_else(|| stream.map(reserve))
                });
                held.map(u128::from).sum()
            };
            Balance {
                kind: posted.kind,
                debits_posted: posted.debits,
                debits_pending: pending(|hold| hold.from, |stream| stream.from),
                credits_posted: posted.credits,
                credits_pending: pending(|hold| hold.to, |stream| stream.to),
            }
        });
        (balance, Sequence(self.sequence))
    }

    /// As [`Ledger::id_count`](crate::Ledger::id_count).
    #[must_use]
    pub fn id_count(&self) -> usize {
        self.memory.len()
    }

    /// As [`Ledger::open_hold_count`](crate::Ledger::open_hold_count).
    #[must_use]
    pub fn open_hold_count(&self) -> usize {
        self.memory.iter().filter(|known| matches!(known.hold, Some(Hold { resolved: None, .. }))).count()
    }

    /// As [`Ledger::open_stream_count`](crate::Ledger::open_stream_count).
    #[must_use]
    pub fn open_stream_count(&self) -> usize {
        self.memory.iter().filter(|known| matches!(known.stream, Some(Stream { closed: None, .. }))).count()
    }

    /// As [`Ledger::flow`](crate::Ledger::flow).
    #[must_use]
    pub fn flow(&self, account: AccountId, window: FlowWindow) -> Option<Credits> {
        self.accounts.get(&account)?;
        let (now, len) = (self.clock.unwrap_or(Millis::ZERO).0, window.len().0);
        let number = |time: u64| time.checked_div(len);
        let paid = |window: Option<u64>| -> u64 {
            let payments = self.payments.iter().filter(|&&(at, to, _)| to == account && number(at.0) == window);
            payments.fold(0, |sum, &(_, _, amount)| sum.saturating_add(amount))
        };
        let last = u128::from(paid(number(now).and_then(|number| number.checked_sub(1))));
        let left = len.saturating_sub(now.checked_rem(len).unwrap_or(0));
        let last = last.saturating_mul(u128::from(left)).checked_div(u128::from(len)).unwrap_or(0);
        Some(Credits(paid(number(now)).saturating_add(u64::try_from(last).unwrap_or(u64::MAX))))
    }

    /// What the open stream owes at the clock, and is not paid yet.
    #[must_use]
    pub fn owed(&self, stream: TxId) -> Option<Credits> {
        let stream = self.find(stream)?.stream.as_ref().filter(|stream| stream.closed.is_none())?;
        Some(Credits(stream.owed(self.clock?)))
    }

    fn answer(&mut self, now: Millis, watermark: Millis, transaction: &Transaction) -> Outcome {
        if let Some(known) = self.known(transaction) {
            return known;
        }
        let max_ids = self.limits.max_ids;
        if let Some(rejection) = self.refusal(now, watermark, transaction) {
            return Outcome::Rejected(rejection);
        }
        if self.memory.len() as u64 >= u64::from(max_ids) {
            return Outcome::Rejected(Rejection::IdTableFull { max_ids });
        }
        if let Some(rejection) = self.too_many_open(core::slice::from_ref(transaction)) {
            return Outcome::Rejected(rejection);
        }
        self.try_new(now, transaction)
    }

    fn answer_chain(
        &mut self,
        now: Millis,
        watermark: Millis,
        position: usize,
        chain: &[Transaction],
        outcomes: &mut Vec<Outcome>,
    ) {
        let known: Vec<Option<Outcome>> = chain.iter().map(|transaction| self.known(transaction)).collect();
        if known.iter().all(|known| matches!(known, Some(Outcome::Exists(_)))) {
            outcomes.extend(known.into_iter().flatten());
            return;
        }
        match self.try_chain(now, watermark, chain, &known) {
            Ok(applied) => outcomes.extend(applied),
            Err((culprit, outcome)) => {
                for (at, known) in known.into_iter().enumerate() {
                    let culprit_position = u32::try_from(position.saturating_add(culprit)).unwrap_or(u32::MAX);
                    let failed = Outcome::Rejected(Rejection::ChainFailed { culprit: culprit_position });
                    outcomes.push(if at == culprit { outcome } else { known.unwrap_or(failed) });
                }
            }
        }
    }

    fn try_chain(
        &mut self,
        now: Millis,
        watermark: Millis,
        chain: &[Transaction],
        known: &[Option<Outcome>],
    ) -> Result<Vec<Outcome>, (usize, Outcome)> {
        let max_ids = self.limits.max_ids;
        for (at, transaction) in chain.iter().enumerate() {
            if let Some(known) = known[at] {
                return Err((at, known));
            }
            let refusal = self.refusal(now, watermark, transaction);
            let refusal = match refusal {
                None if chain[..at].iter().any(|other| other.id == transaction.id) => Some(Rejection::RepeatedInChain),
                None if at.saturating_add(1) == chain.len() && transaction.link == Link::Next => {
                    Some(Rejection::ChainOpen)
                }
                refusal => refusal,
            };
            if let Some(rejection) = refusal {
                return Err((at, Outcome::Rejected(rejection)));
            }
        }
        if (self.memory.len() as u64).saturating_add(chain.len() as u64) > u64::from(max_ids) {
            return Err((0, Outcome::Rejected(Rejection::IdTableFull { max_ids })));
        }
        if let Some(rejection) = self.too_many_open(chain) {
            return Err((0, Outcome::Rejected(rejection)));
        }

        let before = self.clone();
        self.chain = Some(Vec::new());
        let mut outcomes = Vec::new();
        let mut culprit = None;
        let mut payers = Vec::new();
        for (at, transaction) in chain.iter().enumerate() {
            let outcome = self.try_new(now, transaction);
            outcomes.push(outcome);
            payers.extend(self.chain.replace(Vec::new()).into_iter().flatten().map(|paid| (at, paid)));
            if let Outcome::Rejected(rejection) = outcome {
                culprit = Some((at, rejection));
                break;
            }
        }
        if culprit.is_none() {
            for &(at, (account, amount)) in payers.iter().rev() {
                if let Some(available) = self.short(account, amount, Credits::ZERO) {
                    culprit = Some((at, Rejection::Overdraft { available }));
                    break;
                }
            }
        }
        let Some((at, rejection)) = culprit else {
            self.chain = None;
            return Ok(outcomes);
        };
        *self = before;
        self.next_sequence();
        self.memory.push(Remembered {
            transaction: chain[at],
            verdict: Err(rejection),
            hold: None,
            stream: None,
            moved: None,
        });
        Err((at, Outcome::Rejected(rejection)))
    }

    fn known(&self, transaction: &Transaction) -> Option<Outcome> {
        let known = self.find(transaction.id)?;
        Some(match difference(&known.transaction, transaction) {
            Some(field) => Outcome::Rejected(Rejection::IdReused { field }),
            None => Outcome::Exists(known.verdict),
        })
    }

    fn too_many_open(&self, new: &[Transaction]) -> Option<Rejection> {
        let max_open = self.limits.max_open;
        let opens = |transaction: &&Transaction| {
            matches!(transaction.operation, Operation::Hold { .. } | Operation::OpenStream { .. })
        };
        let opened = new.iter().filter(opens).count();
        let open = self.open_hold_count().saturating_add(self.open_stream_count()).saturating_add(opened);
        (opened > 0 && open as u64 > u64::from(max_open)).then_some(Rejection::OpenTableFull { max_open })
    }

    fn refusal(&self, now: Millis, watermark: Millis, transaction: &Transaction) -> Option<Rejection> {
        let id = transaction.id;
        let latest = Millis(now.0.saturating_add(self.limits.max_ahead.0));
        match transaction.operation {
            _ if id.time() < watermark => Some(Rejection::IdTooOld { watermark }),
            _ if id.time() > latest => Some(Rejection::IdInFuture { latest }),
            Operation::Transfer { amount: Credits(0), .. }
            | Operation::Hold { amount: Credits(0), .. }
            | Operation::Capture { amount: Credits(0), .. }
            | Operation::Refund { amount: Credits(0), .. }
            | Operation::TopUp { amount: Credits(0), .. }
            | Operation::OpenStream { reserve: Credits(0), .. } => Some(Rejection::ZeroAmount),
            Operation::Transfer { from, to, .. }
            | Operation::Hold { from, to, .. }
            | Operation::OpenStream { from, to, .. }
                if from == to =>
            {
                Some(Rejection::SameAccount)
            }
            _ => None,
        }
    }

    fn try_new(&mut self, now: Millis, transaction: &Transaction) -> Outcome {
        let effect = self.execute(now, transaction.operation);
        let sequence = self.next_sequence();
        let (mut hold, mut stream, mut moved) = (None, None, None);
        match (effect, transaction.operation) {
            (Ok(_), Operation::Hold { from, to, amount, deadline }) => {
                hold = Some(Hold { from, to, deadline, remaining: amount.0, resolved: None });
            }
            (Ok(_), Operation::OpenStream { from, to, reserve, per_hour }) => {
                let events = [(now, Event::Fund(reserve.0)), (now, Event::Rate(per_hour.0))].to_vec();
                stream = Some(Stream { from, to, events, paid: 0, closed: None });
            }
            (Ok(Some((from, to))), Operation::Transfer { amount, .. } | Operation::Capture { amount, .. }) => {
                moved = Some(Moved { from, to, at: now, refundable: amount.0 });
            }
            _ => {}
        }
        let verdict = effect.map(|_| sequence);
        self.memory.push(Remembered { transaction: *transaction, verdict, hold, stream, moved });
        verdict.map_or_else(Outcome::Rejected, Outcome::Applied)
    }

    /// The payer and receiver of a transfer or a capture.
    fn execute(&mut self, now: Millis, operation: Operation) -> Result<Option<(AccountId, AccountId)>, Rejection> {
        match operation {
            Operation::Open { account, kind } => {
                let max_accounts = self.limits.max_accounts;
                if self.accounts.contains_key(&account) {
                    return Err(Rejection::AccountExists);
                }
                if self.accounts.len() as u64 >= u64::from(max_accounts) {
                    return Err(Rejection::AccountTableFull { max_accounts });
                }
                self.accounts.insert(account, Posted { kind, debits: 0, credits: 0 });
            }
            Operation::Transfer { from, to, amount } => {
                self.check_payment(from, to, amount)?;
                self.post(now, from, to, amount.0);
                return Ok(Some((from, to)));
            }
            Operation::Hold { from, to, amount, deadline } => {
                if deadline <= now {
                    return Err(Rejection::DeadlinePassed { now });
                }
                self.check_payment(from, to, amount)?;
            }
            Operation::Capture { hold: id, amount, remainder } => {
                self.check_hold(now, id)?;
                let hold = self.find_mut(id).and_then(|known| known.hold.as_mut()).ok_or(Rejection::HoldNotFound)?;
                let remaining = Credits(hold.remaining);
                hold.remaining =
                    hold.remaining.checked_sub(amount.0).ok_or(Rejection::CaptureExceedsHold { remaining })?;
                if remainder == Remainder::Release || hold.remaining == 0 {
                    hold.remaining = 0;
                    hold.resolved = Some((now, Rejection::HoldCaptured));
                }
                let (from, to) = (hold.from, hold.to);
                self.post(now, from, to, amount.0);
                return Ok(Some((from, to)));
            }
            Operation::Release { hold: id } => {
                self.check_hold(now, id)?;
                let hold = self.find_mut(id).and_then(|known| known.hold.as_mut()).ok_or(Rejection::HoldNotFound)?;
                hold.remaining = 0;
                hold.resolved = Some((now, Rejection::HoldReleased));
            }
            Operation::Refund { original, amount } => self.refund(now, original, amount)?,
            Operation::OpenStream { from, to, reserve, .. } => self.check_payment(from, to, reserve)?,
            Operation::TopUp { stream, amount } => {
                let mut open = self.open_stream(stream)?;
                let reserve = open.reserve(now).saturating_sub(open.owed(now));
                if reserve.checked_add(amount.0).is_none() {
                    return Err(Rejection::ReserveTooLarge { reserve: Credits(reserve) });
                }
                self.check_payment(open.from, open.to, amount)?;
                self.settle(now, stream)?;
                open.events.push((now, Event::Fund(amount.0)));
                self.stream_mut(stream)?.events = open.events;
            }
            Operation::SetRate { stream, per_hour } => {
                self.settle(now, stream)?;
                self.stream_mut(stream)?.events.push((now, Event::Rate(per_hour.0)));
            }
            Operation::Settle { stream } => self.settle(now, stream)?,
            Operation::CloseStream { stream } => {
                self.settle(now, stream)?;
                self.stream_mut(stream)?.closed = Some(now);
            }
        }
        Ok(None)
    }

    fn check_payment(&mut self, from: AccountId, to: AccountId, amount: Credits) -> Result<(), Rejection> {
        self.balance(from).0.ok_or(Rejection::AccountNotFound { side: Side::From })?;
        self.balance(to).0.ok_or(Rejection::AccountNotFound { side: Side::To })?;
        self.check_payer(from, amount)
    }

    fn check_payer(&mut self, from: AccountId, amount: Credits) -> Result<(), Rejection> {
        if let Some(payers) = &mut self.chain {
            payers.push((from, amount));
            return Ok(());
        }
        match self.short(from, amount, amount) {
            Some(available) => Err(Rejection::Overdraft { available }),
            None => Ok(()),
        }
    }

    /// What the account could pay instead of `amount`, if it is overdrawn after paying `more`.
    fn short(&self, account: AccountId, amount: Credits, more: Credits) -> Option<Credits> {
        let payer = self.balance(account).0?;
        let after = payer.debits_posted.saturating_add(payer.debits_pending).saturating_add(u128::from(more.0));
        if payer.kind != AccountKind::Holder || after <= payer.credits_posted {
            return None;
        }
        let short = u64::try_from(after.saturating_sub(payer.credits_posted)).unwrap_or(u64::MAX);
        Some(Credits(amount.0.saturating_sub(short)))
    }

    fn refund(&mut self, now: Millis, original: TxId, amount: Credits) -> Result<(), Rejection> {
        let before = |span: Millis| Millis(now.0.saturating_sub(span.0));
        let (watermark, since) = (before(self.limits.retention), before(self.limits.refund_window));
        let Some(known) = self.find(original) else {
            let forgotten = original.time() < watermark.min(since);
            return Err(if forgotten { Rejection::RefundWindowClosed { since } } else { Rejection::OriginalNotFound });
        };
        let moved = known.moved.clone().ok_or(Rejection::NotRefundable)?;
        if moved.at < since {
            return Err(Rejection::RefundWindowClosed { since });
        }
        let refundable = Credits(moved.refundable);
        let left = refundable.checked_sub(amount).ok_or(Rejection::RefundExceedsOriginal { refundable })?;
        self.check_payer(moved.to, amount)?;
        if let Some(moved) = self.find_mut(original).and_then(|known| known.moved.as_mut()) {
            moved.refundable = left.0;
        }
        self.post(now, moved.to, moved.from, amount.0);
        // Credits that come back were not earned.
        self.payments.pop();
        Ok(())
    }

    fn open_stream(&self, id: TxId) -> Result<Stream, Rejection> {
        let known = self.find(id).ok_or(Rejection::StreamNotFound)?;
        let stream = known.stream.clone().ok_or(Rejection::NotAStream)?;
        if stream.closed.is_some() { Err(Rejection::StreamClosed) } else { Ok(stream) }
    }

    fn settle(&mut self, now: Millis, id: TxId) -> Result<(), Rejection> {
        let stream = self.open_stream(id)?;
        let owed = stream.owed(now);
        self.stream_mut(id)?.paid = stream.paid.saturating_add(u128::from(owed));
        self.post(now, stream.from, stream.to, owed);
        Ok(())
    }

    fn stream_mut(&mut self, id: TxId) -> Result<&mut Stream, Rejection> {
        self.find_mut(id).and_then(|known| known.stream.as_mut()).ok_or(Rejection::StreamNotFound)
    }

    fn check_hold(&self, now: Millis, id: TxId) -> Result<(), Rejection> {
        let known = self.find(id).ok_or(Rejection::HoldNotFound)?;
        let hold = known.hold.as_ref().ok_or(Rejection::NotAHold)?;
        match hold.resolved {
            Some((_, rejection)) => Err(rejection),
            None if hold.deadline <= now => Err(Rejection::HoldExpired { deadline: hold.deadline }),
            None => Ok(()),
        }
    }

    fn post(&mut self, now: Millis, from: AccountId, to: AccountId, amount: u64) {
        if let Some(payer) = self.accounts.get_mut(&from) {
            payer.debits = payer.debits.saturating_add(u128::from(amount));
        }
        if let Some(receiver) = self.accounts.get_mut(&to) {
            receiver.credits = receiver.credits.saturating_add(u128::from(amount));
        }
        self.payments.push((now, to, amount));
    }

    fn find(&self, id: TxId) -> Option<&Remembered> {
        self.memory.iter().find(|known| known.transaction.id == id)
    }

    fn find_mut(&mut self, id: TxId) -> Option<&mut Remembered> {
        self.memory.iter_mut().find(|known| known.transaction.id == id)
    }

    fn next_sequence(&mut self) -> Sequence {
        self.sequence = self.sequence.saturating_add(1);
        Sequence(self.sequence)
    }
}

/// The first field in which two transactions differ.
fn difference(old: &Transaction, new: &Transaction) -> Option<Field> {
    let differs = match (old.operation, new.operation) {
        (Operation::Open { account: a, kind: k }, Operation::Open { account, kind }) => {
            [(a != account, Field::Account), (k != kind, Field::AccountKind)].to_vec()
        }
        (Operation::Transfer { from: f, to: t, amount: a }, Operation::Transfer { from, to, amount }) => {
            [(f != from, Field::From), (t != to, Field::To), (a != amount, Field::Amount)].to_vec()
        }
        (
            Operation::Hold { from: f, to: t, amount: a, deadline: d },
            Operation::Hold { from, to, amount, deadline },
        ) => [
            (f != from, Field::From),
            (t != to, Field::To),
            (a != amount, Field::Amount),
            (d != deadline, Field::Deadline),
        ]
        .to_vec(),
        (Operation::Capture { hold: h, amount: a, remainder: r }, Operation::Capture { hold, amount, remainder }) => {
            [(h != hold, Field::Hold), (a != amount, Field::Amount), (r != remainder, Field::Remainder)].to_vec()
        }
        (Operation::Release { hold: h }, Operation::Release { hold }) => [(h != hold, Field::Hold)].to_vec(),
        (Operation::Refund { original: o, amount: a }, Operation::Refund { original, amount }) => {
            [(o != original, Field::Original), (a != amount, Field::Amount)].to_vec()
        }
        (
            Operation::OpenStream { from: f, to: t, reserve: r, per_hour: p },
            Operation::OpenStream { from, to, reserve, per_hour },
        ) => [
            (f != from, Field::From),
            (t != to, Field::To),
            (r != reserve, Field::Amount),
            (p != per_hour, Field::Rate),
        ]
        .to_vec(),
        (Operation::TopUp { stream: s, amount: a }, Operation::TopUp { stream, amount }) => {
            [(s != stream, Field::Stream), (a != amount, Field::Amount)].to_vec()
        }
        (Operation::SetRate { stream: s, per_hour: p }, Operation::SetRate { stream, per_hour }) => {
            [(s != stream, Field::Stream), (p != per_hour, Field::Rate)].to_vec()
        }
        (Operation::Settle { stream: s }, Operation::Settle { stream })
        | (Operation::CloseStream { stream: s }, Operation::CloseStream { stream }) => {
            [(s != stream, Field::Stream)].to_vec()
        }
        _ => return Some(Field::Operation),
    };
    let link = (old.link != new.link, Field::Link);
    core::iter::once(link).chain(differs).find(|&(differs, _)| differs).map(|(_, field)| field)
}
