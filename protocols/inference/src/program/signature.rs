//! What a program takes and gives, and whether given tensors fit.
//!
//! Rules: element types equal; ranks equal where declared; a fixed dimension
//! equals; equal symbols stand for equal sizes; an unknown dimension is free.

use std::collections::BTreeMap;

use thiserror::Error;

use super::{Program, ValueId};
use crate::tensor::{DType, Tensor};

/// A declared dimension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dim {
    /// A fixed size.
    Fixed(u64),
    /// A named size, by index in order of first appearance.
    Symbol(u32),
    /// Any size.
    Any,
}

/// A graph input or output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValueInfo {
    /// Its name in the model.
    pub name: String,
    /// Its value id.
    pub id: ValueId,
    /// Element type; `None` when an output declares none.
    pub dtype: Option<DType>,
    /// Declared dimensions; `None` when the model declares no shape. For
    /// outputs a hint only.
    pub dims: Option<Vec<Dim>>,
}

/// Why tensors are not the program's inputs. Whoever posted them is to blame.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InputError {
    /// Too few or too many tensors.
    #[error("{given} inputs given, {wanted} wanted")]
    Count {
        /// Tensors given.
        given: usize,
        /// Inputs the program has.
        wanted: usize,
    },
    /// A tensor of another element type.
    #[error("input `{name}` is {given}, {wanted} is wanted")]
    Type {
        /// The input's name.
        name: String,
        /// Type given.
        given: DType,
        /// Type declared.
        wanted: DType,
    },
    /// A shape that does not fit the declaration.
    #[error("input `{name}`: shape {given:?} does not fit the declared one")]
    Shape {
        /// The input's name.
        name: String,
        /// Shape given.
        given: Vec<usize>,
    },
    /// An input by a name that the program does not have, or named twice.
    #[error("no input `{0}`, or given twice")]
    Name(String),
}

impl Program {
    /// Checks that tensors are this program's inputs, in order.
    ///
    /// # Errors
    /// The first mismatch.
    pub fn check_inputs(&self, inputs: &[Tensor]) -> Result<(), InputError> {
        self.check_descs(inputs.len(), inputs.iter().map(|t| (t.dtype(), t.shape())))
    }

    /// Puts named tensors into the program's order.
    ///
    /// # Errors
    /// When a name is unknown, missing or given twice.
    pub fn order_inputs(&self, named: Vec<(String, Tensor)>) -> Result<Vec<Tensor>, InputError> {
        let count = InputError::Count {
            given: named.len(),
            wanted: self.inputs.len(),
        };
        let mut slots: Vec<Option<Tensor>> = vec![None; self.inputs.len()];
        for (name, tensor) in named {
            let place = self.inputs.iter().position(|i| i.name == name);
            match place.and_then(|p| slots.get_mut(p)) {
                Some(slot) if slot.is_none() => *slot = Some(tensor),
                _ => return Err(InputError::Name(name)),
            }
        }
        slots.into_iter().collect::<Option<Vec<_>>>().ok_or(count)
    }

    pub(crate) fn check_descs<'a>(
        &self,
        given: usize,
        descs: impl Iterator<Item = (DType, &'a [usize])>,
    ) -> Result<(), InputError> {
        if given != self.inputs.len() {
            return Err(InputError::Count {
                given,
                wanted: self.inputs.len(),
            });
        }
        let mut sizes: BTreeMap<u32, u64> = BTreeMap::new();
        for (info, (dtype, shape)) in self.inputs.iter().zip(descs) {
            if let Some(wanted) = info.dtype.filter(|&w| w != dtype) {
                return Err(InputError::Type {
                    name: info.name.clone(),
                    given: dtype,
                    wanted,
                });
            }
            let Some(dims) = &info.dims else { continue };
            let fits = dims.len() == shape.len()
                && dims.iter().zip(shape).all(|(dim, &size)| match dim {
                    Dim::Fixed(n) => *n == size as u64,
                    Dim::Symbol(s) => *sizes.entry(*s).or_insert(size as u64) == size as u64,
                    Dim::Any => true,
                });
            if !fits {
                let given = shape.to_vec();
                return Err(InputError::Shape {
                    name: info.name.clone(),
                    given,
                });
            }
        }
        Ok(())
    }
}
