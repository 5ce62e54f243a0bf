//! Arithmetic on eight field elements: see the rules in the parent module.

use std::arch::x86_64::{
    __m512i, _mm512_add_epi64, _mm512_and_si512, _mm512_loadu_si512, _mm512_madd52hi_epu64,
    _mm512_madd52lo_epu64, _mm512_or_si512, _mm512_permutexvar_epi64, _mm512_set1_epi64,
    _mm512_setr_epi64, _mm512_setzero_si512, _mm512_shuffle_i64x2, _mm512_slli_epi64,
    _mm512_srai_epi64, _mm512_srli_epi64, _mm512_storeu_si512, _mm512_sub_epi64,
    _mm512_unpackhi_epi64, _mm512_unpacklo_epi64,
};

use super::LANES;
use crate::curve::G1Affine;
use crate::field::Fp;

const MASK: i64 = (1 << 52) - 1;

/// p.
pub(super) const P: [i64; 8] = [
    0xe_ffff_ffff_aaab,
    0xf_eb15_3fff_fb9f,
    0x6_b0f6_241e_abff,
    0x1_2bf6_730d_2a0f,
    0x7_6477_4b84_f385,
    0x1_ba7b_6434_bacd,
    0x1_ea39_7fe6_9a4b,
    0x1_a011,
];
/// 3p.
pub(super) const P3: [i64; 8] = [
    0xc_ffff_ffff_0001,
    0xf_c13f_bfff_f2df,
    0x4_12e2_6c5c_03ff,
    0x3_83e3_5927_7e2e,
    0x6_2d65_e28e_da8f,
    0x5_2f72_2c9e_3068,
    0x5_beac_7fb3_cee1,
    0x4_e033,
];
/// One: 2^416 mod p.
pub(super) const ONE: [i64; 8] = [
    0x6_480e_a8e9_b9af,
    0x6_5766_c8fe_444f,
    0x8_b540_fea9_6f7d,
    0x3_b2ee_82ef_d422,
    0xa_6723_e5f0_ade5,
    0xf_f6eb_6fdd_4230,
    0xe_06ef_23c2_4a25,
    0x1_4c8e,
];
/// 2^448 mod p: times this, R = 2^384 becomes R = 2^416.
pub(super) const FROM_BLST: [i64; 8] = [
    0x7_fde3_7dba_9366,
    0x4_e275_25bc_342b,
    0x1_f5b1_e977_8489,
    0xb_872b_2b91_b9dc,
    0xb_206f_497d_fcaf,
    0x4_137c_c89a_9b0b,
    0xd_9d20_d7e3_9959,
    0x4_11c,
];
/// 2^384 mod p: times this, R = 2^416 becomes R = 2^384.
pub(super) const TO_BLST: [i64; 8] = [
    0x9_0000_0002_fffd,
    0x0_bc40_c000_2760,
    0x3_c758_baeb_f400,
    0x5_7455_f489_8575,
    0xd_77ce_5853_7052,
    0x0_71a9_7a25_6ec6,
    0xe_c3fa_80e4_935c,
    0x1_5f65,
];
/// −1/p mod 2^52.
const MINUS_P_INVERSE: i64 = 0x3_fffc_fffc_fffd;
/// For a value below 2^384 with leading bits u = ⌊value / 2^381⌋: limb by limb
/// the largest multiple of p not above u·2^381, for u = 0 … 7. What remains is
/// below 2.2·p.
const MULTIPLES: [usize; 8] = [0, 1, 2, 3, 4, 6, 7, 8];

/// Eight elements: limb i of each in `[i]`.
pub(super) type Vector = [__m512i; 8];

#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
pub(super) fn broadcast(limbs: &[i64; 8]) -> Vector {
    let mut out = [_mm512_setzero_si512(); 8];
    for (lane, limb) in out.iter_mut().zip(limbs) {
        *lane = _mm512_set1_epi64(*limb);
    }
    out
}

/// Brings limbs, which may be negative or too large, back to 52 bits. The value
/// itself must not be negative.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
pub(super) fn carried(mut v: Vector) -> Vector {
    let mask = _mm512_set1_epi64(MASK);
    for i in 0..7 {
        let carry = _mm512_srai_epi64::<52>(v[i]);
        v[i] = _mm512_and_si512(v[i], mask);
        v[i + 1] = _mm512_add_epi64(v[i + 1], carry);
    }
    v
}

/// a·b/R mod p, below 1.01·p; both with limbs of 52 bits and below 2^17·p.
///
/// The rounds are written out: as a loop, the sums' rotation through registers
/// costs as much again. One copy of the code, because many would not fit the
/// instruction cache.
#[inline(never)]
#[target_feature(enable = "avx512f,avx512ifma")]
pub(super) fn mul(a: &Vector, b: &Vector) -> Vector {
    let [b0, b1, b2, b3, b4, b5, b6, b7] = *b;
    let t = round([_mm512_setzero_si512(); 8], a, b0);
    let t = round(t, a, b1);
    let t = round(t, a, b2);
    let t = round(t, a, b3);
    let t = round(t, a, b4);
    let t = round(t, a, b5);
    let t = round(t, a, b6);
    carried(round(t, a, b7))
}

/// One round of a multiplication: (t + a·digit + m·p) / 2^52, where m makes the
/// division exact.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn round(mut t: Vector, a: &Vector, digit: __m512i) -> Vector {
    let zero = _mm512_setzero_si512();
    let p = broadcast(&P);
    t[0] = _mm512_madd52lo_epu64(t[0], a[0], digit);
    let m = _mm512_madd52lo_epu64(zero, t[0], _mm512_set1_epi64(MINUS_P_INVERSE));
    for j in 1..8 {
        t[j] = _mm512_madd52lo_epu64(t[j], a[j], digit);
    }
    t[0] = _mm512_madd52lo_epu64(t[0], m, p[0]);
    let carry = _mm512_srli_epi64::<52>(t[0]);
    let mut next = [t[1], t[2], t[3], t[4], t[5], t[6], t[7], zero];
    next[0] = _mm512_add_epi64(next[0], carry);
    for j in 0..8 {
        next[j] = _mm512_madd52hi_epu64(next[j], a[j], digit);
    }
    for j in 1..8 {
        next[j - 1] = _mm512_madd52lo_epu64(next[j - 1], m, p[j]);
    }
    for j in 0..8 {
        next[j] = _mm512_madd52hi_epu64(next[j], m, p[j]);
    }
    next
}

/// Below 2.2·p, from limbs of 52 bits and a value below 2^384 (9.8·p).
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
pub(super) fn trimmed(v: Vector) -> Vector {
    let leading = _mm512_srli_epi64::<17>(v[7]);
    let mut out = v;
    for (limb, table) in out.iter_mut().zip(multiples()) {
        *limb = _mm512_sub_epi64(*limb, _mm512_permutexvar_epi64(leading, table));
    }
    carried(out)
}

/// Limb i of the eight [`MULTIPLES`] of p.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn multiples() -> Vector {
    const TABLE: [[i64; 8]; 8] = {
        let mut table = [[0; 8]; 8];
        let mut u = 0;
        while u < 8 {
            let mut carry = 0;
            let mut limb = 0;
            while limb < 8 {
                let sum = P[limb] * MULTIPLES[u] as i64 + carry;
                table[limb][u] = if limb < 7 { sum & MASK } else { sum };
                carry = sum >> 52;
                limb += 1;
            }
            u += 1;
        }
        table
    };
    let mut out = [_mm512_setzero_si512(); 8];
    for (limb, [a, b, c, d, e, f, g, h]) in out.iter_mut().zip(TABLE) {
        *limb = _mm512_setr_epi64(a, b, c, d, e, f, g, h);
    }
    out
}

/// Rows become columns.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn transposed(r: &Vector) -> Vector {
    let mut half = [_mm512_setzero_si512(); 8];
    for i in 0..4 {
        half[i] = _mm512_unpacklo_epi64(r[2 * i], r[2 * i + 1]);
        half[i + 4] = _mm512_unpackhi_epi64(r[2 * i], r[2 * i + 1]);
    }
    let mut out = [_mm512_setzero_si512(); 8];
    for odd in 0..2 {
        let [a, b, c, d] = [
            half[4 * odd],
            half[4 * odd + 1],
            half[4 * odd + 2],
            half[4 * odd + 3],
        ];
        let low = _mm512_shuffle_i64x2::<0x44>(a, b);
        let high = _mm512_shuffle_i64x2::<0xee>(a, b);
        let low2 = _mm512_shuffle_i64x2::<0x44>(c, d);
        let high2 = _mm512_shuffle_i64x2::<0xee>(c, d);
        out[odd] = _mm512_shuffle_i64x2::<0x88>(low, low2);
        out[odd + 2] = _mm512_shuffle_i64x2::<0xdd>(low, low2);
        out[odd + 4] = _mm512_shuffle_i64x2::<0x88>(high, high2);
        out[odd + 6] = _mm512_shuffle_i64x2::<0xdd>(high, high2);
    }
    out
}

/// Six words of 64 bits to eight limbs of 52.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn unpacked(w: &[__m512i; 6]) -> Vector {
    let mask = _mm512_set1_epi64(MASK);
    let join = |low, high| _mm512_and_si512(_mm512_or_si512(low, high), mask);
    [
        _mm512_and_si512(w[0], mask),
        join(_mm512_srli_epi64::<52>(w[0]), _mm512_slli_epi64::<12>(w[1])),
        join(_mm512_srli_epi64::<40>(w[1]), _mm512_slli_epi64::<24>(w[2])),
        join(_mm512_srli_epi64::<28>(w[2]), _mm512_slli_epi64::<36>(w[3])),
        join(_mm512_srli_epi64::<16>(w[3]), _mm512_slli_epi64::<48>(w[4])),
        _mm512_and_si512(_mm512_srli_epi64::<4>(w[4]), mask),
        join(_mm512_srli_epi64::<56>(w[4]), _mm512_slli_epi64::<8>(w[5])),
        _mm512_srli_epi64::<44>(w[5]),
    ]
}

/// Eight limbs of 52 bits, of a value below 2^384, to six words.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn packed(l: &Vector) -> [__m512i; 6] {
    let join = |low, high| _mm512_or_si512(low, high);
    [
        join(l[0], _mm512_slli_epi64::<52>(l[1])),
        join(_mm512_srli_epi64::<12>(l[1]), _mm512_slli_epi64::<40>(l[2])),
        join(_mm512_srli_epi64::<24>(l[2]), _mm512_slli_epi64::<28>(l[3])),
        join(_mm512_srli_epi64::<36>(l[3]), _mm512_slli_epi64::<16>(l[4])),
        join(
            join(_mm512_srli_epi64::<48>(l[4]), _mm512_slli_epi64::<4>(l[5])),
            _mm512_slli_epi64::<56>(l[6]),
        ),
        join(_mm512_srli_epi64::<8>(l[6]), _mm512_slli_epi64::<44>(l[7])),
    ]
}

/// The coordinates of eight points.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
pub(super) fn load(points: [&G1Affine; LANES]) -> (Vector, Vector) {
    let mut front = [_mm512_setzero_si512(); 8];
    let mut back = [_mm512_setzero_si512(); 8];
    for (i, point) in points.into_iter().enumerate() {
        let words = std::ptr::from_ref(point).cast::<u64>();
        // SAFETY: a point is twelve words; these are the first eight and the last.
        unsafe {
            front[i] = _mm512_loadu_si512(words.cast());
            back[i] = _mm512_loadu_si512(words.add(4).cast());
        }
    }
    let (front, back) = (transposed(&front), transposed(&back));
    let [x0, x1, x2, x3, x4, x5, ..] = front;
    let [_, _, y0, y1, y2, y3, y4, y5] = back;
    (
        unpacked(&[x0, x1, x2, x3, x4, x5]),
        unpacked(&[y0, y1, y2, y3, y4, y5]),
    )
}

/// Eight points from coordinates below 2^384.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
pub(super) fn store(x: &Vector, y: &Vector) -> [G1Affine; LANES] {
    let [x0, x1, x2, x3, x4, x5] = packed(x);
    let [y0, y1, y2, y3, y4, y5] = packed(y);
    let front = transposed(&[x0, x1, x2, x3, x4, x5, y0, y1]);
    let back = transposed(&[x4, x5, y0, y1, y2, y3, y4, y5]);
    let mut out = [G1Affine::default(); LANES];
    for (i, point) in out.iter_mut().enumerate() {
        let words = std::ptr::from_mut(point).cast::<u64>();
        // SAFETY: a point is twelve words; these are the first eight and the
        // last, which agree where they overlap.
        unsafe {
            _mm512_storeu_si512(words.cast(), front[i]);
            _mm512_storeu_si512(words.add(4).cast(), back[i]);
        }
    }
    out
}

/// What is left of a value below 3p in blst's words.
pub(super) fn reduced(mut value: Fp) -> Fp {
    const WORDS: [u64; 6] = [
        0xb9fe_ffff_ffff_aaab,
        0x1eab_fffe_b153_ffff,
        0x6730_d2a0_f6b0_f624,
        0x6477_4b84_f385_12bf,
        0x4b1b_a7b6_434b_acd7,
        0x1a01_11ea_397f_e69a,
    ];
    loop {
        let mut less = Fp::default();
        let mut borrow = false;
        for ((out, a), b) in less.l.iter_mut().zip(value.l).zip(WORDS) {
            let (once, first) = a.overflowing_sub(b);
            let (twice, second) = once.overflowing_sub(u64::from(borrow));
            (*out, borrow) = (twice, first || second);
        }
        if borrow {
            return value;
        }
        value = less;
    }
}

/// Eight elements in blst's form, from values below 2^17·p.
#[target_feature(enable = "avx512f,avx512ifma")]
pub(super) fn to_blst(v: &Vector) -> [Fp; LANES] {
    let plain = mul(v, &broadcast(&TO_BLST));
    store(&plain, &plain).map(|point| reduced(point.x))
}

/// The opposite of [`to_blst`].
#[target_feature(enable = "avx512f,avx512ifma")]
pub(super) fn from_blst(values: &[Fp; LANES]) -> Vector {
    let points = values.map(|x| G1Affine { x, y: x });
    mul(&load(points.each_ref()).0, &broadcast(&FROM_BLST))
}
