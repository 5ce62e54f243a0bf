//! Evidence through configfs-tsm (Linux, `Documentation/ABI/testing/configfs-tsm-report`).
//!
//! A request is a directory: made, its `inblob` written, its `outblob` read, removed. The
//! kernel counts writes in `generation`; another number than expected says that somebody
//! else wrote between our write and our read, and the answer may be to their question.

use std::io;
use std::path::{Path, PathBuf};

use super::{AttestError, Attested, Attester, canonical};
use crate::binding::Binding;
use crate::evidence::EvidenceKind;

/// Where the kernel has it.
pub(super) const REPORTS: &str = "/sys/kernel/config/tsm/report";
/// How often to ask again when somebody else asked at the same time.
const ATTEMPTS: usize = 5;

/// The few things that are done with files, so that tests can stand in for the kernel.
pub trait Files {
    /// Makes a directory.
    ///
    /// # Errors
    ///
    /// As the system's.
    fn make(&mut self, path: &Path) -> io::Result<()>;
    /// Removes an empty directory (configfs' are, whatever is listed in them).
    ///
    /// # Errors
    ///
    /// As the system's.
    fn remove(&mut self, path: &Path) -> io::Result<()>;
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// As the system's.
    fn read(&mut self, path: &Path) -> io::Result<Vec<u8>>;
    /// Writes a file that is there, at once.
    ///
    /// # Errors
    ///
    /// As the system's.
    fn write(&mut self, path: &Path, bytes: &[u8]) -> io::Result<()>;
}

/// The system's own files.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemFiles;

impl Files for SystemFiles {
    fn make(&mut self, path: &Path) -> io::Result<()> {
        std::fs::create_dir(path)
    }

    fn remove(&mut self, path: &Path) -> io::Result<()> {
        std::fs::remove_dir(path)
    }

    fn read(&mut self, path: &Path) -> io::Result<Vec<u8>> {
        std::fs::read(path)
    }

    fn write(&mut self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        std::fs::write(path, bytes)
    }
}

/// SEV-SNP or TDX evidence, whichever the kernel's driver is for.
#[derive(Debug)]
pub struct ConfigfsTsm<F> {
    files: F,
    request: PathBuf,
    kind: EvidenceKind,
}

impl ConfigfsTsm<SystemFiles> {
    /// The system's own.
    ///
    /// # Errors
    ///
    /// As [`ConfigfsTsm::open`].
    pub fn system() -> Result<Self, AttestError> {
        Self::open(SystemFiles, REPORTS)
    }
}

impl<F: Files> ConfigfsTsm<F> {
    /// Finds out which driver the kernel has.
    ///
    /// # Errors
    ///
    /// [`AttestError::Io`], [`AttestError::Provider`].
    pub fn open(mut files: F, reports: impl AsRef<Path>) -> Result<Self, AttestError> {
        // Of its own for each process, so that workers on one machine do not meet.
        let name = format!("aether-{}", std::process::id());
        let request = reports.as_ref().join(name);
        let provider = within(&mut files, &request, |files, request| {
            read(files, request, "provider", "reading which driver there is")
        })?;
        let provider = String::from_utf8_lossy(&provider).trim().to_owned();
        let kind = match provider.as_str() {
            "sev_guest" => EvidenceKind::SevSnp,
            "tdx_guest" => EvidenceKind::Tdx,
            _ => return Err(AttestError::Provider(provider.chars().take(64).collect())),
        };
        Ok(Self {
            files,
            request,
            kind,
        })
    }
}

impl<F: Files> Attester for ConfigfsTsm<F> {
    fn kind(&self) -> EvidenceKind {
        self.kind
    }

    fn attest(&mut self, binding: &Binding) -> Result<Attested, AttestError> {
        let kind = self.kind;
        for _ in 0..ATTEMPTS {
            let answer = within(&mut self.files, &self.request, |files, request| {
                ask(files, request, binding, kind)
            });
            match answer {
                Err(AttestError::Disturbed) => {}
                other => return other,
            }
        }
        Err(AttestError::Disturbed)
    }
}

/// One question and its answer.
fn ask<F: Files>(
    files: &mut F,
    request: &Path,
    binding: &Binding,
    kind: EvidenceKind,
) -> Result<Attested, AttestError> {
    let before = generation(files, request)?;
    let inblob = request.join("inblob");
    files
        .write(&inblob, binding.as_bytes())
        .map_err(|source| busy(source, "writing the binding"))?;
    let mut writes = 1;
    if kind == EvidenceKind::SevSnp {
        // The most privileged level that the guest itself has; decimal text.
        files
            .write(&request.join("privlevel"), b"0")
            .map_err(|source| busy(source, "writing the privilege level"))?;
        writes += 1;
    }
    let bytes = read(files, request, "outblob", "reading the evidence")?;
    // TDX has none, and hosts may attach none.
    let attached = files.read(&request.join("auxblob")).unwrap_or_default();
    if generation(files, request)? != before + writes {
        return Err(AttestError::Disturbed);
    }
    Ok(Attested {
        evidence: canonical(kind, bytes)?,
        attached,
    })
}

/// Runs `work` in a directory that is there for so long only.
fn within<F: Files, T>(
    files: &mut F,
    request: &Path,
    work: impl FnOnce(&mut F, &Path) -> Result<T, AttestError>,
) -> Result<T, AttestError> {
    let made = files.make(request);
    match made {
        Ok(()) => {}
        // Left behind by a process of the same number that was killed.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(source) => {
            return Err(AttestError::Io {
                what: "making a request under configfs",
                source,
            });
        }
    }
    let result = work(files, request);
    let removed = files.remove(request);
    let value = result?;
    removed.map_err(|source| AttestError::Io {
        what: "removing the request",
        source,
    })?;
    Ok(value)
}

fn generation<F: Files>(files: &mut F, request: &Path) -> Result<u64, AttestError> {
    let what = "reading the request's generation";
    let text = read(files, request, "generation", what)?;
    let number = String::from_utf8_lossy(&text).trim().parse();
    number.map_err(|_| AttestError::Device("its generation is no number".into()))
}

fn read<F: Files>(
    files: &mut F,
    request: &Path,
    name: &str,
    what: &'static str,
) -> Result<Vec<u8>, AttestError> {
    let bytes = files.read(&request.join(name));
    bytes.map_err(|source| busy(source, what))
}

/// The kernel says so where a question is under way, or was changed before it was answered.
fn busy(source: io::Error, what: &'static str) -> AttestError {
    match source.kind() {
        io::ErrorKind::ResourceBusy | io::ErrorKind::WouldBlock => AttestError::Disturbed,
        _ => AttestError::Io { what, source },
    }
}
