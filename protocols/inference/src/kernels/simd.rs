//! Which instructions to use, and plain loops compiled for each of them.
//!
//! The loops' bodies are the same source on every path: Rust never reorders or
//! contracts floating-point operations, so wider vectors change speed only.

use super::split::{self, Shared};

/// An instruction set that the kernels can run on. All give the same bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kernels {
    /// Plain Rust; fused multiply-adds are exact but may be slow.
    Portable,
    /// x86-64 with AVX2 and FMA.
    Avx2,
    /// x86-64 with AVX-512 F, BW, DQ and VL.
    Avx512,
}

impl Kernels {
    /// Every path this CPU can run, slowest first.
    pub fn available() -> Vec<Kernels> {
        #[allow(unused_mut)]
        let mut all = vec![Kernels::Portable];
        #[cfg(target_arch = "x86_64")]
        {
            let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
            if avx2 {
                all.push(Kernels::Avx2);
            }
            if avx2
                && is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl")
            {
                all.push(Kernels::Avx512);
            }
        }
        all
    }

    /// The fastest path this CPU can run.
    pub fn best() -> Kernels {
        use std::sync::OnceLock;
        static BEST: OnceLock<Kernels> = OnceLock::new();
        *BEST.get_or_init(|| Kernels::available().pop().unwrap_or(Kernels::Portable))
    }

    /// This path if the CPU has it, the portable one otherwise. Every public
    /// entry passes through here: the `unsafe` calls below rely on it.
    pub fn or_portable(self) -> Kernels {
        if self == Kernels::Portable || Kernels::available().contains(&self) {
            self
        } else {
            Kernels::Portable
        }
    }
}

/// The CPU's floating-point mode is not IEEE's default, so results would differ.
/// The process that runs us is to blame, not the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("floating-point control register is {0:#x}: flush-to-zero or a rounding mode is set")]
pub struct FloatEnvironment(pub u64);

/// Checks that denormals are kept and rounding is to nearest even.
pub(crate) fn check_float_environment() -> Result<(), FloatEnvironment> {
    #[cfg(target_arch = "x86_64")]
    {
        let mut csr = 0u32;
        // SAFETY: `stmxcsr` stores 32 bits to the given, valid address; SSE is
        // part of the x86-64 baseline.
        unsafe { std::arch::asm!("stmxcsr [{}]", in(reg) &mut csr, options(nostack)) };
        // FTZ is bit 15, rounding control bits 13–14, DAZ bit 6.
        if csr & 0xe040 != 0 {
            return Err(FloatEnvironment(u64::from(csr)));
        }
    }
    #[cfg(target_arch = "aarch64")]
    {
        let fpcr: u64;
        // SAFETY: reading FPCR has no side effects and is allowed in user mode.
        unsafe { std::arch::asm!("mrs {}, fpcr", out(reg) fpcr, options(nomem, nostack)) };
        // DN bit 25, FZ bit 24, RMode bits 22–23, FZ16 bit 19, AH/FIZ bits 0–1.
        if fpcr & 0x03c8_0003 != 0 {
            return Err(FloatEnvironment(fpcr));
        }
    }
    Ok(())
}

/// Declares a function whose body is compiled for each path; generics go in
/// square brackets, and `kernels` is added as the first argument.
macro_rules! multiversion {
    (
        $(#[$meta:meta])*
        fn $name:ident [$($gen:tt)*] ($($a:ident: $t:ty),* $(,)?) $body:block
    ) => {
        $(#[$meta])*
        pub(crate) fn $name<$($gen)*>(kernels: $crate::kernels::Kernels, $($a: $t),*) {
            #[inline(always)]
            fn body<$($gen)*>($($a: $t),*) $body

            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2,fma")]
                fn avx2<$($gen)*>($($a: $t),*) {
                    body($($a),*)
                }
                #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
                fn avx512<$($gen)*>($($a: $t),*) {
                    body($($a),*)
                }
                match kernels {
                    // SAFETY: a path is only chosen when the CPU has it
                    // (`Kernels::or_portable` at every public entry).
                    $crate::kernels::Kernels::Avx512 => return unsafe { avx512($($a),*) },
                    // SAFETY: as above.
                    $crate::kernels::Kernels::Avx2 => return unsafe { avx2($($a),*) },
                    $crate::kernels::Kernels::Portable => {}
                }
            }
            let _ = kernels;
            body($($a),*)
        }
    };
}
pub(crate) use multiversion;

multiversion! {
    /// `dst[i] = f(src[i])`.
    fn map1_alone[T: Copy, U, F: Fn(T) -> U](src: &[T], dst: &mut [U], f: F) {
        for (d, &s) in dst.iter_mut().zip(src) {
            *d = f(s);
        }
    }
}

multiversion! {
    /// `dst[i] = f(a[i], b[i])`.
    fn map2_alone[T: Copy, U, F: Fn(T, T) -> U](a: &[T], b: &[T], dst: &mut [U], f: F) {
        for ((d, &x), &y) in dst.iter_mut().zip(a).zip(b) {
            *d = f(x, y);
        }
    }
}

multiversion! {
    /// `v[i] = f(v[i])`.
    fn update_alone[T: Copy, F: Fn(T) -> T](v: &mut [T], f: F) {
        for x in v.iter_mut() {
            *x = f(*x);
        }
    }
}

/// Elements that are worth another thread.
const WORTH: usize = if cfg!(test) { 16 } else { 1 << 15 };

/// Parts for an elementwise loop over `len`.
pub(crate) fn parts(len: usize) -> usize {
    split::threads().min(len / WORTH).max(1)
}

/// `dst[i] = f(src[i])`.
pub(crate) fn map1<T, U, F>(kernels: Kernels, src: &[T], dst: &mut [U], f: F)
where
    T: Copy + Sync,
    U: Send,
    F: Fn(T) -> U + Sync,
{
    let len = src.len().min(dst.len());
    let parts = parts(len);
    if parts == 1 {
        return map1_alone(kernels, src, dst, f);
    }
    let out = Shared::new(dst);
    split::run(parts, &|i| {
        let range = split::share(len, parts, i);
        // SAFETY: shares do not overlap.
        let dst = unsafe { out.slice(range.start, range.len()) };
        map1_alone(kernels, &src[range], dst, &f);
    });
}

/// `dst[i] = f(a[i], b[i])`.
pub(crate) fn map2<T, U, F>(kernels: Kernels, a: &[T], b: &[T], dst: &mut [U], f: F)
where
    T: Copy + Sync,
    U: Send,
    F: Fn(T, T) -> U + Sync,
{
    let len = a.len().min(b.len()).min(dst.len());
    let parts = parts(len);
    if parts == 1 {
        return map2_alone(kernels, a, b, dst, f);
    }
    let out = Shared::new(dst);
    split::run(parts, &|i| {
        let range = split::share(len, parts, i);
        // SAFETY: shares do not overlap.
        let dst = unsafe { out.slice(range.start, range.len()) };
        map2_alone(kernels, &a[range.clone()], &b[range], dst, &f);
    });
}

/// `v[i] = f(v[i])`.
pub(crate) fn update<T, F>(kernels: Kernels, v: &mut [T], f: F)
where
    T: Copy + Send,
    F: Fn(T) -> T + Sync,
{
    let len = v.len();
    let parts = parts(len);
    if parts == 1 {
        return update_alone(kernels, v, f);
    }
    let out = Shared::new(v);
    split::run(parts, &|i| {
        let range = split::share(len, parts, i);
        // SAFETY: shares do not overlap.
        update_alone(kernels, unsafe { out.slice(range.start, range.len()) }, &f);
    });
}

/// Calls `f` with shares of `src` and `dst`, which are whole rows of `width`.
pub(crate) fn rows<T, U, F>(src: &[T], dst: &mut [U], width: usize, f: F)
where
    T: Sync,
    U: Send,
    F: Fn(&[T], &mut [U]) + Sync,
{
    let len = src.len().min(dst.len());
    let parts = parts(len);
    if parts == 1 {
        return f(src, dst);
    }
    let out = Shared::new(dst);
    let count = len / width.max(1);
    split::run(parts, &|i| {
        let range = split::share(count, parts, i);
        // SAFETY: shares do not overlap.
        let dst = unsafe { out.slice(range.start * width, range.len() * width) };
        f(&src[range.start * width..range.end * width], dst);
    });
}
