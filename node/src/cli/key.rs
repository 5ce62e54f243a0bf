//! `aether key`

use super::args::KeyCommand;
use super::context::Context;
use super::exit::{CliError, Exit};
use super::{CommandResult, keyfile};
use aether_kzg::bls;
use aether_mesh::Account;
use ed25519_dalek::SigningKey;
use serde_json::json;
use std::path::Path;

pub(super) fn run(context: &mut Context, command: KeyCommand) -> CommandResult {
    let (file, vote, seed) = match command {
        KeyCommand::New { file, vote } => {
            let seed = keyfile::create(&file)?;
            (file, vote, seed)
        }
        KeyCommand::Show { file, vote } => {
            let seed = keyfile::load(&file)?;
            (file, vote, seed)
        }
    };
    if vote {
        show_vote_key(context, &file, &seed)
    } else {
        show_account(context, &file, &seed)
    }
}

fn show_account(context: &mut Context, file: &Path, seed: &keyfile::Seed) -> CommandResult {
    let account = Account(SigningKey::from_bytes(seed).verifying_key().to_bytes());
    context
        .console
        .answer(&json!({ "file": file, "account": account }), |page| {
            page.field("account", account)
                .field("key file", file.display());
        });
    Ok(Exit::Ok)
}

/// A vote key's BLS secret, out of its file's seed.
///
/// # Errors
/// Never for 32 bytes; the seed is key material, not the scalar itself.
pub(super) fn vote_key(seed: &keyfile::Seed) -> Result<bls::SecretKey, CliError> {
    bls::SecretKey::from_key_material(&seed[..])
        .map_err(|e| CliError::config(format!("vote key: {e}")))
}

fn show_vote_key(context: &mut Context, file: &Path, seed: &keyfile::Seed) -> CommandResult {
    let secret = vote_key(seed)?;
    let public = hex::encode(secret.public_key().to_bytes());
    let proof = hex::encode(secret.prove_possession().to_bytes());
    let value = json!({ "file": file, "vote_key": public, "proof_of_possession": proof });
    context.console.answer(&value, |page| {
        // As a genesis lists them, to be copied.
        page.verbatim(format!("vote_key = \"{public}\""));
        page.verbatim(format!("proof_of_possession = \"{proof}\""));
    });
    Ok(Exit::Ok)
}
