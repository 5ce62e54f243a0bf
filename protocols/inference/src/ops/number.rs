//! Arithmetic that every numeric element type has.
//!
//! Rules: integers wrap; float results carry the canonical NaN.

use crate::kernels::math;
use crate::tensor::Element;

/// A numeric element type.
pub(super) trait Number: Element + PartialOrd {
    fn add(self, o: Self) -> Self;
    fn sub(self, o: Self) -> Self;
    fn mul(self, o: Self) -> Self;
    /// Callers have excluded integer zero divisors.
    fn div(self, o: Self) -> Self;
    /// Python's `%` (sign of the divisor); only integers reach it.
    fn modulo(self, o: Self) -> Self;
    /// C's `fmod` (sign of the dividend).
    fn fmod(self, o: Self) -> Self;
    fn max(self, o: Self) -> Self;
    fn min(self, o: Self) -> Self;
    fn neg(self) -> Self;
    fn abs(self) -> Self;
    fn sign(self) -> Self;
    /// self · b + acc; floats round once.
    fn fma(self, b: Self, acc: Self) -> Self;
    fn powf(self, e: f64) -> Self;
    fn powi(self, e: i64) -> Self;
    fn nan(self) -> bool {
        false
    }
    /// The canonical NaN for any NaN.
    fn canon(self) -> Self {
        self
    }
    /// From a double, as Cast does it.
    fn from_f64(x: f64) -> Self;
    /// To a double, to nearest.
    fn into_f64(self) -> f64;
    const FLOAT: bool;
}

/// `f32` and `f64` by the same rules.
macro_rules! float {
    ($t:ty, $canon:path, $max:path, $min:path, $pow:path) => {
        impl Number for $t {
            const FLOAT: bool = true;
            #[inline(always)]
            fn nan(self) -> bool {
                self.is_nan()
            }
            #[inline(always)]
            fn canon(self) -> Self {
                $canon(self)
            }
            #[inline(always)]
            fn add(self, o: Self) -> Self {
                $canon(self + o)
            }
            #[inline(always)]
            fn sub(self, o: Self) -> Self {
                $canon(self - o)
            }
            #[inline(always)]
            fn mul(self, o: Self) -> Self {
                $canon(self * o)
            }
            #[inline(always)]
            fn div(self, o: Self) -> Self {
                $canon(self / o)
            }
            #[inline(always)]
            fn modulo(self, o: Self) -> Self {
                self.fmod(o)
            }
            #[inline(always)]
            fn fmod(self, o: Self) -> Self {
                // The IEEE remainder of truncated division is exact, so any right
                // implementation gives these bits.
                $canon(self % o)
            }
            #[inline(always)]
            fn max(self, o: Self) -> Self {
                $max(self, o)
            }
            #[inline(always)]
            fn min(self, o: Self) -> Self {
                $min(self, o)
            }
            #[inline(always)]
            fn neg(self) -> Self {
                $canon(-self)
            }
            #[inline(always)]
            fn abs(self) -> Self {
                // Clears the sign bit, whatever the CPU.
                $canon(<$t>::abs(self))
            }
            #[inline(always)]
            fn sign(self) -> Self {
                if self > 0.0 {
                    1.0
                } else if self < 0.0 {
                    -1.0
                } else if self == 0.0 {
                    0.0
                } else {
                    $canon(<$t>::NAN)
                }
            }
            #[inline(always)]
            fn fma(self, b: Self, acc: Self) -> Self {
                <$t>::mul_add(self, b, acc)
            }
            #[inline(always)]
            fn powf(self, e: f64) -> Self {
                $pow(self, e)
            }
            #[inline(always)]
            fn from_f64(x: f64) -> Self {
                x as $t
            }
            #[inline(always)]
            fn into_f64(self) -> f64 {
                self as f64
            }
            #[inline(always)]
            fn powi(self, e: i64) -> Self {
                $pow(self, e as f64)
            }
        }
    };
}
float!(f32, math::canon, math::max, math::min, math::pow_wide);
float!(f64, math::canon64, math::max64, math::min64, math::pow64);

macro_rules! integer {
    ($($t:ty),*) => {$(
        #[allow(unused_comparisons)]
        impl Number for $t {
            const FLOAT: bool = false;
            #[inline(always)]
            fn add(self, o: Self) -> Self {
                self.wrapping_add(o)
            }
            #[inline(always)]
            fn sub(self, o: Self) -> Self {
                self.wrapping_sub(o)
            }
            #[inline(always)]
            fn mul(self, o: Self) -> Self {
                self.wrapping_mul(o)
            }
            #[inline(always)]
            fn div(self, o: Self) -> Self {
                if o == 0 { 0 } else { self.wrapping_div(o) }
            }
            #[inline(always)]
            fn modulo(self, o: Self) -> Self {
                let r = self.fmod(o);
                if r != 0 && (r < 0) != (o < 0) { r.wrapping_add(o) } else { r }
            }
            #[inline(always)]
            fn fmod(self, o: Self) -> Self {
                if o == 0 { 0 } else { self.wrapping_rem(o) }
            }
            #[inline(always)]
            fn max(self, o: Self) -> Self {
                Ord::max(self, o)
            }
            #[inline(always)]
            fn min(self, o: Self) -> Self {
                Ord::min(self, o)
            }
            #[inline(always)]
            fn fma(self, b: Self, acc: Self) -> Self {
                acc.wrapping_add(self.wrapping_mul(b))
            }
            #[inline(always)]
            fn from_f64(x: f64) -> Self {
                x as $t
            }
            #[inline(always)]
            fn into_f64(self) -> f64 {
                self as f64
            }
            #[inline(always)]
            fn neg(self) -> Self {
                (0 as $t).wrapping_sub(self)
            }
            #[inline(always)]
            fn abs(self) -> Self {
                if self < 0 { self.neg() } else { self }
            }
            #[inline(always)]
            fn sign(self) -> Self {
                if self > 0 { 1 } else if self < 0 { self.neg() / self } else { 0 }
            }
            #[inline(always)]
            fn powf(self, e: f64) -> Self {
                // A whole exponent is exact; others go through f32, truncated
                // and saturated.
                if e as i64 as f64 == e && (-2e9..2e9).contains(&e) {
                    return self.powi(e as i64);
                }
                math::pow64(self as f64, e) as f32 as $t
            }
            #[inline(always)]
            fn powi(self, e: i64) -> Self {
                if e < 0 {
                    // 1/x truncated: only ±1 have an integer reciprocal.
                    return if self == 1 {
                        1
                    } else if self != 0 && self.neg() == 1 {
                        if e & 1 == 0 { 1 } else { self }
                    } else {
                        0
                    };
                }
                let (mut base, mut e, mut acc) = (self, e, 1 as $t);
                while e > 0 {
                    if e & 1 == 1 {
                        acc = acc.wrapping_mul(base);
                    }
                    base = base.wrapping_mul(base);
                    e >>= 1;
                }
                acc
            }
        }
    )*};
}
integer!(u8, i8, u16, i16, u32, i32, u64, i64);

/// Runs `$e` with `$v` bound to the typed slice of a numeric tensor.
macro_rules! numeric {
    ($t:expr, $v:ident => $e:expr) => {
        match $t.data() {
            $crate::tensor::Data::F32($v) => $e,
            $crate::tensor::Data::U8($v) => $e,
            $crate::tensor::Data::I8($v) => $e,
            $crate::tensor::Data::I32($v) => $e,
            $crate::tensor::Data::I64($v) => $e,
            $crate::tensor::Data::U16($v) => $e,
            $crate::tensor::Data::I16($v) => $e,
            $crate::tensor::Data::U32($v) => $e,
            $crate::tensor::Data::U64($v) => $e,
            $crate::tensor::Data::F64($v) => $e,
            // Halves arrive here widened (ops::half).
            $crate::tensor::Data::F16(_) | $crate::tensor::Data::Bool(_) => {
                Err(Fault::Trap("numbers are needed here"))
            }
        }
    };
}
pub(super) use numeric;
