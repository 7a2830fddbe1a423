//! Round trips as integer tables, so that they are the same on every target.

use super::Rng;

/// Where round trips are drawn from.
///
/// The tables hold the conditional means of 256 equally likely parts of a distribution, so their means are exact to a
/// microsecond; their tails end at the mean of the last 256th.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Latency {
    /// Exponential with mean 20 ms, up to 131 ms: members far apart, and half of them nearer than 14 ms.
    Exponential,
    /// Log-normal with median 0.5 ms and sigma 0.25, mean 0.516 ms: a local network.
    Lan,
    /// As [`Lan`](Self::Lan), but everything from and to the last member takes 40 times as long.
    Straggler,
    /// All values equally likely.
    Uniform {
        /// The least round trip.
        low_us: u32,
        /// The greatest, included.
        high_us: u32,
    },
}

/// How much longer the way to the slow member of [`Latency::Straggler`] takes.
const STRAGGLER_FACTOR: u64 = 40;

impl Latency {
    /// A round trip between member `from` and member `to` of `members`, in microseconds.
    ///
    /// A simulation that wants round trips of this distribution charges the whole of it to one of the two ways.
    /// One that does not care charges half of a draw to each.
    #[must_use]
    pub fn round_trip_us(self, rng: &mut Rng, from: usize, to: usize, members: usize) -> u64 {
        match self {
            Self::Exponential => EXPONENTIAL_US[rng.index(256)].into(),
            Self::Lan => LAN_US[rng.index(256)].into(),
            Self::Straggler => {
                let slow = from.max(to) + 1 == members;
                u64::from(LAN_US[rng.index(256)]) * if slow { STRAGGLER_FACTOR } else { 1 }
            }
            Self::Uniform { low_us, high_us } => rng.between(low_us.into(), high_us.into()),
        }
    }
}

/// `256 * (F(i + 1) - F(i))` for the integral F of the quantile function `-ln(1 - u)`, times 20,000.
const EXPONENTIAL_US: [u32; 256] = [
    39, 118, 196, 275, 355, 434, 514, 595, 675, 756, 838, 919, 1001, 1084, 1166, 1249, 1332, 1416, 1500, 1585, 1669,
    1754, 1840, 1926, 2012, 2099, 2186, 2273, 2361, 2449, 2537, 2626, 2715, 2805, 2895, 2986, 3077, 3168, 3260, 3352,
    3444, 3537, 3631, 3725, 3819, 3914, 4009, 4105, 4201, 4298, 4395, 4492, 4590, 4689, 4788, 4887, 4987, 5088, 5189,
    5290, 5392, 5495, 5598, 5702, 5806, 5911, 6016, 6122, 6228, 6335, 6442, 6551, 6659, 6769, 6878, 6989, 7100, 7212,
    7324, 7437, 7551, 7665, 7780, 7896, 8012, 8129, 8247, 8365, 8484, 8604, 8724, 8845, 8967, 9090, 9213, 9338, 9463,
    9588, 9715, 9842, 9971, 10_100, 10_230, 10_360, 10_492, 10_624, 10_758, 10_892, 11_027, 11_163, 11_300, 11_438,
    11_577, 11_717, 11_858, 11_999, 12_142, 12_286, 12_431, 12_577, 12_724, 12_872, 13_022, 13_172, 13_323, 13_476,
    13_630, 13_785, 13_941, 14_099, 14_257, 14_417, 14_579, 14_741, 14_905, 15_071, 15_237, 15_405, 15_575, 15_746,
    15_918, 16_092, 16_268, 16_445, 16_623, 16_803, 16_985, 17_169, 17_354, 17_541, 17_729, 17_920, 18_112, 18_306,
    18_502, 18_700, 18_900, 19_103, 19_307, 19_513, 19_721, 19_932, 20_144, 20_359, 20_577, 20_797, 21_019, 21_244,
    21_471, 21_701, 21_933, 22_169, 22_407, 22_648, 22_892, 23_139, 23_389, 23_642, 23_898, 24_158, 24_421, 24_688,
    24_958, 25_232, 25_510, 25_791, 26_077, 26_367, 26_661, 26_960, 27_263, 27_570, 27_883, 28_200, 28_523, 28_851,
    29_184, 29_523, 29_868, 30_219, 30_576, 30_940, 31_310, 31_688, 32_072, 32_464, 32_864, 33_273, 33_689, 34_115,
    34_550, 34_994, 35_449, 35_914, 36_390, 36_878, 37_378, 37_891, 38_417, 38_958, 39_514, 40_085, 40_673, 41_280,
    41_905, 42_550, 43_217, 43_906, 44_621, 45_362, 46_131, 46_931, 47_765, 48_635, 49_544, 50_497, 51_497, 52_551,
    53_662, 54_839, 56_090, 57_425, 58_854, 60_394, 62_063, 63_884, 65_887, 68_114, 70_620, 73_487, 76_836, 80_863,
    85_917, 92_713, 103_178, 130_904,
];

/// `256 * 500 * exp(1 / 32) * (P(z[i + 1] - 1 / 4) - P(z[i] - 1 / 4))` for the normal distribution P and its quantiles z.
const LAN_US: [u32; 256] = [
    239, 266, 279, 288, 295, 301, 307, 312, 316, 320, 324, 327, 330, 334, 337, 339, 342, 345, 347, 350, 352, 354, 356,
    359, 361, 363, 365, 367, 369, 370, 372, 374, 376, 378, 379, 381, 383, 384, 386, 388, 389, 391, 392, 394, 395, 397,
    398, 400, 401, 403, 404, 406, 407, 408, 410, 411, 412, 414, 415, 416, 418, 419, 420, 422, 423, 424, 426, 427, 428,
    429, 431, 432, 433, 434, 436, 437, 438, 439, 441, 442, 443, 444, 446, 447, 448, 449, 450, 452, 453, 454, 455, 456,
    458, 459, 460, 461, 462, 463, 465, 466, 467, 468, 469, 471, 472, 473, 474, 475, 477, 478, 479, 480, 481, 483, 484,
    485, 486, 487, 488, 490, 491, 492, 493, 495, 496, 497, 498, 499, 501, 502, 503, 504, 506, 507, 508, 509, 511, 512,
    513, 514, 516, 517, 518, 519, 521, 522, 523, 525, 526, 527, 529, 530, 531, 533, 534, 535, 537, 538, 539, 541, 542,
    544, 545, 546, 548, 549, 551, 552, 554, 555, 557, 558, 560, 561, 563, 564, 566, 567, 569, 571, 572, 574, 575, 577,
    579, 580, 582, 584, 586, 587, 589, 591, 593, 595, 596, 598, 600, 602, 604, 606, 608, 610, 612, 614, 616, 619, 621,
    623, 625, 628, 630, 632, 635, 637, 640, 642, 645, 648, 650, 653, 656, 659, 662, 665, 668, 671, 675, 678, 682, 685,
    689, 693, 697, 701, 706, 710, 715, 720, 725, 731, 737, 743, 749, 757, 764, 772, 781, 791, 802, 815, 829, 847, 868,
    897, 940, 1053,
];

#[cfg(test)]
mod tests {
    use super::{EXPONENTIAL_US, LAN_US, Latency};
    use crate::sim::Rng;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn tables_have_the_moments_of_their_distributions() {
        for (table, mean_us, median_us) in [(EXPONENTIAL_US, 20_000, 13_863), (LAN_US, 516, 500)] {
            assert!(table.is_sorted());
            assert_eq!(table.iter().sum::<u32>().div_ceil(256).abs_diff(mean_us) / 2, 0);
            assert!(table[127] <= median_us && median_us <= table[128]);
        }
        // The square of sigma is the variance of the logarithm; 0.25 is 1.284 between the median and one sigma up.
        assert_eq!(LAN_US[215] * 100 / 500, 128);
    }

    #[test]
    fn only_the_last_member_straggles() {
        let mut rng = Rng::new(1);
        for _ in 0..100 {
            assert!(Latency::Straggler.round_trip_us(&mut rng, 0, 3, 5) < 1_100);
            assert!(Latency::Straggler.round_trip_us(&mut rng, 4, 0, 5) > 8_000);
            assert!(Latency::Straggler.round_trip_us(&mut rng, 0, 4, 5) > 8_000);
            let uniform = Latency::Uniform { low_us: 3, high_us: 4 };
            assert!((3..=4).contains(&uniform.round_trip_us(&mut rng, 0, 1, 2)));
        }
    }
}
