//! From the command line to a [`Config`]. One that comes from here is valid: names are resolved, and
//! every error is one sentence that names the argument.

use std::env;
use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::error::ErrorKind;
use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser};
use clap_complete::Shell;

use crate::address::{self, PeerAddress};
use crate::command::{COMMANDS, Entry};
use crate::error::Error;
use crate::event_loop::Config;
use crate::limits::HISTORY_DEFAULT;
use crate::name;
use crate::protocol::Peer;
use crate::protocol::frame::Framing;
use crate::resolver;
use crate::terminal::UiOptions;
use crate::terminal::clock::TimeFormat;

/// What the user wants to happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Invocation {
    /// To chat.
    Run(Box<Config>),
    /// To know where this peer is: on standard output, an address a line.
    LookUp(PeerAddress),
    /// To read this: the help, the version, completions for a shell or the manual.
    Text(String),
}

/// A group chat for the terminal with no server: every participant is a peer.
#[derive(Parser)]
#[command(
    version,
    after_help = "Type a line and press Enter to say it; /help lists commands. Leave with Ctrl+D or Ctrl+C."
)]
struct Arguments {
    /// TCP port to listen on; 0 takes a free one
    #[arg(value_name = "PORT", value_parser = address::parse_port)]
    port: u16,

    /// Peers to connect to: HOST:PORT, [IPV6]:PORT, or a bare PORT on this machine
    #[arg(value_name = "PEER", value_parser = address::parse)]
    peers: Vec<PeerAddress>,

    /// How the others see you [default: the login name]
    #[arg(short, long, value_name = "NAME", env = "GROUPCHAT_NAME", hide_env_values = true, value_parser = name::parse)]
    name: Option<String>,

    /// Address to listen on [default: all, IPv6 and IPv4]
    #[arg(short, long, value_name = "ADDRESS", value_parser = parse_bind)]
    bind: Option<IpAddr>,

    /// Framing for peers that have not spoken yet
    #[arg(long, value_name = "text|lab", default_value = "text", hide_possible_values = true)]
    #[arg(value_parser = framing_parser())]
    framing: Framing,

    /// Last messages to ask each member for on joining
    #[arg(long, value_name = "COUNT", default_value_t = HISTORY_DEFAULT, value_parser = parse_history)]
    history: u64,

    /// Take part as the exercise says and no more: do not join peers of peers
    #[arg(long)]
    plain: bool,

    /// Keep running when standard input ends
    #[arg(long)]
    stay: bool,

    /// Say this, wait until each peer has it, and leave; can be given again
    #[arg(long, value_name = "TEXT", value_parser = parse_text, requires = "peers", conflicts_with = "stay")]
    send: Vec<String>,

    /// Write one JSON object a line to standard output, for scripts
    #[arg(long)]
    json: bool,

    /// Append the conversation to a file
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,

    /// Colours; auto: on a terminal, unless NO_COLOR is set
    #[arg(long, value_name = "auto|always|never", default_value = "auto", hide_possible_values = true)]
    #[arg(value_parser = PossibleValuesParser::new(["auto", "always", "never"]))]
    color: String,

    /// How times are shown, as in strftime [default: %H:%M on a terminal]
    #[arg(long, value_name = "FORMAT", value_parser = TimeFormat::new)]
    time_format: Option<TimeFormat>,

    /// Do not ring the bell when somebody mentions you
    #[arg(long)]
    no_bell: bool,

    /// Print completions for a shell
    #[arg(long, value_name = "bash|zsh|fish", exclusive = true, hide_possible_values = true)]
    #[arg(value_parser = PossibleValuesParser::new(["bash", "zsh", "fish"]))]
    completions: Option<String>,

    /// Print the manual page
    #[arg(long, exclusive = true)]
    man: bool,
}

/// Reads the command line, the program's own name first. Looks up names, which may take as long as
/// the system's resolver does.
///
/// # Errors
///
/// [`Error::Argument`].
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Invocation, Error> {
    let arguments: Vec<_> = arguments.into_iter().collect();
    if let Some(argument) = arguments.iter().find(|argument| argument.to_str().is_none()) {
        return Err(Error::Argument(format!("argument '{}' is not UTF-8", argument.to_string_lossy())));
    }
    if let [_, option, peer] = arguments.as_slice()
        && option == resolver::OPTION
    {
        let peer = address::parse(&peer.to_string_lossy());
        return peer.map(Invocation::LookUp).map_err(Error::Argument);
    }
    let parsed = Arguments::command().try_get_matches_from(arguments).and_then(|matches| {
        let alone = asked_alone(&matches);
        alone.map_or_else(|| Arguments::from_arg_matches(&matches).map(Err), |asked| Ok(Ok(asked)))
    });
    let arguments = match parsed {
        Ok(Err(arguments)) => arguments,
        Ok(Ok(asked)) => return Ok(asked),
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            return Ok(Invocation::Text(error.render().to_string()));
        }
        Err(error) => return Err(Error::Argument(one_sentence(&error))),
    };
    let mut peers: Vec<Peer> = Vec::new();
    for argument in arguments.peers {
        let peer = argument.resolve().map_err(|why| {
            Error::Argument(format!("invalid value '{}' for '[PEER]...': {why}", argument.text()))
        })?;
        // Named twice, if under two names, it would be told everything twice.
        let is_known = |address: &SocketAddr| peers.iter().any(|known| known.addresses.contains(address));
        if !peer.addresses.iter().any(is_known) {
            peers.push(peer);
        }
    }
    let name = match arguments.name {
        Some(name) => name,
        None => login_name()?,
    };
    let Arguments { port, bind, framing, history, plain, stay, send, json, log, time_format, .. } = arguments;
    let has_colors = match arguments.color.as_str() {
        "always" => Some(true),
        "never" => Some(false),
        // As on no-color.org: whatever it holds, if it is not empty.
        _ => env::var_os("NO_COLOR").filter(|value| !value.is_empty()).map(|_| false),
    };
    let view = UiOptions { has_colors, has_bell: !arguments.no_bell, time_format, is_json: json };
    let config = Config { port, bind, name, framing, stay, plain, history, peers, send, view, log };
    Ok(Invocation::Run(config.into()))
}

/// What some options ask for, which stand alone.
fn asked_alone(matches: &ArgMatches) -> Option<Invocation> {
    if let Some(shell) = matches.get_one::<String>("completions") {
        return Some(Invocation::Text(completions(shell)));
    }
    matches.get_flag("man").then(|| Invocation::Text(manual()))
}

/// What clap says, without the paragraphs behind the error, on one line.
fn one_sentence(error: &clap::Error) -> String {
    let mut text = error.render().to_string();
    // From the end, since an argument that is quoted may hold anything.
    for paragraph in ["\n\nFor more information", "\n\nUsage:", "\n\n  tip:"] {
        text.truncate(text.rfind(paragraph).unwrap_or(text.len()));
    }
    let sentence = text.strip_prefix("error: ").unwrap_or(&text).replace("\n  ", " ");
    format!("{} (see groupchat --help)", sentence.trim_end())
}

fn login_name() -> Result<String, Error> {
    let name = whoami::username().map_err(|_| "your login name is not known".to_owned());
    let name = name.and_then(|name| name::parse(&name));
    name.map_err(|why| Error::Argument(format!("say who you are with --name <NAME>: {why}")))
}

fn parse_history(text: &str) -> Result<u64, String> {
    let count = text.parse::<u32>().map(u64::from);
    count.map_err(|_| "it takes a number of messages, 0 for none".to_owned())
}

fn parse_bind(text: &str) -> Result<IpAddr, String> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    bare.parse().map_err(|_| "it takes an IP address of this machine, such as 127.0.0.1 or ::1".to_owned())
}

fn parse_text(text: &str) -> Result<String, String> {
    if text.is_empty() { Err("there is nothing to say".to_owned()) } else { Ok(text.to_owned()) }
}

/// What a shell reads to complete our arguments.
fn completions(shell: &str) -> String {
    let mut command = Arguments::command();
    let shell = match shell {
        "zsh" => Shell::Zsh,
        "fish" => Shell::Fish,
        _ => Shell::Bash,
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, "groupchat", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

/// The manual page, in roff.
fn manual() -> String {
    let mut page = Vec::new();
    // A vector takes everything.
    let _ = clap_mangen::Man::new(Arguments::command()).render(&mut page);
    let mut page = String::from_utf8_lossy(&page).into_owned();
    page += ".SH COMMANDS\nWhat is typed is said, but for lines that begin with a slash:\n";
    for Entry { name, arguments, help } in COMMANDS {
        page += &format!(".TP\n\\fB{name}\\fR {arguments}\n{help}\n");
    }
    page += ".SH EXIT STATUS\n";
    for (code, meaning) in EXIT_CODES {
        page += &format!(".TP\n\\fB{code}\\fR\n{meaning}\n");
    }
    page
}

/// What `main` makes of how it went.
const EXIT_CODES: [(u8, &str); 3] = [
    (0, "left; standard error tells who did not get what, if anybody"),
    (
        1,
        "could not run, reached nobody, could not show or record the conversation, or not everybody has what was sent; or a line of a script began with a slash and was no command",
    ),
    (2, "wrong arguments, which includes a port that is in use and a host that is not found"),
];

fn framing_parser() -> impl TypedValueParser<Value = Framing> {
    PossibleValuesParser::new(["text", "lab"])
        .map(|word| if word == "lab" { Framing::Lab } else { Framing::Text })
}
