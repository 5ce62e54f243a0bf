//! The protocol: messages, ids, limits; a message's way through `verify`
//! (signatures and shape, no state), `check` (would the next block take it?)
//! and `apply` (the only writer); challenges and receipts.
//!
//! ```text
//! bytes ─▶ SignedTx ─▶ VerifiedTx ─▶ check ─▶ mempool ─▶ block ─▶ apply ─▶ StateEvents
//!        decode     verify        (state)                     (writes)
//! ```
//!
//! | module | rules |
//! | --- | --- |
//! | `primitives`, `wire` | ids, amounts, slots; canonical bounded decoding |
//! | `genesis`, `rules` | a network's parameters and trust, compiled |
//! | `validators`, `certificate`, `block` | who votes, finality, headers |
//! | `tx`, `action`, `blob`, `capability` | what travels |
//! | `state`, `keys`, `records`, `view`, `proof` | what is kept, and how it is proven |
//! | `tee` | which evidence counts, and how that changes |
//! | `apply`, `rank`, `runs` | the transition |
//! | `audit`, `receipt` | what anybody can check afterwards |
//!
//! It knows no tokio, no libp2p, no redb and no clock.

mod action;
mod apply;
mod audit;
mod blob;
mod block;
mod capability;
mod certificate;
mod events;
mod genesis;
pub mod keys;
mod primitives;
mod proof;
mod rank;
mod receipt;
mod records;
mod refusal;
mod rules;
pub mod runs;
mod state;
mod tee;
mod tx;
mod validators;
mod view;
pub mod wire;

pub use action::{
    Action, ActionError, BoundEvidence, Challenge, ELEMENT_BYTES, EVIDENCE_BYTES_MAX, Payload,
    PostJob, Role, TEE_KINDS_MAX, Vcr,
};
pub use apply::{
    Applied, ApplyError, BlockContext, Built, Execution, apply, bond_required, build,
    challenge_commitment, check, fee, genesis_state, reputation_now, vcr_sign_bytes,
    verify_session_signature,
};
pub use audit::{Audit, audit};
pub use blob::{BlobError, BlobRef, Manifest, PIECE_BYTES};
pub use block::{Block, BlockError, Header};
pub use capability::{
    CAPABILITY_BYTES_MAX, Capability, CapabilityError, LIFETIME_S_MAX, MODELS_MAX, PROVIDER_SHARDS,
    capability_key, provider_key_of, provider_keys,
};
pub use certificate::{Certificate, CertificateError, Vote, VoteKind, vote_sign_bytes};
pub use events::StateEvent;
pub use genesis::{
    Genesis, GenesisAccount, GenesisError, GenesisSnpTcb, GenesisTee, GenesisValidator, Limits,
    NetworkKind, Params, TeeRulesText,
};
pub use primitives::{
    AIC, Account, Amount, BadAmount, BadHex, BlobId, BlockId, ChainId, JobId, ModelId, Slot, TxId,
    hash_parts, merkle_root,
};
pub use proof::{PROOF_BYTES_MAX, ProofError, StateHasher, key_hash, verify_inclusion};
pub use rank::{COORDINATORS_MAX, TICKETS_MAX, coordinator_ranking};
pub use receipt::{RECEIPT_BYTES_MAX, Receipt, ReceiptError, Verified};
pub use records::{
    AccountRecord, Assignment, ChallengeRecord, ChallengeStatus, CoordinatorRecord,
    EvidenceSummary, JobRecord, JobStatus, ModelRecord, Outcome, Registration, Supply,
    ValidatorState, VcrRecord, WorkerRecord,
};
pub use refusal::{Blame, Refusal};
pub use rules::{Library, MemoryLibrary, Rules};
pub use state::{Entry, MapState, Overlay, StateError, StateReader, Writes};
pub use tee::{
    MEASUREMENTS_MAX, RatchetRecord, SnpTcbMin, TeeRules, TeeRulesRecord, newest_rules, rules_at,
};
pub use tx::{SignedTx, TX_BODY_BYTES_MAX, TxBody, TxError, VerifiedTx};
pub use validators::{VALIDATORS_MAX, Validator, ValidatorRecord, ValidatorSet, ValidatorSetError};
pub use view::load;
pub use wire::{WireError, pb};
