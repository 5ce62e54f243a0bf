//! Integration tests: models, traces, witnesses, bad input, published vectors.

#[path = "cases/bad_attributes.rs"]
mod bad_attributes;
#[path = "cases/bad_input.rs"]
mod bad_input;
#[path = "cases/bad_models.rs"]
mod bad_models;
#[path = "cases/digests.rs"]
mod digests;
#[path = "cases/environment.rs"]
mod environment;
#[path = "cases/external.rs"]
mod external;
#[path = "cases/flow.rs"]
mod flow;
#[path = "cases/flow_bad.rs"]
mod flow_bad;
#[path = "cases/fuzz.rs"]
mod fuzz;
#[path = "cases/golden.rs"]
mod golden;
#[path = "cases/independent.rs"]
mod independent;
#[path = "cases/limits.rs"]
mod limits;
#[path = "cases/models.rs"]
mod models;
#[path = "cases/odd_input.rs"]
mod odd_input;
#[path = "cases/operator_list.rs"]
mod operator_list;
#[path = "cases/proofs.rs"]
mod proofs;
mod support;
#[path = "cases/vectors.rs"]
mod vectors;
#[path = "cases/waiting.rs"]
mod waiting;
