//! Prints the layout for other languages: `cargo run -p inos-sab --example layout -- json > inos-sab/js/layout.json`,
//! and the same with `typescript` for `layout.d.ts`.

use inos_sab::Layout;
use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    let text = match std::env::args().nth(1).as_deref() {
        Some("json") => Layout::STANDARD.to_json(),
        Some("typescript") => Layout::STANDARD.to_typescript(),
        _ => {
            eprintln!("usage: layout json | typescript");
            return ExitCode::from(2);
        }
    };
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
