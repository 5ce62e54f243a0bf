//! CPU time, and the least of it over interleaved repetitions.

use std::time::{Duration, Instant};

/// CPU time that `clock` has counted, in nanoseconds.
fn cpu(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: writes one struct.
    let code = unsafe { libc::clock_gettime(clock, &mut time) };
    assert_eq!(code, 0, "the system has no such clock");
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// CPU time of this thread, in nanoseconds.
pub fn thread() -> u64 {
    cpu(libc::CLOCK_THREAD_CPUTIME_ID)
}

/// CPU time of the process, in nanoseconds.
pub fn process() -> u64 {
    cpu(libc::CLOCK_PROCESS_CPUTIME_ID)
}

/// Something to be timed. Returns the nanoseconds it took, so that it can leave
/// its preparations out.
pub struct Contender<'a> {
    pub name: &'static str,
    run: Box<dyn FnMut() -> u64 + 'a>,
}

/// Times all of `body` on this thread.
pub fn contender<'a, T>(name: &'static str, mut body: impl FnMut() -> T + 'a) -> Contender<'a> {
    let run = move || {
        let before = thread();
        std::hint::black_box(body());
        thread() - before
    };
    Contender {
        name,
        run: Box::new(run),
    }
}

/// The busier of this thread and all others together.
pub fn busier<'a, T>(name: &'static str, mut body: impl FnMut() -> T + 'a) -> Contender<'a> {
    let run = move || {
        let (own, all) = (thread(), process());
        std::hint::black_box(body());
        let own = thread() - own;
        own.max((process() - all).saturating_sub(own))
    };
    Contender {
        name,
        run: Box::new(run),
    }
}

/// Runs the contenders in turn for about `budget` (each at least three times);
/// the least time of each, in nanoseconds.
pub fn race(contenders: &mut [Contender<'_>], budget: Duration) -> Vec<u64> {
    let mut least = vec![u64::MAX; contenders.len()];
    let begin = Instant::now();
    let mut rounds = 0;
    while rounds < 3 || begin.elapsed() < budget {
        for (least, contender) in least.iter_mut().zip(contenders.iter_mut()) {
            *least = (*least).min((contender.run)());
        }
        rounds += 1;
    }
    least
}
