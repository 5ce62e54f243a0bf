//! JSON over HTTP for programs and people on this machine, and the client the
//! command line speaks it with.
//!
//! | route | answer |
//! | --- | --- |
//! | `GET /v1/status`, `/v1/peers` | the node itself |
//! | `GET /v1/genesis`, `/v1/supply`, `/v1/block/{slot}` | the chain |
//! | `GET /v1/account/{account}` | balance, nonce, bonds |
//! | `GET /v1/jobs`, `/v1/job/{job}`, `…/challenges` | jobs as the state has them |
//! | `GET /v1/job/{job}/input`, `…/output` | their bytes |
//! | `GET /v1/challenges`, `/v1/workers`, `/v1/worker/{account}`, `/v1/coordinators` | the rest of the state |
//! | `GET /v1/tee` | which evidence counts, and votes for other rules |
//! | `GET /v1/models`, `/v1/model/{model}` | registered models |
//! | `GET /v1/receipt/{job}` | a receipt file's bytes |
//! | `POST /v1/tx` | a signed transaction's bytes → its id |
//! | `POST /v1/blob`, `GET /v1/blob/{blob}?len=` | bytes that travel apart |
//! | `GET /v1/events?from=` | a line of JSON for each block |
//! | `GET /livez`, `/readyz?verbose=1`, `/metrics` | for whoever watches |
//!
//! - Amounts are decimal strings of AIC, ids are 64 hex digits, slots numbers.
//! - An error is `{"code": "...", "message": "..."}`; codes are stable.
//! - Nothing here decides anything: reads go to a snapshot of the committed
//!   state, transactions to the node's own admission.
//! - Whoever can connect can read everything and upload blobs, so it listens
//!   on loopback, refuses pages from other sites, and bounds connections,
//!   requests, bodies, streams and time.

mod address;
mod backend;
mod client;
mod error;
mod feed;
mod limits;
mod listener;
mod routes;
mod server;
#[cfg(test)]
pub(crate) mod tests;
pub mod views;

pub use address::{BadRpcAddress, DEFAULT_RPC, RpcAddress};
pub use backend::{Backend, BlockEvents, SubmitError};
pub use client::{Client, ClientError, EventStream, JobFilter, found};
pub use error::{ApiError, ErrorCode};
pub use server::{MetricsText, Server, ServerConfig, ServerError};
