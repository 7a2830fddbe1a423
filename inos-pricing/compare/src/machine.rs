//! What the figures were measured on.

use std::path::Path;

/// Model and instruction set, in one line.
pub(crate) fn describe() -> String {
    let model = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = model.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("unknown processor");
    let model = model.trim_start_matches([' ', '\t', ':']);
    let build = if cfg!(debug_assertions) { "; NOT OPTIMISED, the figures mean nothing" } else { "" };
    format!("{model}, {} ({}), one thread{build}", std::env::consts::ARCH, features().join(" "))
}

#[cfg(target_arch = "x86_64")]
fn features() -> Vec<&'static str> {
    let known = [("avx2", is_x86_feature_detected!("avx2")), ("avx512f", is_x86_feature_detected!("avx512f"))];
    known.into_iter().filter_map(|(name, present)| present.then_some(name)).collect()
}

#[cfg(not(target_arch = "x86_64"))]
fn features() -> Vec<&'static str> {
    Vec::new()
}

/// The file system that a directory is on: `ext4`, or `unknown`. On `tmpfs` nothing is durable.
pub(crate) fn file_system(directory: &Path) -> String {
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let directory = directory.canonicalize().unwrap_or_else(|_| directory.to_owned());
    type_of(&mounts, &directory).unwrap_or("unknown").into()
}

/// Of the mount point that is nearest to `directory`; of two at one place the later one hides the other.
fn type_of<'a>(mounts: &'a str, directory: &Path) -> Option<&'a str> {
    let fields = mounts.lines().map(|line| line.split(' ').skip(1));
    let of_parents = fields.filter_map(|mut fields| {
        let point = fields.next().filter(|point| directory.starts_with(point))?;
        Some((point.len(), fields.next()?))
    });
    of_parents.max_by_key(|(len, _)| *len).map(|(_, kind)| kind)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::type_of;

    #[test]
    fn the_nearest_mount_point_counts() {
        let mounts = "/dev/a / ext4 rw 0 0\nnone /scratch tmpfs rw 0 0\n/dev/b /scratch/x xfs rw 0 0\n/dev/c /scratch/x btrfs rw 0 0\n";
        let kind = |path| type_of(mounts, Path::new(path));
        assert_eq!(["/scratchx", "/scratch", "/scratch/x/y"].map(kind), [Some("ext4"), Some("tmpfs"), Some("btrfs")]);
        assert_eq!(type_of("", Path::new("/")), None);
    }
}
