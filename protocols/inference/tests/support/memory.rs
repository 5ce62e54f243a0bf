//! Counts what this test binary allocates, thread by thread, so that tests can
//! say what something took while others run beside it.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::{Mutex, MutexGuard, PoisonError};

struct Counting;

thread_local! {
    static NOW: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

fn add(bytes: isize) {
    // A thread that is ending has no counters any more.
    let _ = NOW.try_with(|now| {
        now.set(now.get() + bytes);
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(now.get())));
    });
}

// SAFETY: every call is the system allocator's; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        add(layout.size() as isize);
        // SAFETY: passed on from our caller, who keeps this contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        add(layout.size() as isize);
        // SAFETY: passed on from our caller, who keeps this contract.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        add(-(layout.size() as isize));
        // SAFETY: passed on from our caller, who keeps this contract.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // Both may be there at once.
        add(size as isize);
        // SAFETY: passed on from our caller, who keeps this contract.
        let to = unsafe { System.realloc(at, layout, size) };
        add(-(layout.size() as isize));
        to
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// Bytes that this thread has taken and not given back; may be negative.
pub(crate) fn now() -> usize {
    usize::try_from(NOW.get().max(0)).unwrap_or(0)
}

/// From now on the peak is counted anew.
pub(crate) fn reset_peak() {
    NOW.set(NOW.get().max(0));
    PEAK.set(NOW.get());
}

/// The most since [`reset_peak`].
pub(crate) fn peak() -> usize {
    usize::try_from(PEAK.get().max(0)).unwrap_or(0)
}

/// Tests that measure do not run beside each other.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}
