//! A directory of a turn of its own, removed afterwards.

use core::sync::atomic::{AtomicU32, Ordering};
use std::path::{Path, PathBuf};

/// Exists as long as the value does.
#[derive(Debug)]
pub(crate) struct Directory(PathBuf);

impl Directory {
    /// A new one in `parent`.
    pub(crate) fn create(parent: &Path) -> std::io::Result<Self> {
        // A counter: nothing is published through it, so Relaxed is enough.
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let serial = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = parent.join(format!("inos-pricing-compare-{}-{serial}", std::process::id()));
        std::fs::create_dir(&path)?;
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // What cannot be removed is left to whoever owns the parent.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::Directory;

    #[test]
    fn it_is_gone_with_what_is_in_it() {
        let directory = Directory::create(&std::env::temp_dir()).expect("the temporary directory is writable");
        let path = directory.path().to_owned();
        std::fs::write(path.join("file"), b"content").expect("it is writable");
        drop(directory);
        assert!(!path.exists());
    }
}
