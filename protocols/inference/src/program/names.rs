//! What names stand for, scope by scope.
//!
//! Rules: a name has one definition in its own graph; a body sees the names of
//! the graphs around it, and its own hide theirs; a function's body sees only
//! its own. A name that a node further on makes is a cycle.

use std::collections::{BTreeMap, BTreeSet};

use super::{ModelError, ValueId};
use crate::tensor::Tensor;

/// What a name stands for.
#[derive(Debug)]
pub(super) enum Def {
    Value(ValueId),
    /// A constant that no instruction has used yet.
    Constant(Tensor),
    /// An optional input that a function's caller left out.
    Absent,
}

#[derive(Debug, Default)]
struct Level {
    defs: BTreeMap<String, Def>,
    /// Names that some node makes, to tell cycles from absences.
    made: BTreeSet<String>,
    /// Whether names further out are hidden.
    closed: bool,
}

/// What [`Names::get`] found.
pub(super) enum Found {
    Value(ValueId),
    /// A constant's first use: it becomes the value whose id was offered.
    First(Tensor),
    Absent,
}

/// The names in sight, innermost last.
#[derive(Debug, Default)]
pub(super) struct Names(Vec<Level>);

impl Names {
    /// Opens a scope whose nodes make these names.
    pub(super) fn open(&mut self, made: BTreeSet<String>, closed: bool) {
        self.0.push(Level {
            defs: BTreeMap::new(),
            made,
            closed,
        });
    }

    pub(super) fn close(&mut self) {
        self.0.pop();
    }

    /// How many scopes are open.
    pub(super) fn depth(&self) -> usize {
        self.0.len()
    }

    /// Closes scopes until `depth` are open.
    pub(super) fn cut(&mut self, depth: usize) {
        self.0.truncate(depth);
    }

    pub(super) fn define(&mut self, name: String, def: Def) -> Result<(), ModelError> {
        match self.0.last_mut() {
            Some(level) if !name.is_empty() && !level.defs.contains_key(&name) => {
                level.defs.insert(name, def);
                Ok(())
            }
            _ => Err(ModelError::Name(name)),
        }
    }

    /// Looks a name up; a constant becomes the value `next`.
    pub(super) fn get(&mut self, name: &str, next: ValueId) -> Result<Found, ModelError> {
        for level in self.0.iter_mut().rev() {
            if let Some(def) = level.defs.get_mut(name) {
                return Ok(match def {
                    Def::Value(id) => Found::Value(*id),
                    Def::Absent => Found::Absent,
                    Def::Constant(_) => match std::mem::replace(def, Def::Value(next)) {
                        Def::Constant(tensor) => Found::First(tensor),
                        _ => Found::Absent,
                    },
                });
            }
            if level.made.contains(name) {
                return Err(ModelError::Cyclic(name.to_owned()));
            }
            if level.closed {
                break;
            }
        }
        Err(ModelError::Undefined(name.to_owned()))
    }
}
