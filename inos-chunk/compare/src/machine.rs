//! What the figures were measured on.

/// Model and instruction sets that matter here, in one line.
pub(crate) fn describe() -> String {
    let model = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = model.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("unknown processor");
    let model = model.trim_start_matches([' ', '\t', ':']);
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let build = if cfg!(debug_assertions) { "; NOT OPTIMISED, the figures mean nothing" } else { "" };
    format!("{model}, {cpus} CPUs, {} ({}){build}", std::env::consts::ARCH, features().join(" "))
}

#[cfg(target_arch = "x86_64")]
fn features() -> Vec<&'static str> {
    let known = [
        ("ssse3", is_x86_feature_detected!("ssse3")),
        ("avx2", is_x86_feature_detected!("avx2")),
        ("avx512f", is_x86_feature_detected!("avx512f")),
        ("avx512bw", is_x86_feature_detected!("avx512bw")),
        ("avx512vl", is_x86_feature_detected!("avx512vl")),
        ("avx512vbmi", is_x86_feature_detected!("avx512vbmi")),
        ("gfni", is_x86_feature_detected!("gfni")),
    ];
    known.into_iter().filter_map(|(name, present)| present.then_some(name)).collect()
}

#[cfg(not(target_arch = "x86_64"))]
fn features() -> Vec<&'static str> {
    Vec::new()
}
