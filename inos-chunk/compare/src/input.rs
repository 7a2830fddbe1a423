//! Data of a fixed seed.

/// Bytes that nothing can compress.
pub(crate) fn noise(len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new_derive_key("inos-chunk-compare noise").finalize_xof().fill(&mut bytes);
    bytes
}

const SYLLABLES: [&str; 16] =
    ["an", "be", "co", "di", "er", "fa", "ing", "lo", "me", "no", "per", "re", "st", "ta", "un", "vo"];

/// Something like prose: sentences of words of one to four syllables, some of which are far more frequent than others.
/// LZ4 leaves 40 to 50 % of it, as of much real text.
pub(crate) fn text(len: usize) -> Vec<u8> {
    let noise = noise(len);
    let words: Vec<String> = noise.as_chunks::<3>().0.iter().take(512).map(word).collect();
    let mut out = Vec::with_capacity(len + 16);
    for pair in noise.as_chunks::<2>().0 {
        if out.len() >= len {
            break;
        }
        // The product of two uniform numbers favours small ones.
        let rank = (usize::from(pair[0]) * usize::from(pair[1]) * 512) >> 16;
        out.extend_from_slice(words[rank].as_bytes());
        out.extend_from_slice(if pair[1] % 16 == 0 { b". " } else { b" " });
    }
    out.truncate(len);
    assert_eq!(out.len(), len, "two bytes of noise make more than two of text");
    out
}

fn word(seed: &[u8; 3]) -> String {
    let syllables = [seed[0] & 15, seed[0] >> 4, seed[1] & 15, seed[1] >> 4];
    syllables.iter().take(usize::from(seed[2] % 4) + 1).map(|syllable| SYLLABLES[usize::from(*syllable)]).collect()
}

#[cfg(test)]
mod tests {
    //! The text must be as compressible as the cases say: LZ4 is asked.

    use super::text;

    #[test]
    fn lz4_leaves_40_to_50_percent_of_the_text() {
        let text = text(4 << 20);
        let stored: usize = text.chunks(1 << 20).map(|chunk| lz4_flex::block::compress(chunk).len()).sum();
        let percent = stored * 100 / text.len();
        assert!((40..=50).contains(&percent), "{percent} %");
    }
}
