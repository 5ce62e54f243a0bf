//! Every golden case on every kernel path of this CPU, and in 1, 2 and 7 threads: the committed digests,
//! which come from the portable kernels or from the independent implementation.
//!
//! A case that runs but has no row yet is counted, and fails the test when
//! `AETHER_GOLDEN_COMPLETE=1` (as in CI); a row whose case is gone always fails.

use std::collections::BTreeSet;

use aether_inference::Kernels;

use crate::support::golden::{Family, cases, parse};

fn compare(family: Family) {
    let golden = parse(family);
    let (mut compared, mut bad, mut missing) = (BTreeSet::new(), Vec::new(), Vec::new());
    let all = cases(family);
    if all.is_empty() {
        // Said already, by whoever looked for the files.
        return;
    }
    for case in &all {
        let Some(want) = golden.get(&case.name) else {
            if case.load().is_ok_and(|c| c.row(Kernels::best(), 1).is_ok()) {
                missing.push(&case.name);
            }
            continue;
        };
        let loaded = match case.load() {
            Ok(loaded) => loaded,
            Err(why) => {
                bad.push(format!("{}: {why}", case.name));
                continue;
            }
        };
        let alone = Kernels::available().into_iter().map(|k| (k, 1));
        for (kernels, threads) in alone.chain([(Kernels::best(), 2), (Kernels::best(), 7)]) {
            match loaded.row(kernels, threads) {
                Ok(row) if row == *want => {}
                Ok(row) => bad.push(format!(
                    "{} on {kernels:?}, {threads} threads:\n  {row:?}\n  {want:?}",
                    case.name
                )),
                Err(why) => bad.push(format!(
                    "{} on {kernels:?}, {threads} threads: {why}",
                    case.name
                )),
            }
        }
        compared.insert(&case.name);
    }
    // Of real models there may be some only, unless all are demanded.
    let demanded =
        family != Family::Models || std::env::var("AETHER_MODELS_REQUIRED").is_ok_and(|v| v == "1");
    if demanded {
        let gone = golden.keys().filter(|n| all.iter().all(|c| c.name != **n));
        bad.extend(gone.map(|n| format!("{n}: there is no such case")));
    }
    println!(
        "golden {}: {} cases on {:?}, {} without a row: {missing:?}",
        family.name(),
        compared.len(),
        Kernels::available(),
        missing.len()
    );
    assert!(
        bad.is_empty(),
        "{} of {}:\n{}",
        bad.len(),
        golden.len(),
        bad.join("\n")
    );
    let complete = std::env::var("AETHER_GOLDEN_COMPLETE").is_ok_and(|v| v == "1");
    assert!(!complete || missing.is_empty(), "rows are missing");
    assert!(!compared.is_empty(), "no golden rows: nothing was compared");
}

#[test]
fn our_own_models_give_the_golden_digests_on_every_kernel_path() {
    compare(Family::Own);
}

#[test]
fn published_vectors_give_the_golden_digests_on_every_kernel_path() {
    compare(Family::Vectors);
}

#[test]
fn adversarial_floats_give_the_golden_digests_on_every_kernel_path() {
    compare(Family::Wild);
}

#[test]
fn real_models_give_the_golden_digests_on_every_kernel_path() {
    compare(Family::Models);
}
