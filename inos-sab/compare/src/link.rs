//! Two ends that send each other one number at a time, in threads or in processes.

pub(crate) mod crossbeam;
pub(crate) mod iceoryx2;
pub(crate) mod ours;
pub(crate) mod ping_pong;
pub(crate) mod rtrb;
pub(crate) mod stream;

use core::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::contest::{Parts, Stopwatch};

/// One end.
pub(crate) trait Link {
    fn send(&mut self, number: u64);

    /// Waits for the next number from the other end.
    fn receive(&mut self) -> u64;
}

/// Asks the far end to stop; there is no answer.
const STOP: u64 = u64::MAX;
/// Asks the far end for the time that its process has computed, in nanoseconds.
const CPU_TIME: u64 = u64::MAX - 1;
/// The first word of a far end that is a process.
const READY: u64 = u64::MAX - 2;

/// Round trips before those that count: both ends are awake and their caches warm.
pub(crate) const WARM_UP: u64 = 100;

/// What the far end does: answers each number with the next one, until it is told to stop.
pub(crate) fn serve(link: &mut impl Link) {
    loop {
        match link.receive() {
            STOP => return,
            CPU_TIME => link.send(process_cpu_nanoseconds()),
            number => link.send(number + 1),
        }
    }
}

/// The same for an end in a process of its own, which first says that it is there.
pub(crate) fn serve_process(mut link: impl Link) {
    link.send(READY);
    serve(&mut link);
}

/// Waits until an end in a process of its own is there.
pub(crate) fn await_ready(link: &mut impl Link) {
    assert_eq!(link.receive(), READY, "a far end begins with its readiness");
}

/// Calls `work` once per millisecond and sleeps meanwhile.
pub(crate) fn tick(times: u64, mut work: impl FnMut(u64)) {
    let stopwatch = Stopwatch::start();
    for time in 0..times {
        std::thread::sleep(Duration::from_millis(time).saturating_sub(stopwatch.elapsed()));
        work(time);
    }
}

/// Seconds per round trip.
pub(crate) fn bounce(link: &mut impl Link, trips: u64) -> f64 {
    let mut parts = Parts::start(trips);
    for trip in 0..trips {
        exchange(link, trip);
        parts.reached(trip + 1);
    }
    parts.median()
}

/// One round trip. Requests are even, answers odd, none is zero, and none equals the one before.
pub(crate) fn exchange(link: &mut impl Link, trip: u64) {
    let request = 2 * trip + 2;
    link.send(request);
    assert_eq!(link.receive(), request + 1, "the answer to this request");
}

pub(crate) fn stop(link: &mut impl Link) {
    link.send(STOP);
}

/// Seconds that both processes have computed so far. A link within one process counts it twice.
pub(crate) fn cpu_seconds(link: &mut impl Link) -> f64 {
    link.send(CPU_TIME);
    let far = link.receive();
    (far + process_cpu_nanoseconds()) as f64 / 1e9
}

pub(crate) fn process_cpu_nanoseconds() -> u64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let part = |value: i64| u64::try_from(value).unwrap_or(0);
    part(time.tv_sec) * 1_000_000_000 + part(time.tv_nsec)
}
