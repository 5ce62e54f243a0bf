//! Attention (opsets 23 and 24).
//!
//! Rules. t = √scale with scale 1/√d where absent (each rounded to `f32`);
//! q' = q · t, k' = k · t; s = q'·k' and y = p·v are FMA chains from +0 over the
//! head size and over the keys (past ones first). Then, in `f32`:
//! - x = −∞ where the causal rule, the mask or the length forbids a key, else
//!   s + mask (a mask shorter than the keys forbids the rest);
//! - `softcap` c > 0: x = c · tanh(x / c), but −∞ stays;
//! - p = softmax of the row (SPEC.md 1.7); 0 throughout if every x is −∞.
//!
//! Causal: key j is forbidden to query i when j > i + o, where o is the past's
//! length, or `nonpad_kv_seqlen` − queries where that is given, or 0. Query head
//! h reads key head ⌊h / (query heads / key heads)⌋. `qk_matmul_output`: s, x
//! before or after softcap, or p.

use std::sync::Arc;

use crate::gas;
use crate::kernels::gemm::{self, Mat};
use crate::kernels::math::{self, canon};
use crate::kernels::{Kernels, reduce, simd};
use crate::ops::registry::ok;
use crate::ops::{BuildError, Desc, Fault, Inputs, Node, Operator, Plan, tensor};
use crate::tensor::{DType, Tensor, numel};

#[derive(Debug)]
struct Attention {
    causal: bool,
    heads: Option<(usize, usize)>,
    scale: Option<f32>,
    softcap: f32,
    /// What the fourth output holds.
    mode: i64,
    outputs: usize,
}

pub(super) fn build(node: &Node<'_>) -> Result<Arc<dyn Operator>, BuildError> {
    node.arity(3, if node.version < 24 { 6 } else { 7 }, 4)?;
    if !matches!(node.int("softmax_precision", 1)?, 1) {
        return Err(BuildError::Unsupported(
            "softmax precision other than float",
        ));
    }
    let heads = |name: &'static str| {
        let n = node.opt_int(name)?;
        if n.is_some_and(|n| !(1..=1 << 20).contains(&n)) {
            return Err(BuildError::BadAttribute(name));
        }
        Ok(n.map(|n| n as usize))
    };
    let (q, kv) = (heads("q_num_heads")?, heads("kv_num_heads")?);
    let mode = node.int("qk_matmul_output_mode", 0)?;
    if !(0..=3).contains(&mode) {
        return Err(BuildError::BadAttribute("qk_matmul_output_mode"));
    }
    ok(Attention {
        causal: node.flag("is_causal", false)?,
        heads: q.zip(kv),
        scale: node.opt_float("scale")?,
        softcap: node.float("softcap", 0.0)?,
        mode,
        outputs: node.outputs,
    })
}

const DISAGREE: Fault = Fault::Trap("attention's inputs do not agree");

/// The sizes of everything.
struct Sizes {
    batch: usize,
    q_heads: usize,
    kv_heads: usize,
    queries: usize,
    past: usize,
    /// Past ones included.
    keys: usize,
    head: usize,
    v_head: usize,
    /// Heads interleaved in the last dimension.
    flat: bool,
}

impl Attention {
    fn sizes(&self, inputs: &Inputs<'_>) -> Result<Sizes, Fault> {
        for i in 0..3 {
            inputs.typed(i, DType::F32)?;
        }
        let (q, k, v) = (inputs.shape(0)?, inputs.shape(1)?, inputs.shape(2)?);
        // As batch, heads, length, head size.
        let split = |s: &[usize], heads: Option<usize>| match (s, heads) {
            (&[b, h, l, d], _) => Some([b, h, l, d]),
            (&[b, l, wide], Some(h)) if wide % h == 0 => Some([b, h, l, wide / h]),
            _ => None,
        };
        let (hq, hkv) = (self.heads.map(|h| h.0), self.heads.map(|h| h.1));
        let flat = q.len() == 3;
        let (Some(a), Some(b), Some(c)) = (split(q, hq), split(k, hkv), split(v, hkv)) else {
            return Err(DISAGREE);
        };
        let past = if inputs.has(4) {
            let shape = &inputs.typed(4, DType::F32)?.shape;
            let &[pb, ph, past, pd] = shape.as_slice() else {
                return Err(DISAGREE);
            };
            let values = &inputs.typed(5, DType::F32)?.shape;
            if [pb, ph, pd] != [b[0], b[1], b[3]] || values != &[pb, ph, past, c[3]] {
                return Err(DISAGREE);
            }
            past
        } else {
            0
        };
        let fits = k.len() == q.len()
            && v.len() == q.len()
            && a[0] == b[0]
            && b[..3] == c[..3]
            && a[3] == b[3]
            && b[1] > 0
            && a[1] % b[1] == 0
            && inputs.has(4) == inputs.has(5);
        if !fits {
            return Err(DISAGREE);
        }
        let s = Sizes {
            batch: a[0],
            q_heads: a[1],
            kv_heads: b[1],
            queries: a[2],
            past,
            keys: b[2].checked_add(past).ok_or(DISAGREE)?,
            head: a[3],
            v_head: c[3],
            flat,
        };
        if inputs.has(3) {
            let mask = inputs.desc(3)?;
            let full = [s.batch, s.q_heads, s.queries];
            let Some((&last, outer)) = mask.shape.split_last() else {
                return Err(DISAGREE);
            };
            let repeats = outer.len() <= 3
                && (outer.iter().rev())
                    .zip(full.iter().rev())
                    .all(|(&m, &d)| m == 1 || m == d);
            let typed = matches!(mask.dtype, DType::F32 | DType::Bool);
            if !repeats || last > s.keys || !typed {
                return Err(Fault::Trap("the mask does not fit queries and keys"));
            }
        }
        if inputs.has(6) && inputs.typed(6, DType::I64)?.shape != [s.batch] {
            return Err(DISAGREE);
        }
        Ok(s)
    }
}

impl Operator for Attention {
    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, Fault> {
        let s = self.sizes(inputs)?;
        let out = if s.flat {
            let wide = s.q_heads.checked_mul(s.v_head).ok_or(DISAGREE)?;
            vec![s.batch, s.queries, wide]
        } else {
            vec![s.batch, s.q_heads, s.queries, s.v_head]
        };
        let scores = numel(&[s.batch, s.q_heads, s.queries, s.keys]);
        let weight = 2 * gas::TRANSCENDENTAL + gas::DIVIDE + 6 * gas::SIMPLE;
        let present = [
            vec![s.batch, s.kv_heads, s.keys, s.head],
            vec![s.batch, s.kv_heads, s.keys, s.v_head],
        ];
        let gas = gas::contraction(scores, s.head as u64)
            .saturating_add(gas::contraction(numel(&out), s.keys as u64))
            .saturating_add(gas::elementwise(scores, weight))
            .saturating_add(numel(&present[0]))
            .saturating_add(numel(&present[1]));
        // Present keys and values; one head's scaled queries and keys, scores
        // and products.
        let head = numel(&[s.queries, s.head])
            .saturating_add(numel(&[s.keys, s.head]))
            .saturating_add(numel(&[s.queries, s.v_head]))
            .saturating_add(numel(&[s.queries, s.keys]).saturating_mul(2));
        let scratch = numel(&present[0])
            .saturating_add(numel(&present[1]))
            .saturating_add(head)
            .saturating_mul(4);
        let mut plan = Plan::one(DType::F32, out, gas);
        plan.scratch = scratch;
        let [k, v] = present;
        let all = [k, v, vec![s.batch, s.q_heads, s.queries, s.keys]];
        for shape in all.into_iter().take(self.outputs - 1) {
            plan.outputs.push(Desc::new(DType::F32, shape));
        }
        Ok(plan)
    }

    fn eval(&self, inputs: &Inputs<'_>, plan: &Plan, k: Kernels) -> Result<Vec<Tensor>, Fault> {
        let s = self.sizes(inputs)?;
        let q = inputs.slice::<f32>(0)?;
        let keys = present(&s, inputs, 1, 4, s.head)?;
        let values = present(&s, inputs, 2, 5, s.v_head)?;
        let mask = Mask::new(&s, inputs)?;
        let lens = if inputs.has(6) {
            Some(inputs.slice::<i64>(6)?)
        } else {
            None
        };
        let scale = self.scale.unwrap_or_else(|| 1.0 / (s.head as f32).sqrt());
        let t = canon(scale.sqrt());
        let mut y = vec![0f32; numel(plan.shape(0)) as usize];
        let wants = self.outputs > 3;
        let mut shown = Vec::with_capacity(if wants {
            numel(plan.shape(3)) as usize
        } else {
            0
        });
        let (lq, lk) = (s.queries, s.keys);
        if y.is_empty() && shown.capacity() == 0 {
            // Nothing to compute, for however many heads.
            let named = plan.outputs.iter().zip([y, keys, values, shown]);
            return named.map(|(d, v)| tensor(&d.shape, v)).collect();
        }
        let mut query = vec![0f32; lq * s.head];
        let mut key = vec![0f32; lk * s.head];
        let mut scores = vec![0f32; lq * lk];
        let mut product = vec![0f32; lq * s.v_head];
        for (b, h) in (0..s.batch).flat_map(|b| (0..s.q_heads).map(move |h| (b, h))) {
            let kv = b * s.kv_heads + h / (s.q_heads / s.kv_heads);
            for i in 0..lq {
                let at = s.row(b, h, s.q_heads, i, lq, s.head);
                let to = &mut query[i * s.head..][..s.head];
                simd::map1(k, &q[at..at + s.head], to, |x: f32| x * t);
            }
            simd::map1(
                k,
                &keys[kv * key.len()..][..key.len()],
                &mut key,
                |x: f32| x * t,
            );
            gemm::gemm(
                k,
                (lq, lk, s.head),
                Mat::rows(&query, s.head),
                Mat::rows(&key, s.head).transposed(),
                &mut scores,
            );
            let mut show = |mode: i64, scores: &[f32]| {
                if wants && mode == self.mode {
                    shown.extend_from_slice(scores);
                }
            };
            show(0, &scores);
            let (len, offset) = match lens {
                Some(l) => (l[b], l[b].saturating_sub(lq as i64)),
                None => (lk as i64, s.past as i64),
            };
            for i in 0..lq {
                let row = &mut scores[i * lk..][..lk];
                mask.add(k, row, b, h, i);
                // The keys from `end` on are forbidden.
                let mut end = len;
                if self.causal {
                    end = end.min((i as i64 + 1).saturating_add(offset));
                }
                let end = usize::try_from(end).unwrap_or(0).min(lk);
                row[end..].fill(f32::NEG_INFINITY);
            }
            show(1, &scores);
            if self.softcap > 0.0 {
                let c = self.softcap;
                simd::update(k, &mut scores, |x: f32| {
                    if x == f32::NEG_INFINITY {
                        x
                    } else {
                        canon(c * math::tanh(x / c))
                    }
                });
            }
            show(2, &scores);
            for row in scores.chunks_exact_mut(lk.max(1)) {
                softmax(k, row);
            }
            show(3, &scores);
            let v = &values[kv * lk * s.v_head..][..lk * s.v_head];
            gemm::gemm(
                k,
                (lq, s.v_head, lk),
                Mat::rows(&scores, lk),
                Mat::rows(v, s.v_head),
                &mut product,
            );
            for (i, row) in product.chunks_exact(s.v_head.max(1)).enumerate() {
                let at = s.row(b, h, s.q_heads, i, lq, s.v_head);
                y[at..at + s.v_head].copy_from_slice(row);
            }
        }
        let all = [y, keys, values, shown];
        let named = plan.outputs.iter().zip(all);
        named.map(|(d, v)| tensor(&d.shape, v)).collect()
    }
}

impl Sizes {
    /// Where row `i` of head `h` of `heads` begins.
    fn row(&self, b: usize, h: usize, heads: usize, i: usize, len: usize, size: usize) -> usize {
        if self.flat {
            ((b * len + i) * heads + h) * size
        } else {
            ((b * heads + h) * len + i) * size
        }
    }
}

/// Past and new keys (or values): batch, heads, length, size.
fn present(
    s: &Sizes,
    inputs: &Inputs<'_>,
    new: usize,
    past: usize,
    size: usize,
) -> Result<Vec<f32>, Fault> {
    let x = inputs.slice::<f32>(new)?;
    let old = if inputs.has(past) {
        inputs.slice::<f32>(past)?
    } else {
        &[]
    };
    let len = s.keys - s.past;
    let total = numel(&[s.batch, s.kv_heads, s.keys, size]) as usize;
    let mut out = Vec::with_capacity(total);
    if total == 0 {
        return Ok(out);
    }
    for (b, h) in (0..s.batch).flat_map(|b| (0..s.kv_heads).map(move |h| (b, h))) {
        let from = (b * s.kv_heads + h) * s.past * size;
        out.extend_from_slice(&old[from..from + s.past * size]);
        for i in 0..len {
            let at = s.row(b, h, s.kv_heads, i, len, size);
            out.extend_from_slice(&x[at..at + size]);
        }
    }
    Ok(out)
}

/// The mask, if there is one, with its strides over batch, heads and queries.
struct Mask<'a> {
    floats: Option<&'a [f32]>,
    bools: Option<&'a [bool]>,
    strides: [usize; 3],
    width: usize,
}

impl<'a> Mask<'a> {
    fn new(s: &Sizes, inputs: &Inputs<'a>) -> Result<Self, Fault> {
        let mut mask = Mask {
            floats: None,
            bools: None,
            strides: [0; 3],
            width: s.keys,
        };
        if !inputs.has(3) {
            return Ok(mask);
        }
        let t = inputs.tensor(3)?;
        mask.floats = t.view();
        mask.bools = t.view();
        let Some((&width, outer)) = t.shape().split_last() else {
            return Err(DISAGREE);
        };
        mask.width = width;
        let mut step = width;
        for (place, &d) in mask.strides.iter_mut().rev().zip(outer.iter().rev()) {
            *place = if d == 1 { 0 } else { step };
            step *= d;
        }
        Ok(mask)
    }

    fn add(&self, k: Kernels, row: &mut [f32], b: usize, h: usize, i: usize) {
        let at = b * self.strides[0] + h * self.strides[1] + i * self.strides[2];
        let (head, rest) = row.split_at_mut(self.width);
        rest.fill(f32::NEG_INFINITY);
        if let Some(m) = self.floats {
            add(k, &m[at..at + self.width], head);
        }
        if let Some(m) = self.bools {
            for (x, &allowed) in head.iter_mut().zip(&m[at..at + self.width]) {
                if !allowed {
                    *x = f32::NEG_INFINITY;
                }
            }
        }
    }
}

simd::multiversion! {
    /// `x[i] += m[i]`, NaN canonical.
    fn add[](m: &[f32], x: &mut [f32]) {
        for (x, &m) in x.iter_mut().zip(m) {
            *x = canon(*x + m);
        }
    }
}

fn softmax(k: Kernels, row: &mut [f32]) {
    let mut m = [0f32];
    reduce::max_rows(k, row, row.len(), &mut m);
    let m = m[0];
    if m == f32::NEG_INFINITY {
        row.fill(0.0);
        return;
    }
    simd::update(k, row, |x: f32| math::exp(x - m));
    let s = reduce::sum(k, row);
    simd::update(k, row, |e: f32| canon(e / s));
}
