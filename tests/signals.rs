//! Leaving by signal: the goodbye comes after all messages, no peer delays the end for
//! long, and a second signal ends it at once.

mod support;

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};

use rustix::process::Signal;
use support::descriptors::{feed, wait_until_idle};
use support::sockets::{
    EXIT, FreePort, MESSAGE, accept, connect_with_little_room, listen, message, messages,
    wait_for_connections, wait_for_members,
};
use support::{DEADLINE, Peer, connect, read_to_end, read_until};

/// How many lines [`send_more_than_fits`] sends.
const LINES: usize = 600;

/// A peer with one connection that reads, and one that has not read anything yet and has little room.
fn with_reader_and_stalled() -> (Peer, TcpStream, TcpStream) {
    let (peer, reader, stalled) = with_two(connect_with_little_room, &[]);
    stalled.set_read_timeout(Some(DEADLINE)).expect("a timeout");
    (peer, reader, stalled)
}

fn with_two(
    connect_second: fn(SocketAddr) -> TcpStream,
    peers: &[SocketAddr],
) -> (Peer, TcpStream, TcpStream) {
    let mut peer = Peer::named("alice", peers);
    let address = peer.address();
    let (first, second) = (connect(address), connect_second(address));
    wait_for_connections(&mut peer, 2);
    (peer, first, second)
}

/// Sends more than the system takes for a peer that does not read, and less than the log keeps. Every peer that
/// reads has it then.
fn send_more_than_fits(peer: &mut Peer, reader: &mut TcpStream) {
    let line = "x".repeat(1000);
    (0..LINES).for_each(|_| peer.write_line(&line));
    peer.write_line("that was all");
    let (mut bytes, mut some) = (Vec::new(), [0; 4096]);
    while !bytes.ends_with(b"that was all<MSGENCD>") {
        let count = reader.read(&mut some).expect("a peer that sends");
        assert!(count > 0, "the peer closed after {} bytes", bytes.len());
        bytes.extend_from_slice(&some[..count]);
    }
}

/// What `stream` gets is every line and a goodbye.
#[track_caller]
fn check_has_everything(stream: &mut TcpStream) {
    let bytes = read_to_end(stream);
    assert_eq!(messages(&bytes).len(), LINES + 1);
    assert!(bytes.ends_with(format!("|\nalice{EXIT}").as_bytes()), "no goodbye");
    // It waits for that.
    stream.shutdown(Shutdown::Both).expect("a connection");
}

#[test]
fn every_signal_sends_a_goodbye() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let mut bob = Peer::named("bob", &[]);
        let mut alice = Peer::named("alice", &[bob.address()]);
        let (listener, address) = listen();
        let mut carol = Peer::named("carol", &[alice.address(), address]);
        for peer in [&mut alice, &mut bob, &mut carol] {
            wait_for_members(peer, 2);
        }
        let mut stream = accept(&listener);
        alice.write_line("hello");
        alice.write_line("bye");
        bob.conversation.wait_for("alice: bye");
        alice.signal(signal);
        for other in [&mut bob, &mut carol] {
            other.conversation.wait_for("alice has left the chat...");
        }
        assert_eq!(alice.exit_code(), 0, "{signal:?}");
        carol.signal(signal);
        assert!(read_to_end(&mut stream).ends_with(format!("|\ncarol{EXIT}").as_bytes()));
        assert_eq!(carol.exit_code(), 0, "{signal:?}");
    }
}

#[test]
fn every_message_is_sent_before_the_goodbye() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let (mut peer, mut reader, mut stalled) = with_reader_and_stalled();
        send_more_than_fits(&mut peer, &mut reader);
        peer.signal(signal);
        // The peer that reads has the goodbye while the other has yet to read anything.
        read_until(&mut reader, EXIT);
        check_has_everything(&mut stalled);
        assert_eq!(peer.exit_code(), 0);
    }
}

#[test]
fn a_peer_that_never_reads_does_not_delay_the_end() {
    let (mut peer, mut reader, stalled) = with_reader_and_stalled();
    let name = stalled.local_addr().expect("its address");
    send_more_than_fits(&mut peer, &mut reader);
    peer.signal(Signal::TERM);
    read_until(&mut reader, EXIT);
    peer.stderr.wait_for(&format!("{name} is lost: took nothing for 2 s"));
    assert_eq!(peer.exit_code(), 0);
}

#[test]
fn a_second_signal_ends_it_at_once() {
    for second in [Signal::INT, Signal::TERM] {
        let (mut peer, mut reader, stalled) = with_reader_and_stalled();
        send_more_than_fits(&mut peer, &mut reader);
        peer.signal(Signal::INT);
        read_until(&mut reader, EXIT);
        peer.signal(second);
        peer.stderr.wait_for("groupchat: ended at once");
        assert_eq!(peer.exit_code(), 1);
        assert_eq!(peer.conversation.rest(), [""; 0], "it was not waited for");
        drop(stalled);
    }
}

/// The end of the input is not the first of two signals: the program then waits for a peer that it dials.
#[test]
fn a_second_signal_ends_it_at_once_behind_the_end_of_the_input() {
    let port = FreePort::new();
    let (mut peer, mut reader, stalled) = with_two(connect_with_little_room, &[port.address()]);
    send_more_than_fits(&mut peer, &mut reader);
    peer.end_input();
    wait_until_idle(peer.child.id());
    reader.set_nonblocking(true).expect("a connection");
    assert!(reader.read(&mut [0]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock), "it waits");
    reader.set_nonblocking(false).expect("a connection");
    peer.signal(Signal::INT);
    read_until(&mut reader, EXIT);
    peer.signal(Signal::INT);
    peer.stderr.wait_for("groupchat: ended at once");
    assert_eq!(peer.exit_code(), 1);
    drop(stalled);
}

/// A terminal that is closed is an end of input and a signal, and a shell that ends with it sends
/// another: none of them is the user's second Ctrl+C.
#[test]
fn a_hang_up_does_not_cut_the_goodbye_short() {
    for first in [None, Some(Signal::HUP), Some(Signal::TERM)] {
        let (mut peer, mut reader, mut stalled) = with_reader_and_stalled();
        send_more_than_fits(&mut peer, &mut reader);
        match first {
            Some(signal) => peer.signal(signal),
            None => peer.end_input(),
        }
        read_until(&mut reader, EXIT);
        peer.signal(Signal::HUP);
        check_has_everything(&mut stalled);
        assert_eq!(peer.exit_code(), 0, "{:?}", peer.stderr.rest());
    }
}

/// Closing with something unread would send a reset, which destroys what is still on its way.
#[test]
fn messages_received_while_leaving_destroy_nothing() {
    let (mut peer, mut reader, mut late) = with_two(connect, &[]);
    send_more_than_fits(&mut peer, &mut reader);
    // More is unread when it leaves than one turn reads.
    peer.signal(Signal::STOP);
    let feeder = feed(late.try_clone().expect("another descriptor"), message("bob", "wait!").repeat(6_000));
    peer.signal(Signal::TERM);
    peer.signal(Signal::CONT);
    read_until(&mut reader, EXIT);
    feeder.join().expect("a thread that ends");
    let mut shown = 0;
    while shown < 6_000 {
        shown += usize::from(peer.conversation.next_line().expect("a line").ends_with("] bob: wait!"));
    }
    check_has_everything(&mut late);
    assert_eq!(peer.exit_code(), 0);
}

#[test]
fn a_peer_that_was_stopped_goes_on() {
    let mut peer = Peer::named("alice", &[]);
    let address = peer.address();
    let mut stream = connect(address);
    wait_for_connections(&mut peer, 1);
    peer.signal(Signal::STOP);
    peer.write_line("hello");
    stream.write_all(message("bob", "hi").as_bytes()).expect("room at the peer");
    let mut late = connect(address);
    peer.signal(Signal::CONT);
    read_until(&mut stream, &format!("hello{MESSAGE}"));
    peer.conversation.wait_for("bob: hi");
    wait_for_connections(&mut peer, 1);
    peer.write_line("welcome");
    read_until(&mut late, &format!("welcome{MESSAGE}"));
    wait_until_idle(peer.child.id());
    peer.signal(Signal::INT);
    assert_eq!(peer.exit_code(), 0);
}
