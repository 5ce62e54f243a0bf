//! Half precision: IEEE 754 binary16 as two opaque bytes, and its conversions.
//!
//! Rules: widening is exact; rounding is to nearest, ties to even, denormals
//! kept, beyond 65520 to infinity; either conversion makes any NaN the canonical
//! one of its target (`0x7fc00000`, `0x7e00`). Integer arithmetic on bits only,
//! so no CPU's conversion instructions are asked.

use std::cmp::Ordering;

/// An IEEE 754 binary16 number. Two compare as the numbers they stand for.
#[derive(Clone, Copy, Default)]
#[repr(transparent)]
pub struct F16(u16);

/// The NaN that results carry.
const NAN: u16 = 0x7e00;

impl F16 {
    /// The number with these bits.
    pub const fn from_bits(bits: u16) -> Self {
        Self(bits)
    }

    /// Its bits.
    pub const fn to_bits(self) -> u16 {
        self.0
    }

    /// Little-endian bytes.
    pub const fn to_le_bytes(self) -> [u8; 2] {
        self.0.to_le_bytes()
    }

    /// From little-endian bytes.
    pub const fn from_le_bytes(bytes: [u8; 2]) -> Self {
        Self(u16::from_le_bytes(bytes))
    }

    /// The nearest number to `x`, ties to even.
    #[inline]
    pub const fn from_f32(x: f32) -> Self {
        // The exact widening cannot round, so one rounding remains.
        Self::from_f64(x as f64)
    }

    /// The nearest number to `x`, ties to even: one rounding.
    #[inline]
    pub const fn from_f64(x: f64) -> Self {
        let bits = x.to_bits();
        let sign = ((bits >> 48) & 0x8000) as u16;
        let magnitude = bits & 0x7fff_ffff_ffff_ffff;
        if magnitude > 0x7ff0_0000_0000_0000 {
            return Self(NAN);
        }
        // 65520 = 2^16 − 16, the middle between the greatest number and 2^16.
        if magnitude >= 0x40ef_fe00_0000_0000 {
            return Self(sign | 0x7c00);
        }
        let exponent = (magnitude >> 52) as i32 - 1023;
        // Below half of the least denormal, 2^−25, everything is zero.
        if exponent < -25 {
            return Self(sign);
        }
        let significand = (magnitude & 0x000f_ffff_ffff_ffff) | 0x0010_0000_0000_0000;
        // Bits to drop: 42 for a normal number, more for a denormal one.
        let (drop, base) = if exponent < -14 {
            (42 + (-14 - exponent) as u32, 0)
        } else {
            // The significand's leading bit adds the last 1 to the exponent.
            (42, ((exponent + 14) as u16) << 10)
        };
        let kept = (significand >> drop) as u16;
        let rest = significand & ((1u64 << drop) - 1);
        let half = 1u64 << (drop - 1);
        let up = (rest > half || (rest == half && kept & 1 == 1)) as u16;
        // A carry out of the significand moves on to the next exponent, as it should.
        Self(sign | (base + kept + up))
    }

    /// The same number as an `f32`, exactly.
    #[inline]
    pub const fn to_f32(self) -> f32 {
        let sign = ((self.0 & 0x8000) as u32) << 16;
        let magnitude = (self.0 & 0x7fff) as u32;
        if magnitude > 0x7c00 {
            return f32::from_bits(0x7fc0_0000);
        }
        if magnitude == 0x7c00 {
            return f32::from_bits(sign | 0x7f80_0000);
        }
        if magnitude >= 0x0400 {
            return f32::from_bits(sign | ((magnitude << 13) + (112 << 23)));
        }
        // A denormal is a whole number of 2^−24; the product is exact.
        let value = magnitude as f32 * f32::from_bits(0x3380_0000);
        f32::from_bits(sign | value.to_bits())
    }

    /// The same number as an `f64`, exactly.
    #[inline]
    pub const fn to_f64(self) -> f64 {
        self.to_f32() as f64
    }

    /// Whether this is a NaN.
    pub const fn is_nan(self) -> bool {
        self.0 & 0x7fff > 0x7c00
    }
}

impl PartialEq for F16 {
    fn eq(&self, other: &Self) -> bool {
        self.to_f32() == other.to_f32()
    }
}

impl PartialOrd for F16 {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        self.to_f32().partial_cmp(&other.to_f32())
    }
}

impl std::fmt::Debug for F16 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(&self.to_f32(), f)
    }
}

impl std::fmt::Display for F16 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(&self.to_f32(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The value by the format's definition.
    fn value(bits: u16) -> f64 {
        let (e, f) = (i32::from(bits >> 10 & 31), f64::from(bits & 0x3ff));
        let m = match e {
            0 => f * 2f64.powi(-24),
            31 => f64::INFINITY,
            e => (1024.0 + f) * 2f64.powi(e - 25),
        };
        if bits & 0x8000 == 0 { m } else { -m }
    }

    #[test]
    fn every_half_widens_exactly_and_comes_back() {
        for bits in 0..=u16::MAX {
            let h = F16::from_bits(bits);
            if h.is_nan() {
                assert_eq!(h.to_f32().to_bits(), 0x7fc0_0000);
                assert_eq!(F16::from_f32(h.to_f32()).to_bits(), NAN);
                continue;
            }
            assert_eq!(
                h.to_f64().to_bits(),
                value(bits).to_bits(),
                "{bits:#06x} widens"
            );
            assert_eq!(F16::from_f32(h.to_f32()).to_bits(), bits);
            assert_eq!(F16::from_f64(h.to_f64()).to_bits(), bits);
        }
    }

    #[test]
    fn between_two_halves_the_middle_decides_and_goes_to_even() {
        for low in 0..0x7bffu16 {
            let (a, b) = (value(low), value(low + 1));
            let middle = (a + b) / 2.0;
            let even = low + (low & 1);
            for sign in [0u16, 0x8000] {
                let s = if sign == 0 { 1.0 } else { -1.0 };
                let bits = |x: f64| F16::from_f64(s * x).to_bits();
                assert_eq!(bits(middle), sign | even, "{low:#06x}");
                assert_eq!(bits(middle.next_up()), sign | (low + 1), "{low:#06x}");
                assert_eq!(bits(middle.next_down()), sign | low, "{low:#06x}");
                let narrow = |x: f32| F16::from_f32(s as f32 * x).to_bits();
                assert_eq!(narrow(middle as f32), sign | even);
                assert_eq!(narrow((middle as f32).next_up()), sign | (low + 1));
                assert_eq!(narrow((middle as f32).next_down()), sign | low);
            }
        }
        assert_eq!(F16::from_f32(65519.996).to_bits(), 0x7bff);
        assert_eq!(F16::from_f32(65520.0).to_bits(), 0x7c00);
        assert_eq!(F16::from_f32(f32::MIN).to_bits(), 0xfc00);
        assert_eq!(F16::from_f32(2f32.powi(-25)).to_bits(), 0);
        assert_eq!(F16::from_f32(2f32.powi(-25).next_up()).to_bits(), 1);
        assert_eq!(F16::from_f32(-1e-45).to_bits(), 0x8000);
        assert_eq!(F16::from_f32(f32::from_bits(0xff80_0001)).to_bits(), NAN);
    }
}
