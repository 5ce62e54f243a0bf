//! Who there is: keys from names, the usual genesis, the TEE's root, the model.

use aether_inference::{Tensor, encode_inputs};
use aether_kzg::bls;
use aether_mesh::*;
use aether_tee::sim::{SimPlatform, SimRoot, Validity};
use aether_tee::{Measurement, UnixTime};
use ed25519_dalek::SigningKey;
use std::path::PathBuf;
use std::sync::OnceLock;

/// Time of the genesis.
pub const T0_MS: u64 = 1_772_366_400_000;

/// Everybody begins with this.
pub const BALANCE: Amount = Amount::aic(5_000);

/// Stake of each validator.
pub const VALIDATOR_STAKE: Amount = Amount::aic(10_000);

pub const PEOPLE: [&str; 9] = [
    "requester",
    "owner",
    "worker",
    "worker-2",
    "coordinator",
    "coordinator-2",
    "challenger",
    "challenger-2",
    "stranger",
];

/// A header's time.
pub fn time_ms(slot: Slot) -> u64 {
    T0_MS + slot.0 * 1_000
}

/// A key from a name.
pub fn key(who: &str) -> SigningKey {
    SigningKey::from_bytes(&hash_parts("test/key", &[who.as_bytes()]))
}

/// Its account.
pub fn account(who: &str) -> Account {
    Account(key(who).verifying_key().to_bytes())
}

/// A worker's session key.
pub fn session(who: &str) -> SigningKey {
    key(&format!("{who}'s session"))
}

/// A validator's vote key.
pub fn vote_key(n: usize) -> bls::SecretKey {
    let material = hash_parts("test/vote", &[&[n as u8]]);
    bls::SecretKey::from_key_material(&material).unwrap()
}

/// A validator's account, in the order of names.
pub fn validator(n: usize) -> Account {
    account(&format!("validator-{n}"))
}

/// A validator as a genesis lists it.
pub fn genesis_validator(n: usize, stake: Amount) -> GenesisValidator {
    let key = vote_key(n);
    GenesisValidator {
        account: validator(n),
        vote_key: hex::encode(key.public_key().to_bytes()),
        proof_of_possession: hex::encode(key.prove_possession().to_bytes()),
        stake,
    }
}

/// The program that workers' platforms are measured as.
pub fn measurement() -> Measurement {
    Measurement::of(b"the worker's image")
}

fn life() -> Validity {
    Validity {
        not_before: UnixTime(0),
        not_after: UnixTime(2_000_000_000),
    }
}

pub fn sim_root() -> SimRoot {
    SimRoot::from_seed(&[7; 32], life()).unwrap()
}

pub fn other_root() -> SimRoot {
    SimRoot::from_seed(&[9; 32], life()).unwrap()
}

pub fn platform(root: &SimRoot) -> SimPlatform {
    root.issue(&[8; 32], "worker-1", life()).unwrap()
}

/// Four equal validators, everybody with a balance, one simulated root.
pub fn usual_genesis() -> Genesis {
    Genesis {
        name: "story".to_owned(),
        kind: NetworkKind::Dev,
        time_ms: T0_MS,
        params: Params::default(),
        tee: GenesisTee {
            simulated_roots: vec![sim_root().fingerprint().to_string()],
            measurements: vec![measurement().to_string()],
            ..GenesisTee::default()
        },
        validators: (0..4)
            .map(|n| genesis_validator(n, VALIDATOR_STAKE))
            .collect(),
        accounts: PEOPLE
            .iter()
            .map(|who| GenesisAccount {
                account: account(who),
                balance: BALANCE,
            })
            .collect(),
    }
}

/// The demo's digit classifier.
pub fn digits_onnx() -> Vec<u8> {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES
        .get_or_init(|| {
            let crates = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
            let root = crates
                .ancestors()
                .find(|dir| dir.join("node/demo").is_dir());
            let path = root.expect("the workspace").join("node/demo/digits.onnx");
            std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
        })
        .clone()
}

/// A picture: eight by eight pixels.
pub fn picture(seed: u8) -> Tensor {
    let pixels = (0..64u32).map(|i| ((i * 7 + u32::from(seed) * 13) % 17) as f32 / 16.0);
    Tensor::from_vec(&[1, 1, 8, 8], pixels.collect()).unwrap()
}

/// A picture as a job carries it.
pub fn picture_bytes(seed: u8) -> Vec<u8> {
    encode_inputs(&[("image", &picture(seed))])
}
