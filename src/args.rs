//! The command line: parses arguments into a valid [`Config`], with host names resolved. Every error is one
//! sentence that names the argument.

use std::env;
use std::ffi::OsString;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::error::{ContextKind, ErrorKind};
use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, ValueHint};

use crate::address::{self, PeerAddress};
use crate::command::{self, Command, Refused, Source, nearest};

use crate::error::{Error, shortened};
use crate::event_loop::Config;
use crate::limits::{ARGUMENT_CHARS_MAX, HISTORY_DEFAULT, MESSAGE_BYTES_MAX};
use crate::manual;
use crate::name;
use crate::protocol::Peer;
use crate::resolver;
use crate::shell_completions::Shell;
use crate::terminal::clock::TimeFormat;
use crate::terminal::{self, UiOptions};
use crate::unicode;
use crate::wire::frame::{Framing, escaped_bytes};

/// The task of a run, as the command line gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Invocation {
    /// Chat.
    Run(Box<Config>),
    /// Look up this peer, and print one address per line (see [`resolver`]).
    LookUp(PeerAddress),
    /// Print this text: the help, the version, shell completions or the manual page.
    Text(String),
}

/// A group chat for the terminal with no server: every participant is a peer.
#[derive(Parser)]
#[command(
    version,
    after_help = "\
Examples:
  groupchat 5000            Begin a group
  groupchat 0 HOST:5000     Join it from another machine
  groupchat -n bob 0 5000   Join it on the same machine, as bob

Type a line and press Enter to send it; /help lists commands, Ctrl+D leaves."
)]
struct Arguments {
    #[arg(value_name = "PORT", value_parser = parse_port)]
    #[arg(help = "Port to listen on; 0 takes any that is free")]
    port: u16,

    #[arg(value_name = "PEER", value_parser = address::parse)]
    #[arg(help = "Peers to connect to: HOST:PORT, [IPV6]:PORT, or a bare PORT\non this machine")]
    peers: Vec<PeerAddress>,

    #[arg(short, long, value_name = "NAME", env = NAME_VARIABLE, hide_env = true)]
    #[arg(help = "Your name [default: the login name]\n[env: GROUPCHAT_NAME]")]
    name: Option<String>,

    #[arg(short, long, value_name = "ADDRESS", value_parser = parse_bind)]
    #[arg(help = "Address to listen on [default: all, IPv6 and IPv4]")]
    bind: Option<IpAddr>,

    #[arg(long, value_name = "text|lab", value_parser = framing_parser())]
    #[arg(hide_possible_values = true)]
    #[arg(help = "How a message ends for a plain peer that has sent\n\
                  nothing yet: with a code behind it (text), or a\n\
                  length before it (lab) [default: text]")]
    framing: Option<Framing>,

    #[arg(long, value_name = "COUNT", default_value_t = HISTORY_DEFAULT, value_parser = parse_history)]
    #[arg(hide_default_value = true, allow_hyphen_values = true)]
    #[arg(help = "How many earlier messages of each member to show\non joining, 0 for none [default: 20]")]
    history: u64,

    #[arg(long)]
    #[arg(help = "Be a plain peer, as nc is: only the named peers\n\
                  are connected to, no private messages, and what\n\
                  was lost with a connection is not sent again")]
    plain: bool,

    #[arg(long)]
    #[arg(help = "Keep running when standard input ends")]
    stay: bool,

    #[arg(long, value_name = "TEXT", value_parser = parse_send, requires = "peers")]
    #[arg(conflicts_with = "stay", allow_hyphen_values = true)]
    #[arg(help = "Send this, wait until everybody has it, and leave;\n\
                  \"-\" sends standard input. Can be given again")]
    send: Vec<Outgoing>,

    #[arg(long)]
    #[arg(help = "Write one JSON object a line to standard output")]
    json: bool,

    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    #[arg(help = "Append the conversation to a file")]
    log: Option<PathBuf>,

    #[arg(long, value_name = "WHEN", default_value = "auto")]
    #[arg(hide_possible_values = true, hide_default_value = true)]
    #[arg(value_parser = PossibleValuesParser::new(["auto", "always", "never"]))]
    #[arg(help = "Colours: auto, always or never [default: auto]")]
    color: String,

    #[arg(long, value_name = "FORMAT", value_parser = TimeFormat::new)]
    #[arg(help = "How times are shown, as in strftime\n[default: %H:%M on a terminal]")]
    time_format: Option<TimeFormat>,

    #[arg(long)]
    #[arg(help = "Do not ring the bell when somebody mentions you")]
    no_bell: bool,

    #[arg(long, value_name = "SHELL", exclusive = true, hide_possible_values = true)]
    #[arg(value_parser = PossibleValuesParser::new(Shell::NAMES.map(|(name, _)| name)))]
    #[arg(help = "Print completions for bash, zsh or fish")]
    completions: Option<String>,

    #[arg(long, exclusive = true)]
    #[arg(help = "Print the manual page")]
    man: bool,
}

/// The environment variable with the user's name, which `--name` overrides.
const NAME_VARIABLE: &str = "GROUPCHAT_NAME";

/// A value of `--send`.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Outgoing {
    Line(String),
    /// Standard input, as one message.
    StandardInput,
}

/// Parses the command line, whose first item is the name of the program. It resolves host names, which blocks
/// as long as the system's resolver does.
///
/// # Errors
///
/// [`Error::Argument`].
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Invocation, Error> {
    let arguments: Vec<_> = arguments.into_iter().collect();
    if let Some(argument) = arguments.iter().find(|argument| argument.to_str().is_none()) {
        return Err(Error::Argument(format!(
            "argument '{}' is not UTF-8; write it in a terminal that is set to UTF-8",
            argument.to_string_lossy()
        )));
    }
    if let [_, option, peer] = arguments.as_slice()
        && option == resolver::OPTION
    {
        let peer = address::parse(&peer.to_string_lossy());
        return peer.map(Invocation::LookUp).map_err(Error::Argument);
    }
    let mut command = Arguments::command();
    let matches = command.try_get_matches_from_mut(arguments);
    let parsed = matches.and_then(|matches| match standalone_output(&matches, &mut command) {
        Some(invocation) => Ok(Err(invocation)),
        None => Ok(Ok((Arguments::from_arg_matches(&matches)?, matches))),
    });
    let (arguments, matches) = match parsed {
        Ok(Ok(parsed)) => parsed,
        Ok(Err(invocation)) => return Ok(invocation),
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            return Ok(Invocation::Text(error.render().to_string()));
        }
        Err(error) => return Err(Error::Argument(explain(&error, &command))),
    };
    let mut peers: Vec<Peer> = Vec::new();
    for argument in arguments.peers {
        let peer = argument.resolve().map_err(|why| {
            Error::Argument(format!("invalid value '{}' for '[PEER]...': {why}", argument.text()))
        })?;
        // A peer that is named twice, also under two names, is dialled only once.
        let is_known = |address: &SocketAddr| peers.iter().any(|known| known.addresses.contains(address));
        if !peer.addresses.iter().any(is_known) {
            peers.push(peer);
        }
    }
    let is_option = matches.value_source("name") == Some(ValueSource::CommandLine);
    let name = match arguments.name.filter(|name| is_option || !name.is_empty()) {
        Some(name) => name::parse(&name).map_err(|why| {
            let variable = if is_option { "" } else { " from GROUPCHAT_NAME" };
            Error::Argument(format!(
                "invalid value '{}' for '--name <NAME>'{variable}: {why}",
                shortened(&name, ARGUMENT_CHARS_MAX)
            ))
        })?,
        None => login_name()?,
    };
    let Arguments { port, bind, framing, history, plain, stay, send, json, log, time_format, .. } = arguments;
    let has_colors = match arguments.color.as_str() {
        "always" => Some(true),
        "never" => Some(false),
        // As on no-color.org: whatever it holds, if it is not empty.
        _ => env::var_os("NO_COLOR").filter(|value| !value.is_empty()).map(|_| false),
    };
    let ui = UiOptions { has_colors, has_bell: !arguments.no_bell, time_format, is_json: json };
    if send.iter().filter(|outgoing| **outgoing == Outgoing::StandardInput).count() > 1 {
        let sentence =
            "'--send -' cannot be given twice: standard input is one message; leave one of them out";
        return Err(Error::Argument(sentence.to_owned()));
    }
    let send = send.into_iter().map(|outgoing| match outgoing {
        Outgoing::Line(line) => Ok(line),
        // Standard input is never a command, whatever its first word is.
        Outgoing::StandardInput => terminal::read_message().map(|text| format!("/say {text}")),
    });
    let send = send.collect::<Result<_, _>>()?;
    let config = Config { port, bind, name, framing, stay, plain, history, peers, send, ui, log };
    Ok(Invocation::Run(config.into()))
}

/// The invocation of an option that stands alone, such as `--man`.
fn standalone_output(matches: &ArgMatches, command: &mut clap::Command) -> Option<Invocation> {
    command.build();
    if let Some(name) = matches.get_one::<String>("completions") {
        let shell = Shell::NAMES.iter().find(|(known, _)| known == name);
        return shell.map(|(_, shell)| Invocation::Text(shell.script(command)));
    }
    matches.get_flag("man").then(|| Invocation::Text(manual::page(command)))
}

/// Words a clap error as one sentence with its remedy.
fn explain(error: &clap::Error, command: &clap::Command) -> String {
    let context = |kind| error.get(kind).map_or(String::new(), ToString::to_string);
    let argument = context(ContextKind::InvalidArg);
    let sentence = match error.kind() {
        ErrorKind::UnknownArgument => {
            let is_number = argument.starts_with('-') && argument[1..].parse::<u64>().is_ok();
            let meant = match options_near(&argument, command).as_slice() {
                [] if is_number => "; a port is a number from 0 to 65535".to_owned(),
                [] => String::new(),
                near => format!("; did you mean {}?", near.join(" or ")),
            };
            format!("unknown option '{}'{meant}", shortened(&argument, ARGUMENT_CHARS_MAX))
        }
        ErrorKind::MissingRequiredArgument if argument.contains("PORT") => {
            "usage: groupchat [OPTIONS] <PORT> [PEER]...; <PORT> is required: \"groupchat 5000\" begins a \
             group, \"groupchat 0 HOST:5000\" joins one"
                .to_owned()
        }
        ErrorKind::MissingRequiredArgument if argument.contains("PEER") => {
            "--send requires <PEER>..., to whom to send: groupchat 0 HOST:PORT --send TEXT".to_owned()
        }
        ErrorKind::InvalidValue if context(ContextKind::InvalidValue).is_empty() => {
            format!("a value is required for '{argument}'")
        }
        ErrorKind::InvalidValue => {
            let (value, valid) = (context(ContextKind::InvalidValue), context(ContextKind::ValidValue));
            format!(
                "invalid value '{}' for '{argument}': it is one of {valid}",
                shortened(&value, ARGUMENT_CHARS_MAX)
            )
        }
        ErrorKind::ValueValidation => {
            let why = std::error::Error::source(error).map_or(String::new(), |why| format!(": {why}"));
            format!(
                "invalid value '{}' for '{argument}'{why}",
                shortened(&context(ContextKind::InvalidValue), ARGUMENT_CHARS_MAX)
            )
        }
        ErrorKind::ArgumentConflict if context(ContextKind::PriorArg) == argument => {
            format!("'{argument}' cannot be given twice; leave one of them out")
        }
        ErrorKind::ArgumentConflict if is_exclusive(&argument, command) => {
            format!("'{argument}' cannot be used with other arguments; leave them out")
        }
        ErrorKind::ArgumentConflict => {
            let other = context(ContextKind::PriorArg);
            format!("'{argument}' cannot be used with '{other}'; leave one of them out")
        }
        ErrorKind::TooManyValues => {
            format!("'{argument}' takes no value; write it without one")
        }
        // The arguments have been looked at before.
        ErrorKind::InvalidUtf8 => {
            format!("{NAME_VARIABLE} is not UTF-8; choose another name with --name <NAME>")
        }
        _ => without_paragraphs(error),
    };
    format!("{sentence} (see groupchat --help)")
}

/// The options that were probably meant: those that begin so, or the one that is spelled alike.
fn options_near(argument: &str, command: &clap::Command) -> Vec<String> {
    let name = argument.strip_prefix("--").and_then(|name| name.split('=').next());
    let Some(name) = name.filter(|name| !name.is_empty()) else { return Vec::new() };
    let visible = command.get_arguments().filter(|option| !option.is_hide_set());
    let options: Vec<_> = visible.filter_map(clap::Arg::get_long).collect();
    let mut near: Vec<_> = options.iter().copied().filter(|option| option.starts_with(name)).collect();
    if near.is_empty() {
        near.extend(nearest(name, options.into_iter()));
    }
    near.into_iter().map(|option| format!("--{option}")).collect()
}

/// Whether the option that clap writes so is one that stands alone.
fn is_exclusive(written: &str, command: &clap::Command) -> bool {
    command.get_arguments().any(|option| option.is_exclusive_set() && option.to_string() == written)
}

/// The text of a clap error on one line, without the paragraphs after it.
fn without_paragraphs(error: &clap::Error) -> String {
    let mut text = error.render().to_string();
    // Searched from the end, since a quoted argument may contain anything.
    for paragraph in ["\n\nFor more information", "\n\nUsage:", "\n\n  tip:"] {
        text.truncate(text.rfind(paragraph).unwrap_or(text.len()));
    }
    let sentence = text.strip_prefix("error: ").unwrap_or(&text).replace("\n  ", " ");
    sentence.trim_end().to_owned()
}

fn login_name() -> Result<String, Error> {
    let name = whoami::username().map_err(|_| "it is not known".to_owned());
    let name = name.and_then(|name| name::parse(&name));
    name.map_err(|why| {
        Error::Argument(format!("your login name cannot be used: {why}; choose a name with --name <NAME>"))
    })
}

fn parse_port(text: &str) -> Result<u16, String> {
    address::parse_port(text).map_err(|why| match address::parse(text) {
        Ok(_) => format!("{why}; to join {text}, write groupchat 0 {text}"),
        Err(_) if matches!(text, "help" | "version") => format!("{why}; did you mean --{text}?"),
        // `groupchat HOST PORT` is how many programs that connect are started.
        Err(_) if text.parse::<Ipv6Addr>().is_ok() => {
            format!("{why}; to join, write groupchat 0 [{text}]:PORT")
        }
        Err(_) if text.contains('.') => format!("{why}; to join, write groupchat 0 {text}:PORT"),
        Err(_) => format!("{why}; 0 takes a free one"),
    })
}

fn parse_history(text: &str) -> Result<u64, String> {
    let count = text.parse::<u32>().map(u64::from);
    count.map_err(|_| "it is a number of messages from 0 to 4294967295".to_owned())
}

fn parse_bind(text: &str) -> Result<IpAddr, String> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    bare.parse().map_err(|_| "it takes an IP address of this machine, such as 127.0.0.1 or ::1".to_owned())
}

fn parse_send(text: &str) -> Result<Outgoing, String> {
    if text == "-" {
        return Ok(Outgoing::StandardInput);
    }
    if unicode::is_blank(text) {
        return Err("there is nothing to say; write a text".to_owned());
    }
    let size = match command::read(text, Source::Verbatim).map_err(|why| not_sent(&why))? {
        Command::Text(text) => escaped_bytes(text.as_bytes()),
        Command::Say(text) | Command::Private(text) => escaped_bytes(text.as_bytes()),
        // An action is sent with its command.
        Command::Me(text) => "/me ".len() + escaped_bytes(text.as_bytes()),
        Command::Reply(_)
        | Command::Who(_)
        | Command::Name(_)
        | Command::Connect(_)
        | Command::Disconnect(_)
        | Command::Ignore(_)
        | Command::Unignore(_)
        | Command::Clear
        | Command::Help
        | Command::Quit(_) => {
            return Err(format!("{COMMANDS_SENT}; write the others while chatting"));
        }
    };
    if size > MESSAGE_BYTES_MAX {
        return Err(format!(
            "one message has at most {MESSAGE_BYTES_MAX} bytes, and this has {size}; send it in parts"
        ));
    }
    Ok(Outgoing::Line(text.to_owned()))
}

/// The commands that `--send` executes, as part of an error message.
const COMMANDS_SENT: &str = "of the commands it takes /msg, /me and /say";

/// Why a text of `--send` is refused. What helps while chatting, such as `/help`, does not help here.
fn not_sent(why: &Refused) -> String {
    match why {
        Refused::NoText => "it has no text, or no name; write /msg NAME TEXT".to_owned(),
        Refused::Unknown { word, .. } => {
            format!("unknown command {word}; {COMMANDS_SENT}: \"/say {word}\" sends it as text")
        }
        Refused::Usage(_)
        | Refused::Lines(_)
        | Refused::NoBlank { .. }
        | Refused::Slash
        | Refused::TooLong => why.to_string(),
    }
}

fn framing_parser() -> impl TypedValueParser<Value = Framing> {
    PossibleValuesParser::new(["text", "lab"])
        .map(|word| if word == "lab" { Framing::Lab } else { Framing::Text })
}
