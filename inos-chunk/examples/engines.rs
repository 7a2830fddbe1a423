//! Prints the engines of the erasure code, and which of them this CPU can run.

#![expect(clippy::print_stdout, reason = "a program of the command line")]

use inos_chunk::erasure::EngineKind;

fn main() {
    for kind in EngineKind::ALL {
        let state = if kind.is_available() { "available" } else { "not available" };
        println!("engine {kind}: {state}");
    }
    println!("fastest: {}", EngineKind::fastest());
}
