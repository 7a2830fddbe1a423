//! Eight bytes through a file descriptor: a Unix socket, or a pipe for each direction.

use std::io::{Read, Write};

use super::Link;

pub(crate) struct Stream<R, W> {
    pub(crate) from: R,
    pub(crate) to: W,
}

impl<R: Read, W: Write> Link for Stream<R, W> {
    fn send(&mut self, number: u64) {
        self.to.write_all(&number.to_le_bytes()).expect("the other end is there");
    }

    fn receive(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.from.read_exact(&mut bytes).expect("the other end is there");
        u64::from_le_bytes(bytes)
    }
}
