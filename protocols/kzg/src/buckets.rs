//! Sums of many points: Σ kᵢPᵢ by buckets of affine points.
//!
//! Scalars are cut into signed digits. Every digit d of window w puts ±P into the
//! bucket (w, |d|); a bucket's points are added in pairs, pairs of sums again, and
//! so on, all buckets of all windows in step, so that the [`Engine`] always has
//! hundreds of additions to share an inversion. What is left is Σ d·B(w, d) a
//! window: with d = 2^s·h + l that is Σ l·(Σₕ B) + 2^s·Σ h·(Σₗ B), whose inner
//! sums are buckets once more, and whose outer ones are short.
//!
//! Not constant-time: nothing secret is committed to.

use ark_bls12_381::Fr;

use crate::curve::{self, G1, G1Affine};
use crate::engine::{Code, Engine, Pair, signed};
use crate::glv;

/// A point with its sign, on its way to a bucket.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Term {
    pub(crate) bucket: u32,
    pub(crate) code: Code,
}

/// Below this many short terms, doubling and adding is cheaper than buckets.
const FEW: usize = 12;

const EMPTY: Code = Code::MAX;

/// A sum for each bucket.
struct Sums {
    points: Vec<G1Affine>,
    /// Where a bucket's sum is in `points`, with its sign; [`EMPTY`] for infinity.
    codes: Vec<Code>,
}

/// Adds up the terms of every bucket. Points are finite and in the engine's form.
fn sums(engine: Engine, points: &[G1Affine], terms: &[Term], buckets: usize) -> Sums {
    let mut counts = vec![0u32; buckets];
    for term in terms {
        counts[term.bucket as usize] += 1;
    }
    // The codes of each bucket, end to end.
    let mut next: Vec<u32> = counts
        .iter()
        .scan(0, |start, count| {
            let own = *start;
            *start += count;
            Some(own)
        })
        .collect();
    let mut codes = vec![0; terms.len()];
    for term in terms {
        let at = &mut next[term.bucket as usize];
        codes[*at as usize] = term.code;
        *at += 1;
    }

    let mut level: Option<Vec<G1Affine>> = None;
    loop {
        let source: &[G1Affine] = level.as_deref().unwrap_or(points);
        let mut pairs = Vec::with_capacity(codes.len() / 2);
        let mut alone = Vec::new();
        let mut left = Vec::with_capacity(codes.len() / 2 + buckets);
        let mut from = 0;
        for count in &mut counts {
            let own = &codes[from..from + *count as usize];
            from += own.len();
            let (twos, one) = own.as_chunks::<2>();
            for [a, b] in twos {
                let to = left.len() as u32;
                pairs.push(Pair { a: *a, b: *b, to });
                left.push(to << 1);
            }
            if let [code] = one {
                let to = left.len() as u32;
                alone.push((code >> 1, to));
                // The sign stays with the code.
                left.push(to << 1 | (code & 1));
            }
            *count = (twos.len() + one.len()) as u32;
        }
        let mut out = vec![G1Affine::default(); left.len()];
        for (index, to) in alone {
            out[to as usize] = source[index as usize];
        }
        let infinite = engine.add_pairs(source, &pairs, &mut out);
        codes = left;
        if !infinite.is_empty() {
            drop_terms(&mut codes, &mut counts, &infinite);
        }
        level = Some(out);
        if counts.iter().all(|count| *count <= 1) {
            break;
        }
    }
    let mut from = codes.into_iter();
    let codes = counts
        .iter()
        .map(|count| match count {
            0 => EMPTY,
            _ => from.next().unwrap_or(EMPTY),
        })
        .collect();
    Sums {
        points: level.unwrap_or_default(),
        codes,
    }
}

/// Forgets the sums that came out infinite.
fn drop_terms(codes: &mut Vec<Code>, counts: &mut [u32], infinite: &[u32]) {
    let mut kept = Vec::with_capacity(codes.len());
    let mut from = 0;
    let mut gone = vec![false; codes.len()];
    for at in infinite {
        gone[*at as usize] = true;
    }
    for count in counts {
        let own = from..from + *count as usize;
        from = own.end;
        let before = kept.len();
        kept.extend(own.filter(|at| !gone[*at]).map(|at| codes[at]));
        *count = (kept.len() - before) as u32;
    }
    *codes = kept;
}

/// For each window: Σ |d|·(sum of bucket (w, |d|)), where bucket (w, d) has the
/// number w·2^(bits−1) + d − 1.
pub(crate) fn weighted_sums(
    engine: Engine,
    points: &[G1Affine],
    terms: &[Term],
    windows: usize,
    bits: usize,
) -> Vec<G1> {
    let half = 1usize << (bits - 1);
    let shift = (bits - 1) / 2;
    let low = 1usize << shift;
    let high = half >> shift;
    let first = sums(engine, points, terms, windows * half);
    // Buckets (l) for 1 ≤ l < 2^s, then (h) for 1 ≤ h ≤ half / 2^s.
    let each = low - 1 + high;
    let mut terms = Vec::with_capacity(2 * first.codes.len());
    for (bucket, &code) in first.codes.iter().enumerate() {
        if code == EMPTY {
            continue;
        }
        let (window, weight) = (bucket / half, bucket % half + 1);
        let mut put = |at: usize| {
            let bucket = (window * each + at) as u32;
            terms.push(Term { bucket, code });
        };
        if weight % low > 0 {
            put(weight % low - 1);
        }
        if weight / low > 0 {
            put(low - 1 + weight / low - 1);
        }
    }
    let second = sums(engine, &first.points, &terms, windows * each);
    let points = engine.leave(second.points);
    let at = |code: Code| (code != EMPTY).then(|| signed(&points, code));
    // 1·P₁ + 2·P₂ + … by running sums from the far end.
    let ladder = |codes: &[Code]| {
        let (mut running, mut total) = (G1::default(), G1::default());
        for code in codes.iter().rev() {
            if let Some(point) = at(*code) {
                running = curve::g1_add_affine(&running, &point);
            }
            total = curve::g1_add(&total, &running);
        }
        total
    };
    second
        .codes
        .chunks_exact(each)
        .map(|own| {
            let (lows, highs) = own.split_at(low - 1);
            let mut sum = ladder(highs);
            for _ in 0..shift {
                sum = curve::g1_double(&sum);
            }
            curve::g1_add(&sum, &ladder(lows))
        })
        .collect()
}

/// Signed digits of `bits` bits, −2^(bits−1) < d ≤ 2^(bits−1), of a number below
/// 2^128, lowest first. With 129 bits or more in all, the last never carries out.
fn digits(k: u128, bits: usize) -> impl Iterator<Item = i32> {
    let (mask, half) = ((1u128 << bits) - 1, 1 << (bits - 1));
    let mut carry = 0;
    (0..129usize.div_ceil(bits)).map(move |i| {
        let rest = k.checked_shr((i * bits) as u32).unwrap_or(0);
        let digit = (rest & mask) as i32 + carry;
        carry = i32::from(digit > half);
        digit - (carry << bits)
    })
}

/// Where digit `d` of window `w` sends a point.
pub(crate) fn term(window: usize, bits: usize, digit: i32, index: usize) -> Option<Term> {
    let size = digit.unsigned_abs().checked_sub(1)?;
    Some(Term {
        bucket: (window << (bits - 1)) as u32 + size,
        code: (index as u32) << 1 | u32::from(digit < 0),
    })
}

/// Σ kᵢPᵢ for numbers below 2^128. Points may be anything on the curve; infinity
/// contributes nothing.
pub(crate) fn sum_short(terms: &[(G1Affine, u128)]) -> G1 {
    sum_short_by(Engine::best(), terms)
}

fn sum_short_by(engine: Engine, terms: &[(G1Affine, u128)]) -> G1 {
    let finite = terms
        .iter()
        .filter(|(p, k)| *k != 0 && !curve::g1_is_infinity(p));
    let (points, scalars): (Vec<G1Affine>, Vec<u128>) = finite.copied().unzip();
    if points.is_empty() {
        return G1::default();
    }
    if points.len() < FEW {
        let bytes: Vec<u8> = scalars.iter().flat_map(|k| k.to_le_bytes()).collect();
        return curve::g1_msm(&points, &bytes, 128);
    }
    let cost = |bits: usize| 129usize.div_ceil(bits) * (points.len() + (3 << (bits - 1)));
    let bits = (4..=13).min_by_key(|bits| cost(*bits)).unwrap_or(4);
    let windows = 129usize.div_ceil(bits);
    let mut list = Vec::with_capacity(points.len() * windows);
    for (index, k) in scalars.iter().enumerate() {
        list.extend(
            digits(*k, bits)
                .enumerate()
                .filter_map(|(window, digit)| term(window, bits, digit, index)),
        );
    }
    let by_window = weighted_sums(engine, &engine.enter(points), &list, windows, bits);
    let mut sum = G1::default();
    for window in by_window.iter().rev() {
        for _ in 0..bits {
            sum = curve::g1_double(&sum);
        }
        sum = curve::g1_add(&sum, window);
    }
    sum
}

/// Σ kᵢPᵢ for points of the subgroup and any scalars: each is two short terms.
pub(crate) fn halves<'a>(
    terms: impl IntoIterator<Item = (G1Affine, &'a Fr)>,
) -> impl Iterator<Item = (G1Affine, u128)> {
    terms.into_iter().flat_map(|(point, k)| {
        let (k0, k1) = glv::split(k);
        [(point, k0), (glv::times_z_squared(&point), k1)]
    })
}

#[cfg(test)]
mod tests {
    use ark_ff::Field;

    use super::*;
    use crate::curve::SCALAR_BITS;
    use crate::scalar::le_concat;

    fn points(count: u64) -> Vec<G1Affine> {
        let generator = curve::g1_generator();
        (1..=count)
            .map(|i| {
                let k = Fr::from(i * i + 7);
                curve::g1_to_affine(&glv::multiply_sum(&[(generator, k)]))
            })
            .collect()
    }

    #[test]
    fn digits_add_up_to_the_number() {
        for bits in 2..=13 {
            for k in [0, 1, 7, 8, 255, u128::MAX, u128::MAX / 7, 1 << 127] {
                let (mut sum, mut weight) = (Fr::from(0u64), Fr::from(1u64));
                for digit in digits(k, bits) {
                    assert!(digit > -(1 << (bits - 1)) && digit <= 1 << (bits - 1));
                    let size = Fr::from(digit.unsigned_abs()) * weight;
                    sum += if digit < 0 { -size } else { size };
                    weight *= Fr::from(1u64 << bits);
                }
                assert_eq!(sum, Fr::from(k));
            }
        }
    }

    #[test]
    fn sums_agree_with_blst_on_every_engine_and_at_every_length() {
        let all = points(150);
        for engine in Engine::available() {
            for count in [0, 1, 2, FEW, 40, 150] {
                let points = &all[..count];
                let scalars: Vec<Fr> = (0..count as u64)
                    .map(|i| Fr::from(i + 3).pow([55]))
                    .collect();
                let plain = curve::g1_msm(points, &le_concat(&scalars), SCALAR_BITS);
                let list: Vec<_> = halves(points.iter().copied().zip(&scalars)).collect();
                assert_eq!(sum_short_by(*engine, &list), plain, "{engine:?} {count}");
            }
        }
    }

    #[test]
    fn repeated_opposite_and_infinite_points_are_counted_as_they_are() {
        let [p, q] = <[G1Affine; 2]>::try_from(points(2)).unwrap();
        let infinity = G1Affine::default();
        let minus = glv::negated(&p);
        for engine in Engine::available() {
            let same = vec![(p, 0x1234_5678_9abc_def0_u128); 60];
            let expected = curve::g1_msm(&[p], &(60 * same[0].1).to_le_bytes(), 128);
            assert_eq!(sum_short_by(*engine, &same), expected);
            let mut cancelling: Vec<_> = (0..80u128)
                .map(|i| (if i % 2 == 0 { p } else { minus }, (i / 2) << 70 | (i / 2)))
                .collect();
            assert_eq!(sum_short_by(*engine, &cancelling), G1::default());
            cancelling.extend([(infinity, 5), (q, 0), (q, 1)]);
            assert_eq!(
                sum_short_by(*engine, &cancelling),
                curve::g1_from_affine(&q)
            );
            assert_eq!(sum_short_by(*engine, &[(infinity, 1); 20]), G1::default());
        }
    }
}
