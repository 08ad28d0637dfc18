//! Where a group file is, and how it is found, locked, read and replaced.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, OFlags};
use rustix::io::Errno;
use zeroize::Zeroizing;

use super::Contents;
use crate::error::{Error, reason};
use crate::invite::{GroupName, InviteError};
use crate::limits::GROUP_FILE_BYTES_MAX;

/// Where a group file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub(super) path: PathBuf,
    /// Whether the folder is the program's own, which is made if it is missing.
    is_own_folder: bool,
}

impl Place {
    /// The place of the group that a user names: by a path, if there is a `/` in it, or else by the name of the group.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] if it is neither, [`Error::Failure`] if there is no home directory.
    pub fn find(group: &OsStr) -> Result<Self, Error> {
        Self::new(group, std::env::var_os("XDG_STATE_HOME"), std::env::var_os("HOME"))
    }

    pub(super) fn new(group: &OsStr, state: Option<OsString>, home: Option<OsString>) -> Result<Self, Error> {
        let path = PathBuf::from(group);
        if group.as_encoded_bytes().contains(&b'/') && path.file_name().is_some() {
            return Ok(Self { path, is_own_folder: false });
        }
        let Some(Ok(name)) = group.to_str().map(str::parse::<GroupName>) else {
            return Err(Error::Argument(format!("{}, or the path of a file", InviteError::Name)));
        };
        // The XDG Base Directory Specification: a relative path is ignored.
        let absolute = |path: Option<OsString>| path.map(PathBuf::from).filter(|path| path.is_absolute());
        let Some(state) = absolute(state).or_else(|| Some(absolute(home)?.join(".local/state"))) else {
            let sentence = "there is no folder for group files: set HOME, or write the path of a group file";
            return Err(Error::Failure(sentence.to_owned()));
        };
        Ok(Self { path: state.join("groupchat").join(name.to_string()), is_own_folder: true })
    }

    /// The path of the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn folder(&self) -> &Path {
        self.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
    }

    /// The path of another file in the folder: its name is that of the group file between two affixes.
    pub(super) fn beside(&self, prefix: &str, suffix: &str) -> PathBuf {
        let mut name = OsString::from(prefix);
        name.push(self.path.file_name().unwrap_or_default());
        name.push(suffix);
        self.path.with_file_name(name)
    }

    /// Makes the folder for its owner alone, whatever the umask is, if it is the program's own and missing.
    pub(super) fn make_folder(&self) -> Result<(), Error> {
        let folder = self.folder();
        if !self.is_own_folder || folder.exists() {
            return Ok(());
        }
        let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
        let made = made.and_then(|()| fs::set_permissions(folder, Permissions::from_mode(0o700)));
        made.map_err(|error| system("make", folder, &error))
    }

    /// Checks that other users cannot replace the files in the folder.
    fn check_folder(&self) -> Result<(), Error> {
        let folder = self.folder();
        let found = match fs::metadata(folder) {
            Err(error) if error.kind() == ErrorKind::NotFound && self.is_own_folder => {
                return Err(self.not_found());
            }
            found => found.map_err(|error| system("open", folder, &error))?,
        };
        // The superuser can replace files anywhere.
        if (is_own(&found) || found.uid() == 0) && found.mode() & 0o022 == 0 {
            return Ok(());
        }
        Err(failure(
            folder,
            "can be written to by other users: choose a folder of your own, or run chmod go-w on it",
        ))
    }

    /// Locks the group file until the result is closed. The lock is on a file beside it, which is never replaced: a lock
    /// on a file that is replaced locks nothing.
    pub(super) fn lock(&self) -> Result<File, Error> {
        self.check_folder()?;
        let path = self.beside("", ".lock");
        let file = open(&path, OpenOptions::new().read(true).write(true).create(true).mode(0o600))?;
        let (mut file, _) = file.ok_or_else(|| self.not_found())?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => (),
            Err(Errno::WOULDBLOCK) => {
                let mut text = String::new();
                let id = file
                    .take(16)
                    .read_to_string(&mut text)
                    .ok()
                    .and_then(|_| text.trim().parse::<u32>().ok());
                let process = id.map_or("another process".to_owned(), |id| format!("process {id}"));
                let remedy = "end it first, or choose another group with --group <NAME>";
                return Err(failure(&self.path, format_args!("is in use by {process}: {remedy}")));
            }
            Err(errno) => return Err(system("lock", &path, &errno.into())),
        }
        // The number is only for the error of another process: the lock holds without it.
        let id = format!("{}\n", std::process::id());
        let _ = file
            .set_permissions(private())
            .and_then(|()| file.set_len(0))
            .and_then(|()| file.write_all(id.as_bytes()));
        Ok(file)
    }

    /// Reads the group file; `None` if there is none.
    pub(super) fn read(&self) -> Result<Option<Contents>, Error> {
        self.check_folder()?;
        let Some((file, found)) = open(&self.path, OpenOptions::new().read(true))? else { return Ok(None) };
        if found.mode() & 0o077 != 0 {
            return Err(failure(&self.path, "can be read or written by other users: run chmod 600 on it"));
        }
        // There is more room than is read, so that the vector never moves and leaves no copy behind.
        let mut text = Zeroizing::new(Vec::with_capacity(GROUP_FILE_BYTES_MAX + 1024));
        let read = file.take(GROUP_FILE_BYTES_MAX as u64 + 1).read_to_end(&mut text);
        read.map_err(|error| system("read", &self.path, &error))?;
        Contents::read(&text).map(Some).map_err(|flaw| failure(&self.path, flaw))
    }

    /// Replaces the group file. If that fails, the file is as it was.
    pub(super) fn replace(&self, text: &[u8]) -> io::Result<()> {
        let new = self.beside(".", ".new");
        match fs::remove_file(&new) {
            // A crash may have left one.
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => (),
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
        let written = file.set_permissions(private()).and_then(|()| file.write_all(text));
        let synced = written.and_then(|()| file.sync_all());
        if let Err(error) = synced.and_then(|()| fs::rename(&new, &self.path)) {
            // The first error is the one to report.
            let _ = fs::remove_file(&new);
            return Err(error);
        }
        match File::open(self.folder())?.sync_all() {
            // Some network file systems cannot sync a folder.
            Err(error) if error.kind() == ErrorKind::InvalidInput => Ok(()),
            result => result,
        }
    }

    pub(super) fn not_found(&self) -> Error {
        let path = self.path.display();
        Error::Argument(format!("there is no group file '{path}': make one with --new or --join"))
    }

    pub(super) fn taken(&self, option: &str) -> Error {
        let name = self.path.file_name().unwrap_or_default().display();
        let path = self.path.display();
        Error::Argument(format!(
            "another group '{name}' is here already ('{path}'): choose another name with {option} <NAME>"
        ))
    }
}

/// The group as a user names it.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.file_name() {
            Some(name) if self.is_own_folder => name.display().fmt(f),
            _ => self.path.display().fmt(f),
        }
    }
}

/// Opens a regular file of our own, without following a link in its place or waiting for a pipe. `None` if there is none.
fn open(path: &Path, options: &mut OpenOptions) -> Result<Option<(File, Metadata)>, Error> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
    let file = match options.custom_flags(flags).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => match Errno::from_io_error(&error) {
            Some(Errno::LOOP | Errno::MLINK) => {
                return Err(failure(path, "is a symbolic link: replace it by the file itself"));
            }
            _ => return Err(system("open", path, &error)),
        },
    };
    let found = file.metadata().map_err(|error| system("open", path, &error))?;
    if !found.is_file() {
        return Err(failure(path, "is not a regular file: choose another path"));
    }
    if !is_own(&found) {
        return Err(failure(path, "belongs to another user: choose a file of your own"));
    }
    Ok(Some((file, found)))
}

fn is_own(found: &Metadata) -> bool {
    found.uid() == rustix::process::geteuid().as_raw()
}

/// Read and written by the owner alone.
fn private() -> Permissions {
    Permissions::from_mode(0o600)
}

pub(super) fn failure(path: &Path, flaw: impl fmt::Display) -> Error {
    Error::Failure(format!("'{}' {flaw}", path.display()))
}

pub(super) fn system(action: &str, path: &Path, error: &io::Error) -> Error {
    Error::Failure(format!("cannot {action} '{}': {}", path.display(), reason(error)))
}
