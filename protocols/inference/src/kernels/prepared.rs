//! Packed forms of a constant, made when first needed and kept.
//!
//! A form depends on the constant and on a key that says how it is read; making
//! it twice would give the same bytes. The cache is not part of the constant's
//! value: nothing that is hashed or compared looks at it.

use std::sync::{Arc, Mutex, PoisonError};

use super::Kernels;
use super::pack::{Cut, Packed, Panels};

/// Most forms of one constant.
const FORMS: usize = 4;

/// How a constant is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Form {
    pub(crate) kernels: Kernels,
    pub(crate) cut: Cut,
    pub(crate) k: usize,
    pub(crate) transposed: bool,
    /// Equal parts that follow one another: a convolution's groups.
    pub(crate) parts: usize,
}

/// The forms of one constant.
#[derive(Debug, Default)]
pub(crate) struct Prepared(Mutex<Vec<(Form, Arc<Vec<Packed>>)>>);

impl Prepared {
    /// The parts of a form; `part` gives the i-th matrix, should it be missing.
    /// `None` when the constant has too many forms already.
    pub(crate) fn get<P: Panels>(
        &self,
        form: Form,
        part: impl Fn(usize) -> P,
    ) -> Option<Arc<Vec<Packed>>> {
        let mut forms = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, packed)) = forms.iter().find(|(f, _)| *f == form) {
            return Some(Arc::clone(packed));
        }
        if forms.len() == FORMS {
            return None;
        }
        let packed = (0..form.parts)
            .map(|i| Packed::new(form.cut, form.k, &part(i)))
            .collect();
        let packed = Arc::new(packed);
        forms.push((form, Arc::clone(&packed)));
        Some(packed)
    }
}
