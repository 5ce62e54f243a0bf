//! Records out of the committed state.
//!
//! Lists are read whole, up to [`SCANNED_MAX`] records, because keys are
//! hashes and the newest may stand anywhere; what was cut off is said so.

use super::{Answer, Shared, blocking, json, parse, with_state};
use crate::rpc::error::ApiError;
use crate::rpc::views::{
    AccountView, At, ChallengeView, CoordinatorView, JOB_STATUSES, JobView, Listing, ModelView,
    SupplyView, TeeView, ValidatorView, WorkerView, status_name,
};
use aether_mesh::{
    Account, AccountRecord, ChallengeRecord, CoordinatorRecord, JobId, JobRecord, ModelId,
    ModelRecord, Refusal, Slot, StateReader, Supply, ValidatorState, WorkerRecord, keys, load,
};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use borsh::BorshDeserialize;
use serde::Deserialize;
use std::sync::Arc;

/// Records looked at for one list.
const SCANNED_MAX: usize = 100_000;
/// Records read at a time.
const PAGE: usize = 1_000;
/// Records listed, unless the caller says how many.
const LISTED: usize = 100;
/// Records listed at most.
const LISTED_MAX: usize = 10_000;
/// All models, as `keys` lays them out.
const MODELS: &[u8] = b"m";
/// All challenges, as `keys` lays them out.
const CHALLENGES: &[u8] = b"x";

pub(super) async fn supply(State(shared): State<Arc<Shared>>) -> Answer {
    let view = blocking(&shared, |node| {
        with_state(node, |height, state| {
            let supply: Supply = load(state, keys::SUPPLY, "supply")?.unwrap_or_default();
            Ok(At {
                height,
                value: SupplyView::from(&supply),
            })
        })
    });
    json(&view.await?)
}

pub(super) async fn account(
    State(shared): State<Arc<Shared>>,
    Path(account): Path<String>,
) -> Answer {
    let account: Account = parse(&account, "account")?;
    let view = blocking(&shared, move |node| {
        with_state(node, |height, state| {
            // An account that nobody has paid yet has nothing; it is no error.
            let record: AccountRecord =
                load(state, &keys::account(&account), "account")?.unwrap_or_default();
            let worker: Option<WorkerRecord> = load(state, &keys::worker(&account), "worker")?;
            let coordinator: Option<CoordinatorRecord> =
                load(state, &keys::coordinator(&account), "coordinator")?;
            let validator: Option<ValidatorState> =
                load(state, &keys::validator(&account), "validator")?;
            let view = AccountView {
                worker_stake: worker.map(|w| w.stake),
                coordinator_stake: coordinator.map(|c| c.stake),
                validator: validator.as_ref().map(ValidatorView::from),
                ..AccountView::new(account, &record)
            };
            Ok(At {
                height,
                value: view,
            })
        })
    });
    json(&view.await?)
}

pub(super) async fn job(State(shared): State<Arc<Shared>>, Path(job): Path<String>) -> Answer {
    let job: JobId = parse(&job, "job")?;
    let view = blocking(&shared, move |node| {
        with_state(node, |height, state| {
            let record: Option<JobRecord> = load(state, &keys::job(&job), "job")?;
            let record = record
                .ok_or_else(|| ApiError::not_found(format!("no job {job} in this network")))?;
            Ok(At {
                height,
                value: JobView::new(job, &record),
            })
        })
    });
    json(&view.await?)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct JobsQuery {
    status: Option<String>,
    requester: Option<String>,
    worker: Option<String>,
    limit: Option<usize>,
}

pub(super) async fn jobs(
    State(shared): State<Arc<Shared>>,
    query: Result<Query<JobsQuery>, QueryRejection>,
) -> Answer {
    let query = well_formed(query)?;
    if let Some(status) = &query.status
        && !JOB_STATUSES.contains(&status.as_str())
    {
        let known = JOB_STATUSES.join(", ");
        return Err(ApiError::bad_request(format!(
            "status: expected one of {known}"
        )));
    }
    let account = |text: &Option<String>, what| -> Result<Option<Account>, ApiError> {
        text.as_deref().map(|t| parse(t, what)).transpose()
    };
    let (requester, worker) = (
        account(&query.requester, "requester")?,
        account(&query.worker, "worker")?,
    );
    let limit = query.limit;
    let list = blocking(&shared, move |node| {
        with_state(node, |height, state| {
            let wanted = |r: &JobRecord| {
                query
                    .status
                    .as_deref()
                    .is_none_or(|s| s == status_name(r.status))
                    && requester.is_none_or(|a| a == r.requester)
                    && worker.is_none_or(|a| r.assignment.as_ref().is_some_and(|x| x.worker == a))
            };
            let mut found = scan::<JobRecord>(state, keys::JOBS, "job")?;
            found.items.retain(|(_, r)| wanted(r));
            found
                .items
                .sort_by_key(|(_, r)| std::cmp::Reverse(r.posted));
            list(height, found, limit, |key, r| {
                Some(JobView::new(JobId::from_slice(key.get(1..)?)?, &r))
            })
        })
    });
    json(&list.await?)
}

pub(super) async fn job_challenges(
    State(shared): State<Arc<Shared>>,
    Path(job): Path<String>,
) -> Answer {
    let job: JobId = parse(&job, "job")?;
    json(
        &blocking(&shared, move |node| {
            challenges_under(node, &keys::challenges(&job), None)
        })
        .await?,
    )
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LimitQuery {
    limit: Option<usize>,
}

pub(super) async fn challenges(
    State(shared): State<Arc<Shared>>,
    query: Result<Query<LimitQuery>, QueryRejection>,
) -> Answer {
    let limit = well_formed(query)?.limit;
    json(
        &blocking(&shared, move |node| {
            challenges_under(node, CHALLENGES, limit)
        })
        .await?,
    )
}

fn challenges_under(
    node: &dyn crate::rpc::Backend,
    prefix: &[u8],
    limit: Option<usize>,
) -> Result<Listing<ChallengeView>, ApiError> {
    with_state(node, |height, state| {
        let mut found = scan::<ChallengeRecord>(state, prefix, "challenge")?;
        found.items.sort_by_key(|(_, c)| std::cmp::Reverse(c.slot));
        list(height, found, limit, |key, c| {
            let (job, challenger) = key.get(1..)?.split_at_checked(32)?;
            let (job, challenger) = (JobId::from_slice(job)?, Account::from_slice(challenger)?);
            Some(ChallengeView::new(job, challenger, &c))
        })
    })
}

pub(super) async fn workers(
    State(shared): State<Arc<Shared>>,
    query: Result<Query<LimitQuery>, QueryRejection>,
) -> Answer {
    let limit = well_formed(query)?.limit;
    let list = blocking(&shared, move |node| {
        with_state(node, |height, state| {
            let mut found = scan::<WorkerRecord>(state, keys::WORKERS, "worker")?;
            found.items.sort_by_key(|(_, w)| std::cmp::Reverse(w.stake));
            list(height, found, limit, |key, w| {
                let account = Account::from_slice(key.get(1..)?)?;
                Some(WorkerView::new(account, &w, height, &node.rules().genesis))
            })
        })
    });
    json(&list.await?)
}

pub(super) async fn worker(
    State(shared): State<Arc<Shared>>,
    Path(account): Path<String>,
) -> Answer {
    let account: Account = parse(&account, "worker")?;
    let view = blocking(&shared, move |node| {
        with_state(node, |height, state| {
            let record: Option<WorkerRecord> = load(state, &keys::worker(&account), "worker")?;
            let record = record.ok_or_else(|| {
                ApiError::not_found(format!("{account} is not bonded as a worker"))
            })?;
            let view = WorkerView::new(account, &record, height, &node.rules().genesis);
            Ok(At {
                height,
                value: view,
            })
        })
    });
    json(&view.await?)
}

pub(super) async fn tee(State(shared): State<Arc<Shared>>) -> Answer {
    let view = blocking(&shared, |node| {
        with_state(node, |height, state| {
            Ok(At {
                height,
                value: TeeView::of(state, node.rules(), height)?,
            })
        })
    });
    json(&view.await?)
}

pub(super) async fn coordinators(
    State(shared): State<Arc<Shared>>,
    query: Result<Query<LimitQuery>, QueryRejection>,
) -> Answer {
    let limit = well_formed(query)?.limit;
    let list = blocking(&shared, move |node| {
        with_state(node, |height, state| {
            let mut found = scan::<CoordinatorRecord>(state, keys::COORDINATORS, "coordinator")?;
            found.items.sort_by_key(|(_, c)| std::cmp::Reverse(c.stake));
            list(height, found, limit, |key, c| {
                let account = Account::from_slice(key.get(1..)?)?;
                Some(CoordinatorView {
                    account,
                    stake: c.stake,
                })
            })
        })
    });
    json(&list.await?)
}

pub(super) async fn models(
    State(shared): State<Arc<Shared>>,
    query: Result<Query<LimitQuery>, QueryRejection>,
) -> Answer {
    let limit = well_formed(query)?.limit;
    let list = blocking(&shared, move |node| {
        with_state(node, |height, state| {
            let mut found = scan::<ModelRecord>(state, MODELS, "model")?;
            found.items.sort_by_key(|(_, m)| std::cmp::Reverse(m.slot));
            list(height, found, limit, |key, m| {
                Some(ModelView::new(ModelId::from_slice(key.get(1..)?)?, &m))
            })
        })
    });
    json(&list.await?)
}

pub(super) async fn model(State(shared): State<Arc<Shared>>, Path(model): Path<String>) -> Answer {
    let model: ModelId = parse(&model, "model")?;
    let view = blocking(&shared, move |node| {
        with_state(node, |height, state| {
            let record: Option<ModelRecord> = load(state, &keys::model(&model), "model")?;
            let record = record.ok_or_else(|| {
                ApiError::not_found(format!("no model {model} is registered in this network"))
            })?;
            Ok(At {
                height,
                value: ModelView::new(model, &record),
            })
        })
    });
    json(&view.await?)
}

fn well_formed<T>(query: Result<Query<T>, QueryRejection>) -> Result<T, ApiError> {
    query
        .map(|q| q.0)
        .map_err(|e| ApiError::bad_request(e.body_text()))
}

/// Records found under a prefix.
struct Found<T> {
    items: Vec<(Vec<u8>, T)>,
    truncated: bool,
}

fn scan<T: BorshDeserialize>(
    state: &dyn StateReader,
    prefix: &[u8],
    what: &'static str,
) -> Result<Found<T>, ApiError> {
    let mut items = Vec::new();
    let mut from = prefix.to_vec();
    loop {
        let page = state.scan(prefix, &from, PAGE)?;
        let ended = page.len() < PAGE;
        if let Some((last, _)) = page.last() {
            from.clone_from(last);
            // The smallest key after it.
            from.push(0);
        }
        for (key, bytes) in page {
            let record = T::try_from_slice(&bytes).map_err(|_| Refusal::Corrupted(what))?;
            items.push((key, record));
        }
        if ended || items.len() >= SCANNED_MAX {
            return Ok(Found {
                items,
                truncated: !ended,
            });
        }
    }
}

fn list<T, V>(
    height: Slot,
    found: Found<T>,
    limit: Option<usize>,
    view: impl Fn(&[u8], T) -> Option<V>,
) -> Result<Listing<V>, ApiError> {
    let limit = limit.unwrap_or(LISTED).min(LISTED_MAX);
    let truncated = found.truncated || found.items.len() > limit;
    let items = found
        .items
        .into_iter()
        .take(limit)
        .filter_map(|(k, r)| view(&k, r))
        .collect();
    Ok(Listing {
        height,
        items,
        truncated,
    })
}
