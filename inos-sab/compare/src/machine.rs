//! What the figures were measured on, and which processor each end of a case has.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::sync::OnceLock;

/// The end of a case that runs on this thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The one that measures.
    Near,
    Far,
}

/// The processors of both ends, as found when the program started.
static PROCESSORS: OnceLock<[usize; 2]> = OnceLock::new();

/// Two different ones where the process may use two.
fn processors() -> [usize; 2] {
    *PROCESSORS.get_or_init(|| {
        let allowed = sched_getaffinity(None).unwrap_or_default();
        let mut usable = (0..CpuSet::MAX_CPU).filter(|cpu| allowed.is_set(*cpu));
        let near = usable.next().unwrap_or(0);
        [near, usable.next().unwrap_or(near)]
    })
}

/// The processor of one end, by number.
pub(crate) fn processor(end: End) -> usize {
    processors()[usize::from(end == End::Far)]
}

/// Binds this thread, and whatever it starts, to one processor.
pub(crate) fn bind(cpu: usize) {
    let mut set = CpuSet::new();
    set.set(cpu);
    // Where binding is not allowed the scheduler places the ends; it will hardly do better.
    let _ = sched_setaffinity(None, &set);
}

/// Binds this thread to the processor of its end.
pub(crate) fn take_place(end: End) {
    bind(processor(end));
}

/// Model, instruction sets and placement, in one line.
pub(crate) fn describe() -> String {
    let model = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = model.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("unknown processor");
    let model = model.trim_start_matches([' ', '\t', ':']);
    let [near, far] = processors();
    let placement = if near == far {
        format!("both ends on CPU {near}: WITH ONE PROCESSOR THE FIGURES MEAN LITTLE")
    } else {
        format!("the ends of a case bound to CPUs {near} and {far}")
    };
    let build = if cfg!(debug_assertions) { "; NOT OPTIMISED, the figures mean nothing" } else { "" };
    format!("{model}, {} ({}), {placement}{build}", std::env::consts::ARCH, features().join(" "))
}

#[cfg(target_arch = "x86_64")]
fn features() -> Vec<&'static str> {
    let known = [
        ("avx2", is_x86_feature_detected!("avx2")),
        ("avx512f", is_x86_feature_detected!("avx512f")),
        ("ermsb", is_x86_feature_detected!("ermsb")),
    ];
    known.into_iter().filter_map(|(name, present)| present.then_some(name)).collect()
}

#[cfg(not(target_arch = "x86_64"))]
fn features() -> Vec<&'static str> {
    Vec::new()
}

/// What an end does while it has nothing to do. It never sleeps; only when that goes on for long it lets others run, so
/// that a machine with too few processors gets on at all.
#[derive(Debug)]
pub(crate) struct Pause {
    first: u32,
    pauses: u32,
    most: u32,
    waits: u32,
}

impl Pause {
    /// Looks again soon: for those who wait for one message. Looking more often makes a round trip longer: a bare line
    /// took 400 ns with one pause between looks and 290 with four on a Zen 3, since it stayed with its writer.
    pub(crate) fn short() -> Self {
        Self { first: 4, pauses: 4, most: 4, waits: 0 }
    }

    /// Looks again after 1, 2, 4 ... 64 pauses: for those who want many messages, and get more of them when they do not
    /// take the cache line with the cursor away from the other end all the time.
    pub(crate) fn growing() -> Self {
        Self { first: 1, pauses: 1, most: 64, waits: 0 }
    }

    pub(crate) fn wait(&mut self) {
        for _ in 0..self.pauses {
            core::hint::spin_loop();
        }
        self.pauses = (2 * self.pauses).min(self.most);
        self.waits = self.waits.wrapping_add(1);
        if self.waits.is_multiple_of(1 << 14) {
            std::thread::yield_now();
        }
    }

    /// Something came.
    pub(crate) fn reset(&mut self) {
        self.pauses = self.first;
    }
}

#[cfg(test)]
mod tests {
    use super::{End, processor};

    #[test]
    fn ends_have_processors_of_their_own_where_there_are_two() {
        let several = std::thread::available_parallelism().is_ok_and(|count| count.get() > 1);
        assert_eq!(processor(End::Near) != processor(End::Far), several);
    }
}
