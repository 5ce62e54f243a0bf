//! The node, its blocks, and bytes that came with them.

use super::{Answer, Shared, blocking, bytes, json, parse, with_state};
use crate::rpc::backend::Backend;
use crate::rpc::error::ApiError;
use crate::rpc::views::{BlockView, GenesisView};
use aether_mesh::{
    Action, BlobRef, JobId, JobRecord, Payload, SignedTx, Slot, TX_BODY_BYTES_MAX, TxId, keys,
    load, pb, wire,
};
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use std::sync::Arc;

pub(super) async fn status(State(shared): State<Arc<Shared>>) -> Answer {
    json(&blocking(&shared, |node| Ok(node.status())).await?)
}

pub(super) async fn peers(State(shared): State<Arc<Shared>>) -> Answer {
    json(&blocking(&shared, |node| Ok(node.peers())).await?)
}

pub(super) async fn genesis(State(shared): State<Arc<Shared>>) -> Answer {
    let rules = shared.backend.rules();
    json(&GenesisView {
        chain_id: rules.chain_id,
        genesis: rules.genesis.clone(),
    })
}

pub(super) async fn block(State(shared): State<Arc<Shared>>, Path(slot): Path<String>) -> Answer {
    let slot = Slot(parse(&slot, "slot")?);
    let view = blocking(&shared, move |node| {
        let found = node.block(slot);
        let (block, certificate) =
            found.ok_or_else(|| ApiError::not_found(format!("no block at slot {slot} here")))?;
        Ok(BlockView::new(&block, &certificate))
    })
    .await?;
    json(&view)
}

pub(super) async fn receipt(State(shared): State<Arc<Shared>>, Path(job): Path<String>) -> Answer {
    let job: JobId = parse(&job, "job")?;
    let receipt = blocking(&shared, move |node| {
        // Two different answers: there is no such job, or no receipt of it.
        job_record(node, &job)?;
        node.receipt(&job).map_err(ApiError::not_found)
    })
    .await?;
    bytes(receipt.encode())
}

pub(super) async fn job_input(
    State(shared): State<Arc<Shared>>,
    Path(job): Path<String>,
) -> Answer {
    let job: JobId = parse(&job, "job")?;
    let found = blocking(&shared, move |node| {
        let record = job_record(node, &job)?;
        let posting = TxId(job.0);
        held_or_inline(
            node,
            &record.input,
            record.posted,
            &posting,
            |action| match action {
                Action::PostJob(terms) => Some(terms.input),
                _ => None,
            },
        )
    });
    bytes(found.await?)
}

pub(super) async fn job_output(
    State(shared): State<Arc<Shared>>,
    Path(job): Path<String>,
) -> Answer {
    let job: JobId = parse(&job, "job")?;
    let found = blocking(&shared, move |node| {
        let record = job_record(node, &job)?;
        let vcr = record.vcr.ok_or_else(|| {
            ApiError::not_found("this job has no output yet: its VCR is in no block")
        })?;
        held_or_inline(
            node,
            &vcr.output,
            vcr.slot,
            &vcr.tx,
            |action| match action {
                Action::SubmitVcr { vcr, .. } => Some(vcr.output),
                _ => None,
            },
        )
    });
    bytes(found.await?)
}

fn job_record(node: &dyn Backend, job: &JobId) -> Result<JobRecord, ApiError> {
    with_state(node, |_, state| Ok(load(state, &keys::job(job), "job")?))?
        .ok_or_else(|| ApiError::not_found(format!("no job {job} in this network")))
}

/// Bytes from the store, or out of the transaction that carried them inline.
fn held_or_inline(
    node: &dyn Backend,
    wanted: &BlobRef,
    slot: Slot,
    tx: &TxId,
    pick: impl FnOnce(Action) -> Option<Payload>,
) -> Result<Body, ApiError> {
    if let Some(held) = node.blob(wanted) {
        return Ok(Body::from(Bytes::from_owner(held)));
    }
    let gone = || ApiError::not_found("this node no longer holds these bytes; ask another one");
    let (block, _) = node.block(slot).ok_or_else(gone)?;
    let carrier = block.txs.iter().find(|t| t.id() == *tx).ok_or_else(gone)?;
    match action_of(carrier).and_then(pick) {
        Some(Payload::Inline(bytes)) if BlobRef::of(&bytes) == *wanted => Ok(Body::from(bytes)),
        _ => Err(gone()),
    }
}

fn action_of(tx: &SignedTx) -> Option<Action> {
    let body = wire::decode::<pb::TxBody>(&tx.body, TX_BODY_BYTES_MAX).ok()?;
    Action::from_pb(body.action.as_ref()?).ok()
}
