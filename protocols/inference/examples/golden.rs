//! Prints what every golden case comes to on this CPU, or writes the golden files.
//!
//! Usage: `cargo run --release -p aether-inference --example golden -- [OPTIONS]`
//!
//! - `--family own|vectors|models`  only these [all]
//! - `--only TEXT`     only cases whose name contains it
//! - `--max-gas N`     only cases that cost at most this much
//! - `--kernels portable|avx2|avx512|best`  which kernels [best]
//! - `--write`         writes `tests/golden/*.tsv`, always from the portable kernels
//!
//! Rows go to the standard output, everything else to the standard error, so that
//! the same binary's rows from several CPUs can be compared (`.ci/emulate`).
//! Exit code 1 when nothing ran.

#[path = "../tests/support/mod.rs"]
#[allow(dead_code)]
mod support;

use std::process::ExitCode;

use aether_inference::Kernels;
use support::golden::{self, Family};

struct Options {
    families: Vec<Family>,
    only: String,
    max_gas: u64,
    kernels: Kernels,
    write: bool,
}

fn options() -> Result<Options, String> {
    let mut o = Options {
        families: Family::ALL.to_vec(),
        only: String::new(),
        max_gas: u64::MAX,
        kernels: Kernels::best(),
        write: false,
    };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or(format!("{arg} needs a value"));
        match arg.as_str() {
            "--write" => o.write = true,
            "--only" => o.only = value()?,
            "--max-gas" => o.max_gas = value()?.parse().map_err(|_| "--max-gas: a number")?,
            "--family" => {
                let name = value()?;
                o.families.retain(|f| f.name() == name);
            }
            "--kernels" => {
                o.kernels = match value()?.as_str() {
                    "portable" => Kernels::Portable,
                    "avx2" => Kernels::Avx2,
                    "avx512" => Kernels::Avx512,
                    "best" => Kernels::best(),
                    other => return Err(format!("no kernels `{other}`")),
                }
            }
            other => return Err(format!("unknown option `{other}`")),
        }
    }
    if o.kernels.or_portable() != o.kernels {
        return Err(format!("this CPU does not have {:?}", o.kernels));
    }
    if o.write {
        if !o.only.is_empty() || o.max_gas != u64::MAX {
            return Err("--write writes whole files".into());
        }
        o.kernels = Kernels::Portable;
    }
    Ok(o)
}

fn main() -> ExitCode {
    let o = match options() {
        Ok(o) => o,
        Err(why) => {
            eprintln!("golden: {why}");
            return ExitCode::from(2);
        }
    };
    eprintln!("kernels: {:?} of {:?}", o.kernels, Kernels::available());
    let mut ran = 0;
    for &family in &o.families {
        let mut rows = std::collections::BTreeMap::new();
        for case in golden::cases(family) {
            if !case.name.contains(&o.only) || !cheap(&o, family, &case.name) {
                continue;
            }
            match case.load().and_then(|c| c.row(o.kernels, 1)) {
                Ok(row) => {
                    if !o.write {
                        println!("{}/{}\t{}", family.name(), case.name, golden::line(&row));
                    }
                    rows.insert(case.name, row);
                }
                Err(why) => eprintln!("left out: {}: {why}", case.name),
            }
        }
        ran += rows.len();
        if o.write && !rows.is_empty() {
            if let Err(e) = std::fs::write(family.file(), golden::format(&rows)) {
                eprintln!("{}: {e}", family.file().display());
                return ExitCode::FAILURE;
            }
            eprintln!("{}: {} rows", family.file().display(), rows.len());
        }
    }
    eprintln!("{ran} cases");
    if ran == 0 {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

/// Whether a case costs at most `--max-gas`, by the committed file.
fn cheap(o: &Options, family: Family, name: &str) -> bool {
    use std::sync::OnceLock;
    type Table = Vec<(
        &'static str,
        std::collections::BTreeMap<String, golden::Row>,
    )>;
    static GAS: OnceLock<Table> = OnceLock::new();
    if o.max_gas == u64::MAX {
        return true;
    }
    let table = GAS.get_or_init(|| {
        Family::ALL
            .iter()
            .map(|&f| (f.name(), golden::parse(f)))
            .collect()
    });
    let row = table
        .iter()
        .find(|(f, _)| *f == family.name())
        .and_then(|(_, rows)| rows.get(name));
    row.is_some_and(|r| r.gas <= o.max_gas)
}
