//! This machine's own TEE: evidence from its device, endorsements from the
//! vendor's service, a session key that never leaves this process's memory.
//!
//! - Each piece of evidence opens the device anew: asked for rarely, it holds
//!   nothing in between, and a device that came back is used again.
//! - Nitro's documents carry their whole chain; AMD's and Intel's evidence
//!   names a bundle, which the source hands out (with a cache of its own).

use super::{AttestError, Attested, Attester, fresh_session};
use aether_mesh::{Account, BlobRef, BlockId, BoundEvidence, ChainId, Slot};
use aether_tee::attester::{self, Attester as Device, EndorsementSource};
use aether_tee::fetch::{FetchSettings, VendorServices};
use aether_tee::{Binding, EvidenceKind};
use ed25519_dalek::{Signer, SigningKey};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

type Open = Box<dyn Fn() -> Result<Box<dyn Device>, attester::AttestError> + Send + Sync>;
type Source = Box<dyn EndorsementSource + Send>;

/// A TEE that this process runs in.
pub struct HardwareTee {
    kind: EvidenceKind,
    open: Open,
    source: Mutex<Source>,
    session: SigningKey,
}

impl HardwareTee {
    /// Looks for the machine's TEE, and makes a fresh session key. Where a kind
    /// is expected, another one is refused. `cache` keeps what vendors answered.
    pub fn detect(expected: Option<EvidenceKind>, cache: PathBuf) -> Result<Self, AttestError> {
        let source = VendorServices::new(FetchSettings {
            cache: Some(cache),
            ..FetchSettings::default()
        });
        Self::with(expected, Box::new(attester::detect), Box::new(source))
    }

    fn with(
        expected: Option<EvidenceKind>,
        open: Open,
        source: Source,
    ) -> Result<Self, AttestError> {
        let kind = open().map_err(device)?.kind();
        if let Some(expected) = expected.filter(|e| *e != kind) {
            return Err(AttestError::Device(format!(
                "this machine's TEE is {kind}, not {expected}"
            )));
        }
        Ok(Self {
            kind,
            open,
            source: Mutex::new(source),
            session: fresh_session()?,
        })
    }
}

fn device(error: attester::AttestError) -> AttestError {
    AttestError::Device(error.to_string())
}

impl Attester for HardwareTee {
    fn kind(&self) -> EvidenceKind {
        self.kind
    }

    fn session_key(&self) -> [u8; 32] {
        self.session.verifying_key().to_bytes()
    }

    fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.session.sign(message).to_bytes()
    }

    fn evidence(
        &self,
        chain: &ChainId,
        worker: &Account,
        slot: Slot,
        block: &BlockId,
        _now_unix_s: u64,
    ) -> Result<Attested, AttestError> {
        let binding = Binding::new(&chain.0, &worker.0, &self.session_key(), slot.0, &block.0);
        let attested = (self.open)()
            .and_then(|mut device| device.attest(&binding))
            .map_err(device)?;
        let bundle = match self.kind {
            EvidenceKind::SevSnp | EvidenceKind::Tdx => {
                let mut source = self.source.lock().unwrap_or_else(PoisonError::into_inner);
                Some(source.endorsements(&attested).map_err(device)?.0)
            }
            _ => None,
        };
        Ok(Attested {
            evidence: BoundEvidence {
                kind: attested.evidence.kind,
                document: attested.evidence.bytes,
                slot,
                endorsements: bundle.as_deref().map(BlobRef::of),
            },
            bundle,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aether_tee::{Endorsements, Evidence};

    /// A device that hands out what it is told to bind.
    struct Echo(EvidenceKind);

    impl Device for Echo {
        fn kind(&self) -> EvidenceKind {
            self.0
        }

        fn attest(
            &mut self,
            binding: &Binding,
        ) -> Result<attester::Attested, attester::AttestError> {
            Ok(attester::Attested {
                evidence: Evidence {
                    kind: self.0,
                    bytes: binding.as_bytes().to_vec(),
                },
                attached: Vec::new(),
            })
        }
    }

    struct Shelf(Option<&'static [u8]>);

    impl EndorsementSource for Shelf {
        fn endorsements(
            &mut self,
            _: &attester::Attested,
        ) -> Result<Endorsements, attester::AttestError> {
            let missing = || attester::AttestError::Endorsements("the service is down".to_owned());
            self.0
                .map(|bytes| Endorsements(bytes.to_vec()))
                .ok_or_else(missing)
        }
    }

    fn tee(kind: EvidenceKind, shelf: Option<&'static [u8]>) -> HardwareTee {
        HardwareTee::with(
            None,
            Box::new(move || Ok(Box::new(Echo(kind)))),
            Box::new(Shelf(shelf)),
        )
        .unwrap()
    }

    fn ask(tee: &HardwareTee) -> Result<Attested, AttestError> {
        tee.evidence(
            &ChainId([1; 32]),
            &Account([2; 32]),
            Slot(7),
            &BlockId([3; 32]),
            0,
        )
    }

    #[test]
    fn evidence_binds_the_session_and_names_its_bundle() {
        let tee = tee(EvidenceKind::SevSnp, Some(b"what AMD says"));
        let made = ask(&tee).unwrap();
        let binding = Binding::new(&[1; 32], &[2; 32], &tee.session_key(), 7, &[3; 32]);
        assert_eq!(made.evidence.document, binding.as_bytes());
        assert_eq!(
            made.evidence.endorsements,
            Some(BlobRef::of(b"what AMD says"))
        );
        assert_eq!(made.bundle.as_deref(), Some(&b"what AMD says"[..]));
    }

    #[test]
    fn nitro_needs_no_bundle_and_asks_for_none() {
        let made = ask(&tee(EvidenceKind::Nitro, None)).unwrap();
        assert_eq!((made.evidence.endorsements, made.bundle), (None, None));
    }

    #[test]
    fn a_service_that_is_down_is_said_and_nothing_is_sent() {
        let error = ask(&tee(EvidenceKind::Tdx, None)).unwrap_err();
        assert!(error.to_string().contains("the service is down"));
    }

    #[test]
    fn another_tee_than_the_expected_one_is_refused_at_the_start() {
        let open = || -> Result<Box<dyn Device>, _> { Ok(Box::new(Echo(EvidenceKind::Nitro))) };
        let found = HardwareTee::with(
            Some(EvidenceKind::Tdx),
            Box::new(open),
            Box::new(Shelf(None)),
        );
        let error = found.err().unwrap().to_string();
        assert_eq!(error, "this machine's TEE is nitro, not tdx");
    }

    #[test]
    fn each_start_has_its_own_session_key() {
        let one = tee(EvidenceKind::Nitro, None).session_key();
        assert_ne!(one, tee(EvidenceKind::Nitro, None).session_key());
    }
}
