//! The manual page, in the man macros of roff (man(7), groff_man(7)).

use clap::{Arg, ArgAction, Command};

use crate::command::COMMANDS;

/// The exit codes and what they mean.
pub const EXIT_CODES: [(u8, &str); 3] = [
    (0, "Success. Standard error lists undelivered messages, if there are any."),
    (
        1,
        "Something failed: the program could not run, nobody was reached (at a terminal, that is only a note), \
         not everybody has what was sent with --send or, in a script, with /msg, a command of a script failed, \
         standard output could not be written or its reader went away, nothing could be recorded, or standard input \
         ended without a line and no peer was named (--stay keeps running then). Standard error shows \
         the cause.",
    ),
    (
        2,
        "The arguments are wrong, which includes a port that is in use, a host that is not found and a \
         command that --send does not take. Nothing was sent.",
    ),
];

const DESCRIPTION: [&str; 4] = [
    "groupchat is a group chat for the terminal without a server. Every participant listens on a PORT and \
     connects to the others. The address of any one member is enough to join: the others are found by \
     themselves.",
    "Every line that is typed is sent to everybody, except commands, which begin with a slash (see \
     COMMANDS). A line that was lost with a connection is sent again; each member sees it once.",
    "A PEER is HOST:PORT, [IPV6]:PORT, or a bare PORT on this machine. With PORT 0, any free port is \
     listened on.",
    "A group is open or private. Into a private group nobody comes without its invite, one line with a secret in \
     it: --new begins one and shows the invite, --join asks for it, and --group comes back without an address.",
];

const KEYS: [(&str, &str); 16] = [
    ("Enter", "Send the line."),
    (
        "Alt+Enter",
        "Begin a new line within the message; Shift+Enter does where the terminal tells it from Enter.",
    ),
    ("Ctrl+D", "Leave, on an empty line. Otherwise delete the character under the cursor."),
    ("Ctrl+C", "Clear the line. On an empty line, leave."),
    ("Tab, Shift+Tab", "Complete a command or a name; again for the next or the previous one."),
    ("Up, Down, Ctrl+P, Ctrl+N", "Step through the lines that were typed before."),
    ("Ctrl+R, Ctrl+S", "Search them, backward or forward. Esc or Ctrl+G ends the search."),
    ("Left, Right, Home, End, Ctrl+B, Ctrl+F, Ctrl+A, Ctrl+E", "Move the cursor."),
    ("Ctrl+Left, Ctrl+Right, Alt+Left, Alt+Right, Alt+B, Alt+F", "Move by a word."),
    ("Ctrl+W, Alt+Backspace, Alt+D", "Remove a word."),
    ("Ctrl+U, Ctrl+K", "Remove everything before or after the cursor."),
    ("Ctrl+Y", "Insert what was removed."),
    ("Ctrl+T", "Swap the two characters at the cursor."),
    ("Ctrl+_, Ctrl+X Ctrl+U", "Undo."),
    ("Ctrl+L", "Clear the screen."),
    ("Ctrl+Z", "Suspend; fg brings the chat back."),
];

const EXAMPLES: [(&str, &str); 9] = [
    ("groupchat 5000", "Begin a group: listen on port 5000 and wait for others."),
    ("groupchat 0 host:5000", "Join it from another machine."),
    ("groupchat \\-n bob 0 5000", "Join it on the same machine, as bob."),
    ("groupchat \\-\\-new friends 5000", "Begin a private group."),
    ("groupchat \\-\\-join 0", "Join it: the invite is asked for."),
    ("groupchat \\-g friends 0", "Come back to it."),
    ("groupchat 0 host:5000 \\-\\-send 'the build is done'", "Send a message and leave."),
    (
        "make 2>&1 | tail | groupchat 0 host:5000 \\-\\-send \\-",
        "Send the output of a program as one message.",
    ),
    (
        "groupchat \\-\\-stay 5000 </dev/null >>chat.txt &",
        "Keep a peer running that records the conversation.",
    ),
];

const ENVIRONMENT: [(&str, &str); 7] = [
    ("GROUPCHAT_NAME", "Your name, if --name is not given. Empty is as if unset."),
    (
        "GROUPCHAT_INVITE",
        "The invite to a private group. --join takes it from here and does not ask. Without --join, --new and --group \
         the group is joined for this run, and nothing is kept: for bots.",
    ),
    ("GROUPCHAT_PRIVATE", "If it is set, and neither empty nor 0, an open group is refused."),
    ("XDG_STATE_HOME", "The folder of the folder for private groups, ~/.local/state if it is not set."),
    ("NO_COLOR", "If it is set and not empty, there are no colours, unless --color says otherwise."),
    ("TERM", "With dumb, nothing is drawn: lines in, lines out."),
    ("TZ", "The time zone in which times are shown."),
];

const FILES: [(&str, &str); 2] = [
    (
        "~/.local/state/groupchat/NAME",
        "A private group: its secret, your own key, and the members that were met with their addresses. Only you can \
         read it, and one run uses it at a time. Whoever has a copy can read what is said and take your place.",
    ),
    (
        "the file of --log",
        "The conversation is appended to it, a line for each message. It can be moved away at any time and is then \
         created anew.",
    ),
];

const SECURITY: [&str; 4] = [
    "In an open group anybody who can reach the port can join, read everything that is sent to everybody, and choose \
     any name. What members send each other is encrypted, but somebody on the network path who alters it can read it \
     too.",
    "In a private group everything is encrypted and authenticated: nobody without the secret of the invite can join, \
     read, alter or imitate anything, or learn that there is a group. It does not protect from its own members, each \
     of whom can invite others; nobody can be expelled, except by a new group. Who talks with whom, when and how \
     much can be seen on the network. The secret is never written on a command line, where other users see it.",
    "What others send is never passed to the terminal as it is: control characters and whatever hides or \
     reorders text are made visible. With --json, texts are exactly as they were sent.",
    "The TEXT of --send can be seen by other users of this machine in the list of processes; --send - reads \
     it from standard input instead.",
];

/// The manual page of `program`, in roff.
#[must_use]
pub fn page(program: &Command) -> String {
    let mut page = Page::default();
    let version = env!("CARGO_PKG_VERSION");
    page.line(&format!(".TH groupchat 1 \"\" \"groupchat {version}\" \"User Commands\""));
    page.section("NAME");
    page.line("groupchat \\- a group chat for the terminal with no server");
    page.section("SYNOPSIS");
    synopsis(program, &mut page);
    page.section("DESCRIPTION");
    page.paragraphs(&DESCRIPTION);
    page.section("OPTIONS");
    for option in options(program) {
        let help = option.get_help().map_or(String::new(), |help| help.to_string().replace('\n', " "));
        let short = option.get_short().map_or(String::new(), |short| format!("\\fB\\-{short}\\fR, "));
        page.item(&format!("{short}{}", written(option)), &help);
    }
    page.section("KEYS");
    page.items(&KEYS);
    page.section("COMMANDS");
    page.text(
        "A line that begins with a slash is a command, in any case of letters. One that is not known is not \
         sent. A line typed at a terminal that \
         begins with two slashes is sent with one.",
    );
    for entry in COMMANDS {
        let (name, arguments) = (escaped(entry.name), escaped(entry.arguments));
        let mut help = format!("{}.", entry.help);
        help[..1].make_ascii_uppercase();
        if !entry.aliases.is_empty() {
            let aliases: Vec<_> = entry.aliases.iter().map(|alias| format!("/{alias}")).collect();
            help += &format!(" Also {}.", aliases.join(", "));
        }
        page.item(format!("\\fB{name}\\fR {arguments}").trim_end(), &help);
    }
    page.section("EXAMPLES");
    for (example, help) in EXAMPLES {
        page.item(&format!("\\fB{example}\\fR"), help);
    }
    page.section("ENVIRONMENT");
    page.items(&ENVIRONMENT);
    page.section("FILES");
    page.items(&FILES);
    page.section("EXIT STATUS");
    for (code, meaning) in EXIT_CODES {
        page.item(&format!("\\fB{code}\\fR"), meaning);
    }
    page.section("SECURITY");
    page.paragraphs(&SECURITY);
    page.0
}

fn options(program: &Command) -> impl Iterator<Item = &Arg> {
    program.get_arguments().filter(|argument| argument.get_long().is_some() && !argument.is_hide_set())
}

/// The roff form of an option: its name, and its value if it has one.
fn written(option: &Arg) -> String {
    let long = escaped(option.get_long().unwrap_or_default());
    let value = match option.get_action() {
        ArgAction::Set | ArgAction::Append => option.get_value_names().and_then(|names| names.first()),
        _ => None,
    };
    match value {
        Some(value) => format!("\\fB\\-\\-{long}\\fR \\fI{}\\fR", escaped(value)),
        None => format!("\\fB\\-\\-{long}\\fR"),
    }
}

/// Adds the synopsis: every form of the command line.
fn synopsis(program: &Command, page: &mut Page) {
    let is_alone = |option: &Arg| {
        option.is_exclusive_set() || matches!(option.get_action(), ArgAction::Help | ArgAction::Version)
    };
    let has_own_form = |option: &Arg| matches!(option.get_long(), Some("send" | "invite"));
    page.line("\\fBgroupchat\\fR");
    for option in options(program).filter(|option| !is_alone(option) && !has_own_form(option)) {
        page.line(&format!("[{}]", written(option).replace(' ', "\\ ")));
    }
    page.line("\\fIPORT\\fR [\\fIPEER\\fR]...");
    page.line(".PP");
    page.line("\\fBgroupchat\\fR [\\fIOPTION\\fR]... \\fIPORT\\fR \\fIPEER\\fR... \\fB\\-\\-send\\fR\\ \\fITEXT\\fR");
    page.line(".PP");
    page.line("\\fBgroupchat\\fR \\fB\\-\\-group\\fR\\ \\fINAME\\fR \\fB\\-\\-invite\\fR");
    page.line(".PP");
    for option in options(program).filter(|option| is_alone(option)) {
        page.line(&format!("\\fBgroupchat\\fR {}", written(option)));
        page.line(".br");
    }
}

/// Lines of roff.
#[derive(Default)]
struct Page(String);

impl Page {
    /// Adds a line that is roff already.
    fn line(&mut self, line: &str) {
        self.0 += line;
        self.0.push('\n');
    }

    fn section(&mut self, title: &str) {
        self.line(&format!(".SH {title}"));
    }

    /// Adds plain text.
    fn text(&mut self, text: &str) {
        self.line(&escaped(text));
    }

    fn paragraphs(&mut self, texts: &[&str]) {
        for (index, text) in texts.iter().enumerate() {
            if index > 0 {
                self.line(".PP");
            }
            self.text(text);
        }
    }

    /// Adds a tagged paragraph: a title in roff, and an explanation in plain text.
    fn item(&mut self, title: &str, text: &str) {
        self.line(".TP");
        self.line(title);
        self.text(text);
    }

    fn items(&mut self, items: &[(&str, &str)]) {
        for (title, text) in items {
            self.item(&format!("\\fB{}\\fR", escaped(title)), text);
        }
    }
}

/// Escapes plain text for roff: it contains no requests or escapes, and its hyphens are ASCII.
fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text }
}
