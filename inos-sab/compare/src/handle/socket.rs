//! Payloads through a Unix socket, which copies them twice.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;

use super::{Courier, Payload, deliver_all};
use crate::process::{Start, Way};

struct Socket {
    stream: UnixStream,
    buffer: Vec<u8>,
}

/// Seconds per delivery.
pub(crate) fn turn(payload: Payload, deliveries: u64) -> io::Result<f64> {
    let (stream, far_stream) = UnixStream::pair()?;
    let far = Start::new(Way::HandleSocket)?.payload(payload).input(far_stream).spawn()?;
    let mut near = Socket { stream, buffer: vec![0; payload.len as usize] };
    let seconds = deliver_all(&mut near, payload, deliveries);
    // The far end reads until this is closed.
    drop(near);
    far.join();
    Ok(seconds)
}

impl Courier for Socket {
    fn deliver(&mut self, number: u64, payload: Payload) -> u64 {
        payload.write(number, &mut self.buffer);
        self.stream.write_all(&self.buffer).expect("the far end reads");
        let mut answer = [0; 8];
        self.stream.read_exact(&mut answer).expect("the far end answers");
        u64::from_le_bytes(answer)
    }
}

/// The far end.
pub(crate) fn serve(mut stream: File, payload: Payload) {
    let mut buffer = vec![0; payload.len as usize];
    while stream.read_exact(&mut buffer).is_ok() {
        let answer = payload.answer(&buffer);
        stream.write_all(&answer.to_le_bytes()).expect("the near end reads");
    }
}
