//! Which evidence counts: a network's list of programs, its least firmware,
//! and how these change.
//!
//! - The genesis says what counts at first ([`TeeRules`] of sequence 0).
//!   Validators with more than 2/3 of the power replace the whole by voting
//!   for the same rules under the next sequence; those take effect
//!   `governance_delay_slots` later, one change at a time.
//! - Every version stays in the state under its sequence, and a VCR's record
//!   names the version it was judged by, so that the same verdict comes out
//!   years later.
//! - What vendors publish never goes back. The numbers of revocation lists
//!   count at once; a TCB evaluation number and an issue date count after
//!   `collateral_grace_slots`, until when the older one still does.
//!   Numbers are compared within what one authority counts: AMD's per
//!   product, Intel's per family of platforms.

use crate::keys;
use crate::primitives::Slot;
use crate::refusal::Refusal;
use crate::state::StateReader;
use crate::view::load;
use crate::wire::{WireError, pb};
use aether_tee::{Details, Measurement, Policy, SnpProduct, SnpTcb, TcbStatus};
use borsh::{BorshDeserialize, BorshSerialize};
use serde::Serialize;

/// Most measurements that a network lists.
pub const MEASUREMENTS_MAX: usize = 256;

/// AMD's products in the order of their codes, from 1.
const PRODUCTS: [SnpProduct; 3] = [SnpProduct::Milan, SnpProduct::Genoa, SnpProduct::Turin];

/// What evidence must satisfy beside being genuine, as far as it may change.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize)]
pub struct TeeRules {
    /// Programs that count, strictly ascending; empty: any, and receipts say
    /// `unmeasured`.
    #[serde(serialize_with = "as_hex")]
    pub measurements: Vec<[u8; 48]>,
    /// Least firmware for AMD's products, by ascending product; products that
    /// are not here have none.
    pub snp_tcb_min: Vec<SnpTcbMin>,
    /// Values of TDX's runtime registers that count, with the register's
    /// number, strictly ascending; of a register without any, all count. A TD's
    /// measurement is its firmware only: kernel and disk are in these.
    #[serde(skip)]
    pub tdx_rtmrs: Vec<(u8, [u8; 48])>,
    /// Positions in [`TcbStatus::ALL`] that count, strictly ascending.
    pub tdx_tcb_statuses: Vec<u8>,
    /// An out-of-date TDX platform counts for so long after the level that
    /// superseded it, seconds.
    pub tdx_grace_s: u64,
}

/// The least firmware of one of AMD's products.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize, Serialize,
)]
pub struct SnpTcbMin {
    /// 1 Milan, 2 Genoa, 3 Turin.
    pub product: u8,
    /// Turin's microcontroller; 0 elsewhere.
    pub fmc: u8,
    /// Boot loader.
    pub bootloader: u8,
    /// Operating system of the security processor.
    pub tee: u8,
    /// SNP firmware.
    pub snp: u8,
    /// Microcode.
    pub microcode: u8,
}

/// A version of the rules, as the state keeps it for good.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize)]
pub struct TeeRulesRecord {
    /// First slot in which it counts.
    pub effective: Slot,
    /// The rules.
    pub rules: TeeRules,
}

/// The newest rules in a state, if validators ever voted: their sequence and
/// record. They may not count yet.
pub fn newest_rules(state: &dyn StateReader) -> Result<Option<(u64, TeeRulesRecord)>, Refusal> {
    let newest: u64 = load(state, keys::TEE_SEQUENCE, "sequence")?.unwrap_or(0);
    if newest == 0 {
        return Ok(None);
    }
    let record = load(state, &keys::tee_rules(newest), "rules of evidence")?;
    Ok(record.map(|record| (newest, record)))
}

/// The rules that a block of this slot is judged by, and their sequence.
pub fn rules_at(
    state: &dyn StateReader,
    genesis: &TeeRules,
    slot: Slot,
) -> Result<(u64, TeeRules), Refusal> {
    let Some((newest, record)) = newest_rules(state)? else {
        return Ok((0, genesis.clone()));
    };
    if record.effective <= slot {
        return Ok((newest, record.rules));
    }
    // At most one version is waiting.
    if newest == 1 {
        return Ok((0, genesis.clone()));
    }
    let before: Option<TeeRulesRecord> =
        load(state, &keys::tee_rules(newest - 1), "rules of evidence")?;
    let before = before.ok_or(Refusal::Corrupted("the rules of evidence are missing"))?;
    Ok((newest - 1, before.rules))
}

/// The highest number seen of something that never goes back.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize,
)]
pub struct RatchetRecord {
    /// The highest.
    pub value: u64,
    /// What counts until the grace is over.
    pub before: u64,
    /// When the highest was first seen.
    pub since: Slot,
}

impl RatchetRecord {
    /// The least that counts at a slot.
    pub fn least(&self, slot: Slot, grace_slots: u64) -> u64 {
        if slot.since(self.since) >= grace_slots {
            self.value
        } else {
            self.before
        }
    }

    /// With a number that was accepted at a slot.
    pub fn raised(self, value: u64, slot: Slot, grace_slots: u64) -> Self {
        if value <= self.value {
            return self;
        }
        Self {
            value,
            before: self.least(slot, grace_slots),
            since: slot,
        }
    }
}

/// Something whose numbers never go back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Counted {
    /// Its key after the prefix.
    pub(crate) key: Vec<u8>,
    /// The number that the appraised evidence rests on.
    pub(crate) value: u64,
    /// Whether a raised number counts only after the grace.
    pub(crate) graced: bool,
    /// What to call it.
    pub(crate) what: &'static str,
}

/// Numbers that an appraisal rests on and that must not go back.
pub(crate) fn counted(details: &Details) -> Vec<Counted> {
    let one = |tag: u8, of: &[u8], value, graced, what| {
        let mut key = vec![tag];
        key.extend_from_slice(of);
        Counted {
            key,
            value,
            graced,
            what,
        }
    };
    match details {
        Details::None => Vec::new(),
        Details::SevSnp(snp) => snp
            .crl_number
            .map(|number| {
                let product = product_code(snp.product);
                one(1, &[product], number, false, "AMD's revocation list")
            })
            .into_iter()
            .collect(),
        Details::Tdx(tdx) => vec![
            one(
                2,
                &[],
                tdx.root_crl_number,
                false,
                "Intel's root revocation list",
            ),
            one(
                3,
                &tdx.fmspc,
                tdx.pck_crl_number,
                false,
                "Intel's PCK revocation list",
            ),
            one(
                4,
                &tdx.fmspc,
                u64::from(tdx.evaluation_number),
                true,
                "the TCB evaluation number",
            ),
            one(
                5,
                &tdx.fmspc,
                tdx.tcb_info_date.0,
                true,
                "the TCB info's issue date",
            ),
        ],
    }
}

fn product_code(product: SnpProduct) -> u8 {
    PRODUCTS
        .iter()
        .position(|p| *p == product)
        .map_or(0, |at| at as u8 + 1)
}

impl TeeRules {
    /// Whether lists are short, ascending and of known things.
    pub fn check(&self) -> Result<(), &'static str> {
        if self.measurements.len() > MEASUREMENTS_MAX
            || self.measurements.windows(2).any(|w| w[0] >= w[1])
        {
            return Err("measurements are not a short ascending list");
        }
        let known = |p: u8| p >= 1 && usize::from(p) <= PRODUCTS.len();
        let products = &self.snp_tcb_min;
        if products.iter().any(|t| !known(t.product))
            || products.windows(2).any(|w| w[0].product >= w[1].product)
        {
            return Err("least TCBs are not an ascending list of AMD's products");
        }
        if self.tdx_rtmrs.len() > MEASUREMENTS_MAX
            || self.tdx_rtmrs.iter().any(|(register, _)| *register > 3)
            || self.tdx_rtmrs.windows(2).any(|w| w[0] >= w[1])
        {
            return Err("RTMRs are not a short ascending list of registers 0 to 3");
        }
        let revoked = |s: &u8| {
            TcbStatus::ALL
                .get(usize::from(*s))
                .is_none_or(|s| *s == TcbStatus::Revoked)
        };
        if self.tdx_tcb_statuses.iter().any(revoked)
            || self.tdx_tcb_statuses.windows(2).any(|w| w[0] >= w[1])
        {
            return Err("TDX statuses are not an ascending list of acceptable ones");
        }
        Ok(())
    }

    /// Whether this program counts: on the list, or there is none.
    pub fn lists(&self, measurement: &[u8; 48]) -> bool {
        self.measurements.is_empty() || self.measurements.contains(measurement)
    }

    /// The genesis' policy with these rules in it.
    pub fn policy(&self, genesis: &Policy) -> Policy {
        let mut policy = genesis.clone();
        policy.measurements = self.measurements.iter().copied().map(Measurement).collect();
        policy.snp.least_tcb = self
            .snp_tcb_min
            .iter()
            .filter_map(|t| {
                Some((
                    *PRODUCTS.get(usize::from(t.product).checked_sub(1)?)?,
                    t.tcb(),
                ))
            })
            .collect();
        for (register, value) in &self.tdx_rtmrs {
            if let Some(list) = policy.tdx.rtmrs.get_mut(usize::from(*register)) {
                list.push(Measurement(*value));
            }
        }
        policy.tdx.accepted_tcb_status = self
            .tdx_tcb_statuses
            .iter()
            .filter_map(|s| TcbStatus::ALL.get(usize::from(*s)).copied())
            .collect();
        policy.tdx.out_of_date_grace_seconds = self.tdx_grace_s;
        policy
    }

    pub(crate) fn from_pb(r: &pb::TeeRules) -> Result<Self, WireError> {
        let measurements = r.measurements.iter();
        let minimums = r.snp_tcb_min.iter();
        Ok(Self {
            measurements: measurements
                .map(|m| crate::wire::fixed(m, "tee.measurement"))
                .collect::<Result<_, _>>()?,
            snp_tcb_min: minimums
                .map(|m| {
                    let [product, fmc, bootloader, tee, snp, microcode] =
                        crate::wire::fixed(m, "tee.snp_tcb_min")?;
                    Ok(SnpTcbMin {
                        product,
                        fmc,
                        bootloader,
                        tee,
                        snp,
                        microcode,
                    })
                })
                .collect::<Result<_, WireError>>()?,
            tdx_rtmrs: r
                .tdx_rtmrs
                .iter()
                .map(|bytes| {
                    let bytes: [u8; 49] = crate::wire::fixed(bytes, "tee.tdx_rtmr")?;
                    let [register, value @ ..] = bytes;
                    Ok((register, value))
                })
                .collect::<Result<_, WireError>>()?,
            tdx_tcb_statuses: r.tdx_tcb_statuses.clone(),
            tdx_grace_s: r.tdx_grace_s,
        })
    }

    pub(crate) fn to_pb(&self) -> pb::TeeRules {
        pb::TeeRules {
            measurements: self.measurements.iter().map(|m| m.to_vec()).collect(),
            snp_tcb_min: self
                .snp_tcb_min
                .iter()
                .map(|t| vec![t.product, t.fmc, t.bootloader, t.tee, t.snp, t.microcode])
                .collect(),
            tdx_rtmrs: self
                .tdx_rtmrs
                .iter()
                .map(|(register, value)| [&[*register], &value[..]].concat())
                .collect(),
            tdx_tcb_statuses: self.tdx_tcb_statuses.clone(),
            tdx_grace_s: self.tdx_grace_s,
        }
    }
}

impl SnpTcbMin {
    fn tcb(&self) -> SnpTcb {
        SnpTcb {
            fmc: self.fmc,
            bootloader: self.bootloader,
            tee: self.tee,
            snp: self.snp,
            microcode: self.microcode,
        }
    }
}

fn as_hex<S: serde::Serializer>(list: &[[u8; 48]], s: S) -> Result<S::Ok, S::Error> {
    s.collect_seq(list.iter().map(hex::encode))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_raised_number_counts_after_the_grace_and_the_older_until_then() {
        let seen = RatchetRecord::default().raised(7, Slot(10), 100);
        assert_eq!(seen.least(Slot(10), 100), 0);
        assert_eq!(seen.least(Slot(109), 100), 0);
        assert_eq!(seen.least(Slot(110), 100), 7);
        // The next one comes while the first still has its grace: nothing
        // that counted is cut off earlier than it was told.
        let next = seen.raised(9, Slot(50), 100);
        assert_eq!(next.least(Slot(110), 100), 0);
        assert_eq!(next.least(Slot(150), 100), 9);
        // And after it, the first is what counts meanwhile.
        let later = seen.raised(9, Slot(200), 100);
        assert_eq!(later.least(Slot(299), 100), 7);
        assert_eq!(later.least(Slot(300), 100), 9);
        assert_eq!(later.raised(8, Slot(310), 100), later);
    }

    #[test]
    fn without_grace_a_number_counts_at_once() {
        let seen = RatchetRecord::default().raised(7, Slot(10), 0);
        assert_eq!(seen.least(Slot(10), 0), 7);
    }

    #[test]
    fn rules_are_short_ascending_lists_of_known_things() {
        let min = |product| SnpTcbMin {
            product,
            fmc: 0,
            bootloader: 1,
            tee: 0,
            snp: 2,
            microcode: 3,
        };
        let table: [(&str, TeeRules); 8] = [
            (
                "a fifth register",
                TeeRules {
                    tdx_rtmrs: vec![(4, [1; 48])],
                    ..Default::default()
                },
            ),
            (
                "a measurement twice",
                TeeRules {
                    measurements: vec![[1; 48]; 2],
                    ..Default::default()
                },
            ),
            (
                "too many",
                TeeRules {
                    measurements: (0..=256u16)
                        .map(|i| {
                            let mut m = [0; 48];
                            m[..2].copy_from_slice(&i.to_be_bytes());
                            m
                        })
                        .collect(),
                    ..Default::default()
                },
            ),
            (
                "product 0",
                TeeRules {
                    snp_tcb_min: vec![min(0)],
                    ..Default::default()
                },
            ),
            (
                "product 4",
                TeeRules {
                    snp_tcb_min: vec![min(4)],
                    ..Default::default()
                },
            ),
            (
                "products out of order",
                TeeRules {
                    snp_tcb_min: vec![min(2), min(1)],
                    ..Default::default()
                },
            ),
            (
                "revoked platforms",
                TeeRules {
                    tdx_tcb_statuses: vec![8],
                    ..Default::default()
                },
            ),
            (
                "no such status",
                TeeRules {
                    tdx_tcb_statuses: vec![9],
                    ..Default::default()
                },
            ),
        ];
        for (what, rules) in table {
            assert!(rules.check().is_err(), "{what}");
        }
        let good = TeeRules {
            measurements: vec![[1; 48], [2; 48]],
            snp_tcb_min: vec![min(1), min(3)],
            tdx_rtmrs: vec![(1, [4; 48]), (3, [2; 48])],
            tdx_tcb_statuses: vec![0, 1, 6],
            tdx_grace_s: 5,
        };
        assert_eq!(good.check(), Ok(()));
        assert_eq!(TeeRules::from_pb(&good.to_pb()), Ok(good));
    }
}
