//! `aether attest quote`: asks this machine's TEE, or a development network's stand-in.

use super::{file, fixed};
use crate::cli::CommandResult;
use crate::cli::args::{AttestPlatform, AttestQuoteArgs};
use crate::cli::context::Context;
use crate::cli::exit::{CliError, Exit};
use crate::cli::files;
use crate::cli::page::{Tone, size};
use crate::roles::simulated_measurement;
use aether_tee::inspect::inspect;
use aether_tee::sim::SimPlatform;
use aether_tee::{Binding, Endorsements, Evidence, UnixTime};
use serde_json::json;

/// A platform's file has about 4 KB.
const PLATFORM_BYTES_MAX: u64 = 64 * 1024;

pub(super) fn run(context: &mut Context, args: &AttestQuoteArgs) -> CommandResult {
    let binding = Binding(fixed("--report-data", &args.report_data)?);
    let (evidence, endorsements) = match args.platform {
        AttestPlatform::Simulated => (simulated(args, &binding)?, Endorsements::none()),
        _ if args.tee_platform.is_some() => {
            return Err(CliError::usage(
                "--tee-platform is for --platform simulated only",
            ));
        }
        platform => device::ask(platform, &binding, args.fetch)?,
    };
    // Before it is written: a device that ignored the question is of no use.
    let said = inspect(&evidence).map_err(|refusal| {
        CliError::failed(refusal.code(), format!("the platform's answer: {refusal}"))
    })?;
    if said.user_data != binding.as_bytes() {
        return Err(CliError::failed(
            "binding",
            "the platform's answer does not carry the report_data that it was asked for",
        ));
    }
    let bytes = if args.raw {
        evidence.bytes.clone()
    } else {
        file::encode(&evidence, &endorsements)
    };
    files::write_new(&args.out, &bytes)?;
    let value = json!({
        "file": args.out,
        "kind": evidence.kind.name(),
        "bytes": evidence.bytes.len(),
        "endorsements_bytes": endorsements.0.len(),
        "measurement": said.measurement.to_string(),
    });
    context.console.answer(&value, |page| {
        page.toned("file", args.out.display(), Tone::Good)
            .field("kind", evidence.kind)
            .field("evidence", size(evidence.bytes.len() as u64))
            .field("endorsements", size(endorsements.0.len() as u64))
            .field("measurement", said.measurement)
            .line("`aether attest verify FILE --report-data …` judges it, anywhere.");
    });
    Ok(Exit::Ok)
}

fn simulated(args: &AttestQuoteArgs, binding: &Binding) -> Result<Evidence, CliError> {
    let path = args.tee_platform.as_deref().ok_or_else(|| {
        CliError::usage("--platform simulated needs --tee-platform FILE (`aether dev` makes them)")
    })?;
    let text = files::read_text(path, PLATFORM_BYTES_MAX)?;
    let platform = SimPlatform::from_pem(&text)
        .map_err(|e| CliError::config(format!("{}: {e}", path.display())))?;
    let now = UnixTime(super::time::now_ms() / 1000);
    Ok(platform.quote(binding, &simulated_measurement(), now))
}

/// What to tell somebody whose machine has no TEE.
const NO_TEE: &str = "\
run it inside the confidential guest, as root. SEV-SNP and TDX: Linux 6.7 or later with configfs \
mounted (mount -t configfs none /sys/kernel/config) and the module sev-guest or tdx-guest loaded; \
Nitro: inside the enclave, where /dev/nsm is. Development networks: --platform simulated \
--tee-platform FILE";

#[cfg(all(feature = "attester", target_os = "linux"))]
mod device {
    use super::{AttestPlatform, Binding, CliError, Endorsements, Evidence, NO_TEE};
    use aether_tee::attester::{
        AttestError, Attester, ConfigfsTsm, EndorsementSource, NitroDevice, SevGuest, SystemNsm,
        detect,
    };
    use aether_tee::fetch::{FetchSettings, VendorServices};

    fn failed(error: &AttestError) -> CliError {
        let (code, advice) = match error {
            AttestError::NoPlatform | AttestError::Io { .. } | AttestError::Provider(_) => {
                ("no_tee", NO_TEE)
            }
            AttestError::Disturbed => ("busy", "ask again"),
            AttestError::Endorsements(_) => (
                "no_endorsements",
                "check the connection to the vendor's service, or leave --fetch out and hand the \
                 certificates in later with --endorsements",
            ),
            _ => ("device", "see the kernel's log (dmesg)"),
        };
        CliError::failed(code, format!("{error}. What to do: {advice}"))
    }

    pub(super) fn ask(
        platform: AttestPlatform,
        binding: &Binding,
        fetch: bool,
    ) -> Result<(Evidence, Endorsements), CliError> {
        let device: Result<Box<dyn Attester>, AttestError> = match platform {
            AttestPlatform::Configfs => ConfigfsTsm::system().map(|it| Box::new(it) as _),
            AttestPlatform::SevGuest => Ok(Box::new(SevGuest)),
            AttestPlatform::Nitro => Ok(Box::new(NitroDevice(SystemNsm))),
            AttestPlatform::Auto | AttestPlatform::Simulated => detect(),
        };
        let attested = device
            .and_then(|mut device| device.attest(binding))
            .map_err(|e| failed(&e))?;
        let endorsements = if fetch {
            let mut services = VendorServices::new(FetchSettings::default());
            services.endorsements(&attested).map_err(|e| failed(&e))?
        } else {
            Endorsements::none()
        };
        Ok((attested.evidence, endorsements))
    }
}

#[cfg(not(all(feature = "attester", target_os = "linux")))]
mod device {
    use super::{AttestPlatform, Binding, CliError, Endorsements, Evidence, NO_TEE};

    pub(super) fn ask(
        _: AttestPlatform,
        _: &Binding,
        _: bool,
    ) -> Result<(Evidence, Endorsements), CliError> {
        Err(CliError::failed(
            "no_tee",
            format!(
                "this program was built without the feature `attester` (Linux only). What to do: \
                 use a build that has it, and {NO_TEE}"
            ),
        ))
    }
}
