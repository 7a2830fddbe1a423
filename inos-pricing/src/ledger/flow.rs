//! How many credits an account was paid lately.

use crate::{Credits, Millis};

/// A window of time that [`Ledger::flow`](crate::Ledger::flow) looks back over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FlowWindow {
    /// 60 seconds.
    Minute,
    /// 60 minutes.
    Hour,
    /// 24 hours.
    Day,
}

impl FlowWindow {
    /// All of them, the shortest first.
    pub(super) const ALL: [Self; 3] = [Self::Minute, Self::Hour, Self::Day];

    /// Its length.
    #[must_use]
    pub const fn len(self) -> Millis {
        match self {
            Self::Minute => Millis::MINUTE,
            Self::Hour => Millis::HOUR,
            Self::Day => Millis::DAY,
        }
    }
}

/// The number of the window that a time is in, for each length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Windows([u64; 3]);

impl Windows {
    pub(super) fn at(now: Millis) -> Self {
        Self(FlowWindow::ALL.map(|window| now.0.checked_div(window.len().0).unwrap_or(0)))
    }
}

/// What was paid in the present and the last window of one length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Bucket {
    /// The window in which something was paid last.
    window: u64,
    /// Paid in it.
    present: u64,
    /// Paid in the one before.
    last: u64,
}

/// What an account was paid lately: two counters for each length, so that a payment and a question take O(1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Flow([Bucket; 3]);

impl Flow {
    pub(super) fn add(&mut self, amount: Credits, windows: &Windows) {
        for (bucket, &window) in self.0.iter_mut().zip(&windows.0) {
            if window != bucket.window {
                bucket.last = if window == bucket.window.saturating_add(1) { bucket.present } else { 0 };
                (bucket.window, bucket.present) = (window, 0);
            }
            bucket.present = bucket.present.saturating_add(amount.0);
        }
    }

    /// What was paid in the window that ends at `now`, if what was paid in the last one was paid evenly.
    pub(super) fn within(&self, window: FlowWindow, now: Millis) -> Credits {
        let len = window.len().0;
        let (number, elapsed) = (now.0.checked_div(len).unwrap_or(0), now.0.checked_rem(len).unwrap_or(0));
        let bucket = &self.0[window as usize];
        let (present, last) = match number.checked_sub(bucket.window) {
            Some(0) => (bucket.present, bucket.last),
            Some(1) => (0, bucket.present),
            _ => (0, 0),
        };
        let left = u128::from(last).saturating_mul(u128::from(len.saturating_sub(elapsed)));
        let left = u64::try_from(left.checked_div(u128::from(len)).unwrap_or(0)).unwrap_or(u64::MAX);
        Credits(present.saturating_add(left))
    }

    /// The day in which something was paid last.
    pub(super) fn newest(&self) -> u64 {
        self.0[2].window
    }

    /// Whether something was paid in a window later than the present ones.
    pub(super) fn is_after(&self, windows: &Windows) -> bool {
        self.0.iter().zip(&windows.0).any(|(bucket, &window)| bucket.window > window)
    }

    /// Nine numbers: window, present and last, the shortest window first.
    pub(super) fn to_words(self) -> [u64; 9] {
        let [minute, hour, day] = self.0.map(|bucket| [bucket.window, bucket.present, bucket.last]);
        let mut words = [0; 9];
        for (word, value) in words.iter_mut().zip(minute.into_iter().chain(hour).chain(day)) {
            *word = value;
        }
        words
    }

    pub(super) fn from_words(words: [u64; 9]) -> Self {
        let bucket = |at: usize| Bucket {
            window: words[at],
            present: words[at.saturating_add(1)],
            last: words[at.saturating_add(2)],
        };
        Self([bucket(0), bucket(3), bucket(6)])
    }
}
