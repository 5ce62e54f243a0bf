//! Control instructions: which way, and what is renamed.
//!
//! Rules (SPEC.md, "Control flow"): what a control instruction reads — condition,
//! number of iterations, scan inputs, elements and stacks — counts for the
//! witness whether or not this round needs it; what it moves is not read. Moves
//! are simultaneous: all sources are taken, what dies is dropped, then targets
//! are set. Rows taken and elements appended are paid for by their bytes.

use super::engine::{MissingValue, Run};
use super::live::Slot;
use super::state::Frame;
use super::step::{Flow, Step};
use crate::gas;
use crate::ops::Desc;
use crate::program::{
    CARRIED, CONDITION, Code, Control, Enter, Instruction, Stack, TRIPS, ValueId,
};
use crate::tensor::{DType, Tensor, check_shape};

/// Buffers of fixed size, bytes.
const FIXED_BYTES: u64 = 1 << 20;

/// Why a control instruction does not go on.
enum Stop {
    Trap(&'static str),
    Missing(ValueId),
}

type Done<T> = Result<T, Stop>;

/// What a control instruction will do.
#[derive(Default)]
struct Plan {
    /// Bytes copied and bytes of memory needed.
    copied: u64,
    memory: u64,
    /// Where to go on.
    cursor: u32,
    push: Option<Frame>,
    pop: bool,
    /// Values renamed: source, target.
    moves: Vec<(ValueId, ValueId)>,
    /// Values made: rows, iteration numbers, empty stacks.
    made: Vec<(ValueId, Tensor)>,
    /// Elements to append to stacks.
    appends: Vec<(ValueId, ValueId)>,
    /// The owner that is left, if it is.
    left: Option<u32>,
    /// The iteration that begins in the frame at hand.
    round: Option<u64>,
}

impl Run<'_> {
    pub(super) fn control(
        &mut self,
        i: &Instruction,
        c: &Control,
        step: &mut Step,
    ) -> Result<Flow, MissingValue> {
        // (1)
        let reads = self.reads(i, c);
        let carried = step.carried(&self.live, reads.into_iter());
        if self.too_much(&carried) {
            return Ok(step.too_large());
        }
        // (2)
        let plan = match self.plan(i, c, step) {
            Ok(plan) => plan,
            Err(Stop::Trap(reason)) => return Ok(step.trap(reason)),
            Err(Stop::Missing(id)) => return Err(MissingValue(id)),
        };
        // (3) to (5)
        let places = i.inputs.len() + i.outputs.len();
        let cost = gas::movement(plan.copied).saturating_add(gas::instruction(places));
        let memory = plan.memory.saturating_add(FIXED_BYTES);
        if let Some(flow) = self.refuse(step, cost, memory) {
            return Ok(flow);
        }
        step.carry(carried);
        // (6), (7)
        if let Err(stop) = self.carry_out(i, c, plan) {
            return match stop {
                Stop::Trap(reason) => Ok(step.trap(reason)),
                Stop::Missing(id) => Err(MissingValue(id)),
            };
        }
        self.done(step, cost);
        Ok(Flow::Next)
    }

    /// The values that an instruction reads, as opposed to renames.
    fn reads(&self, i: &Instruction, c: &Control) -> Vec<ValueId> {
        let input = |place: usize| i.inputs.get(place).copied().flatten();
        match c {
            Control::Branch { .. } => input(0).into_iter().collect(),
            Control::Merge { .. } => Vec::new(),
            Control::Enter(e) => {
                let rows = i.inputs.iter().skip(CARRIED + e.carried).flatten();
                let heads = [input(TRIPS), input(CONDITION)];
                heads.into_iter().flatten().chain(rows.copied()).collect()
            }
            Control::Next { owner } => {
                let Some((o, e)) = self.enter(*owner) else {
                    return Vec::new();
                };
                let wanted = e.stacks.iter().enumerate();
                let wanted = wanted.filter_map(|(k, s)| Some((k, s.as_ref()?)));
                let stacks = wanted.flat_map(|(k, s)| [input(1 + e.carried + k), Some(s.id)]);
                let rows = o.inputs.iter().skip(CARRIED + e.carried).copied();
                let reads = std::iter::once(input(0)).chain(stacks).chain(rows);
                reads.flatten().collect()
            }
        }
    }

    fn enter(&self, owner: u32) -> Option<(&Instruction, &Enter)> {
        let o = self.program.instructions.get(owner as usize)?;
        match &o.code {
            Code::Control(Control::Enter(e)) => Some((o, e)),
            _ => None,
        }
    }

    fn plan(&self, i: &Instruction, c: &Control, step: &mut Step) -> Done<Plan> {
        let input = |place: usize| i.inputs.get(place).copied().flatten();
        let mut plan = Plan::default();
        match c {
            Control::Branch { otherwise, .. } => {
                let then = match input(0) {
                    Some(id) => self.flag(id, step)?,
                    None => return Err(Stop::Trap("a required input is absent")),
                };
                let round = u64::from(!then);
                let (owner, rounds) = (self.state.cursor, 2);
                plan.push = Some(Frame {
                    owner,
                    round,
                    rounds,
                });
                plan.cursor = if then { owner + 1 } else { *otherwise };
            }
            Control::Merge { owner } => {
                let moves = i.inputs.iter().zip(&i.outputs);
                plan.moves = moves.filter_map(|(s, t)| Some(((*s)?, (*t)?))).collect();
                plan.pop = true;
                plan.left = Some(*owner);
                plan.cursor = match self.program.instructions.get(*owner as usize) {
                    Some(Instruction {
                        code: Code::Control(Control::Branch { end, .. }),
                        ..
                    }) => *end,
                    _ => return Err(Stop::Trap("no owner")),
                };
            }
            Control::Enter(e) => self.plan_enter(i, e, step, &mut plan)?,
            Control::Next { owner } => self.plan_next(i, *owner, step, &mut plan)?,
        }
        Ok(plan)
    }

    fn plan_enter(&self, i: &Instruction, e: &Enter, step: &mut Step, plan: &mut Plan) -> Done<()> {
        let input = |place: usize| i.inputs.get(place).copied().flatten();
        let mut rounds = match input(TRIPS) {
            Some(id) => u64::try_from(self.count(id, step)?).unwrap_or(0),
            None => u64::MAX,
        };
        if let Some(id) = input(CONDITION)
            && !self.flag(id, step)?
        {
            rounds = 0;
        }
        let scans = || i.inputs.iter().skip(CARRIED + e.carried).flatten();
        for (k, &id) in scans().enumerate() {
            let desc = self.desc(id)?;
            let Some(&n) = desc.shape.first() else {
                return Err(Stop::Trap("a scan input has no dimension to go along"));
            };
            if k > 0 && n as u64 != rounds {
                return Err(Stop::Trap("scan inputs differ in length"));
            }
            rounds = n as u64;
        }
        let owner = self.state.cursor;
        if rounds > 0 {
            plan.push = Some(Frame {
                owner,
                round: 0,
                rounds,
            });
            plan.cursor = owner + 1;
            let initial = i.inputs.get(CARRIED..CARRIED + e.carried).unwrap_or(&[]);
            return self.plan_round(i, e, initial, 0, plan);
        }
        // No iteration: the initial values are the results, and the stacks are empty.
        let Some(next) = self.program.instructions.get(e.next as usize) else {
            return Err(Stop::Trap("no end"));
        };
        let results = next.outputs.iter().zip(i.inputs.iter().skip(CARRIED));
        let moves = results.take(e.carried);
        plan.moves = moves.filter_map(|(t, s)| Some(((*s)?, (*t)?))).collect();
        for (k, stack) in e.stacks.iter().enumerate() {
            let target = next.outputs.get(e.carried + k).copied().flatten();
            if let (Some(stack), Some(target)) = (stack, target) {
                plan.made.push((target, empty(stack)?));
            }
        }
        plan.left = Some(owner);
        plan.cursor = e.next + 1;
        Ok(())
    }

    fn plan_next(&self, i: &Instruction, owner: u32, step: &mut Step, plan: &mut Plan) -> Done<()> {
        let input = |place: usize| i.inputs.get(place).copied().flatten();
        let Some((o, e)) = self.enter(owner) else {
            return Err(Stop::Trap("no owner"));
        };
        let Some(frame) = self.state.control.last() else {
            return Err(Stop::Trap("no frame"));
        };
        let again = match input(0) {
            Some(id) => self.flag(id, step)?,
            None => true,
        };
        for (k, stack) in e.stacks.iter().enumerate() {
            let Some(stack) = stack else { continue };
            let Some(source) = input(1 + e.carried + k) else {
                return Err(Stop::Trap("a required input is absent"));
            };
            let (desc, bytes) = (self.desc(source)?, self.desc(source)?.bytes());
            let mut grown = vec![1];
            grown.extend(&desc.shape);
            if let Some(slot) = self.live.slots.get(&stack.id) {
                let (n, rest) = slot.desc.shape.split_first().unwrap_or((&0, &[]));
                if slot.desc.dtype != desc.dtype || *rest != *desc.shape {
                    return Err(Stop::Trap("elements of one output differ in type or shape"));
                }
                grown[0] = n + 1;
            }
            check_shape(&grown).map_err(|_| Stop::Trap("output shape out of bounds"))?;
            plan.copied = plan.copied.saturating_add(bytes);
            // While it is moved to a larger place, a stack takes up to three
            // times its elements; two are counted with what is live.
            let grown = Desc::new(desc.dtype, grown).bytes();
            plan.memory = plan.memory.saturating_add(grown.saturating_mul(2));
            plan.appends.push((source, stack.id));
        }
        let round = frame.round.saturating_add(1);
        if again && round < frame.rounds {
            plan.round = Some(round);
            plan.cursor = owner + 1;
            let carried = i.inputs.get(1..1 + e.carried).unwrap_or(&[]);
            return self.plan_round(o, e, carried, round, plan);
        }
        let results = i.outputs.iter().zip(i.inputs.iter().skip(1));
        let moves = results.take(e.carried);
        plan.moves = moves.filter_map(|(t, s)| Some(((*s)?, (*t)?))).collect();
        for (k, stack) in e.stacks.iter().enumerate() {
            let target = i.outputs.get(e.carried + k).copied().flatten();
            if let (Some(stack), Some(target)) = (stack, target) {
                plan.moves.push((stack.id, target));
            }
        }
        plan.pop = true;
        plan.left = Some(owner);
        plan.cursor = self.state.cursor + 1;
        Ok(())
    }

    /// The body's inputs for an iteration; `o` is the loop's owner.
    fn plan_round(
        &self,
        o: &Instruction,
        e: &Enter,
        carried: &[Option<ValueId>],
        round: u64,
        plan: &mut Plan,
    ) -> Done<()> {
        let output = |place: usize| o.outputs.get(place).copied().flatten();
        let shape = |rank: u8| if rank == 0 { &[][..] } else { &[1][..] };
        if let Some(id) = output(TRIPS) {
            let n = i64::try_from(round).unwrap_or(i64::MAX);
            plan.made.push((id, filled(shape(e.iteration_rank), n)?));
        }
        if let Some(id) = output(CONDITION) {
            plan.made.push((id, filled(shape(e.condition_rank), true)?));
        }
        for (k, source) in carried.iter().enumerate() {
            if let (Some(source), Some(target)) = (source, output(CARRIED + k)) {
                plan.moves.push((*source, target));
            }
        }
        for k in CARRIED + e.carried..CARRIED + e.carried + e.scans {
            if output(k).is_none() {
                continue;
            }
            let Some(id) = o.inputs.get(k).copied().flatten() else {
                return Err(Stop::Trap("a required input is absent"));
            };
            let desc = self.desc(id)?;
            let rows = desc.shape.first().copied().unwrap_or(0).max(1) as u64;
            let bytes = desc.bytes() / rows;
            plan.copied = plan.copied.saturating_add(bytes);
            plan.memory = plan.memory.saturating_add(bytes.saturating_mul(2));
        }
        Ok(())
    }

    fn carry_out(&mut self, i: &Instruction, c: &Control, plan: Plan) -> Done<()> {
        let mut targets = Vec::new();
        // Everything is taken before anything is dropped.
        let round = plan.push.map(|f| f.round).or(plan.round);
        if let Some(round) = round {
            let owner = match c {
                Control::Next { owner } => *owner,
                _ => self.state.cursor,
            };
            targets.extend(self.rows(owner, round)?);
        }
        for (source, stack) in plan.appends {
            self.append(source, stack)?;
        }
        for (source, target) in plan.moves {
            targets.push((target, self.slot(source)?.settled()));
        }
        for (id, tensor) in plan.made {
            targets.push((id, Slot::new(tensor)));
        }
        for id in &i.frees {
            self.live.remove(*id);
        }
        let left = plan
            .left
            .and_then(|o| self.program.instructions.get(o as usize));
        let left = left.and_then(|o| match &o.code {
            Code::Control(c) => Some(c),
            Code::Op(_) => None,
        });
        if let Some(Control::Enter(e)) = left {
            for stack in e.stacks.iter().flatten() {
                self.live.remove(stack.id);
            }
        }
        for (id, mut slot) in targets {
            if left.is_some() {
                slot.shrink();
            }
            self.live.insert(id, slot);
        }
        for id in left.map_or(&[][..], Control::leave) {
            self.live.remove(*id);
        }
        if let (Some(round), Some(frame)) = (plan.round, self.state.control.last_mut()) {
            frame.round = round;
        }
        if plan.pop {
            self.state.control.pop();
        }
        self.state.control.extend(plan.push);
        self.state.cursor = plan.cursor;
        Ok(())
    }

    /// The rows of the scan inputs for an iteration.
    fn rows(&self, owner: u32, round: u64) -> Done<Vec<(ValueId, Slot)>> {
        let Some((o, e)) = self.enter(owner) else {
            return Ok(Vec::new());
        };
        let mut rows = Vec::new();
        for k in CARRIED + e.carried..CARRIED + e.carried + e.scans {
            let (id, target) = (o.inputs.get(k), o.outputs.get(k));
            let (Some(Some(id)), Some(Some(target))) = (id, target) else {
                continue;
            };
            let row = self.tensor(*id)?.row(round as usize);
            let row = row.ok_or(Stop::Trap("a scan input has no such row"))?;
            rows.push((*target, Slot::new(row)));
        }
        Ok(rows)
    }

    fn append(&mut self, source: ValueId, stack: ValueId) -> Done<()> {
        let element = self.tensor(source)?.clone();
        let grown = match self.live.remove(stack) {
            None => {
                let mut shape = vec![1];
                shape.extend(element.shape());
                // A copy: it must not share its data, so as to grow in place.
                element.row_of(&shape)
            }
            Some(slot) => {
                let mut tensor = slot.tensor.ok_or(Stop::Missing(stack))?;
                tensor.push_row(&element).then_some(tensor)
            }
        };
        let grown = grown.ok_or(Stop::Trap("elements of one output differ in type or shape"))?;
        self.live.insert(stack, Slot::new(grown).growing());
        Ok(())
    }

    /// A value's slot: a live value, or a constant's.
    fn slot(&self, id: ValueId) -> Done<Slot> {
        match self.program.constants.get(&id) {
            Some(t) => Ok(Slot::new(t.clone())),
            None => self
                .live
                .slots
                .get(&id)
                .cloned()
                .ok_or(Stop::Trap("a value is not live")),
        }
    }

    fn desc(&self, id: ValueId) -> Done<Desc> {
        match self.program.constants.get(&id) {
            Some(t) => Ok(Desc::of(t)),
            None => match self.live.slots.get(&id) {
                Some(slot) => Ok(slot.desc.clone()),
                None => Err(Stop::Trap("a value is not live")),
            },
        }
    }

    fn tensor(&self, id: ValueId) -> Done<&Tensor> {
        match self.program.constants.get(&id) {
            Some(t) => Ok(t),
            None => match self.live.slots.get(&id) {
                Some(slot) => slot.tensor.as_ref().ok_or(Stop::Missing(id)),
                None => Err(Stop::Trap("a value is not live")),
            },
        }
    }

    /// A condition: one boolean.
    fn flag(&self, id: ValueId, step: &mut Step) -> Done<bool> {
        let desc = self.desc(id)?;
        if desc.dtype != DType::Bool || desc.len() != 1 {
            return Err(Stop::Trap("a condition is one boolean"));
        }
        step.reads.extend(self.live.origin(id));
        let value = self.tensor(id)?.view::<bool>().and_then(|v| v.first());
        Ok(value.copied().unwrap_or(false))
    }

    /// A number of iterations: one integer.
    fn count(&self, id: ValueId, step: &mut Step) -> Done<i64> {
        let desc = self.desc(id)?;
        if desc.dtype != DType::I64 || desc.len() != 1 {
            return Err(Stop::Trap("a number of iterations is one i64"));
        }
        step.reads.extend(self.live.origin(id));
        let value = self.tensor(id)?.view::<i64>().and_then(|v| v.first());
        Ok(value.copied().unwrap_or(0))
    }
}

/// A scalar, or a vector of one.
fn filled<T: crate::tensor::Element>(shape: &[usize], v: T) -> Done<Tensor> {
    Tensor::from_vec(shape, vec![v]).map_err(|_| Stop::Trap("output shape out of bounds"))
}

/// A stack of a loop that had no iteration.
fn empty(stack: &Stack) -> Done<Tensor> {
    let dtype = stack.dtype;
    let dtype = dtype.ok_or(Stop::Trap("no iteration, and the output's type is unknown"))?;
    let bounds = Stop::Trap("output shape out of bounds");
    let mut shape = vec![0];
    for &d in &stack.dims {
        let Ok(d) = usize::try_from(d) else {
            return Err(bounds);
        };
        shape.push(d);
    }
    Tensor::empty(dtype, &shape).ok_or(bounds)
}
