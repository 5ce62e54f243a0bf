//! An application that hashes, keeps its chain on a pretended disk, and may
//! lose its power at any effect.

use super::super::io::{Config, Head, Judgement};
use super::super::machine::{Application, Fatal};
use super::super::signing::VoteKey;
use super::super::wal::{Recovered, Wal};
use aether_kzg::bls;
use aether_mesh::{
    Account, Block, BlockId, Certificate, ChainId, Header, SignedTx, Slot, Validator, ValidatorSet,
    Vote, hash_parts,
};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub(super) const CHAIN: ChainId = ChainId([7; 32]);
const EPOCH: u64 = 600;

pub(super) fn account(i: usize) -> Account {
    Account([i as u8 + 1; 32])
}

pub(super) fn secret(i: usize) -> bls::SecretKey {
    bls::SecretKey::from_key_material(&[i as u8 + 1; 32]).unwrap()
}

pub(super) fn key(i: usize) -> VoteKey {
    VoteKey {
        account: account(i),
        secret: secret(i),
    }
}

pub(super) fn set_of(powers: &[u64]) -> Arc<ValidatorSet> {
    let validators = powers.iter().enumerate().map(|(i, &power)| Validator {
        account: account(i),
        vote_key: secret(i).public_key(),
        power,
    });
    Arc::new(ValidatorSet::new(validators.collect()).unwrap())
}

/// Who votes from which height on.
#[derive(Clone)]
pub(super) struct Sets(Arc<BTreeMap<u64, Arc<ValidatorSet>>>);

impl Sets {
    /// One set, for ever.
    pub(super) fn one(powers: &[u64]) -> Self {
        Self(Arc::new(BTreeMap::from([(0, set_of(powers))])))
    }

    /// Another set from a height on.
    pub(super) fn then(&self, from: u64, set: Arc<ValidatorSet>) -> Self {
        let mut sets = (*self.0).clone();
        sets.insert(from, set);
        Self(Arc::new(sets))
    }

    pub(super) fn at(&self, height: Slot) -> Arc<ValidatorSet> {
        self.0.range(..=height.0).next_back().unwrap().1.clone()
    }
}

pub(super) fn config() -> Config {
    Config::new(CHAIN, EPOCH, Duration::from_secs(1))
}

/// What survives a crash of a node: its chain, and what it reported.
#[derive(Default)]
pub(super) struct Disk {
    pub(super) chain: Vec<(Block, Certificate)>,
    pub(super) double_votes: Vec<(Vote, Vote)>,
    wal_height: Option<Slot>,
    wal: Vec<Vec<u8>>,
}

impl Disk {
    pub(super) fn log(&self) -> Recovered {
        Recovered {
            height: self.wal_height,
            records: self.wal.clone(),
        }
    }
}

/// How many effects a node may still have; then its plug is pulled.
#[derive(Clone)]
pub(super) struct Plug(Arc<AtomicI64>);

impl Plug {
    pub(super) fn after(effects: i64) -> Self {
        Self(Arc::new(AtomicI64::new(effects)))
    }

    /// Whether the next effect happens.
    pub(super) fn holds(&self) -> bool {
        self.0.fetch_sub(1, Ordering::Relaxed) > 0
    }

    pub(super) fn is_pulled(&self) -> bool {
        self.0.load(Ordering::Relaxed) < 0
    }
}

/// A log on a [`Disk`].
pub(super) struct MemoryWal {
    pub(super) disk: Arc<Mutex<Disk>>,
    pub(super) plug: Plug,
    pub(super) pending: Vec<Vec<u8>>,
}

impl Wal for MemoryWal {
    fn append(&mut self, record: Vec<u8>) {
        self.pending.push(record);
    }

    fn flush(&mut self) -> std::io::Result<()> {
        if !self.plug.holds() {
            return Err(std::io::Error::other("the plug was pulled"));
        }
        self.disk.lock().unwrap().wal.append(&mut self.pending);
        Ok(())
    }

    fn reset(&mut self, height: Slot) -> std::io::Result<()> {
        if !self.plug.holds() {
            return Err(std::io::Error::other("the plug was pulled"));
        }
        self.pending.clear();
        let mut disk = self.disk.lock().unwrap();
        disk.wal_height = Some(height);
        disk.wal.clear();
        Ok(())
    }
}

/// A state that is a hash of all transactions, kept on a [`Disk`].
pub(super) struct FakeApp {
    pub(super) account: Account,
    pub(super) sets: Sets,
    pub(super) disk: Arc<Mutex<Disk>>,
    pub(super) plug: Plug,
    /// Claims a wrong state root in every block it builds.
    pub(super) lies: bool,
}

impl FakeApp {
    fn state_root(&self, txs: &[SignedTx]) -> [u8; 32] {
        let disk = self.disk.lock().unwrap();
        let before = disk
            .chain
            .last()
            .map_or([0; 32], |(b, _)| b.header.state_root);
        hash_parts("test/state", &[&before, &Block::txs_root(txs)])
    }
}

impl Application for FakeApp {
    fn head(&self) -> Head {
        match self.disk.lock().unwrap().chain.last() {
            Some((block, _)) => Head {
                height: block.header.height,
                block_id: block.id(),
                time_ms: block.header.time_ms,
            },
            None => Head {
                height: Slot(0),
                block_id: BlockId(CHAIN.0),
                time_ms: 0,
            },
        }
    }

    fn validators(&self, height: Slot) -> Arc<ValidatorSet> {
        self.sets.at(height)
    }

    fn build(&mut self, height: Slot, _: u32, now_ms: u64) -> Result<Block, Fatal> {
        let head = self.head();
        assert_eq!(height, head.height.after(1));
        let parent_certificate = self
            .disk
            .lock()
            .unwrap()
            .chain
            .last()
            .map(|(_, c)| c.clone());
        let mut state_root = self.state_root(&[]);
        state_root[0] ^= u8::from(self.lies);
        Ok(Block {
            header: Header {
                chain_id: CHAIN,
                height,
                time_ms: now_ms.max(head.time_ms + 1),
                parent_id: head.block_id,
                parent_certificate_hash: parent_certificate.as_ref().map_or([0; 32], |c| c.hash()),
                txs_root: Block::txs_root(&[]),
                state_root,
                validators_hash: self.sets.at(height).hash(),
                next_validators_hash: self.sets.at(height.after(1)).hash(),
                proposer: self.account,
            },
            parent_certificate,
            txs: vec![],
        })
    }

    fn judge(&mut self, block: &Block, now_ms: u64) -> Judgement {
        if let Some(certificate) = &block.parent_certificate
            && let Err(error) = certificate.verify(&CHAIN, &self.sets.at(self.head().height))
        {
            return Judgement::Invalid(error.to_string());
        }
        if block.header.time_ms > now_ms + 2_000 {
            return Judgement::NotYet("a block from the future".to_owned());
        }
        if block.header.time_ms <= self.head().time_ms {
            return Judgement::Invalid("time goes backward".to_owned());
        }
        if block.header.state_root != self.state_root(&block.txs) {
            return Judgement::Invalid("wrong state root".to_owned());
        }
        Judgement::Valid
    }

    fn commit(&mut self, block: &Block, certificate: &Certificate) -> Result<Head, Fatal> {
        if !self.plug.holds() {
            return Err(Fatal("the plug was pulled".to_owned()));
        }
        assert_eq!(block.header.parent_id, self.head().block_id);
        assert_eq!(certificate.block_id, block.id());
        if block.header.state_root != self.state_root(&block.txs) {
            return Err(Fatal("a certified block has a wrong state root".to_owned()));
        }
        self.disk
            .lock()
            .unwrap()
            .chain
            .push((block.clone(), certificate.clone()));
        Ok(self.head())
    }

    fn upgrade_certificate(&mut self, certificate: &Certificate) {
        let mut disk = self.disk.lock().unwrap();
        let (block, stored) = disk.chain.last_mut().unwrap();
        assert_eq!(certificate.block_id, block.id());
        let count = |c: &Certificate| c.signers.iter().map(|b| b.count_ones()).sum::<u32>();
        assert!(count(certificate) > count(stored));
        *stored = certificate.clone();
    }

    fn double_vote(&mut self, first: Vote, second: Vote) {
        self.disk.lock().unwrap().double_votes.push((first, second));
    }
}
