//! Standard streams for a peer under test, and the state of its process from outside.

#![allow(dead_code, reason = "every test file uses its own part")]

use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Seek as _, Write};
use std::os::unix::fs::FileExt as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

/// Writes `bytes` to `stream` on a thread of the test, and closes it. Ends early when the reader is gone.
pub fn feed(mut stream: impl Write + Send + 'static, bytes: impl Into<Vec<u8>>) -> JoinHandle<()> {
    let bytes = bytes.into();
    thread::spawn(move || drop(stream.write_all(&bytes)))
}

/// A file that holds `bytes`, to be read and written from its start on. It has no name any more.
pub fn file_with(bytes: &[u8]) -> File {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("groupchat-test-{}-{count}", std::process::id()));
    let mut options = File::options();
    let mut file = options.read(true).write(true).create_new(true).open(&path).expect("a new file");
    std::fs::remove_file(&path).expect("a file of ours");
    file.write_all(bytes).and_then(|()| file.rewind()).expect("room for a small file");
    file
}

/// Everything that was written to `file`.
pub fn content(file: &File) -> String {
    let length = file.metadata().expect("its length").len();
    let mut bytes = vec![0; length.try_into().expect("a small file")];
    file.read_exact_at(&mut bytes, 0).expect("a file that does not shrink");
    String::from_utf8(bytes).expect("text")
}

/// A pipe that has no room: it is full of line breaks.
pub fn full_pipe() -> (PipeReader, PipeWriter) {
    let (reader, mut writer) = io::pipe().expect("a pipe");
    let flags = fcntl_getfl(&writer).expect("flags");
    fcntl_setfl(&writer, flags | OFlags::NONBLOCK).expect("flags of our own");
    while writer.write(b"\n").is_ok() {}
    fcntl_setfl(&writer, flags).expect("flags of our own");
    (reader, writer)
}

/// Waits until the process does nothing at all for a while. One that spins never gets there.
#[track_caller]
pub fn wait_until_idle(process: u32) {
    if cfg!(target_os = "linux") {
        let mut before = String::new();
        super::sockets::wait_until("the process comes to rest", || {
            // What is measured is that nothing happens in this time; nothing waits for its end.
            thread::sleep(std::time::Duration::from_millis(150));
            let now = activity(process);
            std::mem::replace(&mut before, now.clone()) == now
        });
    }
}

/// What a Linux process has done so far: its time on a processor, and how often it went to sleep.
fn activity(process: u32) -> String {
    let time = std::fs::read_to_string(format!("/proc/{process}/schedstat")).unwrap_or_default();
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
    let switches: Vec<_> = status.lines().filter(|line| line.contains("ctxt_switches")).collect();
    format!("{} {}", time.trim(), switches.join(" "))
}
