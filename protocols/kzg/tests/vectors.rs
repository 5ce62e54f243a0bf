//! Published and generated vectors, judged case by case; prints a count per set.
//!
//! Reads `$AETHER_VECTORS/kzg` (by default `../shared/vectors` beside the
//! workspace). Without them the test says so and passes, unless
//! `AETHER_VECTORS_REQUIRED=1`. Every case of an operation we have is run; the
//! sets we do not have are named with their size.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use aether_kzg::{
    Commitment, Malformed, Opening, Proof, Prover, Scalar, Setup, TraceElement, Verifier,
    VerifyingKey, bls, eip4844,
};
use serde_yaml_ng::Value;

/// Sets that need the cells of EIP-7594, which this crate does not have.
const CELL_SETS: [&str; 5] = [
    "compute_cells",
    "compute_cells_and_kzg_proofs",
    "recover_cells_and_kzg_proofs",
    "verify_cell_kzg_proof_batch",
    "compute_verify_cell_kzg_proof_batch_challenge",
];

/// The families, by the names that `cargo test --test vectors NAME` picks.
const FAMILIES: [(&str, fn()); 3] = [
    (
        "eip4844_functions_agree_with_the_reference_tests",
        eip4844_functions_agree_with_the_reference_tests,
    ),
    (
        "bls_functions_agree_with_the_reference_tests",
        bls_functions_agree_with_the_reference_tests,
    ),
    (
        "generated_cases_have_their_expected_verdicts",
        generated_cases_have_their_expected_verdicts,
    ),
];

/// Without the usual harness, which would swallow the counts of what passes.
fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let list = arguments.iter().any(|a| a == "--list");
    // Options of the usual harness mean nothing here, nor do their values.
    const WITH_VALUE: [&str; 7] = [
        "--test-threads",
        "--skip",
        "--format",
        "--color",
        "--logfile",
        "--shuffle-seed",
        "-Z",
    ];
    let picked: Vec<&String> = arguments
        .iter()
        .enumerate()
        .filter(|(at, word)| {
            let value = at
                .checked_sub(1)
                .is_some_and(|before| WITH_VALUE.contains(&arguments[before].as_str()));
            !word.starts_with('-') && !value
        })
        .map(|(_, word)| word)
        .collect();
    for (name, run) in FAMILIES {
        if !list && !picked.is_empty() && !picked.iter().any(|part| name.contains(part.as_str())) {
            continue;
        }
        if list {
            println!("{name}: test");
        } else {
            println!("\n{name}");
            run();
        }
    }
}

fn required() -> bool {
    std::env::var("AETHER_VECTORS_REQUIRED").is_ok_and(|v| v == "1")
}

fn vectors() -> Option<PathBuf> {
    let root = std::env::var_os("AETHER_VECTORS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors"),
        PathBuf::from,
    );
    let dir = root.join("kzg");
    if dir.is_dir() {
        return Some(dir);
    }
    let required = std::env::var("AETHER_VECTORS_REQUIRED").is_ok_and(|v| v == "1");
    assert!(
        !required,
        "vectors are required, but {} is not there",
        dir.display()
    );
    println!("SKIPPED: no vectors at {}", dir.display());
    None
}

/// The YAML files below `dir`, in order of their paths.
fn cases(dir: &Path) -> Vec<(String, Value)> {
    let mut paths = Vec::new();
    let mut open = vec![dir.to_path_buf()];
    while let Some(next) = open.pop() {
        let Ok(entries) = std::fs::read_dir(&next) else {
            continue;
        };
        for entry in entries.flatten() {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|e| e == "yaml" || e == "yml") {
                paths.push(path);
            }
        }
    }
    paths.sort();
    paths
        .into_iter()
        .map(|path| (path.display().to_string(), yaml(&path)))
        .collect()
}

fn yaml(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap();
    serde_yaml_ng::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Hexadecimal, with or without 0x; nothing if it is not a byte string at all.
fn try_bytes(value: &Value) -> Option<Vec<u8>> {
    let text = value.as_str()?;
    hex::decode(text.strip_prefix("0x").unwrap_or(text)).ok()
}

fn bytes(value: &Value) -> Vec<u8> {
    try_bytes(value).unwrap_or_else(|| panic!("not hexadecimal: {value:?}"))
}

fn list(value: &Value) -> Vec<Vec<u8>> {
    value.as_sequence().unwrap().iter().map(bytes).collect()
}

fn slices(list: &[Vec<u8>]) -> Vec<&[u8]> {
    list.iter().map(Vec::as_slice).collect()
}

fn scalar(value: &Value) -> Scalar {
    Scalar::from_slice(&bytes(value)).unwrap()
}

/// What a case gave: bytes, a verdict, or a refusal, in the vectors' terms.
fn hexed<const N: usize>(result: Result<[u8; N], Malformed>) -> Value {
    result.map_or(Value::Null, |b| {
        Value::String(format!("0x{}", hex::encode(b)))
    })
}

fn verdict(result: Result<bool, Malformed>) -> Value {
    result.map_or(Value::Null, Value::Bool)
}

/// Cases run, per set.
#[derive(Default)]
struct Tally(BTreeMap<String, usize>);

impl Tally {
    fn judge(&mut self, set: &str, case: &str, got: &Value, expected: &Value) {
        assert_eq!(got, expected, "{set}: {case}");
        *self.0.entry(set.to_owned()).or_default() += 1;
    }

    fn finish(self) {
        for (set, count) in &self.0 {
            println!("{set}: {count} cases");
        }
        let total: usize = self.0.values().sum();
        println!("total: {total} cases");
        assert!(
            total > 0 || !required(),
            "vectors are required, but not one case was run"
        );
        if total == 0 {
            println!("SKIPPED: no cases of this family");
        }
    }
}

fn eip4844_case(function: &str, input: &Value) -> Option<Value> {
    let setup = Setup::ethereum();
    // Some invalid inputs are not even whole bytes; any refusal will do for those.
    let field = |name: &str| try_bytes(&input[name]).unwrap_or_default();
    Some(match function {
        "blob_to_kzg_commitment" => {
            hexed(eip4844::blob_to_kzg_commitment(setup, &field("blob")).map(|c| c.to_bytes()))
        }
        "compute_kzg_proof" => {
            match eip4844::compute_kzg_proof(setup, &field("blob"), &field("z")) {
                Err(_) => Value::Null,
                Ok((proof, y)) => {
                    Value::Sequence(vec![hexed(Ok(proof.to_bytes())), hexed(Ok(y.to_bytes()))])
                }
            }
        }
        "compute_blob_kzg_proof" => hexed(
            eip4844::compute_blob_kzg_proof(setup, &field("blob"), &field("commitment"))
                .map(|p| p.to_bytes()),
        ),
        "compute_challenge" => hexed(
            eip4844::compute_challenge(&field("blob"), &field("commitment")).map(Scalar::to_bytes),
        ),
        "verify_kzg_proof" => verdict(eip4844::verify_kzg_proof(
            setup,
            &field("commitment"),
            &field("z"),
            &field("y"),
            &field("proof"),
        )),
        "verify_blob_kzg_proof" => verdict(eip4844::verify_blob_kzg_proof(
            setup,
            &field("blob"),
            &field("commitment"),
            &field("proof"),
        )),
        "verify_blob_kzg_proof_batch" => {
            let [blobs, commitments, proofs] =
                ["blobs", "commitments", "proofs"].map(|name| -> Vec<Vec<u8>> {
                    let items = input[name].as_sequence().unwrap();
                    items
                        .iter()
                        .map(|v| try_bytes(v).unwrap_or_default())
                        .collect()
                });
            verdict(eip4844::verify_blob_kzg_proof_batch(
                setup,
                &slices(&blobs),
                &slices(&commitments),
                &slices(&proofs),
            ))
        }
        _ => return None,
    })
}

fn eip4844_functions_agree_with_the_reference_tests() {
    let Some(root) = vectors() else { return };
    let mut tally = Tally::default();
    let mut sets: Vec<PathBuf> = std::fs::read_dir(root.join("c-kzg-4844"))
        .map(|entries| entries.flatten().map(|e| e.path()).collect())
        .unwrap_or_default();
    sets.sort();
    for set in sets {
        let name = set.file_name().unwrap().to_string_lossy().into_owned();
        let cases = cases(&set);
        if CELL_SETS.contains(&name.as_str()) {
            println!("SKIPPED: {name}: {} cases (cells of EIP-7594)", cases.len());
            continue;
        }
        for (case, content) in cases {
            let got = eip4844_case(&name, &content["input"])
                .unwrap_or_else(|| panic!("no function for the set {name}"));
            tally.judge(&name, &case, &got, &content["output"]);
        }
    }
    tally.finish();
}

fn verify_bls(input: &Value) -> Result<bool, Malformed> {
    let key = bls::PublicKey::from_slice(&bytes(&input["pubkey"]))?;
    let signature = bls::Signature::from_slice(&bytes(&input["signature"]))?;
    Ok(signature.verify(&key, &bytes(&input["message"])))
}

fn keys(input: &Value) -> Result<Vec<bls::PublicKey>, Malformed> {
    list(&input["pubkeys"])
        .iter()
        .map(|key| bls::PublicKey::from_slice(key))
        .collect()
}

fn aggregate_bls(input: &Value, one_message: bool) -> Result<bool, Malformed> {
    let keys = keys(input)?;
    let signature = bls::Signature::from_slice(&bytes(&input["signature"]))?;
    Ok(if one_message {
        bls::fast_aggregate_verify(&keys, &bytes(&input["message"]), &signature)
    } else {
        bls::aggregate_verify(&keys, &slices(&list(&input["messages"])), &signature)
    })
}

fn batch_bls(input: &Value) -> Result<bool, Malformed> {
    let keys = keys(input)?;
    let messages = list(&input["messages"]);
    let signatures = list(&input["signatures"])
        .iter()
        .map(|s| bls::Signature::from_slice(s))
        .collect::<Result<Vec<_>, _>>()?;
    assert_eq!(
        (keys.len(), messages.len()),
        (signatures.len(), signatures.len())
    );
    let entries: Vec<_> = keys
        .into_iter()
        .zip(messages.iter().map(Vec::as_slice))
        .zip(signatures)
        .map(|((key, message), signature)| (key, message, signature))
        .collect();
    Ok(bls::batch_verify(&entries))
}

/// Hashing to G2 under the RFC 9380 test domain: the map that signing rests on.
fn hash_to_g2(message: &[u8]) -> [u8; 192] {
    let domain = b"QUUX-V01-CS02-with-BLS12381G2_XMD:SHA-256_SSWU_RO_";
    let mut point = blst::blst_p2::default();
    let mut out = [0; 192];
    // SAFETY: lengths go with their pointers; the output has 192 bytes.
    unsafe {
        blst::blst_hash_to_g2(
            &mut point,
            message.as_ptr(),
            message.len(),
            domain.as_ptr(),
            domain.len(),
            std::ptr::null(),
            0,
        );
        blst::blst_p2_serialize(out.as_mut_ptr(), &point);
    }
    out
}

fn bls_case(set: &str, input: &Value) -> Option<Value> {
    // In these sets a refusal and a false verdict are both written `false`.
    let lenient = |result: Result<bool, Malformed>| Value::Bool(result.unwrap_or(false));
    Some(match set {
        "verify" => lenient(verify_bls(input)),
        "fast_aggregate_verify" => lenient(aggregate_bls(input, true)),
        "aggregate_verify" => lenient(aggregate_bls(input, false)),
        "batch_verify" => lenient(batch_bls(input)),
        // Points as such: unlike a public key, they may be infinity.
        "deserialization_G1" => {
            lenient(Commitment::from_slice(&bytes(&input["pubkey"])).map(|_| true))
        }
        "deserialization_G2" => {
            lenient(bls::Signature::from_slice(&bytes(&input["signature"])).map(|_| true))
        }
        "sign" => {
            let key: [u8; 32] = bytes(&input["privkey"]).try_into().unwrap();
            hexed(bls::SecretKey::from_bytes(&key).map(|key| {
                let message = bytes(&input["message"]);
                let signature = key.sign(&message);
                assert!(signature.verify(&key.public_key(), &message));
                signature.to_bytes()
            }))
        }
        "aggregate" => {
            let parts = list(input)
                .iter()
                .map(|s| bls::Signature::from_slice(s))
                .collect::<Result<Vec<_>, _>>();
            let sum = parts.ok().and_then(|parts| bls::aggregate(&parts));
            sum.map_or(Value::Null, |sum| hexed(Ok(sum.to_bytes())))
        }
        "hash_to_G2" => {
            // The message is text; one that reads as a number was not quoted.
            let message = match &input["msg"] {
                Value::String(text) => text.clone(),
                Value::Null => String::new(),
                other => panic!("a message of another type: {other:?}"),
            };
            let out = hash_to_g2(message.as_bytes());
            let pair = |imaginary: &[u8], real: &[u8]| {
                Value::String(format!(
                    "0x{},0x{}",
                    hex::encode(real),
                    hex::encode(imaginary)
                ))
            };
            let mut map = serde_yaml_ng::Mapping::new();
            map.insert("x".into(), pair(&out[..48], &out[48..96]));
            map.insert("y".into(), pair(&out[96..144], &out[144..]));
            Value::Mapping(map)
        }
        _ => return None,
    })
}

fn bls_functions_agree_with_the_reference_tests() {
    let Some(root) = vectors() else { return };
    let mut tally = Tally::default();
    let mut sets: Vec<PathBuf> = std::fs::read_dir(root.join("bls12-381-tests"))
        .map(|entries| entries.flatten().map(|e| e.path()).collect())
        .unwrap_or_default();
    sets.sort();
    for set in sets {
        let name = set.file_name().unwrap().to_string_lossy().into_owned();
        for (case, content) in cases(&set) {
            let got = bls_case(&name, &content["input"])
                .unwrap_or_else(|| panic!("no function for the set {name}"));
            tally.judge(&name, &case, &got, &content["output"]);
        }
    }
    tally.finish();
}

fn opening(commitment: &Value, z: &Value, y: &Value, proof: &Value) -> Result<Opening, Malformed> {
    Ok(Opening {
        commitment: Commitment::from_slice(&bytes(commitment))?,
        z: Scalar::from_slice(&bytes(z))?,
        y: Scalar::from_slice(&bytes(y))?,
        proof: Proof::from_slice(&bytes(proof))?,
    })
}

fn generated(root: &Path, name: &str) -> Vec<Value> {
    let path = root.join("generated").join(format!("{name}.yaml"));
    if !path.is_file() {
        println!("SKIPPED: {name} is not there");
        return Vec::new();
    }
    yaml(&path)["cases"].as_sequence().unwrap().clone()
}

fn generated_cases_have_their_expected_verdicts() {
    let Some(root) = vectors() else { return };
    let mut tally = Tally::default();
    let verifier = Verifier::ethereum();
    for case in generated(&root, "verify_single") {
        let got = opening(&case["commitment"], &case["z"], &case["y"], &case["proof"])
            .map(|o| verifier.verify(&o.commitment, &o.z, &o.y, &o.proof));
        tally.judge(
            "verify_single",
            &format!("{:?}", case["name"]),
            &verdict(got),
            &case["expected"],
        );
    }
    for case in generated(&root, "verify_batch") {
        let items = case["items"].as_sequence().cloned().unwrap_or_default();
        let openings: Result<Vec<Opening>, Malformed> = items
            .iter()
            .map(|i| opening(&i[0], &i[1], &i[2], &i[3]))
            .collect();
        let got = verdict(openings.map(|o| verifier.verify_batch(&o)));
        tally.judge(
            "verify_batch",
            &format!("{:?}", case["name"]),
            &got,
            &case["expected"],
        );
    }
    for case in generated(&root, "commit_and_open_sparse") {
        sparse_case(&case, &mut tally);
    }
    wide_setup_cases(&root, &mut tally);
    tally.finish();
}

/// Commits to a sparse blob and opens it, through EIP-4844's functions and,
/// where all values fit in 31 bytes, through the trace's.
fn sparse_case(case: &Value, tally: &mut Tally) {
    let setup = Setup::ethereum();
    let name = format!("{:?}", case["name"]);
    let mut blob = vec![0; eip4844::BLOB_BYTES];
    let mut trace = vec![TraceElement::default(); 4096];
    let mut narrow = true;
    for entry in case["evaluations"].as_sequence().unwrap() {
        let index = usize::try_from(entry[0].as_u64().unwrap()).unwrap();
        let value = bytes(&entry[1]);
        blob[index * 32..][..32].copy_from_slice(&value);
        trace[index].0.copy_from_slice(&value[1..]);
        narrow &= value[0] == 0;
    }
    let commitment = eip4844::blob_to_kzg_commitment(setup, &blob).unwrap();
    tally.judge(
        "sparse/commit",
        &name,
        &hexed(Ok(commitment.to_bytes())),
        &case["commitment"],
    );
    if narrow {
        let chunks = Prover::new(setup).commit(&trace).unwrap();
        assert_eq!(chunks.chunks(), [commitment], "{name}");
    }
    for opening in case["openings"].as_sequence().unwrap() {
        let z = bytes(&opening["z"]);
        let (proof, y) = eip4844::compute_kzg_proof(setup, &blob, &z).unwrap();
        tally.judge(
            "sparse/open",
            &name,
            &hexed(Ok(proof.to_bytes())),
            &opening["proof"],
        );
        assert_eq!(hexed(Ok(y.to_bytes())), opening["y"], "{name}");
        if let Some(index) = opening["domain_index"].as_u64() {
            let index = usize::try_from(index).unwrap();
            assert_eq!(y.to_bytes(), blob[index * 32..][..32], "{name}");
            if narrow {
                let by_index = Prover::new(setup).open(&trace, index).unwrap();
                assert_eq!(by_index, proof, "{name}");
            }
        }
        assert!(Verifier::ethereum().verify(&commitment, &scalar(&opening["z"]), &y, &proof));
    }
}

/// Openings under the ceremony of 32,768 powers: another τ, given as a key.
fn wide_setup_cases(root: &Path, tally: &mut Tally) {
    let cases = generated(root, "commit_and_open_32768");
    let setup = root.join("setup/eth_ceremony_32768_g1_65_g2.bin");
    let Ok(points) = std::fs::read(&setup) else {
        println!(
            "SKIPPED: commit_and_open_32768: {} cases, no setup",
            cases.len()
        );
        return;
    };
    let (g1, g2) = points.split_at(32768 * 48);
    let whole = VerifyingKey::from_ceremony(g1, g2).unwrap();
    let mut misplaced = g1.to_vec();
    misplaced.copy_within(48 * 20_000..48 * 20_001, 48 * 30_000);
    assert!(VerifyingKey::from_ceremony(&misplaced, g2).is_err());
    let (g1, g2) = (g1.as_chunks::<48>().0, g2.as_chunks::<96>().0);
    let key = VerifyingKey::from_powers(&[g1[0], g1[1]], &[g2[0], g2[1], g2[2]]).unwrap();
    assert_eq!(key.id(), whole.id());
    assert_ne!(key.id(), Setup::ethereum().verifying_key().id());
    let verifier = Verifier::new(&key);
    for case in cases {
        let name = format!("{:?}", case["name"]);
        let claim = opening(&case["commitment"], &case["z"], &case["y"], &case["proof"]).unwrap();
        let got = verifier.verify_batch(&[claim]);
        tally.judge("32768/verify", &name, &Value::Bool(got), &Value::Bool(true));
        let wrong = Opening {
            y: claim.z,
            ..claim
        };
        assert!(!verifier.verify_batch(&[wrong]), "{name}");
        assert!(
            !Verifier::ethereum().verify_batch(&[claim]),
            "{name}: another secret's proof"
        );
    }
}
