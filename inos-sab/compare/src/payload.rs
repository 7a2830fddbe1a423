//! What is sent: words that a number determines, so that their sum can be checked and nothing can be left out.

/// Whether the bytes of a payload are written by the sender and summed by the receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Touch {
    Touch,
    /// Only what the way itself needs is written and read.
    NoTouch,
}

/// Bytes of the words that payloads consist of.
const WORD: usize = 8;

/// Writes the payload with this number: words that count up from it.
pub(crate) fn write(number: u64, payload: &mut [u8]) {
    for (index, bytes) in (0..).zip(payload.as_chunks_mut::<WORD>().0) {
        *bytes = number.wrapping_add(index).to_le_bytes();
    }
}

/// Sum of all words, modulo 2^64.
pub(crate) fn sum(payload: &[u8]) -> u64 {
    payload.as_chunks::<WORD>().0.iter().fold(0, |sum, bytes| sum.wrapping_add(u64::from_le_bytes(*bytes)))
}

/// The sum of the payload with this number.
pub(crate) fn expected_sum(number: u64, len: usize) -> u64 {
    let words = (len / WORD) as u64;
    // Of n and n - 1 one is even, so nothing is lost by the division.
    number.wrapping_mul(words).wrapping_add(words * words.saturating_sub(1) / 2)
}

#[cfg(test)]
mod tests {
    use super::{expected_sum, sum, write};

    #[test]
    fn the_sum_of_a_payload_is_known_beforehand() {
        for (number, len) in [(0, 8), (7, 64), (u64::MAX - 3, 1024), (5, 0)] {
            let mut payload = vec![0xAA; len];
            write(number, &mut payload);
            assert_eq!(sum(&payload), expected_sum(number, len), "{number}, {len} bytes");
        }
        let mut payload = vec![0; 24];
        write(3, &mut payload);
        assert_eq!(sum(&payload), 3 + 4 + 5);
    }
}
