//! Endorsements from the vendors' own services. Feature `fetch`: workers only; whoever judges
//! never asks anybody anything.
//!
//! | platform | from | what |
//! | --- | --- | --- |
//! | SEV-SNP | the host's table, else AMD's KDS | VCEK (VLEK: the host only, its issuer from the KDS), revocation list |
//! | TDX | Intel's PCS, or a PCCS of the same interface | TCB info, QE identity, both revocation lists |
//! | Nitro, simulated | nobody | evidence carries its chain |
//!
//! Every answer is looked at before it is kept or handed on: right chip and firmware, right
//! family, inside its window. What is kept on disk is asked for again after a day (a VCEK after
//! a month); where the service is not there then, what is kept goes on being used for as long
//! as it is valid. Signatures are left to the appraisal, which trusts nothing of this.

mod amd;
mod cache;
mod http;
mod intel;

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::attester::{AttestError, Attested, EndorsementSource};
use crate::endorsements::Endorsements;
use crate::evidence::{EvidenceKind, UnixTime};
use cache::Cache;
use http::{Answer, Http};

/// Where to ask, and how patiently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchSettings {
    /// AMD's key distribution service, without a slash at the end.
    pub amd: String,
    /// Intel's provisioning certification service, or a PCCS.
    pub intel: String,
    /// The address of Intel's root revocation list.
    pub intel_root_list: String,
    /// The folder in which answers are kept; `None`: each is asked for each time.
    pub cache: Option<PathBuf>,
    /// Whether AMD's revocation list is fetched, and its absence a failure. Intel's always is.
    pub revocation_lists: bool,
    /// For a connection.
    pub connect_timeout: Duration,
    /// For a whole request.
    pub call_timeout: Duration,
    /// How often one thing is asked for, the first time included.
    pub attempts: u32,
    /// Before the second attempt; doubles.
    pub first_wait: Duration,
    /// No wait is longer, whatever a service asks for.
    pub longest_wait: Duration,
}

impl Default for FetchSettings {
    fn default() -> Self {
        Self {
            amd: "https://kdsintf.amd.com".into(),
            intel: "https://api.trustedservices.intel.com".into(),
            intel_root_list: "https://certificates.trustedservices.intel.com/IntelSGXRootCA.der"
                .into(),
            cache: None,
            revocation_lists: true,
            connect_timeout: Duration::from_secs(5),
            call_timeout: Duration::from_secs(20),
            attempts: 4,
            // AMD's service asks for ten seconds between requests when it is pressed.
            first_wait: Duration::from_secs(2),
            longest_wait: Duration::from_secs(30),
        }
    }
}

/// Why endorsements could not be had. Ours or the service's fault, never a peer's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// The evidence does not say what to ask for.
    #[error("the evidence is {what}")]
    Evidence {
        /// What is wrong with it.
        what: &'static str,
    },
    /// Nobody answered, in time or at all.
    #[error("{url}: {reason}")]
    Unreachable {
        /// What was asked for.
        url: String,
        /// Why.
        reason: String,
    },
    /// The service refused, or went on being busy.
    #[error("{url}: HTTP status {status}")]
    Status {
        /// What was asked for.
        url: String,
        /// What it said.
        status: u16,
    },
    /// The answer is larger than any genuine one.
    #[error("{url}: an answer of more than {most} bytes")]
    TooLarge {
        /// What was asked for.
        url: String,
        /// The most allowed.
        most: usize,
    },
    /// The answer is not what was asked for.
    #[error("{url}: the answer holds {what}")]
    Content {
        /// What was asked for.
        url: String,
        /// What is wrong with it.
        what: &'static str,
    },
}

/// The vendors' services, with what they answered before.
pub struct VendorServices {
    settings: FetchSettings,
    http: Http,
    cache: Cache,
    clock: fn() -> UnixTime,
}

impl VendorServices {
    /// Asks as the settings say; connects with the first question.
    #[must_use]
    pub fn new(settings: FetchSettings) -> Self {
        Self {
            http: Http::new(&settings),
            cache: Cache(settings.cache.clone()),
            settings,
            clock: || {
                let now = SystemTime::now().duration_since(UNIX_EPOCH);
                UnixTime(now.map_or(0, |now| now.as_secs()))
            },
        }
    }

    /// The same by another clock, by which windows and ages are judged.
    #[must_use]
    pub fn with_clock(self, clock: fn() -> UnixTime) -> Self {
        Self { clock, ..self }
    }

    /// The endorsements for this evidence.
    ///
    /// # Errors
    ///
    /// [`FetchError`].
    pub fn fetch(&self, attested: &Attested) -> Result<Endorsements, FetchError> {
        let services = Services {
            settings: &self.settings,
            http: &self.http,
            cache: &self.cache,
            now: (self.clock)(),
        };
        let bytes = &attested.evidence.bytes;
        match attested.evidence.kind {
            EvidenceKind::SevSnp => amd::endorsements(&services, bytes, &attested.attached),
            EvidenceKind::Tdx => intel::endorsements(&services, bytes),
            EvidenceKind::Nitro | EvidenceKind::Simulated => Ok(Endorsements::none()),
        }
    }
}

impl EndorsementSource for VendorServices {
    fn endorsements(&mut self, attested: &Attested) -> Result<Endorsements, AttestError> {
        self.fetch(attested)
            .map_err(|error| AttestError::Endorsements(error.to_string()))
    }
}

/// What one question needs.
struct Services<'a> {
    settings: &'a FetchSettings,
    http: &'a Http,
    cache: &'a Cache,
    now: UnixTime,
}

impl Services<'_> {
    /// What is kept, or what the service answers. `check` says until when an answer need not be
    /// asked for again, or what is wrong with it.
    fn get(
        &self,
        url: &str,
        header: &str,
        most: usize,
        check: impl Fn(&Answer, UnixTime) -> Result<UnixTime, &'static str>,
    ) -> Result<Answer, FetchError> {
        let kept = self.cache.get(url);
        let kept = kept.filter(|kept| check(&kept.answer, self.now).is_ok());
        if let Some(kept) = &kept
            && self.now <= kept.ask_again
        {
            return Ok(kept.answer.clone());
        }
        let answered = self.http.get(url, header, most).and_then(|answer| {
            let ask_again = check(&answer, self.now).map_err(|what| FetchError::Content {
                url: url.into(),
                what,
            })?;
            Ok((answer, ask_again))
        });
        match (answered, kept) {
            (Ok((answer, ask_again)), _) => {
                self.cache.put(url, &answer, ask_again);
                Ok(answer)
            }
            // Older than we would like, and still valid.
            (Err(_), Some(kept)) => Ok(kept.answer),
            (Err(error), None) => Err(error),
        }
    }
}
