//! The story, chapter by chapter. Each chapter returns what the next one
//! needs; whatever does not come true ends the demo with a reason and exit 1.

use super::cheat::Lie;
use super::digits::{self, Digit};
use super::narrator::Narrator;
use super::requester::Requester;
use super::skeptic::FalseChallenge;
use super::summary::*;
use crate::devnet::{Cast, Devnet, resident_bytes};
use crate::network::Network;
use crate::rpc::views::JobView;
use crate::rpc::{Client, ClientError, found};
use aether_inference::{Program, TraceHeader};
use aether_mesh::{
    Account, Action, Amount, Genesis, JobId, ModelId, Payload, PostJob, Rules, Slot, runs,
};
use ed25519_dalek::SigningKey;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Arguments of `aether demo`.
#[derive(Clone, Debug, Default)]
pub struct DemoArgs {
    /// Chooses the lie and the digits.
    pub seed: u64,
    /// Where to write the summary.
    pub summary: Option<PathBuf>,
    /// Where to work; a temporary folder if none.
    pub dir: Option<PathBuf>,
    /// Whether to leave the folder behind.
    pub keep: bool,
}

/// Why the demo failed: what should have come true and did not.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct DemoError(pub String);

impl From<ClientError> for DemoError {
    fn from(e: ClientError) -> Self {
        DemoError(e.to_string())
    }
}

impl From<String> for DemoError {
    fn from(why: String) -> Self {
        DemoError(why)
    }
}

type Done<T> = Result<T, DemoError>;

fn text(e: impl ToString) -> DemoError {
    DemoError(e.to_string())
}

const CHEAT: &str = "worker-3";
const VICTIM: &str = "validator-4";
const PAYMENT: Amount = Amount::aic(10);
/// Jobs posted at first, and at most in search of one for the cheat.
const JOBS_FIRST: usize = 4;
const JOBS_MAX: usize = 40;
const POLL: Duration = Duration::from_millis(40);
/// How long any single thing may take on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(150);
/// Heights the killed validator must miss.
const MISSED_MIN: u64 = 5;

struct Posted {
    id: JobId,
    digit: Digit,
    at: Instant,
    result_seconds: Option<f64>,
}

struct Stage {
    tell: Narrator,
    net: Devnet,
    rules: Arc<Rules>,
    program: Arc<Program>,
    model: ModelId,
    urls: BTreeMap<String, Client>,
    requester: Requester,
    sceptic: Requester,
    cheat: Account,
    names: BTreeMap<Account, String>,
    confession: PathBuf,
    summary: Summary,
}

/// Runs the demo; prints the story and returns its summary.
pub fn run(args: &DemoArgs) -> Result<Summary, DemoError> {
    let temporary;
    let dir = match &args.dir {
        Some(dir) => dir.clone(),
        None => {
            let base = std::env::temp_dir();
            temporary = base.join(format!("aether-demo-{}", std::process::id()));
            temporary.clone()
        }
    };
    let outcome = play(args, &dir);
    match &outcome {
        Ok(_) if !args.keep && args.dir.is_none() => {
            // Leftovers in a temporary folder harm nobody.
            let _ = std::fs::remove_dir_all(&dir);
        }
        _ => println!("\n  logs and data: {}", dir.display()),
    }
    outcome
}

fn play(args: &DemoArgs, dir: &std::path::Path) -> Done<Summary> {
    let mut stage = open(args, dir)?;
    start_network(&mut stage, args.seed)?;
    register_model(&mut stage)?;
    let mut posted = post_jobs(&mut stage, args.seed)?;
    let slander = slander(&mut stage, &posted)?;
    let killed_at = kill_validator(&mut stage)?;
    follow_to_the_end(&mut stage, &mut posted, &slander)?;
    tell_results(&mut stage, &posted)?;
    tell_fraud(&mut stage, &posted)?;
    tell_slander(&mut stage, &slander)?;
    restart_validator(&mut stage, killed_at)?;
    receipt(&mut stage, &posted, dir)?;
    compare(&mut stage)?;
    figures(&mut stage);
    stage.summary.total_seconds = stage.tell.elapsed().as_secs_f64();
    if let Some(path) = &args.summary {
        let json = serde_json::to_string_pretty(&stage.summary).map_err(text)?;
        std::fs::write(path, json + "\n").map_err(text)?;
        stage
            .tell
            .say(format!("summary written to {}", path.display()));
    }
    stage.tell.say("everything came true");
    Ok(stage.summary)
}

fn open(args: &DemoArgs, dir: &std::path::Path) -> Done<Stage> {
    let mut tell = Narrator::new();
    tell.chapter("A network on this machine");
    let cast = Cast {
        validators: 4,
        coordinators: 1,
        workers: 3,
        challengers: 1,
        accounts: vec!["requester", "sceptic"],
    };
    std::fs::create_dir_all(dir).map_err(text)?;
    let model_file = dir.join("digits.onnx");
    std::fs::write(&model_file, digits::MODEL).map_err(text)?;
    let net = Devnet::create(dir, &cast, vec![model_file]).map_err(text)?;
    let network = Network::load(&net.folder.network()).map_err(text)?;
    let rules = network.rules;
    let program = Arc::new(Program::from_onnx(digits::MODEL, &rules.model_limits()).map_err(text)?);
    let genesis: &Genesis = &rules.genesis;
    tell.say(format!(
        "genesis made: network {}, {} validators, slots of {} ms",
        genesis.genesis8(),
        genesis.validators.len(),
        genesis.params.slot_ms
    ));
    let member = |name: &str| {
        net.folder
            .member(name)
            .ok_or_else(|| text(format!("no {name}")))
    };
    let key = |name: &str| -> Done<SigningKey> {
        let seed = crate::cli::load_key(&member(name)?.key()).map_err(text)?;
        Ok(SigningKey::from_bytes(&seed))
    };
    let (requester, sceptic) = (key("requester")?, key("sceptic")?);
    let cheat = member(CHEAT)?.account;
    let names = net
        .folder
        .members
        .iter()
        .map(|m| (m.account, m.name.clone()))
        .collect();
    let nowhere = client("http://127.0.0.1:1")?;
    let chain = rules.chain_id;
    let confession = dir.join("confession.jsonl");
    let summary = Summary {
        seed: args.seed,
        chain_id: chain.to_string(),
        model: runs::model_id(&program).to_string(),
        ..Summary::default()
    };
    Ok(Stage {
        tell,
        model: runs::model_id(&program),
        requester: Requester::new(requester, chain, nowhere.clone()),
        sceptic: Requester::new(sceptic, chain, nowhere),
        net,
        rules,
        program,
        urls: BTreeMap::new(),
        cheat,
        names,
        confession,
        summary,
    })
}

fn client(url: &str) -> Done<Client> {
    Ok(Client::new(&url.parse().map_err(text)?))
}

fn start_network(stage: &mut Stage, seed: u64) -> Done<()> {
    let nodes: Vec<String> = stage
        .net
        .folder
        .members
        .iter()
        .map(|m| m.name.clone())
        .filter(|n| n.contains('-'))
        .collect();
    for name in &nodes {
        let before: Vec<OsString> = if name == CHEAT {
            vec![
                "demo-cheat".into(),
                "--seed".into(),
                seed.to_string().into(),
                "--confession".into(),
                stage.confession.clone().into(),
            ]
        } else {
            Vec::new()
        };
        stage.net.start(name, &before).map_err(text)?;
    }
    stage.tell.say(format!(
        "{} processes started: a bootnode, {}; {CHEAT} will cheat",
        nodes.len() + 1,
        nodes.join(", ")
    ));
    for name in &nodes {
        stage.tell.wait(format!("{name} to answer"));
        let url = stage.net.ready(name).map_err(text)?;
        stage.urls.insert(name.clone(), client(&url)?);
    }
    let coordinator = stage
        .urls
        .get("coordinator-1")
        .cloned()
        .ok_or_else(|| text("no coordinator"))?;
    let keys = [("requester", true), ("sceptic", false)];
    for (name, is_requester) in keys {
        let member = stage
            .net
            .folder
            .member(name)
            .ok_or_else(|| text("no account"))?;
        let seed = crate::cli::load_key(&member.key()).map_err(text)?;
        let who = Requester::new(
            SigningKey::from_bytes(&seed),
            stage.rules.chain_id,
            coordinator.clone(),
        );
        if is_requester {
            stage.requester = who;
        } else {
            stage.sceptic = who;
        }
    }
    await_that(stage, "the first blocks", |s| {
        Ok((status(s, "coordinator-1")?.height.0 >= 2).then_some(()))
    })?;
    let peers = status(stage, "coordinator-1")?.peers;
    stage.tell.say(format!(
        "blocks are being made; the coordinator found {peers} peers"
    ));
    await_that(stage, "workers and coordinator to bond", |s| {
        let c = coordinator_client(s)?;
        let workers = c.workers(100)?.items.len();
        let coordinators = c.coordinators(100)?.items.len();
        Ok((workers >= 3 && coordinators >= 1).then_some(()))
    })?;
    stage.summary.start_seconds = stage.tell.elapsed().as_secs_f64();
    stage
        .tell
        .say("three workers and the coordinator have bonded their stakes");
    Ok(())
}

fn coordinator_client(stage: &Stage) -> Done<Client> {
    stage
        .urls
        .get("coordinator-1")
        .cloned()
        .ok_or_else(|| text("no coordinator"))
}

fn status(stage: &Stage, name: &str) -> Done<crate::rpc::views::NodeStatus> {
    let client = stage
        .urls
        .get(name)
        .ok_or_else(|| text(format!("{name} does not run")))?;
    Ok(client.status()?)
}

/// Looks until something is there, or patience ends, or a process dies.
fn await_that<T>(
    stage: &mut Stage,
    what: &str,
    look: impl FnMut(&mut Stage) -> Done<Option<T>>,
) -> Done<T> {
    await_within(stage, what, PATIENCE, look)
}

fn await_within<T>(
    stage: &mut Stage,
    what: &str,
    patience: Duration,
    mut look: impl FnMut(&mut Stage) -> Done<Option<T>>,
) -> Done<T> {
    let started = Instant::now();
    loop {
        if let Some(found) = look(stage)? {
            return Ok(found);
        }
        for (name, process) in stage.net.nodes() {
            if stage.urls.contains_key(name) && !process.is_running() {
                return Err(DemoError(format!(
                    "{name} died; its log ends:\n{}",
                    process.tail()
                )));
            }
        }
        if started.elapsed() > patience {
            return Err(DemoError(format!(
                "waited {} s in vain for {what}",
                patience.as_secs()
            )));
        }
        stage.tell.wait(what);
        sleep(POLL);
    }
}

fn register_model(stage: &mut Stage) -> Done<()> {
    stage.tell.chapter("A model and some jobs");
    let client = coordinator_client(stage)?;
    let onnx = client.put_blob(digits::MODEL)?;
    stage.requester.submit(Action::RegisterModel { onnx })?;
    let model = stage.model;
    await_that(stage, "the model to be registered", |s| {
        Ok(found(coordinator_client(s)?.model(&model))?.map(drop))
    })?;
    stage.tell.say(format!(
        "digit classifier registered: {} bytes, model {}…",
        onnx.bytes_len,
        model.short()
    ));
    Ok(())
}

/// Posts jobs until an honest worker and the cheat have some.
fn post_jobs(stage: &mut Stage, seed: u64) -> Done<Vec<Posted>> {
    let all = digits::digits();
    if all.is_empty() {
        return Err(text("the digits do not decode"));
    }
    let mut posted: Vec<Posted> = Vec::new();
    let mut wanted = JOBS_FIRST;
    loop {
        while posted.len() < wanted {
            let at = (seed as usize)
                .wrapping_mul(37)
                .wrapping_add(posted.len() * 11)
                % all.len();
            let digit = all[at].clone();
            let input = Payload::Inline(digit.encoded()?);
            let started = Instant::now();
            let tx = stage.requester.submit(Action::PostJob(PostJob {
                model: stage.model,
                input,
                tee_kinds: Vec::new(),
                reputation_min: -100,
                payment: PAYMENT,
                gas_limit: 50_000_000,
                deadline_slots: 60,
                seed,
            }))?;
            posted.push(Posted {
                id: JobId(tx.0),
                digit,
                at: started,
                result_seconds: None,
            });
        }
        stage.tell.say(format!(
            "{} jobs posted, {PAYMENT} AIC locked for each",
            posted.len()
        ));
        let ids: Vec<JobId> = posted.iter().map(|p| p.id).collect();
        let workers = await_that(stage, "VCRs for all jobs", |s| {
            watch_results(s, &mut posted)?;
            let mut workers = Vec::new();
            for id in &ids {
                let Some(job) = found(coordinator_client(s)?.job(id))? else {
                    return Ok(None);
                };
                match (&job.value.vcr, &job.value.assignment) {
                    (Some(_), Some(a)) => workers.push(a.worker),
                    _ if job.value.status == "expired" => {
                        return Err(DemoError(format!("job {id} expired without a VCR")));
                    }
                    _ => return Ok(None),
                }
            }
            Ok(Some(workers))
        })?;
        let lies = workers.iter().filter(|w| **w == stage.cheat).count();
        let honest = workers.len() - lies;
        stage.tell.say(format!(
            "all run: {honest} by honest workers, {lies} by the cheat"
        ));
        if lies >= 1 && honest >= 2 {
            return Ok(posted);
        }
        if posted.len() >= JOBS_MAX {
            return Err(text("the cheat was never chosen; nothing to catch"));
        }
        wanted = posted.len() + 1;
    }
}

/// Notes when each result is in the requester's hand.
fn watch_results(stage: &Stage, posted: &mut [Posted]) -> Done<()> {
    let client = coordinator_client(stage)?;
    for p in posted.iter_mut().filter(|p| p.result_seconds.is_none()) {
        let submitted = found(client.job(&p.id))?.is_some_and(|job| job.value.vcr.is_some());
        if submitted && found(client.job_output(&p.id))?.is_some() {
            p.result_seconds = Some(p.at.elapsed().as_secs_f64());
        }
    }
    Ok(())
}

fn job(stage: &Stage, id: &JobId) -> Done<JobView> {
    Ok(coordinator_client(stage)?.job(id)?.value)
}

fn is_cheats(stage: &Stage, job: &JobView) -> bool {
    job.assignment
        .as_ref()
        .is_some_and(|a| a.worker == stage.cheat)
}

/// Challenges an honest run falsely, while its window is open.
fn slander(stage: &mut Stage, posted: &[Posted]) -> Done<FalseChallenge> {
    stage
        .tell
        .chapter("A false challenge against an honest worker");
    // The last one posted has the most of its window left.
    for p in posted.iter().rev() {
        let view = job(stage, &p.id)?;
        let Some(vcr) = view.vcr.clone() else {
            continue;
        };
        if is_cheats(stage, &view) || view.status != "submitted" {
            continue;
        }
        let inputs = [p.digit.tensor()?];
        let header = TraceHeader::new(
            stage.rules.chain_id.0,
            p.id.0,
            stage.program.id(),
            &inputs,
            view.seed,
        );
        let limits = stage.rules.genesis.run_limits(view.gas_limit);
        let client = coordinator_client(stage)?;
        let slander =
            FalseChallenge::prepare(&client, &stage.program, &header, &inputs, &limits, p.id)?;
        if slander.commit(&mut stage.sceptic, vcr.tx).is_err() {
            // Its window closed meanwhile.
            continue;
        }
        let account = stage.sceptic.account();
        let id = p.id;
        await_that(stage, "the false challenge to be bonded", |s| {
            let all = coordinator_client(s)?.job_challenges(&id)?;
            Ok(all
                .items
                .iter()
                .any(|c| c.challenger == account)
                .then_some(()))
        })?;
        let (verify, reexecute) = slander.verdict_seconds;
        let timed = [
            ("kzg_verify_seconds", verify),
            ("step_reexecute_seconds", reexecute),
        ];
        for (name, seconds) in timed {
            stage.summary.stage_seconds.insert(name.to_owned(), seconds);
        }
        stage.tell.say(format!(
            "job {}: step {} is said to be wrong, {} AIC bonded on it",
            id.short(),
            slander.step,
            slander.bond
        ));
        return Ok(slander);
    }
    Err(text("no honest run was left to slander"))
}

fn kill_validator(stage: &mut Stage) -> Done<Slot> {
    stage.tell.chapter("A validator dies");
    let height = status(stage, VICTIM)?.height;
    stage.urls.remove(VICTIM);
    let process = stage
        .net
        .node(VICTIM)
        .ok_or_else(|| text("no such validator"))?;
    process.kill();
    stage
        .tell
        .say(format!("{VICTIM} killed with SIGKILL at height {height}"));
    Ok(height)
}

/// Until every job has ended; the sceptic reveals when its window closes.
fn follow_to_the_end(
    stage: &mut Stage,
    posted: &mut [Posted],
    slander: &FalseChallenge,
) -> Done<()> {
    stage.tell.chapter("The challenge window");
    let ids: Vec<JobId> = posted.iter().map(|p| p.id).collect();
    let mut revealed = false;
    let mut ended = 0;
    await_that(stage, "windows to pass", |s| {
        watch_results(s, posted)?;
        if !revealed {
            let target = job(s, &slander.job())?;
            if target.vcr.as_ref().is_some_and(|v| v.closed.is_some()) {
                slander.reveal(&mut s.sceptic)?;
                revealed = true;
                s.tell
                    .say("the window closed: the sceptic reveals its false challenge");
            }
        }
        let mut over = 0;
        for id in &ids {
            over += usize::from(job(s, id)?.is_over());
        }
        if over > ended {
            ended = over;
            let height = status(s, "coordinator-1")?.height;
            s.tell.say(format!(
                "height {height}: {over} of {} jobs have ended",
                ids.len()
            ));
        }
        Ok((over == ids.len()).then_some(()))
    })
}

fn tell_results(stage: &mut Stage, posted: &[Posted]) -> Done<()> {
    stage.tell.chapter("Results");
    let client = coordinator_client(stage)?;
    let mut drawn = false;
    for p in posted {
        let view = job(stage, &p.id)?;
        let assignment = view
            .assignment
            .clone()
            .ok_or_else(|| text("no assignment"))?;
        let vcr = view.vcr.clone().ok_or_else(|| text("no VCR"))?;
        let outcome = view.outcome.clone().ok_or_else(|| text("no outcome"))?;
        let name = stage
            .names
            .get(&assignment.worker)
            .cloned()
            .unwrap_or_default();
        let output = client.job_output(&p.id)?;
        let tensors = runs::decode_output(&output, &stage.rules.params().limits)?;
        let predicted = tensors
            .first()
            .and_then(|(_, t)| t.view::<f32>())
            .and_then(digits::prediction);
        let honest = assignment.worker != stage.cheat;
        let expected = if honest { "settled" } else { "refuted" };
        if view.status != expected {
            return Err(DemoError(format!(
                "job {} of {name} is {}, and should be {expected}",
                p.id, view.status
            )));
        }
        let slots = [
            view.posted,
            assignment.slot,
            view.accepted.unwrap_or_default(),
            vcr.slot,
            outcome.slot,
        ];
        let [posted_at, assigned, accepted, submitted, end] = slots.map(|s| s.0);
        let (class, probability) = predicted.unwrap_or((99, 0.0));
        stage.tell.say(format!(
            "job {} {:8} {name}: a {} read as {class} ({:.1} %)",
            p.id.short(),
            view.status,
            p.digit.label,
            probability * 100.0
        ));
        if honest && !drawn {
            drawn = true;
            for line in p.digit.drawing() {
                stage.tell.more(line);
            }
            stage.tell.more(format!(
                "paid {} AIC: burned {}, worker minted {}, coordinator {}",
                view.payment, outcome.burned, outcome.worker_reward, outcome.coordinator_reward
            ));
            stage.tell.more(format!(
                "slots: posted {posted_at}, assigned {assigned}, accepted {accepted}, VCR {submitted}, settled {end}"
            ));
        }
        stage.summary.jobs.push(JobSummary {
            job: p.id.to_string(),
            status: view.status.clone(),
            label: p.digit.label,
            predicted: predicted.map(|(class, _)| class),
            probability: predicted.map(|(_, p)| p),
            worker: name,
            payment: view.payment,
            slots,
            result_seconds: p.result_seconds.unwrap_or_default(),
        });
    }
    let workers = client.workers(100)?.items;
    for w in workers
        .iter()
        .filter(|w| w.account != stage.cheat && w.settled > 0)
    {
        let name = stage.names.get(&w.account).cloned().unwrap_or_default();
        if w.reputation < 10 {
            return Err(DemoError(format!(
                "{name} settled jobs and has reputation {}",
                w.reputation
            )));
        }
        stage.tell.say(format!(
            "{name}: {} settled, reputation {:+}",
            w.settled, w.reputation
        ));
    }
    Ok(())
}

fn tell_fraud(stage: &mut Stage, posted: &[Posted]) -> Done<()> {
    stage.tell.chapter("The lie");
    let confessions = std::fs::read_to_string(&stage.confession).map_err(text)?;
    let lies: Vec<Lie> = confessions
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()
        .map_err(text)?;
    let client = coordinator_client(stage)?;
    let mut shown = false;
    for p in posted {
        let view = job(stage, &p.id)?;
        if !is_cheats(stage, &view) {
            continue;
        }
        let lie = lies
            .iter()
            .find(|l| l.job == p.id.to_string())
            .ok_or_else(|| text("a refuted job was not confessed"))?;
        let challenges = client.job_challenges(&p.id)?.items;
        let upheld = challenges
            .iter()
            .find(|c| c.status == "upheld")
            .ok_or_else(|| text("no challenge was upheld"))?;
        let step = upheld.step.ok_or_else(|| text("no step was named"))?;
        let vcr = view.vcr.clone().ok_or_else(|| text("no VCR"))?;
        let outcome = view.outcome.clone().ok_or_else(|| text("no outcome"))?;
        if step != lie.step || outcome.refunded != PAYMENT || outcome.slashed == Amount::ZERO {
            return Err(DemoError(format!(
                "job {}: the wrong step, refund or slash",
                p.id
            )));
        }
        let ratio = upheld.gas as f64 / vcr.gas_used.max(1) as f64;
        if ratio > 0.3 {
            return Err(DemoError(format!(
                "{:.0} % of the gas was re-executed",
                ratio * 100.0
            )));
        }
        if shown {
            continue;
        }
        shown = true;
        let cheat = client.worker(&stage.cheat)?.value;
        stage.tell.say(format!(
            "job {}: after step {} of {} the cheat made element {} of value {} {} instead of {}",
            p.id.short(),
            lie.step,
            lie.steps,
            lie.element,
            lie.value,
            lie.became,
            lie.was
        ));
        stage.tell.say(format!(
            "the challenger re-executed, found step {step} first to differ, and proved it: {} of {} gas ({:.1} %) re-executed by validators",
            upheld.gas, vcr.gas_used, ratio * 100.0
        ));
        stage.tell.say(format!(
            "{CHEAT} lost {} AIC and stands at {:+}; the requester got {} AIC back; the challenger's {} AIC vest",
            outcome.slashed, cheat.reputation, outcome.refunded, outcome.challengers_reward
        ));
        stage.summary.fraud = Some(FraudSummary {
            job: p.id.to_string(),
            lie: lie.clone(),
            steps: vcr.elements - 1,
            step,
            gas_reexecuted: upheld.gas,
            gas_total: vcr.gas_used,
            gas_ratio: ratio,
            slashed: outcome.slashed,
            worker_reputation: cheat.reputation,
            refunded: outcome.refunded,
            challengers_reward: outcome.challengers_reward,
        });
    }
    if shown {
        Ok(())
    } else {
        Err(text("no lie was told, so none was caught"))
    }
}

fn tell_slander(stage: &mut Stage, slander: &FalseChallenge) -> Done<()> {
    let account = stage.sceptic.account();
    let all = coordinator_client(stage)?
        .job_challenges(&slander.job())?
        .items;
    let record = all
        .iter()
        .find(|c| c.challenger == account)
        .ok_or_else(|| text("the false challenge is gone"))?;
    if record.status != "failed" {
        return Err(DemoError(format!(
            "the false challenge is {}",
            record.status
        )));
    }
    stage.tell.say(format!(
        "the false challenge failed: step {} is right, the bond of {} AIC is lost",
        slander.step, record.bond
    ));
    stage.summary.false_challenge = Some(FalseChallengeSummary {
        job: slander.job().to_string(),
        step: slander.step,
        status: record.status.clone(),
        bond: record.bond,
    });
    Ok(())
}

fn restart_validator(stage: &mut Stage, killed_at: Slot) -> Done<()> {
    stage.tell.chapter("The validator returns");
    let height = await_that(stage, "it to miss enough heights", |s| {
        let height = status(s, "validator-1")?.height;
        Ok((height.0 > killed_at.0 + MISSED_MIN).then_some(height))
    })?;
    let started = Instant::now();
    stage.net.start(VICTIM, &[]).map_err(text)?;
    let url = stage.net.ready(VICTIM).map_err(text)?;
    stage.urls.insert(VICTIM.to_owned(), client(&url)?);
    await_that(stage, "it to catch up", |s| {
        let there = status(s, "validator-1")?.height;
        let here = status(s, VICTIM)?.height;
        Ok((here.0 + 1 >= there.0 && here > height).then_some(()))
    })?;
    let seconds = started.elapsed().as_secs_f64();
    stage.tell.say(format!(
        "{VICTIM} restarted at height {height} after missing {}, replayed and caught up in {seconds:.1} s",
        height.0 - killed_at.0
    ));
    stage.summary.crash = Some(CrashSummary {
        validator: VICTIM.to_owned(),
        killed_at,
        restarted_at: height,
        missed: height.0 - killed_at.0,
        caught_up_seconds: seconds,
    });
    Ok(())
}

fn receipt(stage: &mut Stage, posted: &[Posted], dir: &std::path::Path) -> Done<()> {
    stage
        .tell
        .chapter("A receipt that anybody can verify offline");
    let mut settled = None;
    for p in posted {
        if job(stage, &p.id)?.status == "settled" {
            settled = Some(p.id);
            break;
        }
    }
    let id = settled.ok_or_else(|| text("no job settled"))?;
    let bytes = coordinator_client(stage)?.receipt(&id)?;
    let path = dir.join("job.receipt");
    std::fs::write(&path, &bytes).map_err(text)?;
    let started = Instant::now();
    let program = std::env::current_exe().map_err(text)?;
    let output = std::process::Command::new(program)
        .args(["receipt", "verify"])
        .arg(&path)
        .arg("--network")
        .arg(stage.net.folder.network())
        .output()
        .map_err(text)?;
    let seconds = started.elapsed().as_secs_f64();
    let code = output.status.code().unwrap_or(-1);
    for line in String::from_utf8_lossy(&output.stdout).lines().take(30) {
        stage.tell.more(line);
    }
    if code != 0 {
        let why = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(DemoError(format!(
            "the receipt was refused with exit {code}: {why}"
        )));
    }
    stage.tell.say(format!(
        "{} bytes, accepted by a fresh process without a network in {seconds:.2} s",
        bytes.len()
    ));
    stage.summary.receipt = Some(ReceiptSummary {
        job: id.to_string(),
        bytes: bytes.len() as u64,
        verify_exit: code,
        verify_seconds: seconds,
    });
    Ok(())
}

/// Equal roots everywhere, at a height after everything; balanced books.
fn compare(stage: &mut Stage) -> Done<()> {
    stage.tell.chapter("The same state everywhere");
    let height = status(stage, "validator-1")?.height;
    let names: Vec<String> = stage.urls.keys().cloned().collect();
    let roots = await_that(stage, "every node to reach one height", |s| {
        let mut roots = BTreeMap::new();
        for name in &names {
            let client = s.urls.get(name).ok_or_else(|| text("a node is gone"))?;
            match found(client.block(height))? {
                Some(block) => roots.insert(name.clone(), block.state_root),
                None => return Ok(None),
            };
        }
        Ok(Some(roots))
    })?;
    let mut distinct: Vec<&String> = roots.values().collect();
    distinct.sort();
    distinct.dedup();
    let equal = distinct.len() == 1;
    let root = distinct
        .first()
        .map(|r| r.chars().take(16).collect::<String>())
        .unwrap_or_default();
    let supply = coordinator_client(stage)?.supply()?.value;
    stage.summary.root_height = height;
    stage.summary.roots_equal = equal;
    stage.summary.supply_conserved = supply.conserved;
    stage.summary.supply = serde_json::to_value(&supply).map_err(text)?;
    stage.summary.roots = roots.clone();
    if !equal || !supply.conserved {
        return Err(DemoError(format!(
            "roots equal: {equal}; supply conserved: {}",
            supply.conserved
        )));
    }
    stage.tell.say(format!(
        "height {height}: {} nodes have the state root {root}…",
        roots.len()
    ));
    stage.tell.say(format!(
        "supply conserved: {} AIC at genesis = {} free + {} escrowed + {} staked + {} bonded + {} vesting + {} burned − {} minted",
        supply.genesis,
        supply.balances,
        supply.escrows,
        supply.stakes,
        supply.bonds,
        supply.vesting,
        supply.burned,
        supply.minted
    ));
    Ok(())
}

/// Latencies as the nodes measured them, and memory.
fn figures(stage: &mut Stage) {
    stage.tell.chapter("Figures");
    let wanted = [
        (
            "aether_assignment_seconds",
            "assignment, from the event to the wire",
        ),
        ("aether_inference_seconds", "inference"),
        (
            "aether_vcr_seconds",
            "VCR generation, everything after inference",
        ),
        ("aether_recheck_seconds", "re-execution by the challenger"),
        ("aether_block_commit_seconds", "block commit"),
    ];
    let texts: Vec<String> = stage
        .urls
        .values()
        .filter_map(|client| client.metrics().ok())
        .collect();
    for (name, title) in wanted {
        let (mut sum, mut count) = (0.0, 0.0);
        for text in &texts {
            sum += sample(text, &format!("{name}_sum"));
            count += sample(text, &format!("{name}_count"));
        }
        if count > 0.0 {
            let mean: f64 = sum / count;
            stage
                .tell
                .say(format!("{title}: {:.2} ms (mean of {count})", mean * 1e3));
            stage.summary.stage_seconds.insert(name.to_owned(), mean);
        }
    }
    let timed = ["kzg_verify_seconds", "step_reexecute_seconds"];
    let titles = [
        "KZG verification of an opening",
        "re-execution of that one step",
    ];
    for (name, title) in timed.into_iter().zip(titles) {
        if let Some(seconds) = stage.summary.stage_seconds.get(name) {
            stage
                .tell
                .say(format!("{title}: {:.2} ms (best of 7)", seconds * 1e3));
        }
    }
    let results: Vec<f64> = stage
        .summary
        .jobs
        .iter()
        .map(|j| j.result_seconds)
        .collect();
    let mean = results.iter().sum::<f64>() / results.len().max(1) as f64;
    stage.tell.say(format!(
        "posting to result in the requester's hand: {mean:.2} s (mean)"
    ));
    let mut pids: Vec<(String, u32)> = stage
        .net
        .nodes()
        .map(|(name, process)| (name.clone(), process.pid()))
        .collect();
    pids.push(("bootnode".to_owned(), stage.net.bootnode_pid()));
    for (name, pid) in pids {
        if let Some(bytes) = resident_bytes(pid) {
            stage.summary.rss_bytes.insert(name, bytes);
        }
    }
    let rss: Vec<String> = stage
        .summary
        .rss_bytes
        .iter()
        .map(|(name, bytes)| format!("{name} {} MiB", bytes >> 20))
        .collect();
    stage.tell.say(format!("memory: {}", rss.join(", ")));
}

/// The first sample of a metric in Prometheus' text format.
fn sample(text: &str, name: &str) -> f64 {
    text.lines()
        .filter(|line| line.starts_with(name))
        .filter_map(|line| line.split_whitespace().last()?.parse::<f64>().ok())
        .next()
        .unwrap_or_default()
}
