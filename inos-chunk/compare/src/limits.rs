//! What the machine could do at best: reading the data once, and copying it.

use crate::contest::{Contestant, Role, time};

/// Reads all of `bytes` and combines them with XOR in steps of 64 bytes.
pub(crate) fn read(bytes: &[u8]) -> Contestant<'_> {
    Contestant::new("read", Role::Limit, move || time(|| xor(bytes)))
}

/// Copies all of `bytes` to memory that was touched before.
pub(crate) fn memcpy(bytes: &[u8]) -> Contestant<'_> {
    let mut copy = vec![1; bytes.len()];
    Contestant::new("memcpy", Role::Limit, move || {
        let took = time(|| {
            copy.copy_from_slice(bytes);
            core::hint::black_box(&mut copy);
        });
        assert!(copy.last() == bytes.last(), "the copy is complete");
        took
    })
}

fn xor(bytes: &[u8]) -> u64 {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") {
            // SAFETY:
            // - The processor has AVX-512F: it was asked just now.
            return unsafe { xor_avx512(bytes) };
        }
        if is_x86_feature_detected!("avx2") {
            // SAFETY:
            // - The processor has AVX2: it was asked just now.
            return unsafe { xor_avx2(bytes) };
        }
    }
    xor_steps(bytes)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn xor_avx512(bytes: &[u8]) -> u64 {
    xor_steps(bytes)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn xor_avx2(bytes: &[u8]) -> u64 {
    xor_steps(bytes)
}

/// Four sums, so that no step waits for the one before; the compiler makes vectors of them. What is
/// shorter than four steps at the end is left out.
#[inline(always)]
fn xor_steps(bytes: &[u8]) -> u64 {
    const STEP: usize = 64;
    let mut sums = [[0_u64; STEP / 8]; 4];
    for steps in bytes.as_chunks::<{ 4 * STEP }>().0 {
        for (sum, step) in sums.iter_mut().zip(steps.as_chunks::<STEP>().0) {
            for (word, bytes) in sum.iter_mut().zip(step.as_chunks::<8>().0) {
                *word ^= u64::from_le_bytes(*bytes);
            }
        }
    }
    sums.as_flattened().iter().fold(0, |all, word| all ^ word)
}
