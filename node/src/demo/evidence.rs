//! Evidence in the story: workers register what they run in, renew that while
//! they are there, and stale evidence is refused.

use super::stage::*;
use super::summary::EvidenceSummary;
use crate::roles::{Attester as _, SimulatedTee};
use crate::rpc::views::WorkerView;
use crate::rpc::{Client, ClientError, ErrorCode};
use aether_mesh::{Account, Action, Params, Slot, TxBody, TxId};
use ed25519_dalek::SigningKey;

/// A short life for registrations and a short freshness for evidence, so that
/// both ends are seen within the story.
pub(super) fn params() -> Params {
    Params {
        evidence_age_slots_max: 15,
        registration_slots: 24,
        ..Params::default()
    }
}

/// Waits for everybody to have registered.
pub(super) fn tell_registrations(stage: &mut Stage) -> Done<()> {
    let workers = await_that(stage, "workers to attest what they run in", |s| {
        let found = coordinator_client(s)?.workers(100)?.items;
        let all = found.len() >= 3 && found.iter().all(|w| w.registration.is_some());
        Ok(all.then_some(found))
    })?;
    let Some(first) = workers
        .iter()
        .filter_map(|w| w.registration.as_ref())
        .next()
    else {
        return Err(text("no worker is registered"));
    };
    let program = first.measurement.get(..8).unwrap_or_default();
    stage.tell.say(format!(
        "three workers registered: {} TEE, program {program}…, until slot {}",
        first.kind, first.until
    ));
    stage.registered_until = first.until;
    Ok(())
}

/// A worker's own TEE, spoken to directly.
struct Platform {
    key: SigningKey,
    tee: SimulatedTee,
}

impl Platform {
    fn of(stage: &Stage, name: &str) -> Done<Self> {
        let member = stage.net.folder.member(name);
        let member = member.ok_or_else(|| text(format!("no {name}")))?;
        let seed = crate::cli::load_key(&member.key()).map_err(text)?;
        let pem = std::fs::read_to_string(member.tee()).map_err(text)?;
        Ok(Self {
            key: SigningKey::from_bytes(&seed),
            tee: SimulatedTee::from_pem(&pem).map_err(text)?,
        })
    }

    fn account(&self) -> Account {
        Account(self.key.verifying_key().to_bytes())
    }

    /// Registers with evidence that is bound to this slot.
    fn register(
        &self,
        stage: &Stage,
        client: &Client,
        slot: Slot,
        head: Slot,
    ) -> Done<Result<TxId, ClientError>> {
        let chain = &stage.rules.chain_id;
        let block = client.block(slot)?.id;
        let now = crate::service::now_ms() / 1_000;
        let evidence = self
            .tee
            .evidence(chain, &self.account(), slot, &block, now)
            .map_err(text)?
            .evidence;
        let action = Action::Attest {
            session_key: self.tee.session_key(),
            evidence,
        };
        let body = TxBody {
            nonce: 0,
            expiry_slot: head.after(10),
            action,
        };
        Ok(client.submit(&body.sign(&self.key, chain)))
    }
}

/// A registration with stale evidence is refused; the workers renewed theirs
/// meanwhile.
pub(super) fn tell_staleness(stage: &mut Stage) -> Done<()> {
    stage.tell.chapter("Evidence grows stale");
    const WHO: &str = "worker-1";
    let age_max = stage.rules.params().evidence_age_slots_max;
    let platform = Platform::of(stage, WHO)?;
    let age = age_max + 2;
    let head = await_that(stage, "evidence to grow old", |s| {
        let height = status(s, "coordinator-1")?.height;
        Ok((height.0 > age).then_some(height))
    })?;
    let client = coordinator_client(stage)?;
    let stale = platform.register(stage, &client, Slot(head.0 - age), head)?;
    let why = match stale {
        Err(refusal) if matches!(refusal.code(), Some(ErrorCode::NotNow | ErrorCode::Invalid)) => {
            refusal.to_string()
        }
        Err(other) => return Err(text(format!("stale evidence was not judged: {other}"))),
        Ok(_) => return Err(text("stale evidence was taken")),
    };
    if !why.contains("too old") {
        return Err(text(format!(
            "stale evidence was refused for another reason: {why}"
        )));
    }
    stage.tell.say(format!(
        "{WHO}'s TEE attested a block of {age} slots ago: refused, \"{why}\""
    ));
    let before = stage.registered_until;
    let renewed = await_that(stage, "workers to renew their registrations", |s| {
        let found: Vec<WorkerView> = coordinator_client(s)?.workers(100)?.items;
        let until = found
            .iter()
            .filter_map(|w| w.registration.as_ref())
            .map(|r| r.until)
            .min();
        Ok(until.filter(|until| *until > before))
    })?;
    stage.tell.say(format!(
        "with fresh evidence all workers have renewed theirs: until slot {renewed} at least, not {before}"
    ));
    stage.summary.evidence = Some(EvidenceSummary {
        registered_until: before,
        renewed_until: renewed,
        stale_age_slots: age,
        stale_refused: why,
    });
    Ok(())
}
