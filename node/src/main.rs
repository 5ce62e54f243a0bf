//! `aether`: the command line over the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args: Vec<std::ffi::OsString> = std::env::args_os().collect();
    // Not a command for people: the demo starts its cheat with it.
    if args
        .get(1)
        .is_some_and(|a| a == aether::demo::CHEAT_COMMAND)
    {
        args.remove(1);
        return aether::demo::cheat_main(args);
    }
    aether::cli::run(args, aether::commands::HOOKS)
}
