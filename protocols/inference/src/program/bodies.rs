//! If, Loop and Scan: owners, bodies and their ends.
//!
//! Rules: an owner's results and its body's inputs get their ids with the owner,
//! after the constants it takes and in that order (body's inputs first), then
//! the stacks; then the bodies follow (If: then, else). A Scan's input or output
//! along another axis than 0, or in reverse, passes through a `MoveAxis` before
//! or after it. A Scan of operator set 8 is a Scan over the batch around one
//! over the sequence.

use std::collections::BTreeMap;

use super::control::{Control, Enter, MAX_NESTING, Stack};
use super::functions::NodeError;
use super::lower::{Lowering, made};
use super::names::Def;
use super::{Code, ModelError, Scope, ValueId};
use crate::onnx::{
    GraphProto, TensorShapeProto, ValueInfoProto, tensor_shape_proto::dimension::Value as DimValue,
    type_proto::Value as TypeValue,
};
use crate::ops::{self, Attr, BuildError};
use crate::tensor::{DType, MAX_RANK};

type Plain = BTreeMap<String, Attr>;
type Graphs = BTreeMap<String, GraphProto>;

/// A loop whose body is being lowered.
struct Open {
    owner: u32,
    /// The body's inputs: iteration, condition, carried values, rows.
    inner: Vec<ValueId>,
    results: Vec<Option<ValueId>>,
    outer: u32,
}

/// What a loop is made of.
struct Parts<'a> {
    name: &'static str,
    trips: Option<ValueId>,
    condition: Option<ValueId>,
    carried: Vec<ValueId>,
    scans: Vec<ValueId>,
    /// Declared type of each appended element.
    elements: Vec<Element>,
    ranks: (u8, u8),
    /// Whether each result is wanted: carried values, then stacks.
    wanted: &'a [bool],
}

#[derive(Clone, Default)]
struct Element {
    dtype: Option<DType>,
    dims: Vec<u64>,
}

impl Lowering<'_> {
    pub(super) fn branches(
        &mut self,
        attrs: &Plain,
        mut graphs: Graphs,
        inputs: &[Option<ValueId>],
        outputs: Vec<String>,
    ) -> Result<(), NodeError> {
        known(attrs, &[])?;
        let (then, otherwise) = (graphs.remove("then_branch"), graphs.remove("else_branch"));
        let (Some(then), Some(other), None) = (then, otherwise, graphs.keys().next()) else {
            return Err(BuildError::BadAttribute("then_branch or else_branch").into());
        };
        let [Some(condition)] = inputs else {
            return Err(BuildError::Arity.into());
        };
        let results: Vec<_> = outputs.iter().map(|name| self.result(name)).collect();
        let branch = Control::Branch {
            otherwise: 0,
            end: 0,
            leave: Vec::new(),
        };
        let (condition, none) = (vec![Some(*condition)], Vec::new());
        let owner = self.control("If", condition, none, branch)?;
        let mut second = 0;
        for (branch, graph) in [then, other].into_iter().enumerate() {
            if branch == 1 {
                second = self.instructions.len() as u32;
            }
            let mut graph = graph;
            strip(&mut graph);
            if !graph.input.is_empty() || graph.output.len() != results.len() {
                return Err(BuildError::Arity.into());
            }
            only_tensors(&graph)?;
            let outer = self.open_scope(owner, Some(branch as u8))?;
            let made = self.body(graph, &[])?;
            let inputs = made.into_iter().map(Some).collect();
            let end = Control::Merge { owner };
            self.control("EndIf", inputs, results.clone(), end)?;
            self.close_scope(outer);
        }
        let after = self.instructions.len() as u32;
        if let Some(Code::Control(Control::Branch { otherwise, end, .. })) = self
            .instructions
            .get_mut(owner as usize)
            .map(|i| &mut i.code)
        {
            (*otherwise, *end) = (second, after);
        }
        self.define_results(outputs, results)
    }

    pub(super) fn looped(
        &mut self,
        attrs: &Plain,
        graphs: Graphs,
        inputs: &[Option<ValueId>],
        outputs: Vec<String>,
    ) -> Result<(), NodeError> {
        known(attrs, &[])?;
        let graph = only_body(graphs)?;
        let at = |i: usize| inputs.get(i).copied().flatten();
        let carried = present(inputs.get(2..).unwrap_or(&[]))?;
        let count = carried.len();
        let stacks = graph.output.len().checked_sub(1 + count);
        let (true, Some(stacks)) = (graph.input.len() == 2 + count, stacks) else {
            return Err(BuildError::Arity.into());
        };
        if outputs.len() > count + stacks {
            return Err(BuildError::Arity.into());
        }
        let elements = elements(&graph.output[1 + count..])?;
        only_tensors(&graph)?;
        let rank = |i: usize| graph.input.get(i).map_or(0, scalar_rank);
        let ranks = (rank(0), rank(1));
        let open = self.open_loop(Parts {
            name: "Loop",
            trips: at(0),
            condition: at(1),
            carried,
            scans: Vec::new(),
            elements,
            ranks,
            wanted: &wanted(&outputs, count + stacks),
        })?;
        let made = self.body(graph, &open.inner)?;
        let results = self.close_loop(open, made.into_iter().map(Some).collect())?;
        self.define_results(outputs, results)
    }

    pub(super) fn scanned(
        &mut self,
        attrs: &Plain,
        graphs: Graphs,
        inputs: &[Option<ValueId>],
        outputs: Vec<String>,
    ) -> Result<(), NodeError> {
        let old = self.version < 9;
        let lists: &[&str] = if old {
            &["directions"]
        } else {
            &[
                "scan_input_axes",
                "scan_input_directions",
                "scan_output_axes",
                "scan_output_directions",
            ]
        };
        known(attrs, &[lists, &["num_scan_inputs"]].concat())?;
        let scans = match attrs.get("num_scan_inputs") {
            Some(Attr::Int(n)) => usize::try_from(*n).unwrap_or(0),
            _ => 0,
        };
        let graph = only_body(graphs)?;
        // Operator set 8 has the sequences' lengths first.
        let inputs = match inputs {
            [None, rest @ ..] if old => rest,
            [Some(_), ..] if old => return Err(BuildError::Unsupported("sequence_lens").into()),
            all => all,
        };
        let all = present(inputs)?;
        let bad = BuildError::BadAttribute("num_scan_inputs");
        let count = all.len().checked_sub(scans).filter(|_| scans > 0);
        let count = count.ok_or(bad)?;
        let stacks = graph.output.len().checked_sub(count);
        let (true, Some(stacks)) = (graph.input.len() == all.len(), stacks) else {
            return Err(BuildError::Arity.into());
        };
        if outputs.len() > count + stacks {
            return Err(BuildError::Arity.into());
        }
        only_tensors(&graph)?;
        let list = |name: &'static str, n: usize| int_list(attrs, name, n);
        if old {
            let reverse = flags(&list("directions", scans)?)?;
            return self.scanned_batches(graph, all, reverse, count, outputs);
        }
        let axes = list("scan_input_axes", scans)?;
        let reverse = flags(&list("scan_input_directions", scans)?)?;
        let out_axes = list("scan_output_axes", stacks)?;
        let out_reverse = flags(&list("scan_output_directions", stacks)?)?;
        let (states, rows) = all.split_at(count);
        let mut moved = Vec::with_capacity(scans);
        for (i, &id) in rows.iter().enumerate() {
            moved.push(self.move_axis(id, axes[i], reverse[i], true)?);
        }
        let open = self.open_loop(Parts {
            name: "Scan",
            trips: None,
            condition: None,
            carried: states.to_vec(),
            scans: moved,
            elements: elements(&graph.output[count..])?,
            ranks: (0, 0),
            wanted: &wanted(&outputs, count + stacks),
        })?;
        let made = self.body(graph, open.inner.get(2..).unwrap_or(&[]))?;
        let mut ends = vec![None];
        ends.extend(made.into_iter().map(Some));
        let mut results = self.close_loop(open, ends)?;
        for (i, result) in results.iter_mut().skip(count).enumerate() {
            if let Some(id) = result {
                *result = Some(self.move_axis(*id, out_axes[i], out_reverse[i], false)?);
            }
        }
        self.define_results(outputs, results)
    }

    /// Scan of operator set 8: for each row of the batch, a scan over its sequence.
    fn scanned_batches(
        &mut self,
        graph: GraphProto,
        all: Vec<ValueId>,
        reverse: Vec<bool>,
        states: usize,
        outputs: Vec<String>,
    ) -> Result<(), NodeError> {
        let types = elements(&graph.output)?;
        let batched = |(i, e): (usize, &Element)| Element {
            dtype: e.dtype,
            dims: std::iter::repeat_n(0, usize::from(i >= states))
                .chain(e.dims.iter().copied())
                .collect(),
        };
        let outer = self.open_loop(Parts {
            name: "Scan",
            trips: None,
            condition: None,
            carried: Vec::new(),
            scans: all,
            elements: types.iter().enumerate().map(batched).collect(),
            ranks: (0, 0),
            wanted: &wanted(&outputs, types.len()),
        })?;
        let row = outer.inner.get(2..).unwrap_or(&[]).to_vec();
        let (carried, rows) = row.split_at(states.min(row.len()));
        let mut scans = Vec::with_capacity(rows.len());
        for (&id, &reverse) in rows.iter().zip(&reverse) {
            scans.push(self.move_axis(id, 0, reverse, true)?);
        }
        let inner = self.open_loop(Parts {
            name: "Scan",
            trips: None,
            condition: None,
            carried: carried.to_vec(),
            scans,
            elements: types.get(states..).unwrap_or(&[]).to_vec(),
            ranks: (0, 0),
            wanted: &vec![true; types.len()],
        })?;
        let made = self.body(graph, inner.inner.get(2..).unwrap_or(&[]))?;
        let mut ends = vec![None];
        ends.extend(made.into_iter().map(Some));
        let inner = self.close_loop(inner, ends)?;
        let results = self.close_loop(outer, [vec![None], inner].concat())?;
        self.define_results(outputs, results)
    }

    fn open_loop(&mut self, p: Parts<'_>) -> Result<Open, NodeError> {
        let (carried, scans) = (p.carried.len(), p.scans.len());
        let body = self.scopes.len() as u32;
        let inner: Vec<ValueId> = (0..2 + carried + scans)
            .map(|_| self.value_in(body))
            .collect();
        let results: Vec<Option<ValueId>> =
            p.wanted.iter().map(|&w| w.then(|| self.value())).collect();
        let stacks = p.elements.into_iter().zip(p.wanted.iter().skip(carried));
        let stacks = stacks
            .map(|(e, &wanted)| {
                wanted.then(|| Stack {
                    id: self.value(),
                    dtype: e.dtype,
                    dims: e.dims,
                })
            })
            .collect();
        let enter = Control::Enter(Box::new(Enter {
            next: 0,
            carried,
            scans,
            stacks,
            iteration_rank: p.ranks.0,
            condition_rank: p.ranks.1,
            leave: Vec::new(),
        }));
        let inputs = [p.trips, p.condition]
            .into_iter()
            .chain(p.carried.into_iter().map(Some))
            .chain(p.scans.into_iter().map(Some))
            .collect();
        let outputs = inner.iter().copied().map(Some).collect();
        let owner = self.control(p.name, inputs, outputs, enter)?;
        let outer = self.open_scope(owner, None)?;
        Ok(Open {
            owner,
            inner,
            results,
            outer,
        })
    }

    /// Ends a loop's body; `ends` are its condition, carried values, elements.
    fn close_loop(
        &mut self,
        open: Open,
        ends: Vec<Option<ValueId>>,
    ) -> Result<Vec<Option<ValueId>>, ModelError> {
        let end = Control::Next { owner: open.owner };
        let index = self.control("Next", ends, open.results.clone(), end)?;
        self.close_scope(open.outer);
        let owner = self.instructions.get_mut(open.owner as usize);
        if let Some(Code::Control(Control::Enter(e))) = owner.map(|i| &mut i.code) {
            e.next = index;
        }
        Ok(open.results)
    }

    /// Lowers a body whose inputs are these values; returns its outputs' values.
    fn body(
        &mut self,
        mut graph: GraphProto,
        given: &[ValueId],
    ) -> Result<Vec<ValueId>, NodeError> {
        strip(&mut graph);
        if graph.input.len() != given.len() {
            return Err(BuildError::Arity.into());
        }
        self.names.open(made(&graph), false);
        for (proto, &id) in graph.input.iter().zip(given) {
            let name = proto.name.clone().unwrap_or_default();
            self.names.define(name, Def::Value(id))?;
        }
        let sparse = graph.sparse_initializer.len();
        let initialisers = self.initialisers(graph.initializer, sparse)?;
        self.define_all(initialisers)?;
        for (index, node) in graph.node.into_iter().enumerate() {
            self.node(index, node)?;
        }
        let mut outputs = Vec::with_capacity(graph.output.len());
        for proto in &graph.output {
            outputs.push(self.required(proto.name.as_deref().unwrap_or_default())?);
        }
        self.names.close();
        Ok(outputs)
    }

    fn open_scope(&mut self, owner: u32, branch: Option<u8>) -> Result<u32, ModelError> {
        if self.depth == MAX_NESTING {
            return Err(ModelError::TooDeep);
        }
        let parent = self.scope;
        self.scopes.push(Scope {
            parent,
            owner,
            branch,
        });
        self.scope = (self.scopes.len() - 1) as u32;
        self.depth += 1;
        Ok(parent)
    }

    fn close_scope(&mut self, outer: u32) {
        self.scope = outer;
        self.depth -= 1;
    }

    fn control(
        &mut self,
        name: &str,
        inputs: Vec<Option<ValueId>>,
        outputs: Vec<Option<ValueId>>,
        control: Control,
    ) -> Result<u32, ModelError> {
        let code = Code::Control(control);
        self.emit(name.to_owned(), BTreeMap::new(), inputs, outputs, code)
    }

    /// Axis `axis` to the front (or back from there), in reverse if wanted.
    fn move_axis(
        &mut self,
        id: ValueId,
        axis: i64,
        reverse: bool,
        front: bool,
    ) -> Result<ValueId, ModelError> {
        if axis == 0 && !reverse {
            return Ok(id);
        }
        let attrs = [
            ("axis", axis),
            ("reverse", i64::from(reverse)),
            ("front", i64::from(front)),
        ];
        let attrs = attrs.map(|(name, v)| (name.to_owned(), Attr::Int(v)));
        let out = self.value();
        let code = Code::Op(ops::move_axis(axis, reverse, front));
        let (inputs, outputs) = (vec![Some(id)], vec![Some(out)]);
        self.emit("MoveAxis".into(), attrs.into(), inputs, outputs, code)?;
        Ok(out)
    }

    fn define_results(
        &mut self,
        names: Vec<String>,
        results: Vec<Option<ValueId>>,
    ) -> Result<(), NodeError> {
        for (name, id) in names.into_iter().zip(results) {
            if let Some(id) = id {
                self.names.define(name, Def::Value(id))?;
            }
        }
        Ok(())
    }
}

/// Old models list a body's initialisers among its inputs as well.
fn strip(graph: &mut GraphProto) {
    if graph.initializer.is_empty() {
        return;
    }
    let own: std::collections::BTreeSet<_> =
        graph.initializer.iter().map(|t| t.name.clone()).collect();
    graph.input.retain(|i| !own.contains(&i.name));
}

fn only_body(mut graphs: Graphs) -> Result<GraphProto, BuildError> {
    match (graphs.remove("body"), graphs.is_empty()) {
        (Some(mut body), true) => {
            strip(&mut body);
            Ok(body)
        }
        _ => Err(BuildError::BadAttribute("body")),
    }
}

/// Refuses attributes beyond these.
fn known(attrs: &Plain, names: &[&str]) -> Result<(), BuildError> {
    match attrs.keys().find(|k| !names.contains(&k.as_str())) {
        Some(k) => Err(BuildError::UnknownAttribute(k.clone())),
        None => Ok(()),
    }
}

/// Values of which none may be absent.
fn present(list: &[Option<ValueId>]) -> Result<Vec<ValueId>, BuildError> {
    let all: Option<Vec<_>> = list.iter().copied().collect();
    all.ok_or(BuildError::Arity)
}

/// Which results have a name; those beyond the node's outputs have none.
fn wanted(outputs: &[String], count: usize) -> Vec<bool> {
    (0..count)
        .map(|i| outputs.get(i).is_some_and(|n| !n.is_empty()))
        .collect()
}

/// A list attribute of `n` integers; zeros when it is absent.
fn int_list(attrs: &Plain, name: &'static str, n: usize) -> Result<Vec<i64>, BuildError> {
    match attrs.get(name) {
        None => Ok(vec![0; n]),
        Some(Attr::Ints(v)) if v.len() == n => Ok(v.clone()),
        Some(_) => Err(BuildError::BadAttribute(name)),
    }
}

fn flags(list: &[i64]) -> Result<Vec<bool>, BuildError> {
    let flag = |&v: &i64| match v {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(BuildError::BadAttribute("scan directions")),
    };
    list.iter().map(flag).collect()
}

fn elements(outputs: &[ValueInfoProto]) -> Result<Vec<Element>, BuildError> {
    outputs.iter().map(element).collect()
}

fn only_tensors(body: &GraphProto) -> Result<(), BuildError> {
    let mut all = body.input.iter().chain(&body.output);
    all.try_for_each(|info| element(info).map(drop))
}

/// The declared type of a body's output.
fn element(info: &ValueInfoProto) -> Result<Element, BuildError> {
    let Some(declared) = &info.r#type else {
        return Ok(Element::default());
    };
    // Some exporters leave an empty type. Operators on sequences are refused as such.
    let Some(TypeValue::TensorType(t)) = &declared.value else {
        return Ok(Element::default());
    };
    let dims = t.shape.as_ref().map_or(&[][..], |s| &s.dim);
    if dims.len() >= MAX_RANK {
        return Err(BuildError::BadAttribute("too many dimensions in a body"));
    }
    let size = |d: &crate::onnx::tensor_shape_proto::Dimension| match d.value {
        Some(DimValue::DimValue(n)) => u64::try_from(n).unwrap_or(0),
        _ => 0,
    };
    Ok(Element {
        dtype: DType::from_code(i64::from(t.elem_type.unwrap_or(0))),
        dims: dims.iter().map(size).collect(),
    })
}

/// 1 for a declared shape of one dimension, 0 otherwise.
fn scalar_rank(info: &ValueInfoProto) -> u8 {
    let Some(TypeValue::TensorType(t)) = info.r#type.as_ref().and_then(|t| t.value.as_ref()) else {
        return 0;
    };
    let rank = t
        .shape
        .as_ref()
        .map_or(0, |s: &TensorShapeProto| s.dim.len());
    u8::from(rank == 1)
}
