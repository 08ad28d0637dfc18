//! Starts, and turns how it went into an exit code: 0 left, 1 could not run or reached nobody, 2
//! wrong arguments.

use std::process::ExitCode;

use groupchat::args::{self, Asked};
use groupchat::error::Error;
use groupchat::{event_loop, look_up, terminal};

fn main() -> ExitCode {
    let result = args::parse(std::env::args_os()).and_then(|asked| match asked {
        Asked::Text(text) => {
            terminal::print(&text);
            Ok(())
        }
        Asked::LookUp(peer) => {
            terminal::print(&look_up::answer(&peer));
            Ok(())
        }
        Asked::Run(config) => event_loop::run(*config),
    });
    let Err(error) = result else { return ExitCode::SUCCESS };
    terminal::complain(&error.to_string());
    match error {
        Error::Failure(_) => ExitCode::from(1),
        Error::Argument(_) => ExitCode::from(2),
    }
}
