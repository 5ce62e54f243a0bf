//! Certificates and revocation lists of AMD's and Intel's shapes, put together byte by byte
//! and signed by keys that the tests own.

use std::sync::LazyLock;

use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair,
    RSA_PSS_SHA384, RsaKeyPair,
};

use crate::forger::{TOMORROW, YESTERDAY, extension, key, sequence, tlv};

const RSA_ENCRYPTION: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const RSASSA_PSS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a];
const MGF1: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x08];
const HASH_SHA384: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02];
const ECDSA_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
const EC_PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const PRIME256V1: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const SECP384R1: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
const CRL_NUMBER: &[u8] = &[0x55, 0x1d, 0x14];

/// A key that signs certificates.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Signer {
    Ark,
    Ask,
    /// One of Intel's, by number.
    P256(usize),
}

pub(crate) struct P256 {
    asn1: EcdsaKeyPair,
    fixed: EcdsaKeyPair,
}

static RSA: LazyLock<[RsaKeyPair; 2]> = LazyLock::new(|| {
    let read = |pkcs8: &[u8]| RsaKeyPair::from_pkcs8(pkcs8).expect("an RSA key");
    [
        read(include_bytes!("keys/ark.pk8")),
        read(include_bytes!("keys/ask.pk8")),
    ]
});

static P256S: LazyLock<Vec<P256>> = LazyLock::new(|| {
    let random = SystemRandom::new();
    let make = || {
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random);
        let pkcs8 = pkcs8.expect("a key");
        let read = |algorithm| {
            EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random).expect("a key")
        };
        P256 {
            asn1: read(&ECDSA_P256_SHA256_ASN1_SIGNING),
            fixed: read(&ECDSA_P256_SHA256_FIXED_SIGNING),
        }
    };
    (0..8).map(|_| make()).collect()
});

/// r ‖ s by one of Intel's keys.
pub(crate) fn sign_fixed(number: usize, message: &[u8]) -> [u8; 64] {
    let signature = P256S[number].fixed.sign(&SystemRandom::new(), message);
    signature
        .expect("signs")
        .as_ref()
        .try_into()
        .expect("64 bytes")
}

/// x ‖ y of one of Intel's keys.
pub(crate) fn point(number: usize) -> [u8; 64] {
    let point = P256S[number].asn1.public_key().as_ref();
    point[1..].try_into().expect("64 bytes")
}

fn algorithm(id: &[u8], parameters: &[u8]) -> Vec<u8> {
    sequence(&[&tlv(0x06, id), parameters])
}

/// RSASSA-PSS with SHA-384 and this length of salt.
pub(crate) fn pss(salt: u8) -> Vec<u8> {
    let hash = algorithm(HASH_SHA384, &[0x05, 0x00]);
    let mask = algorithm(MGF1, &hash);
    let parameters = sequence(&[
        &tlv(0xa0, &hash),
        &tlv(0xa1, &mask),
        &tlv(0xa2, &[0x02, 0x01, salt]),
        &tlv(0xa3, &[0x02, 0x01, 0x01]),
    ]);
    algorithm(RSASSA_PSS, &parameters)
}

impl Signer {
    fn algorithm(self) -> Vec<u8> {
        match self {
            Self::Ark | Self::Ask => pss(48),
            Self::P256(_) => algorithm(ECDSA_SHA256, &[]),
        }
    }

    fn sign(self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Ark | Self::Ask => {
                let key = &RSA[usize::from(self == Self::Ask)];
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(&RSA_PSS_SHA384, &random, message, &mut signature)
                    .expect("signs");
                signature
            }
            Self::P256(number) => {
                let signature = P256S[number].asn1.sign(&random, message);
                signature.expect("signs").as_ref().to_vec()
            }
        }
    }

    /// `SubjectPublicKeyInfo` of its public key.
    pub(crate) fn spki(self) -> Vec<u8> {
        match self {
            Self::Ark | Self::Ask => {
                let key = RSA[usize::from(self == Self::Ask)].public_key();
                let bits = [&[0], key.as_ref()].concat();
                sequence(&[&algorithm(RSA_ENCRYPTION, &[0x05, 0x00]), &tlv(0x03, &bits)])
            }
            Self::P256(number) => {
                let bits = [&[0, 0x04], point(number).as_slice()].concat();
                let curve = tlv(0x06, PRIME256V1);
                sequence(&[&algorithm(EC_PUBLIC_KEY, &curve), &tlv(0x03, &bits)])
            }
        }
    }
}

/// `SubjectPublicKeyInfo` of the P-384 key with this seed.
pub(crate) fn p384_spki(seed: u8) -> Vec<u8> {
    let point = key(seed).verifying_key().to_sec1_point(false);
    let bits = [&[0], point.as_bytes()].concat();
    let curve = tlv(0x06, SECP384R1);
    sequence(&[&algorithm(EC_PUBLIC_KEY, &curve), &tlv(0x03, &bits)])
}

fn name(common: &str) -> Vec<u8> {
    let attribute = sequence(&[
        &tlv(0x06, &[0x55, 0x04, 0x03]),
        &tlv(0x0c, common.as_bytes()),
    ]);
    sequence(&[&tlv(0x31, &attribute)])
}

/// Key usage with these bits, counted from the top of the first byte.
pub(crate) fn usages(bits: &[u8]) -> Vec<u8> {
    let byte = bits.iter().fold(0, |byte, bit| byte | (0x80 >> bit));
    let unused = u8::try_from(u8::trailing_zeros(byte)).expect("below nine");
    extension(crate::forger::KEY_USAGE, true, &tlv(0x03, &[unused, byte]))
}

/// A certificate, every part of it open to change.
#[derive(Clone)]
pub(crate) struct Cert {
    pub(crate) subject: &'static str,
    pub(crate) issuer: &'static str,
    pub(crate) not_before: &'static str,
    pub(crate) not_after: &'static str,
    pub(crate) serial: u8,
    pub(crate) spki: Vec<u8>,
    pub(crate) extensions: Vec<Vec<u8>>,
    pub(crate) signer: Signer,
    /// Another algorithm than the signer's.
    pub(crate) algorithm: Option<Vec<u8>>,
    /// Added to one byte of the signature.
    pub(crate) spoil: u8,
}

impl Cert {
    pub(crate) fn new(
        subject: &'static str,
        issuer: &'static str,
        serial: u8,
        spki: Vec<u8>,
        signer: Signer,
    ) -> Self {
        Self {
            subject,
            issuer,
            not_before: YESTERDAY,
            not_after: TOMORROW,
            serial,
            spki,
            extensions: Vec::new(),
            signer,
            algorithm: None,
            spoil: 0,
        }
    }

    pub(crate) fn der(&self) -> Vec<u8> {
        let algorithm = self.algorithm.clone();
        let algorithm = algorithm.unwrap_or_else(|| self.signer.algorithm());
        let dates = [self.not_before, self.not_after].map(|date| tlv(0x17, date.as_bytes()));
        let signed = sequence(&[
            &tlv(0xa0, &[0x02, 0x01, 0x02]),
            &tlv(0x02, &[self.serial]),
            &algorithm,
            &name(self.issuer),
            &sequence(&[&dates[0], &dates[1]]),
            &name(self.subject),
            &self.spki,
            &tlv(0xa3, &tlv(0x30, &self.extensions.concat())),
        ]);
        seal(&signed, &algorithm, self.signer, self.spoil)
    }
}

fn seal(signed: &[u8], algorithm: &[u8], signer: Signer, spoil: u8) -> Vec<u8> {
    let mut signature = [&[0], signer.sign(signed).as_slice()].concat();
    let last = signature.len() - 1;
    signature[last] ^= spoil;
    sequence(&[signed, algorithm, &tlv(0x03, &signature)])
}

/// A revocation list, every part of it open to change.
#[derive(Clone)]
pub(crate) struct List {
    pub(crate) issuer: &'static str,
    pub(crate) this_update: &'static str,
    pub(crate) next_update: Option<&'static str>,
    pub(crate) number: u8,
    /// Serial numbers.
    pub(crate) revoked: Vec<u8>,
    pub(crate) signer: Signer,
    pub(crate) critical: bool,
    pub(crate) spoil: u8,
}

impl List {
    pub(crate) fn new(issuer: &'static str, signer: Signer) -> Self {
        Self {
            issuer,
            this_update: YESTERDAY,
            next_update: Some(TOMORROW),
            number: 7,
            revoked: vec![99],
            signer,
            critical: false,
            spoil: 0,
        }
    }

    pub(crate) fn der(&self) -> Vec<u8> {
        let algorithm = self.signer.algorithm();
        let entry =
            |serial: &u8| sequence(&[&tlv(0x02, &[*serial]), &tlv(0x17, YESTERDAY.as_bytes())]);
        let entries: Vec<_> = self.revoked.iter().map(entry).collect();
        let next = self.next_update.map(|date| tlv(0x17, date.as_bytes()));
        let number = extension(CRL_NUMBER, self.critical, &tlv(0x02, &[self.number]));
        let signed = sequence(&[
            &[0x02, 0x01, 0x01],
            &algorithm,
            &name(self.issuer),
            &tlv(0x17, self.this_update.as_bytes()),
            &next.unwrap_or_default(),
            &tlv(0x30, &entries.concat()),
            &tlv(0xa0, &sequence(&[&number])),
        ]);
        seal(&signed, &algorithm, self.signer, self.spoil)
    }
}
