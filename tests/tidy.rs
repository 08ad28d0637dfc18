//! The house rules that a compiler does not know: which module may import which, and which may do what.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Layers from the top down. A file imports from its own layer and from those below.
const LAYERS: [&[&str]; 7] = [
    &["main", "args", "shell_completions", "manual"],
    &["event_loop"],
    &["group_peer", "server", "group_file", "terminal", "resolver", "address", "name", "invite"],
    &["protocol", "command"],
    &["seal"],
    &["wire"],
    &["limits", "error", "unicode", "sanitize", "look_alike"],
];

/// Phrases that only some files may contain.
const RESERVED: [(&str, &[&str]); 10] = [
    ("ENCD>\"", &["protocol/frame.rs", "wire/frame.rs"]),
    ("Poll::new", &["event_loop.rs"]),
    (".accept()", &["server.rs"]),
    ("ExitCode::from", &["main.rs"]),
    ("io::stdin", &["terminal.rs", "terminal/stdin.rs"]),
    ("io::stdout", &["terminal.rs"]),
    ("tcsetattr(", &["terminal/raw_mode.rs"]),
    (".spawn(", &["resolver.rs"]),
    ("tcp.read(", &["group_peer.rs"]),
    ("Instant::now", &["event_loop.rs"]),
];

/// Phrases that no file may contain.
const FORBIDDEN: [&str; 6] = ["println!", "eprint!", "unwrap()", "thread::", "todo!", "dbg!"];

/// The modules that have no I/O, clock, environment or randomness of their own, and the phrases for these.
const PURE: [&str; 5] = ["protocol", "seal", "wire", "command", "invite"];
const IMPURE: [&str; 11] = [
    "std::io",
    "std::fs",
    "std::env",
    "std::process",
    "mio::",
    "rustix::",
    "socket2::",
    "Local::now",
    "SystemTime",
    "RandomState",
    "Rng::new",
];

/// A source file without its tests.
struct Source {
    /// The path below `src`.
    path: String,
    code: String,
}

impl Source {
    /// The name of the top-level module that the file belongs to.
    fn module(&self) -> &str {
        self.path.split(['/', '.']).next().expect("a first part")
    }

    /// Whether a line that is not a comment contains `phrase`.
    fn contains(&self, phrase: &str) -> bool {
        self.code.lines().any(|line| line.contains(phrase) && !line.trim().starts_with("//"))
    }

    /// The purpose of the module, at the start of the file: the first paragraph of its
    /// documentation.
    fn purpose(&self) -> String {
        let lines = self.code.lines().map_while(|line| line.strip_prefix("//!"));
        lines.map(str::trim).take_while(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
    }
}

/// Every source file.
fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![root.clone()];
    let mut files: Vec<PathBuf> = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder of sources") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    let sources = files.into_iter().map(|path| {
        let code = without_tests(&fs::read_to_string(&path).expect("a source file"));
        Source { path: path.strip_prefix(&root).expect("below src").display().to_string(), code }
    });
    sources.collect()
}

/// A file without the items that only tests have: each `#[cfg(test)]` hides the item that follows it. The text
/// has the form that rustfmt gives it, so that an item ends at its first line, or at the first brace that is
/// indented as the attribute is.
fn without_tests(text: &str) -> String {
    let mut code = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some(indentation) = line.strip_suffix("#[cfg(test)]").filter(|rest| rest.trim().is_empty())
        else {
            code.push_str(line);
            code.push('\n');
            continue;
        };
        let mut item = lines.by_ref().skip_while(|line| {
            let line = line.trim();
            line.starts_with("#[") || line.starts_with("//")
        });
        let first = item.next().expect("an item behind the attribute");
        if !first.ends_with([';', ',', '}']) {
            let mut rest = item.map(|line| line.strip_prefix(indentation));
            rest.find(|line| line.is_some_and(|line| line.starts_with('}'))).expect("the end of the item");
        }
    }
    code
}

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|modules| modules.contains(&module))
}

/// The top-level modules that `code` imports or names by their paths.
fn imports(code: &str) -> Vec<&str> {
    fn is_word(char: char) -> bool {
        char == '_' || char.is_alphanumeric()
    }
    let paths = code.split("crate::").skip(1).chain(code.split("groupchat::").skip(1));
    let modules = paths.flat_map(|path| {
        let end = if path.starts_with('{') { path.find(';') } else { path.find(|char| !is_word(char)) };
        path[..end.unwrap_or(path.len())].split(|char| !is_word(char))
    });
    modules.filter(|module| layer(module).is_some()).collect()
}

#[test]
fn tests_are_hidden_and_nothing_else() {
    let text = "a\n#[cfg(test)]\nuse b;\nc\n    #[cfg(test)]\n    #[must_use]\n    /// D.\n    fn d(\n        \
                e: f,\n    ) -> g {\n        if h {\n        }\n    }\n    i\n#[cfg(test)]\nmod tests {\n    \
                fn j() {}\n}\n";
    assert_eq!(without_tests(text), "a\nc\n    i\n");
    assert_eq!(without_tests("#[cfg(test)]\nmod tests {\n}\n\nfn k() {}\n"), "\nfn k() {}\n");
}

#[test]
fn imports_point_down() {
    assert_eq!(
        imports("use groupchat::{args, name::parse};\ncrate::limits::NAME"),
        ["limits", "args", "name"]
    );
    for source in sources() {
        let path = &source.path;
        // The library's front page names every module.
        if path == "lib.rs" {
            continue;
        }
        let own = layer(source.module()).unwrap_or_else(|| panic!("{path} has no layer"));
        for imported in imports(&source.code) {
            assert!(Some(own) <= layer(imported), "{path} imports {imported}, which is above it");
        }
    }
}

#[test]
fn every_file_does_only_what_it_may() {
    for source in sources() {
        let path = source.path.as_str();
        for (phrase, allowed) in RESERVED {
            assert!(allowed.contains(&path) || !source.contains(phrase), "{path} contains {phrase}");
        }
        for phrase in FORBIDDEN {
            assert!(!source.code.contains(phrase), "{path} contains {phrase}");
        }
        for phrase in IMPURE {
            assert!(!PURE.contains(&source.module()) || !source.contains(phrase), "{path} contains {phrase}");
        }
    }
}

#[test]
fn every_module_says_what_it_holds() {
    for source in sources() {
        let (path, purpose) = (&source.path, source.purpose());
        let begins = purpose.starts_with(|char: char| char == '`' || char.is_uppercase());
        assert!(begins && purpose.ends_with(['.', ':']), "{path} opens with {purpose:?}");
    }
}

#[test]
fn the_readme_shows_the_options_as_they_are() {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = fs::read_to_string(readme).expect("a README");
    let help = Command::new(env!("CARGO_BIN_EXE_groupchat")).arg("--help").output().expect("the program");
    let help = String::from_utf8(help.stdout).expect("text");
    assert!(readme.contains(help.trim_end()), "the README lacks this:\n{help}");
}
