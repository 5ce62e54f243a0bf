//! Evidence inside the transition: fresh by slots, bound to this chain,
//! worker and session, judged at the block's own time by the rules in force,
//! and resting on nothing older than what the network has seen.

use super::Env;
use super::governance::rules_in_force;
use crate::action::BoundEvidence;
use crate::keys;
use crate::primitives::{Account, BlockId, Slot};
use crate::records::EvidenceSummary;
use crate::refusal::Refusal;
use crate::tee::{Counted, RatchetRecord, counted};
use crate::view::View;
use aether_tee::{
    Appraisal, Binding, Endorsements, Evidence, RefusalClass, UnixTime, appraise, is_canonical,
};

/// What evidence proved, for the state and for the handler.
pub(super) struct Appraised {
    pub(super) summary: EvidenceSummary,
    pub(super) measurement: [u8; 48],
    pub(super) platform: Option<[u8; 32]>,
}

/// Appraises evidence at this block's time; `kinds` empty means any kind of
/// the network. Remembers what must not go back.
pub(super) fn appraise_bound(
    env: &Env<'_>,
    view: &mut View<'_>,
    worker: &Account,
    session_key: &[u8; 32],
    evidence: &BoundEvidence,
    kinds: &[u8],
) -> Result<Appraised, Refusal> {
    if !kinds.is_empty() && !kinds.contains(&evidence.kind.code()) {
        return Err(Refusal::Never(
            "the job does not accept this kind of evidence",
        ));
    }
    must_be_fresh(env, evidence)?;
    let block: BlockId = block_id_at(env, view, evidence.slot)?;
    let binding = Binding::new(
        env.rules.chain_id.as_bytes(),
        worker.as_bytes(),
        session_key,
        evidence.slot.0,
        block.as_bytes(),
    );
    let document = Evidence {
        kind: evidence.kind,
        bytes: evidence.document.clone(),
    };
    // Whoever sends a second form of the same evidence made it himself.
    is_canonical(&document).map_err(|e| Refusal::Forged(e.to_string()))?;
    let endorsements = match &evidence.endorsements {
        None => Endorsements::none(),
        Some(bundle) => Endorsements(
            env.library
                .blob(bundle)
                .ok_or(Refusal::BlobMissing(*bundle))?
                .to_vec(),
        ),
    };
    let (sequence, rules) = rules_in_force(env, view)?;
    let appraisal = appraise(
        &document,
        &endorsements,
        &env.rules.anchors,
        &rules.policy(&env.rules.policy),
        &binding,
        UnixTime(env.ctx.time_ms / 1_000),
    )
    .map_err(|refusal| match refusal.class() {
        RefusalClass::Forged => Refusal::Forged(refusal.to_string()),
        RefusalClass::Untimely | RefusalClass::Unwanted => Refusal::Evidence(refusal.to_string()),
    })?;
    hold_ratchets(env, view, &appraisal)?;
    if let Some(bundle) = &evidence.endorsements {
        view.mark(keys::bundle(&bundle.id));
    }
    Ok(Appraised {
        summary: EvidenceSummary {
            kind: evidence.kind.code(),
            digest: appraisal.signed_digest,
            measured: appraisal.measured,
            slot: evidence.slot,
            block,
            rules: sequence,
        },
        measurement: appraisal.measurement.0,
        platform: appraisal.platform_id.map(|id| id.0),
    })
}

/// Whether the evidence names a past slot that is young enough.
pub(super) fn must_be_fresh(env: &Env<'_>, evidence: &BoundEvidence) -> Result<(), Refusal> {
    if evidence.slot >= env.ctx.slot {
        return Err(Refusal::NotNow(
            "the evidence names a slot that has no block yet",
        ));
    }
    let age_max = env.rules.params().evidence_age_slots_max;
    if env.ctx.slot.since(evidence.slot) > age_max {
        return Err(Refusal::Over("the evidence is too old"));
    }
    Ok(())
}

/// Refuses what is older than the network has seen, and remembers what is
/// newer.
fn hold_ratchets(env: &Env<'_>, view: &mut View<'_>, appraisal: &Appraisal) -> Result<(), Refusal> {
    for Counted {
        key,
        value,
        graced,
        what,
    } in counted(&appraisal.details)
    {
        let key = keys::ratchet(&key);
        let seen: RatchetRecord = view.load(&key, "ratchet")?.unwrap_or_default();
        let grace = match graced {
            true => env.rules.params().collateral_grace_slots,
            false => 0,
        };
        let least = seen.least(env.ctx.slot, grace);
        if value < least {
            return Err(Refusal::Evidence(format!(
                "{what} is {value}, the network has seen {least}: fetch the vendor's newest"
            )));
        }
        let raised = seen.raised(value, env.ctx.slot, grace);
        if raised != seen {
            view.store(key, &raised)?;
        }
    }
    Ok(())
}

/// Id of a past slot's block; slot 0 is the genesis itself.
fn block_id_at(env: &Env<'_>, view: &View<'_>, slot: Slot) -> Result<BlockId, Refusal> {
    if slot.0 == 0 {
        return Ok(BlockId(env.rules.chain_id.0));
    }
    if slot.0 + 1 == env.ctx.slot.0 {
        return Ok(env.ctx.parent_id);
    }
    view.load(&keys::block_id(slot), "block id")?
        .ok_or(Refusal::NotNow("the evidence names a block we do not know"))
}
