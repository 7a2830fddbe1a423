//! Goal: the offsets are those of the document, and illegal numbers are refused.
//! Method: literal values; every small combination of sizes against the laws of the table.

use inos_sab::{Layout, LayoutError, Watermarks};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[test]
fn standard_offsets_are_those_of_the_document() {
    let document = include_str!("../../docs/layout.md");
    for section in Layout::STANDARD.sections() {
        let row = format!("| `0x{:08X}` | {} | {} |", section.offset, section.len, section.name);
        assert!(document.contains(&row), "docs/layout.md has no row {row}");
    }
    assert_eq!(Layout::STANDARD.max_block_len(), 30_212_096);
}

/// `cargo run -p inos-sab --example layout` writes these files.
#[test]
fn other_languages_have_the_same_table() {
    assert_eq!(Layout::STANDARD.to_json(), include_str!("../../js/layout.json"));
    assert_eq!(Layout::STANDARD.to_typescript(), include_str!("../../js/layout.d.ts"));
}

/// Each word of the generated table stands in the document with its offset.
#[test]
fn words_are_those_of_the_document() {
    let document = include_str!("../../docs/layout.md");
    let json = Layout::STANDARD.to_json();
    let words = json.split_once("\"words\": {").expect("a section of words").1;
    let mut count = 0;
    for line in words.lines().filter(|line| line.contains("\"part\"")) {
        let name = line.split('"').nth(1).expect("a name");
        let number = |key: &str| -> u32 {
            let rest = line.split_once(&format!("\"{key}\": ")).expect("a key").1;
            let digits = rest.split(|c: char| !c.is_ascii_digit()).next().expect("a number");
            digits.parse().expect("a number")
        };
        let row = format!("| `{name}` | +0x{:03X} | u{} |", number("offset"), number("bytes") * 8);
        assert!(document.contains(&row), "docs/layout.md has no row {row}");
        count += 1;
    }
    assert!(count > 20);
}

#[test]
fn every_legal_size_keeps_the_laws() {
    for ring in 6..=19 {
        for chunk in 9..=16 {
            for chunks in [0, 1, 2, 3, 4, 17, 64] {
                let Ok(layout) = Layout::compact(1 << ring, chunks << chunk, 1 << chunk) else {
                    assert!(chunks < 3, "{chunks} chunks hold metadata and one block");
                    continue;
                };
                let mut end = 0;
                for section in layout.sections() {
                    assert_eq!(section.offset, end);
                    end = section.end();
                }
                assert_eq!(end, layout.end());
                let data = u64::from(layout.max_block_len());
                // 16 bytes per granule of 256 and 64 per chunk, rounded up to whole chunks.
                let metadata = data / 16 + u64::from(layout.chunk_count()) * 64;
                assert!(data > 0 && data + metadata <= u64::from(layout.arena().len));
                assert!(data + metadata + 2 * u64::from(layout.chunk_bytes()) > u64::from(layout.arena().len));
            }
        }
    }
}

#[test]
fn illegal_numbers_are_refused() {
    assert_eq!(Layout::compact(96, 1 << 16, 1 << 12), Err(LayoutError::RingBytes { ring_bytes: 96 }));
    assert_eq!(Layout::compact(32, 1 << 16, 1 << 12), Err(LayoutError::RingBytes { ring_bytes: 32 }));
    assert_eq!(Layout::compact(64, 1 << 16, 256), Err(LayoutError::ChunkBytes { chunk_bytes: 256 }));
    assert_eq!(Layout::compact(64, 1 << 30, 1 << 12), Err(LayoutError::ArenaBytes { arena_bytes: 1 << 30 }));
    assert_eq!(Layout::compact(64, 5000, 1 << 12), Err(LayoutError::ArenaBytes { arena_bytes: 5000 }));
    let marks = Watermarks { high_bytes: 10, low_bytes: 10, high_count: 2, low_count: 1 };
    assert!(matches!(Layout::STANDARD.with_watermarks(marks), Err(LayoutError::Watermarks { .. })));
}
