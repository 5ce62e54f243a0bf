//! What a run asks of the process around it: the CPU's default floating-point
//! mode, and nothing of the operating system but memory.

use aether_inference::{Kernels, Run, RunError, RunLimits, execute};

use crate::support::conformance::header;
use crate::support::golden::{Case, Family, cases, parse};
use crate::support::model::{noise, small_cnn};

/// Reads and sets the floating-point control register of this thread.
#[cfg(target_arch = "x86_64")]
mod control {
    /// Flush to zero, denormals are zero, and the three other roundings.
    pub(super) const MODES: [u64; 5] = [0x8000, 0x0040, 0x2000, 0x4000, 0x6000];

    pub(super) fn get() -> u64 {
        let mut csr = 0u32;
        // SAFETY: stores 32 bits to a valid address.
        unsafe { std::arch::asm!("stmxcsr [{}]", in(reg) &mut csr, options(nostack)) };
        u64::from(csr)
    }

    pub(super) fn set(csr: u64) {
        let csr = csr as u32;
        // SAFETY: loads a value that `stmxcsr` gave, with mode bits changed;
        // the thread does no arithmetic until it is set back.
        unsafe { std::arch::asm!("ldmxcsr [{}]", in(reg) &csr, options(nostack)) };
    }
}
#[cfg(target_arch = "aarch64")]
mod control {
    /// Flush to zero and the three other roundings.
    pub(super) const MODES: [u64; 4] = [1 << 24, 1 << 22, 2 << 22, 3 << 22];

    pub(super) fn get() -> u64 {
        let fpcr: u64;
        // SAFETY: reading FPCR has no side effects.
        unsafe { std::arch::asm!("mrs {}, fpcr", out(reg) fpcr, options(nomem, nostack)) };
        fpcr
    }

    pub(super) fn set(fpcr: u64) {
        // SAFETY: as for x86-64.
        unsafe { std::arch::asm!("msr fpcr, {}", in(reg) fpcr, options(nostack)) };
    }
}

#[test]
fn a_thread_that_flushes_denormals_or_rounds_otherwise_is_refused() {
    let program = small_cnn().program();
    let inputs = [noise(&[1, 1, 28, 28], 9)];
    let header = header(&program, &inputs);
    let start = || Run::start(&program, &header, &inputs, &RunLimits::default()).map(|_| ());
    // The mode is the thread's own: nobody else's arithmetic suffers.
    std::thread::scope(|s| {
        let thread = s.spawn(|| {
            let usual = control::get();
            let mut refused = 0;
            for mode in control::MODES {
                control::set(usual | mode);
                let (run, whole) = (
                    start(),
                    execute(&program, &header, &inputs, &RunLimits::default()).map(|_| ()),
                );
                control::set(usual);
                for end in [run, whole] {
                    assert!(
                        matches!(end, Err(RunError::FloatEnvironment(_))),
                        "mode {mode:#x}: {end:?}"
                    );
                    refused += 1;
                }
            }
            assert_eq!(start(), Ok(()), "the usual mode is fine");
            refused
        });
        assert_eq!(
            thread.join().expect("no panic"),
            2 * control::MODES.len(),
            "all modes refused"
        );
    });
}

#[test]
fn runs_in_many_threads_at_once_come_to_the_same_digests() {
    let golden = parse(Family::Own);
    let all: Vec<Case> = cases(Family::Own);
    let picked: Vec<&Case> = all
        .iter()
        .filter(|c| c.name.starts_with("digits/") || c.name.starts_with("made/conv"))
        .collect();
    assert!(picked.len() > 20, "only {} cases", picked.len());
    for threads in [2, 7] {
        std::thread::scope(|s| {
            for t in 0..threads {
                let (picked, golden) = (&picked, &golden);
                s.spawn(move || {
                    // Each starts elsewhere, so that different cases meet.
                    for i in 0..picked.len() {
                        let case = picked[(i + t * picked.len() / threads) % picked.len()];
                        let row = case.load().and_then(|c| c.row(Kernels::best(), 1));
                        assert_eq!(row.as_ref().ok(), golden.get(&case.name), "{}", case.name);
                    }
                });
            }
        });
    }
}

#[cfg(target_os = "linux")]
mod system_calls {
    //! A run under a seccomp filter, in a process of its own: this test binary
    //! again, told by the environment what to do, so that a forbidden call kills
    //! nobody else.

    use std::os::unix::process::ExitStatusExt;
    use std::process::{Command, ExitStatus};

    use super::{Case, Family, Kernels, cases, parse};

    const TASK: &str = "AETHER_TEST_FILTERED";
    /// The child could not install the filter.
    const NOT_PERMITTED: i32 = 77;

    /// Memory management, and the end of the process. (`mprotect` is how glibc
    /// grows the heap of a thread that is not the main one.)
    const ALLOWED: [i64; 7] = [
        libc::SYS_mmap,
        libc::SYS_munmap,
        libc::SYS_mremap,
        libc::SYS_mprotect,
        libc::SYS_madvise,
        libc::SYS_brk,
        libc::SYS_exit_group,
    ];

    #[cfg(target_arch = "x86_64")]
    const ARCHITECTURE: u32 = 0xc000_003e;
    #[cfg(target_arch = "aarch64")]
    const ARCHITECTURE: u32 = 0xc000_00b7;

    /// From here on any other system call of this thread kills the process.
    fn install_filter() -> bool {
        let op = |code: u32, k: u32, jt: u8, jf: u8| libc::sock_filter {
            code: code as u16,
            jt,
            jf,
            k,
        };
        let load = |offset| op(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset, 0, 0);
        let equal = |k, jt, jf| op(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, k, jt, jf);
        let end = |action| op(libc::BPF_RET | libc::BPF_K, action, 0, 0);
        // `struct seccomp_data`: the call's number at 0, the architecture at 4.
        let mut program = vec![
            load(4),
            equal(ARCHITECTURE, 1, 0),
            end(libc::SECCOMP_RET_KILL_PROCESS),
            load(0),
        ];
        for call in ALLOWED {
            program.push(equal(call as u32, 0, 1));
            program.push(end(libc::SECCOMP_RET_ALLOW));
        }
        program.push(end(libc::SECCOMP_RET_KILL_PROCESS));
        let filter = libc::sock_fprog {
            len: program.len() as u16,
            filter: program.as_mut_ptr(),
        };
        // SAFETY: `prctl` with documented arguments; the filter lives until the
        // call has copied it.
        unsafe {
            libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
                && libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &filter) == 0
        }
    }

    fn exit(code: i32) -> ! {
        // SAFETY: ends the process at once; nothing of it is used any more.
        unsafe { libc::_exit(code) }
    }

    /// What the child does; never returns when it was told to do something.
    #[test]
    #[ignore = "the child of the tests below, which start it"]
    fn filtered_child() {
        let Ok(task) = std::env::var(TASK) else {
            return;
        };
        let golden = parse(Family::Own);
        let all: Vec<Case> = cases(Family::Own);
        let loaded: Vec<_> = all
            .iter()
            .filter_map(|c| Some((c.load().ok()?, golden.get(&c.name)?)))
            .collect();
        let kernels = Kernels::available();
        if loaded.is_empty() {
            exit(2);
        }
        if !install_filter() {
            exit(NOT_PERMITTED);
        }
        if task == "call" {
            // SAFETY: asks for a number. The filter must not let it.
            unsafe { libc::getppid() };
            exit(0);
        }
        for (case, want) in &loaded {
            for &k in &kernels {
                if case.row(k, 1).as_ref() != Ok(*want) {
                    exit(1);
                }
            }
        }
        exit(0);
    }

    fn child(task: &str) -> ExitStatus {
        let test = "environment::system_calls::filtered_child";
        Command::new(std::env::current_exe().expect("our own path"))
            .args([test, "--exact", "--ignored", "--test-threads=1"])
            .env(TASK, task)
            // One heap for all threads: a second one reads a file under /proc.
            .env("GLIBC_TUNABLES", "glibc.malloc.arena_max=1")
            .output()
            .expect("starts")
            .status
    }

    #[test]
    fn runs_make_no_system_calls_but_for_memory() {
        let live = child("call");
        if live.code() == Some(NOT_PERMITTED) {
            println!("SKIPPED: seccomp filters are not permitted here");
            return;
        }
        assert_eq!(live.signal(), Some(libc::SIGSYS), "the filter is live");
        let ran = child("run");
        assert_ne!(ran.signal(), Some(libc::SIGSYS), "a system call in a run");
        assert_eq!(ran.code(), Some(0), "{ran:?}");
        println!("system calls: every golden case of our own under the filter");
    }
}
