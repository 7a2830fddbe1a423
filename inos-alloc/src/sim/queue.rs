//! What happens when.

use alloc::collections::BTreeMap;
use core::time::Duration;

/// Events by time; those of one instant come in the order in which they were put in. O(log n).
///
/// ```
/// use core::time::Duration;
/// use inos_alloc::sim::Queue;
///
/// let mut queue = Queue::default();
/// queue.put(Duration::from_secs(2), "later");
/// queue.put(Duration::from_secs(1), "first");
/// queue.put(Duration::from_secs(1), "second");
/// assert_eq!(queue.take_until(Duration::from_secs(1)), Some((Duration::from_secs(1), "first")));
/// assert_eq!(queue.take_until(Duration::from_secs(1)), Some((Duration::from_secs(1), "second")));
/// assert_eq!(queue.take_until(Duration::from_secs(1)), None);
/// assert_eq!(queue.len(), 1);
/// ```
#[derive(Clone, Debug)]
pub struct Queue<T> {
    events: BTreeMap<(Duration, u64), T>,
    /// Events that were ever put in.
    count: u64,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { events: BTreeMap::new(), count: 0 }
    }
}

impl<T> Queue<T> {
    /// Puts an event at a time.
    pub fn put(&mut self, at: Duration, event: T) {
        self.count += 1;
        self.events.insert((at, self.count), event);
    }

    /// The first event, with its time, unless it is after `end`.
    pub fn take_until(&mut self, end: Duration) -> Option<(Duration, T)> {
        let first = self.events.first_entry()?;
        if first.key().0 > end {
            return None;
        }
        let ((at, _), event) = first.remove_entry();
        Some((at, event))
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }
}
