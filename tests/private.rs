//! Private groups: how one is made, joined and found again, and that its secret is seen nowhere.

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use groupchat::terminal::layout::Size;
use rustix::process::Signal;
use support::window::Window;
use support::{PROGRAM, Peer};

/// A folder for the group files of one person.
struct Home(PathBuf);

impl Home {
    fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("groupchat-home-{}-{count}", std::process::id()));
        fs::create_dir(&folder).expect("a folder");
        Self(folder)
    }

    /// Starts the program with these arguments and variables.
    fn start_with(&self, variables: &[(&str, &str)], arguments: &[&str]) -> Peer {
        self.run(Command::new(PROGRAM).envs(variables.iter().copied()).args(arguments))
    }

    /// Starts the program with these arguments in a shell that has executed `commands`.
    fn start_after(&self, commands: &str, arguments: &[&str]) -> Peer {
        let script = format!("{commands}; exec \"$0\" \"$@\"");
        self.run(Command::new("sh").args(["-c", &script, PROGRAM]).args(arguments))
    }

    fn run(&self, command: &mut Command) -> Peer {
        for name in ["GROUPCHAT_INVITE", "GROUPCHAT_PRIVATE"] {
            if command.get_envs().all(|(known, _)| known != name) {
                command.env_remove(name);
            }
        }
        Peer::run(command.env("XDG_STATE_HOME", &self.0))
    }

    fn start(&self, arguments: &[&str]) -> Peer {
        self.start_with(&[], arguments)
    }

    /// Starts the program in a window.
    fn window(&self, arguments: &[&str]) -> Window {
        let home = format!("XDG_STATE_HOME={}", self.0.display());
        let start = ["env", "-u", "GROUPCHAT_INVITE", "-u", "GROUPCHAT_PRIVATE", &home, PROGRAM];
        Window::run(&[&start, arguments].concat(), Size::new(160, 24))
    }

    fn file(&self) -> PathBuf {
        self.0.join("groupchat/friends")
    }

    fn text(&self) -> String {
        fs::read_to_string(self.file()).expect("a group file")
    }

    /// The invite that the program prints.
    #[track_caller]
    fn invite(&self) -> String {
        let mut peer = self.start(&["-g", "friends", "--invite"]);
        let lines = peer.conversation.rest();
        assert_eq!((peer.exit_code(), lines.len()), (0, 1), "{:?}", peer.stderr.rest());
        lines[0].clone()
    }

    /// The program ends with `code`, and with a line on standard error that holds `parts`.
    #[track_caller]
    fn check_error(&self, variables: &[(&str, &str)], arguments: &[&str], code: i32, parts: &[&str]) {
        let mut peer = self.start_with(variables, arguments);
        peer.end_input();
        let errors = peer.stderr.rest();
        assert_eq!(peer.exit_code(), code, "{arguments:?}: {errors:?}");
        let line = errors.last().expect("an error");
        for part in parts {
            assert!(line.contains(part), "no {part:?} in {line}");
        }
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A new group, and its first member on loopback.
fn new_group(home: &Home) -> Peer {
    home.start(&["--new", "friends", "-n", "alice", "-b", "127.0.0.1", "0"]).listening()
}

/// Says goodbye and ends.
#[track_caller]
fn end(mut peer: Peer) {
    peer.signal(Signal::TERM);
    assert_eq!(peer.exit_code(), 0, "{:?}", peer.stderr.rest());
}

/// The secret of an invite, as it is typed and in the hexadecimal digits of a group file.
fn secrets(home: &Home) -> [String; 2] {
    let invite = home.invite();
    let (_, typed) = invite.rsplit_once('/').expect("a secret");
    let text = home.text();
    let stored = text.lines().find_map(|line| line.strip_prefix("secret 1 ")).expect("a secret");
    [typed.to_owned(), stored.to_owned()]
}

#[test]
fn a_group_is_made_and_joined_and_found_again_without_an_address() {
    let (alice_home, bob_home) = (Home::new(), Home::new());
    let mut alice = alice_home.start(&["--new", "friends", "-n", "alice", "-b", "127.0.0.1", "0"]);
    let path = alice_home.file().display().to_string();
    assert_eq!(alice.stderr.next_line(), Some(format!("group friends is kept in {path}")));
    let address = alice.address();
    assert_eq!(
        alice.stderr.next_line().as_deref(),
        Some("groupchat -g friends --invite prints the invite"),
        "the secret itself does not go to a pipe"
    );
    let invite = alice_home.invite();
    assert!(invite.starts_with(&format!("friends@{address}/")), "{invite}");

    let variable = [("GROUPCHAT_INVITE", invite.as_str())];
    let mut bob = bob_home.start_with(&variable, &["--join", "-n", "bob", "-b", "127.0.0.1", "0"]);
    let next = "; next time: groupchat -g friends 0";
    let kept = bob.stderr.next_line().expect("a line");
    assert_eq!(kept, format!("group friends is kept in {}{next}", bob_home.file().display()));
    bob.conversation.wait_for("alice has joined");
    alice.conversation.wait_for("bob has joined");
    bob.write_line("hello");
    assert!(alice.conversation.wait_for("bob: ").ends_with("bob: hello"));
    end(bob);
    alice.conversation.wait_for("bob has left");
    end(alice);

    // Both come back, at other ports of their choice: the one that comes first waits where the other one met it.
    for (first, second) in [(&alice_home, &bob_home), (&bob_home, &alice_home)] {
        let name = |home: &Home| if std::ptr::eq(home, &raw const alice_home) { "alice" } else { "bob" };
        let port = own_port(first);
        let mut one =
            first.start(&["-g", "friends", "-n", name(first), "-b", "127.0.0.1", &port]).listening();
        let mut other = second.start(&["-g", "friends", "-n", name(second), "-b", "127.0.0.1", "0"]);
        other.conversation.wait_for(&format!("{} has joined", name(first)));
        other.write_line("here again");
        one.conversation.wait_for(": here again");
        end(other);
        end(one);
    }
    // One goes and comes again while the other one stays.
    let port = own_port(&alice_home);
    let restart =
        || alice_home.start(&["-g", "friends", "-n", "alice", "-b", "127.0.0.1", &port]).listening();
    let (alice, mut bob) =
        (restart(), bob_home.start(&["-g", "friends", "-n", "bob", "-b", "127.0.0.1", "0"]));
    bob.conversation.wait_for("alice has joined");
    end(alice);
    bob.conversation.wait_for("alice has left");
    let mut alice = restart();
    alice.write_line("I was away");
    bob.conversation.wait_for("alice: I was away");
    end(alice);
    end(bob);
    // A member that is away is no failure, and no line.
    let mut alice = alice_home.start(&["-g", "friends", "-n", "alice", "0"]).listening();
    alice.signal(Signal::TERM);
    assert_eq!((alice.exit_code(), alice.stderr.rest()), (0, Vec::new()));
}

/// The port at which the last run was reached.
fn own_port(home: &Home) -> String {
    let text = home.text();
    let own = text.lines().find_map(|line| line.strip_prefix("own ")).expect("an address");
    own.rsplit_once(':').expect("a port").1.to_owned()
}

#[test]
fn the_invite_is_typed_and_not_seen() {
    let (alice_home, bob_home) = (Home::new(), Home::new());
    let mut alice = new_group(&alice_home);
    let invite = alice_home.invite();
    let mut window = bob_home.window(&["--join", "-n", "bob", "0"]);
    window.wait_for("invite: ");
    let mistyped =
        format!("{}{}", &invite[..invite.len() - 1], if invite.ends_with('0') { '1' } else { '0' });
    window.press(&format!("{mistyped}\n"));
    window.wait_for("the secret of the invite is mistyped: compare it with the original");
    window.wait_until("the second question", |screen| screen.contents().matches("invite: ").count() == 2);
    // What stands behind the line is no message.
    window.press(&format!("{}\nnot for others\n", invite.to_uppercase()));
    window.wait_for("next time: groupchat -g friends 0");
    window.wait_for("alice has joined");
    window.press("hello\r");
    let line = alice.conversation.wait_for("bob: ");
    assert!(line.ends_with("bob: hello"), "{line}");
    let shown = String::from_utf8_lossy(&window.bytes()).into_owned();
    let secret = invite.rsplit_once('/').expect("a secret").1.to_owned();
    for part in secret.split('-') {
        assert!(!shown.to_lowercase().contains(&format!("{part}-")), "{part} is shown");
    }
    // It is shown to who asks for it, and to nobody else.
    window.press("/invite\r");
    window.wait_for(&secret);
    window.press("\u{4}");
    assert_eq!(window.exit_code(), 0);
    window.check_settings();
    assert!(!alice.conversation.wait_for("bob has left").contains(&secret));
}

#[test]
fn the_terminal_is_as_before_however_the_question_ends() {
    let home = Home::new();
    let signals = [Signal::INT, Signal::TERM, Signal::HUP, Signal::QUIT];
    let keys = ["\u{3}", "\u{4}"].map(Some).into_iter().chain([None]);
    for key in keys {
        for signal in if key.is_some() { &signals[..1] } else { &signals[..] } {
            let mut window = home.window(&["--join", "0"]);
            window.wait_for("invite: ");
            assert_ne!(support::window::settings(&window.device), window.settings_before);
            match key {
                Some(key) => window.press(key),
                None => window.signal(*signal),
            }
            assert_ne!(window.exit_code(), 0);
            window.check_settings();
        }
    }
    assert!(!home.0.join("groupchat").exists());
}

#[test]
fn a_new_group_shows_its_invite_at_a_terminal() {
    let home = Home::new();
    let mut window = home.window(&["--new", "friends", "-n", "alice", "-b", "127.0.0.1", "0"]);
    window.wait_for("anyone with this invite can join and read; /invite shows it again:");
    window.wait_for(&format!("  {}", home.invite()));
    window.press("\u{4}");
    assert_eq!(window.exit_code(), 0);
    let mut window = home.window(&["-g", "friends", "-n", "alice", "0"]);
    window.wait_for("/invite shows the invite; /help lists commands, Ctrl+D leaves");
    window.press("\u{4}");
    assert_eq!(window.exit_code(), 0);
}

#[test]
fn another_secret_opens_nothing() {
    let (home, other) = (Home::new(), Home::new());
    let mut alice = new_group(&home);
    let address = format!("127.0.0.1:{}", own_port(&home));
    let elsewhere = new_group(&other);
    let (invite, stranger) = (home.invite(), other.invite());
    let wrong = invite
        .replace(invite.rsplit_once('/').expect("a secret").1, stranger.rsplit_once('/').expect("one").1);
    end(elsewhere);
    let reason = "closed at once: another group, an old invite, or one side is private and the other is not";
    for (variables, peer, name) in [
        (&[("GROUPCHAT_INVITE", wrong.as_str())][..], None, "friends"),
        (&[], Some(address.as_str()), &address),
    ] {
        let arguments: Vec<_> = ["-n", "mallory", "0"].into_iter().chain(peer).collect();
        let mut mallory = home.start_with(variables, &arguments);
        mallory.stderr.wait_for("listening on ");
        let line = mallory.stderr.wait_for("closed at once");
        assert!(line.contains(reason) && line.contains(name), "{line}");
        mallory.write_line("anybody?");
        mallory.kill();
        let lines: Vec<_> = mallory.stderr.rest();
        assert!(lines.iter().all(|line| !line.contains("closed at once")), "{lines:?}");
        assert_eq!(mallory.conversation.rest(), [""; 0]);
    }
    alice.signal(Signal::TERM);
    assert_eq!((alice.exit_code(), alice.conversation.rest()), (0, Vec::new()));
}

#[test]
fn the_secret_is_in_no_list_of_processes_and_in_no_log() {
    let (home, bob_home) = (Home::new(), Home::new());
    let log = home.0.join("log");
    let named = log.to_str().expect("a path of text");
    let mut alice =
        home.start(&["--new", "friends", "-n", "alice", "--log", named, "-b", "127.0.0.1", "0"]).listening();
    let invite = home.invite();
    let mut bob =
        bob_home.start_with(&[("GROUPCHAT_INVITE", &invite)], &["--join", "-n", "bob", "--json", "0"]);
    alice.conversation.wait_for("bob has joined");
    alice.write_line("hello");
    alice.write_line("/invite");
    let [typed, stored] = secrets(&home);
    alice.stderr.wait_for(&typed);
    bob.conversation.wait_for("\"hello\"");
    if cfg!(target_os = "linux") {
        for peer in [&alice, &bob] {
            let arguments = fs::read(format!("/proc/{}/cmdline", peer.child.id())).expect("it runs");
            assert!(!String::from_utf8_lossy(&arguments).contains(&typed));
        }
    }
    end(bob);
    alice.conversation.wait_for("bob has left");
    end(alice);
    let text = fs::read_to_string(&log).expect("a log");
    assert!(text.contains("hello") && !text.contains(&typed) && !text.contains(&stored), "{text}");

    for argument in [invite.clone(), format!("--join={invite}"), format!("-g{invite}"), invite.to_uppercase()]
    {
        let sentence = "groupchat: an invite on the command line can be read by everybody on this machine; \
                        start groupchat --join";
        let mut peer = home.start(&["0", &argument]);
        assert_eq!((peer.stderr.rest(), peer.exit_code()), (vec![sentence.to_owned()], 2));
    }
}

#[test]
fn one_file_is_used_by_one_run() {
    let home = Home::new();
    let mut alice = new_group(&home);
    let holder =
        format!("'{}' is in use by process {}: end it first", home.file().display(), alice.child.id());
    home.check_error(&[], &["-g", "friends", "0"], 1, &[&holder]);
    let invite = home.invite();
    home.check_error(&[("GROUPCHAT_INVITE", &invite)], &["--join", "0"], 1, &[&holder]);
    // One that keeps nothing needs no file.
    let mut bot = home.start_with(&[("GROUPCHAT_INVITE", &invite)], &["-n", "bot", "0"]);
    alice.conversation.wait_for("bot has joined");
    bot.conversation.wait_for("alice has joined");
    end(bot);
    end(alice);
    // A group that is there already is not touched.
    let before = home.text();
    let taken = ["another group 'friends' is here already", "choose another name with --"];
    home.check_error(&[], &["--new", "friends", "0"], 2, &taken);
    let other = Home::new();
    end(new_group(&other));
    home.check_error(&[("GROUPCHAT_INVITE", &other.invite())], &["--join", "0"], 2, &taken);
    assert_eq!(home.text(), before);
    // Under another name it is kept.
    let variable = [("GROUPCHAT_INVITE", other.invite())];
    let variable = variable.each_ref().map(|(name, value)| (*name, value.as_str()));
    let mut peer = home.start_with(&variable, &["--join", "-g", "others", "0"]);
    peer.stderr.wait_for("group others is kept in ");
    peer.stderr.wait_for("cannot reach friends: connection refused; trying again");
    peer.signal(Signal::TERM);
    assert_eq!(peer.exit_code(), 1, "nobody was reached");
}

#[test]
fn scripts_wait_for_the_group_and_fail_without_it() {
    let (home, bot_home) = (Home::new(), Home::new());
    let mut alice = new_group(&home);
    let port = own_port(&home);
    let invite = home.invite();
    let variable = [("GROUPCHAT_INVITE", invite.as_str())];
    let mut bot = bot_home.start_with(&variable, &["--join", "-n", "bot", "0", "--send", "one"]);
    assert!(alice.conversation.wait_for("bot: ").ends_with("bot: one"));
    assert_eq!(bot.exit_code(), 0, "{:?}", bot.stderr.rest());
    let mut bot = bot_home.start(&["-g", "friends", "-n", "bot", "0"]);
    for line in ["two", "/msg alice three"] {
        bot.write_line(line);
    }
    bot.end_input();
    assert!(alice.conversation.wait_for("bot: ").ends_with("bot: two"));
    assert!(alice.conversation.wait_for("bot: ").ends_with(" private] bot: three"));
    assert_eq!(bot.exit_code(), 0, "{:?}", bot.stderr.rest());
    end(alice);
    // The start order does not matter.
    let mut bot = bot_home.start(&["-g", "friends", "-n", "bot", "0", "--send", "four"]).listening();
    let mut alice = home.start(&["-g", "friends", "-n", "alice", "-b", "127.0.0.1", &port]);
    assert!(alice.conversation.wait_for("bot: ").ends_with("bot: four"));
    assert_eq!(bot.exit_code(), 0, "{:?}", bot.stderr.rest());
    end(alice);
    bot_home.check_error(&[], &["-g", "friends", "0", "--send", "five"], 1, &["nobody was reached"]);
}

#[test]
fn addresses_for_the_invite_can_be_named() {
    let home = Home::new();
    let arguments = ["--new", "friends", "--advertise", "chat.example.org:5000", "-b", "127.0.0.1", "0"];
    let mut alice = home.start(&arguments);
    let address = alice.address();
    let expected = format!("friends@chat.example.org:5000,{address}/");
    assert!(home.invite().starts_with(&expected), "{}", home.invite());
    let mut peer = home.start(&["-g", "friends", "--invite", "--advertise", "[2001:db8::7]:9"]);
    let line = peer.conversation.next_line().expect("an invite");
    assert!(line.starts_with(&format!("friends@[2001:db8::7]:9,chat.example.org:5000,{address}/")), "{line}");
    alice.write_line("/invite");
    assert_eq!(alice.stderr.wait_for("friends@"), home.invite());
    home.check_error(&[], &["--advertise", "h:5", "0"], 2, &["--advertise is for the invite"]);
    home.check_error(
        &[],
        &["--advertise", "5000", "0"],
        2,
        &["'5000' for '--advertise <ADDRESS>': it is HOST:PORT"],
    );
    let four = ["--advertise", "h:5"].repeat(4);
    home.check_error(&[], &[&["-g", "friends", "0"], &four[..]].concat(), 2, &["3 times at most"]);
}

#[test]
fn what_does_not_go_together_is_an_error() {
    let home = Home::new();
    for private in [&["--new", "friends"][..], &["--join"], &["-g", "friends"]] {
        for plain in [&["--plain"][..], &["--framing", "text"]] {
            let arguments = [private, plain, &["0"]].concat();
            home.check_error(
                &[],
                &arguments,
                2,
                &["cannot be used with", plain[0], private[0].trim_matches('-')],
            );
        }
    }
    let invite = "friends@127.0.0.1:9/000g-40r4-0m30-e209-185g-r38e-1zs5-ktd5";
    let variable = ("GROUPCHAT_INVITE", invite);
    home.check_error(&[variable], &["--plain", "0"], 2, &["GROUPCHAT_INVITE cannot be used with --plain"]);
    home.check_error(&[], &["--new", "a", "--join", "0"], 2, &["'--new <NAME>'", "'--join'"]);
    home.check_error(&[], &["--new", "a", "-g", "b", "0"], 2, &["'--new <NAME>'", "'--group <NAME>'"]);
    home.check_error(&[], &["--new", "No", "0"], 2, &["the name of a group has 1 to 32 characters"]);
    home.check_error(&[], &["--invite"], 2, &["--invite requires the name of the group"]);
    home.check_error(&[], &["-g", "a", "--invite", "0"], 2, &["'--invite' cannot be used with '<PORT>'"]);
    home.check_error(&[], &["-g", "a", "--invite"], 2, &["there is no group file"]);
    home.check_error(&[], &["-g", "a", "0"], 2, &["there is no group file"]);
    let mistyped = invite.replace("000g", "000h");
    let sentence = "GROUPCHAT_INVITE: the secret of the invite is mistyped";
    for arguments in [&["--join", "0"][..], &["0"]] {
        home.check_error(&[("GROUPCHAT_INVITE", &mistyped)], arguments, 2, &[sentence]);
    }
    let private = ("GROUPCHAT_PRIVATE", "1");
    home.check_error(&[private], &["0"], 2, &["GROUPCHAT_PRIVATE refuses an open group"]);
    assert!(!home.0.join("groupchat").exists());
    home.check_error(
        &[private, variable],
        &["0"],
        1,
        &["nobody was reached: no address of the invite answered"],
    );
    end(home.start_with(&[private], &["--new", "friends", "0"]).listening());
    for unset in ["", "0"] {
        end(home.start_with(&[("GROUPCHAT_PRIVATE", unset), ("GROUPCHAT_INVITE", "")], &["0"]).listening());
    }
    let mut open = home.start(&["0"]).listening();
    open.write_line("/invite");
    open.stderr.wait_for("'/invite' failed: there is no invite: this group is open");
    // There is a terminal, or a process without one.
    let mut command = Command::new("setsid");
    let command = command.args(["-w", PROGRAM, "--join", "0"]).env("XDG_STATE_HOME", &home.0);
    let mut peer = Peer::run(command.env_remove("GROUPCHAT_INVITE"));
    let sentence = "groupchat: there is no terminal to ask for the invite: set GROUPCHAT_INVITE to it";
    assert_eq!((peer.stderr.rest(), peer.exit_code()), (vec![sentence.to_owned()], 2));
}

#[test]
fn a_file_that_cannot_be_used_is_an_error_with_its_remedy() {
    let home = Home::new();
    end(new_group(&home));
    let whole = home.text();
    let check = |part: &str| home.check_error(&[], &["-g", "friends", "0"], 1, &[part]);
    let set_mode = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode");
    };
    set_mode(&home.file(), 0o644);
    check("can be read or written by other users: run chmod 600 on it");
    set_mode(&home.file(), 0o600);
    fs::write(home.file(), &whole[..whole.len() - 4]).expect("written");
    check("is cut off, as its last line is not 'end': restore it from a copy");
    fs::rename(home.file(), home.0.join("other")).expect("moved");
    std::os::unix::fs::symlink(home.0.join("other"), home.file()).expect("a link");
    check("is a symbolic link: replace it by the file itself");
    fs::remove_file(home.file()).expect("removed");
    fs::write(home.file(), &whole).expect("written");
    set_mode(&home.file(), 0o600);

    // A full disk, while the program runs.
    let mut alice = home.start(&["-g", "friends", "-n", "alice", "-b", "127.0.0.1", "0"]).listening();
    let before = home.text();
    fs::create_dir(home.0.join("groupchat/.friends.new")).expect("in the way");
    let mut bob = home.start_with(&[("GROUPCHAT_INVITE", &home.invite())], &["-n", "bob", "0"]);
    let line = alice.stderr.wait_for("members of friends are not remembered: cannot write '");
    assert!(line.contains(&home.file().display().to_string()), "{line}");
    bob.write_line("still here");
    alice.conversation.wait_for("bob: still here");
    end(bob);
    alice.signal(Signal::TERM);
    assert_eq!((alice.exit_code(), alice.stderr.rest()), (0, Vec::new()), "said once");
    assert_eq!(home.text(), before);
}

#[test]
fn nobody_else_can_read_or_write_a_group_whatever_the_umask_is() {
    for mask in ["0", "077", "0277"] {
        let home = Home::new();
        let arguments = ["--new", "friends", "-n", "alice", "-b", "127.0.0.1", "0"];
        end(home.start_after(&format!("umask {mask}"), &arguments).listening());
        let mode = |path: &str| fs::metadata(home.0.join(path)).expect(path).permissions().mode() & 0o777;
        let modes = ["groupchat", "groupchat/friends", "groupchat/friends.lock"].map(mode);
        assert_eq!(modes, [0o700, 0o600, 0o600], "umask {mask}");
    }
}

/// A limit on the length of files, which fails as a full disk does.
#[test]
fn a_file_that_cannot_be_written_is_as_it_was() {
    let home = Home::new();
    end(new_group(&home));
    let before = home.text();
    let mut peer = home.start_after("ulimit -f 0", &["-g", "friends", "-n", "alice", "-b", "127.0.0.1", "0"]);
    let errors = peer.stderr.rest();
    assert_eq!(peer.exit_code(), 1, "{errors:?}");
    let sentence = format!("cannot write '{}': file too large", home.file().display());
    assert!(errors.last().is_some_and(|line| line.ends_with(&sentence)), "{errors:?}");
    assert_eq!(home.text(), before);
    assert!(!home.0.join("groupchat/.friends.new").exists());
    end(home.start(&["-g", "friends", "-n", "alice", "-b", "127.0.0.1", "0"]).listening());
}
