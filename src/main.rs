//! The entry point: runs the program and maps the result to an exit code. 0 is success, 1 a failure or an
//! unreachable group, 2 invalid arguments.

use std::process::ExitCode;

use groupchat::args::{self, Invocation};
use groupchat::error::Error;
use groupchat::{event_loop, resolver, terminal};

fn main() -> ExitCode {
    let result = args::parse(std::env::args_os()).and_then(|invocation| match invocation {
        Invocation::Text(text) => terminal::print(&text),
        Invocation::Invite(group, advertised) => event_loop::print_invite(&group, &advertised),
        Invocation::LookUp(peer) => terminal::print(&resolver::resolve_for_parent(&peer)),
        Invocation::Run(config) => event_loop::run(*config),
    });
    let Err(error) = result else { return ExitCode::SUCCESS };
    terminal::print_error(&error.to_string());
    match error {
        Error::Failure(_) => ExitCode::from(1),
        Error::Argument(_) => ExitCode::from(2),
    }
}
