//! How vendors say how new a platform's firmware is: AMD by version numbers of its parts,
//! Intel by a status.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

/// AMD's products, each with a root of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SnpProduct {
    /// EPYC 7003.
    Milan,
    /// EPYC 9004 and 8004: Genoa, Bergamo and Siena share one root.
    Genoa,
    /// EPYC 9005.
    Turin,
}

impl SnpProduct {
    /// The name, as AMD's certificates write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Milan => "Milan",
            Self::Genoa => "Genoa",
            Self::Turin => "Turin",
        }
    }
}

impl fmt::Display for SnpProduct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Version numbers of the parts of an AMD platform's firmware. A greater number is newer;
/// numbers of different parts, or of different products, do not compare.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SnpTcb {
    /// The firmware's microcontroller; Turin only, zero elsewhere.
    pub fmc: u8,
    /// The boot loader.
    pub bootloader: u8,
    /// The operating system of the security processor.
    pub tee: u8,
    /// The SNP firmware.
    pub snp: u8,
    /// The microcode of all cores.
    pub microcode: u8,
}

impl SnpTcb {
    /// Whether every part is at least as new as `least`'s.
    #[must_use]
    pub const fn reaches(&self, least: &Self) -> bool {
        self.fmc >= least.fmc
            && self.bootloader >= least.bootloader
            && self.tee >= least.tee
            && self.snp >= least.snp
            && self.microcode >= least.microcode
    }
}

impl fmt::Display for SnpTcb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.fmc > 0 {
            write!(f, "fmc {}, ", self.fmc)?;
        }
        write!(
            f,
            "boot loader {}, tee {}, snp {}, microcode {}",
            self.bootloader, self.tee, self.snp, self.microcode
        )
    }
}

/// What Intel says about a platform's TCB level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
pub enum TcbStatus {
    /// Nothing is known to be wrong.
    UpToDate,
    /// Software in the TD must be hardened.
    SWHardeningNeeded,
    /// The platform must be configured differently.
    ConfigurationNeeded,
    /// Both of the above.
    ConfigurationAndSWHardeningNeeded,
    /// The TD was started on an outdated TDX module, which was since updated under it.
    TDRelaunchAdvised,
    /// The same, and the platform must be configured differently.
    TDRelaunchAdvisedConfigurationNeeded,
    /// Updates with security fixes are missing.
    OutOfDate,
    /// The same, and the platform must be configured differently.
    OutOfDateConfigurationNeeded,
    /// The platform's keys must not be trusted. No policy accepts this.
    Revoked,
}

impl TcbStatus {
    /// Every status, the best first.
    pub const ALL: [Self; 9] = [
        Self::UpToDate,
        Self::SWHardeningNeeded,
        Self::ConfigurationNeeded,
        Self::ConfigurationAndSWHardeningNeeded,
        Self::TDRelaunchAdvised,
        Self::TDRelaunchAdvisedConfigurationNeeded,
        Self::OutOfDate,
        Self::OutOfDateConfigurationNeeded,
        Self::Revoked,
    ];

    /// The name, as Intel writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::UpToDate => "UpToDate",
            Self::SWHardeningNeeded => "SWHardeningNeeded",
            Self::ConfigurationNeeded => "ConfigurationNeeded",
            Self::ConfigurationAndSWHardeningNeeded => "ConfigurationAndSWHardeningNeeded",
            Self::TDRelaunchAdvised => "TDRelaunchAdvised",
            Self::TDRelaunchAdvisedConfigurationNeeded => "TDRelaunchAdvisedConfigurationNeeded",
            Self::OutOfDate => "OutOfDate",
            Self::OutOfDateConfigurationNeeded => "OutOfDateConfigurationNeeded",
            Self::Revoked => "Revoked",
        }
    }

    /// Whether updates are missing, so that a grace period may apply.
    #[must_use]
    pub const fn is_out_of_date(self) -> bool {
        matches!(
            self,
            Self::OutOfDate
                | Self::OutOfDateConfigurationNeeded
                | Self::TDRelaunchAdvised
                | Self::TDRelaunchAdvisedConfigurationNeeded
        )
    }

    const fn asks_for_configuration(self) -> bool {
        matches!(
            self,
            Self::ConfigurationNeeded
                | Self::ConfigurationAndSWHardeningNeeded
                | Self::OutOfDateConfigurationNeeded
                | Self::TDRelaunchAdvisedConfigurationNeeded
        )
    }

    /// The platform's status, seen together with that of a part of it (TDX module, quoting
    /// enclave): the worse of the two, without losing what has to be configured.
    pub(crate) const fn with_part(self, part: Self) -> Self {
        match (part, self) {
            (Self::Revoked, _) | (_, Self::Revoked) => Self::Revoked,
            (Self::OutOfDate | Self::OutOfDateConfigurationNeeded, _) => {
                if self.asks_for_configuration() || part.asks_for_configuration() {
                    Self::OutOfDateConfigurationNeeded
                } else {
                    Self::OutOfDate
                }
            }
            (Self::ConfigurationNeeded, Self::UpToDate) => Self::ConfigurationNeeded,
            (Self::ConfigurationNeeded, Self::SWHardeningNeeded) => {
                Self::ConfigurationAndSWHardeningNeeded
            }
            _ => self,
        }
    }

    /// A TD 1.5's status at its start, seen together with its status now: where only the
    /// start is out of date, starting it again mends that.
    pub(crate) const fn with_current(self, current: Self) -> Self {
        match (self, current) {
            (Self::Revoked, _) | (_, Self::Revoked) => Self::Revoked,
            (Self::OutOfDate | Self::OutOfDateConfigurationNeeded, now)
                if !now.is_out_of_date() =>
            {
                if self.asks_for_configuration() || now.asks_for_configuration() {
                    Self::TDRelaunchAdvisedConfigurationNeeded
                } else {
                    Self::TDRelaunchAdvised
                }
            }
            _ => self,
        }
    }

    /// The status that a policy may list instead: being advised to start again is better
    /// than being out of date.
    pub(crate) const fn no_better_than(self) -> Option<Self> {
        match self {
            Self::TDRelaunchAdvised => Some(Self::OutOfDate),
            Self::TDRelaunchAdvisedConfigurationNeeded => Some(Self::OutOfDateConfigurationNeeded),
            _ => None,
        }
    }
}

impl fmt::Display for TcbStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Intel has no status of this name. The fault is the configuration's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown TCB status {0:?}")]
pub struct UnknownStatus(pub String);

impl FromStr for TcbStatus {
    type Err = UnknownStatus;

    fn from_str(name: &str) -> Result<Self, UnknownStatus> {
        Self::ALL
            .into_iter()
            .find(|status| status.name() == name)
            .ok_or_else(|| UnknownStatus(name.chars().take(48).collect()))
    }
}
