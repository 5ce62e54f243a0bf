//! The narrow bridge to blst's groups. (`field` is the one to its base field,
//! `pairing` the one to its pairing; there is no `unsafe` anywhere else, but for
//! the vector code in `lanes`.)
//!
//! Rules that hold for every function below:
//!
//! * Points are given by reference to blst's own `repr(C)` structs, so
//!   pointers are valid and aligned by construction; outputs are fresh locals.
//! * Lengths are checked before a pointer is handed over. blst's array
//!   arguments are lists of pointers ended by null: `[&first, null]` means
//!   "contiguous from `first`".
//! * Affine infinity is `(0, 0)`. It is *not* passed to blst's multi-scalar
//!   multiplication: that is only correct for finite points.
//!   The callers here leave such terms out, which is what they mean.
//! * Nothing here looks at secrets; the signing code uses blst's own
//!   constant-time wrappers (see `bls`).

use std::ptr;

use blst::{BLST_ERROR, blst_p1, blst_p1_affine, blst_p2, blst_p2_affine, limb_t};

use crate::error::Malformed;

pub(crate) type G1 = blst_p1;
pub(crate) type G1Affine = blst_p1_affine;
pub(crate) type G2 = blst_p2;
pub(crate) type G2Affine = blst_p2_affine;

/// Bits of a scalar below the group order r.
pub(crate) const SCALAR_BITS: usize = 255;

fn refused(error: BLST_ERROR) -> Malformed {
    match error {
        BLST_ERROR::BLST_POINT_NOT_ON_CURVE => Malformed::NotOnCurve,
        BLST_ERROR::BLST_POINT_NOT_IN_GROUP => Malformed::NotInSubgroup,
        // The flags were checked before, so this is what is left.
        _ => Malformed::CoordinateTooLarge,
    }
}

/// Checks the flag bits of a compressed point; `Ok(true)` is clean infinity.
pub(crate) fn compressed_flags(bytes: &[u8]) -> Result<bool, Malformed> {
    let Some((&first, rest)) = bytes.split_first() else {
        return Err(Malformed::Length {
            expected: 48,
            actual: 0,
        });
    };
    if first & 0x80 == 0 {
        return Err(Malformed::NotCompressed);
    }
    if first & 0x40 == 0 {
        return Ok(false);
    }
    if first == 0xc0 && rest.iter().all(|&b| b == 0) {
        Ok(true)
    } else {
        Err(Malformed::DirtyInfinity)
    }
}

/// Decompresses and checks the curve equation, *not* the subgroup.
pub(crate) fn g1_uncompress(bytes: &[u8; 48]) -> Result<G1Affine, Malformed> {
    if compressed_flags(bytes)? {
        return Ok(G1Affine::default());
    }
    let mut point = G1Affine::default();
    // SAFETY: `bytes` is 48 readable bytes, `point` a writable struct.
    let code = unsafe { blst::blst_p1_uncompress(&mut point, bytes.as_ptr()) };
    match code {
        BLST_ERROR::BLST_SUCCESS => Ok(point),
        other => Err(refused(other)),
    }
}

pub(crate) fn g1_compress(point: &G1Affine) -> [u8; 48] {
    let mut out = [0; 48];
    // SAFETY: `out` is 48 writable bytes.
    unsafe { blst::blst_p1_affine_compress(out.as_mut_ptr(), point) };
    out
}

pub(crate) fn g1_in_subgroup(point: &G1Affine) -> bool {
    // SAFETY: reads one struct.
    unsafe { blst::blst_p1_affine_in_g1(point) }
}

pub(crate) fn g1_is_infinity(point: &G1Affine) -> bool {
    // SAFETY: reads one struct.
    unsafe { blst::blst_p1_affine_is_inf(point) }
}

pub(crate) fn g1_generator() -> G1Affine {
    // SAFETY: blst returns the address of a static constant.
    unsafe { *blst::blst_p1_affine_generator() }
}

pub(crate) fn g1_from_affine(point: &G1Affine) -> G1 {
    let mut out = G1::default();
    // SAFETY: one struct in, one out.
    unsafe { blst::blst_p1_from_affine(&mut out, point) };
    out
}

pub(crate) fn g1_to_affine(point: &G1) -> G1Affine {
    let mut out = G1Affine::default();
    // SAFETY: one struct in, one out; infinity (z = 0) becomes (0, 0).
    unsafe { blst::blst_p1_to_affine(&mut out, point) };
    out
}

/// Normalises finite points with one shared inversion.
pub(crate) fn g1_batch_to_affine(points: &[G1]) -> Vec<G1Affine> {
    let mut out = vec![G1Affine::default(); points.len()];
    let Some(first) = points.first() else {
        return out;
    };
    let list: [*const G1; 2] = [first, ptr::null()];
    // SAFETY: `points` and `out` are contiguous and `points.len()` long.
    unsafe { blst::blst_p1s_to_affine(out.as_mut_ptr(), list.as_ptr(), points.len()) };
    out
}

pub(crate) fn g1_double(point: &G1) -> G1 {
    let mut out = G1::default();
    // SAFETY: one struct in, one out.
    unsafe { blst::blst_p1_double(&mut out, point) };
    out
}

/// Complete addition: any of the operands may be infinity, equal or opposite.
pub(crate) fn g1_add(a: &G1, b: &G1) -> G1 {
    let mut out = G1::default();
    // SAFETY: two structs in, one out.
    unsafe { blst::blst_p1_add_or_double(&mut out, a, b) };
    out
}

/// Complete mixed addition.
pub(crate) fn g1_add_affine(a: &G1, b: &G1Affine) -> G1 {
    let mut out = G1::default();
    // SAFETY: two structs in, one out.
    unsafe { blst::blst_p1_add_or_double_affine(&mut out, a, b) };
    out
}

/// Σ scalarᵢ·pointᵢ for little-endian scalars of `bits` bits each (⌈bits/8⌉ bytes apart).
///
/// Not constant-time. Points at infinity contribute nothing.
pub(crate) fn g1_msm(points: &[G1Affine], scalars: &[u8], bits: usize) -> G1 {
    let width = bits.div_ceil(8);
    assert!(
        scalars.len() == points.len() * width,
        "one scalar for each point"
    );
    if points.iter().any(g1_is_infinity) {
        let (finite, kept): (Vec<G1Affine>, Vec<&[u8]>) = points
            .iter()
            .copied()
            .zip(scalars.chunks_exact(width))
            .filter(|(p, _)| !g1_is_infinity(p))
            .unzip();
        return g1_msm(&finite, &kept.concat(), bits);
    }
    let (Some(first), Some(scalar)) = (points.first(), scalars.first()) else {
        return G1::default();
    };
    let mut out = G1::default();
    let point_list: [*const G1Affine; 2] = [first, ptr::null()];
    let scalar_list: [*const u8; 2] = [scalar, ptr::null()];
    // SAFETY: pure function of a length.
    let scratch_bytes = unsafe { blst::blst_p1s_mult_pippenger_scratch_sizeof(points.len()) };
    let mut scratch: Vec<limb_t> = vec![0; scratch_bytes / size_of::<limb_t>()];
    // SAFETY: both arrays are contiguous and long enough (asserted above), and
    // the scratch space has the size blst asks for.
    unsafe {
        blst::blst_p1s_mult_pippenger(
            &mut out,
            point_list.as_ptr(),
            points.len(),
            scalar_list.as_ptr(),
            bits,
            scratch.as_mut_ptr(),
        );
    }
    out
}

/// Decompresses and checks the curve equation, *not* the subgroup.
pub(crate) fn g2_uncompress(bytes: &[u8; 96]) -> Result<G2Affine, Malformed> {
    if compressed_flags(bytes)? {
        return Ok(G2Affine::default());
    }
    let mut point = G2Affine::default();
    // SAFETY: `bytes` is 96 readable bytes, `point` a writable struct.
    let code = unsafe { blst::blst_p2_uncompress(&mut point, bytes.as_ptr()) };
    match code {
        BLST_ERROR::BLST_SUCCESS => Ok(point),
        other => Err(refused(other)),
    }
}

pub(crate) fn g2_in_subgroup(point: &G2Affine) -> bool {
    // SAFETY: reads one struct.
    unsafe { blst::blst_p2_affine_in_g2(point) }
}

pub(crate) fn g2_is_infinity(point: &G2Affine) -> bool {
    // SAFETY: reads one struct.
    unsafe { blst::blst_p2_affine_is_inf(point) }
}

pub(crate) fn g2_generator() -> G2Affine {
    // SAFETY: blst returns the address of a static constant.
    unsafe { *blst::blst_p2_affine_generator() }
}

/// Σ scalarᵢ·pointᵢ in G2 for finite points and little-endian scalars.
pub(crate) fn g2_msm(points: &[G2Affine], scalars: &[u8], bits: usize) -> G2Affine {
    assert!(
        scalars.len() == points.len() * bits.div_ceil(8),
        "one scalar for each point"
    );
    assert!(
        !points.iter().any(g2_is_infinity),
        "callers check the setup's points first"
    );
    let (Some(first), Some(scalar)) = (points.first(), scalars.first()) else {
        return G2Affine::default();
    };
    let mut out = G2::default();
    let point_list: [*const G2Affine; 2] = [first, ptr::null()];
    let scalar_list: [*const u8; 2] = [scalar, ptr::null()];
    // SAFETY: pure function of a length.
    let scratch_bytes = unsafe { blst::blst_p2s_mult_pippenger_scratch_sizeof(points.len()) };
    let mut scratch: Vec<limb_t> = vec![0; scratch_bytes / size_of::<limb_t>()];
    let mut affine = G2Affine::default();
    // SAFETY: as in `g1_msm`; then one struct in, one out.
    unsafe {
        blst::blst_p2s_mult_pippenger(
            &mut out,
            point_list.as_ptr(),
            points.len(),
            scalar_list.as_ptr(),
            bits,
            scratch.as_mut_ptr(),
        );
        blst::blst_p2_to_affine(&mut affine, &out);
    }
    affine
}
