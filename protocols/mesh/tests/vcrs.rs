//! What makes a VCR inadmissible, rather than disputed.

use crate::scene::{Scene, account, commit, session};
use aether_inference::{Tensor, encode_outputs};
use aether_mesh::*;
use ed25519_dalek::Signer as _;

/// A VCR with one thing wrong, and what the chain says to it.
type Wrong = (&'static str, &'static str, fn(&Scene, &mut Vcr));

fn table() -> Vec<Wrong> {
    vec![
        (
            "another job's header",
            "does not begin with this job's header",
            |_, v| {
                v.trace[0][3] ^= 1;
                v.commitment = commit(&v.trace);
            },
        ),
        (
            "another final state",
            "does not hash to the last element",
            |_, v| {
                v.trace.last_mut().unwrap()[3] ^= 1;
                v.commitment = commit(&v.trace);
            },
        ),
        ("a final state that is none", "does not decode", |_, v| {
            v.final_state = vec![9; 40]
        }),
        ("an empty final state", "does not decode", |_, v| {
            v.final_state.clear()
        }),
        ("a final state with a tail", "does not decode", |_, v| {
            v.final_state.push(0)
        }),
        (
            "a trace that stops short",
            "does not hash to the last element",
            |_, v| {
                v.trace.pop();
                v.commitment = commit(&v.trace);
            },
        ),
        (
            "a step left out",
            "not that of the trace's last step",
            |_, v| {
                v.trace.remove(2);
                v.commitment = commit(&v.trace);
            },
        ),
        (
            "a step too many",
            "not that of the trace's last step",
            |_, v| {
                v.trace.insert(2, [7; ELEMENT_BYTES]);
                v.commitment = commit(&v.trace);
            },
        ),
        (
            "another output",
            "not the one the final state lists",
            |_, v| {
                let other = Tensor::from_vec(&[1, 10], vec![0.1; 10]).unwrap();
                v.output = Payload::Inline(encode_outputs(&[("probabilities", &other)]));
            },
        ),
        (
            "an output by another name",
            "not the one the final state lists",
            |s, v| {
                let (name, tensor) = output(s, v);
                let name = format!("{name}s");
                v.output = Payload::Inline(encode_outputs(&[(name.as_str(), &tensor)]));
            },
        ),
        ("an output twice", "", |s, v| {
            let (name, tensor) = output(s, v);
            let twice = [(name.as_str(), &tensor), (name.as_str(), &tensor)];
            v.output = Payload::Inline(encode_outputs(&twice));
        }),
        ("no output", "", |_, v| {
            v.output = Payload::Inline(encode_outputs(&[]))
        }),
        (
            "bytes that are no output",
            "the output does not decode",
            |_, v| {
                v.output = Payload::Inline(b"ten".to_vec());
            },
        ),
        (
            "an inline output that is too long",
            "inline output is too long",
            |_, v| {
                v.output = Payload::Inline(vec![0; (16 << 10) + 1]);
            },
        ),
        (
            "a commitment to another trace",
            "does not commit to the trace",
            |_, v| {
                let mut other = v.trace.clone();
                other[1][0] ^= 1;
                v.commitment = commit(&other);
            },
        ),
        (
            "an infinite commitment",
            "does not commit to the trace",
            |_, v| {
                v.commitment = vec![0; 48];
                v.commitment[0] = 0xc0;
            },
        ),
        (
            "a commitment that is no point",
            "does not commit to the trace",
            |_, v| {
                v.commitment = vec![0x8f; 48];
            },
        ),
        (
            "two chunks for one",
            "does not commit to the trace",
            |_, v| {
                let chunk = v.commitment.clone();
                v.commitment.extend(chunk);
            },
        ),
        (
            "an infinite second chunk",
            "does not commit to the trace",
            |_, v| {
                v.commitment.push(0xc0);
                v.commitment.extend([0; 47]);
            },
        ),
        (
            "another worker's name",
            "its worker is not the assigned one",
            |_, v| {
                v.worker = account("worker-2");
            },
        ),
        ("an unknown job", "the job is not known", |_, v| {
            v.job = JobId([1; 32])
        }),
    ]
}

fn output(s: &Scene, v: &Vcr) -> (String, Tensor) {
    let Payload::Inline(bytes) = &v.output else {
        panic!("inline")
    };
    runs::decode_output(bytes, &s.rules.params().limits)
        .unwrap()
        .remove(0)
}

#[test]
fn a_vcr_that_contradicts_itself_or_its_job_is_inadmissible() {
    let mut s = Scene::new();
    let job = s.accepted();
    let outcome = s.run(&job);
    for (what, because, spoil) in table() {
        let mut vcr = s.vcr_of(&job, "worker", &outcome);
        spoil(&s, &mut vcr);
        let tx = s.vcr_tx("worker", vcr, &session("worker"));
        let why = s.refusal(&tx);
        assert!(why.to_string().contains(because), "{what}: {why}");
        // The mempool, which judges one by one, says the same.
        let ctx = s.next_context();
        assert!(
            check(&s.state, &s.rules, &s.library, ctx, &tx).is_err(),
            "{what}"
        );
        if what != "an unknown job" {
            assert_eq!(why.blame(), Blame::Sender, "{what}: {why}");
        }
    }
    s.submit(&job, "worker", &outcome);
}

#[test]
fn a_final_state_that_is_still_running_is_no_end() {
    let mut s = Scene::new();
    let job = s.accepted();
    let parts = s.parts(&job);
    let mut run =
        aether_inference::Run::start(&parts.program, &parts.header, &parts.inputs, &parts.limits)
            .unwrap();
    let mut outcome = s.run(&job);
    outcome.trace.truncate(1);
    outcome.trace.push(run.step().unwrap().element);
    outcome.final_state = run.state().clone();
    outcome.outputs.clear();
    let vcr = s.vcr_of(&job, "worker", &outcome);
    s.refused(
        &s.vcr_tx("worker", vcr, &session("worker")),
        "still running",
    );
}

#[test]
fn a_vcr_signed_by_another_session_is_refused() {
    let mut s = Scene::new();
    let job = s.accepted();
    let outcome = s.run(&job);
    let vcr = s.vcr_of(&job, "worker", &outcome);
    s.refused(
        &s.vcr_tx("worker", vcr.clone(), &session("worker-2")),
        "not signed by its session",
    );
    // Nor does a signature for another chain count.
    let encoded = vcr.encode();
    let foreign = session("worker").sign(&vcr_sign_bytes(&ChainId([1; 32]), &encoded));
    let action = Action::SubmitVcr {
        encoded: encoded.clone(),
        vcr: Box::new(vcr.clone()),
        session_signature: foreign.to_bytes(),
    };
    s.refused(&s.tx("worker", action), "not signed by its session");
    // A session key that is no point.
    let mut none = vcr;
    none.session_key = [0xff; 32];
    s.refused(
        &s.vcr_tx("worker", none, &session("worker")),
        "not signed by its session",
    );
}

#[test]
fn somebody_elses_vcr_is_refused() {
    let mut s = Scene::new();
    let job = s.accepted();
    let outcome = s.run(&job);
    // The assigned worker's VCR, sent by another.
    let vcr = s.vcr_of(&job, "worker", &outcome);
    s.refused(
        &s.vcr_tx("worker-2", vcr, &session("worker")),
        "not the assigned one",
    );
    // Another worker's own.
    let vcr = s.vcr_of(&job, "worker-2", &outcome);
    s.refused(
        &s.vcr_tx("worker-2", vcr, &session("worker-2")),
        "not the assigned one",
    );
}

#[test]
fn a_trace_longer_than_the_network_allows_is_refused() {
    let mut s = Scene::with(|g| g.params.limits.trace_elements_max = 5);
    let job = s.accepted();
    // An honest run stops where the trace is full.
    let mut outcome = s.run(&job);
    assert_eq!(outcome.status, aether_inference::Status::StepTooLarge);
    assert_eq!(outcome.trace.len(), 5);
    let last = outcome.trace[4];
    outcome.trace.push(last);
    let vcr = s.vcr_of(&job, "worker", &outcome);
    s.refused(
        &s.vcr_tx("worker", vcr, &session("worker")),
        "longer than the network allows",
    );
}

#[test]
fn a_vcr_before_its_time_is_not_yet() {
    let mut s = Scene::new();
    let job = s.post();
    let outcome = s.run(&job);
    for _ in 0..2 {
        let vcr = s.vcr_of(&job, "worker", &outcome);
        let tx = s.vcr_tx("worker", vcr, &session("worker"));
        assert_eq!(
            s.refusal(&tx),
            Refusal::NotNow("the job is not accepted yet")
        );
        if s.status(&job) == JobStatus::Posted {
            s.assign(&job, "worker");
        }
    }
}

#[test]
fn a_second_vcr_is_refused() {
    let mut s = Scene::new();
    let job = s.accepted();
    let outcome = s.run(&job);
    let first = s.submit(&job, "worker", &outcome);
    // The same again, and the same with fresh evidence.
    s.refused(&first, "has a VCR or has ended");
    let vcr = s.vcr_of(&job, "worker", &outcome);
    s.refused(
        &s.vcr_tx("worker", vcr, &session("worker")),
        "has a VCR or has ended",
    );
    // And another result.
    let lie = s.cheat(&job, 3);
    let vcr = s.vcr_of(&job, "worker", &lie);
    s.refused(
        &s.vcr_tx("worker", vcr, &session("worker")),
        "has a VCR or has ended",
    );
    assert_eq!(s.job(&job).vcr.unwrap().tx, first.id());
}

#[test]
fn two_vcrs_of_one_job_in_one_block_make_it_invalid() {
    let mut s = Scene::new();
    let job = s.accepted();
    let outcome = s.run(&job);
    let vcr = s.vcr_of(&job, "worker", &outcome);
    let one = s.vcr_tx("worker", vcr.clone(), &session("worker"));
    let body = TxBody {
        expiry_slot: s.slot.after(7),
        ..one.body().clone()
    };
    let two = s.tx_of("worker", body);
    assert_ne!(one.id(), two.id());
    assert!(s.try_block(&[one.clone(), two]).is_err());
    s.block(&[one]);
}

#[test]
fn one_wrong_commitment_among_many_is_named() {
    let mut s = Scene::new();
    let cheap = |seed| {
        move |t: &mut PostJob| {
            t.payment = Amount::aic(1);
            t.seed = seed;
        }
    };
    let jobs: Vec<JobId> = (0..3).map(|n| s.post_with(cheap(n))).collect();
    for job in &jobs {
        s.accept_job(job, "worker");
    }
    let mut txs: Vec<VerifiedTx> = jobs
        .iter()
        .map(|job| {
            let vcr = s.vcr_of(job, "worker", &s.run(job));
            s.vcr_tx("worker", vcr, &session("worker"))
        })
        .collect();
    let mut wrong = s.vcr_of(&jobs[1], "worker", &s.run(&jobs[1]));
    wrong.commitment = s.vcr_of(&jobs[0], "worker", &s.run(&jobs[0])).commitment;
    let good = std::mem::replace(&mut txs[1], s.vcr_tx("worker", wrong, &session("worker")));
    match s.try_block(&txs) {
        Err(ApplyError::Tx { tx, refusal, .. }) => {
            assert_eq!(tx, txs[1].id());
            assert_eq!(
                refusal,
                Refusal::Vcr("the commitment does not commit to the trace")
            );
        }
        other => panic!("{other:?}"),
    }
    // A proposer leaves it out instead.
    let ctx = s.next_context();
    let built = build(&s.state, &s.rules, &s.library, ctx, txs.clone()).unwrap();
    assert_eq!(built.included.len(), 2);
    assert_eq!(built.left_out[0].0, txs[1].id());
    txs[1] = good;
    s.block(&txs);
}

#[test]
fn an_output_too_large_to_be_inline_comes_as_a_blob() {
    let mut s = Scene::new();
    let job = s.accepted();
    let outcome = s.run(&job);
    let mut vcr = s.vcr_of(&job, "worker", &outcome);
    let Payload::Inline(bytes) = vcr.output.clone() else {
        panic!("inline")
    };
    let blob = BlobRef::of(&bytes);
    vcr.output = Payload::Blob(blob);
    let tx = s.vcr_tx("worker", vcr, &session("worker"));
    assert_eq!(s.refusal(&tx), Refusal::BlobMissing(blob));
    s.library.insert(&bytes);
    s.block(&[tx]);
    assert_eq!(s.job(&job).vcr.unwrap().output, blob);
    s.close_window(&job);
    assert_eq!(s.status(&job), JobStatus::Settled);
}

#[test]
fn more_gas_than_the_job_allows_is_inadmissible() {
    let mut s = Scene::new();
    let whole = {
        let job = s.accepted();
        s.run(&job).gas_used
    };
    // The worker runs with a bound of its own.
    let job = s.post_with(|t| {
        t.gas_limit = whole - 1;
        t.seed = 8;
    });
    s.accept_job(&job, "worker");
    let mut parts = s.parts(&job);
    parts.limits.gas_limit = whole;
    let outcome =
        aether_inference::execute(&parts.program, &parts.header, &parts.inputs, &parts.limits)
            .unwrap();
    let vcr = s.vcr_of(&job, "worker", &outcome);
    s.refused(
        &s.vcr_tx("worker", vcr, &session("worker")),
        "more gas than the job allows",
    );
}
