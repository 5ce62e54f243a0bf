//! tract: optimised for the inputs' shapes, on its default executor, which is
//! the calling thread.

use std::path::Path;

use aether_inference::{DType, Tensor};
use anyhow::{Context, Result, bail};
use tract_onnx::prelude::{
    DatumType, Framework, InferenceFact, InferenceModel, InferenceModelExt, IntoRunnable,
    IntoTValue, TValue, TVec, Tensor as Theirs, TypedSimpleState,
};

use super::{Runtime, find, least_of};

struct Tract {
    state: TypedSimpleState,
    inputs: TVec<TValue>,
}

pub(super) fn load(path: &Path, inputs: &[(String, Tensor)]) -> Result<Box<dyn Runtime>> {
    // What a model declares of its values may be out of date or contradict the
    // sizes it is given; what an input is may have to be known for a branch.
    let open = || {
        tract_onnx::onnx()
            .with_ignore_output_shapes(true)
            .with_ignore_value_info(true)
            .model_for_path(path)
    };
    let model = open()?;
    let plain = prepare(model, inputs, false);
    let made = match plain {
        Ok(made) => made,
        Err(why) => prepare(open()?, inputs, true).map_err(|_| why)?,
    };
    Ok(Box::new(made))
}

fn prepare(mut model: InferenceModel, given: &[(String, Tensor)], told: bool) -> Result<Tract> {
    let outlets = model.input_outlets()?.to_vec();
    let mut inputs = TVec::new();
    for (i, outlet) in outlets.iter().enumerate() {
        let ours = find(given, &model.node(outlet.node).name)?;
        let theirs = convert(ours)?;
        let fact = if told && ours.shape().is_empty() {
            InferenceFact::from(theirs.clone())
        } else {
            InferenceFact::dt_shape(theirs.datum_type(), ours.shape())
        };
        model.set_input_fact(i, fact)?;
        inputs.push(theirs.into_tvalue());
    }
    let plan = model.into_optimized()?.into_runnable()?;
    let state = plan.spawn()?;
    Ok(Tract { state, inputs })
}

fn convert(t: &Tensor) -> Result<Theirs> {
    let view = "a view";
    match t.dtype() {
        DType::F32 => Theirs::from_shape(t.shape(), t.view::<f32>().context(view)?),
        DType::I64 => Theirs::from_shape(t.shape(), t.view::<i64>().context(view)?),
        DType::I32 => Theirs::from_shape(t.shape(), t.view::<i32>().context(view)?),
        other => bail!("an input of {other}"),
    }
}

impl Runtime for Tract {
    fn run(&mut self, repeats: usize) -> Result<f64> {
        least_of(repeats, || {
            self.state.run(self.inputs.clone())?;
            Ok(())
        })
    }

    fn outputs(&mut self) -> Result<Vec<Vec<f64>>> {
        let outputs = self.state.run(self.inputs.clone())?;
        let wide = |t: &TValue| -> Result<Vec<f64>> {
            let t = t.cast_to_dt(DatumType::F64)?;
            Ok(t.to_plain_array_view::<f64>()?.iter().copied().collect())
        };
        outputs.iter().map(wide).collect()
    }
}
