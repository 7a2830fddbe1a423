//! The customer's credits: held before the first piece moves, captured when the file came back, paid out to the nodes.

use inos_pricing::{
    AccountId, AccountKind, Credits, Ledger, LedgerError, Limits, Millis, Outcome, Rejection, Remainder, Transaction,
    TxId, allocate,
};

use super::report::Report;

/// A step that the rules of the ledger allow was refused, or its books do not balance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EscrowError {
    /// The batch was refused.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// A transaction was refused.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// The charge cannot be shared out.
    #[error("the charge cannot be shared out over {nodes} nodes")]
    Shares {
        /// Nodes that stored something.
        nodes: usize,
    },
}

const MINT: AccountId = AccountId(1);
const CUSTOMER: AccountId = AccountId(2);
const MESH: AccountId = AccountId(3);
/// Node n's account is this plus n.
const FIRST_NODE: u128 = 1 << 32;
/// The time of the whole run, as the ledger sees it: any fixed instant.
const NOW: Millis = Millis(1_700_000_000_000);
/// Transactions in one batch at most.
const BATCH: usize = 4_096;

/// The ledger and the hold of one stored file.
#[derive(Debug)]
pub(super) struct Escrow {
    ledger: Ledger,
    issued: Credits,
    next_id: u128,
    hold: Option<(TxId, Credits)>,
}

impl Escrow {
    /// A ledger in which the customer has `budget` credits.
    pub(super) fn open(budget: u64, seed: u64) -> Result<Self, EscrowError> {
        let ledger = Ledger::new(Limits::default(), u128::from(seed));
        let mut escrow = Self { ledger, issued: Credits(budget), next_id: 0, hold: None };
        let mut batch = vec![
            Transaction::open(escrow.id(), MINT, AccountKind::Issuer),
            Transaction::open(escrow.id(), CUSTOMER, AccountKind::Holder),
            Transaction::open(escrow.id(), MESH, AccountKind::Holder),
        ];
        if budget > 0 {
            batch.push(Transaction::transfer(escrow.id(), MINT, CUSTOMER, Credits(budget)));
        }
        escrow.apply(&batch)?;
        Ok(escrow)
    }

    /// What the customer has.
    pub(super) const fn budget(&self) -> Credits {
        self.issued
    }

    /// Sets `amount` aside. Nothing to hold is no hold.
    pub(super) fn hold(&mut self, amount: Credits) -> Result<(), EscrowError> {
        if amount == Credits::ZERO {
            return Ok(());
        }
        let id = self.id();
        let deadline = NOW.checked_add(Millis::HOUR).expect("an hour after a date of this century");
        self.apply(&[Transaction::hold(id, CUSTOMER, MESH, amount, deadline)])?;
        self.hold = Some((id, amount));
        Ok(())
    }

    /// Captures the hold and shares it out by bytes stored if the file came `intact`, and releases it otherwise; then
    /// adds up every account.
    pub(super) fn settle(
        &mut self,
        intact: bool,
        stored: &[(u32, u64)],
        report: &mut Report,
    ) -> Result<(), EscrowError> {
        report.held = self.hold.map_or(0, |(_, amount)| amount.0);
        if let Some((hold, amount)) = self.hold.take() {
            let id = self.id();
            if intact {
                self.apply(&[Transaction::capture(id, hold, amount, Remainder::Release)])?;
                report.captured = amount.0;
                report.paid_nodes = self.pay_out(amount, stored)?;
            } else {
                self.apply(&[Transaction::release(id, hold)])?;
                report.released = amount.0;
            }
        }
        let customer = self.ledger.balance(CUSTOMER).0;
        report.customer_left = customer.and_then(|balance| u64::try_from(balance.available()).ok()).unwrap_or(0);
        report.conserved = self.conserved();
        Ok(())
    }

    fn pay_out(&mut self, amount: Credits, stored: &[(u32, u64)]) -> Result<usize, EscrowError> {
        let weights: Vec<u64> = stored.iter().map(|&(_, bytes)| bytes).collect();
        let mut shares = vec![Credits::ZERO; stored.len()];
        allocate(amount, &weights, &mut shares).map_err(|_| EscrowError::Shares { nodes: stored.len() })?;
        let mut batch = Vec::new();
        let mut paid = 0;
        for (&(node, _), &share) in stored.iter().zip(&shares).filter(|(_, share)| **share > Credits::ZERO) {
            let account = AccountId(FIRST_NODE + u128::from(node));
            batch.push(Transaction::open(self.id(), account, AccountKind::Holder));
            batch.push(Transaction::transfer(self.id(), MESH, account, share));
            paid += 1;
        }
        for batch in batch.chunks(BATCH) {
            self.apply(batch)?;
        }
        Ok(paid)
    }

    /// Whether what all holders have is what was issued, and nothing is left on hold.
    fn conserved(&self) -> bool {
        let holders = self.ledger.accounts().filter(|(_, balance)| balance.kind == AccountKind::Holder);
        let total: u128 = holders.map(|(_, balance)| balance.available()).sum();
        total == u128::from(self.issued.0) && self.ledger.open_hold_count() == 0
    }

    fn apply(&mut self, batch: &[Transaction]) -> Result<(), EscrowError> {
        let mut outcomes: Vec<Outcome> = Vec::new();
        self.ledger.apply(NOW, batch, &mut outcomes, &mut Vec::new())?;
        for outcome in outcomes {
            outcome.verdict()?;
        }
        Ok(())
    }

    fn id(&mut self) -> TxId {
        self.next_id += 1;
        TxId::from_parts(NOW, self.next_id).expect("a run makes far fewer than 2^80 transactions")
    }
}
