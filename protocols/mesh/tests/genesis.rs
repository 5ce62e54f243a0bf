//! A network's beginning: what does not build, and what the chain id covers.

use crate::scene::{Scene, account, genesis_validator, sim_root, usual_genesis, validator};
use aether_mesh::*;

/// A genesis that contradicts itself, and the parameter it is blamed on.
type Contradiction = (&'static str, fn(&mut Genesis));

#[test]
fn contradictory_parameters_do_not_build() {
    usual_genesis().check().unwrap();
    let table: &[Contradiction] = &[
        ("name", |g| g.name.clear()),
        ("name", |g| g.name = "x".repeat(65)),
        ("slot_ms", |g| g.params.slot_ms = 99),
        ("slot_ms", |g| g.params.slot_ms = 60_001),
        ("worker_reward_bps", |g| g.params.worker_reward_bps = 9_701),
        ("worker_reward_bps", |g| {
            g.params.coordinator_reward_bps = u32::MAX
        }),
        ("slash_bps", |g| g.params.slash_bps = 0),
        ("slash_bps", |g| g.params.slash_bps = 10_001),
        ("slash_bps", |g| g.params.double_vote_slash_bps = 10_001),
        ("window_slots", |g| g.params.epoch_slots = 0),
        ("window_slots", |g| g.params.window_slots = 0),
        ("window_slots", |g| g.params.reveal_slots = 0),
        ("window_slots", |g| g.params.accept_slots = 0),
        ("evidence_age_slots_max", |g| {
            g.params.evidence_age_slots_max = 0
        }),
        ("evidence_age_slots_max", |g| {
            g.params.deadline_slots_max = 0
        }),
        ("reference_gas_per_slot", |g| {
            g.params.reference_gas_per_slot = 0
        }),
        ("reference_gas_per_slot", |g| {
            g.params.reference_bytes_per_slot = 0
        }),
        ("challengers_max", |g| g.params.challengers_max = 0),
        ("challengers_max", |g| g.params.worker_jobs_max = 0),
        ("challenge_bond_min", |g| {
            g.params.challenge_bond_min = Amount::ZERO
        }),
        ("challenge_bond_min", |g| {
            g.params.worker_stake_min = Amount::ZERO
        }),
        ("reputation_settled", |g| g.params.reputation_settled = -1),
        ("reputation_settled", |g| g.params.reputation_defended = -1),
        ("reputation_refuted", |g| g.params.reputation_refuted = 1),
        ("reputation_refuted", |g| g.params.reputation_missed = 1),
        ("reputation_refuted", |g| g.params.reputation_banned = 0),
        ("unbonding_slots", |g| g.params.unbonding_slots = 500),
        ("unbonding_slots", |g| g.params.reference_gas_per_slot = 1),
        ("unbonding_slots", |g| g.params.reference_bytes_per_slot = 1),
        ("unbonding_slots", |g| g.params.window_slots = u64::MAX),
        ("unbonding_slots", |g| g.params.reveal_slots = u64::MAX),
        ("limits.message_bytes_max", |g| {
            g.params.limits.inline_bytes_max = 128 << 10
        }),
        ("limits.message_bytes_max", |g| {
            g.params.limits.trace_elements_max = 1 << 20
        }),
        ("limits.message_bytes_max", |g| {
            g.params.limits.trace_elements_max = u64::MAX
        }),
        ("limits.message_bytes_max", |g| {
            g.params.limits.message_bytes_max = 2 << 20
        }),
        ("limits.block_bytes_max", |g| {
            g.params.limits.block_bytes_max = 512 << 10
        }),
        ("limits.block_bytes_max", |g| {
            g.params.limits.block_bytes_max = 65 << 20
        }),
        ("limits.blob_bytes_max", |g| {
            g.params.limits.witness_bytes_max = 65 << 20
        }),
        ("limits.blob_bytes_max", |g| {
            g.params.limits.blob_bytes_max = 2 << 30;
            g.params.reference_bytes_per_slot = 1 << 30;
        }),
        ("tee.simulated_roots", |g| g.kind = NetworkKind::Test),
        ("tee.simulated_roots", |g| g.kind = NetworkKind::Main),
        ("accounts", |g| g.accounts[0].balance = Amount(u128::MAX)),
        ("accounts", |g| g.accounts[0].balance = Amount(1 << 88)),
        ("accounts", |g| {
            g.accounts
                .iter_mut()
                .for_each(|a| a.balance = Amount(u128::MAX / 2))
        }),
    ];
    for (n, (blamed, spoil)) in table.iter().enumerate() {
        let mut g = usual_genesis();
        spoil(&mut g);
        match g.check() {
            Err(GenesisError::Param { name, .. }) => assert_eq!(name, *blamed, "row {n}"),
            other => panic!("row {n} ({blamed}): {other:?}"),
        }
        assert!(Rules::new(g).is_err());
    }
}

#[test]
fn validators_must_prove_what_they_say() {
    let who = |n| validator(n);
    type Spoil = fn(&mut Genesis);
    let table: &[(&str, Spoil)] = &[
        ("not 96 hex digits", |g| {
            g.validators[1].vote_key = "ab".to_owned()
        }),
        ("not 96 hex digits", |g| {
            g.validators[1].vote_key = "zz".repeat(48)
        }),
        ("not a BLS public key", |g| {
            g.validators[1].vote_key = "00".repeat(48)
        }),
        ("not 192 hex digits", |g| {
            g.validators[1].proof_of_possession.clear()
        }),
        ("not a BLS signature", |g| {
            g.validators[1].proof_of_possession = "11".repeat(96)
        }),
        ("does not verify", |g| {
            g.validators[1].proof_of_possession = g.validators[0].proof_of_possession.clone();
        }),
        ("below validator_stake_min", |g| {
            g.validators[1].stake = Amount::aic(9_999)
        }),
        ("another validator's", |g| {
            g.validators[1].vote_key = g.validators[0].vote_key.clone();
            g.validators[1].proof_of_possession = g.validators[0].proof_of_possession.clone();
        }),
        ("another validator's", |g| {
            g.validators[1].vote_key = g.validators[0].vote_key.to_uppercase();
            g.validators[1].proof_of_possession = g.validators[0].proof_of_possession.clone();
        }),
    ];
    for (because, spoil) in table {
        let mut g = usual_genesis();
        spoil(&mut g);
        match g.check() {
            Err(GenesisError::Validator { account, why }) => {
                assert_eq!(account, who(1));
                assert!(why.contains(because), "{why}, not {because}");
            }
            other => panic!("{because}: {other:?}"),
        }
    }
    let mut g = usual_genesis();
    g.validators.clear();
    assert_eq!(g.check(), Err(GenesisError::Set(ValidatorSetError::Empty)));
    let mut g = usual_genesis();
    g.validators.push(genesis_validator(7, Amount::aic(10_000)));
    g.validators[4].account = g.validators[0].account;
    assert_eq!(g.check(), Err(GenesisError::Set(ValidatorSetError::Order)));
}

#[test]
fn accounts_and_hex_are_checked() {
    let mut g = usual_genesis();
    g.accounts.push(g.accounts[0].clone());
    assert_eq!(
        g.check(),
        Err(GenesisError::Duplicate(g.accounts[0].account))
    );
    let mut g = usual_genesis();
    g.tee.simulated_roots.push("cafe".to_owned());
    assert_eq!(g.check(), Err(GenesisError::Hex("simulated_roots")));
    let mut g = usual_genesis();
    g.tee.measurements.push("not hex".to_owned());
    assert_eq!(g.check(), Err(GenesisError::Hex("measurements")));
}

#[test]
fn a_genesis_is_written_and_read_back() {
    let g = usual_genesis();
    let text = toml::to_string_pretty(&g).unwrap();
    assert_eq!(Genesis::from_toml(&text), Ok(g.clone()));
    assert_eq!(Genesis::from_toml(&text).unwrap().chain_id(), g.chain_id());
}

#[test]
fn unknown_keys_are_refused_at_every_level() {
    let text = toml::to_string_pretty(&usual_genesis()).unwrap();
    assert!(Genesis::from_toml(&text).is_ok());
    for (at, key) in [
        ("name = ", "nmae = \"typo\"\n"),
        ("slot_ms = ", "slotms = 5\n"),
        ("block_bytes_max = ", "block_bytes = 5\n"),
        ("nitro = ", "sgx = true\n"),
        ("balance = ", "blance = \"5\"\n"),
        ("vote_key = ", "votekey = \"5\"\n"),
    ] {
        let place = text.find(at).unwrap_or_else(|| panic!("{at} in {text}"));
        let odd = format!("{}{key}{}", &text[..place], &text[place..]);
        let refused = Genesis::from_toml(&odd).unwrap_err();
        let named = key.split(' ').next().unwrap();
        assert!(
            matches!(&refused, GenesisError::Syntax(why) if why.contains(named)),
            "{key}: {refused}"
        );
    }
}

#[test]
fn values_of_the_wrong_kind_are_refused() {
    let text = toml::to_string_pretty(&usual_genesis()).unwrap();
    for (good, bad) in [
        ("kind = \"dev\"", "kind = \"prod\""),
        ("slot_ms = 1000", "slot_ms = -1"),
        ("slot_ms = 1000", "slot_ms = 1.5"),
        ("payment_min = \"0.1\"", "payment_min = 0.1"),
        ("payment_min = \"0.1\"", "payment_min = \"0.0000000001\""),
        ("payment_min = \"0.1\"", "payment_min = \"-1\""),
        ("slash_bps = 500", "slash_bps = 5000000000"),
    ] {
        assert!(text.contains(good), "{good}");
        let odd = text.replacen(good, bad, 1);
        let refused = Genesis::from_toml(&odd);
        assert!(
            matches!(refused, Err(GenesisError::Syntax(_))),
            "{bad}: {refused:?}"
        );
    }
}

#[test]
fn parameters_that_are_left_out_have_their_defaults() {
    let g = usual_genesis();
    let mut table: toml::Table = toml::from_str(&toml::to_string(&g).unwrap()).unwrap();
    table.remove("params");
    let text = toml::to_string(&table).unwrap();
    assert_eq!(Genesis::from_toml(&text).unwrap().params, Params::default());
    table.remove("accounts");
    table.remove("tee");
    let bare = Genesis::from_toml(&toml::to_string(&table).unwrap()).unwrap();
    assert_eq!((bare.accounts.len(), bare.tee), (0, GenesisTee::default()));
    table.remove("validators");
    assert!(Genesis::from_toml(&toml::to_string(&table).unwrap()).is_err());
}

#[test]
fn everything_in_a_genesis_decides_the_chain_id() {
    let changes: [fn(&mut Genesis); 12] = [
        |g| g.name.push('x'),
        |g| g.kind = NetworkKind::Main,
        |g| g.time_ms += 1,
        |g| g.params.slot_ms += 1,
        |g| g.params.reputation_burn_floor.0 += 1,
        |g| g.params.limits.run_memory_bytes_max += 1,
        |g| g.tee.nitro = true,
        |g| g.tee.measurements.clear(),
        |g| {
            g.tee
                .simulated_roots
                .push(sim_root().fingerprint().to_string())
        },
        |g| g.validators[0].stake.0 += 1,
        |g| g.accounts[0].balance.0 += 1,
        |g| g.accounts.swap(0, 1),
    ];
    let id = usual_genesis().chain_id();
    let mut seen = vec![id];
    for change in changes {
        let mut g = usual_genesis();
        change(&mut g);
        assert!(!seen.contains(&g.chain_id()));
        seen.push(g.chain_id());
    }
    assert_eq!(usual_genesis().chain_id(), id, "and nothing else");
    assert_eq!(usual_genesis().genesis8(), id.to_string()[..8]);
}

#[test]
fn the_supply_is_whole_from_the_start() {
    let s = Scene::bare(usual_genesis());
    let supply = s.supply();
    assert_eq!(supply.balances, Amount::aic(9 * 5_000));
    assert_eq!(supply.stakes, Amount::aic(4 * 10_000));
    assert_eq!(supply.genesis, Amount::aic(9 * 5_000 + 4 * 10_000));
    assert_eq!(s.balance("stranger"), Amount::aic(5_000));
    assert_eq!(s.account_record(&account("nobody")).balance, Amount::ZERO);
    let v: ValidatorState = load(&s.state, &keys::validator(&validator(2)), "")
        .unwrap()
        .unwrap();
    assert_eq!((v.stake, v.jailed), (Amount::aic(10_000), false));
}
