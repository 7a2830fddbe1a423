//! Weighted rendezvous hashing in integers.

/// One of a score as [`neg_log2`] answers it: 44 bits behind the point.
pub(super) const ONE: u64 = 1 << 44;

/// The table splits `1..2` into this many equal parts.
const PARTS: usize = 1 << 10;

/// `log2(1 + i / 1024)` with 44 bits behind the point, truncated.
const LOG2: [u64; PARTS + 1] = {
    let mut table = [0; PARTS + 1];
    table[PARTS] = ONE;
    let mut part = 0;
    while part < PARTS {
        // Squaring a number of 1..2 doubles its logarithm: each time it passes 2, the next binary digit is one.
        let mut number = (PARTS + part) as u128;
        number <<= 63 - 10;
        let mut digit = ONE;
        while digit > 1 {
            digit >>= 1;
            number = (number * number) >> 63;
            if number >= 1 << 64 {
                number >>= 1;
                table[part] += digit;
            }
        }
        part += 1;
    }
    table
};

/// `-log2(x / 2^64)` with 44 bits behind the point; 64 for `x = 0`.
///
/// Between two entries of the table it is a straight line, at most `h^2 / (8 ln 2) < 2^-22` above the logarithm for parts
/// of `h = 2^-10`; truncation adds less than `2^-36`. At `x = 2^64` the line meets zero, so the answer is relatively
/// within `2^-10` of the logarithm all the way down to `2^-28`. It never grows with `x`.
pub(super) fn neg_log2(x: u64) -> u64 {
    if x == 0 {
        return 64 * ONE;
    }
    let shift = x.leading_zeros();
    let mantissa = x << shift;
    let part = usize::try_from((mantissa >> 53) & 0x3ff).expect("ten bits fit every usize");
    let within = (mantissa >> 25) & 0x0fff_ffff;
    let log2 = LOG2[part] + (((LOG2[part + 1] - LOG2[part]) * within) >> 28);
    u64::from(shift + 1) * ONE - log2
}

/// The mixer of SplitMix64: every bit of the input changes half of the bits of the answer.
pub(super) const fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(STEP);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// The increment of SplitMix64, 2^64 divided by the golden ratio.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// The order in which nodes are taken as seeds, hubs and edges: the lowest first. An exponential variable of rate `weight`
/// decides, so the chance to be first is a node's share of all weights, and one node's number depends on no other node.
pub(crate) fn node_score(resource_hash: u64, tie: u64, weight: u32) -> u128 {
    let hash = mix(mix(resource_hash ^ OF_NODES) ^ mix(tie));
    // 2^63 divided by at most 2^32: precise to 2^-31.
    u128::from(neg_log2(hash)) * u128::from((1u64 << 63) / u64::from(weight.max(1)))
}

/// The order in which regions get what does not divide evenly.
pub(super) fn region_rank(resource_hash: u64, region: u32) -> u64 {
    mix(mix(resource_hash ^ OF_REGIONS) ^ u64::from(region))
}

/// The same among the zones of a region.
pub(super) fn zone_rank(resource_hash: u64, region: u32, zone: u32) -> u64 {
    mix(region_rank(resource_hash, region) ^ mix(u64::from(zone)))
}

/// Pieces among which the draws of a hub are spread evenly: each 256th of the range has one.
pub(super) const BLOCK: u64 = 256;

/// The place of a piece among the others of its block in the order of a hub: a permutation of `0..256`.
pub(super) const fn shuffled(within: u64, shuffle: u64) -> u64 {
    let (mut place, mut key, mut round) = (within, shuffle, 0);
    while round < 3 {
        // Odd factors can be undone, and so can a shift by half of the bits.
        place = (place.wrapping_mul(key | 1).wrapping_add(key >> 8)) % BLOCK;
        place ^= place >> 4;
        (key, round) = (key >> 16, round + 1);
    }
    place
}

/// How much each bit of a draw adds to a [`place_score`] when `draws` hubs are drawn.
pub(super) fn place_slope(draws: u32) -> u64 {
    // log2(e) with 32 bits behind the point.
    u64::from(draws - 1) * 6_196_328_019
}

/// `(R - 1) u - ln(1 - u)` for a draw of `u x 2^64` and [`place_slope`] of `R`, in units of ln 2 with 44 bits behind the
/// point: below 2^52 for `R <= 128`.
pub(super) fn place_score(draw: u64, slope: u64) -> u64 {
    let even = (u128::from(draw) * u128::from(slope)) >> 52;
    u64::try_from(even).expect("64 bits, and 40 of the slope, less 52") + neg_log2(!draw)
}

/// A piece's half of [`pair`].
pub(super) fn piece_key(resource_hash: u64, piece: u64) -> u64 {
    mix(mix(resource_hash ^ OF_PIECES).wrapping_add(piece))
}

/// A block's half of [`pair`].
pub(super) fn block_key(resource_hash: u64, block: u64) -> u64 {
    mix(mix(resource_hash ^ OF_BLOCKS).wrapping_add(block))
}

/// A hub's half of [`pair`].
pub(super) const fn hub_key(tie: u64) -> u64 {
    mix(tie ^ OF_HUBS)
}

/// The hash of a piece, or a block, and a hub.
pub(super) const fn pair(piece_key: u64, hub_key: u64) -> u64 {
    mix(piece_key ^ hub_key)
}

// So that being chosen as a hub says nothing about the pieces a hub gets.
const OF_NODES: u64 = 0x6e6f_6465_0000_0001;
const OF_REGIONS: u64 = 0x7265_6769_0000_0002;
const OF_PIECES: u64 = 0x7069_6563_0000_0003;
const OF_HUBS: u64 = 0x6875_6273_0000_0004;
const OF_BLOCKS: u64 = 0x626c_6f63_0000_0005;

#[cfg(test)]
mod tests {
    //! Goal: the logarithm and the scores keep their error bounds and their order, and a shuffle is a permutation. Method: floats as the oracle, at the ends, at the edges of
    //! every part of the table, and over a sweep of hashes.

    use super::{BLOCK, LOG2, ONE, mix, neg_log2, place_score, place_slope, shuffled};
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    const ONE_AS_FLOAT: f64 = 17_592_186_044_416.0;

    fn exact(x: u64) -> f64 {
        // The distance from 2^64 is exact where x / 2^64 would round to one.
        let rest = (u64::MAX - x) as f64 + 1.0;
        if x >= 1 << 63 {
            -(-rest / 18_446_744_073_709_551_616.0).ln_1p() / core::f64::consts::LN_2
        } else {
            64.0 - (x as f64).log2()
        }
    }

    fn error(x: u64) -> f64 {
        neg_log2(x) as f64 / ONE_AS_FLOAT - exact(x)
    }

    #[test]
    fn the_error_is_one_sided_and_below_its_bound() {
        let (low, high) = (-(2f64.powi(-36)), 2f64.powi(-22));
        let mut largest: f64 = 0.0;
        let edges = (0..1024u64).flat_map(|part| {
            let edge = (1 << 63) | (part << 53);
            [edge, edge + 1, edge + (1 << 52), edge + ((1 << 53) - 1)]
        });
        let sweep = (0..200_000u64).map(mix).map(|hash| hash >> (hash & 63));
        for x in edges.chain(sweep).chain([1, 2, 3, u64::MAX]) {
            let error = if x == 0 { 0.0 } else { error(x) };
            assert!((low..high).contains(&error), "{x}: {error}");
            largest = largest.max(error);
        }
        // The bound is not idle: the chord of the first part comes within a third of it.
        assert!(largest > high / 1.5, "{largest}");
        assert_eq!(LOG2[512], 10_290_769_141_693, "log2(1.5) to 44 bits");
    }

    #[test]
    fn near_one_the_relative_error_is_small() {
        for bits in 8..=28u32 {
            let x = u64::MAX - ((1u64 << (64 - bits)) - 1);
            let relative = error(x) / exact(x);
            assert!(relative.abs() < 2f64.powi(-10), "1 - 2^-{bits}: {relative}");
        }
    }

    #[test]
    fn order_and_ends() {
        assert_eq!((neg_log2(0), neg_log2(1), neg_log2(1 << 63)), (64 * ONE, 64 * ONE, ONE));
        assert!(neg_log2(u64::MAX) < 1 << 18);
        let mut hashes: alloc::vec::Vec<u64> = (0..50_000).map(mix).collect();
        hashes.extend((0..1024u64).flat_map(|part| [(1 << 63) | (part << 53), ((1 << 63) | (part << 53)) - 1]));
        hashes.sort_unstable();
        assert!(hashes.windows(2).all(|pair| neg_log2(pair[0]) >= neg_log2(pair[1])));
    }

    #[test]
    fn a_block_is_shuffled_into_every_place_once() {
        for key in (0..2_000).map(mix).chain([0, u64::MAX]) {
            let mut seen = [false; 256];
            (0..BLOCK).for_each(|within| seen[usize::try_from(shuffled(within, key)).unwrap()] = true);
            assert_eq!(seen, [true; 256], "{key:#x}");
        }
    }

    #[test]
    fn place_scores_are_what_they_say() {
        let exact = |draw: u64, draws: f64| {
            let u = draw as f64 / 18_446_744_073_709_551_616.0;
            ((draws - 1.0) * u - (-u).ln_1p()) / core::f64::consts::LN_2
        };
        let draws_and_slopes = [1, 2, 20, 128].map(|draws| (f64::from(draws), place_slope(draws)));
        for (draws, slope) in draws_and_slopes {
            let mut before = 0;
            for draw in (0..4_096u64).map(|step| step << 52) {
                let score = place_score(draw, slope);
                let error = score as f64 / ONE_AS_FLOAT - exact(draw, draws);
                assert!(error.abs() < 2f64.powi(-22) && score >= before, "{draw} of {draws}: {error}");
                before = score;
            }
            assert!((before..1 << 52).contains(&place_score(u64::MAX, slope)));
        }
    }

    #[test]
    fn the_mixer_is_splitmix64() {
        // First outputs for state 0, from the reference program of S. Vigna.
        assert_eq!((mix(0), mix(super::STEP)), (0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4));
    }
}
