//! TfIdfVectorizer over integers.
//!
//! Rules: for each length n from `min_gram_length` to `max_gram_length`, each skip
//! from 0 to `max_skip_count` (0 alone for n = 1) and each start, the n items of a row
//! that are 1 + skip apart are looked for in the pool; its index in the output
//! counts them. TF: the count; IDF: its weight (1 without weights) where the count
//! is not 0; TFIDF: the count times the weight, in `f32`.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::registry::ok;
use super::{BuildError, Fault, Inputs, Node, Operator, Plan, single};
use crate::kernels::Kernels;
use crate::kernels::math::canon;
use crate::tensor::{DType, Tensor, numel};

/// Longest n-gram, and most skips.
const LONGEST: i64 = 64;
/// Most outputs of a row.
const OUTPUTS: i64 = 1 << 24;

#[derive(Debug)]
struct TfIdf {
    lengths: (usize, usize),
    skips: usize,
    /// From an n-gram to its place in the output.
    pool: BTreeMap<Vec<i64>, usize>,
    /// Weights by place, and whether counts count.
    weights: Option<Vec<f32>>,
    counts: bool,
    width: usize,
}

pub(super) fn build(node: &Node<'_>) -> Result<Arc<dyn Operator>, BuildError> {
    node.arity(1, 1, 1)?;
    if node.texts("pool_strings")?.is_some() {
        return Err(BuildError::Unsupported("strings"));
    }
    let bounded = |name: &'static str, least: i64| match node.opt_int(name)? {
        Some(n) if (least..=LONGEST).contains(&n) => Ok(n as usize),
        _ => Err(BuildError::BadAttribute(name)),
    };
    let lengths = (
        bounded("min_gram_length", 1)?,
        bounded("max_gram_length", 1)?,
    );
    let skips = bounded("max_skip_count", 0)?;
    if lengths.0 > lengths.1 {
        return Err(BuildError::BadAttribute("min_gram_length"));
    }
    let list = |name: &'static str| node.ints(name)?.ok_or(BuildError::BadAttribute(name));
    let (starts, places) = (list("ngram_counts")?, list("ngram_indexes")?);
    let items = list("pool_int64s")?;
    let bad = BuildError::BadAttribute("ngram_indexes");
    if places.iter().any(|p| !(0..OUTPUTS).contains(p)) {
        return Err(bad);
    }
    let width = places.iter().max().map_or(0, |&p| p as usize + 1);
    let weights = node.floats("weights")?;
    if weights.is_some_and(|w| w.len() != places.len()) {
        return Err(BuildError::BadAttribute("weights"));
    }
    let (mut pool, mut by_place) = (BTreeMap::new(), vec![1f32; width]);
    let mut next = 0;
    for (i, &from) in starts.iter().enumerate() {
        let counts = BuildError::BadAttribute("ngram_counts");
        let to = starts.get(i + 1).copied().unwrap_or(items.len() as i64);
        let from = usize::try_from(from).map_err(|_| counts.clone())?;
        let to = usize::try_from(to).map_err(|_| counts.clone())?;
        let part = items.get(from..to).ok_or(counts.clone())?;
        if i as i64 >= LONGEST || !part.len().is_multiple_of(i + 1) {
            return Err(counts);
        }
        for gram in part.chunks_exact(i + 1) {
            let place = *places.get(next).ok_or(bad.clone())? as usize;
            if let (Some(w), Some(to)) = (weights, by_place.get_mut(place)) {
                *to = w.get(next).copied().unwrap_or(1.0);
            }
            pool.insert(gram.to_vec(), place);
            next += 1;
        }
    }
    let (weighted, counts) = match node.text("mode", "")? {
        "TF" => (false, true),
        "IDF" => (true, false),
        "TFIDF" => (true, true),
        _ => return Err(BuildError::BadAttribute("mode")),
    };
    ok(TfIdf {
        lengths,
        skips,
        pool,
        weights: weighted.then_some(by_place),
        counts,
        width,
    })
}

impl TfIdf {
    /// Rows and their length.
    fn rows(shape: &[usize]) -> Result<(Option<usize>, usize), Fault> {
        match *shape {
            [n] => Ok((None, n)),
            [rows, n] => Ok((Some(rows), n)),
            _ => Err(Fault::Trap("one or two dimensions are needed here")),
        }
    }
}

impl Operator for TfIdf {
    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, Fault> {
        let d = inputs.desc(0)?;
        if !matches!(d.dtype, DType::I32 | DType::I64) {
            return Err(Fault::Trap("integers are needed here"));
        }
        let (rows, _) = Self::rows(&d.shape)?;
        let mut out: Vec<usize> = rows.into_iter().collect();
        out.push(self.width);
        // Every n-gram is looked for.
        let sizes = (self.lengths.1 - self.lengths.0 + 1) * (self.skips + 1);
        let looks = (self.pool.len() as u64 + 1).ilog2() as u64 + 1;
        let gas = (d.len())
            .saturating_mul(sizes as u64)
            .saturating_mul(self.lengths.1 as u64 * looks)
            .saturating_add(numel(&out));
        Ok(Plan::one(DType::F32, out, gas))
    }

    fn eval(&self, inputs: &Inputs<'_>, plan: &Plan, _: Kernels) -> Result<Vec<Tensor>, Fault> {
        let items = inputs.indices(0)?;
        let (_, n) = Self::rows(inputs.shape(0)?)?;
        let mut v = vec![0f32; numel(plan.shape(0)) as usize];
        let mut gram = Vec::with_capacity(self.lengths.1);
        let rows = items.chunks_exact(n.max(1));
        for (row, out) in rows.zip(v.chunks_exact_mut(self.width.max(1))) {
            for size in self.lengths.0..=self.lengths.1 {
                for skip in 0..=if size == 1 { 0 } else { self.skips } {
                    let reach = (size - 1) * (skip + 1);
                    for start in 0..row.len().saturating_sub(reach) {
                        gram.clear();
                        gram.extend(row[start..].iter().step_by(skip + 1).take(size));
                        if let Some(&place) = self.pool.get(&gram) {
                            out[place] += 1.0;
                        }
                    }
                }
            }
        }
        if let Some(weights) = &self.weights {
            for out in v.chunks_exact_mut(self.width.max(1)) {
                for (x, w) in out.iter_mut().zip(weights) {
                    *x = match (*x > 0.0, self.counts) {
                        (false, _) => 0.0,
                        (true, false) => *w,
                        (true, true) => canon(*x * w),
                    };
                }
            }
        }
        single(plan.shape(0), v)
    }
}
