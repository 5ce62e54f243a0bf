//! Files that a person names: read with a bound, written without overwriting.

use super::exit::CliError;
use aether_inference::{ModelFile, Seekable};
use aether_mesh::{Genesis, GenesisError};
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::path::Path;

/// Most bytes of a genesis: a thousand validators and many accounts.
const GENESIS_BYTES_MAX: u64 = 16 << 20;

/// A file's bytes, at most `limit` of them.
pub(super) fn read(path: &Path, limit: u64) -> Result<Vec<u8>, CliError> {
    let file = File::open(path).map_err(|e| CliError::file(path, &e))?;
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|e| CliError::file(path, &e))?;
    if bytes.len() as u64 > limit {
        let message = format!("{} is larger than {limit} bytes", path.display());
        return Err(CliError::config(message));
    }
    Ok(bytes)
}

/// A model's file, at most `limit` bytes long: read piece by piece if it is one,
/// at once if it is a pipe.
pub(super) fn open(path: &Path, limit: u64) -> Result<Box<dyn ModelFile>, CliError> {
    let bad = |e: std::io::Error| CliError::file(path, &e);
    let file = File::open(path).map_err(bad)?;
    let meta = file.metadata().map_err(bad)?;
    if meta.is_file() && meta.len() <= limit {
        return Ok(Box::new(Seekable::new(file).map_err(bad)?));
    }
    Ok(Box::new(read(path, limit)?))
}

/// A file's text.
pub(super) fn read_text(path: &Path, limit: u64) -> Result<String, CliError> {
    String::from_utf8(read(path, limit)?)
        .map_err(|_| CliError::config(format!("{} is not text", path.display())))
}

/// Writes a file that must not be there yet.
pub(super) fn write_new(path: &Path, bytes: &[u8]) -> Result<(), CliError> {
    let mut options = OpenOptions::new();
    let file = options.write(true).create_new(true).open(path);
    let mut file = file.map_err(|e| match e.kind() {
        std::io::ErrorKind::AlreadyExists => {
            CliError::config(format!("{} exists and is not overwritten", path.display()))
        }
        _ => CliError::file(path, &e),
    })?;
    file.write_all(bytes).map_err(|e| CliError::file(path, &e))
}

/// The checked genesis of a network folder.
///
/// # Errors
/// When the folder has none, or it contradicts itself.
pub fn load_genesis(network: &Path) -> Result<Genesis, CliError> {
    let path = network.join("genesis.toml");
    let text = read_text(&path, GENESIS_BYTES_MAX)?;
    Genesis::from_toml(&text).map_err(|e| match e {
        GenesisError::Syntax(why) => CliError::config(format!("{}: {why}", path.display())),
        other => CliError::config(format!("{}: {other}", path.display())),
    })
}
