//! How much memory this process has.

/// Bytes that are in memory; `None` where the system does not say.
#[must_use]
pub fn bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::bytes;

    #[test]
    fn this_process_has_some_memory() {
        assert!(bytes().is_some_and(|bytes| bytes > 1 << 20));
    }
}
