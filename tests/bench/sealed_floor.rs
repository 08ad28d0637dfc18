//! The floors of sealed links: those of `floor`, with the handshake and the records of the same library around them.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;

use groupchat::limits::RECORD_TEXT_BYTES_MAX;
use groupchat::seal::Records;
use memchr::memmem;
use rustix::event::{PollFd, PollFlags, poll};

use super::floor::{CHUNK_BYTES, CODE, copy_out, format_lines, listen};
use super::member::{accept_member, keys, open};

type Link = (TcpStream, Records);

/// Formats each line of standard input, and seals and writes 16 KiB of frames at once for each of `count` links.
pub fn seal_to(count: usize) -> io::Result<()> {
    let mut links = accept(&listen()?, count)?;
    let mut record = Vec::new();
    format_lines(usize::MAX, |frames| {
        for text in frames.chunks(RECORD_TEXT_BYTES_MAX) {
            for (socket, records) in &mut links {
                records.seal(text, &mut record);
                socket.write_all(&record)?;
            }
        }
        Ok(())
    })
}

/// Opens what comes on `count` links, splits it at the code and copies it out, a record at once.
pub fn open_from(count: usize) -> io::Result<()> {
    let mut links = accept(&listen()?, count)?;
    let mut output = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    let mut lines = Vec::with_capacity(2 * CHUNK_BYTES);
    let (mut bytes, mut text) = (vec![0; CHUNK_BYTES], Vec::new());
    // An unfinished frame of each link.
    let mut texts = vec![Vec::new(); count];
    let code = memmem::Finder::new(CODE);
    loop {
        let mut waiting: Vec<_> =
            links.iter().map(|(socket, _)| PollFd::new(socket, PollFlags::IN)).collect();
        poll(&mut waiting, None)?;
        let ready: Vec<bool> = waiting.iter().map(|one| !one.revents().is_empty()).collect();
        for index in (0..count).filter(|index| ready[*index]) {
            let ((socket, records), held) = (&mut links[index], &mut texts[index]);
            let read = socket.read(&mut bytes)?;
            if read == 0 {
                return Ok(());
            }
            let opened = open(records, &bytes[..read], &mut text, |text| {
                held.extend_from_slice(text);
                let mut begin = 0;
                for at in code.find_iter(held) {
                    copy_out(&held[begin..at], &mut lines);
                    begin = at + CODE.len();
                }
                held.drain(..begin);
            });
            opened.map_err(|_| io::Error::other("a record is broken"))?;
            output.write_all(&lines)?;
            lines.clear();
        }
    }
}

fn accept(listener: &TcpListener, count: usize) -> io::Result<Vec<Link>> {
    let mut keys = keys();
    let accepted = (0..count).map(|_| {
        let (mut socket, _) = listener.accept()?;
        socket.set_nodelay(true)?;
        let records = accept_member(&mut socket, &mut keys)?;
        Ok((socket, records))
    });
    accepted.collect()
}
