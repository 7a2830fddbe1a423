//! What happens when.

use alloc::collections::BinaryHeap;
use core::cmp::Ordering;

/// A heap of happenings by time in microseconds; those of one instant come in the order in which they were put in.
///
/// `put` and `take` cost O(log n).
///
/// ```
/// use inos_quorum::sim::Queue;
///
/// let mut queue = Queue::new();
/// queue.put(20, "later");
/// queue.put(10, "first");
/// queue.put(10, "second");
/// assert_eq!(queue.next_us(), Some(10));
/// assert_eq!([queue.take(), queue.take()], [Some((10, "first")), Some((10, "second"))]);
/// ```
#[derive(Clone, Debug)]
pub struct Queue<T> {
    heap: BinaryHeap<Entry<T>>,
    put: u64,
}

#[derive(Clone, Debug)]
struct Entry<T> {
    at_us: u64,
    tie: u64,
    happening: T,
}

impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        // The standard heap hands out the greatest.
        (other.at_us, other.tie).cmp(&(self.at_us, self.tie))
    }
}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<T> Eq for Entry<T> {}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Queue<T> {
    /// With nothing in it.
    #[must_use]
    pub const fn new() -> Self {
        Self { heap: BinaryHeap::new(), put: 0 }
    }

    /// Puts `happening` at `at_us`.
    pub fn put(&mut self, at_us: u64, happening: T) {
        self.put += 1;
        self.heap.push(Entry { at_us, tie: self.put, happening });
    }

    /// When the next one is due.
    #[must_use]
    pub fn next_us(&self) -> Option<u64> {
        self.heap.peek().map(|entry| entry.at_us)
    }

    /// The next one, with its time.
    pub fn take(&mut self) -> Option<(u64, T)> {
        self.heap.pop().map(|entry| (entry.at_us, entry.happening))
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::Queue;
    use crate::sim::Rng;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    /// Against a stable sort.
    #[test]
    fn order_is_time_then_arrival() {
        let mut rng = Rng::new(3);
        let mut queue = Queue::new();
        let mut wanted = Vec::new();
        for number in 0..500 {
            let at_us = rng.below(40);
            queue.put(at_us, number);
            wanted.push((at_us, number));
        }
        wanted.sort_by_key(|&(at_us, _)| at_us);
        assert_eq!(queue.len(), 500);
        let taken: Vec<(u64, i32)> = core::iter::from_fn(|| queue.take()).collect();
        assert_eq!(taken, wanted);
        assert!(queue.is_empty());
    }
}
