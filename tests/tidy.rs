//! The house rules that a compiler does not know: who may import whom, and who may do what.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Layers from the top down. A file imports from its own layer and from those below.
const LAYERS: [&[&str]; 5] = [
    &["main", "args", "completions", "manual"],
    &["event_loop"],
    &["group_peer", "server", "terminal", "resolver", "address", "name"],
    &["protocol", "command"],
    &["limits", "error", "unicode", "sanitize", "look_alike"],
];

/// What only some files may say.
const RESERVED: [(&str, &[&str]); 10] = [
    ("ENCD>\"", &["protocol/frame.rs"]),
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

/// A file is as long as its idea; one that is longer than this may hold two.
const LINES_MAX: usize = 900;

/// Every source file: its path below `src`, and its text without its tests.
fn sources() -> Vec<(String, String)> {
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
        let text = fs::read_to_string(&path).expect("a source file");
        let code = text.split("#[cfg(test)]").next().expect("a first part").to_owned();
        (path.strip_prefix(&root).expect("below src").display().to_string(), code)
    });
    sources.collect()
}

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|modules| modules.contains(&module))
}

#[test]
fn imports_point_down() {
    for (path, code) in sources() {
        let module = path.split(['/', '.']).next().expect("a name");
        // The library's front page names every module.
        let Some(own) = layer(module) else { continue };
        for import in code.split("crate::").skip(1).chain(code.split("groupchat::").skip(1)) {
            let imported = import.split(|char: char| char != '_' && !char.is_alphanumeric()).next();
            if let Some(other) = imported.and_then(layer) {
                assert!(own <= other, "{path} imports {imported:?}, which is above it");
            }
        }
    }
}

#[test]
fn every_file_does_only_what_it_promises() {
    for (path, code) in sources() {
        for (phrase, allowed) in RESERVED {
            let is_said = code.lines().any(|line| line.contains(phrase) && !line.trim().starts_with("//"));
            assert!(!is_said || allowed.contains(&path.as_str()), "{path} says {phrase}");
        }
        for phrase in ["println!", "eprint!", "unwrap()", "thread::", "todo!", "dbg!"] {
            assert!(!code.contains(phrase), "{path} says {phrase}");
        }
        assert!(code.starts_with("//!"), "{path} does not say what it holds");
        assert!(code.lines().count() <= LINES_MAX, "{path} may hold two ideas");
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
