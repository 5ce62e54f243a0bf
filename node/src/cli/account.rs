//! `aether account`

use super::CommandResult;
use super::args::{AccountCommand, BondRole};
use super::context::Context;
use super::exit::Exit;
use super::page::{Tone, aic};
use super::send::Wallet;
use aether_mesh::{Account, Action, Amount, Role, fee};
use serde_json::json;

pub(super) fn run(context: &mut Context, command: AccountCommand) -> CommandResult {
    match command {
        AccountCommand::Balance { account } => balance(context, account),
        AccountCommand::Transfer { to, amount } => send(
            context,
            &Action::Transfer { to, amount },
            amount,
            format!("to {to}"),
        ),
        AccountCommand::Bond { role, amount } => {
            let (role, name) = match role {
                BondRole::Worker => (Role::Worker, "worker"),
                BondRole::Coordinator => (Role::Coordinator, "coordinator"),
            };
            send(
                context,
                &Action::Bond { role, amount },
                amount,
                format!("bonded as {name}"),
            )
        }
    }
}

fn balance(context: &mut Context, account: Option<Account>) -> CommandResult {
    let account = match account {
        Some(account) => account,
        None => context.account()?,
    };
    let found = context.client().account(&account)?;
    context.console.answer(&found, |page| {
        let a = &found.value;
        page.field("account", a.account)
            .field("at slot", found.height);
        page.heading("Holds")
            .field("balance", aic(a.balance))
            .maybe("worker stake", a.worker_stake.map(aic))
            .maybe("coordinator stake", a.coordinator_stake.map(aic));
        if let Some(v) = &a.validator {
            page.field("validator stake", aic(v.stake));
            if v.jailed {
                page.toned(
                    "jailed",
                    "yes: it voted twice for different blocks",
                    Tone::Bad,
                );
            }
        }
        page.field("transactions", a.nonce);
    });
    Ok(Exit::Ok)
}

fn send(context: &mut Context, action: &Action, amount: Amount, what: String) -> CommandResult {
    let client = context.client();
    let key = context.key()?;
    let network = context.network_of(&client)?;
    let wallet = Wallet::new(&client, key, &network);
    let sent = wallet.send(&mut context.console, action)?;
    let paid = fee(network.genesis.params.fee_per_kib, sent.bytes).unwrap_or(Amount::ZERO);
    let after = client.account(&wallet.account())?;
    let value = json!({
        "tx": sent.id,
        "slot": sent.slot,
        "amount": amount,
        "fee": paid,
        "balance": after.value.balance,
    });
    context.console.answer(&value, |page| {
        page.field("transaction", sent.id)
            .toned("in block", sent.slot, Tone::Good)
            .field("amount", format!("{} {what}", aic(amount)))
            .field("fee", aic(paid))
            .field("balance", aic(after.value.balance));
    });
    Ok(Exit::Ok)
}
