//! Working memory of the kernels, kept from one instruction to the next.
//!
//! Buffers hold what was left in them: whoever takes one writes before reading.

use std::cell::RefCell;

/// Longest list of buffers that a thread keeps, and their greatest length.
const KEPT: usize = 4;
const KEPT_LEN: usize = 128 << 10;

thread_local! {
    static FREE: RefCell<Vec<Vec<f32>>> = const { RefCell::new(Vec::new()) };
}

/// Calls `f` with `len` numbers of no particular value.
pub(crate) fn with<R>(len: usize, f: impl FnOnce(&mut [f32]) -> R) -> R {
    // The list is not borrowed while `f` runs: it may ask for more.
    let mut buffer = FREE
        .with(|l| {
            let mut list = l.borrow_mut();
            let at = list.iter().position(|b| b.len() >= len);
            match at {
                Some(at) => Some(list.swap_remove(at)),
                None => list.pop(),
            }
        })
        .unwrap_or_default();
    if buffer.len() < len {
        buffer = vec![0f32; len];
    }
    let result = f(&mut buffer[..len]);
    if buffer.len() <= KEPT_LEN {
        FREE.with(|l| {
            let mut list = l.borrow_mut();
            if list.len() < KEPT {
                list.push(buffer);
            }
        });
    }
    result
}
