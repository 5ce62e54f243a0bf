//! What to do about a refusal, in a sentence or two for whoever has to mend it.

use aether_tee::{Refusal, RefusalClass};

/// What the owner of the evidence, or of the policy, can do.
pub(super) fn advice(refusal: &Refusal) -> &'static str {
    use Refusal as R;
    match refusal {
        R::KindNotAccepted(_) => "add the kind to `kinds` of the policy, if this kind is wanted",
        R::KindNotTrusted(_) => {
            "real vendors' roots are trusted by default; a simulated one must be listed in \
             `simulated_roots`, on a development network only"
        }
        R::UnexpectedEndorsements(_) => "leave --endorsements out: this kind carries its chain",
        R::EndorsementsMissing(kind) => match kind {
            aether_tee::EvidenceKind::Tdx => {
                "name the collateral for this platform's FMSPC with --endorsements FILE (JSON as \
                 DCAP's tools write it), or make the evidence with `aether attest quote --fetch`"
            }
            _ => {
                "name the VCEK's or VLEK's certificate with --endorsements FILE (a VLEK needs its \
                 ASVK too), or make the evidence with `aether attest quote --fetch`"
            }
        },
        R::EndorsementsUnreadable => "get the collateral again: this file is damaged",
        R::DebugMode => {
            "start the guest without debugging; evidence of a debugged one proves nothing about \
             what its host reads"
        }
        R::MeasurementNotListed => {
            "compare the measurement that `aether attest inspect` shows with the release's; add \
             it to `measurements` only if the program is one that you built or trust"
        }
        R::BindingMismatch => {
            "it belongs to another worker, session, slot or request: ask the one who made it for \
             evidence with the expected report_data. --any-binding leaves this check out"
        }
        R::Stale { .. } => "make new evidence, or judge it at the time it was meant for with --at",
        R::FromTheFuture { .. } => "check the clocks (NTP) of the machine that made it and of this",
        R::RootNotPinned => {
            "no root in the policy stands above it: it is from another vendor or product, from a \
             test system, or forged"
        }
        R::CertificateExpired { .. } => {
            "get current certificates (a Nitro leaf lives for three hours, a VLEK for a year), or \
             judge it at the time it was meant for with --at"
        }
        R::CertificateNotYetValid { .. } => "check --at, and the clock of this machine",
        R::CrlExpired { .. } | R::CollateralExpired { .. } => {
            "get current collateral from the vendor, or judge it at the time it was meant for \
             with --at"
        }
        R::CrlNotYetValid { .. } | R::CollateralNotYetValid { .. } => {
            "the collateral is newer than the instant it is judged at: check --at"
        }
        R::CrlRolledBack { .. } | R::CollateralRolledBack { .. } | R::EvaluationNumber { .. } => {
            "newer collateral has been seen than this: get the current one from the vendor"
        }
        R::CrlMissing => "add the vendor's revocation list to --endorsements",
        R::Revoked { .. } | R::TcbRevoked => {
            "the vendor has withdrawn it: nothing that this platform says counts until its \
             firmware and certificates are replaced"
        }
        R::VekTcb | R::VekChip => {
            "the certificate belongs to another chip or firmware version: get the one for this \
             report's chip id and reported TCB"
        }
        R::VekKind { .. } => {
            "report and certificates are of different kinds: a VCEK stands below the ASK, a VLEK \
             below the ASVK"
        }
        R::ProductMismatch => "get the certificate for the report's own product",
        R::TcbTooLow { .. } => {
            "update the platform's firmware and microcode, then make new evidence"
        }
        R::TcbStatus(_) => {
            "update the platform (BIOS, microcode, TDX module) until Intel lists it as UpToDate, \
             or accept the status in `tdx.accepted_tcb_status`"
        }
        R::NoTcbLevel { .. } => {
            "it is older than anything that Intel lists: update BIOS and microcode; a policy \
             cannot accept it"
        }
        R::FmspcMismatch | R::PceIdMismatch => {
            "this collateral is for other processors: get the TCB info for the FMSPC that \
             `aether attest inspect` shows"
        }
        R::SeptVe => "start the TD with SEPT_VE_DISABLE (the default of current QEMU and clouds)",
        R::TeeType { .. } => "this is an SGX enclave's quote: ask the TD for one",
        R::VlekNotAccepted => "accept them with `snp.allow_vlek`, or rent a host that uses VCEKs",
        R::Vmpl { .. } => {
            "ask for the report at a more privileged level, or raise `snp.highest_vmpl`"
        }
        R::Smt
        | R::PlatformInfo
        | R::HostData
        | R::IdKey
        | R::AuthorKey
        | R::Rtmr { .. }
        | R::TdConfiguration { .. }
        | R::Xfam
        | R::Migratable
        | R::Profiling
        | R::ServiceTd
        | R::MigrationAgent => {
            "`aether attest inspect` shows what the platform has, `aether attest policy FILE` \
             what is asked for: change the one that is wrong"
        }
        R::UnprotectedHeader | R::EnvelopeEncoding | R::TrailingBytes { .. } => {
            "hand in the bytes as the device gave them: something has rewritten them"
        }
        other => match other.class() {
            RefusalClass::Forged => {
                "it was damaged on its way, or forged: get it again from whoever made it, and \
                 trust nothing in it"
            }
            RefusalClass::Untimely => "judge it at the time it was meant for with --at",
            RefusalClass::Unwanted => "compare it with the policy (`aether attest policy FILE`)",
        },
    }
}
