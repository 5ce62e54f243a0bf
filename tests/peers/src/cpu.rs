//! CPU time and memory of this process.

/// CPU time of the calling thread, nanoseconds.
pub(crate) fn thread() -> f64 {
    clock(libc::CLOCK_THREAD_CPUTIME_ID)
}

/// CPU time of all threads, nanoseconds.
pub(crate) fn process() -> f64 {
    clock(libc::CLOCK_PROCESS_CPUTIME_ID)
}

fn clock(id: libc::clockid_t) -> f64 {
    let mut t = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the pointer is to a valid timespec.
    let status = unsafe { libc::clock_gettime(id, &mut t) };
    assert_eq!(status, 0, "clock_gettime");
    t.tv_sec as f64 * 1e9 + t.tv_nsec as f64
}

/// CPU time of `f`, nanoseconds.
pub(crate) fn time<R>(f: impl FnOnce() -> R) -> (f64, R) {
    let start = thread();
    let result = f();
    (thread() - start, result)
}

/// Resident memory now, bytes.
pub(crate) fn resident() -> u64 {
    status("VmRSS:")
}

/// Most resident memory since [`reset_peak`], bytes.
pub(crate) fn peak() -> u64 {
    status("VmHWM:")
}

/// Starts a new peak; nothing happens where the kernel does not offer it.
pub(crate) fn reset_peak() {
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

fn status(key: &str) -> u64 {
    std::fs::read_to_string("/proc/self/status")
        .ok()
        .and_then(|s| {
            let line = s.lines().find(|l| l.starts_with(key))?;
            line.split_whitespace().nth(1)?.parse::<u64>().ok()
        })
        .unwrap_or(0)
        * 1024
}

/// How often to run what takes `t` nanoseconds, to fill about 20 ms.
pub(crate) fn repeats(t: f64) -> usize {
    ((2e7 / t) as usize).clamp(1, 50)
}
