//! From the command line to a [`Config`]. One that comes from here is valid: names are resolved, and
//! every error is one sentence that names the argument.

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches, Parser};

use crate::error::{Error, reason};
use crate::event_loop::Config;
use crate::limits::{HISTORY_DEFAULT, NAME_BYTES_MAX};
use crate::protocol::Peer;
use crate::protocol::frame::Framing;
use crate::terminal::visible::is_visible;

/// What the user wants to happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// To chat.
    Run(Config),
    /// To read this: the help or the version.
    Text(String),
}

/// A group chat for the terminal with no server: every participant is a peer.
#[derive(Parser)]
#[command(version, after_help = "Type a line and press Enter to say it. Leave with Ctrl+D or Ctrl+C.")]
struct Arguments {
    /// TCP port to listen on; 0 takes a free one
    #[arg(value_name = "PORT", value_parser = parse_port)]
    port: u16,

    /// Peers to connect to: HOST:PORT, [IPV6]:PORT, or a bare PORT on this machine
    #[arg(value_name = "PEER", value_parser = parse_peer)]
    peers: Vec<PeerArgument>,

    /// How the others see you [default: the login name]
    #[arg(short, long, value_name = "NAME", env = "GROUPCHAT_NAME", hide_env_values = true, value_parser = parse_name)]
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
}

/// A peer as it was written, before its name is looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
struct PeerArgument {
    text: String,
    host: Host,
    port: u16,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Host {
    ThisMachine,
    Address(IpAddr),
    Name(String),
}

/// Reads the command line, the program's own name first. Looks up names, which may take as long as
/// the system's resolver does.
///
/// # Errors
///
/// [`Error::Argument`].
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Asked, Error> {
    let arguments: Vec<_> = arguments.into_iter().collect();
    if let Some(argument) = arguments.iter().find(|argument| argument.to_str().is_none()) {
        return Err(Error::Argument(format!("argument '{}' is not UTF-8", argument.to_string_lossy())));
    }
    let parsed = Arguments::command().try_get_matches_from(arguments);
    let arguments = match parsed.and_then(|matches| Arguments::from_arg_matches(&matches)) {
        Ok(arguments) => arguments,
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            return Ok(Asked::Text(error.render().to_string()));
        }
        Err(error) => return Err(Error::Argument(one_sentence(&error))),
    };
    let mut peers: Vec<Peer> = Vec::new();
    for argument in arguments.peers {
        let peer = argument.resolve()?;
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
    let Arguments { port, bind, framing, history, plain, stay, .. } = arguments;
    Ok(Asked::Run(Config { port, bind, name, framing, stay, plain, history, peers }))
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
    let name = name.and_then(|name| parse_name(&name));
    name.map_err(|why| Error::Argument(format!("say who you are with --name <NAME>: {why}")))
}

fn parse_port(text: &str) -> Result<u16, String> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    let port = text.parse().ok().filter(|_| is_number);
    port.ok_or_else(|| "a port is a number from 0 to 65535".to_owned())
}

fn parse_history(text: &str) -> Result<u64, String> {
    let count = text.parse::<u32>().map(u64::from);
    count.map_err(|_| "it takes a number of messages, 0 for none".to_owned())
}

fn parse_name(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        return Err("a name must not be empty".to_owned());
    }
    if text.len() > NAME_BYTES_MAX {
        return Err(format!("a name has at most {NAME_BYTES_MAX} bytes"));
    }
    if !is_visible(text) {
        return Err("a name must not hold control characters or other invisible ones".to_owned());
    }
    Ok(text.to_owned())
}

fn parse_bind(text: &str) -> Result<IpAddr, String> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    bare.parse().map_err(|_| "it takes an IP address of this machine, such as 127.0.0.1 or ::1".to_owned())
}

fn framing_parser() -> impl TypedValueParser<Value = Framing> {
    PossibleValuesParser::new(["text", "lab"])
        .map(|word| if word == "lab" { Framing::Lab } else { Framing::Text })
}

fn parse_peer(text: &str) -> Result<PeerArgument, String> {
    if is_ipv6_without_port(text) {
        return Err(format!("it has no port; write [{}]:PORT", text.trim_matches(['[', ']'])));
    }
    let (host, port) = match text.rsplit_once(':') {
        None if text.bytes().all(|byte| byte.is_ascii_digit()) => (Host::ThisMachine, text),
        None => return Err(format!("it has no port; write {text}:PORT")),
        Some((host, port)) => (parse_host(host, port)?, port),
    };
    let port = parse_port(port).ok().filter(|&port| port != 0);
    let port = port.ok_or("a peer's port is a number from 1 to 65535")?;
    Ok(PeerArgument { text: text.to_owned(), host, port })
}

/// Whether all of `text` is an address, and nothing in it can be meant as a port.
fn is_ipv6_without_port(text: &str) -> bool {
    let is_ipv6 = |text: &str| text.parse::<Ipv6Addr>().is_ok();
    match text.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']').is_some_and(is_ipv6),
        None => is_ipv6(text) && !text.rsplit_once(':').is_some_and(|(host, _)| is_ipv6(host)),
    }
}

fn parse_host(host: &str, port: &str) -> Result<Host, String> {
    if let Some(address) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        let address: Result<Ipv6Addr, _> = address.parse();
        return address
            .map(|address| Host::Address(address.into()))
            .map_err(|_| "what stands in brackets must be an IPv6 address".to_owned());
    }
    if host.parse::<Ipv6Addr>().is_ok() {
        return Err(format!("an IPv6 address needs brackets; write [{host}]:{port}"));
    }
    if host.contains(':') {
        return Err(
            "a host holds no ':'; write HOST:PORT, or an IPv6 address in brackets, such as [::1]:PORT"
                .to_owned(),
        );
    }
    if host.is_empty() {
        return Err(format!("it has no host; write HOST:{port}, or {port} for this machine"));
    }
    Ok(host.parse().map_or_else(|_| Host::Name(host.to_owned()), Host::Address))
}

impl PeerArgument {
    fn resolve(self) -> Result<Peer, Error> {
        let port = self.port;
        let mut addresses: Vec<SocketAddr> = Vec::new();
        match &self.host {
            Host::ThisMachine => {
                addresses.push((Ipv4Addr::LOCALHOST, port).into());
                addresses.push((Ipv6Addr::LOCALHOST, port).into());
            }
            Host::Address(address) => addresses.push((this_machine(*address), port).into()),
            Host::Name(name) => {
                let found = (name.as_str(), port).to_socket_addrs().map_err(|error| {
                    let why = reason(&error);
                    let why = why.rsplit(": ").next().unwrap_or_default().to_owned();
                    Error::Argument(format!("cannot find the host of '{}' for '[PEER]...': {why}", self.text))
                })?;
                for mut address in found {
                    address.set_ip(this_machine(address.ip()));
                    if !addresses.contains(&address) {
                        addresses.push(address);
                    }
                }
            }
        }
        if addresses.is_empty() {
            let text = &self.text;
            return Err(Error::Argument(format!("the host of '{text}' for '[PEER]...' has no address")));
        }
        Ok(Peer { name: self.text.into(), addresses })
    }
}

/// Systems take the address of nowhere for that of this machine; so it is called by its name.
fn this_machine(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(address) if address.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(address) if address.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        _ => address,
    }
}
