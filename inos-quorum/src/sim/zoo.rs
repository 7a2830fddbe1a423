//! The bugs that a build with `--cfg inos_bug` can put back.

use crate::bugs::{Bug, choose};

/// Their names.
pub fn bug_names() -> impl Iterator<Item = &'static str> {
    Bug::names()
}

/// Gives every member of this process the bug of this name; false when there is none.
pub fn choose_bug(name: &str) -> bool {
    let bug = Bug::from_name(name);
    bug.map(choose).is_some()
}
