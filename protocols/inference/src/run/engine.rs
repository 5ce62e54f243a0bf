//! The machine: executes one step at a time.
//!
//! For each instruction, in this order: (1) would the step's witness exceed its
//! bound? (2) plan; (3) gas; (4) step gas; (5) memory; (6) compute; (7) free;
//! (8) does the step close? In (1) and (4) a step that already has instructions
//! closes *before* this one; a step of this instruction alone ends the run as
//! too large. Everything but (6) depends on shapes and on the few values that
//! decide shapes. Re-execution from a witness runs this very code, with only the
//! values that the step reads.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use thiserror::Error;

use super::header::{RUNTIME_VERSION, TraceHeader, inputs_root};
use super::limits::{RunLimits, live_weight, step_rule};
use super::state::{Element, LiveValue, MachineState, Status};
use crate::gas;
use crate::kernels::{FloatEnvironment, Kernels, check_float_environment, split};
use crate::ops::{Desc, Fault, Input, Inputs};
use crate::program::{InputError, Instruction, Program, ValueId};
use crate::tensor::{Digest, Tensor, encoded_len};

/// Why a run cannot start. The caller is to blame.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RunError {
    /// The header names another model.
    #[error("the header names another model")]
    Model,
    /// The header is for another version of the rules.
    #[error("the header is for runtime version {0}")]
    Runtime(u32),
    /// The header's root is not that of these inputs.
    #[error("the header's inputs root is not that of these inputs")]
    InputsRoot,
    /// The tensors are not the program's inputs.
    #[error(transparent)]
    Inputs(#[from] InputError),
    /// The process has changed the CPU's floating-point mode.
    #[error(transparent)]
    FloatEnvironment(#[from] FloatEnvironment),
    /// A state that is finished, or is not one of this program's.
    #[error("the state does not belong to this program: {0}")]
    State(&'static str),
    /// A live value is not given, or does not have the state's digest.
    #[error("value {0} is missing or does not match the state")]
    Value(ValueId),
}

/// What one step did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepRecord {
    /// Index of the step, from 1; also of its trace element.
    pub index: u32,
    /// The trace element after the step.
    pub element: Element,
    /// The state after the step.
    pub state: MachineState,
    /// Gas of the step.
    pub gas: u64,
    /// Values of the state before that the step looked at, sorted.
    pub read_values: Vec<ValueId>,
    /// Instructions executed.
    pub instructions: Range<u32>,
    /// Why the run trapped, if it did; not part of the trace.
    pub trap: Option<&'static str>,
}

/// A live value: its description always, its bytes and digest as known.
#[derive(Debug, Clone)]
pub(super) struct Slot {
    pub(super) desc: Desc,
    pub(super) tensor: Option<Tensor>,
    pub(super) digest: Option<Digest>,
}

/// The live values and their running totals.
#[derive(Debug, Clone, Default)]
struct Live {
    slots: BTreeMap<ValueId, Slot>,
    bytes: u64,
    /// By the step rule.
    weight: u64,
}

impl Live {
    fn insert(&mut self, id: ValueId, slot: Slot) {
        self.remove(id);
        self.bytes = self.bytes.saturating_add(slot.desc.bytes());
        self.weight = self
            .weight
            .saturating_add(live_weight(slot.desc.dtype, &slot.desc.shape));
        self.slots.insert(id, slot);
    }

    fn remove(&mut self, id: ValueId) {
        if let Some(slot) = self.slots.remove(&id) {
            self.bytes = self.bytes.saturating_sub(slot.desc.bytes());
            self.weight = self
                .weight
                .saturating_sub(live_weight(slot.desc.dtype, &slot.desc.shape));
        }
    }
}

/// A value that the step reads is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MissingValue(pub(super) ValueId);

/// A run in progress.
#[derive(Debug, Clone)]
pub struct Run<'p> {
    pub(super) program: &'p Program,
    limits: RunLimits,
    kernels: Kernels,
    threads: usize,
    #[cfg(feature = "bench")]
    unhashed: bool,
    state: MachineState,
    live: Live,
}

impl<'p> Run<'p> {
    /// Starts a run.
    ///
    /// # Errors
    /// When header, program and inputs do not belong together.
    pub fn start(
        program: &'p Program,
        header: &TraceHeader,
        inputs: &[Tensor],
        limits: &RunLimits,
    ) -> Result<Self, RunError> {
        program.check_inputs(inputs)?;
        let lines: Vec<LiveValue> = inputs
            .iter()
            .enumerate()
            .map(|(i, t)| LiveValue::new(i as ValueId, t))
            .collect();
        let state = initial_state(program, header, lines)?;
        let values = inputs
            .iter()
            .enumerate()
            .map(|(i, t)| (i as ValueId, t.clone()))
            .collect();
        Self::assemble(program, state, values, limits)
    }

    /// Continues from a state.
    ///
    /// # Errors
    /// When the state is finished or not this program's, or the values are not
    /// exactly those that it lists.
    pub fn resume(
        program: &'p Program,
        state: MachineState,
        values: BTreeMap<ValueId, Tensor>,
        limits: &RunLimits,
    ) -> Result<Self, RunError> {
        check_state(program, &state)?;
        for line in &state.live {
            let given = values.get(&line.id).ok_or(RunError::Value(line.id))?;
            if LiveValue::new(line.id, given) != *line {
                return Err(RunError::Value(line.id));
            }
        }
        Self::assemble(program, state, values, limits)
    }

    /// A run whose values have been checked against the state; values may be
    /// missing only when re-executing from a witness.
    pub(super) fn assemble(
        program: &'p Program,
        state: MachineState,
        mut values: BTreeMap<ValueId, Tensor>,
        limits: &RunLimits,
    ) -> Result<Self, RunError> {
        check_float_environment()?;
        let mut live = Live::default();
        for v in &state.live {
            let desc = Desc::new(v.dtype, v.shape.as_slice());
            let (tensor, digest) = (values.remove(&v.id), Some(v.digest));
            live.insert(
                v.id,
                Slot {
                    desc,
                    tensor,
                    digest,
                },
            );
        }
        Ok(Self {
            program,
            limits: *limits,
            kernels: Kernels::best(),
            threads: 1,
            #[cfg(feature = "bench")]
            unhashed: false,
            state,
            live,
        })
    }

    /// Uses these kernels from now on; the bits are the same with all.
    pub fn set_kernels(&mut self, kernels: Kernels) {
        self.kernels = kernels.or_portable();
    }

    /// Uses up to this many threads (1 to 64, 1 at first) from now on; the bits
    /// are the same with any number. Threads start and end within a step, or
    /// within [`Run::finish`].
    pub fn set_threads(&mut self, threads: usize) {
        self.threads = threads;
    }

    /// Leaves out the digests of live values, to measure what they cost: the
    /// trace is worthless.
    #[cfg(feature = "bench")]
    pub fn leave_unhashed(&mut self) {
        self.unhashed = true;
    }

    /// Executes all steps that are left, and hands each one's record on.
    pub fn finish(&mut self, mut each: impl FnMut(StepRecord)) {
        split::with_threads(self.threads, || {
            while let Some(record) = self.step() {
                each(record);
            }
        });
    }

    /// The current state.
    pub fn state(&self) -> &MachineState {
        &self.state
    }

    /// The live values, by id.
    pub fn values(&self) -> BTreeMap<ValueId, Tensor> {
        self.live
            .slots
            .iter()
            .filter_map(|(&id, s)| s.tensor.clone().map(|t| (id, t)))
            .collect()
    }

    /// The outputs in the graph's order, once done.
    pub fn outputs(&self) -> Option<Vec<Tensor>> {
        if self.state.status != Status::Done {
            return None;
        }
        let slot = |id| self.live.slots.get(&id).and_then(|s| s.tensor.clone());
        self.program.outputs.iter().map(|o| slot(o.id)).collect()
    }

    /// Executes one step; `None` when the run has ended.
    pub fn step(&mut self) -> Option<StepRecord> {
        // A complete run has every value that it lists.
        split::with_threads(self.threads, || self.try_step().ok().flatten())
    }

    /// [`Run::step`], which may lack values when re-executing from a witness.
    pub(super) fn try_step(&mut self) -> Result<Option<StepRecord>, MissingValue> {
        if self.state.status != Status::Running {
            return Ok(None);
        }
        let first = self.state.cursor;
        let mut step = Step {
            first,
            gas: 0,
            // What the witness carries besides values.
            witness: super::witness::base_len(&self.state),
            reads: BTreeSet::new(),
            counted: BTreeSet::new(),
            before: self.state.live.iter().map(|v| v.id).collect(),
            trap: None,
        };
        let status = loop {
            let Some(instruction) = self.program.instructions.get(self.state.cursor as usize)
            else {
                break Status::Done;
            };
            match self.instruction(instruction, &mut step)? {
                Flow::Next => {}
                Flow::Close => break Status::Running,
                Flow::End(status) => break status,
            }
            if self.state.cursor as usize == self.program.instructions.len() {
                break Status::Done;
            }
            if step_rule::closes(step.gas, self.live.weight) {
                break Status::Running;
            }
        };
        self.state.status = status;
        self.state.step = self.state.step.saturating_add(1);
        self.state.live = self.lines();
        Ok(Some(StepRecord {
            index: self.state.step,
            element: self.state.element(),
            state: self.state.clone(),
            gas: step.gas,
            read_values: step.reads.into_iter().collect(),
            instructions: first..self.state.cursor,
            trap: step.trap,
        }))
    }

    fn instruction(&mut self, i: &Instruction, step: &mut Step) -> Result<Flow, MissingValue> {
        // A step that holds something closes before an instruction that does
        // not fit; an instruction that does not fit alone ends the run.
        let too_large = if self.state.cursor == step.first {
            Flow::End(Status::StepTooLarge)
        } else {
            Flow::Close
        };
        // (1) The witness would have to carry what this instruction reads.
        let mut wanted = BTreeSet::new();
        let mut witness = step.witness;
        for (place, &id) in i.inputs.iter().enumerate() {
            let Some(id) = id else { continue };
            let carried = i.op.reads(place)
                && step.before.contains(&id)
                && !step.counted.contains(&id)
                && wanted.insert(id);
            if let (true, Some(slot)) = (carried, self.live.slots.get(&id)) {
                let len = 4u64.saturating_add(encoded_len(slot.desc.dtype, &slot.desc.shape));
                witness = witness.saturating_add(len);
            }
        }
        if witness > self.limits.max_witness_bytes {
            return Ok(too_large);
        }
        // (2) Shapes, gas and memory.
        let inputs = self.inputs(i);
        let planned = i.op.plan(&inputs).and_then(|p| p.check());
        for place in inputs.touched() {
            if let Some(Some(id)) = i.inputs.get(place) {
                step.reads.extend(step.before.get(id));
            }
        }
        let plan = match planned {
            Ok(plan) => plan,
            Err(fault) => return step.fault(fault, i),
        };
        // (3) to (5)
        let places = i.inputs.len() + i.outputs.len();
        let cost = plan.gas.saturating_add(gas::instruction(places));
        let total = self.state.gas.saturating_add(cost);
        if total > self.limits.gas_limit {
            return Ok(Flow::End(Status::OutOfGas));
        }
        if step.gas.saturating_add(cost) > self.limits.max_step_gas {
            return Ok(too_large);
        }
        let memory = self.live.bytes.saturating_add(plan.working_set(&inputs));
        if memory > self.limits.max_memory_bytes {
            return Ok(Flow::End(Status::StepTooLarge));
        }
        // (6)
        let outputs = i.op.eval(&inputs, &plan, self.kernels);
        drop(inputs);
        step.witness = witness;
        step.reads.extend(&wanted);
        step.counted.extend(wanted);
        let outputs = match outputs {
            Ok(outputs) => outputs,
            Err(fault) => return step.fault(fault, i),
        };
        // (7)
        for (id, tensor) in i.outputs.iter().zip(outputs) {
            if let Some(id) = id {
                let desc = Desc::of(&tensor);
                self.live.insert(
                    *id,
                    Slot {
                        desc,
                        tensor: Some(tensor),
                        digest: None,
                    },
                );
            }
        }
        for id in &i.frees {
            self.live.remove(*id);
        }
        step.gas = step.gas.saturating_add(cost);
        self.state.gas = total;
        self.state.cursor += 1;
        Ok(Flow::Next)
    }

    fn inputs(&self, i: &Instruction) -> Inputs<'_> {
        let program = self.program;
        let slot = |id: &ValueId| {
            let (desc, value) = match program.constants.get(id) {
                Some(t) => (Desc::of(t), Some(t)),
                None => {
                    let slot = self.live.slots.get(id)?;
                    (slot.desc.clone(), slot.tensor.as_ref())
                }
            };
            Some(Input {
                desc,
                value,
                touched: Cell::new(false),
            })
        };
        Inputs::new(
            i.inputs
                .iter()
                .map(|id| id.as_ref().and_then(slot))
                .collect(),
        )
    }

    /// The live values' lines; digests are computed once.
    fn lines(&mut self) -> Vec<LiveValue> {
        #[cfg(feature = "bench")]
        if self.unhashed {
            return Vec::new();
        }
        self.live
            .slots
            .iter_mut()
            .map(|(&id, s)| {
                let tensor = s.tensor.as_ref();
                let digest = *s
                    .digest
                    .get_or_insert_with(|| tensor.map_or([0; 32], Tensor::digest));
                LiveValue {
                    id,
                    dtype: s.desc.dtype,
                    shape: s.desc.shape.clone(),
                    digest,
                }
            })
            .collect()
    }
}

/// A step being executed.
struct Step {
    first: u32,
    gas: u64,
    witness: u64,
    reads: BTreeSet<ValueId>,
    /// Values of `before` that `witness` counts.
    counted: BTreeSet<ValueId>,
    before: BTreeSet<ValueId>,
    trap: Option<&'static str>,
}

impl Step {
    fn fault(&mut self, fault: Fault, i: &Instruction) -> Result<Flow, MissingValue> {
        match fault {
            Fault::Trap(reason) => {
                self.trap = Some(reason);
                Ok(Flow::End(Status::Trapped))
            }
            Fault::Missing(place) => Err(MissingValue(
                i.inputs
                    .get(place)
                    .copied()
                    .flatten()
                    .unwrap_or(ValueId::MAX),
            )),
        }
    }
}

#[derive(Clone, Copy)]
enum Flow {
    Next,
    Close,
    End(Status),
}

/// The state before step 1; `lines` are the inputs', in order.
pub(super) fn initial_state(
    program: &Program,
    header: &TraceHeader,
    lines: Vec<LiveValue>,
) -> Result<MachineState, RunError> {
    if header.model != program.id {
        return Err(RunError::Model);
    }
    if header.runtime != RUNTIME_VERSION {
        return Err(RunError::Runtime(header.runtime));
    }
    program.check_descs(
        lines.len(),
        lines.iter().map(|v| (v.dtype, v.shape.as_slice())),
    )?;
    let digests: Vec<Digest> = lines.iter().map(|v| v.digest).collect();
    if inputs_root(&digests) != header.inputs_root {
        return Err(RunError::InputsRoot);
    }
    Ok(MachineState {
        step: 0,
        cursor: 0,
        gas: 0,
        status: Status::Running,
        live: lines,
    })
}

/// Checks that a state can be continued: running, within the program, and every
/// value it needs from outside is listed.
pub(super) fn check_state(program: &Program, state: &MachineState) -> Result<(), RunError> {
    if state.status != Status::Running {
        return Err(RunError::State("it has ended"));
    }
    if state.cursor as usize >= program.instructions.len() {
        return Err(RunError::State("its cursor is beyond the program"));
    }
    if !state.live.windows(2).all(|w| w[0].id < w[1].id) {
        return Err(RunError::State("its live values are not sorted"));
    }
    Ok(())
}
