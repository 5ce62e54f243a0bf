//! Splitting an instruction's outputs over threads.
//!
//! Rule: a part computes some output elements completely, so the number of
//! parts cannot change a bit. The threads live for one step of a run and sleep
//! when there is nothing to do; a run of one thread never meets a lock.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

/// Most threads of a run.
pub(crate) const MAX_THREADS: usize = 64;

/// A task as the helpers see it: parts `1..parts` of `f`; the caller does part 0.
#[derive(Clone, Copy)]
struct Task {
    f: *const (dyn Fn(usize) + Sync),
    parts: usize,
}

// SAFETY: the function is `Sync`, and `run` does not return while a helper holds
// the pointer.
unsafe impl Send for Task {}

#[derive(Default)]
struct Desk {
    task: Option<Task>,
    /// Counts tasks, so that a helper takes part once in each.
    number: u64,
    stop: bool,
    panicked: bool,
}

#[derive(Default)]
struct Office {
    desk: Mutex<Desk>,
    /// There is a new task, or it is time to stop.
    called: Condvar,
    /// The last helper has finished.
    finished: Condvar,
    /// Helpers that are still at the current task.
    busy: AtomicUsize,
}

impl Office {
    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A helper's life.
    fn work(&self, me: usize) {
        let mut seen = 0;
        loop {
            let task = {
                let mut desk = self.desk();
                loop {
                    if desk.stop {
                        return;
                    }
                    if desk.number != seen {
                        break;
                    }
                    desk = self
                        .called
                        .wait(desk)
                        .unwrap_or_else(PoisonError::into_inner);
                }
                seen = desk.number;
                desk.task
            };
            let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                if let Some(task) = task.filter(|t| me < t.parts) {
                    // SAFETY: `run` waits for every helper before it returns.
                    unsafe { (*task.f)(me) };
                }
            }));
            let mut desk = self.desk();
            desk.panicked |= done.is_err();
            if self.busy.fetch_sub(1, Ordering::AcqRel) == 1 {
                self.finished.notify_one();
            }
        }
    }
}

thread_local! {
    static CURRENT: RefCell<Option<(Arc<Office>, usize)>> = const { RefCell::new(None) };
}

/// Threads that the current run may use.
pub(crate) fn threads() -> usize {
    CURRENT.with(|c| c.borrow().as_ref().map_or(1, |(_, n)| *n))
}

/// Calls `f` while `n` threads (at most [`MAX_THREADS`]) serve [`run`]. Helpers
/// that cannot be had are done without.
pub(crate) fn with_threads<R>(n: usize, f: impl FnOnce() -> R) -> R {
    let n = n.clamp(1, MAX_THREADS);
    // Within another call of this, that one's threads serve.
    if n == 1 || CURRENT.with(|c| c.borrow().is_some()) {
        return f();
    }
    let office = Arc::new(Office::default());
    thread::scope(|scope| {
        /// Sends the helpers home, also when `f` panics.
        struct Leave(Arc<Office>);
        impl Drop for Leave {
            fn drop(&mut self) {
                CURRENT.with(|c| *c.borrow_mut() = None);
                self.0.desk().stop = true;
                self.0.called.notify_all();
            }
        }
        let mut have = 1;
        for me in 1..n {
            let office = Arc::clone(&office);
            let helper = thread::Builder::new().spawn_scoped(scope, move || office.work(me));
            if helper.is_err() {
                break;
            }
            have += 1;
        }
        let _leave = Leave(Arc::clone(&office));
        CURRENT.with(|c| *c.borrow_mut() = Some((office, have)));
        f()
    })
}

/// Calls `f` with each number below `parts`, on the run's threads.
pub(crate) fn run(parts: usize, f: &(dyn Fn(usize) + Sync)) {
    if parts == 1 {
        return f(0);
    }
    // Taken, so that a part that splits again does so alone.
    let current = CURRENT.with(|c| c.borrow_mut().take());
    let Some((office, have)) = current else {
        return (0..parts).for_each(f);
    };
    /// Waits for the helpers, also when this thread's part panics.
    struct Wait<'a>(&'a Office);
    impl Drop for Wait<'_> {
        fn drop(&mut self) {
            for _ in 0..500 {
                if self.0.busy.load(Ordering::Acquire) == 0 {
                    break;
                }
                std::hint::spin_loop();
            }
            let mut desk = self.0.desk();
            while self.0.busy.load(Ordering::Acquire) > 0 {
                desk = self
                    .0
                    .finished
                    .wait(desk)
                    .unwrap_or_else(PoisonError::into_inner);
            }
            desk.task = None;
        }
    }
    {
        let mut desk = office.desk();
        // SAFETY: only the lifetime changes; `Wait` keeps `f` borrowed until no
        // helper holds it.
        let f = unsafe {
            std::mem::transmute::<
                *const (dyn Fn(usize) + Sync + '_),
                *const (dyn Fn(usize) + Sync + 'static),
            >(std::ptr::from_ref(f))
        };
        desk.task = Some(Task { f, parts });
        desk.number += 1;
        office.busy.store(have - 1, Ordering::Release);
        office.called.notify_all();
    }
    {
        let _wait = Wait(&office);
        f(0);
        (have..parts).for_each(f);
    }
    let failed = office.desk().panicked;
    CURRENT.with(|c| *c.borrow_mut() = Some((office, have)));
    assert!(!failed, "a part of an instruction panicked");
}

/// The `i`-th of `parts` nearly equal shares of `n` things.
pub(crate) fn share(n: usize, parts: usize, i: usize) -> Range<usize> {
    let (base, more) = (n / parts, n % parts);
    let start = i * base + i.min(more);
    start..start + base + usize::from(i < more)
}

/// A slice that several parts write, each to elements of its own.
pub(crate) struct Shared<'a, T = f32> {
    start: *mut T,
    len: usize,
    life: PhantomData<&'a mut [T]>,
}

// SAFETY: `T` may be written from any thread; that no two parts touch the same
// element is what the callers of the unsafe methods promise.
unsafe impl<T: Send> Send for Shared<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Shared<'_, T> {}

impl<'a, T> Shared<'a, T> {
    pub(crate) fn new(v: &'a mut [T]) -> Self {
        Self {
            start: v.as_mut_ptr(),
            len: v.len(),
            life: PhantomData,
        }
    }

    /// The element at `at`, checked to be inside.
    pub(crate) fn at(&self, at: usize) -> *mut T {
        assert!(at < self.len, "element of a shared slice");
        // SAFETY: inside the slice by the check.
        unsafe { self.start.add(at) }
    }

    /// Elements `at..at+len`, checked to be inside.
    ///
    /// # Safety
    /// No other part touches them, and the caller holds no other slice of them.
    #[allow(clippy::mut_from_ref)]
    pub(crate) unsafe fn slice(&self, at: usize, len: usize) -> &mut [T] {
        assert!(
            at <= self.len && len <= self.len - at,
            "part of a shared slice"
        );
        // SAFETY: inside the slice by the check, unshared by the promise.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(at), len) }
    }
}
