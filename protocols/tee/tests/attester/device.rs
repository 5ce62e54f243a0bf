//! Getting evidence: against a kernel made of a map, and against a recorded device.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use aether_tee::attester::{AttestError, Attester, ConfigfsTsm, Files, NitroDevice, Nsm};
use aether_tee::sim::{SimRoot, Validity};
use aether_tee::{Binding, EvidenceKind, Measurement, UnixTime};
use aws_nitro_enclaves_nsm_api::api::{ErrorCode, Request, Response};

fn binding() -> Binding {
    Binding::new(&[1; 32], &[2; 32], &[3; 32], 42, &[4; 32])
}

/// A kernel with a TSM driver: directories spring to life with their files.
#[derive(Default)]
struct Kernel {
    provider: &'static str,
    requests: BTreeMap<PathBuf, (u64, Vec<u8>)>,
    /// How often somebody else writes between our write and our read.
    meddling: u64,
    made: usize,
    removed: usize,
    busy: bool,
}

impl Files for &mut Kernel {
    fn make(&mut self, path: &Path) -> io::Result<()> {
        self.made += 1;
        self.requests.insert(path.into(), (0, Vec::new()));
        Ok(())
    }

    fn remove(&mut self, path: &Path) -> io::Result<()> {
        self.removed += 1;
        self.requests.remove(path);
        Ok(())
    }

    fn read(&mut self, path: &Path) -> io::Result<Vec<u8>> {
        let (request, name) = (path.parent().expect("a request"), path.file_name());
        let provider = self.provider;
        let missing = || io::Error::from(io::ErrorKind::NotFound);
        let (generation, inblob) = self.requests.get_mut(request).ok_or_else(missing)?;
        match name.and_then(|name| name.to_str()) {
            Some("provider") => Ok(format!("{provider}\n").into()),
            Some("generation") => Ok(format!("{generation}\n").into()),
            Some("auxblob") if provider == "sev_guest" => Ok(vec![9; 3]),
            Some("outblob") => {
                if self.busy {
                    return Err(io::ErrorKind::ResourceBusy.into());
                }
                if self.meddling > 0 {
                    self.meddling -= 1;
                    *generation += 1;
                }
                // A report in form; nobody signed it.
                let mut report = vec![0; 0x4a0];
                report[0] = 3;
                report[0x34] = 1;
                report[0x188] = 0x19;
                report[0x50..0x90].copy_from_slice(inblob);
                Ok(report)
            }
            _ => Err(missing()),
        }
    }

    fn write(&mut self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let request = path.parent().expect("a request");
        let (generation, inblob) = self.requests.get_mut(request).expect("a request");
        *generation += 1;
        if path.ends_with("inblob") {
            *inblob = bytes.to_vec();
        } else {
            assert_eq!((path.ends_with("privlevel"), bytes), (true, &b"0"[..]));
        }
        Ok(())
    }
}

fn kernel(provider: &'static str) -> Kernel {
    Kernel {
        provider,
        ..Kernel::default()
    }
}

#[test]
fn kernel_answers_with_the_binding_and_is_left_clean() {
    let mut kernel = kernel("sev_guest");
    let mut attester = ConfigfsTsm::open(&mut kernel, "/reports").expect("a driver");
    assert_eq!(attester.kind(), EvidenceKind::SevSnp);
    let attested = attester.attest(&binding()).expect("evidence");
    assert_eq!(attested.evidence.bytes[0x50..0x90], *binding().as_bytes());
    assert_eq!(attested.attached, [9; 3]);
    assert_eq!((kernel.made, kernel.removed), (2, 2));
}

#[test]
fn somebody_elses_question_is_asked_again_and_not_for_ever() {
    let mut disturbed = Kernel {
        meddling: 2,
        ..kernel("sev_guest")
    };
    let mut attester = ConfigfsTsm::open(&mut disturbed, "/reports").expect("a driver");
    assert!(attester.attest(&binding()).is_ok());
    for (meddling, busy) in [(u64::MAX, false), (0, true)] {
        let mut kernel = Kernel {
            meddling,
            busy,
            ..kernel("sev_guest")
        };
        let mut attester = ConfigfsTsm::open(&mut kernel, "/reports").expect("a driver");
        let error = attester.attest(&binding());
        assert!(matches!(error, Err(AttestError::Disturbed)), "{error:?}");
        assert_eq!(kernel.made, kernel.removed);
    }
}

#[test]
fn unknown_drivers_and_what_is_no_evidence_are_refused() {
    let mut other = kernel("other_guest");
    let error = ConfigfsTsm::open(&mut other, "/reports").err();
    assert!(matches!(error, Some(AttestError::Provider(name)) if name == "other_guest"));
    assert_eq!(other.made, other.removed);
    // TDX's driver that hands out an SNP report.
    let mut tdx = kernel("tdx_guest");
    let mut attester = ConfigfsTsm::open(&mut tdx, "/reports").expect("a driver");
    assert_eq!(attester.kind(), EvidenceKind::Tdx);
    let error = attester.attest(&binding());
    assert!(
        matches!(error, Err(AttestError::NotEvidence(_))),
        "{error:?}"
    );
}

/// A security module that was recorded, or one that refuses.
struct Recorded(Option<Vec<u8>>);

impl Nsm for Recorded {
    fn ask(&mut self, request: Request) -> Result<Response, AttestError> {
        let Request::Attestation { user_data, .. } = request else {
            panic!("another question");
        };
        assert_eq!(
            user_data.expect("a binding").as_slice(),
            binding().as_bytes()
        );
        Ok(match &self.0 {
            Some(document) => Response::Attestation {
                document: document.clone(),
            },
            None => Response::Error(ErrorCode::InternalError),
        })
    }
}

#[test]
fn recorded_security_module_is_understood() {
    let life = Validity {
        not_before: UnixTime(0),
        not_after: UnixTime(2_000_000_000),
    };
    let root = SimRoot::from_seed(&[7; 32], life).expect("a root");
    let platform = root.issue(&[8; 32], "i-1", life).expect("a platform");
    let program = Measurement::of(b"a program");
    let document = platform
        .quote(&binding(), &program, UnixTime(1_000_000))
        .bytes;
    let mut device = NitroDevice(Recorded(Some(document.clone())));
    let attested = device.attest(&binding()).expect("evidence");
    assert_eq!(attested.evidence.kind, EvidenceKind::Nitro);
    assert_eq!(attested.evidence.bytes, document);
    let refused = NitroDevice(Recorded(None)).attest(&binding());
    assert!(matches!(refused, Err(AttestError::Device(_))));
}
