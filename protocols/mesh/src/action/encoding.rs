//! Actions to and from the wire. Shape is checked on the way in: lengths,
//! counts, impossible values. What decodes encodes to the same bytes.

use super::*;

fn amount(a: Option<&pb::Amount>, field: &'static str) -> Result<Amount, WireError> {
    let a = wire::required(a, field)?;
    Ok(Amount(u128::from(a.hi) << 64 | u128::from(a.lo)))
}

/// An amount on the wire.
pub(crate) fn amount_pb(a: Amount) -> pb::Amount {
    pb::Amount {
        hi: (a.0 >> 64) as u64,
        lo: a.0 as u64,
    }
}

/// An amount from the wire.
pub(crate) fn amount_from_pb(
    a: Option<&pb::Amount>,
    field: &'static str,
) -> Result<Amount, WireError> {
    amount(a, field)
}

fn blob(b: Option<&pb::BlobRef>, field: &'static str) -> Result<BlobRef, WireError> {
    BlobRef::from_pb(wire::required(b, field)?)
}

impl BoundEvidence {
    fn from_pb(e: Option<&pb::Evidence>) -> Result<Self, ActionError> {
        let e = wire::required(e, "evidence")?;
        let kind = u8::try_from(e.kind)
            .ok()
            .and_then(EvidenceKind::from_code)
            .ok_or(ActionError::Value("unknown evidence kind"))?;
        if e.document.is_empty() || e.document.len() > EVIDENCE_BYTES_MAX {
            return Err(ActionError::Value("evidence is empty or too long"));
        }
        let endorsements = e.endorsements.as_ref().map(BlobRef::from_pb).transpose()?;
        let fits = |b: &BlobRef| (1..=MAX_ENDORSEMENTS_BYTES as u64).contains(&b.bytes_len);
        if !endorsements.as_ref().is_none_or(fits) {
            return Err(ActionError::Value("endorsements are empty or too long"));
        }
        Ok(Self {
            kind,
            document: e.document.clone(),
            slot: Slot(e.slot),
            endorsements,
        })
    }

    fn to_pb(&self) -> pb::Evidence {
        pb::Evidence {
            kind: u32::from(self.kind.code()),
            document: self.document.clone(),
            slot: self.slot.0,
            endorsements: self.endorsements.map(|b| b.to_pb()),
        }
    }
}

impl Vcr {
    /// From the exact signed bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, ActionError> {
        let v: pb::Vcr = wire::decode(bytes, crate::tx::TX_BODY_BYTES_MAX)?;
        let (elements, rest) = v.trace.as_chunks::<ELEMENT_BYTES>();
        if elements.len() < 2 || !rest.is_empty() {
            return Err(ActionError::Value(
                "a trace is whole 31-byte elements, at least two",
            ));
        }
        if v.commitment.is_empty() || !v.commitment.len().is_multiple_of(48) {
            return Err(ActionError::Value("a commitment is 48 bytes a chunk"));
        }
        let output = match wire::required(v.output, "vcr.output")? {
            pb::vcr::Output::InlineOutput(bytes) => Payload::Inline(bytes),
            pb::vcr::Output::BlobOutput(b) => Payload::Blob(BlobRef::from_pb(&b)?),
        };
        Ok(Self {
            job: JobId(wire::fixed(&v.job, "vcr.job")?),
            worker: Account(wire::fixed(&v.worker, "vcr.worker")?),
            session_key: wire::fixed(&v.session_key, "vcr.session_key")?,
            evidence: BoundEvidence::from_pb(v.evidence.as_ref())?,
            commitment: v.commitment,
            trace: elements.to_vec(),
            final_state: v.final_state,
            output,
        })
    }

    /// The bytes to sign.
    pub fn encode(&self) -> Vec<u8> {
        use prost::Message;
        pb::Vcr {
            job: self.job.0.to_vec(),
            worker: self.worker.0.to_vec(),
            session_key: self.session_key.to_vec(),
            evidence: Some(self.evidence.to_pb()),
            commitment: self.commitment.clone(),
            trace: self.trace.concat(),
            final_state: self.final_state.clone(),
            output: Some(match &self.output {
                Payload::Inline(bytes) => pb::vcr::Output::InlineOutput(bytes.clone()),
                Payload::Blob(b) => pb::vcr::Output::BlobOutput(b.to_pb()),
            }),
        }
        .encode_to_vec()
    }
}

impl Challenge {
    /// From the exact committed bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, ActionError> {
        let c: pb::Challenge = wire::decode(bytes, 1024)?;
        if c.step == 0 {
            return Err(ActionError::Value("steps count from 1"));
        }
        Ok(Self {
            step: c.step,
            before: wire::fixed(&c.before, "challenge.before")?,
            after: wire::fixed(&c.after, "challenge.after")?,
            opening: c.opening,
            witness: blob(c.witness.as_ref(), "challenge.witness")?,
        })
    }

    /// The bytes that a commit hides.
    pub fn encode(&self) -> Vec<u8> {
        use prost::Message;
        pb::Challenge {
            step: self.step,
            before: self.before.to_vec(),
            after: self.after.to_vec(),
            opening: self.opening.clone(),
            witness: Some(self.witness.to_pb()),
        }
        .encode_to_vec()
    }
}

impl PostJob {
    fn from_pb(p: &pb::PostJob) -> Result<Self, ActionError> {
        if p.tee_kinds.len() > TEE_KINDS_MAX || p.tee_kinds.windows(2).any(|w| w[0] >= w[1]) {
            return Err(ActionError::Value(
                "evidence kinds are not a short ascending list",
            ));
        }
        let tee_kinds = p
            .tee_kinds
            .iter()
            .map(|k| u8::try_from(*k).ok().and_then(EvidenceKind::from_code))
            .collect::<Option<Vec<_>>>()
            .ok_or(ActionError::Value("unknown evidence kind"))?;
        let input = match wire::required(p.input.as_ref(), "job.input")? {
            pb::post_job::Input::InlineInput(bytes) => Payload::Inline(bytes.clone()),
            pb::post_job::Input::BlobInput(b) => Payload::Blob(BlobRef::from_pb(b)?),
        };
        Ok(Self {
            model: ModelId(wire::fixed(&p.model, "job.model")?),
            input,
            tee_kinds,
            reputation_min: p.reputation_min,
            payment: amount(p.payment.as_ref(), "job.payment")?,
            gas_limit: p.gas_limit,
            deadline_slots: p.deadline_slots,
            seed: p.seed,
        })
    }

    fn to_pb(&self) -> pb::PostJob {
        pb::PostJob {
            model: self.model.0.to_vec(),
            input: Some(match &self.input {
                Payload::Inline(bytes) => pb::post_job::Input::InlineInput(bytes.clone()),
                Payload::Blob(b) => pb::post_job::Input::BlobInput(b.to_pb()),
            }),
            tee_kinds: self.tee_kinds.iter().map(|k| u32::from(k.code())).collect(),
            reputation_min: self.reputation_min,
            payment: Some(amount_pb(self.payment)),
            gas_limit: self.gas_limit,
            deadline_slots: self.deadline_slots,
            seed: self.seed,
        }
    }
}

impl Action {
    /// From the generated type.
    pub fn from_pb(action: &PbAction) -> Result<Self, ActionError> {
        Ok(match action {
            PbAction::Transfer(t) => Action::Transfer {
                to: Account(wire::fixed(&t.to, "transfer.to")?),
                amount: amount(t.amount.as_ref(), "transfer.amount")?,
            },
            PbAction::RegisterModel(r) => Action::RegisterModel {
                onnx: blob(r.onnx.as_ref(), "model.onnx")?,
            },
            PbAction::PostJob(p) => Action::PostJob(PostJob::from_pb(p)?),
            PbAction::CancelJob(c) => Action::CancelJob {
                job: JobId(wire::fixed(&c.job, "cancel.job")?),
            },
            PbAction::Bond(b) => Action::Bond {
                role: match b.role {
                    1 => Role::Worker,
                    2 => Role::Coordinator,
                    _ => return Err(ActionError::Value("unknown role")),
                },
                amount: amount(b.amount.as_ref(), "bond.amount")?,
            },
            PbAction::Assign(a) => Action::Assign {
                job: JobId(wire::fixed(&a.job, "assign.job")?),
                worker: Account(wire::fixed(&a.worker, "assign.worker")?),
                worker_epoch: a.worker_epoch,
            },
            PbAction::Accept(a) => Action::Accept {
                job: JobId(wire::fixed(&a.job, "accept.job")?),
                session_key: wire::fixed(&a.session_key, "accept.session_key")?,
                evidence: BoundEvidence::from_pb(a.evidence.as_ref())?,
            },
            PbAction::SubmitVcr(s) => Action::SubmitVcr {
                encoded: s.vcr.clone(),
                vcr: Box::new(Vcr::decode(&s.vcr)?),
                session_signature: wire::fixed(&s.session_signature, "vcr.signature")?,
            },
            PbAction::ChallengeCommit(c) => Action::ChallengeCommit {
                job: JobId(wire::fixed(&c.job, "challenge.job")?),
                vcr: TxId(wire::fixed(&c.vcr, "challenge.vcr")?),
                commitment: wire::fixed(&c.commitment, "challenge.commitment")?,
                bond: amount(c.bond.as_ref(), "challenge.bond")?,
            },
            PbAction::ChallengeReveal(r) => Action::ChallengeReveal {
                job: JobId(wire::fixed(&r.job, "reveal.job")?),
                encoded: r.challenge.clone(),
                challenge: Challenge::decode(&r.challenge)?,
                salt: wire::fixed(&r.salt, "reveal.salt")?,
            },
            PbAction::Attest(a) => Action::Attest {
                session_key: wire::fixed(&a.session_key, "attest.session_key")?,
                evidence: BoundEvidence::from_pb(a.evidence.as_ref())?,
            },
            PbAction::Govern(g) => {
                let rules = TeeRules::from_pb(wire::required(g.rules.as_ref(), "govern.rules")?)?;
                rules.check().map_err(ActionError::Value)?;
                Action::Govern {
                    sequence: g.sequence,
                    rules,
                }
            }
            PbAction::DoubleVote(d) => Action::DoubleVote {
                first: Vote::from_pb(wire::required(d.first.as_ref(), "double_vote.first")?)?,
                second: Vote::from_pb(wire::required(d.second.as_ref(), "double_vote.second")?)?,
            },
        })
    }

    /// To the generated type.
    pub fn to_pb(&self) -> PbAction {
        match self {
            Action::Transfer { to, amount } => PbAction::Transfer(pb::Transfer {
                to: to.0.to_vec(),
                amount: Some(amount_pb(*amount)),
            }),
            Action::RegisterModel { onnx } => PbAction::RegisterModel(pb::RegisterModel {
                onnx: Some(onnx.to_pb()),
            }),
            Action::PostJob(p) => PbAction::PostJob(p.to_pb()),
            Action::CancelJob { job } => PbAction::CancelJob(pb::CancelJob {
                job: job.0.to_vec(),
            }),
            Action::Bond { role, amount } => PbAction::Bond(pb::Bond {
                role: *role as u32,
                amount: Some(amount_pb(*amount)),
            }),
            Action::Assign {
                job,
                worker,
                worker_epoch,
            } => PbAction::Assign(pb::Assign {
                job: job.0.to_vec(),
                worker: worker.0.to_vec(),
                worker_epoch: *worker_epoch,
            }),
            Action::Accept {
                job,
                session_key,
                evidence,
            } => PbAction::Accept(pb::Accept {
                job: job.0.to_vec(),
                session_key: session_key.to_vec(),
                evidence: Some(evidence.to_pb()),
            }),
            Action::SubmitVcr {
                encoded,
                session_signature,
                ..
            } => PbAction::SubmitVcr(pb::SubmitVcr {
                vcr: encoded.clone(),
                session_signature: session_signature.to_vec(),
            }),
            Action::ChallengeCommit {
                job,
                vcr,
                commitment,
                bond,
            } => PbAction::ChallengeCommit(pb::ChallengeCommit {
                job: job.0.to_vec(),
                vcr: vcr.0.to_vec(),
                commitment: commitment.to_vec(),
                bond: Some(amount_pb(*bond)),
            }),
            Action::ChallengeReveal {
                job, encoded, salt, ..
            } => PbAction::ChallengeReveal(pb::ChallengeReveal {
                job: job.0.to_vec(),
                challenge: encoded.clone(),
                salt: salt.to_vec(),
            }),
            Action::Attest {
                session_key,
                evidence,
            } => PbAction::Attest(pb::Attest {
                session_key: session_key.to_vec(),
                evidence: Some(evidence.to_pb()),
            }),
            Action::Govern { sequence, rules } => PbAction::Govern(pb::Govern {
                sequence: *sequence,
                rules: Some(rules.to_pb()),
            }),
            Action::DoubleVote { first, second } => PbAction::DoubleVote(pb::DoubleVote {
                first: Some(first.to_pb()),
                second: Some(second.to_pb()),
            }),
        }
    }
}
