//! The group file: what a run of a private group has to know of the runs before it.
//!
//! It is in `${XDG_STATE_HOME:-$HOME/.local/state}/groupchat/NAME`, or at a path that the user wrote. Its folder is made
//! for its owner alone (0700), and so is the file (0600). It is never changed in place: a new file is written, synced,
//! and renamed. `NAME.lock` beside it is locked while a run uses the file, and is never replaced or removed.
//!
//! The file is text. Unknown lines are kept, and written before the last line.
//!
//! | line | meaning |
//! | --- | --- |
//! | `groupchat-group/1` | the first line |
//! | `name NAME` | the name that invites to the group propose |
//! | `secret EPOCH SECRET` | a secret of the group, in hexadecimal digits; the greatest epoch is the newest; at most 4 lines |
//! | `key KEY` | our private key |
//! | `run NUMBER` | our last run |
//! | `own HOST:PORT` | an address at which others reach our last run; at most 3 lines |
//! | `address HOST:PORT` | an address from an invite; at most 8 lines |
//! | `member KEY RUN RUNS LAST-SEEN ADDRESS[,ADDRESS]... NAME` | a member: its public key, its last run, how many of its runs were seen, when it was seen last (seconds of Unix time), its addresses (`-` if there is none), and its name; at most 256 lines |
//! | `end` | the last line: without it the file is cut off |

mod contents;
mod place;

use std::fs::File;
use std::io::ErrorKind;

use crate::error::Error;
use crate::invite::{GroupName, Invite};
use crate::seal::{PrivateKey, Secret};

use place::{failure, system};

pub use contents::{Contents, KnownMember};
pub use place::Place;

/// A group file that this run has locked. The lock ends when the value is dropped.
#[derive(Debug)]
pub struct GroupFile {
    place: Place,
    /// The contents of the file, with the changes since it was saved.
    pub contents: Contents,
    /// The lock ends when this is closed.
    _lock: File,
}

impl GroupFile {
    /// Where it is.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Creates the file of a new group.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] if there is something in its place; [`Error::Failure`] if it cannot be locked or written.
    pub fn create(place: Place, name: GroupName, secret: Secret, key: PrivateKey) -> Result<Self, Error> {
        place.make_folder()?;
        let is_free =
            || matches!(place.path.symlink_metadata(), Err(error) if error.kind() == ErrorKind::NotFound);
        if !is_free() {
            return Err(place.taken("--new"));
        }
        let lock = place.lock()?;
        // Another run may have made one meanwhile.
        if !is_free() {
            return Err(place.taken("--new"));
        }
        let group = Self { place, contents: Contents::new(name, secret, key), _lock: lock };
        group.save().map(|()| group)
    }

    /// Adds the addresses of an invite to the file of its group. If there is no file, one is created, in which `key` is
    /// our private key.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] if it is the file of a group with another secret; [`Error::Failure`] if it cannot be locked,
    /// read or written. The file is then as it was.
    pub fn join(place: Place, invite: &Invite, key: PrivateKey) -> Result<Self, Error> {
        place.make_folder()?;
        let lock = place.lock()?;
        let new = || Contents::new(invite.name().clone(), invite.secret().clone(), key);
        let mut contents = place.read()?.unwrap_or_else(new);
        if !contents.secrets().any(|secret| secret == invite.secret()) {
            return Err(place.taken("--group"));
        }
        contents.add_addresses(invite.addresses());
        let group = Self { place, contents, _lock: lock };
        group.save().map(|()| group)
    }

    /// Locks and reads the file of a group.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] if there is none; [`Error::Failure`] if it is in use, or cannot be locked or read.
    pub fn open_locked(place: Place) -> Result<Self, Error> {
        // A group that does not exist gets no lock.
        Self::read_unlocked(&place)?;
        let lock = place.lock()?;
        Ok(Self { contents: Self::read_unlocked(&place)?, place, _lock: lock })
    }

    /// Reads the file of a group, which another run may have locked.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] if there is none; [`Error::Failure`] if it cannot be read.
    pub fn read_unlocked(place: &Place) -> Result<Contents, Error> {
        place.read()?.ok_or_else(|| place.not_found())
    }

    /// The number of this run: greater than that of every run before, and at least the time, in seconds of Unix time. It
    /// is on the disk when this function returns.
    ///
    /// # Errors
    ///
    /// See [`save`](Self::save).
    pub fn next_run(&mut self, now_seconds: u64) -> Result<u64, Error> {
        let run = self.contents.next_run(now_seconds);
        self.save().map(|()| run)
    }

    /// Writes the file to the disk. It blocks until the disk has it.
    ///
    /// # Errors
    ///
    /// [`Error::Failure`]. The file is then as it was, unless it was only its folder that could not be synced.
    pub fn save(&self) -> Result<(), Error> {
        let path = &self.place.path;
        let text = self.contents.to_text().map_err(|flaw| failure(path, flaw))?;
        self.place.replace(text.as_bytes()).map_err(|error| system("write", path, &error))
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::fs::{self, DirBuilder, Permissions};
    use std::os::unix::fs::symlink;
    use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::limits::{
        GROUP_ADDRESSES_MAX, GROUP_FILE_BYTES_MAX, GROUP_MEMBERS_MAX, INVITE_ADDRESSES_MAX,
        MEMBER_ADDRESSES_MAX, NAME_BYTES_MAX,
    };
    use crate::wire::identity::{PublicKey, to_hexadecimal};

    const SECRET: [u8; 16] = [0xa5; 16];
    const KEY: [u8; 32] = [0x5c; 32];

    /// A home directory for one test.
    struct Home(PathBuf);

    impl Home {
        fn new(name: &str) -> Self {
            let folder = std::env::temp_dir().join(format!("groupchat-group-{}-{name}", std::process::id()));
            DirBuilder::new().mode(0o700).create(&folder).expect("a folder");
            Self(folder)
        }

        fn place(&self) -> Place {
            place(&self.0)
        }

        /// The path of the group file between two affixes.
        fn path(&self, prefix: &str, suffix: &str) -> PathBuf {
            self.place().beside(prefix, suffix)
        }

        /// A new group file, which is not open any more.
        fn with_group(name: &str) -> Self {
            let home = Self::new(name);
            create(home.place()).expect("a group");
            home
        }

        fn text(&self) -> String {
            fs::read_to_string(self.path("", "")).expect("a group file")
        }

        /// Writes the group file as somebody else would.
        fn write(&self, text: impl AsRef<[u8]>) {
            fs::write(self.path("", ""), text).expect("written");
        }

        fn open(&self) -> GroupFile {
            GroupFile::open_locked(self.place()).expect("a group")
        }

        fn refused(&self) -> String {
            GroupFile::open_locked(self.place()).expect_err("refused").to_string()
        }
    }

    impl Drop for Home {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn place(home: &Path) -> Place {
        Place::new(OsStr::new("friends"), Some(home.into()), None).expect("a place")
    }

    fn create(place: Place) -> Result<GroupFile, Error> {
        let name = "friends".parse().expect("a name");
        GroupFile::create(place, name, Secret::new(SECRET), PrivateKey::new(KEY))
    }

    fn invite(secret: [u8; 16], addresses: &[&str]) -> Invite {
        let addresses =
            addresses.iter().map(|text| crate::address::parse(text).expect("an address")).collect();
        Invite::new("others".parse().expect("a name"), addresses, Secret::new(secret)).expect("an invite")
    }

    fn mode(path: &Path) -> u32 {
        path.symlink_metadata().expect("there").mode() & 0o7777
    }

    fn chmod(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).expect("changed");
    }

    #[test]
    fn a_group_has_a_name_or_a_path() {
        let find = |group: &str, state: Option<&str>, home: Option<&str>| {
            let place = Place::new(OsStr::new(group), state.map(Into::into), home.map(Into::into));
            place.map(|place| place.path.display().to_string()).map_err(|error| error.to_string())
        };
        for (group, state, home, path) in [
            ("a-1", Some("/s"), Some("/h"), "/s/groupchat/a-1"),
            ("a", Some(""), Some("/h"), "/h/.local/state/groupchat/a"),
            ("a", Some("s"), Some("/h"), "/h/.local/state/groupchat/a"),
            ("a", None, Some("/h"), "/h/.local/state/groupchat/a"),
            ("./A b", None, None, "./A b"),
            ("/x/y", Some("/s"), Some("/h"), "/x/y"),
        ] {
            assert_eq!(find(group, state, home), Ok(path.to_owned()));
        }
        for (group, home, sentence) in [
            ("a", None, "there is no folder for group files: set HOME"),
            ("a", Some(""), "there is no folder for group files: set HOME"),
            ("a", Some("h"), "there is no folder for group files: set HOME"),
            ("", Some("/h"), "1 to 32 characters"),
            ("A", Some("/h"), "1 to 32 characters"),
            ("..", Some("/h"), "1 to 32 characters"),
            ("/", Some("/h"), "or the path of a file"),
            ("x/..", Some("/h"), "or the path of a file"),
        ] {
            let error = find(group, None, home).expect_err(group);
            assert!(error.contains(sentence), "{group}: {error}");
        }
        assert_eq!(
            Place::new(OsStr::new("./a"), None, None).map(|place| place.folder().to_owned()),
            Ok(".".into())
        );
    }

    #[test]
    fn a_new_group_is_read_again() {
        let home = Home::with_group("new");
        let expected = format!(
            "groupchat-group/1\nname friends\nsecret 1 {}\nkey {}\nrun 0\nend\n",
            to_hexadecimal(&SECRET),
            to_hexadecimal(&KEY)
        );
        assert_eq!(home.text(), expected);
        let group = home.open();
        let contents = GroupFile::read_unlocked(&home.place()).expect("locks do not matter");
        for contents in [&group.contents, &contents] {
            assert_eq!(contents.name().to_string(), "friends");
            assert!(contents.secrets().eq([&Secret::new(SECRET)]));
            assert_eq!(contents.private_key(), &PrivateKey::new(KEY));
            assert_eq!((contents.members().count(), contents.addresses()), (0, &[][..]));
        }
        let shown = format!("{group:?}{contents:?}");
        assert!(!shown.contains("a5a5") && !shown.contains("5c5c") && !shown.contains("165, 165"), "{shown}");
    }

    #[test]
    fn an_existing_group_is_not_created_again() {
        let home = Home::with_group("exists");
        let (before, open) = (home.text(), home.open());
        let path = home.path("", "").display().to_string();
        let sentence = format!(
            "another group 'friends' is here already ('{path}'): choose another name with --new <NAME>"
        );
        assert_eq!(create(home.place()).expect_err("exists"), Error::Argument(sentence.clone()));
        drop(open);
        assert_eq!(create(home.place()).expect_err("exists"), Error::Argument(sentence.clone()));
        assert_eq!(home.text(), before);
        fs::remove_file(home.path("", "")).expect("removed");
        symlink("nowhere", home.path("", "")).expect("a link");
        assert_eq!(create(home.place()).expect_err("exists"), Error::Argument(sentence));
    }

    #[test]
    fn what_does_not_exist_stays_away() {
        let home = Home::new("none");
        for _ in 0..2 {
            let path = home.path("", "").display().to_string();
            let sentence = format!("there is no group file '{path}': make one with --new or --join");
            let opened = GroupFile::open_locked(home.place());
            assert_eq!(opened.expect_err("none"), Error::Argument(sentence.clone()));
            assert_eq!(GroupFile::read_unlocked(&home.place()).expect_err("none"), Error::Argument(sentence));
            assert!(!home.path("", ".lock").exists());
            home.place().make_folder().expect("a folder");
        }
        // The folder of a path is the user's business.
        let missing = home.0.join("missing/friends");
        let place = Place::new(missing.as_os_str(), None, None).expect("a place");
        let error = create(place).expect_err("no folder").to_string();
        assert!(
            error.starts_with("cannot open '") && error.ends_with("no such file or directory"),
            "{error}"
        );
    }

    #[test]
    fn a_failed_write_leaves_the_file_as_it_is() {
        let home = Home::with_group("failed");
        let (before, mut group) = (home.text(), home.open());
        fs::create_dir(home.path(".", ".new")).expect("a folder");
        let error = group.next_run(7).expect_err("a folder is in the way").to_string();
        assert!(error.starts_with(&format!("cannot write '{}': ", home.path("", "").display())), "{error}");
        assert_eq!(home.text(), before);
        fs::remove_dir(home.path(".", ".new")).expect("removed");
        // The superuser can write to every folder.
        if !rustix::process::geteuid().is_root() {
            chmod(home.place().folder(), 0o500);
            let error = group.next_run(7).expect_err("read-only").to_string();
            chmod(home.place().folder(), 0o700);
            assert!(error.ends_with(": permission denied"), "{error}");
            assert_eq!(home.text(), before);
        }
        assert!(group.next_run(7).is_ok());
    }

    #[test]
    fn what_a_crash_left_is_replaced() {
        let home = Home::with_group("crash");
        fs::write(home.path(".", ".new"), "groupchat-gr").expect("written");
        assert_eq!(home.open().next_run(7), Ok(7));
        // A link is removed, and not followed.
        fs::write(home.0.join("other"), "other").expect("written");
        symlink(home.0.join("other"), home.path(".", ".new")).expect("a link");
        assert_eq!(home.open().next_run(0), Ok(8));
        assert_eq!(fs::read_to_string(home.0.join("other")).expect("there"), "other");
        assert_eq!((mode(&home.path("", "")), home.path(".", ".new").exists()), (0o600, false));
    }

    #[test]
    fn a_group_is_open_once() {
        let home = Home::with_group("lock");
        let inode = || home.path("", ".lock").metadata().expect("there").ino();
        let (mut group, lock) = (home.open(), inode());
        let (path, id) = (home.path("", "").display().to_string(), std::process::id());
        let in_use = |process: &str| {
            format!(
                "'{path}' is in use by {process}: end it first, or choose another group with --group <NAME>"
            )
        };
        assert_eq!(home.refused(), in_use(&format!("process {id}")));
        group.next_run(1).expect("written");
        assert_eq!(home.refused(), in_use(&format!("process {id}")));
        let joined = GroupFile::join(home.place(), &invite(SECRET, &["h:5"]), PrivateKey::new(KEY));
        assert_eq!(joined.expect_err("in use"), Error::Failure(in_use(&format!("process {id}"))));
        fs::write(home.path("", ".lock"), "\x1b[2J").expect("written");
        assert_eq!(home.refused(), in_use("another process"));
        drop(group);
        drop(home.open());
        assert_eq!((inode(), mode(&home.path("", ".lock"))), (lock, 0o600));
        // A link in place of the lock could make the program empty another file.
        fs::remove_file(home.path("", ".lock")).expect("removed");
        symlink(home.path("", ""), home.path("", ".lock")).expect("a link");
        assert!(home.refused().contains(".lock' is a symbolic link"), "{}", home.refused());
    }

    #[test]
    fn runs_rise_even_if_the_clock_goes_back() {
        let home = Home::with_group("run");
        for (now, run) in [(1_000, 1_000), (1_000, 1_001), (5, 1_002), (2_000, 2_000), (0, 2_001)] {
            let mut group = home.open();
            assert_eq!(group.next_run(now), Ok(run));
            assert!(home.text().contains(&format!("\nrun {run}\n")));
        }
        assert_eq!(home.open().contents.next_run(u64::MAX), u64::MAX);
    }

    #[test]
    fn only_a_file_of_our_own_that_nobody_else_can_read_is_read() {
        let home = Home::with_group("kinds");
        let (file, elsewhere) = (home.path("", ""), home.0.join("elsewhere"));
        for bits in [0o640, 0o604, 0o620, 0o601] {
            chmod(&file, bits);
            assert!(home.refused().ends_with("by other users: run chmod 600 on it"), "{}", home.refused());
        }
        chmod(&file, 0o600);
        for bits in [0o770, 0o707, 0o1777] {
            chmod(home.place().folder(), bits);
            assert!(
                home.refused().contains("groupchat' can be written to by other users"),
                "{}",
                home.refused()
            );
            assert!(create(home.place()).is_err());
        }
        chmod(home.place().folder(), 0o755);
        drop(home.open());
        fs::rename(&file, &elsewhere).expect("moved");
        symlink(&elsewhere, &file).expect("a link");
        assert!(home.refused().ends_with("is a symbolic link: replace it by the file itself"));
        fs::remove_file(&file).expect("removed");
        fs::create_dir(&file).expect("a folder");
        assert!(home.refused().ends_with("is not a regular file: choose another path"));
        fs::remove_dir(&file).expect("removed");
        rustix::fs::mkfifoat(rustix::fs::CWD, &file, rustix::fs::Mode::RUSR).expect("a pipe");
        assert!(home.refused().ends_with("is not a regular file: choose another path"));
        // Only the superuser can give a file away; others read one of the superuser.
        let is_root = rustix::process::geteuid().is_root();
        let foreign = if is_root { elsewhere.as_path() } else { Path::new("/etc/passwd") };
        if is_root {
            std::os::unix::fs::chown(foreign, Some(1), None).expect("given away");
        }
        let place = Place::new(foreign.as_os_str(), None, None).expect("a place");
        let error = GroupFile::read_unlocked(&place).expect_err("foreign").to_string();
        assert!(error.ends_with("belongs to another user: choose a file of your own"), "{error}");
    }

    #[test]
    fn a_file_that_is_cut_off_is_refused_and_stays_as_it_is() {
        let home = Home::with_group("cut");
        let whole = home.text();
        for end in 0..whole.len() {
            home.write(&whole[..end]);
            assert!(home.refused().contains("is cut off, as its last line is not 'end'"), "{end}");
            assert!(GroupFile::join(home.place(), &invite(SECRET, &["h:5"]), PrivateKey::new(KEY)).is_err());
            assert_eq!(home.text(), whole[..end]);
        }
        // Such a line is cut in the middle.
        home.write(whole.replace("end\n", "endless\nend"));
        assert!(home.refused().contains("is cut off"));
        home.write("x".repeat(GROUP_FILE_BYTES_MAX + 1));
        assert!(home.refused().contains("has more than 393216 bytes"));
        home.write(whole.replace("group/1", "group/2"));
        assert!(home.refused().contains("is no group file, or one of a later version"));
    }

    #[test]
    fn a_line_that_cannot_be_read_is_named_and_not_quoted() {
        let home = Home::with_group("lines");
        let (whole, word, key) = (home.text(), to_hexadecimal(&SECRET), to_hexadecimal(&KEY));
        let with = |line: &str| whole.replace("end\n", &format!("{line}\nend\n"));
        for (text, sentence) in [
            (whole.replace("name friends", "name Friends"), "in line 2"),
            (whole.replace("secret 1 ", "secret "), "in line 3"),
            (whole.replace("secret 1 a5", "secret 1 A5"), "in line 3"),
            (whole.replace("secret 1 a5", "secret 1 "), "in line 3"),
            (whole.replace("key 5c", "key 5"), "in line 4"),
            (whole.replace("run 0", "run -1"), "in line 5"),
            (with("end"), "in line 6"),
            (with("run 5"), "in line 6"),
            (with(&format!("key {key}")), "in line 6"),
            (with("later\naddress 5000"), "in line 7"),
            (with("address h:5 x"), "in line 6"),
            (with(&format!("secret 0 {word}\n").repeat(4)), "in line 9"),
            (with(&format!("member {key} 1 1 1 -")), "in line 6"),
            (with(&format!("member {key} 1 1 x - bob")), "in line 6"),
            (with(&format!("member {key} 1 1 1 h:5 bob")), "in line 6"),
            (with(&format!("member {word} 1 1 1 - bob")), "in line 6"),
            (whole.replace("name friends\n", ""), "has no line 'name'"),
            (whole.replace(&format!("secret 1 {word}\n"), ""), "has no line 'secret'"),
            (whole.replace(&format!("key {key}\n"), ""), "has no line 'key'"),
            (whole.replace("run 0\n", ""), "has no line 'run'"),
        ] {
            home.write(&text);
            let refused = home.refused();
            assert!(refused.contains(sentence), "{sentence}: {refused}");
            assert!(!refused.contains("a5a5") && !refused.contains("5c5c"), "{refused}");
            assert_eq!(home.text(), text);
        }
        home.write([whole.trim_end_matches("end\n").as_bytes(), b"\xff\nend\n"].concat());
        assert!(home.refused().contains("in line 6"));
    }

    #[test]
    fn unknown_lines_and_older_secrets_are_kept() {
        let home = Home::with_group("unknown");
        let lines = "# a comment\n\ngone 5\nendless\n";
        let older = format!("secret 7 {}\n", "07".repeat(16));
        home.write(home.text().replace("run", &format!("{lines}{older}run")));
        let mut group = home.open();
        assert!(group.contents.secrets().eq([&Secret::new([7; 16]), &Secret::new(SECRET)]));
        group.next_run(9).expect("written");
        drop(group);
        let text = home.text();
        assert!(text.ends_with(&format!("run 9\n{lines}end\n")), "{text}");
        assert!(text.starts_with(&format!("groupchat-group/1\nname friends\n{older}secret 1 ")), "{text}");
        assert_eq!(home.open().next_run(9), Ok(10));
        assert_eq!(home.text(), text.replace("run 9", "run 10"));
        // No file is written that could not be read again.
        let room = GROUP_FILE_BYTES_MAX - home.text().len();
        home.write(home.text().replace("# a", &format!("# {}", "x".repeat(room + 1))));
        let before = home.text();
        assert_eq!(before.len(), GROUP_FILE_BYTES_MAX);
        let error = home.open().next_run(1_000).expect_err("too long").to_string();
        assert!(error.contains("has more than 393216 bytes"), "{error}");
        assert_eq!(home.text(), before);
    }

    #[test]
    fn an_invite_makes_a_group_or_adds_addresses() {
        let home = Home::new("join");
        let join = |secret, addresses: &[&str], key| {
            GroupFile::join(home.place(), &invite(secret, addresses), PrivateKey::new([key; 32]))
        };
        let group = join(SECRET, &["h:1", "[::1]:2"], 1).expect("joined");
        assert_eq!(group.contents.name().to_string(), "others");
        assert_eq!(group.contents.private_key(), &PrivateKey::new([1; 32]));
        drop(group);
        let before = home.text();
        assert!(before.contains("\naddress h:1\naddress [::1]:2\n"), "{before}");
        // The file of another group is left as it is.
        let path = home.path("", "").display().to_string();
        let sentence = format!(
            "another group 'friends' is here already ('{path}'): choose another name with --group <NAME>"
        );
        assert_eq!(join([0; 16], &["h:3"], 2).expect_err("another"), Error::Argument(sentence));
        assert_eq!(home.text(), before);
        for (addresses, expected) in [
            (&["h:3", "h:1"][..], "h:3 h:1 [::1]:2"),
            (&["h:4", "h:5", "h:6"], "h:4 h:5 h:6 h:3 h:1 [::1]:2"),
            (&["h:7", "h:8", "h:9"], "h:7 h:8 h:9 h:4 h:5 h:6 h:3 h:1"),
        ] {
            drop(join(SECRET, addresses, 2).expect("joined"));
            let contents = GroupFile::read_unlocked(&home.place()).expect("a group");
            let known: Vec<_> = contents.addresses().iter().map(|address| address.text()).collect();
            assert_eq!(known.join(" "), expected);
            assert!(known.len() <= GROUP_ADDRESSES_MAX);
            assert_eq!(contents.private_key(), &PrivateKey::new([1; 32]));
        }
    }

    #[test]
    fn the_addresses_of_the_last_run_are_kept() {
        let home = Home::with_group("own");
        let parse = |text: &&str| crate::address::parse(text).expect("an address");
        for texts in [&["h:1", "[::1]:2"][..], &["h:3"], &[], &["h:1", "h:2", "h:3", "h:4"]] {
            let mut group = home.open();
            group.contents.set_own_addresses(texts.iter().map(parse).collect());
            group.next_run(1).expect("written");
            drop(group);
            let contents = GroupFile::read_unlocked(&home.place()).expect("a group");
            let known: Vec<_> = contents.own_addresses().iter().map(|address| address.text()).collect();
            assert_eq!(known, texts[..texts.len().min(INVITE_ADDRESSES_MAX)]);
        }
    }

    #[test]
    fn members_are_remembered() {
        let home = Home::with_group("members");
        let mut group = home.open();
        let (key, socket) = (PublicKey([7; 32]), |port| ([192, 168, 1, 7], port).into());
        let seen = |home: &Home| {
            let contents = GroupFile::read_unlocked(&home.place()).expect("a group");
            let member = contents.members().next().expect("a member").clone();
            (member.run, member.runs, member.last_seen, member.addresses, member.name)
        };
        for (run, now, addresses, name, expected_runs, expected_name) in [
            (
                5,
                100,
                vec![socket(1), "[fe80::1%3]:9".parse().expect("an address")],
                "Mary Ann",
                (5, 1),
                "Mary Ann",
            ),
            (5, 110, vec![], " b\n\x1bob ", (5, 1), " b^J^[ob "),
            (9, 120, vec![], "-", (9, 2), "-"),
            // A run that ended is seen again, and the clock has gone back.
            (5, 90, vec![], "", (9, 2), ""),
        ] {
            group.contents.remember(key, run, now, &addresses, name);
            group.save().expect("written");
            let (run, runs, last_seen, known, shown) = seen(&home);
            assert_eq!(((run, runs), last_seen, shown.as_str()), (expected_runs, now, expected_name));
            assert_eq!(known, [socket(1), "[fe80::1%3]:9".parse().expect("an address")]);
        }
        let many: Vec<_> = (1..20).map(socket).collect();
        group.contents.remember(key, 9, 130, &many, &"\u{fc}\u{202e}".repeat(99));
        group.save().expect("written");
        let (.., known, shown) = seen(&home);
        assert_eq!(known, many[..MEMBER_ADDRESSES_MAX]);
        assert!(shown.len() <= NAME_BYTES_MAX && crate::sanitize::is_clean(&shown), "{shown}");
        group.contents.remember(key, 9, 140, &[], "bob");
        group.save().expect("written");
        let list: Vec<_> = known.iter().map(ToString::to_string).collect();
        assert!(home.text().contains(&format!("\nmember {key} 9 2 140 {} bob\nend\n", list.join(","))));
    }

    #[test]
    fn those_that_come_again_stay_when_there_are_too_many() {
        let home = Home::with_group("many");
        let mut group = home.open();
        let key = |number: u64| PublicKey(std::array::from_fn(|at| number.to_be_bytes()[at % 8]));
        let count = GROUP_MEMBERS_MAX as u64;
        let seen =
            |group: &GroupFile, number| group.contents.members().any(|member| member.key == key(number));
        let longest =
            "[fe80:1111:2222:3333:4444:5555:6666:7777%4294967295]:65535".parse().expect("an address");
        for number in 0..count {
            // The first ones are those that were seen longest ago, and come again.
            for run in if number < 10 { 0..2 } else { 0..1 } {
                let name = "x".repeat(NAME_BYTES_MAX);
                let run = u64::MAX - 5 + run;
                group.contents.remember(
                    key(number),
                    run,
                    1_000 + number,
                    &[longest; MEMBER_ADDRESSES_MAX],
                    &name,
                );
            }
        }
        // The longest entries fit as well.
        group.save().expect("written");
        assert_eq!(group.contents.members().count(), GROUP_MEMBERS_MAX);
        group.contents.remember(key(count), 1, 5, &[], "new");
        assert_eq!(group.contents.members().count(), GROUP_MEMBERS_MAX);
        assert!(!seen(&group, 10) && seen(&group, 0) && seen(&group, 11) && seen(&group, count));
        // A crowd that comes once takes no place of those that come again.
        for number in count + 1..3 * count {
            group.contents.remember(key(number), 1, 10_000 + number, &[], "crowd");
        }
        assert!((0..10).all(|number| seen(&group, number)) && !seen(&group, count));
        // If all come again, the one that was seen longest ago goes.
        for number in 4 * count..5 * count {
            for run in 0..2 {
                group.contents.remember(key(number), run, 100_000 + number, &[], "regular");
            }
        }
        assert!(!seen(&group, 0) && seen(&group, 4 * count));
        group.save().expect("written");
        // A file of more members, which somebody has put together, is read as well.
        let line = format!("member {} 1 2 0 - old\nend\n", key(9 * count));
        home.write(home.text().replace("end\n", &line));
        let contents = GroupFile::read_unlocked(&home.place()).expect("a group");
        assert_eq!(contents.members().count(), GROUP_MEMBERS_MAX);
        assert!(contents.members().all(|member| member.key != key(9 * count)));
    }
}
