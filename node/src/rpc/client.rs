//! The blocking client: one method a route.
//!
//! An error tells apart who is to be asked next: nobody answered
//! ([`ClientError::Unreachable`]), the node answered no
//! ([`ClientError::Refused`]), or what answered is no such node
//! ([`ClientError::Strange`]). It follows no redirect and uses no proxy, and
//! every answer is bounded.

use super::address::RpcAddress;
use super::error::{ApiError, ErrorCode};
use super::views::{
    AccountView, At, BlobView, BlockView, ChallengeView, CoordinatorView, EventLine, GenesisView,
    JobView, Listing, ModelView, NodeStatus, PeerView, Readiness, Submitted, SupplyView, TeeView,
    WorkerView,
};
use aether_mesh::{Account, BlobRef, JobId, ModelId, RECEIPT_BYTES_MAX, SignedTx, Slot, TxId};
use serde::de::DeserializeOwned;
use std::io::{BufRead, BufReader, Read};
use std::time::Duration;
use ureq::http::Response;
use ureq::{Agent, Body, BodyReader};

/// Connecting on one machine takes no time at all.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Longer than the server gives itself, so that its own answer arrives.
const CALL_TIMEOUT: Duration = Duration::from_secs(75);
/// Most bytes of a JSON answer: the longest list, with room.
const JSON_BYTES_MAX: u64 = 64 << 20;
/// Most bytes of a line of events: a block that is full of them.
const LINE_BYTES_MAX: u64 = 16 << 20;
/// Most bytes of a job's input or output, which may be blobs of any network.
const PAYLOAD_BYTES_MAX: u64 = 1 << 30;

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// Nobody answers there.
    #[error(
        "no node answers at {url} ({reason}); start one with `aether node run` or `aether dev`, or name another with --rpc"
    )]
    Unreachable {
        /// Where.
        url: String,
        /// What the system said.
        reason: String,
    },
    /// The node answered no.
    #[error("{0}")]
    Refused(ApiError),
    /// Something answers that does not speak this protocol.
    #[error("what answers at {url} is not an Aether node of this version: {reason}")]
    Strange {
        /// Where.
        url: String,
        /// What is wrong with the answer.
        reason: String,
    },
}

impl ClientError {
    /// The node's stable code, if it answered.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            ClientError::Refused(e) => Some(e.code),
            _ => None,
        }
    }
}

/// Turns "there is no such thing" into `None`.
pub fn found<T>(answer: Result<T, ClientError>) -> Result<Option<T>, ClientError> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(ClientError::Refused(e)) if e.code == ErrorCode::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

/// What to list of the jobs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobFilter {
    /// Only in this status.
    pub status: Option<String>,
    /// Only of this requester.
    pub requester: Option<Account>,
    /// Only assigned to this worker.
    pub worker: Option<Account>,
    /// At most so many.
    pub limit: Option<usize>,
}

/// Speaks to one node.
#[derive(Clone)]
pub struct Client {
    agent: Agent,
    url: String,
}

/// Every method answers so.
type Answer<T> = Result<T, ClientError>;

impl Client {
    /// For the node at an address; connects with the first call.
    pub fn new(address: &RpcAddress) -> Self {
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .max_redirects(0)
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_global(Some(CALL_TIMEOUT))
            .user_agent(concat!("aether/", env!("CARGO_PKG_VERSION")))
            .build()
            .new_agent();
        Self {
            agent,
            url: address.to_string(),
        }
    }

    /// The node's address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// `GET /v1/status`
    pub fn status(&self) -> Answer<NodeStatus> {
        self.json("/v1/status")
    }

    /// `GET /metrics`: Prometheus' text format.
    pub fn metrics(&self) -> Answer<String> {
        let bytes = self.bytes("/metrics", JSON_BYTES_MAX)?;
        String::from_utf8(bytes).map_err(|e| self.strange(e))
    }

    /// `GET /v1/peers`
    pub fn peers(&self) -> Answer<Vec<PeerView>> {
        self.json("/v1/peers")
    }

    /// `GET /v1/genesis`; its hash is computed again here.
    pub fn genesis(&self) -> Answer<GenesisView> {
        let view: GenesisView = self.json("/v1/genesis")?;
        if view.genesis.chain_id() != view.chain_id {
            return Err(self.strange("its genesis does not hash to its chain id"));
        }
        Ok(view)
    }

    /// `GET /v1/supply`
    pub fn supply(&self) -> Answer<At<SupplyView>> {
        self.json("/v1/supply")
    }

    /// `GET /v1/block/{slot}`
    pub fn block(&self, slot: Slot) -> Answer<BlockView> {
        self.json(&format!("/v1/block/{slot}"))
    }

    /// `GET /v1/account/{account}`
    pub fn account(&self, account: &Account) -> Answer<At<AccountView>> {
        self.json(&format!("/v1/account/{account}"))
    }

    /// `GET /v1/job/{job}`
    pub fn job(&self, job: &JobId) -> Answer<At<JobView>> {
        self.json(&format!("/v1/job/{job}"))
    }

    /// `GET /v1/jobs`
    pub fn jobs(&self, filter: &JobFilter) -> Answer<Listing<JobView>> {
        let mut query = Vec::new();
        query.extend(filter.status.as_ref().map(|s| format!("status={s}")));
        query.extend(filter.requester.map(|a| format!("requester={a}")));
        query.extend(filter.worker.map(|a| format!("worker={a}")));
        query.extend(filter.limit.map(|n| format!("limit={n}")));
        self.json(&format!("/v1/jobs?{}", query.join("&")))
    }

    /// `GET /v1/job/{job}/challenges`
    pub fn job_challenges(&self, job: &JobId) -> Answer<Listing<ChallengeView>> {
        self.json(&format!("/v1/job/{job}/challenges"))
    }

    /// `GET /v1/challenges`
    pub fn challenges(&self, limit: usize) -> Answer<Listing<ChallengeView>> {
        self.json(&format!("/v1/challenges?limit={limit}"))
    }

    /// `GET /v1/job/{job}/input`
    pub fn job_input(&self, job: &JobId) -> Answer<Vec<u8>> {
        self.bytes(&format!("/v1/job/{job}/input"), PAYLOAD_BYTES_MAX)
    }

    /// `GET /v1/job/{job}/output`
    pub fn job_output(&self, job: &JobId) -> Answer<Vec<u8>> {
        self.bytes(&format!("/v1/job/{job}/output"), PAYLOAD_BYTES_MAX)
    }

    /// `GET /v1/worker/{account}`
    pub fn worker(&self, account: &Account) -> Answer<At<WorkerView>> {
        self.json(&format!("/v1/worker/{account}"))
    }

    /// `GET /v1/workers`
    pub fn workers(&self, limit: usize) -> Answer<Listing<WorkerView>> {
        self.json(&format!("/v1/workers?limit={limit}"))
    }

    /// `GET /v1/tee`
    pub fn tee(&self) -> Answer<At<TeeView>> {
        self.json("/v1/tee")
    }

    /// `GET /v1/coordinators`
    pub fn coordinators(&self, limit: usize) -> Answer<Listing<CoordinatorView>> {
        self.json(&format!("/v1/coordinators?limit={limit}"))
    }

    /// `GET /v1/model/{model}`
    pub fn model(&self, model: &ModelId) -> Answer<At<ModelView>> {
        self.json(&format!("/v1/model/{model}"))
    }

    /// `GET /v1/models`
    pub fn models(&self, limit: usize) -> Answer<Listing<ModelView>> {
        self.json(&format!("/v1/models?limit={limit}"))
    }

    /// `GET /v1/receipt/{job}`: a receipt file's bytes.
    pub fn receipt(&self, job: &JobId) -> Answer<Vec<u8>> {
        self.bytes(&format!("/v1/receipt/{job}"), RECEIPT_BYTES_MAX as u64)
    }

    /// `GET /v1/blob/{blob}`; the bytes are checked against their address.
    pub fn blob(&self, blob: &BlobRef) -> Answer<Vec<u8>> {
        let path = format!("/v1/blob/{}?len={}", blob.id, blob.bytes_len);
        let bytes = self.bytes(&path, blob.bytes_len)?;
        if BlobRef::of(&bytes) != *blob {
            return Err(self.strange("a blob's bytes are not those of its address"));
        }
        Ok(bytes)
    }

    /// `POST /v1/blob`
    pub fn put_blob(&self, bytes: &[u8]) -> Answer<BlobRef> {
        let blob: BlobView = self.parsed(self.post("/v1/blob", bytes)?)?;
        let blob = BlobRef::from(blob);
        if blob != BlobRef::of(bytes) {
            return Err(self.strange("it keeps a blob under another address"));
        }
        Ok(blob)
    }

    /// `POST /v1/tx`
    pub fn submit(&self, tx: &SignedTx) -> Answer<TxId> {
        let submitted: Submitted = self.parsed(self.post("/v1/tx", &tx.encode())?)?;
        Ok(submitted.id)
    }

    /// `GET /readyz?verbose=1`
    pub fn readiness(&self) -> Answer<Readiness> {
        let mut response = self.get("/readyz?verbose=1")?;
        let body = self.body(&mut response, JSON_BYTES_MAX)?;
        // Not ready is an answer too, with its own status.
        serde_json::from_slice(&body).map_err(|e| self.strange(e))
    }

    /// `GET /v1/events`: every block from now on, or from a recent slot.
    pub fn events(&self, from: Option<Slot>) -> Answer<EventStream> {
        let query = from.map(|s| format!("?from={s}")).unwrap_or_default();
        let call = self
            .agent
            .get(format!("{}/v1/events{query}", self.url))
            .config()
            // It lasts as long as both sides want.
            .timeout_global(None)
            .build()
            .call();
        let response = self.checked(call.map_err(|e| self.failed(e))?)?;
        let reader = BufReader::new(response.into_body().into_reader());
        Ok(EventStream {
            reader,
            url: self.url.clone(),
        })
    }

    fn json<T: DeserializeOwned>(&self, path: &str) -> Answer<T> {
        self.parsed(self.checked(self.get(path)?)?)
    }

    fn bytes(&self, path: &str, limit: u64) -> Answer<Vec<u8>> {
        let mut response = self.checked(self.get(path)?)?;
        self.body(&mut response, limit)
    }

    fn get(&self, path: &str) -> Answer<Response<Body>> {
        let call = self.agent.get(format!("{}{path}", self.url)).call();
        call.map_err(|e| self.failed(e))
    }

    fn post(&self, path: &str, body: &[u8]) -> Answer<Response<Body>> {
        let call = self
            .agent
            .post(format!("{}{path}", self.url))
            .content_type("application/octet-stream")
            .send(body);
        self.checked(call.map_err(|e| self.failed(e))?)
    }

    fn parsed<T: DeserializeOwned>(&self, mut response: Response<Body>) -> Answer<T> {
        let body = self.body(&mut response, JSON_BYTES_MAX)?;
        serde_json::from_slice(&body).map_err(|e| self.strange(e))
    }

    fn checked(&self, mut response: Response<Body>) -> Answer<Response<Body>> {
        if response.status().is_success() {
            return Ok(response);
        }
        let body = self.body(&mut response, 1 << 20)?;
        match serde_json::from_slice::<ApiError>(&body) {
            Ok(e) => Err(ClientError::Refused(e)),
            Err(_) => Err(self.strange(format!("HTTP status {}", response.status()))),
        }
    }

    fn body(&self, response: &mut Response<Body>, limit: u64) -> Answer<Vec<u8>> {
        // The limit counts what it lets through; one byte more would be cut.
        let reader = response
            .body_mut()
            .with_config()
            .limit(limit.saturating_add(1));
        reader.read_to_vec().map_err(|e| self.failed(e))
    }

    fn failed(&self, e: ureq::Error) -> ClientError {
        use ureq::Error as E;
        match e {
            E::Io(e) => self.unreachable(e),
            E::Timeout(t) => self.unreachable(format!("time ran out: {t}")),
            E::HostNotFound => self.unreachable("the host has no address"),
            E::ConnectionFailed => self.unreachable("the connection failed"),
            other => self.strange(other),
        }
    }

    fn unreachable(&self, reason: impl ToString) -> ClientError {
        ClientError::Unreachable {
            url: self.url.clone(),
            reason: reason.to_string(),
        }
    }

    fn strange(&self, reason: impl ToString) -> ClientError {
        ClientError::Strange {
            url: self.url.clone(),
            reason: reason.to_string(),
        }
    }
}

/// Blocks as they are committed; ends when the node stops.
pub struct EventStream {
    reader: BufReader<BodyReader<'static>>,
    url: String,
}

impl Iterator for EventStream {
    type Item = Result<EventLine, ClientError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut line = Vec::new();
        let url = || self.url.clone();
        match (&mut self.reader)
            .take(LINE_BYTES_MAX)
            .read_until(b'\n', &mut line)
        {
            Ok(0) => None,
            Ok(_) => Some(
                serde_json::from_slice(&line).map_err(|e| ClientError::Strange {
                    url: url(),
                    reason: e.to_string(),
                }),
            ),
            Err(e) => Some(Err(ClientError::Unreachable {
                url: url(),
                reason: e.to_string(),
            })),
        }
    }
}
