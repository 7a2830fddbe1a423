//! How much faster is the engine for WebAssembly's vectors than the one without? Both are in a program that is compiled
//! for simd128. They take turns, so that a busy moment of the machine hits both, and what counts is the ratio.
//!
//! Run by `bash .ci/wasm bench`, in Node; on other targets it does nothing.

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod wasm {
    use core::time::Duration;
    use inos_chunk::erasure::{Codec, EngineKind};
    use wasm_bindgen_test::{Instant, console_log, wasm_bindgen_test};

    const ROUNDS: usize = 9;
    const SHARD_BYTES: usize = 64 << 10;

    /// Bytes that repeat nowhere near, the same in every run.
    fn noise(len: usize) -> Vec<u8> {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[4]
        };
        core::iter::repeat_with(&mut next).take(len).collect()
    }

    fn median(mut values: Vec<f64>) -> f64 {
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    }

    /// Encodes in rounds with each engine in turn: the parity of the last round and each engine's times.
    fn contest(data: usize, parity: usize) {
        let bytes = noise(data * SHARD_BYTES);
        let shards: Vec<&[u8]> = bytes.chunks(SHARD_BYTES).collect();
        let mut results = [vec![0; parity * SHARD_BYTES], vec![0; parity * SHARD_BYTES]];
        let mut times = [Vec::new(), Vec::new()];
        // The first round fills caches and lets the engine of JavaScript compile; it does not count.
        for round in 0..=ROUNDS {
            for (index, engine) in [EngineKind::Portable, EngineKind::Simd128].into_iter().enumerate() {
                let codec = Codec::with_engine(data, parity, engine).expect("the program is compiled for simd128");
                let mut scratch = codec.scratch();
                let mut out: Vec<&mut [u8]> = results[index].chunks_mut(SHARD_BYTES).collect();
                // Working memory is allocated by the first call.
                codec.encode_into(&mut scratch, &shards, &mut out).expect("the shapes are right");
                let start = Instant::now();
                codec.encode_into(&mut scratch, &shards, &mut out).expect("the shapes are right");
                let time: Duration = start.elapsed();
                if round > 0 {
                    times[index].push(time.as_secs_f64());
                }
            }
        }
        assert!(results[0] == results[1], "the engines disagree");
        let ratio = median(times[0].iter().zip(&times[1]).map(|(portable, simd)| portable / simd).collect());
        let [portable, simd128] = times.map(|times| bytes.len() as f64 / median(times) / 1e9);
        console_log!(
            "encode {data} + {parity}: simd128 {simd128:.3} GB/s, portable {portable:.3} GB/s, ratio {ratio:.2}"
        );
    }

    #[wasm_bindgen_test]
    fn encode() {
        contest(100, 20);
        contest(10, 4);
    }
}

fn main() {}
