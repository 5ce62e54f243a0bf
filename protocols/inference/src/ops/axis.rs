//! MoveAxis: an axis to the front, or the front to an axis, in reverse if
//! wanted. No ONNX operator: it stands before and after a Scan.
//!
//! Rule: element k along the axis becomes element k (in reverse: n − 1 − k)
//! along the front, or the other way round; the other axes keep their order.

use std::sync::Arc;

use super::{Fault, Inputs, Operator, Plan, axis, layout, single};
use crate::kernels::Kernels;
use crate::tensor::{Tensor, with_data};

#[derive(Debug)]
struct MoveAxis {
    axis: i64,
    reverse: bool,
    front: bool,
}

pub(crate) fn move_axis(axis: i64, reverse: bool, front: bool) -> Arc<dyn Operator> {
    Arc::new(MoveAxis {
        axis,
        reverse,
        front,
    })
}

impl Operator for MoveAxis {
    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, Fault> {
        let mut d = inputs.desc(0)?.clone();
        let at = axis(self.axis, d.shape.len())?;
        if self.front {
            d.shape[..=at].rotate_right(1);
        } else {
            d.shape[..=at].rotate_left(1);
        }
        Ok(layout::moved(d))
    }

    fn eval(&self, inputs: &Inputs<'_>, plan: &Plan, _: Kernels) -> Result<Vec<Tensor>, Fault> {
        let t = inputs.tensor(0)?;
        let at = axis(self.axis, t.shape().len())?;
        // The shape with the axis in its place: [outer, n, inner].
        let placed = if self.front { t.shape() } else { plan.shape(0) };
        let outer: usize = placed[..at].iter().product();
        let (n, inner) = (placed[at], placed[at + 1..].iter().product::<usize>());
        with_data!(t.data(), v => {
            let mut out = Vec::with_capacity(v.len());
            let (first, second) = if self.front { (n, outer) } else { (outer, n) };
            for a in 0..first {
                for b in 0..second {
                    let (k, o) = if self.front { (a, b) } else { (b, a) };
                    let k = if self.reverse { n - 1 - k } else { k };
                    let from = if self.front { o * n + k } else { k * outer + o };
                    out.extend_from_slice(&v[from * inner..(from + 1) * inner]);
                }
            }
            single(plan.shape(0), out)
        })
    }
}
