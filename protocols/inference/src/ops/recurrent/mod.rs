//! LSTM, GRU and RNN, and com.microsoft's DynamicQuantizeLSTM.
//!
//! Rules. x·W and h·R are contractions (FMA chains from +0 over the input and
//! hidden sizes); W's bias and R's are added first, and the sum to x·W; h·R is
//! added last: `(x·W + (Wb + Rb)) + h·R`. Every other operation is rounded, from
//! left to right as the formulas below are written. `clip` bounds the argument
//! of every activation (Max and Min of SPEC.md 1.5).
//! - RNN: H = f(pre).
//! - GRU: z = f(pre), r = f(pre); without `linear_before_reset`
//!   c = g((x·W + (Wb + Rb)) + (r·h)·R), with it c = g((x·W + Wb) + r·(h·R + Rb));
//!   H = (1 − z)·c + z·h.
//! - LSTM: i = f(pre + Pi·C), f = f(pre + Pf·C) (1 − i with `input_forget`),
//!   c = g(pre); C' = f·C + i·c; o = f(pre + Po·C'); H = o·h(C'). Peepholes are
//!   added only when given.
//!
//! The reverse direction starts at each sequence's own end. Beyond a sequence's
//! length outputs are 0; last states are those of its end. The quantised LSTM's
//! products are described in `quant.rs`.

mod activation;
mod quant;
mod run;

use activation::Activation;

use crate::gas;
use crate::kernels::Kernels;
use crate::ops::registry::{Built, FLOAT, SupportedOperator, ok, own, wide};
use crate::ops::{BuildError, Desc, Fault, Inputs, Node, Operator, Plan};
use crate::tensor::{DType, Tensor};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Rnn,
    Gru { linear_before_reset: bool },
    Lstm { input_forget: bool },
}

impl Kind {
    fn gates(self) -> usize {
        match self {
            Kind::Rnn => 1,
            Kind::Gru { .. } => 3,
            Kind::Lstm { .. } => 4,
        }
    }

    fn lstm(self) -> bool {
        matches!(self, Kind::Lstm { .. })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Forward,
    Reverse,
    Both,
}

#[derive(Debug)]
struct Recurrent {
    kind: Kind,
    direction: Direction,
    hidden: Option<i64>,
    /// Batch before time.
    batch_first: bool,
    clip: Option<f32>,
    activations: Vec<Activation>,
    outputs: usize,
    /// Weights are bytes with scales, transposed.
    quantised: bool,
}

/// The inputs' sizes.
#[derive(Debug, Clone, Copy)]
struct Sizes {
    steps: usize,
    batch: usize,
    input: usize,
    hidden: usize,
    directions: usize,
    gates: usize,
}

/// The operators of this family.
pub(super) static OPERATORS: &[SupportedOperator] = &[
    wide("LSTM", 1, FLOAT, build),
    wide("GRU", 1, FLOAT, build),
    wide("RNN", 1, FLOAT, build),
    own("com.microsoft.DynamicQuantizeLSTM", 1, &[DType::F32], build),
];

/// Builds LSTM, GRU, RNN or DynamicQuantizeLSTM.
fn build(node: &Node<'_>) -> Built {
    let quantised = node.op == "com.microsoft.DynamicQuantizeLSTM";
    let kind = match node.op {
        "RNN" => Kind::Rnn,
        "GRU" => Kind::Gru {
            linear_before_reset: node.flag("linear_before_reset", false)?,
        },
        _ => Kind::Lstm {
            input_forget: node.flag("input_forget", false)?,
        },
    };
    let (most, outputs) = match kind {
        Kind::Lstm { .. } if quantised => (12, 3),
        Kind::Lstm { .. } => (8, 3),
        _ => (6, 2),
    };
    if quantised {
        node.arity(12, most, outputs)?;
    } else {
        node.arity(3, most, outputs)?;
        if node.version < 7 {
            // Asked for the whole sequence, which is an output of its own.
            node.ignore("output_sequence");
        }
    }
    let direction = match node.text("direction", "forward")? {
        "forward" => Direction::Forward,
        "reverse" => Direction::Reverse,
        "bidirectional" => Direction::Both,
        _ => return Err(BuildError::BadAttribute("direction")),
    };
    let directions = 1 + usize::from(direction == Direction::Both);
    let (s, t) = (Activation::Sigmoid, Activation::Tanh);
    let default: &[Activation] = match kind {
        Kind::Rnn => &[t],
        Kind::Gru { .. } => &[s, t],
        Kind::Lstm { .. } => &[s, t, t],
    };
    let clip = node.opt_float("clip")?.filter(|&c| c != 0.0);
    if clip.is_some_and(|c| c.is_nan() || c < 0.0) {
        return Err(BuildError::BadAttribute("clip"));
    }
    ok(Recurrent {
        kind,
        direction,
        hidden: node.opt_int("hidden_size")?,
        batch_first: node.flag("layout", false)?,
        clip,
        activations: Activation::read(node, directions, default)?,
        outputs: node.outputs,
        quantised,
    })
}

const DISAGREE: Fault = Fault::Trap("the recurrent operator's inputs do not agree");

impl Recurrent {
    fn sizes(&self, inputs: &Inputs<'_>) -> Result<Sizes, Fault> {
        let (&[a, b, input], &[directions, w1, w2]) = (inputs.shape(0)?, inputs.shape(1)?) else {
            return Err(DISAGREE);
        };
        let &[r0, r1, r2] = inputs.shape(2)? else {
            return Err(DISAGREE);
        };
        let (steps, batch) = if self.batch_first { (b, a) } else { (a, b) };
        let gates = self.kind.gates();
        let hidden = if self.quantised { r1 } else { r2 };
        let wide = gates.checked_mul(hidden).ok_or(DISAGREE)?;
        let (w, r) = if self.quantised {
            ((input, wide), (hidden, wide))
        } else {
            ((wide, input), (wide, hidden))
        };
        let fits = directions == 1 + usize::from(self.direction == Direction::Both)
            && r0 == directions
            && (w1, w2) == w
            && (r1, r2) == r
            && self.hidden.is_none_or(|h| usize::try_from(h) == Ok(hidden));
        if !fits {
            return Err(DISAGREE);
        }
        Ok(Sizes {
            steps,
            batch,
            input,
            hidden,
            directions,
            gates,
        })
    }

    /// Shape of the states: [directions, batch, hidden] or batch first.
    fn state(&self, s: &Sizes) -> Vec<usize> {
        if self.batch_first {
            vec![s.batch, s.directions, s.hidden]
        } else {
            vec![s.directions, s.batch, s.hidden]
        }
    }
}

impl Operator for Recurrent {
    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, Fault> {
        inputs.typed(0, DType::F32)?;
        let s = self.sizes(inputs)?;
        let wide = s.gates * s.hidden;
        let state = self.state(&s);
        if self.quantised {
            quant::check(inputs, &s)?;
        } else {
            inputs.typed(1, DType::F32)?;
            inputs.typed(2, DType::F32)?;
        }
        let optional = |i: usize, shape: &[usize]| {
            if inputs.has(i) && inputs.typed(i, DType::F32)?.shape != shape {
                return Err(DISAGREE);
            }
            Ok(())
        };
        optional(3, &[s.directions, 2usize.saturating_mul(wide)])?;
        if inputs.has(4) && inputs.typed(4, DType::I32)?.shape != [s.batch] {
            return Err(DISAGREE);
        }
        optional(5, &state)?;
        if self.kind.lstm() {
            optional(6, &state)?;
            optional(7, &[s.directions, 3usize.saturating_mul(s.hidden)])?;
        }
        let sequence = if self.batch_first {
            vec![s.batch, s.steps, s.directions, s.hidden]
        } else {
            vec![s.steps, s.directions, s.batch, s.hidden]
        };
        let per = [s.steps, s.batch, s.directions]
            .iter()
            .fold(1u64, |n, &d| n.saturating_mul(d as u64));
        let pre = per.saturating_mul(wide as u64);
        let k = (s.input as u64).saturating_add(s.hidden as u64);
        let gas = gas::contraction(pre, k.saturating_add(2 + gas::TRANSCENDENTAL)).saturating_add(
            gas::elementwise(
                per.saturating_mul(s.hidden as u64),
                gas::TRANSCENDENTAL + 8 * gas::SIMPLE,
            ),
        );
        let mut plan = Plan::one(DType::F32, sequence, gas);
        for _ in 1..self.outputs {
            plan.outputs.push(Desc::new(DType::F32, state.clone()));
        }
        // The projected input, one direction's weights, gates and states, and
        // the quantised input.
        let (rows, wide) = ((s.steps as u64).saturating_mul(s.batch as u64), wide as u64);
        plan.scratch = rows
            .saturating_mul(wide)
            .saturating_add(wide.saturating_mul(k))
            .saturating_add((s.batch as u64).saturating_mul(8 * wide))
            .saturating_add(rows.saturating_mul(s.input as u64))
            .saturating_mul(4);
        Ok(plan)
    }

    fn eval(&self, inputs: &Inputs<'_>, plan: &Plan, k: Kernels) -> Result<Vec<Tensor>, Fault> {
        run::run(self, inputs, plan, k)
    }
}
