//! The trusted setup: powers of a secret τ that nobody knows.
//!
//! A [`Setup`] is the whole ceremony: 4,096 powers in G1, the same in Lagrange
//! form, 65 powers in G2. The points for committing are decoded, and their
//! tables built, when first used. Checking openings needs only its
//! [`VerifyingKey`].
//!
//! [`Setup::ethereum`] embeds the Ethereum KZG ceremony (see `setup/NOTICE`).
//! Its bytes are pinned by [`SETUP_SHA256`]; a test compares them and another
//! runs [`Setup::verify`], so starting up trusts them and stays cheap.

use std::borrow::Cow;
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::OnceLock;

use ark_bls12_381::Fr;
use ark_poly::EvaluationDomain;
use sha2::{Digest, Sha256};

use crate::buckets;
use crate::comb::{Comb, Scalars};
use crate::curve::{self, G1Affine};
use crate::domain::{self, CHUNK_LEN};
use crate::error::Malformed;
use crate::key::{
    SETUP_CHECK_DOMAIN, VerifyingKey, check_powers, decode_all, decode_g1, decode_g2, weighted_sum,
};
use crate::transcript::{Transcript, short};

/// Powers of τ in G2.
const G2_POWERS: usize = 65;

/// SHA-256 of the embedded `g1_monomial.bin`, `g1_lagrange.bin` and
/// `g2_monomial.bin`, in hexadecimal.
pub const SETUP_SHA256: [&str; 3] = [
    "08797579f6cfd5788eddc1a215d64dcfabd04acbcaf2953fb2c1afb830f43315",
    "52c7615a9bd3eb20df67eb5a81ee701c96787c82a5ff638740b54fbadfde960b",
    "d0d2cbf40c8f01e707f1c0b9ac1dbbceb89a18041cbce09eb3ec025d5ecd6d43",
];

static G1_MONOMIAL: &[u8] = include_bytes!("../setup/g1_monomial.bin");
static G1_LAGRANGE: &[u8] = include_bytes!("../setup/g1_lagrange.bin");
static G2_MONOMIAL: &[u8] = include_bytes!("../setup/g2_monomial.bin");

/// Points the small table covers; enough for the trace of an ordinary job.
const SMALL_POINTS: usize = 256;
/// 256 points × 32 rows × 96 bytes = 0.8 MB, ready in some 30 ms.
const SMALL_WINDOW: usize = 8;
/// 4,096 points × 20 rows × 96 bytes = 7.9 MB, ready in half a second.
const LARGE_WINDOW: usize = 13;

/// A full setup for polynomials of degree below 4,096.
pub struct Setup {
    g1_monomial: Cow<'static, [u8]>,
    g1_lagrange: Cow<'static, [u8]>,
    g2_monomial: Cow<'static, [u8]>,
    key: VerifyingKey,
    small: OnceLock<Comb>,
    large: OnceLock<Comb>,
}

impl Setup {
    /// The Ethereum KZG ceremony's setup, shared by the whole process.
    ///
    /// The first call decodes five points and prepares three Miller loops
    /// (about a millisecond); everything else waits until it is needed.
    pub fn ethereum() -> &'static Setup {
        static ETHEREUM: OnceLock<Setup> = OnceLock::new();
        ETHEREUM.get_or_init(|| {
            let [mono, lagrange, g2] = [G1_MONOMIAL, G1_LAGRANGE, G2_MONOMIAL].map(Cow::Borrowed);
            Self::decode(mono, lagrange, g2).expect("the embedded setup is pinned by its digests")
        })
    }

    /// A setup from the three files of a ceremony, in the format of the
    /// embedded ones, fully checked ([`Setup::verify`]; about two seconds).
    pub fn from_bytes(
        g1_monomial: Vec<u8>,
        g1_lagrange: Vec<u8>,
        g2_monomial: Vec<u8>,
    ) -> Result<Self, Malformed> {
        let setup = Self::decode(g1_monomial.into(), g1_lagrange.into(), g2_monomial.into())?;
        setup.verify()?;
        Ok(setup)
    }

    /// A setup from the three files of a ceremony whose SHA-256 digests somebody
    /// vouches for who has run [`Setup::verify`]. Cheap: compares the digests and
    /// checks that every point is one of the curve (some 0.2 s).
    pub fn from_pinned_bytes(
        g1_monomial: Vec<u8>,
        g1_lagrange: Vec<u8>,
        g2_monomial: Vec<u8>,
        sha256: &[[u8; 32]; 3],
    ) -> Result<Self, Malformed> {
        for (bytes, expected) in [&g1_monomial, &g1_lagrange, &g2_monomial]
            .iter()
            .zip(sha256)
        {
            let digest: [u8; 32] = Sha256::digest(bytes).into();
            if digest != *expected {
                return Err(Malformed::Setup("a file is not the pinned one"));
            }
        }
        let setup = Self::decode(g1_monomial.into(), g1_lagrange.into(), g2_monomial.into())?;
        // So that committing cannot fail later, whoever vouched.
        decode_all(&setup.g1_lagrange, |bytes| {
            let point = curve::g1_uncompress(bytes)?;
            match curve::g1_is_infinity(&point) {
                true => Err(Malformed::Infinity),
                false => Ok(point),
            }
        })?;
        Ok(setup)
    }

    fn decode(
        g1_monomial: Cow<'static, [u8]>,
        g1_lagrange: Cow<'static, [u8]>,
        g2_monomial: Cow<'static, [u8]>,
    ) -> Result<Self, Malformed> {
        for (bytes, expected) in [
            (&g1_monomial, CHUNK_LEN * 48),
            (&g1_lagrange, CHUNK_LEN * 48),
            (&g2_monomial, G2_POWERS * 96),
        ] {
            if bytes.len() != expected {
                return Err(Malformed::Length {
                    expected,
                    actual: bytes.len(),
                });
            }
        }
        let (g1, _) = g1_monomial.as_chunks::<48>();
        let (g2, _) = g2_monomial.as_chunks::<96>();
        let key = VerifyingKey::decode(&[g1[0], g1[1]], &[g2[0], g2[1], g2[2]])?;
        let (small, large) = (OnceLock::new(), OnceLock::new());
        Ok(Self {
            g1_monomial,
            g1_lagrange,
            g2_monomial,
            key,
            small,
            large,
        })
    }

    /// The part that checks openings.
    pub fn verifying_key(&self) -> &VerifyingKey {
        &self.key
    }

    /// Builds the tables for committing now (they are built on first use
    /// otherwise): 0.8 MB for up to 256 elements, 7.9 MB more for longer traces.
    pub fn warm_up(&self, elements: usize) {
        self.table_for(elements.min(CHUNK_LEN));
    }

    /// As [`Setup::warm_up`], on a thread of its own. A commitment that needs the
    /// tables sooner waits for them.
    pub fn warm_up_in_background(&'static self, elements: usize) -> std::io::Result<()> {
        std::thread::Builder::new()
            .name("kzg-tables".to_owned())
            .spawn(move || self.warm_up(elements))
            .map(drop)
    }

    /// Checks that all points are of one τ. About two seconds of one core.
    ///
    /// Every point must be finite and in the subgroup, the zeroth powers the
    /// generators. With coefficients rᵢ drawn from all bytes of the setup:
    /// e(Σ rᵢ[τ^(i+1)]G1, G2) = e(Σ rᵢ[τ^i]G1, τG2),
    /// e(G1, Σ rᵢ[τ^(i+1)]G2) = e(τG1, Σ rᵢ[τ^i]G2), and the Lagrange points
    /// combined with rᵢ equal the powers combined with the coefficients of the
    /// polynomial whose values are rᵢ.
    pub fn verify(&self) -> Result<(), Malformed> {
        let monomial = decode_all(&self.g1_monomial, decode_g1)?;
        let lagrange = decode_all(&self.g1_lagrange, decode_g1)?;
        let g2 = decode_all(&self.g2_monomial, decode_g2)?;
        let key = &self.key;

        let mut transcript = Transcript::new(SETUP_CHECK_DOMAIN, key.id(), CHUNK_LEN);
        transcript.absorb(&self.g1_monomial);
        transcript.absorb(&self.g1_lagrange);
        transcript.absorb(&self.g2_monomial);
        let r = transcript.coefficients().take_scalars(CHUNK_LEN);
        let weights: Vec<u128> = short(&r).collect();
        check_powers(key, &monomial, &g2, &weights)?;

        let coefficients: Vec<Fr> = domain::natural_domain().ifft(&r);
        let by_powers: Vec<(G1Affine, u128)> =
            buckets::halves(monomial.iter().copied().zip(&coefficients)).collect();
        if buckets::sum_short(&by_powers) != weighted_sum(&lagrange, &weights) {
            return Err(Malformed::Setup(
                "the Lagrange points do not match the powers",
            ));
        }
        Ok(())
    }

    /// Commitment to the polynomial that has these values from position `first`
    /// on and is zero elsewhere.
    pub(crate) fn commit(
        &self,
        first: usize,
        values: Scalars<'_>,
        threads: NonZeroUsize,
    ) -> curve::G1 {
        self.table_for(first + values.len())
            .sum(first, values, threads)
    }

    /// Commitment to the polynomial with these leading values, on this thread.
    pub(crate) fn commit_scalars(&self, values: &[Fr]) -> curve::G1 {
        self.commit(0, Scalars::Field(values), NonZeroUsize::MIN)
    }

    fn table_for(&self, count: usize) -> &Comb {
        let build = |points: usize, window: usize| {
            let (encoded, _) = self.g1_lagrange.as_chunks::<48>();
            let decoded: Vec<G1Affine> = (0..points)
                .map(|i| curve::g1_uncompress(&encoded[domain::bit_reverse(i)]))
                .collect::<Result<_, _>>()
                .expect("pinned by digest, or checked by `verify` when built");
            Comb::new(&decoded, window)
        };
        if count <= SMALL_POINTS {
            self.small.get_or_init(|| build(SMALL_POINTS, SMALL_WINDOW))
        } else {
            self.large.get_or_init(|| build(CHUNK_LEN, LARGE_WINDOW))
        }
    }
}

impl fmt::Debug for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Setup({})", hex::encode(self.key.id()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_bytes_are_the_pinned_ones() {
        for (bytes, pinned) in [G1_MONOMIAL, G1_LAGRANGE, G2_MONOMIAL]
            .iter()
            .zip(SETUP_SHA256)
        {
            assert_eq!(hex::encode(Sha256::digest(bytes)), pinned);
        }
    }

    #[test]
    fn the_key_id_is_the_documented_digest() {
        let id = hex::encode(Setup::ethereum().verifying_key().id());
        assert_eq!(
            id,
            "4c5ee42b6abd05e5aabe179037ee76b5b492d37ff1666e15f7fb850ec4b5a22c"
        );
    }

    #[test]
    fn the_embedded_setup_is_well_formed() {
        Setup::ethereum().verify().unwrap();
    }

    #[test]
    fn pinned_bytes_are_taken_only_if_they_are_the_pinned_ones() {
        let files = || [G1_MONOMIAL, G1_LAGRANGE, G2_MONOMIAL].map(<[u8]>::to_vec);
        let pins = SETUP_SHA256.map(|hex| <[u8; 32]>::try_from(hex::decode(hex).unwrap()).unwrap());
        let [mono, lagrange, g2] = files();
        let setup = Setup::from_pinned_bytes(mono, lagrange, g2, &pins).unwrap();
        let element = [crate::TraceElement([3; 31])];
        assert_eq!(
            crate::Prover::new(&setup).commit(&element),
            crate::Prover::new(Setup::ethereum()).commit(&element)
        );
        for i in 0..3 {
            let mut changed = files();
            changed[i][100] ^= 1;
            let [mono, lagrange, g2] = changed;
            let refused = Setup::from_pinned_bytes(mono, lagrange, g2, &pins);
            assert_eq!(
                refused.err(),
                Some(Malformed::Setup("a file is not the pinned one"))
            );
        }
        // Pinning nonsense does not make it a setup.
        let [mono, mut lagrange, g2] = files();
        lagrange[48 * 9..48 * 10].fill(0xff);
        let digest = |bytes: &[u8]| -> [u8; 32] { Sha256::digest(bytes).into() };
        let pins = [digest(&mono), digest(&lagrange), digest(&g2)];
        let refused = Setup::from_pinned_bytes(mono, lagrange, g2, &pins);
        assert_eq!(refused.err(), Some(Malformed::DirtyInfinity));
    }

    #[test]
    fn tables_can_be_built_in_the_background() {
        Setup::ethereum().warm_up_in_background(1).unwrap();
        let element = [crate::TraceElement([3; 31])];
        assert!(
            crate::Prover::new(Setup::ethereum())
                .commit(&element)
                .is_ok()
        );
    }

    #[test]
    fn a_setup_with_a_foreign_or_misplaced_point_is_refused() {
        let swap = |bytes: &[u8], size: usize, a: usize, b: usize| {
            let mut out = bytes.to_vec();
            out[a * size..][..size].copy_from_slice(&bytes[b * size..][..size]);
            out[b * size..][..size].copy_from_slice(&bytes[a * size..][..size]);
            out
        };
        let [mono, lagrange, g2] = [G1_MONOMIAL, G1_LAGRANGE, G2_MONOMIAL].map(<[u8]>::to_vec);
        let cases = [
            (
                swap(&mono, 48, 7, 4095),
                lagrange.clone(),
                g2.clone(),
                "G1 points are not",
            ),
            (
                mono.clone(),
                swap(&lagrange, 48, 0, 4095),
                g2.clone(),
                "the Lagrange points",
            ),
            (
                mono.clone(),
                lagrange.clone(),
                swap(&g2, 96, 63, 64),
                "G2 points are not",
            ),
            (
                swap(&mono, 48, 0, 1),
                lagrange.clone(),
                g2.clone(),
                "the zeroth powers",
            ),
        ];
        for (mono, lagrange, g2, reason) in cases {
            match Setup::from_bytes(mono, lagrange, g2) {
                Err(Malformed::Setup(said)) => assert!(said.starts_with(reason), "{said}"),
                other => panic!("{other:?} for {reason}"),
            }
        }
        let short = Setup::from_bytes(mono[48..].to_vec(), lagrange.clone(), g2.clone());
        assert!(matches!(short, Err(Malformed::Length { .. })));
        let mut infinite = lagrange;
        infinite[48 * 9..48 * 10].fill(0);
        infinite[48 * 9] = 0xc0;
        assert_eq!(
            Setup::from_bytes(mono, infinite, g2).err(),
            Some(Malformed::Infinity)
        );
    }

    #[test]
    fn a_verifying_key_refuses_powers_of_different_secrets() {
        let (g1, _) = G1_MONOMIAL.as_chunks::<48>();
        let (g2, _) = G2_MONOMIAL.as_chunks::<96>();
        let good = VerifyingKey::from_powers(&[g1[0], g1[1]], &[g2[0], g2[1], g2[2]]).unwrap();
        assert_eq!(good.id(), Setup::ethereum().verifying_key().id());
        for (g1, g2) in [
            ([g1[0], g1[2]], [g2[0], g2[1], g2[2]]),
            ([g1[0], g1[1]], [g2[0], g2[1], g2[3]]),
            ([g1[1], g1[2]], [g2[0], g2[1], g2[2]]),
        ] {
            assert!(matches!(
                VerifyingKey::from_powers(&g1, &g2),
                Err(Malformed::Setup(_))
            ));
        }
    }
}
