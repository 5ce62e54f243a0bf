//! Policies to start from. Every line that is not a comment is the default, so a reader sees
//! what holds without it.

use crate::cli::args::PolicyTemplate;

const HEAD: &str = r#"# What evidence must be like to be accepted (`aether attest verify --policy FILE`).
# A line that is left out means what it says here.

# SHA-384 of the programs that are accepted. EMPTY MEANS ANY: the verdict then says that
# nobody vouches for the program. `aether attest inspect` shows a measurement.
measurements = []
# measurements = ["…96 hex digits…"]
"#;

const SNP: &str = r#"
# AMD SEV-SNP: Milan, Genoa (Bergamo, Siena) and Turin, under AMD's roots.
kinds = ["sev-snp"]

[snp]
allow_debug = false            # the host reads a debugged guest
allow_migration_agent = false  # an agent may export the guest
allow_vlek = true              # signed by a cloud's key, which names no chip
allow_smt = true               # other guests may share a core
highest_vmpl = 0               # 0 is the most privileged level
require_crl = false            # AMD's revocation list must be among the endorsements
least_crl_number = 0           # the highest number seen so far
# platform_info_required = 0x20   # bits of PLATFORM_INFO: 0x20 is ALIAS_CHECK_COMPLETE
# platform_info_forbidden = 0x01  # 0x01 is SMT_EN
# host_data = "…64 hex digits…"
# id_keys = ["…96 hex digits…"]
# author_keys = ["…96 hex digits…"]

# The least firmware, for each product. Raising it is how AMD's platforms are revoked.
# Reported and current versions must reach it; least_committed_tcb and least_launch_tcb
# are tables of the same form.
# [snp.least_tcb.milan]
# bootloader = 4
# tee = 0
# snp = 22
# microcode = 213
# [snp.least_tcb.turin]
# fmc = 1
# snp = 4
"#;

const TDX: &str = r#"
# Intel TDX: quotes 4 and 5, under Intel's root. The measurement is the MRTD, which is the
# TD's firmware alone: list the RTMRs too, or any kernel is accepted.
kinds = ["tdx"]

[tdx]
allow_debug = false            # the host reads a debugged or profiled TD
allow_migration = false
allow_service_td = false       # a service TD can take secrets elsewhere
require_sept_ve_disable = true
xfam_allowed = 0x6dbe7         # extended features that a TD may have
# Revoked is never accepted, whatever stands here.
accepted_tcb_status = ["UpToDate", "SWHardeningNeeded", "ConfigurationNeeded", "ConfigurationAndSWHardeningNeeded"]
out_of_date_grace_seconds = 0  # since Intel published something newer
least_evaluation_number = 0    # the highest seen so far, as the three below
least_tcb_info_date = "1970-01-01T00:00:00Z"
least_root_crl_number = 0
least_pck_crl_number = 0
# rtmr0 = ["…96 hex digits…"]  # firmware's configuration; rtmr1, rtmr2: loader, kernel
# config_id = "…96 hex digits…"
# owner = "…96 hex digits…"
# owner_config = "…96 hex digits…"
"#;

const NITRO: &str = r#"
# AWS Nitro Enclaves, under AWS' root G1. The measurement is PCR0.
kinds = ["nitro"]

# Documents carry their own time.
max_age_seconds = 60
max_future_skew_seconds = 5

[nitro]
allow_debug = false            # PCR0 of a debugged enclave is zero
"#;

/// The text for a platform.
pub(super) fn template(platform: PolicyTemplate) -> String {
    let tail = match platform {
        PolicyTemplate::Snp => SNP,
        PolicyTemplate::Tdx => TDX,
        PolicyTemplate::Nitro => NITRO,
    };
    format!("{HEAD}{tail}")
}
