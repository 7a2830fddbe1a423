//! Goal: a payload is copied as often as documented on its way to a job and back: in 0 / 0 / 1, out 0, for the levels
//! `Threads` / `Crash` / `Hostile`.
//! Method: where slices exist, the job sees the caller's addresses and the caller the job's. With the feature
//! `fail-points` the library counts every byte that it copies into or out of a region: nothing but headers may be
//! counted between the caller's write and the job's first look, and between the job's last write and the caller's look,
//! except the one copy that a hostile input costs.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicUsize, Ordering};
use inos_sab::{Cooperative, Input, JobClient, JobOutput, JobRunner, Layout, Region, Threads, Trust};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn layout() -> Layout {
    Layout::compact(1 << 16, 4 << 20, 1 << 16).expect("a legal layout")
}

fn ends<T: Trust>(region: &Region<T>) -> (JobClient<T>, JobRunner<T>) {
    let inbox = region.inbox_consumer().expect("nobody reads");
    let runner = JobRunner::new(inbox, region.outbox_producer().expect("nobody writes")).expect("room for headers");
    let inbox = region.inbox_producer().expect("nobody writes");
    let client = JobClient::new(inbox, region.outbox_consumer().expect("nobody reads")).expect("room for headers");
    (client, runner)
}

/// The job sees the bytes where the caller wrote them, the caller where the job wrote them.
fn addresses_stay<T: Cooperative>(region: &Region<T>) {
    let (mut client, runner) = ends(region);
    let seen = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
    let noted = Arc::clone(&seen);
    let mut runner = runner.with(1, move |input: Input<'_, T>, out: &mut JobOutput<'_, T>| {
        noted[0].store(input.bytes().as_ptr().addr(), Ordering::Relaxed);
        out.set_len(input.len())?;
        out.as_mut_slice().copy_from_slice(input.bytes());
        noted[1].store(out.as_mut_slice().as_ptr().addr(), Ordering::Relaxed);
        Ok(())
    });
    for len in [1, 5_000, 1 << 20] {
        let mut request = client.request(len).expect("room");
        request.as_mut_slice().fill(9);
        let written = request.as_mut_slice().as_ptr().addr();
        client.send(1, request).expect("room");
        assert_eq!(runner.run_once(1).expect("a reader").failed, 0);
        let answer = client.next_completion().expect("a sound ring").expect("an answer").outcome.expect("a result");
        assert_eq!(seen[0].load(Ordering::Relaxed), written);
        assert_eq!(seen[1].load(Ordering::Relaxed), answer.as_slice().as_ptr().addr());
        assert!(answer.as_slice().len() == len as usize && answer.as_slice().iter().all(|&byte| byte == 9));
    }
}

#[test]
fn threads_share_addresses() {
    addresses_stay(&Region::<Threads>::heap(&layout()).unwrap());
}

#[cfg(target_os = "linux")]
#[test]
fn processes_share_offsets() {
    addresses_stay(&crate::memory_file(&layout()));
}

#[cfg(all(feature = "fail-points", target_os = "linux"))]
mod counted {
    use super::*;
    use inos_sab::fail_points::copied;
    use inos_sab::{Hostile, JobError};
    use std::sync::Mutex;

    /// Readings of the counter on the way of one payload.
    #[derive(Clone, Copy, Default)]
    struct Readings {
        written: u64,
        seen: u64,
        answered: u64,
        received: u64,
    }

    /// What headers, handles and their like may cost on one of the ways.
    const OVERHEAD_BYTES: u64 = 100;

    /// Copies of `len` bytes between two readings.
    fn copies(from: u64, to: u64, len: u32) -> u64 {
        let bytes = to - from;
        assert!(bytes % u64::from(len) < OVERHEAD_BYTES, "{bytes} bytes of {len}");
        bytes / u64::from(len)
    }

    /// Sends payloads inline and as blocks to `look` and `write` and returns the copies in and out.
    fn count<T: Trust>(
        region: &Region<T>,
        look: fn(&mut Input<'_, T>) -> u8,
        write: fn(&mut JobOutput<'_, T>, u32) -> Result<(), JobError>,
    ) -> (u64, u64) {
        let (mut client, runner) = ends(region);
        let readings = Arc::new(Mutex::new(Readings::default()));
        let noted = Arc::clone(&readings);
        let mut runner = runner.with(1, move |mut input: Input<'_, T>, out: &mut JobOutput<'_, T>| {
            assert_eq!(look(&mut input), 9);
            noted.lock().expect("no panics").seen = copied();
            write(out, input.len())?;
            noted.lock().expect("no panics").answered = copied();
            Ok(())
        });
        let mut results = vec![];
        for len in [1_000, 8_000, 8_001, 100_000, 1 << 20] {
            for inline in [true, false] {
                if inline && len > client.max_inline_len() {
                    continue;
                }
                let bytes = vec![9; len as usize];
                let written = if inline {
                    client.submit(1, &bytes).expect("room");
                    copied()
                } else {
                    let mut request = client.request(len).expect("room");
                    request.write_at(0, &bytes).expect("in range");
                    let written = copied();
                    client.send(1, request).expect("room");
                    written
                };
                assert_eq!(runner.run_once(1).expect("a reader").failed, 0);
                let answer =
                    client.next_completion().expect("a sound ring").expect("an answer").outcome.expect("a result");
                let now = Readings { written, received: copied(), ..*readings.lock().expect("no panics") };
                let mut result = vec![0; len as usize];
                answer.read_at(0, &mut result).expect("in range");
                assert!(result.iter().all(|&byte| byte == 8));
                results.push((copies(now.written, now.seen, len), copies(now.answered, now.received, len)));
            }
        }
        assert!(results.iter().all(|result| *result == results[0]), "{results:?}");
        results[0]
    }

    /// The last byte, seen in place.
    fn look_in_place<T: Cooperative>(input: &mut Input<'_, T>) -> u8 {
        input.bytes().last().copied().unwrap_or(0)
    }

    fn write_in_place<T: Cooperative>(out: &mut JobOutput<'_, T>, len: u32) -> Result<(), JobError> {
        out.set_len(len)?;
        out.as_mut_slice().fill(8);
        Ok(())
    }

    fn write_through<T: Trust>(out: &mut JobOutput<'_, T>, len: u32) -> Result<(), JobError> {
        out.reserve(len)?;
        for at in (0..len).step_by(1000) {
            out.append(&vec![8; (len - at).min(1000) as usize])?;
        }
        Ok(())
    }

    #[test]
    fn copies_in_and_out_are_as_documented() {
        let region = Region::<Threads>::heap(&layout()).unwrap();
        assert_eq!(count(&region, look_in_place, write_in_place), (0, 0));
        assert_eq!(count(&region, look_in_place, write_through), (0, 0));
        let region = crate::memory_file(&layout());
        assert_eq!(count(&region, look_in_place, write_in_place), (0, 0));
        let region = Region::<Hostile>::create_memfd(c"copies", &layout()).unwrap();
        assert_eq!(count(&region, |input| input.copied()[0], write_through), (1, 0));
    }

    /// The counter counts: looking through copies is one in at any level, and growing moves what was there.
    #[test]
    fn copies_that_are_asked_for_are_counted() {
        let region = Region::<Threads>::heap(&layout()).unwrap();
        let look = |input: &mut Input<'_>| input.copied()[0];
        assert_eq!(count(&region, look, write_in_place), (1, 0));
        let twice = |input: &mut Input<'_>| input.copied()[0].min(input.copied()[0]);
        assert_eq!(count(&region, twice, write_in_place), (2, 0));
    }

    /// The buffer of copies is made once and used again.
    #[test]
    fn hostile_inputs_share_one_buffer() {
        let region = Region::<Hostile>::create_memfd(c"copies", &layout()).unwrap();
        let (mut client, runner) = ends(&region);
        let seen = Arc::new(AtomicUsize::new(0));
        let noted = Arc::clone(&seen);
        let mut runner = runner.with(1, move |mut input: Input<'_, Hostile>, _: &mut JobOutput<'_, Hostile>| {
            noted.store(input.copied().as_ptr().addr(), Ordering::Relaxed);
            Ok(())
        });
        let mut addresses = vec![];
        for len in [100_000, 1, 50_000, 100_000] {
            let request = client.request(len).unwrap();
            client.send(1, request).unwrap();
            assert_eq!(runner.run_once(1).unwrap().failed, 0);
            addresses.push(seen.load(Ordering::Relaxed));
        }
        assert!(addresses.iter().all(|address| *address == addresses[0]));
    }
}
