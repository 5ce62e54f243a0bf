//! The machine: executes one step at a time.
//!
//! For each instruction, in this order: (1) would the step's witness exceed its
//! bound? (2) plan; (3) gas; (4) step gas; (5) memory; (6) compute; (7) free;
//! (8) does the step close? In (1) and (4) a step that already has instructions
//! closes *before* this one; a step of this instruction alone ends the run as
//! too large. Control instructions (`control.rs`) go through the same; what a
//! step has used so far is `step.rs`. Everything but (6) depends on shapes and on
//! the few values that decide shapes. Re-execution from a witness runs this very code, with only the
//! values that the step reads.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::BTreeMap;

use thiserror::Error;

use super::header::{RUNTIME_VERSION, TraceHeader, inputs_root};
use super::limits::{RunLimits, step_rule};
use super::live::{Live, Slot};
use super::pending::Pending;
use super::state::{Element, Frame, LiveValue, MachineState, Status};
use super::step::{Carried, Flow, Step};
use crate::gas;
use crate::kernels::{FloatEnvironment, Kernels, check_float_environment, scratch, split};
use crate::ops::{Desc, Fault, Input, Inputs, Operator};
use crate::program::{Code, InputError, Instruction, Program, ValueId};
use crate::tensor::{Digest, Tensor};

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
    /// Size of the step's witness as the limit counts it, bytes.
    pub witness_bytes: u64,
    /// Memory that its instructions were allowed at most, bytes.
    pub memory_bytes: u64,
    /// The first instruction.
    pub first: u32,
    /// Instructions executed.
    pub instructions: u64,
    /// Why the run trapped, if it did; not part of the trace.
    pub trap: Option<&'static str>,
}

/// A value that the step reads is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MissingValue(pub(super) ValueId);

/// A run in progress.
#[derive(Debug, Clone)]
pub struct Run<'p> {
    pub(super) program: &'p Program,
    limits: RunLimits,
    pub(super) kernels: Kernels,
    threads: usize,
    #[cfg(feature = "bench")]
    unhashed: bool,
    pub(super) state: MachineState,
    pub(super) live: Live,
    /// What of the live values is still to be computed; nothing between steps.
    pub(super) pending: Pending,
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
            live.insert(v.id, Slot::known(desc, tensor, digest));
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
            pending: Pending::default(),
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
        // What the witness carries besides values.
        let mut step = Step::new(super::witness::base_len(&self.state));
        self.live.begin_step();
        let status = loop {
            let program = self.program;
            let Some(instruction) = program.instructions.get(self.state.cursor as usize) else {
                break Status::Done;
            };
            let flow = match &instruction.code {
                Code::Op(op) => self.compute(instruction, op.as_ref(), &mut step)?,
                Code::Control(c) => {
                    self.settle();
                    self.control(instruction, c, &mut step)?
                }
            };
            match flow {
                Flow::Next => {}
                Flow::Close => break Status::Running,
                Flow::End(status) => break status,
            }
            if self.state.cursor as usize == program.instructions.len() {
                break Status::Done;
            }
            let inside = !self.state.control.is_empty();
            if step_rule::closes(step.gas, self.live.weight, inside) {
                break Status::Running;
            }
        };
        self.state.step = self.state.step.saturating_add(1);
        let last = self.state.step >= self.limits.max_steps;
        self.state.status = match status {
            Status::Running if last => Status::StepTooLarge,
            status => status,
        };
        self.settle();
        if self.state.status != Status::Running {
            scratch::idle();
        }
        self.state.live = self.lines();
        Ok(Some(StepRecord {
            index: self.state.step,
            element: self.state.element(),
            state: self.state.clone(),
            gas: step.gas,
            read_values: step.reads.into_iter().collect(),
            witness_bytes: step.witness,
            memory_bytes: step.memory,
            first,
            instructions: step.executed,
            trap: step.trap,
        }))
    }

    fn compute(
        &mut self,
        i: &Instruction,
        op: &dyn Operator,
        step: &mut Step,
    ) -> Result<Flow, MissingValue> {
        // (1) The witness would have to carry what this instruction reads.
        let places = i.inputs.iter().enumerate();
        let read = places.filter(|(place, _)| op.reads(*place));
        let carried = step.carried(&self.live, read.filter_map(|(_, id)| *id));
        if self.too_much(&carried) {
            return Ok(step.too_large());
        }
        // (2) Shapes, gas and memory.
        let elementwise = op.elementwise();
        if !elementwise && self.waits(i) {
            self.settle();
        }
        let inputs = self.inputs(i);
        let planned = op.plan(&inputs).and_then(|p| p.check());
        for place in inputs.touched() {
            if let Some(Some(id)) = i.inputs.get(place) {
                step.reads.extend(self.live.origin(*id));
            }
        }
        let missing = |place: usize| {
            let id = i.inputs.get(place).copied().flatten();
            MissingValue(id.unwrap_or(ValueId::MAX))
        };
        let plan = match planned {
            Ok(plan) => plan,
            Err(Fault::Trap(reason)) => return Ok(step.trap(reason)),
            Err(Fault::Missing(place)) => return Err(missing(place)),
        };
        // (3) to (5)
        let places = i.inputs.len() + i.outputs.len();
        let cost = plan.gas.saturating_add(gas::instruction(places));
        let memory = plan.working_set(&inputs);
        if let Some(flow) = self.refuse(step, cost, memory) {
            return Ok(flow);
        }
        // Memory kept for later use must leave room for this instruction, and so
        // must what waits.
        let used = self.live.bytes.saturating_add(memory);
        let room = self.limits.max_memory_bytes.saturating_sub(used);
        scratch::limit(room.saturating_sub(self.pending.bytes));
        let (fixed, at) = (self.fixed(i), self.state.cursor);
        let crowded = self.pending.bytes > room;
        let may = elementwise && !fixed && !crowded && Pending::takes(&plan);
        let node = may.then(|| op.pointwise(&inputs, &plan)).flatten();
        let inputs = if node.is_some() || crowded || elementwise && self.waits(i) {
            drop(inputs);
            if let (Some(node), Some(out)) = (node, plan.outputs.first())
                && let Some(slot) = self.wait(i, node, out)
            {
                step.carry(carried);
                self.conclude(i, [slot], step, cost);
                return Ok(Flow::Next);
            }
            if crowded || self.waits(i) {
                self.settle();
            }
            self.inputs(i)
        } else {
            inputs
        };
        // (6)
        let kept = fixed.then(|| self.program.kept.get(at)).flatten();
        let made = match &kept {
            Some(_) => Ok(Vec::new()),
            None => op.eval(&inputs, &plan, self.kernels),
        };
        drop(inputs);
        step.carry(carried);
        let made = match made {
            Ok(made) => made,
            Err(Fault::Trap(reason)) => return Ok(step.trap(reason)),
            Err(Fault::Missing(place)) => return Err(missing(place)),
        };
        // (7)
        let slots: Vec<Slot> = match kept {
            Some(kept) => kept,
            None if fixed => self.program.kept.put(at, made),
            None => made.into_iter().map(Slot::new).collect(),
        };
        self.conclude(i, slots, step, cost);
        Ok(Flow::Next)
    }

    /// (7)
    fn conclude(
        &mut self,
        i: &Instruction,
        outputs: impl IntoIterator<Item = Slot>,
        step: &mut Step,
        cost: u64,
    ) {
        for (id, slot) in i.outputs.iter().zip(outputs) {
            if let Some(id) = id {
                self.live.insert(*id, slot);
            }
        }
        for id in &i.frees {
            if let Some(slot) = self.live.remove(*id) {
                slot.recycle();
            }
        }
        self.done(step, cost);
        self.state.cursor += 1;
    }

    /// Whether an instruction's outputs are the same in every run.
    fn fixed(&self, i: &Instruction) -> bool {
        i.inputs.iter().flatten().all(|id| {
            let live = || self.live.slots.get(id).is_some_and(|s| s.fixed);
            self.program.constants.contains_key(id) || live()
        })
    }

    /// (3) to (5): whether gas, step gas or memory forbid an instruction.
    pub(super) fn refuse(&self, step: &mut Step, cost: u64, memory: u64) -> Option<Flow> {
        if self.state.gas.saturating_add(cost) > self.limits.gas_limit {
            return Some(Flow::End(Status::OutOfGas));
        }
        if step.gas.saturating_add(cost) > self.limits.max_step_gas {
            return Some(step.too_large());
        }
        let memory = self.live.bytes.saturating_add(memory);
        if memory > self.limits.max_memory_bytes {
            return Some(Flow::End(Status::StepTooLarge));
        }
        step.memory = step.memory.max(memory);
        None
    }

    /// Whether a witness of this size is more than allowed.
    pub(super) fn too_much(&self, carried: &Carried) -> bool {
        carried.bytes > self.limits.max_witness_bytes
    }

    /// An instruction has been executed.
    pub(super) fn done(&mut self, step: &mut Step, cost: u64) {
        step.gas = step.gas.saturating_add(cost);
        step.executed += 1;
        self.state.gas = self.state.gas.saturating_add(cost);
    }

    fn inputs(&self, i: &Instruction) -> Inputs<'_> {
        let program = self.program;
        let slot = |id: &ValueId| {
            let (desc, value, node) = match program.constants.get(id) {
                Some(t) => (Cow::Owned(Desc::of(t)), Some(t), None),
                None => {
                    let slot = self.live.slots.get(id)?;
                    (Cow::Borrowed(&slot.desc), slot.tensor.as_ref(), slot.node)
                }
            };
            Some(Input {
                desc,
                value,
                node,
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
        control: Vec::new(),
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
    let Some(next) = program.instructions.get(state.cursor as usize) else {
        return Err(RunError::State("its cursor is beyond the program"));
    };
    check_control(program, next.scope, &state.control)?;
    if !state.live.windows(2).all(|w| w[0].id < w[1].id) {
        return Err(RunError::State("its live values are not sorted"));
    }
    Ok(())
}

/// Checks that a control stack is one that can stand at an instruction in `scope`.
fn check_control(program: &Program, mut scope: u32, stack: &[Frame]) -> Result<(), RunError> {
    let bad = RunError::State("its control stack is not that of its cursor");
    for frame in stack.iter().rev() {
        let Some(s) = program.scopes.get(scope as usize).filter(|_| scope != 0) else {
            return Err(bad);
        };
        let right = match s.branch {
            Some(branch) => (frame.round, frame.rounds) == (u64::from(branch), 2),
            None => frame.round < frame.rounds,
        };
        if frame.owner != s.owner || !right {
            return Err(bad);
        }
        scope = s.parent;
    }
    if scope == 0 { Ok(()) } else { Err(bad) }
}
