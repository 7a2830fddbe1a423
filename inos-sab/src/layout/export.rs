//! The table for other languages.

use super::table::{FIELDS, PARTICIPANT_BYTES, PARTICIPANT_COUNT, Part};
use super::{FRAME_HEADER_BYTES, GRANULE_BYTES, Layout, SLOT_COUNT};
use alloc::string::String;
use core::fmt::Write;

impl Layout {
    /// The layout as JSON: sections, words and sizes, numbers only. Words are relative to their part: a section, one
    /// record, or (`cursors`) the section of either ring. Ends with a line feed.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut text = String::from("{\n");
        for (name, value) in self.numbers() {
            line(&mut text, format_args!("  \"{name}\": {value},"));
        }
        line(&mut text, format_args!("  \"hash\": \"{:016x}\",", self.hash()));
        line(&mut text, format_args!("  \"sections\": {{"));
        for (index, section) in self.sections().iter().enumerate() {
            let comma = if index + 1 < self.sections().len() { "," } else { "" };
            let (name, offset, len) = (camel(section.name), section.offset, section.len);
            line(&mut text, format_args!("    \"{name}\": {{ \"offset\": {offset}, \"bytes\": {len} }}{comma}"));
        }
        line(&mut text, format_args!("  }},"));
        line(&mut text, format_args!("  \"words\": {{"));
        for (index, field) in FIELDS.iter().enumerate() {
            let comma = if index + 1 < FIELDS.len() { "," } else { "" };
            line(
                &mut text,
                format_args!(
                    "    \"{}\": {{ \"part\": \"{}\", \"offset\": {}, \"bytes\": {}, \"count\": {}, \"stride\": {} }}{comma}",
                    field.name,
                    field.part.name(),
                    field.offset,
                    field.width,
                    field.count,
                    field.stride
                ),
            );
        }
        line(&mut text, format_args!("  }}"));
        text.push_str("}\n");
        text
    }

    /// Declarations of the JSON for TypeScript, the words with their meaning. Ends with a line feed.
    #[must_use]
    pub fn to_typescript(&self) -> String {
        let mut text = String::new();
        line(&mut text, format_args!("/** A range of the region, in bytes from its base. */"));
        line(&mut text, format_args!("export interface Section {{ readonly offset: number; readonly bytes: number }}"));
        line(&mut text, format_args!("/** A little-endian word, or a row of them, relative to its part. */"));
        line(&mut text, format_args!("export interface Word {{"));
        let parts = [Part::Switchboard, Part::Superblock, Part::Sleepers, Part::Cursors, Part::Participant];
        let names: alloc::vec::Vec<String> = parts.iter().map(|part| alloc::format!("\"{}\"", part.name())).collect();
        line(&mut text, format_args!("  readonly part: {};", names.join(" | ")));
        for name in ["offset", "bytes", "count", "stride"] {
            line(&mut text, format_args!("  readonly {name}: number;"));
        }
        line(&mut text, format_args!("}}"));
        line(&mut text, format_args!("declare const layout: {{"));
        for (name, value) in self.numbers() {
            line(&mut text, format_args!("  readonly {name}: {value};"));
        }
        line(&mut text, format_args!("  readonly hash: \"{:016x}\";", self.hash()));
        line(&mut text, format_args!("  readonly sections: {{"));
        for section in self.sections() {
            line(&mut text, format_args!("    readonly {}: Section;", camel(section.name)));
        }
        line(&mut text, format_args!("  }};"));
        line(&mut text, format_args!("  readonly words: {{"));
        for field in FIELDS {
            line(&mut text, format_args!("    /** {} */", field.about));
            line(&mut text, format_args!("    readonly {}: Word;", field.name));
        }
        line(&mut text, format_args!("  }};"));
        line(&mut text, format_args!("}};"));
        line(&mut text, format_args!("export default layout;"));
        text
    }

    fn numbers(&self) -> [(&'static str, u32); 12] {
        [
            ("format", Self::FORMAT),
            ("mode", Self::MODE_ONE_RING),
            ("regionBytes", self.end()),
            ("ringBytes", self.ring_bytes()),
            ("maxInlineBytes", self.max_inline_len()),
            ("frameHeaderBytes", FRAME_HEADER_BYTES),
            ("granuleBytes", GRANULE_BYTES),
            ("chunkBytes", self.chunk_bytes()),
            ("chunkCount", self.chunk_count()),
            ("slotCount", SLOT_COUNT),
            ("participantCount", PARTICIPANT_COUNT),
            ("participantBytes", PARTICIPANT_BYTES),
        ]
    }
}

fn line(text: &mut String, arguments: core::fmt::Arguments<'_>) {
    // Writing to a `String` does not fail.
    let _ = writeln!(text, "{arguments}");
}

/// `inbox cursors` -> `inboxCursors`.
fn camel(name: &str) -> String {
    let mut upper = false;
    let mut text = String::new();
    for letter in name.chars() {
        match letter {
            ' ' => upper = true,
            letter if upper => {
                text.push(letter.to_ascii_uppercase());
                upper = false;
            }
            letter => text.push(letter),
        }
    }
    text
}
