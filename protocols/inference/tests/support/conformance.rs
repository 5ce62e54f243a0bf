//! Runs ONNX test directories: `model.onnx` with `test_data_set_*/input_*.pb`
//! and `output_*.pb`.
//!
//! Pass rule: shapes and types equal; floats within 1e-5 + 1e-3·|want|, NaN
//! equal to NaN; integers and booleans exact. A model that is refused as
//! unsupported counts as such; any other refusal or end counts as wrong.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use aether_inference::{
    Data, Limits, Program, RunLimits, Status, Tensor, TraceHeader, execute, make_witness,
};

/// What one test directory came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Every data set agrees.
    Passed,
    /// The answer, or the end of the run, is wrong.
    Wrong(String),
    /// The model uses what the crate does not have.
    Unsupported(String),
}

/// Counts of one operator or of everything.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Agreeing tests.
    pub(crate) passed: usize,
    /// Disagreeing tests.
    pub(crate) wrong: usize,
    /// Unsupported tests.
    pub(crate) unsupported: usize,
}

impl Counts {
    /// Adds a verdict.
    pub(crate) fn add(&mut self, v: &Verdict) {
        match v {
            Verdict::Passed => self.passed += 1,
            Verdict::Wrong(_) => self.wrong += 1,
            Verdict::Unsupported(_) => self.unsupported += 1,
        }
    }
}

/// Every directory below `root` that holds a `model.onnx`, sorted.
pub(crate) fn find(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![root.to_path_buf()];
    while let Some(dir) = open.pop() {
        if dir.join("model.onnx").is_file() {
            found.push(dir);
            continue;
        }
        let Ok(entries) = std::fs::read_dir(&dir) else {
            continue;
        };
        open.extend(entries.flatten().map(|e| e.path()).filter(|p| p.is_dir()));
    }
    found.sort();
    found
}

/// The tensors `input_0.pb`, `input_1.pb`, … of a data set.
pub(crate) fn tensors(set: &Path, stem: &str) -> Result<Vec<(String, Tensor)>, String> {
    let mut out = Vec::new();
    loop {
        let path = set.join(format!("{stem}_{}.pb", out.len()));
        if !path.is_file() {
            return Ok(out);
        }
        let bytes = std::fs::read(&path).map_err(|e| e.to_string())?;
        out.push(Tensor::from_onnx_pb(&bytes, 1 << 28).map_err(|e| e.to_string())?);
    }
}

/// The data sets of a test directory, sorted.
pub(crate) fn data_sets(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let mut sets: Vec<_> = entries
        .map(|e| e.path())
        .filter(|p| {
            p.file_name()
                .is_some_and(|n| n.to_string_lossy().starts_with("test_data_set_"))
        })
        .collect();
    sets.sort();
    sets
}

/// A header for `inputs` with fixed chain, job and seed.
pub(crate) fn header(program: &Program, inputs: &[Tensor]) -> TraceHeader {
    TraceHeader::new([1; 32], [2; 32], program.id(), inputs, 7)
}

/// Puts a data set's tensors in the program's order: by name where they have
/// one, as given otherwise.
pub(crate) fn order(program: &Program, given: Vec<(String, Tensor)>) -> Vec<Tensor> {
    match program.order_inputs(given.clone()) {
        Ok(inputs) => inputs,
        Err(_) => given.into_iter().map(|(_, t)| t).collect(),
    }
}

/// Runs one test directory.
pub(crate) fn run(dir: &Path) -> Verdict {
    let bytes = match std::fs::read(dir.join("model.onnx")) {
        Ok(bytes) => bytes,
        Err(e) => return Verdict::Wrong(e.to_string()),
    };
    let program = match Program::from_onnx(&bytes, &Limits::default()) {
        Ok(program) => program,
        Err(e) if e.is_unsupported() => return Verdict::Unsupported(e.to_string()),
        Err(e) => return Verdict::Wrong(e.to_string()),
    };
    let sets = data_sets(dir);
    if sets.is_empty() {
        return Verdict::Wrong("no data sets".into());
    }
    for set in sets {
        if let Err(reason) = run_set(&program, &set) {
            return Verdict::Wrong(reason);
        }
    }
    Verdict::Passed
}

fn run_set(program: &Program, set: &Path) -> Result<(), String> {
    let inputs = order(program, tensors(set, "input")?);
    let want = tensors(set, "output")?;
    let header = header(program, &inputs);
    let limits = RunLimits::default();
    let out = execute(program, &header, &inputs, &limits).map_err(|e| e.to_string())?;
    if out.status != Status::Done {
        return Err(format!("{:?}: {:?}", out.status, out.trap));
    }
    if out.outputs.len() != want.len() {
        return Err(format!(
            "{} outputs, {} wanted",
            out.outputs.len(),
            want.len()
        ));
    }
    for (i, (got, (_, want))) in out.outputs.iter().zip(&want).enumerate() {
        close(got, want).map_err(|e| format!("output {i}: {e}"))?;
    }
    // The last step, alone, must come to the same element.
    let last = out.trace.len() as u32 - 1;
    let (witness, before, after) =
        make_witness(program, &header, &inputs, &limits, last).map_err(|e| e.to_string())?;
    let again = aether_inference::execute_step(program, &header, &witness, &limits, &before)
        .map_err(|e| format!("witness of step {last}: {e}"))?;
    if Some(after) != again.element_after || after != out.trace[last as usize] {
        return Err(format!("step {last} alone comes to another element"));
    }
    Ok(())
}

/// Whether two tensors agree by the pass rule.
pub(crate) fn close(got: &Tensor, want: &Tensor) -> Result<(), String> {
    if (got.dtype(), got.shape()) != (want.dtype(), want.shape()) {
        return Err(format!("{got:?}, wanted {want:?}"));
    }
    let (Some(g), Some(w)) = (floats(got), floats(want)) else {
        return if got.data() == want.data() {
            Ok(())
        } else {
            Err(format!("{:?}, wanted {:?}", got.data(), want.data()))
        };
    };
    for (i, (&g, &w)) in g.iter().zip(&w).enumerate() {
        let same = g == w || (g.is_nan() && w.is_nan());
        let near = (g - w).abs() <= 1e-5 + 1e-3 * w.abs();
        if !same && !near {
            return Err(format!("element {i} is {g:e}, wanted {w:e}"));
        }
    }
    Ok(())
}

/// The elements of a tensor of floats, exactly.
fn floats(t: &Tensor) -> Option<Vec<f64>> {
    match t.data() {
        Data::F32(v) => Some(v.iter().map(|&x| f64::from(x)).collect()),
        Data::F16(v) => Some(v.iter().map(|x| x.to_f64()).collect()),
        Data::F64(v) => Some(v.clone()),
        _ => None,
    }
}

/// A group's name: the set's folder, and for node tests the operator that the
/// index lists, if there is one.
pub(crate) fn groups(root: &Path) -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(root.join("INDEX.tsv")).unwrap_or_default();
    text.lines()
        .filter_map(|l| {
            let mut f = l.split('\t');
            let (set, op, test) = (f.next()?, f.next()?, f.next()?);
            Some((format!("{set}/{test}"), format!("{set}/{op}")))
        })
        .collect()
}

/// Runs everything below `root`; calls `each` per test and returns counts per
/// group.
pub(crate) fn run_all(
    root: &Path,
    mut each: impl FnMut(&Path, &Verdict),
) -> (BTreeMap<String, Counts>, Counts) {
    let groups = groups(root);
    let (mut per, mut total) = (BTreeMap::<String, Counts>::new(), Counts::default());
    for dir in find(root) {
        let verdict = run(&dir);
        each(&dir, &verdict);
        let name = dir
            .strip_prefix(root)
            .unwrap_or(&dir)
            .to_string_lossy()
            .into_owned();
        let group = groups.get(&name).cloned().unwrap_or(name);
        per.entry(group).or_default().add(&verdict);
        total.add(&verdict);
    }
    (per, total)
}
