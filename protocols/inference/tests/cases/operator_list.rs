//! The declared list of operators against what runs: every operator has a row in
//! the catalogue, the types listed are those that run, and operator sets that do not
//! have an operator refuse it.

use std::collections::BTreeSet;

use aether_inference::{BuildError, DType, Limits, ModelError, Program, supported_operators};

use crate::support::catalogue::{Row, rows};
use crate::support::memory;
use crate::support::model::{Builder, F32};
use crate::support::sweep::{attempt, every, places, put, recast};

#[test]
fn the_list_of_operators_is_complete_and_every_row_runs() {
    // Control flow and constants have tests of their own.
    let own = ["Constant", "If", "Loop", "Scan"];
    let listed: BTreeSet<_> = supported_operators().map(|o| o.name).collect();
    let rows: BTreeSet<_> = rows().iter().map(|r| r.op).chain(own).collect();
    assert_eq!(listed, rows);
    every(
        |row, case| case("as it is".into(), row.clone()),
        |_, end| (!end.done()).then_some("should run"),
    );
}

#[test]
fn the_list_of_operators_names_the_types_that_run_and_no_others() {
    let _alone = memory::alone();
    let mut wrong = Vec::new();
    for o in supported_operators() {
        let mine: Vec<Row> = rows().into_iter().filter(|r| r.op == o.name).collect();
        if mine.is_empty() {
            continue;
        }
        let main = usize::from(o.name == "Where");
        let runs = |to: DType| {
            mine.iter().any(|row| {
                let Some(Some(first)) = row.inputs.get(main) else {
                    return false;
                };
                let alone = put(row, main, Some(recast(first, to)));
                // What had the same type follows, all or those that cannot decide shapes.
                let mut together = row.clone();
                for (i, t) in places(row).filter(|(_, t)| t.dtype() == first.dtype()) {
                    together = put(&together, i, Some(recast(t, to)));
                }
                let mut leading = put(row, main, Some(recast(first, to)));
                for (i, t) in places(row).filter(|(i, t)| *i < 3 && t.dtype() == first.dtype()) {
                    leading = put(&leading, i, Some(recast(t, to)));
                }
                [alone, together, leading]
                    .iter()
                    .any(|row| attempt(row).expect("within bounds").done())
            })
        };
        let found: BTreeSet<DType> = DType::ALL.into_iter().filter(|&t| runs(t)).collect();
        let said: BTreeSet<DType> = o.types.iter().copied().collect();
        if found != said {
            wrong.push(format!("{}: runs {found:?}, listed {said:?}", o.name));
        }
    }
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn operators_are_refused_before_the_set_that_brought_them_and_after_the_one_that_dropped_them() {
    for o in supported_operators() {
        let node = |opset: u32| {
            let row = rows().into_iter().find(|r| r.op == o.name);
            let bytes = match row {
                Some(mut row) => {
                    row.opset = i64::from(opset);
                    row.model()
                }
                None => Builder::default()
                    .input("x", F32, &[])
                    .output("y", F32, &[])
                    .node(o.name, &["x"], &["y"], &[])
                    .versioned(i64::from(opset)),
            };
            match Program::from_onnx(&bytes, &Limits::default()) {
                Err(ModelError::Node { error, .. }) => Some(error),
                _ => None,
            }
        };
        if o.since > 1 {
            let said = node(o.since - 1);
            assert_eq!(said, Some(BuildError::NotYet(o.since)), "{}", o.name);
        }
        if let Some(until) = o.until {
            let said = node(until);
            assert_eq!(said, Some(BuildError::Removed(until)), "{}", o.name);
        }
    }
}
