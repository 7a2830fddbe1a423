//! Allocators for one thread, behind a lock that two threads share.

use alloc::sync::Arc;
use core::alloc::Layout;
use core::mem::MaybeUninit;
use core::ptr::NonNull;
use std::sync::{Mutex, MutexGuard, PoisonError};

use talc::source::Manual;

use super::{Blocks, POOL_BYTES};

/// An allocator that has to be locked.
pub(super) trait Pool: Send {
    fn allocate(&mut self, layout: Layout) -> Option<NonNull<u8>>;

    /// # Safety
    ///
    /// `block` came from `allocate` of this pool with this layout, and was not yet freed.
    unsafe fn deallocate(&mut self, block: NonNull<u8>, layout: Layout);
}

pub(super) struct Locked<P>(Arc<Mutex<P>>);

/// A block of a pool. Only its holder uses the memory.
pub(super) struct Block(pub(super) NonNull<u8>);

// SAFETY:
// - a block is memory that nobody else uses; which thread does is of no importance.
unsafe impl Send for Block {}

impl Block {
    /// # Safety
    ///
    /// `start` points to at least eight bytes that are the caller's alone.
    pub(super) unsafe fn new(start: NonNull<u8>, tag: u64) -> Self {
        // SAFETY:
        // - the caller has the eight bytes for itself; a write without alignment needs no more.
        unsafe { start.cast::<u64>().write_unaligned(tag) };
        Self(start)
    }

    pub(super) fn tag(&self) -> u64 {
        // SAFETY:
        // - `new` wrote these eight bytes, and the block's memory is the block's alone until it is freed.
        unsafe { self.0.cast::<u64>().read_unaligned() }
    }
}

/// How blocks of `len` bytes are asked for: aligned as a `u64` needs it.
pub(super) fn layout_of(len: u32) -> Layout {
    Layout::from_size_align(len as usize, 8).expect("a short block")
}

/// Blocks of up to 512 MiB in classes of a 32nd of a power of two.
type Tlsf = rlsf::Tlsf<'static, u32, u32, 24, 32>;

type Talc = talc::base::Talc<Manual, talc::DefaultBinning>;

pub(super) fn tlsf() -> (Locked<Tlsf>, Locked<Tlsf>) {
    let mut tlsf = Tlsf::new();
    let _ = tlsf.insert_free_block(pool());
    shared(tlsf)
}

pub(super) fn talc() -> (Locked<Talc>, Locked<Talc>) {
    let mut talc = Talc::new(Manual);
    let pool = pool();
    // SAFETY:
    // - nobody else has the pool, and it is never given back.
    let claimed = unsafe { talc.claim(pool.as_mut_ptr().cast(), pool.len()) };
    claimed.expect("the pool is large enough");
    shared(talc)
}

fn shared<P>(pool: P) -> (Locked<P>, Locked<P>) {
    let pool = Arc::new(Mutex::new(pool));
    (Locked(Arc::clone(&pool)), Locked(pool))
}

/// Memory for an allocator. It is kept until the program ends: a case is run once.
fn pool() -> &'static mut [MaybeUninit<u8>] {
    vec![MaybeUninit::new(0); POOL_BYTES].leak()
}

impl<P> Locked<P> {
    fn lock(&self) -> MutexGuard<'_, P> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<P: Pool> Blocks for Locked<P> {
    type Block = Block;

    fn alloc(&mut self, len: u32, tag: u64) -> Block {
        let start = self.lock().allocate(layout_of(len)).expect("the pool has room");
        // SAFETY:
        // - the pool gave at least `len` bytes, and no block is shorter than eight.
        unsafe { Block::new(start, tag) }
    }

    fn free(&mut self, block: Block, len: u32) -> u64 {
        let tag = block.tag();
        // SAFETY:
        // - the block was allocated with this length from this pool, and `free` takes it.
        unsafe { self.lock().deallocate(block.0, layout_of(len)) };
        tag
    }
}

impl Pool for Tlsf {
    fn allocate(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        Self::allocate(self, layout)
    }

    unsafe fn deallocate(&mut self, block: NonNull<u8>, layout: Layout) {
        // SAFETY:
        // - the block and its alignment are as they were allocated, as the caller promises.
        unsafe { Self::deallocate(self, block, layout.align()) };
    }
}

impl Pool for Talc {
    fn allocate(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        // SAFETY:
        // - no block is empty.
        unsafe { Self::allocate(self, layout) }
    }

    unsafe fn deallocate(&mut self, block: NonNull<u8>, layout: Layout) {
        // SAFETY:
        // - the block and its layout are as they were allocated, as the caller promises.
        unsafe { Self::deallocate(self, block.as_ptr(), layout) };
    }
}
