//! Receipt files: what was computed, by whom, attested, committed to,
//! unchallenged, paid and final, in one file that anybody can verify offline.
//!
//! Verification names what it trusts: a network's genesis (its validators,
//! its roots for evidence) and the KZG setup; nothing else. In order:
//!
//! 1. canonical encoding, version;
//! 2. the certificate: more than 2/3 of the genesis validators' stake signed
//!    the header;
//! 3. the job's record is in the header's state root, and says settled;
//! 4. posting and VCR are the transactions that the record names, signed by
//!    requester and worker; the record holds the posting's terms and binds its
//!    input;
//! 5. the session key signed the VCR; the evidence binds that key, this
//!    worker and the recorded block, appraised at the VCR's block time with the
//!    bundle of endorsements that it names, by the rules of that time (the
//!    genesis', or a version proven in the same state root);
//! 6. the trace begins with the job's header and ends in a final state whose
//!    output digests are the output's; the commitment commits to the trace.
//!
//! Every byte of the file is bound by one of these. A job that was refuted,
//! evidence that was stale, or whose measurement nobody listed, are results of
//! their own and not successes.

use crate::action::{Action, Payload, PostJob, Vcr};
use crate::apply::{commitments_hold, verify_session_signature};
use crate::blob::BlobRef;
use crate::block::Header;
use crate::certificate::{Certificate, CertificateError};
use crate::keys;
use crate::primitives::{Account, JobId};
use crate::proof::{ProofError, verify_inclusion};
use crate::records::{JobRecord, JobStatus};
use crate::rules::Rules;
use crate::runs;
use crate::tee::{TeeRules, TeeRulesRecord};
use crate::tx::{SignedTx, TxError};
use crate::wire::{self, WireError, pb};
use aether_tee::{Appraisal, Binding, Endorsements, Evidence, UnixTime, appraise, is_canonical};
use borsh::BorshDeserialize;
use prost::Message;

/// Most bytes of a receipt file.
pub const RECEIPT_BYTES_MAX: usize = 4 << 20;

const VERSION: u32 = 1;

/// A receipt, not yet verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The posting.
    pub job: SignedTx,
    /// The VCR.
    pub vcr: SignedTx,
    /// The job's record, as its bytes stand in the state.
    pub record: Vec<u8>,
    /// Inclusion of the record.
    pub proof: Vec<u8>,
    /// The header whose state root holds it.
    pub header: Header,
    /// The header's finality.
    pub certificate: Certificate,
    /// The bundle that the VCR's evidence names; empty if it names none.
    pub endorsements: Vec<u8>,
    /// The rules that the evidence was judged by, as their bytes stand in the
    /// state; empty if they are the genesis'.
    pub tee_rules: Vec<u8>,
    /// Inclusion of those rules.
    pub tee_rules_proof: Vec<u8>,
}

/// Why a receipt is refused. The code is stable; the text is for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    /// Not a receipt file.
    #[error("not a receipt: {0}")]
    Malformed(#[from] WireError),
    /// A version this program does not know.
    #[error("receipt version {0} is not known here")]
    Version(u32),
    /// Another network's.
    #[error("the receipt belongs to another network")]
    OtherChain,
    /// No finality.
    #[error("certificate: {0}")]
    Certificate(#[from] CertificateError),
    /// Signed by another validator set than the genesis names.
    #[error("the header names another validator set than the genesis")]
    Validators,
    /// Not in the state.
    #[error("settlement: {0}")]
    Proof(#[from] ProofError),
    /// The record does not decode.
    #[error("the job's record does not decode")]
    Record,
    /// A transaction is malformed or not signed by its signer.
    #[error("{what}: {error}")]
    Tx {
        /// Posting or VCR.
        what: &'static str,
        /// Why.
        error: TxError,
    },
    /// The transactions are not those of the record.
    #[error("the {0} is not the one that the record names")]
    OtherTx(&'static str),
    /// The job did not end well, or not yet.
    #[error("the job is {0}, not settled")]
    NotSettled(&'static str),
    /// The VCR's session signature is wrong.
    #[error("the VCR is not signed by its session key")]
    SessionSignature,
    /// The evidence does not appraise.
    #[error("evidence: {0}")]
    Evidence(String),
    /// The evidence was older at the VCR than the network allows.
    #[error("the evidence was {0} slots old when the VCR came")]
    NotFresh(u64),
    /// The measurement is on nobody's list.
    #[error("the worker's measurement is not on the network's list")]
    Unmeasured,
    /// The trace contradicts job, output or record.
    #[error("trace: {0}")]
    Trace(&'static str),
    /// The commitment does not commit to the trace.
    #[error("the commitment does not commit to the trace")]
    Commitment,
}

impl ReceiptError {
    /// A stable code for machines.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed",
            Self::Version(_) => "unknown-version",
            Self::OtherChain => "other-chain",
            Self::Certificate(_) => "not-final",
            Self::Validators => "other-validators",
            Self::Proof(_) => "not-in-state",
            Self::Record => "bad-record",
            Self::Tx { .. } => "bad-transaction",
            Self::OtherTx(_) => "other-transaction",
            Self::NotSettled(_) => "not-settled",
            Self::SessionSignature => "bad-session-signature",
            Self::Evidence(_) => "evidence-refused",
            Self::NotFresh(_) => "not-fresh",
            Self::Unmeasured => "unmeasured",
            Self::Trace(_) => "bad-trace",
            Self::Commitment => "bad-commitment",
        }
    }
}

/// What a verified receipt says.
#[derive(Clone, Debug)]
pub struct Verified {
    /// The job's id.
    pub job: JobId,
    /// Its terms.
    pub terms: PostJob,
    /// Its record: parties, money, slots.
    pub record: JobRecord,
    /// The VCR.
    pub vcr: Vcr,
    /// Who ran it.
    pub worker: Account,
    /// What the evidence proves.
    pub appraisal: Appraisal,
    /// The certified header.
    pub header: Header,
    /// Validators that signed, and their share of the total power.
    pub signers: (usize, u64, u64),
}

impl Receipt {
    /// The file's bytes.
    pub fn encode(&self) -> Vec<u8> {
        pb::Receipt {
            version: VERSION,
            job: Some(self.job.to_pb()),
            vcr: Some(self.vcr.to_pb()),
            record: self.record.clone(),
            proof: self.proof.clone(),
            header: Some(self.header.to_pb()),
            certificate: Some(self.certificate.to_pb()),
            endorsements: self.endorsements.clone(),
            tee_rules: self.tee_rules.clone(),
            tee_rules_proof: self.tee_rules_proof.clone(),
        }
        .encode_to_vec()
    }

    /// A canonical file of bounded size.
    pub fn decode(bytes: &[u8]) -> Result<Self, ReceiptError> {
        let r: pb::Receipt = wire::decode(bytes, RECEIPT_BYTES_MAX)?;
        if r.version != VERSION {
            return Err(ReceiptError::Version(r.version));
        }
        Ok(Self {
            job: SignedTx::from_pb(wire::required(r.job.as_ref(), "receipt.job")?)?,
            vcr: SignedTx::from_pb(wire::required(r.vcr.as_ref(), "receipt.vcr")?)?,
            record: r.record,
            proof: r.proof,
            header: Header::from_pb(wire::required(r.header.as_ref(), "receipt.header")?)?,
            certificate: Certificate::from_pb(wire::required(
                r.certificate.as_ref(),
                "receipt.certificate",
            )?)?,
            endorsements: r.endorsements,
            tee_rules: r.tee_rules,
            tee_rules_proof: r.tee_rules_proof,
        })
    }

    /// Verifies everything, trusting only the genesis and the KZG setup.
    pub fn verify(&self, rules: &Rules) -> Result<Verified, ReceiptError> {
        let chain = &rules.chain_id;
        if self.header.chain_id != *chain {
            return Err(ReceiptError::OtherChain);
        }
        let set = &rules.validators;
        if self.header.validators_hash != set.hash() {
            return Err(ReceiptError::Validators);
        }
        if self.certificate.block_id != self.header.id()
            || self.certificate.height != self.header.height
        {
            return Err(CertificateError::OtherBlock.into());
        }
        self.certificate.verify(chain, set)?;

        let id = JobId(self.job.id().0);
        let root = &self.header.state_root;
        verify_inclusion(root, &keys::job(&id), &self.record, &self.proof)?;
        let record = JobRecord::try_from_slice(&self.record).map_err(|_| ReceiptError::Record)?;
        match record.status {
            JobStatus::Settled => {}
            JobStatus::Refuted => return Err(ReceiptError::NotSettled("refuted")),
            JobStatus::Expired => return Err(ReceiptError::NotSettled("expired")),
            JobStatus::Cancelled => return Err(ReceiptError::NotSettled("cancelled")),
            _ => return Err(ReceiptError::NotSettled("still open")),
        }
        let (Some(settled), Some(assignment)) = (&record.vcr, &record.assignment) else {
            return Err(ReceiptError::Record);
        };

        let job = self
            .job
            .clone()
            .verify(chain)
            .map_err(|error| ReceiptError::Tx {
                what: "posting",
                error,
            })?;
        let vcr_tx = self
            .vcr
            .clone()
            .verify(chain)
            .map_err(|error| ReceiptError::Tx { what: "VCR", error })?;
        let Action::PostJob(terms) = job.action() else {
            return Err(ReceiptError::OtherTx("posting"));
        };
        let Action::SubmitVcr {
            encoded,
            vcr,
            session_signature,
        } = vcr_tx.action()
        else {
            return Err(ReceiptError::OtherTx("VCR"));
        };
        if vcr_tx.id() != settled.tx
            || vcr.job != id
            || vcr.worker != assignment.worker
            || vcr_tx.signer() != assignment.worker
        {
            return Err(ReceiptError::OtherTx("VCR"));
        }

        self.check_posting(rules, job.signer(), terms, &record)?;
        if !verify_session_signature(chain, &vcr.session_key, encoded, session_signature) {
            return Err(ReceiptError::SessionSignature);
        }
        let appraisal = self.appraise(rules, &record, vcr)?;
        self.check_trace(rules, &id, &record, vcr)?;
        if !commitments_hold(&[vcr]) {
            return Err(ReceiptError::Commitment);
        }
        Ok(Verified {
            job: id,
            terms: terms.clone(),
            worker: assignment.worker,
            vcr: vcr.as_ref().clone(),
            appraisal,
            header: self.header.clone(),
            signers: self.signers(rules),
            record,
        })
    }

    /// The record holds the terms that were signed, and the trace's header is
    /// made from them.
    fn check_posting(
        &self,
        rules: &Rules,
        requester: Account,
        terms: &PostJob,
        record: &JobRecord,
    ) -> Result<(), ReceiptError> {
        let kinds = terms.tee_kinds.iter().map(|kind| kind.code());
        let same = record.requester == requester
            && record.model == terms.model
            && record.input == terms.input.blob_ref()
            && record.tee_kinds.iter().copied().eq(kinds)
            && record.payment == terms.payment
            && record.gas_limit == terms.gas_limit
            && record.seed == terms.seed;
        if !same {
            return Err(ReceiptError::OtherTx("posting"));
        }
        // A blob's bytes are not here; the record binds its id.
        if let Payload::Inline(bytes) = &terms.input {
            let root = runs::inputs_root_as_encoded(bytes, &rules.params().limits);
            if root != Ok(record.inputs_root) {
                return Err(ReceiptError::Trace(
                    "its header does not bind the posted input",
                ));
            }
        }
        Ok(())
    }

    fn appraise(
        &self,
        rules: &Rules,
        record: &JobRecord,
        vcr: &Vcr,
    ) -> Result<Appraisal, ReceiptError> {
        let settled = record.vcr.as_ref().ok_or(ReceiptError::Record)?;
        if settled.evidence.slot != vcr.evidence.slot {
            return Err(ReceiptError::OtherTx("VCR"));
        }
        let age = settled.slot.since(settled.evidence.slot);
        if settled.evidence.slot >= settled.slot || age > rules.params().evidence_age_slots_max {
            return Err(ReceiptError::NotFresh(age));
        }
        let kind = vcr.evidence.kind.code();
        if !record.tee_kinds.is_empty() && !record.tee_kinds.contains(&kind) {
            return Err(ReceiptError::Evidence(
                "the job does not accept this kind".to_owned(),
            ));
        }
        let document = Evidence {
            kind: vcr.evidence.kind,
            bytes: vcr.evidence.document.clone(),
        };
        is_canonical(&document).map_err(|e| ReceiptError::Evidence(e.to_string()))?;
        let binding = Binding::new(
            rules.chain_id.as_bytes(),
            vcr.worker.as_bytes(),
            &vcr.session_key,
            vcr.evidence.slot.0,
            settled.evidence.block.as_bytes(),
        );
        let at = UnixTime(settled.time_ms / 1_000);
        let endorsements = self.endorsements_of(vcr)?;
        let policy = self
            .tee_rules_of(rules, settled.evidence.rules)?
            .policy(&rules.policy);
        let appraisal = appraise(
            &document,
            &endorsements,
            &rules.anchors,
            &policy,
            &binding,
            at,
        )
        .map_err(|refusal| ReceiptError::Evidence(refusal.to_string()))?;
        if appraisal.signed_digest != settled.evidence.digest {
            return Err(ReceiptError::Evidence(
                "it is not the recorded one".to_owned(),
            ));
        }
        if !appraisal.measured {
            return Err(ReceiptError::Unmeasured);
        }
        Ok(appraisal)
    }

    /// The bundle that the evidence names, nothing more and nothing less.
    fn endorsements_of(&self, vcr: &Vcr) -> Result<Endorsements, ReceiptError> {
        let held = (!self.endorsements.is_empty()).then(|| BlobRef::of(&self.endorsements));
        if held != vcr.evidence.endorsements {
            return Err(ReceiptError::Evidence(
                "the endorsements are not those that it names".to_owned(),
            ));
        }
        Ok(Endorsements(self.endorsements.clone()))
    }

    /// The rules of this sequence: the genesis', or proven like the record.
    fn tee_rules_of(&self, rules: &Rules, sequence: u64) -> Result<TeeRules, ReceiptError> {
        if sequence == 0 {
            if !self.tee_rules.is_empty() || !self.tee_rules_proof.is_empty() {
                return Err(ReceiptError::Record);
            }
            return Ok(rules.tee_rules.clone());
        }
        let root = &self.header.state_root;
        let key = keys::tee_rules(sequence);
        verify_inclusion(root, &key, &self.tee_rules, &self.tee_rules_proof)?;
        TeeRulesRecord::try_from_slice(&self.tee_rules)
            .map(|record| record.rules)
            .map_err(|_| ReceiptError::Record)
    }

    fn check_trace(
        &self,
        rules: &Rules,
        id: &JobId,
        record: &JobRecord,
        vcr: &Vcr,
    ) -> Result<(), ReceiptError> {
        let settled = record.vcr.as_ref().ok_or(ReceiptError::Record)?;
        if vcr.trace.len() != settled.elements as usize || vcr.commitment != settled.commitment {
            return Err(ReceiptError::Trace("it is not the recorded one"));
        }
        if vcr.trace.first() != Some(&runs::header_element(&rules.chain_id, id, record)) {
            return Err(ReceiptError::Trace(
                "it does not begin with this job's header",
            ));
        }
        let end = runs::final_state(&vcr.final_state).map_err(ReceiptError::Trace)?;
        if vcr.trace.last() != Some(&end.element) {
            return Err(ReceiptError::Trace(
                "the final state does not hash to its end",
            ));
        }
        match &vcr.output {
            Payload::Inline(bytes) => {
                let limits = &rules.params().limits;
                runs::check_output_digests(&end, bytes, limits).map_err(ReceiptError::Trace)
            }
            // The record binds the blob's id; whoever holds the bytes can compare.
            Payload::Blob(blob) if *blob == settled.output => Ok(()),
            Payload::Blob(_) => Err(ReceiptError::Trace("the output is not the recorded one")),
        }
    }

    fn signers(&self, rules: &Rules) -> (usize, u64, u64) {
        let set = &rules.validators;
        let signed = set.validators().iter().enumerate().filter(|(i, _)| {
            self.certificate
                .signers
                .get(i / 8)
                .is_some_and(|byte| byte & (1 << (i % 8)) != 0)
        });
        let (mut count, mut power) = (0, 0);
        for (_, v) in signed {
            count += 1;
            power += v.power;
        }
        (count, power, set.total_power())
    }
}
