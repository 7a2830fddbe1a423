//! Numbered places for values that come and go.

use alloc::vec::Vec;
use core::ops::{Index, IndexMut};

/// No place.
pub(crate) const NONE: u32 = u32::MAX;

/// Values by number; the number of a value that left is given to a later one.
#[derive(Clone, Debug)]
pub(crate) struct Slab<T> {
    values: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<T> Slab<T> {
    pub(crate) const fn new() -> Self {
        Self { values: Vec::new(), free: Vec::new() }
    }

    /// # Panics
    ///
    /// With 2^32 - 1 values.
    pub(crate) fn insert(&mut self, value: T) -> u32 {
        if let Some(at) = self.free.pop() {
            self.values[place(at)] = Some(value);
            return at;
        }
        let at = u32::try_from(self.values.len()).ok().filter(|&at| at != NONE);
        self.values.push(Some(value));
        at.expect("fewer than 2^32 values are alive at once")
    }

    pub(crate) fn find_mut(&mut self, at: u32) -> Option<&mut T> {
        self.values.get_mut(place(at))?.as_mut()
    }

    pub(crate) fn remove(&mut self, at: u32) -> Option<T> {
        let value = self.values.get_mut(place(at))?.take();
        if value.is_some() {
            self.free.push(at);
        }
        value
    }
}

fn place(at: u32) -> usize {
    // A place that does not exist on a 16-bit target does not exist at all.
    usize::try_from(at).unwrap_or(usize::MAX)
}

impl<T> Index<u32> for Slab<T> {
    type Output = T;

    fn index(&self, at: u32) -> &T {
        self.values[place(at)].as_ref().expect("a number that is held has its value")
    }
}

impl<T> IndexMut<u32> for Slab<T> {
    fn index_mut(&mut self, at: u32) -> &mut T {
        self.values[place(at)].as_mut().expect("a number that is held has its value")
    }
}
