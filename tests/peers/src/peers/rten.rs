//! rten: optimised, with packed weights, in a pool of one thread; runs are timed
//! inside of that pool. It has no 64-bit integers and takes 32-bit ones instead.

use std::path::Path;
use std::sync::Arc;

use aether_inference::{DType, Tensor};
use anyhow::{Context, Result, bail};
use rten::{Model, ModelOptions, NodeId, RunOptions, ThreadPool, Value, ValueOrView};
use rten_tensor::{Tensor as Theirs, prelude::*};

use super::{Runtime, find, least_of};

struct Rten {
    model: Model,
    pool: Arc<ThreadPool>,
    inputs: Vec<(NodeId, Value)>,
    outputs: Vec<NodeId>,
}

pub(super) fn load(path: &Path, given: &[(String, Tensor)]) -> Result<Box<dyn Runtime>> {
    let model = ModelOptions::with_all_ops()
        .prepack_weights(true)
        .load_file(path)?;
    let mut inputs = Vec::new();
    for &id in model.input_ids() {
        let name = model
            .node_info(id)
            .and_then(|i| i.name().map(str::to_owned));
        let name = name.context("an input without a name")?;
        // Old models list initialisers among the inputs; if something else is
        // missing, rten says so.
        if let Ok(t) = find(given, &name) {
            inputs.push((id, convert(t)?));
        }
    }
    let outputs = model.output_ids().to_vec();
    let pool = Arc::new(ThreadPool::with_num_threads(1));
    Ok(Box::new(Rten {
        model,
        pool,
        inputs,
        outputs,
    }))
}

fn convert(t: &Tensor) -> Result<Value> {
    match t.dtype() {
        DType::F32 => value(t, t.view::<f32>().context("floats")?.to_vec()),
        DType::I32 => value(t, t.view::<i32>().context("integers")?.to_vec()),
        DType::I64 => {
            let narrow: Result<Vec<i32>, _> = (t.view::<i64>().context("integers")?.iter())
                .map(|&v| i32::try_from(v))
                .collect();
            value(t, narrow?)
        }
        other => bail!("an input of {other}"),
    }
}

fn value<T>(t: &Tensor, data: Vec<T>) -> Result<Value>
where
    Value: From<Theirs<T>>,
{
    Ok(Theirs::try_from_data(t.shape(), data)?.into())
}

impl Rten {
    fn once(&self) -> Result<Vec<Value>> {
        let inputs: Vec<(NodeId, ValueOrView<'_>)> =
            self.inputs.iter().map(|(id, v)| (*id, v.into())).collect();
        let options = RunOptions::default().with_thread_pool(Some(self.pool.clone()));
        Ok(self.model.run(inputs, &self.outputs, Some(options))?)
    }
}

impl Runtime for Rten {
    fn run(&mut self, repeats: usize) -> Result<f64> {
        let this = &*self;
        self.pool.run(|| {
            least_of(repeats, || {
                this.once()?;
                Ok(())
            })
        })
    }

    fn outputs(&mut self) -> Result<Vec<Vec<f64>>> {
        let wide = |v: Value| -> Result<Vec<f64>> {
            Ok(match v {
                Value::FloatTensor(t) => t.iter().map(|&x| f64::from(x)).collect(),
                Value::Int32Tensor(t) => t.iter().map(|&x| f64::from(x)).collect(),
                other => bail!("an output of {:?}", other.dtype()),
            })
        };
        self.once()?.into_iter().map(wide).collect()
    }
}
