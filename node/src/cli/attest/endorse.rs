//! Endorsements out of whatever files a person has: our bundle, DCAP's collateral as JSON,
//! certificates and revocation lists in DER or PEM, or folders of these.
//!
//! Certificates are put in their places by their names; nothing is judged here. In a folder,
//! what is none of these is passed over; a file that was named must be one.

use super::file;
use crate::cli::exit::CliError;
use crate::cli::files;
use aether_tee::inspect::{
    CertificateInfo, certificates, inspect_certificate, revocation_list_issuer,
};
use aether_tee::{Endorsements, EvidenceKind, SnpEndorsements, TdxCollateral};
use std::path::{Path, PathBuf};

/// Larger files hold no endorsements.
const FILE_BYTES_MAX: u64 = 512 * 1024;
/// Files that are read of a folder.
const FILES_MAX: usize = 64;

/// What the files hold.
#[derive(Default)]
struct Pile {
    bundles: Vec<Endorsements>,
    collateral: Vec<TdxCollateral>,
    certificates: Vec<CertificateInfo>,
    /// Revocation lists with their issuers.
    lists: Vec<(String, Vec<u8>)>,
}

/// The endorsements in these files, or where there are none, those that came with the evidence.
pub(super) fn gather(
    kind: EvidenceKind,
    paths: &[PathBuf],
    own: Endorsements,
) -> Result<Endorsements, CliError> {
    if paths.is_empty() {
        return Ok(own);
    }
    let mut pile = Pile::default();
    for path in paths {
        if path.is_dir() {
            for file in entries(path)? {
                // Too large is what is not meant for us.
                if let Ok(bytes) = files::read(&file, FILE_BYTES_MAX) {
                    pile.add(&bytes);
                }
            }
        } else if !pile.add(&files::read(path, FILE_BYTES_MAX)?) {
            return Err(CliError::config(format!(
                "{} holds no endorsements: neither a certificate or revocation list (DER, PEM), \
                 nor DCAP collateral (JSON), nor a bundle",
                path.display()
            )));
        }
    }
    let bundle = pile.bundles.iter().find(|b| b.kind() == Some(kind));
    if let Some(bundle) = bundle {
        return Ok(bundle.clone());
    }
    match kind {
        EvidenceKind::SevSnp => pile.snp(),
        EvidenceKind::Tdx => match pile.collateral.as_slice() {
            [one] => Ok(one.into()),
            [] => Ok(own),
            _ => Err(ambiguous("collateral")),
        },
        // Their evidence carries its whole chain.
        _ => Ok(own),
    }
}

fn ambiguous(what: &str) -> CliError {
    CliError::usage(format!(
        "--endorsements holds more than one {what}: name the one that belongs to the evidence"
    ))
}

/// A folder's files, in order of their names.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, CliError> {
    let read = std::fs::read_dir(folder).map_err(|e| CliError::file(folder, &e))?;
    let mut found = Vec::new();
    for entry in read {
        let path = entry.map_err(|e| CliError::file(folder, &e))?.path();
        if path.is_file() {
            found.push(path);
        }
        if found.len() > FILES_MAX {
            return Err(CliError::usage(format!(
                "{} has more than {FILES_MAX} files: name those that are meant",
                folder.display()
            )));
        }
    }
    found.sort();
    Ok(found)
}

/// The value of a name's common name, as RFC 4514 writes it.
fn common_name(name: &str) -> &str {
    name.split(',')
        .find_map(|part| part.trim().strip_prefix("CN="))
        .unwrap_or_default()
}

impl Pile {
    /// Puts a file where it belongs; false where it holds none of what is looked for.
    fn add(&mut self, bytes: &[u8]) -> bool {
        if file::parse(bytes).is_some() {
            return false;
        }
        let bundle = Endorsements(bytes.to_vec());
        if bundle.kind().is_some() {
            self.bundles.push(bundle);
        } else if let Ok(collateral) = TdxCollateral::from_json(bytes) {
            self.collateral.push(collateral);
        } else if let Some(ders) = certificates(bytes) {
            self.certificates
                .extend(ders.iter().filter_map(|der| inspect_certificate(der)));
        } else if let Some(issuer) = revocation_list_issuer(bytes) {
            self.lists.push((issuer, bytes.to_vec()));
        } else {
            return false;
        }
        true
    }

    fn named(&self, subject: &str) -> Option<&CertificateInfo> {
        self.certificates.iter().find(|c| c.subject == subject)
    }

    /// AMD's: the signing key's certificate by its name, the others by whom it names.
    fn snp(&self) -> Result<Endorsements, CliError> {
        let is_vek =
            |c: &&CertificateInfo| matches!(common_name(&c.subject), "SEV-VCEK" | "SEV-VLEK");
        let mut veks: Vec<&CertificateInfo> = self.certificates.iter().filter(is_vek).collect();
        veks.dedup_by_key(|c| c.fingerprint);
        let vek = match veks.as_slice() {
            [] => return Ok(Endorsements::none()),
            [one] => *one,
            _ => return Err(ambiguous("certificate of a VCEK or VLEK")),
        };
        let issuer = self.named(&vek.issuer);
        let root = issuer.and_then(|issuer| self.named(&issuer.issuer));
        // "SEV-Milan" and "SEV-VLEK-Milan" stand below "ARK-Milan".
        let product = common_name(&vek.issuer).rsplit('-').next();
        let ark = format!("ARK-{}", product.unwrap_or_default());
        let list = self.lists.iter().find(|(by, _)| common_name(by) == ark);
        let der = |certificate: Option<&CertificateInfo>| {
            certificate.map_or_else(Vec::new, |c| c.der.clone())
        };
        Ok((&SnpEndorsements {
            vek: vek.der.clone(),
            issuer: der(issuer),
            root: der(root),
            crl: list.map_or_else(Vec::new, |(_, list)| list.clone()),
        })
            .into())
    }
}
