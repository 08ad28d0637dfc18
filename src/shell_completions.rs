//! Shell completions for bash, zsh and fish.
//!
//! The scripts complete options and their fixed values, and file names only for options that take a file. They
//! complete nothing for ports, peers, names and texts.

use clap::{Arg, ArgAction, Command, ValueHint};

/// A supported shell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shell {
    /// GNU Bash, 3.2 or newer.
    Bash,
    /// The Z shell.
    Zsh,
    /// fish.
    Fish,
}

impl Shell {
    /// All shells, by name.
    pub const NAMES: [(&'static str, Self); 3] =
        [("bash", Self::Bash), ("zsh", Self::Zsh), ("fish", Self::Fish)];

    /// The script that completes the arguments of `command`.
    #[must_use]
    pub fn script(self, command: &Command) -> String {
        let options: Vec<Completed> = command.get_arguments().filter_map(Completed::new).collect();
        match self {
            Self::Bash => bash(&options),
            Self::Zsh => zsh(&options),
            Self::Fish => fish(&options),
        }
    }
}

/// An option, as the scripts describe it.
struct Completed {
    short: Option<char>,
    long: String,
    /// The help text, on one line.
    help: String,
    is_repeated: bool,
    /// The option stands alone on a command line.
    is_exclusive: bool,
    value: Value,
}

/// The value of an option.
enum Value {
    /// The option has no value.
    None,
    Words(Vec<String>),
    File,
    /// The value cannot be completed.
    Unknown(String),
}

impl Completed {
    /// An option; `None` for a positional argument or a hidden option.
    fn new(argument: &Arg) -> Option<Self> {
        let long = argument.get_long().filter(|_| !argument.is_hide_set())?.to_owned();
        let words: Vec<String> =
            argument.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect();
        let has_value = matches!(argument.get_action(), ArgAction::Set | ArgAction::Append);
        let value = match (has_value, argument.get_value_hint()) {
            (false, _) => Value::None,
            (true, ValueHint::FilePath) => Value::File,
            (true, _) if !words.is_empty() => Value::Words(words),
            (true, _) => Value::Unknown(argument.get_value_names().map_or("", |names| &names[0]).to_owned()),
        };
        Some(Self {
            short: argument.get_short(),
            long,
            help: argument.get_help().map_or(String::new(), |help| help.to_string().replace('\n', " ")),
            is_repeated: matches!(argument.get_action(), ArgAction::Append),
            is_exclusive: argument.is_exclusive_set()
                || matches!(argument.get_action(), ArgAction::Help | ArgAction::Version),
            value,
        })
    }

    /// The names with their hyphens, the short one first.
    fn names(&self) -> Vec<String> {
        let short = self.short.map(|short| format!("-{short}"));
        short.into_iter().chain([format!("--{}", self.long)]).collect()
    }
}

fn bash(options: &[Completed]) -> String {
    let mut cases = String::new();
    for option in options {
        let replies = match &option.value {
            Value::None => continue,
            Value::Words(words) => format!("COMPREPLY=($(compgen -W '{}' -- \"$cur\"))", words.join(" ")),
            Value::File => {
                "compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- \"$cur\"))".to_owned()
            }
            Value::Unknown(_) => ":".to_owned(),
        };
        cases += &format!("        {}) {replies}; return ;;\n", option.names().join("|"));
    }
    let names: Vec<_> = options.iter().flat_map(Completed::names).collect();
    // Bash splits off "=" as a word; file names are separated by line breaks.
    format!(
        "_groupchat() {{
    local IFS=$' \\n' cur=${{COMP_WORDS[COMP_CWORD]}} prev=${{COMP_WORDS[COMP_CWORD-1]}} word
    COMPREPLY=()
    if [[ $cur == = ]]; then
        cur=
    elif [[ $prev == = && $COMP_CWORD -ge 2 ]]; then
        prev=${{COMP_WORDS[COMP_CWORD-2]}}
    fi
    for word in \"${{COMP_WORDS[@]:1:COMP_CWORD-1}}\"; do
        [[ $word == -- ]] && return
    done
    case $prev in
        --log) IFS=$'\\n' ;;
    esac
    case $prev in
{cases}    esac
    if [[ $cur == -* ]]; then
        COMPREPLY=($(compgen -W '{}' -- \"$cur\"))
    fi
}}
complete -F _groupchat groupchat
",
        names.join(" ")
    )
}

fn zsh(options: &[Completed]) -> String {
    let mut lines = String::new();
    for option in options {
        let help = zsh_quoted(&option.help);
        let names = option.names();
        let excluded = match (option.is_exclusive, option.is_repeated) {
            (true, _) => "(- *)".to_owned(),
            (false, true) => "*".to_owned(),
            (false, false) => format!("({})", names.join(" ")),
        };
        let action = match &option.value {
            Value::None => String::new(),
            Value::Words(words) => format!(":{}:({})", option.long, words.join(" ")),
            Value::File => ":file:_files".to_owned(),
            // A blank action: the option has a value, and nothing is completed.
            Value::Unknown(name) => format!(":{name}: "),
        };
        for name in names {
            let end = match (&option.value, name.starts_with("--")) {
                (Value::None, _) => "",
                (_, true) => "=",
                (_, false) => "+",
            };
            lines += &format!("    '{excluded}{name}{end}[{help}]{action}' \\\n");
        }
    }
    format!(
        "#compdef groupchat

_groupchat() {{
  _arguments -s -S \\
{lines}    '1:PORT: ' \\
    '*:PEER: '
}}

if [ \"$funcstack[1]\" = \"_groupchat\" ]; then
  _groupchat \"$@\"
else
  compdef _groupchat groupchat
fi
"
    )
}

/// Escapes a text within brackets and single quotes.
fn zsh_quoted(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('\'', "'\\''")
        .replace('[', "\\[")
        .replace(']', "\\]")
        .replace(':', "\\:")
}

fn fish(options: &[Completed]) -> String {
    // No file names, except for options with `-F`.
    let mut script = "complete -c groupchat -f\n".to_owned();
    for option in options {
        let short = option.short.map_or(String::new(), |short| format!(" -s {short}"));
        let value = match &option.value {
            Value::None => String::new(),
            Value::Words(words) => format!(" -x -a '{}'", words.join(" ")),
            Value::File => " -r -F".to_owned(),
            Value::Unknown(_) => " -x".to_owned(),
        };
        let help = option.help.replace('\\', "\\\\").replace('\'', "\\'");
        script += &format!("complete -c groupchat{short} -l {}{value} -d '{help}'\n", option.long);
    }
    script
}
