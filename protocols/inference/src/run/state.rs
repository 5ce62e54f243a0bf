//! The machine's state after a step, and its trace element.
//!
//! Encoding: step `u32`, cursor `u32`, control stack (`u32` count, outermost
//! first: owner `u32`, round `u64`, rounds `u64`), gas `u64`, status `u8`, live
//! values (`u32` count, sorted by id): id `u32`, dtype `u8`, rank `u8`, dimensions `u64` each, digest
//! 32 bytes. Constants are fixed by the model id and are not listed.
//!
//! Element: the first 31 bytes of SHA-256(`aether/trace/state/v1` ‖ 0x00 ‖
//! encoding), so that it fits a field element.

use crate::codec::{CodecError, Reader, Writer};
use crate::merkle::tagged;
use crate::program::{MAX_NESTING, Program, ValueId};
use crate::tensor::{DType, Digest, Tensor, read_desc, write_desc};

/// A trace element.
pub type Element = [u8; 31];

const DOMAIN: &str = "aether/trace/state/v1";

pub(super) fn element_of(domain: &str, bytes: &[u8]) -> Element {
    let mut e = [0; 31];
    e.copy_from_slice(&tagged(domain, bytes)[..31]);
    e
}

/// How far a run has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Status {
    /// More steps follow.
    Running = 0,
    /// Finished; the live values are the outputs.
    Done = 1,
    /// The next instruction would exceed the gas limit.
    OutOfGas = 2,
    /// The next instruction alone exceeds the limits of a step or of memory.
    StepTooLarge = 3,
    /// The next instruction cannot be computed on these values.
    Trapped = 4,
}

impl Status {
    fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            0 => Status::Running,
            1 => Status::Done,
            2 => Status::OutOfGas,
            3 => Status::StepTooLarge,
            4 => Status::Trapped,
            _ => return None,
        })
    }
}

/// A live value as the state lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveValue {
    /// Value id.
    pub id: ValueId,
    /// Element type.
    pub dtype: DType,
    /// Dimensions.
    pub shape: Vec<usize>,
    /// The tensor's digest.
    pub digest: Digest,
}

impl LiveValue {
    /// The line for a tensor.
    pub fn new(id: ValueId, t: &Tensor) -> Self {
        Self {
            id,
            dtype: t.dtype(),
            shape: t.shape().to_vec(),
            digest: t.digest(),
        }
    }

    pub(super) fn write(&self, w: &mut Writer) {
        w.u32(self.id);
        write_desc(w, self.dtype, &self.shape);
        w.raw(&self.digest);
    }

    pub(super) fn read(r: &mut Reader<'_>) -> Result<Self, CodecError> {
        let id = r.u32()?;
        let (dtype, shape) = read_desc(r)?;
        Ok(Self {
            id,
            dtype,
            shape,
            digest: r.array()?,
        })
    }

    /// Encoded size, bytes.
    pub(super) fn encoded_len(&self) -> u64 {
        38 + 8 * self.shape.len() as u64
    }
}

/// Least encoded size of a live value, bytes.
const LIVE_MIN: usize = 38;

/// A control node that the machine is inside of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// Index of its instruction.
    pub owner: u32,
    /// If: the branch taken, 0 then, 1 else. Loop, Scan: the iteration, from 0.
    pub round: u64,
    /// If: 2. Loop, Scan: the greatest number of iterations, 2^64 − 1 when
    /// there is none.
    pub rounds: u64,
}

/// Encoded size of a frame, bytes.
const FRAME: usize = 20;

/// The machine's state between steps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachineState {
    /// Steps taken.
    pub step: u32,
    /// Index of the next instruction.
    pub cursor: u32,
    /// The control nodes around the cursor, outermost first.
    pub control: Vec<Frame>,
    /// Gas of the instructions executed so far.
    pub gas: u64,
    /// Status.
    pub status: Status,
    /// Computed values and inputs still in use, sorted by id.
    pub live: Vec<LiveValue>,
}

impl MachineState {
    /// Canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        self.write(&mut w);
        w.finish()
    }

    /// Decodes canonical bytes of at most `max_bytes`.
    ///
    /// # Errors
    /// When they are not canonical.
    pub fn decode(bytes: &[u8], max_bytes: u64) -> Result<Self, CodecError> {
        let mut r = Reader::bounded(bytes, max_bytes)?;
        let state = Self::read(&mut r)?;
        r.finish()?;
        Ok(state)
    }

    /// The trace element of this state.
    pub fn element(&self) -> Element {
        element_of(DOMAIN, &self.encode())
    }

    /// The line of a live value.
    pub fn live_value(&self, id: ValueId) -> Option<&LiveValue> {
        self.live
            .binary_search_by_key(&id, |v| v.id)
            .ok()
            .and_then(|i| self.live.get(i))
    }

    /// On [`Status::Done`]: the outputs' lines in the graph's order. `None`
    /// otherwise, or when the state is not one of this program's final states.
    pub fn outputs<'a>(&'a self, program: &Program) -> Option<Vec<&'a LiveValue>> {
        if self.status != Status::Done || self.live.len() != program.outputs().len() {
            return None;
        }
        program
            .outputs()
            .iter()
            .map(|o| self.live_value(o.id))
            .collect()
    }

    /// Replaces a live value's type, shape and digest by a tensor's; `false`
    /// when the value is not live.
    pub fn set_live(&mut self, id: ValueId, t: &Tensor) -> bool {
        match self.live.iter_mut().find(|v| v.id == id) {
            Some(v) => {
                *v = LiveValue::new(id, t);
                true
            }
            None => false,
        }
    }

    pub(super) fn write(&self, w: &mut Writer) {
        w.u32(self.step);
        w.u32(self.cursor);
        w.count(self.control.len());
        for f in &self.control {
            w.u32(f.owner);
            w.u64(f.round);
            w.u64(f.rounds);
        }
        w.u64(self.gas);
        w.u8(self.status as u8);
        w.count(self.live.len());
        self.live.iter().for_each(|v| v.write(w));
    }

    pub(super) fn read(r: &mut Reader<'_>) -> Result<Self, CodecError> {
        let (step, cursor) = (r.u32()?, r.u32()?);
        let frames = r.count(FRAME)?;
        if frames > MAX_NESTING {
            return Err(CodecError::NotCanonical("control stack is too deep"));
        }
        let mut control = Vec::with_capacity(frames);
        for _ in 0..frames {
            let (owner, round, rounds) = (r.u32()?, r.u64()?, r.u64()?);
            control.push(Frame {
                owner,
                round,
                rounds,
            });
        }
        let gas = r.u64()?;
        let status =
            Status::from_code(r.u8()?).ok_or(CodecError::NotCanonical("unknown status"))?;
        let count = r.count(LIVE_MIN)?;
        let mut live: Vec<LiveValue> = Vec::with_capacity(count);
        for _ in 0..count {
            let v = LiveValue::read(r)?;
            if live.last().is_some_and(|last| last.id >= v.id) {
                return Err(CodecError::NotCanonical("live values are not sorted"));
            }
            live.push(v);
        }
        Ok(Self {
            step,
            cursor,
            control,
            gas,
            status,
            live,
        })
    }

    /// Encoded size, bytes.
    pub(super) fn encoded_len(&self) -> u64 {
        25 + (FRAME * self.control.len()) as u64
            + self.live.iter().map(LiveValue::encoded_len).sum::<u64>()
    }
}
