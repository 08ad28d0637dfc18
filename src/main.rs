//! Starts, and turns how it went into an exit code: 0 left, 1 could not run or reached nobody, 2
//! wrong arguments.

use std::process::ExitCode;

use groupchat::args::{self, Invocation};
use groupchat::error::Error;
use groupchat::{event_loop, resolver, terminal};

fn main() -> ExitCode {
    let result = args::parse(std::env::args_os()).and_then(|asked| match asked {
        Invocation::Text(text) => terminal::print(&text),
        Invocation::LookUp(peer) => terminal::print(&resolver::resolve_for_parent(&peer)),
        Invocation::Run(config) => event_loop::run(*config),
    });
    let Err(error) = result else { return ExitCode::SUCCESS };
    terminal::complain(&error.to_string());
    match error {
        Error::Failure(_) => ExitCode::from(1),
        Error::Argument(_) => ExitCode::from(2),
    }
}
