//! The floors: the least loop for each kind of work, which the bench runs as a child process in
//! place of the program. They check nothing, forget nothing and keep no state: whatever the
//! program costs above them is what it costs to be a chat.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::process::ExitCode;

use chrono::Local;
use memchr::{memchr, memchr_iter, memmem, memrchr};
use rustix::event::{PollFd, PollFlags, poll};
use socket2::{Domain, Socket, Type};

use super::process::NAME;
use super::sealed_floor;

/// The first argument that makes the bench a floor.
pub const ARGUMENT: &str = "--floor";

/// How much is read and written at once.
pub const CHUNK_BYTES: usize = 64 * 1024;
/// As many as the system allows: a connection that finds no place here is tried again after 1 s.
const BACKLOG: i32 = 4096;
pub const CODE: &[u8] = b"<MSGENCD>";

pub fn main(arguments: &[String]) -> ExitCode {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments[..] {
        ["write", count] => write_to(count.parse().unwrap_or(0)),
        ["read", count] => read_from(count.parse().unwrap_or(0)),
        ["read-each"] => read_from_each(),
        ["seal", count] => sealed_floor::seal_to(count.parse().unwrap_or(0)),
        ["open", count] => sealed_floor::open_from(count.parse().unwrap_or(0)),
        ["listen"] => only_listen(),
        _ => Err(io::Error::other("there is no such floor")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(cause) => {
            eprintln!("floor {arguments:?}: {cause}");
            ExitCode::FAILURE
        }
    }
}

/// Formats each line of standard input and writes it to `count` sockets, 64 KiB of frames at once.
fn write_to(count: usize) -> io::Result<()> {
    let mut sockets = accept(&listen()?, count)?;
    format_lines(CHUNK_BYTES, |frames| sockets.iter_mut().try_for_each(|socket| socket.write_all(frames)))
}

/// Formats each line of standard input, and hands over the frames of what was read at once, in parts of about
/// `part_bytes`.
pub fn format_lines(part_bytes: usize, mut each: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let mut input = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let mut lines = vec![0; CHUNK_BYTES];
    let mut held = 0;
    let mut frames = Vec::with_capacity(4 * CHUNK_BYTES);
    loop {
        let read = input.read(&mut lines[held..])?;
        if read == 0 {
            return Ok(());
        }
        let filled = held + read;
        let end = memrchr(b'\n', &lines[..filled]).map_or(0, |at| at + 1);
        let header = frame_header();
        let mut begin = 0;
        for at in memchr_iter(b'\n', &lines[..end]) {
            frames.extend_from_slice(header.as_bytes());
            frames.extend_from_slice(&lines[begin..at]);
            frames.extend_from_slice(CODE);
            begin = at + 1;
            if frames.len() >= part_bytes {
                each(&frames)?;
                frames.clear();
            }
        }
        each(&frames)?;
        frames.clear();
        lines.copy_within(end..filled, 0);
        held = filled - end;
    }
}

/// The text before that of the line in a frame that is written now.
fn frame_header() -> String {
    let now = Local::now().format("%Y-%m-%dT%H:%M:%S%.6f%:z");
    format!("[{now}] {NAME}:\n\t\t")
}

/// Splits what comes from `count` sockets at the code and copies it out, 64 KiB at once.
fn read_from(count: usize) -> io::Result<()> {
    let mut sockets = accept(&listen()?, count)?;
    let mut output = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    let mut lines = Vec::with_capacity(2 * CHUNK_BYTES);
    // What is held of each socket, an unfinished frame, is at the front of its buffer.
    let mut buffers = vec![(0, vec![0; CHUNK_BYTES]); count];
    let code = memmem::Finder::new(CODE);
    loop {
        let mut waiting: Vec<_> = sockets.iter().map(|socket| PollFd::new(socket, PollFlags::IN)).collect();
        poll(&mut waiting, None)?;
        let ready: Vec<bool> = waiting.iter().map(|one| !one.revents().is_empty()).collect();
        for index in (0..count).filter(|index| ready[*index]) {
            let (held, buffer) = &mut buffers[index];
            let read = sockets[index].read(&mut buffer[*held..])?;
            if read == 0 {
                return Ok(());
            }
            let filled = *held + read;
            let mut begin = 0;
            for at in code.find_iter(&buffer[..filled]) {
                copy_out(&buffer[begin..at], &mut lines);
                begin = at + CODE.len();
                if lines.len() >= CHUNK_BYTES {
                    output.write_all(&lines)?;
                    lines.clear();
                }
            }
            buffer.copy_within(begin..filled, 0);
            *held = filled - begin;
        }
        output.write_all(&lines)?;
        lines.clear();
    }
}

/// Accepts, splits what comes at the code, copies it out, 64 KiB at once, and closes what is closed.
fn read_from_each() -> io::Result<()> {
    let listener = listen()?;
    listener.set_nonblocking(true)?;
    let mut output = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    let mut lines = Vec::with_capacity(2 * CHUNK_BYTES);
    let mut buffer = vec![0; CHUNK_BYTES];
    let code = memmem::Finder::new(CODE);
    let mut sockets: Vec<TcpStream> = Vec::new();
    loop {
        let mut waiting = vec![PollFd::new(&listener, PollFlags::IN)];
        waiting.extend(sockets.iter().map(|socket| PollFd::new(socket, PollFlags::IN)));
        poll(&mut waiting, None)?;
        let ready: Vec<bool> = waiting.iter().map(|one| !one.revents().is_empty()).collect();
        for index in (0..sockets.len()).rev().filter(|index| ready[index + 1]) {
            // A line is so short that it comes whole.
            let read = sockets[index].read(&mut buffer)?;
            if read == 0 {
                sockets.swap_remove(index);
            }
            let mut begin = 0;
            for at in code.find_iter(&buffer[..read]) {
                copy_out(&buffer[begin..at], &mut lines);
                begin = at + CODE.len();
            }
        }
        for (socket, _) in std::iter::from_fn(|| if ready[0] { listener.accept().ok() } else { None }) {
            socket.set_nodelay(true)?;
            sockets.push(socket);
        }
        output.write_all(&lines)?;
        lines.clear();
    }
}

/// `[2026-11-22T06:55:22.756724+01:00] name:\n\t\ttext` as `[2026-11-22 06:55:22] name: text`, by
/// position: the time is not understood. It may be without its offset.
pub fn copy_out(body: &[u8], lines: &mut Vec<u8>) {
    let without_offset = "[2026-11-22T06:55:22.756724".len();
    let with_offset = "[2026-11-22T06:55:22.756724+01:00".len();
    let (time, rest) = body.split_at(if body[without_offset] == b']' { without_offset } else { with_offset });
    let name_end = memchr(b'\n', rest).unwrap_or(rest.len());
    let (date, clock) = time.split_at("[2026-11-22".len());
    lines.extend_from_slice(date);
    lines.push(b' ');
    lines.extend_from_slice(&clock["T".len().."T06:55:22".len()]);
    lines.extend_from_slice(&rest[..name_end]);
    lines.push(b' ');
    lines.extend_from_slice(&rest[name_end + "\n\t\t".len()..]);
    lines.push(b'\n');
}

/// Listens, accepts, and says so, until standard input ends.
fn only_listen() -> io::Result<()> {
    let listener = listen()?;
    let input = io::stdin();
    let mut sockets = Vec::new();
    loop {
        let mut waiting = [PollFd::new(&listener, PollFlags::IN), PollFd::new(&input, PollFlags::IN)];
        poll(&mut waiting, None)?;
        if !waiting[1].revents().is_empty() {
            return Ok(());
        }
        let (socket, address) = listener.accept()?;
        eprintln!("{address} connected");
        sockets.push(socket);
    }
}

/// Listens as the program does by default: on IPv6 and IPv4 where there are both.
pub fn listen() -> io::Result<TcpListener> {
    let any = |address: IpAddr| listen_on(SocketAddr::new(address, 0));
    let listener = any(Ipv6Addr::UNSPECIFIED.into()).or_else(|_| any(Ipv4Addr::UNSPECIFIED.into()))?;
    eprintln!("listening on {}", listener.local_addr()?);
    Ok(listener)
}

fn listen_on(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn accept(listener: &TcpListener, count: usize) -> io::Result<Vec<TcpStream>> {
    let accepted = (0..count).map(|_| {
        let (socket, _) = listener.accept()?;
        socket.set_nodelay(true)?;
        Ok(socket)
    });
    accepted.collect()
}
