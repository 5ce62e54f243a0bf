//! candle: its only way to run a model is to evaluate the graph, which decodes
//! every initialiser each time. Here they are decoded once and given as values,
//! which it allows. In a pool of one thread; runs are timed inside of that pool.

use std::collections::HashMap;
use std::path::Path;

use aether_inference::{DType, Tensor};
use anyhow::{Context, Result, bail};
use candle_core::{DType as Type, Device, Tensor as Theirs};
use candle_onnx::onnx::ModelProto;
use rayon::{ThreadPool, ThreadPoolBuilder};

use super::{Runtime, find, least_of};

struct Candle {
    model: ModelProto,
    pool: ThreadPool,
    values: HashMap<String, Theirs>,
    outputs: Vec<String>,
}

pub(super) fn load(path: &Path, given: &[(String, Tensor)]) -> Result<Box<dyn Runtime>> {
    let mut model = candle_onnx::read_file(path)?;
    let graph = model.graph.as_mut().context("no graph")?;
    let mut values = HashMap::new();
    for weight in std::mem::take(&mut graph.initializer) {
        let value = candle_onnx::eval::get_tensor(&weight, &weight.name)?;
        values.insert(weight.name, value);
    }
    graph.input.retain(|i| !values.contains_key(&i.name));
    for input in &mut graph.input {
        // It takes −1, an old way of saying "any", for a size.
        input.r#type = None;
        values.insert(input.name.clone(), convert(find(given, &input.name)?)?);
    }
    let outputs = graph.output.iter().map(|o| o.name.clone()).collect();
    let pool = ThreadPoolBuilder::new().num_threads(1).build()?;
    Ok(Box::new(Candle {
        model,
        pool,
        values,
        outputs,
    }))
}

fn convert(t: &Tensor) -> Result<Theirs> {
    let (shape, device) = (t.shape(), &Device::Cpu);
    Ok(match t.dtype() {
        DType::F32 => Theirs::from_slice(t.view::<f32>().context("floats")?, shape, device)?,
        DType::I64 => Theirs::from_slice(t.view::<i64>().context("integers")?, shape, device)?,
        // As it takes 32-bit constants.
        DType::I32 => {
            let wide = t.view::<i32>().context("integers")?.iter();
            Theirs::from_vec(wide.map(|&v| i64::from(v)).collect(), shape, device)?
        }
        other => bail!("an input of {other}"),
    })
}

impl Candle {
    fn once(&self) -> Result<HashMap<String, Theirs>> {
        Ok(candle_onnx::simple_eval(&self.model, self.values.clone())?)
    }
}

impl Runtime for Candle {
    fn run(&mut self, repeats: usize) -> Result<f64> {
        let this = &*self;
        self.pool.install(|| {
            least_of(repeats, || {
                this.once()?;
                Ok(())
            })
        })
    }

    fn outputs(&mut self) -> Result<Vec<Vec<f64>>> {
        let made = self.once()?;
        let wide = |name: &String| -> Result<Vec<f64>> {
            let t = made
                .get(name)
                .with_context(|| format!("no output {name}"))?;
            Ok(t.to_dtype(Type::F64)?.flatten_all()?.to_vec1::<f64>()?)
        };
        self.outputs.iter().map(wide).collect()
    }
}
