//! Models and jobs: what is taken, and what is refused before anything runs.

use crate::scene::{Scene, digits_onnx, picture, picture_bytes};
use aether_inference::{Tensor, encode_inputs, encode_outputs};
use aether_mesh::*;

/// The smallest model: one operator of the given name, f32 `[2]` to `[2]`.
/// ONNX is protobuf, written by hand here.
pub(crate) fn one_operator_onnx(operator: &str) -> Vec<u8> {
    fn field(number: u32, bytes: &[u8]) -> Vec<u8> {
        let mut out = vec![(number << 3 | 2) as u8, bytes.len() as u8];
        assert!(
            number < 16 && bytes.len() < 128,
            "short enough for one-byte varints"
        );
        out.extend(bytes);
        out
    }
    fn int(number: u32, value: u8) -> Vec<u8> {
        vec![(number << 3) as u8, value]
    }
    let dimension = field(1, &int(1, 2));
    let shape = field(2, &dimension);
    let tensor_type = field(1, &[int(1, 1), shape].concat());
    let value = |name: &[u8]| [field(1, name), field(2, &tensor_type)].concat();
    let node = [
        field(1, b"x"),
        field(2, b"y"),
        field(4, operator.as_bytes()),
    ]
    .concat();
    let graph = [
        field(1, &node),
        field(2, b"g"),
        field(11, &value(b"x")),
        field(12, &value(b"y")),
    ]
    .concat();
    let opset = int(2, 17);
    [int(1, 8), field(7, &graph), field(8, &opset)].concat()
}

/// A model that gives back what it is given.
pub(crate) fn identity_onnx() -> Vec<u8> {
    one_operator_onnx("Identity")
}

fn register(s: &Scene, bytes: &[u8]) -> VerifiedTx {
    let onnx = s.library.insert(bytes);
    s.tx("owner", Action::RegisterModel { onnx })
}

#[test]
fn a_model_that_does_not_lower_is_refused() {
    let s = Scene::new();
    for (what, bytes) in [
        ("garbage", b"this is no model".to_vec()),
        ("nothing", vec![]),
        ("half a model", digits_onnx()[..70_000].to_vec()),
        ("an unknown operator", one_operator_onnx("Teleport")),
    ] {
        let why = s.refusal(&register(&s, &bytes));
        assert!(matches!(why, Refusal::Model(_)), "{what}: {why}");
        assert_eq!(why.blame(), Blame::Sender, "{what}");
    }
}

#[test]
fn a_model_is_registered_once_and_only_when_its_bytes_are_held() {
    let mut s = Scene::new();
    let onnx = BlobRef::of(&identity_onnx());
    let tx = s.tx("owner", Action::RegisterModel { onnx });
    assert_eq!(s.refusal(&tx), Refusal::BlobMissing(onnx));
    // A true id with an untrue length names nothing.
    s.library.insert(&identity_onnx());
    let short = BlobRef::new(onnx.id, onnx.bytes_len - 1);
    let lied = s.tx("owner", Action::RegisterModel { onnx: short });
    assert_eq!(s.refusal(&lied), Refusal::BlobMissing(short));
    s.block(&[tx]);
    let again = s.tx("stranger", Action::RegisterModel { onnx });
    s.refused(&again, "registered already");
    let mut huge = onnx;
    huge.bytes_len = s.rules.params().limits.blob_bytes_max + 1;
    let huge = s.tx("owner", Action::RegisterModel { onnx: huge });
    s.refused(&huge, "larger than the network allows");
    let mut endless = onnx;
    endless.bytes_len = u64::MAX;
    let endless = s.tx("owner", Action::RegisterModel { onnx: endless });
    s.refused(&endless, "larger than the network allows");
}

#[test]
fn an_input_that_does_not_fit_the_model_is_refused_at_posting() {
    let s = Scene::new();
    let floats = |shape: &[usize], n: usize| Tensor::from_vec(shape, vec![0.5f32; n]).unwrap();
    let image = picture(1);
    let ints = Tensor::from_vec(&[1, 1, 8, 8], vec![1i64; 64]).unwrap();
    for (what, bytes) in [
        (
            "another shape",
            encode_inputs(&[("image", &floats(&[1, 1, 8, 9], 72))]),
        ),
        (
            "another rank",
            encode_inputs(&[("image", &floats(&[64], 64))]),
        ),
        ("another type", encode_inputs(&[("image", &ints)])),
        ("another name", encode_inputs(&[("picture", &image)])),
        ("no tensor", encode_inputs(&[])),
        (
            "one too many",
            encode_inputs(&[("image", &image), ("mask", &image)]),
        ),
        ("an output's encoding", encode_outputs(&[("image", &image)])),
        ("garbage", b"a cat".to_vec()),
        ("nothing", vec![]),
        ("a trailing byte", [picture_bytes(1), vec![0]].concat()),
    ] {
        let mut terms = s.terms();
        terms.input = Payload::Inline(bytes);
        let why = s.refusal(&s.tx("requester", Action::PostJob(terms)));
        assert!(matches!(why, Refusal::Input(_)), "{what}: {why}");
        assert_eq!(why.blame(), Blame::Sender, "{what}");
    }
}

/// Terms that no state allows.
type Terms = (&'static str, fn(&mut PostJob));

#[test]
fn terms_that_the_network_does_not_allow_are_refused() {
    let mut s = Scene::new();
    let table: &[Terms] = &[
        ("below payment_min", |t| t.payment = Amount(99_999_999)),
        ("deadline is zero", |t| t.deadline_slots = 0),
        ("deadline is zero or too far", |t| t.deadline_slots = 86_401),
        ("deadline is zero or too far", |t| {
            t.deadline_slots = u64::MAX
        }),
        ("gas limit is zero", |t| t.gas_limit = 0),
        ("gas limit is zero or over", |t| t.gas_limit = u64::MAX),
        ("the model is not registered", |t| {
            t.model = ModelId([1; 32])
        }),
        ("inline input is too long", |t| {
            t.input = Payload::Inline(vec![0; (16 << 10) + 1])
        }),
        ("the free balance is", |t| t.payment = Amount(u128::MAX)),
    ];
    for (because, change) in table {
        let mut terms = s.terms();
        change(&mut terms);
        s.refused(&s.tx("requester", Action::PostJob(terms)), because);
    }
    assert_eq!(s.supply().escrows, Amount::ZERO);
    let p = s.rules.params().clone();
    let mut over = s.terms();
    over.gas_limit = p.limits.job_gas_max + 1;
    s.refused(
        &s.tx("requester", Action::PostJob(over)),
        "gas limit is zero or over",
    );
    s.post_with(|t| {
        t.deadline_slots = p.deadline_slots_max;
        t.gas_limit = p.limits.job_gas_max;
    });
}

#[test]
fn an_input_may_come_as_a_blob() {
    let mut s = Scene::new();
    let blob = BlobRef::of(&picture_bytes(3));
    let mut terms = s.terms();
    terms.input = Payload::Blob(blob);
    let tx = s.tx("requester", Action::PostJob(terms));
    assert_eq!(s.refusal(&tx), Refusal::BlobMissing(blob));
    s.library.insert(&picture_bytes(3));
    s.block(std::slice::from_ref(&tx));
    let job = JobId(tx.id().0);
    // Inline or fetched, the bytes have one identity.
    assert_eq!(
        s.job(&job).input,
        Payload::Inline(picture_bytes(3)).blob_ref()
    );
    s.accept_job(&job, "worker");
    s.submit_honest(&job, "worker");
}

#[test]
fn a_job_can_be_posted_in_the_block_after_its_model() {
    let mut s = Scene::new();
    s.block(&[register(&s, &identity_onnx())]);
    let registered = s.events.last().unwrap();
    let StateEvent::ModelRegistered { model, .. } = registered else {
        panic!("{registered:?}")
    };
    let model = *model;
    let two = Tensor::from_vec(&[2], vec![1.0f32, 2.0]).unwrap();
    let job = s.post_with(|t| {
        t.model = model;
        t.input = Payload::Inline(encode_inputs(&[("x", &two)]));
    });
    s.accept_job(&job, "worker");
    s.submit_honest(&job, "worker");
    s.close_window(&job);
    assert_eq!(s.status(&job), JobStatus::Settled);
}
