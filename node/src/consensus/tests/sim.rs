//! Validators and followers in one process: a made-up clock, packets with a
//! delay, plugs that can be pulled at any effect.

use super::super::io::Now;
use super::super::machine::{Fatal, Machine, Outlet};
use super::super::messages::Message;
use super::app::{CHAIN, Disk, FakeApp, MemoryWal, Plug, Sets, account, config, key};
use aether_mesh::{Account, Block, BlockId, Certificate, Slot, Vote};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Unix milliseconds at the beginning of the made-up time.
const BEGIN_MS: u64 = 1_800_000_000_000;
const DELAY: Duration = Duration::from_millis(20);

/// What goes between nodes.
#[derive(Clone)]
pub(super) enum Packet {
    Consensus(Vec<u8>),
    Block(Box<Block>),
    Request(BlockId),
    Behind,
    Synced(Vec<(Block, Certificate)>),
}

impl Packet {
    pub(super) fn is_vote(&self) -> bool {
        matches!(self, Packet::Consensus(bytes) if matches!(Message::decode(bytes), Ok(Message::Vote(_))))
    }
}

/// Collects what a machine sends.
#[derive(Clone)]
pub(super) struct Outbox {
    pub(super) packets: Arc<Mutex<Vec<Packet>>>,
    plug: Plug,
}

impl Outbox {
    fn put(&self, packet: Packet) {
        if self.plug.holds() {
            self.packets.lock().unwrap().push(packet);
        }
    }
}

impl Outlet for Outbox {
    fn publish_consensus(&self, bytes: Vec<u8>) {
        self.put(Packet::Consensus(bytes));
    }

    fn publish_block(&self, block: &Block) {
        self.put(Packet::Block(Box::new(block.clone())));
    }

    fn request_block(&self, id: BlockId, _: Slot, _: Account) {
        self.put(Packet::Request(id));
    }

    fn behind(&self, _: Slot) {
        self.put(Packet::Behind);
    }
}

pub(super) struct Node {
    pub(super) machine: Option<Machine<FakeApp, Outbox>>,
    pub(super) disk: Arc<Mutex<Disk>>,
    pub(super) outbox: Arc<Mutex<Vec<Packet>>>,
    pub(super) plug: Plug,
    pub(super) fatal: Option<String>,
    pub(super) votes: bool,
    pub(super) lies: bool,
    account: Account,
}

impl Node {
    pub(super) fn height(&self) -> u64 {
        self.disk.lock().unwrap().chain.len() as u64
    }
}

type Filter = Box<dyn FnMut(Duration, usize, usize, &Packet) -> bool>;

/// The network.
pub(super) struct Sim {
    pub(super) nodes: Vec<Node>,
    pub(super) sets: Sets,
    pub(super) now: Duration,
    queue: BTreeMap<(Duration, u64), (usize, Packet)>,
    sent: u64,
    /// Whether a packet from one node to another arrives.
    pub(super) passes: Filter,
    /// Every vote anybody published: who, height, round, kind, value.
    pub(super) published: Vec<(usize, Vote)>,
    pub(super) largest_certificate: usize,
}

impl Sim {
    /// One validator a power, then followers.
    pub(super) fn new(powers: &[u64], followers: usize) -> Self {
        Self::with_sets(Sets::one(powers), powers.len(), followers)
    }

    /// `keys` nodes with keys, then followers.
    pub(super) fn with_sets(sets: Sets, keys: usize, followers: usize) -> Self {
        let nodes = (0..keys + followers)
            .map(|i| Node {
                machine: None,
                disk: Arc::default(),
                outbox: Arc::default(),
                plug: Plug::after(i64::MAX),
                fatal: None,
                votes: i < keys,
                lies: false,
                account: account(i),
            })
            .collect();
        Self {
            nodes,
            sets,
            now: Duration::ZERO,
            queue: BTreeMap::new(),
            sent: 0,
            passes: Box::new(|_, _, _, _| true),
            published: Vec::new(),
            largest_certificate: 0,
        }
    }

    fn clock(&self) -> impl Fn() -> Now + use<> {
        let now = Now {
            elapsed: self.now,
            unix_ms: BEGIN_MS + self.now.as_millis() as u64,
        };
        move || now
    }

    /// Starts a node from its disk.
    pub(super) fn boot(&mut self, i: usize) {
        let node = &mut self.nodes[i];
        node.outbox.lock().unwrap().clear();
        let (disk, plug) = (node.disk.clone(), node.plug.clone());
        let app = FakeApp {
            account: node.account,
            sets: self.sets.clone(),
            disk: disk.clone(),
            plug: plug.clone(),
            lies: node.lies,
        };
        let outbox = Outbox {
            packets: node.outbox.clone(),
            plug: plug.clone(),
        };
        let recovered = disk.lock().unwrap().log();
        let wal = Box::new(MemoryWal {
            disk,
            plug,
            pending: Vec::new(),
        });
        let key = node.votes.then(|| key(i));
        node.machine = Some(Machine::new(config(), key, app, outbox, wal, recovered));
        let clock = self.clock();
        self.with(i, |machine| machine.start(&clock));
    }

    pub(super) fn boot_all(&mut self) {
        for i in 0..self.nodes.len() {
            self.boot(i);
        }
    }

    /// Runs something on a node and sends what comes of it.
    fn with<T>(
        &mut self,
        i: usize,
        f: impl FnOnce(&mut Machine<FakeApp, Outbox>) -> Result<T, Fatal>,
    ) -> Option<T> {
        let node = &mut self.nodes[i];
        let result = f(node.machine.as_mut()?);
        if node.plug.is_pulled() {
            node.machine = None;
        }
        let result = match result {
            Ok(value) => Some(value),
            Err(Fatal(why)) => {
                node.machine = None;
                node.fatal = Some(why);
                None
            }
        };
        let packets = std::mem::take(&mut *node.outbox.lock().unwrap());
        for packet in packets {
            self.send(i, packet);
        }
        result
    }

    pub(super) fn send(&mut self, from: usize, packet: Packet) {
        if let Packet::Consensus(bytes) = &packet
            && let Ok(Message::Vote(vote)) = Message::decode(bytes)
        {
            self.published
                .push((from, vote.message.to_mesh(vote.signature)));
        }
        if matches!(packet, Packet::Request(_) | Packet::Behind) {
            self.answer(from, &packet);
            return;
        }
        for to in 0..self.nodes.len() {
            if to != from && (self.passes)(self.now, from, to, &packet) {
                self.deliver_later(to, packet.clone());
            }
        }
    }

    fn deliver_later(&mut self, to: usize, packet: Packet) {
        self.sent += 1;
        self.queue
            .insert((self.now + DELAY, self.sent), (to, packet));
    }

    /// Peers answer requests, if they are reachable.
    fn answer(&mut self, to: usize, packet: &Packet) {
        for from in 0..self.nodes.len() {
            if from == to
                || self.nodes[from].machine.is_none()
                || !(self.passes)(self.now, to, from, packet)
            {
                continue;
            }
            let reply = match packet {
                Packet::Request(id) => {
                    let recent = self.nodes[from].machine.as_ref().unwrap().recent_block(id);
                    recent.map(|block| Packet::Block(Box::new((*block).clone())))
                }
                Packet::Behind => {
                    let mine = self.nodes[to].height() as usize;
                    let chain = &self.nodes[from].disk.lock().unwrap().chain;
                    let rest: Vec<_> = chain.iter().skip(mine).take(8).cloned().collect();
                    (!rest.is_empty()).then_some(Packet::Synced(rest))
                }
                _ => None,
            };
            if let Some(reply) = reply
                && (self.passes)(self.now, from, to, &reply)
            {
                self.deliver_later(to, reply);
                return;
            }
        }
    }

    /// Whatever happens next: a packet arrives or somebody wakes up.
    pub(super) fn step(&mut self) {
        let arrival = self.queue.keys().next().map(|(at, _)| *at);
        let wake = (0..self.nodes.len())
            .filter_map(|i| Some((self.nodes[i].machine.as_ref()?.wake_at()?, i)))
            .min();
        match (arrival, wake) {
            (Some(at), w) if w.is_none_or(|(wake, _)| at <= wake) => {
                self.now = self.now.max(at);
                let (_, (to, packet)) = self.queue.pop_first().unwrap();
                let clock = self.clock();
                self.with(to, |machine| match packet {
                    Packet::Consensus(bytes) => machine.message(bytes, &clock).map(|_| ()),
                    Packet::Block(block) => machine.block(*block, None, &clock),
                    Packet::Synced(blocks) => machine.synced(blocks, &clock).map(|report| {
                        assert!(!report.refused);
                    }),
                    Packet::Request(_) | Packet::Behind => Ok(()),
                });
            }
            (_, Some((at, i))) => {
                self.now = self.now.max(at);
                let clock = self.clock();
                self.with(i, |machine| machine.tick(&clock));
            }
            (_, None) => panic!("nothing will ever happen"),
        }
    }

    /// Runs until a condition holds, at most `limit` of made-up time.
    pub(super) fn run_until(&mut self, limit: Duration, done: impl Fn(&Sim) -> bool) {
        let end = self.now + limit;
        while !done(self) {
            self.step();
            assert!(
                self.now < end,
                "not done after {limit:?}: heights {:?}",
                self.heights()
            );
        }
    }

    pub(super) fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.step();
        }
    }

    pub(super) fn heights(&self) -> Vec<u64> {
        self.nodes.iter().map(Node::height).collect()
    }

    /// All chains agree, every certificate holds, nobody voted twice.
    pub(super) fn check(&mut self) {
        let longest = self.nodes.iter().max_by_key(|n| n.height()).unwrap();
        let longest: Vec<_> = longest.disk.lock().unwrap().chain.clone();
        for node in &self.nodes {
            for ((block, certificate), (other, _)) in
                node.disk.lock().unwrap().chain.iter().zip(&longest)
            {
                assert_eq!(block.id(), other.id());
                assert_eq!(certificate.block_id, block.id());
                certificate
                    .verify(&CHAIN, &self.sets.at(certificate.height))
                    .unwrap();
                let bytes = prost::Message::encode_to_vec(&certificate.to_pb());
                self.largest_certificate = self.largest_certificate.max(bytes.len());
            }
        }
        let mut said = BTreeMap::new();
        for (node, vote) in &self.published {
            let step = (*node, vote.height, vote.round, vote.kind);
            let before = said.insert(step, vote.block);
            assert!(
                before.is_none_or(|b| b == vote.block),
                "node {node} voted twice in {vote:?}"
            );
        }
    }
}
