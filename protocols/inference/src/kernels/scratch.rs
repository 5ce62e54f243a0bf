//! Memory that is used again, from one instruction to the next.
//!
//! A thread keeps buffers that instructions and freed values leave behind, and
//! hands them out again: fresh pages cost more than most elementwise operators.
//! Buffers hold what was left in them: whoever takes one writes every element
//! that anybody reads. What is kept never exceeds [`limit`], so that a run's
//! memory bound covers it.

use std::any::{Any, TypeId};
use std::cell::RefCell;

/// Most buffers kept.
const BUFFERS: usize = 48;
/// Shorter ones are not worth keeping, in numbers.
const WORTH: usize = 256;
/// Numbers that a value's buffer may hold beyond the value: a page.
const SPARE: usize = 1024;
/// Bytes kept where no run says otherwise, for the next run: the system takes
/// longer to hand out pages than most instructions to fill them.
const IDLE: usize = 32 << 20;

struct Pool {
    buffers: Vec<Vec<f32>>,
    bytes: usize,
    limit: usize,
}

thread_local! {
    static POOL: RefCell<Pool> = const {
        RefCell::new(Pool {
            buffers: Vec::new(),
            bytes: 0,
            limit: IDLE,
        })
    };
}

impl Pool {
    fn remove(&mut self, at: usize) -> Vec<f32> {
        let buffer = self.buffers.remove(at);
        self.bytes -= size(&buffer);
        buffer
    }

    /// Lets go of the largest buffers until `bytes` are kept at most.
    fn shrink(&mut self, bytes: usize) {
        while self.bytes > bytes {
            let largest = (0..self.buffers.len()).max_by_key(|&i| self.buffers[i].capacity());
            match largest {
                Some(at) => drop(self.remove(at)),
                None => break,
            }
        }
    }
}

fn size(buffer: &Vec<f32>) -> usize {
    buffer.capacity() * size_of::<f32>()
}

/// `len` numbers of no particular value, in hardly more memory than they need.
pub(crate) fn take(len: usize) -> Vec<f32> {
    find(len, len.saturating_add(SPARE))
}

/// `len` numbers of no particular value, in a buffer of up to `most`.
fn find(len: usize, most: usize) -> Vec<f32> {
    let found = POOL.with(|p| {
        let pool = &mut *p.borrow_mut();
        // The smallest that fits, unless it is too large.
        let fits = |v: &Vec<f32>| (len..=most).contains(&v.capacity());
        // Of equals the last one given back: a cache may still hold it.
        let best = (0..pool.buffers.len())
            .rev()
            .filter(|&i| len >= WORTH && fits(&pool.buffers[i]))
            .min_by_key(|&i| pool.buffers[i].capacity())?;
        Some(pool.remove(best))
    });
    match found {
        Some(mut v) => {
            v.resize(len, 0.0);
            v
        }
        None => vec![0f32; len],
    }
}

/// [`take`] for any element type.
pub(crate) fn fresh<T: Copy + Default + 'static>(len: usize) -> Vec<T> {
    if TypeId::of::<T>() == TypeId::of::<f32>() {
        let floats: Box<dyn Any> = Box::new(take(len));
        if let Ok(v) = floats.downcast::<Vec<T>>() {
            return *v;
        }
    }
    vec![T::default(); len]
}

/// An empty vector with room for `len` elements.
pub(crate) fn room<T: Copy + Default + 'static>(len: usize) -> Vec<T> {
    let mut v = fresh(len);
    v.clear();
    v
}

/// Takes a buffer back.
pub(crate) fn give(buffer: Vec<f32>) {
    POOL.with(|p| {
        let pool = &mut *p.borrow_mut();
        let bytes = size(&buffer);
        if buffer.capacity() >= WORTH && bytes <= pool.limit {
            pool.shrink(pool.limit - bytes);
            if pool.buffers.len() == BUFFERS {
                drop(pool.remove(0));
            }
            pool.bytes += bytes;
            pool.buffers.push(buffer);
        }
    });
}

/// Keeps at most `bytes` from now on, in this thread.
pub(crate) fn limit(bytes: u64) {
    POOL.with(|p| {
        let pool = &mut *p.borrow_mut();
        pool.limit = usize::try_from(bytes).unwrap_or(usize::MAX);
        pool.shrink(pool.limit);
    });
}

/// Keeps no more than an idle thread may.
pub(crate) fn idle() {
    limit(IDLE as u64);
}

/// Calls `f` with `len` numbers of no particular value.
pub(crate) fn with<R>(len: usize, f: impl FnOnce(&mut [f32]) -> R) -> R {
    let mut buffer = find(len, len.saturating_mul(4));
    let result = f(&mut buffer);
    give(buffer);
    result
}
