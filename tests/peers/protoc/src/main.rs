//! As much of protoc as prost-build asks for: files in, a descriptor set out.

use std::path::PathBuf;

use anyhow::{Context, Result};
use protox::Compiler;

fn main() -> Result<()> {
    let (mut includes, mut files, mut out) = (Vec::new(), Vec::new(), None);
    let (mut imports, mut source_info) = (false, false);
    let mut args = std::env::args_os().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || {
            args.next()
                .map(PathBuf::from)
                .context("an option without a value")
        };
        match arg.to_str() {
            Some("-I") => includes.push(value()?),
            Some("-o") => out = Some(value()?),
            Some("--include_imports") => imports = true,
            Some("--include_source_info") => source_info = true,
            Some(option) if option.starts_with('-') => anyhow::bail!("option {option} is unknown"),
            _ => files.push(PathBuf::from(arg)),
        }
    }
    let mut compiler = Compiler::new(includes)?;
    compiler
        .include_imports(imports)
        .include_source_info(source_info);
    compiler.open_files(files)?;
    std::fs::write(out.context("no -o")?, compiler.encode_file_descriptor_set())?;
    Ok(())
}
