//! A worker that panics, which no input can cause, and what becomes of the threads.

use super::{Encoder, ParallelError, Workers};
use crate::{ChunkSize, Config};
use alloc::vec;
use alloc::vec::Vec;
use bytes::Bytes;

#[test]
fn a_panic_is_an_error_and_the_encoder_ends() {
    let config = Config { chunk_size: ChunkSize::new(256 << 10).expect("a power of two"), ..Config::default() };
    for count in [1, 2, 4] {
        let workers = Workers::new(count).expect("a few workers");
        let resource = Bytes::from(vec![7; 16 << 20]);
        let mut encoder = Encoder::new(resource.len() as u64, &config, workers).expect("threads can be started");
        encoder.push(resource.clone()).expect("the length was announced");
        let before: Vec<_> = core::iter::from_fn(|| encoder.next_piece()).take(10).collect();
        assert_eq!(before.len(), 10);
        encoder.machine.work_mut().order_panic();
        encoder.end().expect("nobody has looked yet");
        let after = core::iter::from_fn(|| encoder.next_piece()).count();
        assert!(after < 64 + 13 - 10, "{after} pieces after the panic");
        assert_eq!(encoder.next_piece(), None);
        assert_eq!(encoder.push(Bytes::new()), Err(ParallelError::Panicked));
        assert_eq!(encoder.end(), Err(ParallelError::Panicked));
        assert_eq!(encoder.finish(), Err(ParallelError::Panicked));
        drop(encoder);
        drop(before);
        assert!(resource.is_unique(), "all threads have ended");
    }
}
