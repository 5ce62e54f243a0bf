//! Evidence inside the transition: fresh by slots, bound to this chain,
//! worker and session, judged at the block's own time.

use super::Env;
use crate::action::BoundEvidence;
use crate::keys;
use crate::primitives::{Account, BlockId, Slot};
use crate::records::EvidenceSummary;
use crate::refusal::Refusal;
use crate::view::View;
use aether_tee::{Binding, Endorsements, Evidence, UnixTime, appraise, is_canonical};

/// Appraises evidence at this block's time; `kinds` empty means any kind of
/// the network.
pub(super) fn appraise_bound(
    env: &Env<'_>,
    view: &View<'_>,
    worker: &Account,
    session_key: &[u8; 32],
    evidence: &BoundEvidence,
    kinds: &[u8],
) -> Result<EvidenceSummary, Refusal> {
    if !kinds.is_empty() && !kinds.contains(&evidence.kind.code()) {
        return Err(Refusal::Never(
            "the job does not accept this kind of evidence",
        ));
    }
    let age_max = env.rules.params().evidence_age_slots_max;
    if evidence.slot >= env.ctx.slot {
        return Err(Refusal::NotNow(
            "the evidence names a slot that has no block yet",
        ));
    }
    if env.ctx.slot.since(evidence.slot) > age_max {
        return Err(Refusal::Over("the evidence is too old"));
    }
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
    is_canonical(&document).map_err(|e| Refusal::Evidence(e.to_string()))?;
    let appraisal = appraise(
        &document,
        &Endorsements::none(),
        &env.rules.anchors,
        &env.rules.policy,
        &binding,
        UnixTime(env.ctx.time_ms / 1_000),
    )
    .map_err(|refusal| Refusal::Evidence(refusal.to_string()))?;
    Ok(EvidenceSummary {
        kind: evidence.kind.code(),
        digest: appraisal.signed_digest,
        measured: appraisal.measured,
        slot: evidence.slot,
        block,
    })
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
