//! The command line: parses arguments into a valid [`Config`], with host names resolved. Every error is one
//! sentence that names the argument.

use std::env;
use std::ffi::OsString;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::error::{ContextKind, ErrorKind};
use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, ValueHint};
use zeroize::Zeroizing;

use crate::address::{self, PeerAddress};
use crate::command::{self, Command, Refused, Source, nearest};

use crate::error::{Error, reason, shortened};
use crate::event_loop::{Config, GroupChoice};
use crate::group_file::Place;
use crate::invite::{self, GroupName, Invite};
use crate::limits::{ARGUMENT_CHARS_MAX, HISTORY_DEFAULT, INVITE_ADDRESSES_MAX, MESSAGE_BYTES_MAX};
use crate::manual;
use crate::name;
use crate::protocol::Peer;
use crate::resolver;
use crate::shell_completions::Shell;
use crate::terminal::clock::TimeFormat;
use crate::terminal::prompt::Prompt;
use crate::terminal::{self, UiOptions};
use crate::unicode;
use crate::wire::frame::{Framing, escaped_bytes};

/// The task of a run, as the command line gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Invocation {
    /// Chat.
    Run(Box<Config>),
    /// Print the invite to the group that is kept under this name, with these addresses first.
    Invite(String, Vec<PeerAddress>),
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
  groupchat --new team 5000 Begin a private group, and show its invite
  groupchat --join 0        Join a private group: asks for the invite

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

    #[arg(long, value_name = "TEXT", value_parser = parse_send)]
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

    #[arg(long, value_name = "NAME", help_heading = PRIVATE_GROUPS)]
    #[arg(conflicts_with_all = ["join", "group", "invite", "plain", "framing"])]
    #[arg(help = "Begin a private group, which only those with its\ninvite can join. It is kept in a file")]
    new: Option<String>,

    #[arg(long, help_heading = PRIVATE_GROUPS, conflicts_with_all = ["invite", "plain", "framing"])]
    #[arg(
        help = "Join a private group, whose invite is asked for, or\ntaken from GROUPCHAT_INVITE. It is kept as well"
    )]
    join: bool,

    #[arg(short, long, value_name = "NAME", help_heading = PRIVATE_GROUPS)]
    #[arg(conflicts_with_all = ["plain", "framing"])]
    #[arg(help = "Come back to a private group that is kept under\n\
                  this name, or in this file; with --join, keep it\nthere")]
    group: Option<String>,

    #[arg(long, help_heading = PRIVATE_GROUPS, requires = "group")]
    #[arg(conflicts_with_all = ["port", "peers", "name", "bind", "history", "stay", "send", "json", "log"])]
    #[arg(help = "Print the invite to the group of --group, and exit")]
    invite: bool,

    #[arg(long, value_name = "ADDRESS", help_heading = PRIVATE_GROUPS, value_parser = parse_advertised)]
    #[arg(help = "A HOST:PORT where others reach you, for the invite.\nCan be given again")]
    advertise: Vec<PeerAddress>,

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

/// The heading of the options of private groups.
const PRIVATE_GROUPS: &str = "Private groups";

/// The environment variable that refuses open groups.
const PRIVATE_VARIABLE: &str = "GROUPCHAT_PRIVATE";

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
    if arguments.iter().any(|argument| argument.to_str().is_some_and(invite::looks_like_invite)) {
        // Without the argument: what is printed may be kept.
        let sentence =
            "an invite on the command line can be read by everybody on this machine; start groupchat --join";
        return Err(Error::Argument(sentence.to_owned()));
    }
    if let [_, option, peer] = arguments.as_slice()
        && option == resolver::OPTION
    {
        let peer = address::parse(&peer.to_string_lossy());
        return peer.map(Invocation::LookUp).map_err(Error::Argument);
    }
    let mut command = Arguments::command();
    let matches = match command.try_get_matches_from_mut(arguments) {
        Ok(matches) => matches,
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            return Ok(Invocation::Text(error.render().to_string()));
        }
        Err(error) => return Err(Error::Argument(explain(&error, &command))),
    };
    if let Some(invocation) = standalone_output(&matches, &mut command)? {
        return Ok(invocation);
    }
    let arguments = Arguments::from_arg_matches(&matches);
    let arguments = arguments.map_err(|error| Error::Argument(explain(&error, &command)))?;
    check_advertised(&arguments.advertise)?;
    let invite = invite_variable(&arguments)?;
    check_kind(&arguments, invite.is_some())?;
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
    let Arguments {
        port,
        bind,
        new,
        join,
        group,
        advertise,
        framing,
        history,
        plain,
        stay,
        send,
        json,
        log,
        time_format,
        ..
    } = arguments;
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
    // The last step, since it may wait for the user.
    let group = choose_group(new.as_deref(), join, group.as_deref(), invite)?;
    let config = Config {
        port,
        bind,
        name,
        group,
        advertised: advertise,
        framing,
        stay,
        plain,
        history,
        peers,
        send,
        ui,
        log,
    };
    Ok(Invocation::Run(config.into()))
}

/// The invocation of an option that needs no port, such as `--man`.
fn standalone_output(matches: &ArgMatches, command: &mut clap::Command) -> Result<Option<Invocation>, Error> {
    command.build();
    if let Some(name) = matches.get_one::<String>("completions") {
        let shell = Shell::NAMES.iter().find(|(known, _)| known == name);
        return Ok(shell.map(|(_, shell)| Invocation::Text(shell.script(command))));
    }
    if let (true, Some(group)) = (matches.get_flag("invite"), matches.get_one::<String>("group")) {
        let advertised: Vec<_> = matches.get_many("advertise").into_iter().flatten().cloned().collect();
        check_advertised(&advertised)?;
        return Ok(Some(Invocation::Invite(group.clone(), advertised)));
    }
    Ok(matches.get_flag("man").then(|| Invocation::Text(manual::page(command))))
}

/// The invite in the environment, unless the group is named.
fn invite_variable(arguments: &Arguments) -> Result<Option<Zeroizing<String>>, Error> {
    let is_wanted = arguments.join || arguments.new.is_none() && arguments.group.is_none();
    let value = env::var_os(invite::VARIABLE).filter(|value| is_wanted && !value.is_empty());
    let text = value.map(OsString::into_string).transpose();
    let text = text.map_err(|_| Error::Argument(format!("{} is not UTF-8", invite::VARIABLE)))?;
    Ok(text.map(Zeroizing::new))
}

/// Checks whether the group may be open or private as the arguments and the environment say.
fn check_kind(arguments: &Arguments, has_variable: bool) -> Result<(), Error> {
    let Arguments { new, join, group, plain, framing, advertise, send, peers, .. } = arguments;
    let is_kept = new.is_some() || *join || group.is_some();
    let must_be_private =
        env::var_os(PRIVATE_VARIABLE).is_some_and(|value| !value.is_empty() && value != "0");
    let sentence = if has_variable && (*plain || framing.is_some()) {
        format!("{} cannot be used with --plain or --framing; leave one of them out", invite::VARIABLE)
    } else if must_be_private && !is_kept && !has_variable {
        format!("{PRIVATE_VARIABLE} refuses an open group; use --new, --join or --group, or unset it")
    } else if !advertise.is_empty() && !is_kept && !has_variable {
        "--advertise is for the invite to a private group; use --new, --join or --group".to_owned()
    } else if !send.is_empty() && peers.is_empty() && (new.is_some() || !is_kept && !has_variable) {
        "--send requires <PEER>..., to whom to send: groupchat 0 HOST:PORT --send TEXT".to_owned()
    } else {
        return Ok(());
    };
    Err(Error::Argument(format!("{sentence} (see groupchat --help)")))
}

fn check_advertised(addresses: &[PeerAddress]) -> Result<(), Error> {
    if addresses.len() <= INVITE_ADDRESSES_MAX {
        return Ok(());
    }
    Err(Error::Argument(format!("--advertise can be given {INVITE_ADDRESSES_MAX} times at most")))
}

/// The group that was chosen. It may ask for the invite at the terminal.
fn choose_group(
    new: Option<&str>,
    join: bool,
    group: Option<&str>,
    invite: Option<Zeroizing<String>>,
) -> Result<GroupChoice, Error> {
    let invite = invite.map(|text| Invite::parse(&text)).transpose();
    let invite = invite.map_err(|why| Error::Argument(format!("{}: {why}", invite::VARIABLE)))?;
    let place = new.or(group).map(|group| Place::find(group.as_ref())).transpose()?;
    match (new, place) {
        (Some(new), Some(place)) => {
            let name = Path::new(new).file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let name = name.parse::<GroupName>().map_err(|why| Error::Argument(why.to_string()))?;
            Ok(GroupChoice::New(place, name))
        }
        (_, place) if join => {
            let invite = invite.map_or_else(ask_for_invite, Ok)?;
            let own_name = || Place::find(invite.name().to_string().as_ref());
            let place = place.map_or_else(own_name, Ok)?;
            Ok(GroupChoice::Join(place, invite))
        }
        (_, Some(place)) => Ok(GroupChoice::Kept(place)),
        (_, None) => Ok(invite.map_or(GroupChoice::Open, GroupChoice::Once)),
    }
}

/// Asks for an invite at the terminal, until one is valid.
fn ask_for_invite() -> Result<Invite, Error> {
    let Ok(mut prompt) = Prompt::open() else {
        let sentence = format!("there is no terminal to ask for the invite: set {} to it", invite::VARIABLE);
        return Err(Error::Argument(sentence));
    };
    let failed = |error| Error::Failure(format!("cannot ask for the invite: {}", reason(&error)));
    while let Some(line) = prompt.read_line("invite: ").map_err(failed)? {
        match Invite::parse(&line) {
            Ok(invite) => return Ok(invite),
            Err(why) => prompt.show(&why.to_string()).map_err(failed)?,
        }
    }
    Err(Error::Argument("no invite was given".to_owned()))
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
        ErrorKind::MissingRequiredArgument if argument.contains("--group") => {
            "--invite requires the name of the group: groupchat -g NAME --invite".to_owned()
        }
        ErrorKind::MissingRequiredArgument if argument.contains("PORT") => {
            "usage: groupchat [OPTIONS] <PORT> [PEER]...; <PORT> is required: \"groupchat 5000\" begins a \
             group, \"groupchat 0 HOST:5000\" joins one"
                .to_owned()
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

fn parse_advertised(text: &str) -> Result<PeerAddress, String> {
    let address = invite::parse_address(text);
    address.ok_or_else(|| "it is HOST:PORT, such as chat.example.org:5000 or [2001:db8::7]:5000".to_owned())
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
        | Command::Invite
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
