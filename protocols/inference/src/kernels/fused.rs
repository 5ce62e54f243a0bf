//! Chains of elementwise functions, a stretch at a time.
//!
//! Rule: every element of every node is what the function gives for the same
//! elements of its operands, rounded and canonical as if each node were computed
//! on its own; only the order differs in which elements are visited. A stretch
//! of all nodes stays in the first-level cache, and only what is *wanted* goes to
//! memory.

use std::fmt;
use std::sync::Arc;

use super::math::{self, canon};
use super::simd::{self, map1_alone, map2_alone};
use super::split::{self, Shared};
use super::{Kernels, scratch};

/// Elements of a stretch.
const STRETCH: usize = 1024;

/// A function of one float, compiled for each path: source, destination.
pub(crate) type Each = Arc<dyn Fn(Kernels, &[f32], &mut [f32]) + Send + Sync>;

/// What a node computes.
#[derive(Clone)]
pub(crate) enum Function {
    Add,
    Sub,
    Mul,
    Div,
    Max,
    Min,
    /// Of the first operand alone.
    Each(Each),
    /// `(x − mean)·factor + bias`, with one of each for every channel: runs of
    /// `inner` elements, in turn.
    Channels {
        inner: usize,
        /// mean, factor, bias
        by: Arc<[[f32; 3]]>,
    },
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Function::Add => "Add",
            Function::Sub => "Sub",
            Function::Mul => "Mul",
            Function::Div => "Div",
            Function::Max => "Max",
            Function::Min => "Min",
            Function::Each(_) => "Each",
            Function::Channels { .. } => "Channels",
        })
    }
}

/// Where an operand's element `t` lies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Source {
    /// In an earlier node, at `t`.
    Node(usize),
    /// One number.
    Value(f32),
    /// In a slice that is given, by its index: at `t / inner % len`, with len
    /// its length.
    Slice { at: usize, inner: usize },
}

/// A node: function and operands; functions of one operand ignore the second.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) function: Function,
    pub(crate) a: Source,
    pub(crate) b: Source,
}

/// An operand's elements for a run: one each, or one for all.
enum Run<'a> {
    Slice(&'a [f32]),
    Value(f32),
}

/// Where a node's stretch is kept: node → place; and the number of places.
/// Places below the number of wanted nodes are those nodes' own.
fn places(nodes: &[Node], wanted: &[usize]) -> (Vec<usize>, usize) {
    let mut last: Vec<usize> = (0..nodes.len()).collect();
    for (i, n) in nodes.iter().enumerate() {
        for s in [n.a, n.b] {
            if let Source::Node(j) = s {
                last[j] = i;
            }
        }
    }
    let (mut free, mut count) = (Vec::new(), wanted.len());
    let mut place = Vec::with_capacity(nodes.len());
    for (i, n) in nodes.iter().enumerate() {
        let own = wanted.iter().position(|&w| w == i);
        place.push(own.or_else(|| free.pop()).unwrap_or_else(|| {
            count += 1;
            count - 1
        }));
        // What nobody reads from now on makes room, each once.
        let mut operands = [n.a, n.b].to_vec();
        operands.dedup();
        for s in operands {
            if let Source::Node(j) = s
                && last[j] == i
                && place[j] >= wanted.len()
            {
                free.push(place[j]);
            }
        }
        if last[i] == i && own.is_none() {
            free.push(place[i]);
        }
    }
    (place, count)
}

/// The wanted nodes' elements, `len` each.
pub(crate) fn run(
    kernels: Kernels,
    nodes: &[Node],
    wanted: &[usize],
    slices: &[&[f32]],
    len: usize,
) -> Vec<Vec<f32>> {
    let mut out: Vec<Vec<f32>> = wanted.iter().map(|_| scratch::take(len)).collect();
    let (place, count) = places(nodes, wanted);
    let shared: Vec<Shared<'_>> = out.iter_mut().map(|v| Shared::new(v)).collect();
    let parts = simd::parts(len);
    let stretches = len.div_ceil(STRETCH);
    split::run(parts, &|part| {
        let temporary = (count - wanted.len()) * STRETCH;
        scratch::with(temporary, |temporary| {
            for s in split::share(stretches, parts, part) {
                let start = s * STRETCH;
                let size = STRETCH.min(len - start);
                let mut held: Vec<&mut [f32]> = (shared.iter())
                    // SAFETY: each stretch belongs to one part, which holds it once.
                    .map(|v| unsafe { v.slice(start, size) })
                    .collect();
                held.extend(temporary.chunks_mut(STRETCH).map(|t| &mut t[..size]));
                for (node, &to) in nodes.iter().zip(&place) {
                    let dst = std::mem::take(&mut held[to]);
                    stretch(kernels, node, &place, &held, slices, start, dst);
                    held[to] = dst;
                }
            }
        });
    });
    drop(shared);
    out
}

/// One node on one stretch, in runs over which operands lie side by side or do
/// not change.
fn stretch(
    kernels: Kernels,
    node: &Node,
    place: &[usize],
    held: &[&mut [f32]],
    slices: &[&[f32]],
    start: usize,
    dst: &mut [f32],
) {
    let end = start + dst.len();
    let mut t = start;
    while t < end {
        // Up to where one of them begins anew or changes.
        let mut size = end - t;
        let mut operand = |s: Source| match s {
            Source::Node(j) => Run::Slice(&held[place[j]][t - start..]),
            Source::Value(v) => Run::Value(v),
            Source::Slice { at, inner: 1 } => {
                let all = slices[at];
                let rest = &all[t % all.len()..];
                size = size.min(rest.len());
                Run::Slice(rest)
            }
            Source::Slice { at, inner } => {
                size = size.min(inner - t % inner);
                Run::Value(slices[at][t / inner % slices[at].len()])
            }
        };
        let (a, b) = (operand(node.a), operand(node.b));
        if let Function::Channels { inner, .. } = node.function {
            size = size.min(inner - t % inner);
        }
        let to = &mut dst[t - start..][..size];
        apply(kernels, &node.function, a, b, t, to);
        t += size;
    }
}

/// A function on a run that begins at element `t`.
fn apply(kernels: Kernels, function: &Function, a: Run<'_>, b: Run<'_>, t: usize, to: &mut [f32]) {
    macro_rules! two {
        ($f:expr) => {{
            let f = $f;
            match (a, b) {
                (Run::Slice(a), Run::Slice(b)) => map2_alone(kernels, a, b, to, f),
                (Run::Slice(a), Run::Value(y)) => map1_alone(kernels, a, to, |x| f(x, y)),
                (Run::Value(x), Run::Slice(b)) => map1_alone(kernels, b, to, |y| f(x, y)),
                (Run::Value(x), Run::Value(y)) => to.fill(f(x, y)),
            }
        }};
    }
    match function {
        Function::Add => two!(|x: f32, y: f32| canon(x + y)),
        Function::Sub => two!(|x: f32, y: f32| canon(x - y)),
        Function::Mul => two!(|x: f32, y: f32| canon(x * y)),
        Function::Div => two!(|x: f32, y: f32| canon(x / y)),
        Function::Max => two!(math::max),
        Function::Min => two!(math::min),
        Function::Each(f) => match a {
            Run::Slice(a) => f(kernels, &a[..to.len()], to),
            Run::Value(x) => {
                let mut y = [0f32];
                f(kernels, &[x], &mut y);
                to.fill(y[0]);
            }
        },
        Function::Channels { inner, by } => {
            let [mean, factor, bias] = by[t / inner % by.len()];
            let f = |x: f32| canon((x - mean) * factor + bias);
            match a {
                Run::Slice(a) => map1_alone(kernels, a, to, f),
                Run::Value(x) => to.fill(f(x)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::gemm_tests::{bits, numbers};
    use super::*;

    fn node(function: Function, a: Source, b: Source) -> Node {
        Node { function, a, b }
    }

    /// The rule, element by element.
    fn rule(nodes: &[Node], slices: &[&[f32]], t: usize) -> Vec<f32> {
        let mut done: Vec<f32> = Vec::new();
        for n in nodes {
            let [a, b] = [n.a, n.b].map(|s| match s {
                Source::Node(j) => done[j],
                Source::Value(v) => v,
                Source::Slice { at, inner } => slices[at][t / inner % slices[at].len()],
            });
            done.push(match &n.function {
                Function::Add => canon(a + b),
                Function::Sub => canon(a - b),
                Function::Mul => canon(a * b),
                Function::Div => canon(a / b),
                Function::Max => math::max(a, b),
                Function::Min => math::min(a, b),
                Function::Each(_) => canon(-a),
                Function::Channels { inner, by } => {
                    let [m, f, c] = by[t / inner % by.len()];
                    canon((a - m) * f + c)
                }
            });
        }
        done
    }

    #[test]
    fn a_chain_gives_what_its_nodes_give_one_by_one() {
        use Source::{Node as At, Value};
        let negate: Each = Arc::new(|k, x, y| map1_alone(k, x, y, |x: f32| canon(-x)));
        for len in [1, 7, 1024, 1025, 6 * 35 * 50] {
            for hostile in [false, true] {
                let whole = [numbers(len, 1, hostile), numbers(len, 2, hostile)];
                let few = [numbers(6, 3, hostile), numbers(35, 4, hostile)];
                let slices = [&whole[0][..], &whole[1], &few[0], &few[1]];
                let slice = |at, inner| Source::Slice { at, inner };
                let by: Arc<[[f32; 3]]> = (0..6).map(|i| [few[0][i], 0.5, few[1][i]]).collect();
                let nodes = [
                    node(Function::Add, slice(0, 1), slice(3, 1)),
                    node(Function::Channels { inner: 50, by }, At(0), At(0)),
                    node(Function::Mul, At(1), slice(2, 35)),
                    node(Function::Each(negate.clone()), At(2), At(2)),
                    node(Function::Sub, Value(1.5), At(3)),
                    node(Function::Max, At(4), Value(0.25)),
                    node(Function::Mul, At(5), At(2)),
                    node(Function::Div, slice(1, 1), At(6)),
                    node(Function::Min, At(7), At(1)),
                    node(Function::Add, slice(2, 7), Value(2.0)),
                ];
                for wanted in [&[9usize][..], &[8, 9], &[1, 4, 7, 8, 9], &[0]] {
                    for kernels in Kernels::available() {
                        for threads in [1, 2, 7] {
                            let got = split::with_threads(threads, || {
                                run(kernels, &nodes, wanted, &slices, len)
                            });
                            for (v, &w) in got.iter().zip(wanted) {
                                let want = |t| rule(&nodes, &slices, t)[w].to_bits();
                                let want: Vec<u32> = (0..len).map(want).collect();
                                assert!(bits(v) == want, "node {w} of {len} on {kernels:?}");
                            }
                        }
                    }
                }
            }
        }
    }
}
