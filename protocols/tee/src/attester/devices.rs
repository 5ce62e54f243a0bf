//! Evidence straight from device files: `/dev/sev-guest` and `/dev/nsm`.

use aws_nitro_enclaves_nsm_api::api::{Request, Response};
use aws_nitro_enclaves_nsm_api::driver;
use serde_bytes::ByteBuf;
use sev::firmware::guest::Firmware;

use super::{AttestError, Attested, Attester, canonical};
use crate::binding::Binding;
use crate::evidence::EvidenceKind;

/// AMD's guest device.
pub const SEV_DEVICE: &str = "/dev/sev-guest";
/// AWS's security module.
pub const NITRO_DEVICE: &str = "/dev/nsm";

/// SEV-SNP evidence without configfs-tsm (Linux before 6.7).
#[derive(Clone, Copy, Debug, Default)]
pub struct SevGuest;

impl Attester for SevGuest {
    fn kind(&self) -> EvidenceKind {
        EvidenceKind::SevSnp
    }

    fn attest(&mut self, binding: &Binding) -> Result<Attested, AttestError> {
        let mut device = Firmware::open().map_err(|source| AttestError::Io {
            what: "opening /dev/sev-guest",
            source,
        })?;
        let bytes = device
            .get_report(None, Some(*binding.as_bytes()), Some(0))
            .map_err(|error| AttestError::Device(error.to_string()))?;
        Ok(Attested {
            evidence: canonical(EvidenceKind::SevSnp, bytes)?,
            attached: Vec::new(),
        })
    }
}

/// The one question that is put to Nitro's security module, so that tests can stand in for it.
pub trait Nsm {
    /// Puts a request to the module.
    ///
    /// # Errors
    ///
    /// [`AttestError::Io`] where there is none.
    fn ask(&mut self, request: Request) -> Result<Response, AttestError>;
}

/// The system's own module.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemNsm;

impl Nsm for SystemNsm {
    fn ask(&mut self, request: Request) -> Result<Response, AttestError> {
        let device = driver::nsm_init();
        if device < 0 {
            return Err(AttestError::Io {
                what: "opening /dev/nsm",
                source: std::io::Error::last_os_error(),
            });
        }
        let response = driver::nsm_process_request(device, request);
        driver::nsm_exit(device);
        Ok(response)
    }
}

/// Nitro evidence.
#[derive(Clone, Copy, Debug, Default)]
pub struct NitroDevice<N>(pub N);

impl<N: Nsm> Attester for NitroDevice<N> {
    fn kind(&self) -> EvidenceKind {
        EvidenceKind::Nitro
    }

    fn attest(&mut self, binding: &Binding) -> Result<Attested, AttestError> {
        let request = Request::Attestation {
            user_data: Some(ByteBuf::from(binding.as_bytes().to_vec())),
            nonce: None,
            public_key: None,
        };
        match self.0.ask(request)? {
            Response::Attestation { document } => Ok(Attested {
                evidence: canonical(EvidenceKind::Nitro, document)?,
                attached: Vec::new(),
            }),
            Response::Error(code) => Err(AttestError::Device(format!("{code:?}"))),
            _ => Err(AttestError::Device("an answer to another question".into())),
        }
    }
}
