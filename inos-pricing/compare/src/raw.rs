//! The limit on disk: bytes appended to a file, and fdatasync.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use crate::contest::Stopwatch;

pub(crate) const NAME: &str = "fdatasync";

/// A file that grows.
pub(crate) struct Raw {
    file: File,
    bytes: Vec<u8>,
}

impl Raw {
    /// Appends will be of `len` bytes. The first is made here: that one writes the file's own existence as well.
    pub(crate) fn create(directory: &Path, len: usize) -> std::io::Result<Self> {
        let file = File::create_new(directory.join("raw"))?;
        let mut this = Self { file, bytes: (0..=u8::MAX).cycle().take(len).collect() };
        this.append()?;
        Ok(this)
    }

    fn append(&mut self) -> std::io::Result<()> {
        self.file.write_all(core::hint::black_box(&self.bytes))?;
        self.file.sync_data()
    }

    /// Of `count` appends, each followed by fdatasync.
    pub(crate) fn seconds(&mut self, count: usize) -> std::io::Result<f64> {
        let stopwatch = Stopwatch::start();
        for _ in 0..count {
            self.append()?;
        }
        Ok(stopwatch.seconds())
    }
}

#[cfg(test)]
mod tests {
    use super::Raw;
    use crate::directory::Directory;

    #[test]
    fn everything_is_appended() {
        let directory = Directory::create(&std::env::temp_dir()).expect("the temporary directory is writable");
        let mut raw = Raw::create(directory.path(), 128).expect("it is writable");
        assert!(raw.seconds(3).expect("it is writable") > 0.0);
        assert_eq!(std::fs::metadata(directory.path().join("raw")).expect("it exists").len(), 4 * 128);
    }
}
