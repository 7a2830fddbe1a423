//! The odds of losing what a geometry protects, in arithmetic that gives the same bits on every target.
//!
//! Only `+`, `-`, `*` and `/` on `f64`, which IEEE 754 rounds in one way: no logarithm, power or root of a C library.
//! Weights are relative to the most likely count and multiplied up step by step from there outwards, so nothing
//! overflows, and what underflows is below 1e-300 of the result's scale. Small probabilities are sums of positive
//! terms, never one minus something, and keep their relative accuracy: about the number of shards times 2^-52.

use super::Geometry;
use crate::layout::Group;

/// Terms below this share of the sum they belong to are left out, with all beyond them. There are fewer than 2^17, and
/// each is smaller than the one before: together they are below the last bit.
const NEGLIGIBLE: f64 = 1e-22;

impl Geometry {
    /// The probability that a resource of `chunks` data chunks is lost when every piece, data and parity, is lost with
    /// probability `p`, independently of the others; the probability that some stripe loses more than its parity.
    ///
    /// The resource is laid out with the default interleave, [`Config::default`](crate::Config): the last stripes are
    /// smaller. [`Config::loss_probability`](crate::Config::loss_probability) takes any. Manifest pages are not
    /// counted. `None` when `p` is not in 0..=1. A result below about 1e-300 may come out as 0.
    ///
    /// **A promise per stripe is not one per resource.** 100 + 20 shards survive the loss of any sixth of *a stripe*.
    /// Of a thousand stripes one is unluckier than that long before a sixth of all pieces is gone:
    ///
    /// ```
    /// use inos_chunk::Geometry;
    ///
    /// let chunks = 100_000; // 100 GB
    /// let lost = |geometry: Geometry, p| geometry.loss_probability(chunks, p).expect("p is a probability");
    /// assert!(lost(Geometry::DEFAULT, 0.02) < 1e-10);
    /// assert!(lost(Geometry::DEFAULT, 0.05) < 1e-3);
    /// assert!(lost(Geometry::DEFAULT, 0.10) > 0.999); // a tenth of the pieces, and the resource is gone
    /// assert!(lost(Geometry::WIDE, 0.10) < 1e-10); // the same overhead, wider stripes
    /// assert_eq!(Geometry::DEFAULT.loss_probability(chunks, 1.5), None);
    /// ```
    ///
    /// O(data + parity), whatever the number of chunks.
    #[must_use]
    pub fn loss_probability(&self, chunks: u64, p: f64) -> Option<f64> {
        crate::Config { geometry: *self, ..crate::Config::default() }.loss_probability(chunks, p)
    }

    /// The probability that a full stripe is lost when `failed` of `nodes` nodes fail at once, any set of them as
    /// likely as any other.
    ///
    /// The shards lie on the nodes as evenly as they can: with at least as many nodes as shards, each on a node of its
    /// own (the hypergeometric distribution); with fewer nodes, every node holds `shards / nodes` of them and
    /// `shards % nodes` nodes hold one more. More failures than nodes count as all nodes; without nodes everything is
    /// lost, 1. A result below about 1e-300 may come out as 0.
    ///
    /// ```
    /// use inos_chunk::Geometry;
    ///
    /// let geometry = Geometry::new(5, 2)?;
    /// assert_eq!(geometry.loss_probability_nodes(50, 2), 0.0);
    /// assert_eq!(geometry.loss_probability_nodes(7, 3), 1.0); // a shard on each node
    /// let three_of_four = geometry.loss_probability_nodes(8, 3); // one node holds no shard
    /// assert!((three_of_four - 5.0 / 8.0).abs() < 1e-15);
    /// # Ok::<(), inos_chunk::GeometryError>(())
    /// ```
    ///
    /// O(data + parity).
    #[must_use]
    pub fn loss_probability_nodes(&self, nodes: u32, failed: u32) -> f64 {
        if nodes == 0 {
            return 1.0;
        }
        let failed = u64::from(failed.min(nodes));
        let (nodes, shards) = (u64::from(nodes), u64::from(self.shards()));
        let (every, fuller) = (shards / nodes, shards % nodes);
        // `every * failed` shards are lost in any case, and one for each of the fuller nodes that failed.
        let Some(spare) = u64::from(self.parity).checked_sub(every * failed) else { return 1.0 };
        let least = (fuller + failed).saturating_sub(nodes);
        let most = fuller.min(failed);
        // Both products are below 2^53 * 2^12, and each factor is exact.
        let mode = ((fuller + 1) * (failed + 1) / (nodes + 2)).clamp(least, most);
        let ratio = |count: u64| {
            let more = (fuller - count) as f64 * (failed - count) as f64;
            let fewer = (count + 1) as f64 * (nodes + count + 1 - fuller - failed) as f64;
            more / fewer
        };
        Distribution { least, mode, most, ratio }.above(spare)
    }
}

/// As [`Geometry::loss_probability`], for any interleave of at least 1.
pub(crate) fn resource_loss(geometry: Geometry, interleave: u16, chunks: u64, p: f64) -> Option<f64> {
    if !(0.0..=1.0).contains(&p) {
        return None;
    }
    let group_chunks = u64::from(interleave) * u64::from(geometry.data);
    let (full_groups, rest) = (chunks / group_chunks, chunks % group_chunks);
    // At most chunks, as a stripe has at least one.
    let full_stripes = full_groups * u64::from(interleave);
    let mut lost = any_of(full_stripes, stripe_loss(geometry.data, geometry.parity, p));
    if rest > 0 {
        // The stripes of the last group have one of two shapes.
        let group = Group::new(rest, geometry);
        let stripes = group.stripes();
        let longer = rest % stripes;
        for (first, count) in [(0, longer), (longer, stripes - longer)] {
            if count > 0 {
                lost = either(lost, any_of(count, stripe_loss(group.data(first), group.parity(first), p)));
            }
        }
    }
    Some(lost)
}

/// The probability that more than `parity` of `data + parity` shards are lost.
fn stripe_loss(data: u16, parity: u16, p: f64) -> f64 {
    let shards = u64::from(data) + u64::from(parity);
    if p == 1.0 {
        return 1.0;
    }
    let odds = p / (1.0 - p);
    let ratio = |count: u64| (shards - count) as f64 / (count + 1) as f64 * odds;
    Distribution { least: 0, mode: binomial_mode(shards, p), most: shards, ratio }.above(u64::from(parity))
}

/// The largest count, at most `shards`, that is not above `(shards + 1) * p`. By bisection: there is no conversion from
/// `f64` to an integer that cannot truncate.
fn binomial_mode(shards: u64, p: f64) -> u64 {
    let mean = (shards + 1) as f64 * p;
    let (mut at_most, mut above) = (0, shards + 1);
    while above - at_most > 1 {
        let middle = at_most + (above - at_most) / 2;
        if middle as f64 <= mean {
            at_most = middle;
        } else {
            above = middle;
        }
    }
    at_most
}

/// The probability of at least one of `count` independent events of probability `p`, by repeated doubling. Not
/// `1 - (1 - p)^count`, which is 0 for every `p` below 1e-16.
fn any_of(mut count: u64, p: f64) -> f64 {
    let (mut sum, mut doubled) = (0.0, p);
    while count > 0 {
        if count % 2 == 1 {
            sum = either(sum, doubled);
        }
        doubled = either(doubled, doubled);
        count /= 2;
    }
    sum
}

/// The probability of at least one of two independent events. A sum of positive terms, at most 1.
fn either(a: f64, b: f64) -> f64 {
    a + b * (1.0 - a)
}

/// A distribution of counts `least..=most` with one hump.
struct Distribution<R> {
    least: u64,
    /// The most likely count; one beside it does as well.
    mode: u64,
    most: u64,
    /// Probability of `count + 1` by that of `count`, for `least..most`.
    ratio: R,
}

impl<R: Fn(u64) -> f64> Distribution<R> {
    /// The probability of a count above `limit`.
    fn above(&self, limit: u64) -> f64 {
        if limit >= self.most {
            return 0.0;
        }
        if limit < self.least {
            return 1.0;
        }
        // Weights relative to that of the mode; what is on which side of the limit is summed apart.
        let (mut above, mut within) = (0.0, 0.0);
        let side = if self.mode > limit { &mut above } else { &mut within };
        *side = 1.0;

        let mut weight = 1.0;
        for count in self.mode..self.most {
            weight *= (self.ratio)(count);
            if count + 1 > limit {
                above += weight;
                if weight <= above * NEGLIGIBLE {
                    break;
                }
            } else {
                within += weight;
            }
            if weight == 0.0 {
                break;
            }
        }
        let mut weight = 1.0;
        for count in (self.least..self.mode).rev() {
            weight /= (self.ratio)(count);
            if count > limit {
                above += weight;
            } else {
                within += weight;
            }
            if weight <= (above + within) * NEGLIGIBLE {
                break;
            }
        }
        above / (above + within)
    }
}
