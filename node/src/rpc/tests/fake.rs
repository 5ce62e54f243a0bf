//! A node that makes a block of every transaction it takes, by the real
//! transition over a map.

use crate::rpc::views::{NodeStatus, PeerView};
use crate::rpc::{Backend, BlockEvents, SubmitError};
use aether_kzg::bls;
use aether_mesh::{
    Account, Action, Amount, BlobRef, Block, BlockContext, BlockId, Certificate, Genesis,
    GenesisAccount, GenesisTee, GenesisValidator, Header, JobId, JobRecord, Library as _, MapState,
    MemoryLibrary, NetworkKind, Params, Receipt, Rules, SignedTx, Slot, StateReader, TxBody, TxId,
    VerifiedTx, Vote, VoteKind, apply, check, genesis_state, keys, load, vote_sign_bytes,
};
use borsh::BorshSerialize;
use ed25519_dalek::SigningKey;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::broadcast;

/// A small real model: the demo's digit classifier.
pub(crate) fn onnx_model() -> &'static [u8] {
    include_bytes!("../../../demo/digits.onnx")
}

/// Keys of the test network, by number.
pub(crate) fn key(n: u8) -> SigningKey {
    SigningKey::from_bytes(&[n; 32])
}

pub(crate) fn account(n: u8) -> Account {
    Account(key(n).verifying_key().to_bytes())
}

struct Chain {
    state: MapState,
    height: Slot,
    head: BlockId,
    certificate: Option<Certificate>,
    blocks: BTreeMap<Slot, (Block, Certificate)>,
}

pub(crate) struct FakeNode {
    pub(crate) rules: Rules,
    pub(crate) library: MemoryLibrary,
    pub(crate) busy: AtomicBool,
    /// So many next transactions are taken, and another of the same account
    /// with the same nonce enters the block in their place.
    pub(crate) replace: AtomicU32,
    vote_key: bls::SecretKey,
    chain: Mutex<Chain>,
    events: broadcast::Sender<Arc<BlockEvents>>,
}

fn genesis(vote_key: &bls::SecretKey) -> Genesis {
    let validator = GenesisValidator {
        account: account(1),
        vote_key: hex::encode(vote_key.public_key().to_bytes()),
        proof_of_possession: hex::encode(vote_key.prove_possession().to_bytes()),
        stake: Amount::aic(10_000),
    };
    Genesis {
        name: "fake".into(),
        kind: NetworkKind::Dev,
        time_ms: 1_700_000_000_000,
        params: Params::default(),
        tee: GenesisTee::default(),
        validators: vec![validator],
        accounts: (2..6)
            .map(|n| GenesisAccount {
                account: account(n),
                balance: Amount::aic(5_000),
            })
            .collect(),
    }
}

impl FakeNode {
    pub(crate) fn new() -> Arc<Self> {
        let vote_key = bls::SecretKey::from_key_material(&[7; 32]).unwrap();
        let rules = Rules::new(genesis(&vote_key)).unwrap();
        let mut state = MapState::default();
        state.commit(&genesis_state(&rules).unwrap());
        let chain = Chain {
            state,
            height: Slot(0),
            head: BlockId::default(),
            certificate: None,
            blocks: BTreeMap::new(),
        };
        Arc::new(Self {
            library: MemoryLibrary::new(rules.model_limits()),
            busy: AtomicBool::new(false),
            replace: AtomicU32::new(0),
            vote_key,
            chain: Mutex::new(chain),
            events: broadcast::Sender::new(64),
            rules,
        })
    }

    /// Signs an action of account `n` with its next nonce.
    pub(crate) fn sign(&self, n: u8, action: Action) -> SignedTx {
        let mut at = (Slot(0), 0);
        self.read(&mut |height, state| {
            let record: Option<aether_mesh::AccountRecord> =
                load(state, &keys::account(&account(n)), "account").unwrap();
            at = (height, record.unwrap_or_default().nonce);
        });
        let nonce = if action.is_spending() { at.1 + 1 } else { 0 };
        TxBody {
            nonce,
            expiry_slot: at.0.after(50),
            action,
        }
        .sign(&key(n), &self.rules.chain_id)
    }

    fn context(&self, chain: &Chain) -> BlockContext {
        let slot = chain.height.after(1);
        BlockContext {
            slot,
            time_ms: self.rules.genesis.time_ms + slot.0 * 1_000,
            parent_id: chain.head,
            proposer: account(1),
        }
    }

    /// An empty block.
    pub(crate) fn tick(&self) {
        self.make_block(&mut self.chain.lock().unwrap(), Vec::new());
    }

    fn make_block(&self, chain: &mut Chain, txs: Vec<VerifiedTx>) {
        let ctx = self.context(chain);
        let applied = apply(&chain.state, &self.rules, &self.library, ctx, &txs).unwrap();
        chain.state.commit(&applied.writes);
        let txs: Vec<SignedTx> = txs.into_iter().map(VerifiedTx::into_signed).collect();
        let hash = self.rules.validators.hash();
        let header = Header {
            chain_id: self.rules.chain_id,
            height: ctx.slot,
            time_ms: ctx.time_ms,
            parent_id: chain.head,
            parent_certificate_hash: chain.certificate.as_ref().map_or([0; 32], |c| c.hash()),
            txs_root: Block::txs_root(&txs),
            state_root: [9; 32],
            validators_hash: hash,
            next_validators_hash: hash,
            proposer: account(1),
        };
        let block = Block {
            header,
            parent_certificate: chain.certificate.take(),
            txs,
        };
        let id = block.id();
        let message = vote_sign_bytes(
            &self.rules.chain_id,
            ctx.slot,
            0,
            VoteKind::Precommit,
            Some(&id),
        );
        let vote = Vote {
            height: ctx.slot,
            round: 0,
            kind: VoteKind::Precommit,
            block: Some(id),
            voter: account(1),
            signature: self.vote_key.sign(&message).to_bytes(),
        };
        let set = &self.rules.validators;
        let certificate = Certificate::aggregate(set, ctx.slot, 0, id, &[vote]).unwrap();
        chain.height = ctx.slot;
        chain.head = id;
        chain.certificate = Some(certificate.clone());
        chain.blocks.insert(ctx.slot, (block, certificate));
        let _ = self.events.send(Arc::new(BlockEvents {
            slot: ctx.slot,
            block_id: id,
            time_ms: ctx.time_ms,
            events: applied.events,
        }));
    }

    /// Puts a record into the state, past the transition.
    pub(crate) fn put<T: BorshSerialize>(&self, key: Vec<u8>, record: &T) {
        self.chain
            .lock()
            .unwrap()
            .state
            .0
            .insert(key, borsh::to_vec(record).unwrap());
    }

    pub(crate) fn job_record(&self, job: &JobId) -> Option<JobRecord> {
        load(&self.chain.lock().unwrap().state, &keys::job(job), "job").unwrap()
    }

    /// The newest job, if there is one.
    pub(crate) fn any_job(&self) -> Option<JobId> {
        let entries = self
            .chain
            .lock()
            .unwrap()
            .state
            .scan(keys::JOBS, b"", 1)
            .unwrap();
        entries
            .first()
            .map(|(key, _)| JobId::from_slice(&key[1..]).unwrap())
    }

    /// Another transaction with the same signer and nonce.
    fn rival(&self, tx: &VerifiedTx) -> VerifiedTx {
        let n = (1..=9).find(|n| account(*n) == tx.signer()).unwrap();
        let action = Action::Transfer {
            to: account(9),
            amount: Amount(1),
        };
        let body = TxBody {
            action,
            ..tx.body().clone()
        };
        body.sign(&key(n), &self.rules.chain_id)
            .verify(&self.rules.chain_id)
            .unwrap()
    }
}

impl Backend for FakeNode {
    fn rules(&self) -> &Rules {
        &self.rules
    }

    fn status(&self) -> NodeStatus {
        let chain = self.chain.lock().unwrap();
        let block_time_ms = self.rules.genesis.time_ms + chain.height.0 * 1_000;
        NodeStatus {
            version: "0.0.0-test".into(),
            network: self.rules.genesis.name.clone(),
            chain_id: self.rules.chain_id,
            roles: vec!["validator".into(), "worker".into()],
            account: Some(account(1)),
            peer_id: "12D3KooWFake".into(),
            listen: vec!["/ip4/127.0.0.1/tcp/30770".into()],
            height: chain.height,
            block_id: chain.head,
            state_root: hex::encode([9; 32]),
            block_time_ms,
            time_ms: block_time_ms + 500,
            peers: 1,
            mempool_txs: 2,
            mempool_bytes: 3_000,
            validators: 1,
            rss_bytes: 50 << 20,
            uptime_s: 3_725,
            ..NodeStatus::default()
        }
    }

    fn peers(&self) -> Vec<PeerView> {
        vec![PeerView {
            peer_id: "12D3KooWOther".into(),
            address: "/ip4/127.0.0.1/tcp/30771".into(),
            direction: "outbound".into(),
            agent: Some("aether/0.1.0".into()),
            height: Some(Slot(3)),
            rtt_ms: Some(2),
            score: Some(1.5),
        }]
    }

    fn read(&self, f: &mut dyn FnMut(Slot, &dyn StateReader)) {
        let chain = self.chain.lock().unwrap();
        f(chain.height, &chain.state);
    }

    fn submit(&self, tx: SignedTx) -> Result<TxId, SubmitError> {
        if self.busy.load(Ordering::SeqCst) {
            return Err(SubmitError::Busy);
        }
        let tx = tx.verify(&self.rules.chain_id)?;
        let id = tx.id();
        let mut chain = self.chain.lock().unwrap();
        check(
            &chain.state,
            &self.rules,
            &self.library,
            self.context(&chain),
            &tx,
        )?;
        let left = self.replace.load(Ordering::SeqCst);
        let tx = if left > 0 {
            self.replace.store(left - 1, Ordering::SeqCst);
            self.rival(&tx)
        } else {
            tx
        };
        self.make_block(&mut chain, vec![tx]);
        Ok(id)
    }

    fn put_blob(&self, bytes: &[u8]) -> Result<BlobRef, String> {
        Ok(self.library.insert(bytes))
    }

    fn blob(&self, blob: &BlobRef) -> Option<Arc<[u8]>> {
        self.library.blob(blob)
    }

    fn block(&self, slot: Slot) -> Option<(Block, Certificate)> {
        self.chain.lock().unwrap().blocks.get(&slot).cloned()
    }

    fn receipt(&self, job: &JobId) -> Result<Receipt, String> {
        let chain = self.chain.lock().unwrap();
        let record = load::<JobRecord>(&chain.state, &keys::job(job), "job")
            .unwrap()
            .unwrap();
        let (block, certificate) = chain.blocks[&record.posted].clone();
        if record.status != aether_mesh::JobStatus::Settled {
            return Err("the job has not settled".into());
        }
        // Well-formed, and proves nothing: there is no VCR in it.
        let job_tx = block.txs[0].clone();
        Ok(Receipt {
            vcr: job_tx.clone(),
            job: job_tx,
            record: borsh::to_vec(&record).unwrap(),
            proof: vec![1, 2, 3],
            header: block.header,
            certificate,
            endorsements: Vec::new(),
            tee_rules: Vec::new(),
            tee_rules_proof: Vec::new(),
        })
    }

    fn events(&self) -> broadcast::Receiver<Arc<BlockEvents>> {
        self.events.subscribe()
    }
}
