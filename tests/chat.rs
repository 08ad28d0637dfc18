//! Peers that talk: the real program over real sockets.

mod support;

use support::{Peer, connect, read_until};

#[test]
fn two_peers_hear_each_other_and_goodbye() {
    let mut alice = Peer::named("alice", &[]);
    let address = alice.address();
    let mut bob = Peer::named("bob", &[address]);
    bob.notices.wait_for("connected to ");
    alice.notices.wait_for(" connected");
    alice.say("hello");
    bob.say("hi");
    let line = bob.conversation.wait_for("alice: hello");
    assert_eq!(line.len(), "[2026-11-22 06:55:22] alice: hello".len());
    alice.conversation.wait_for("] bob: hi");
    bob.end_input();
    alice.conversation.wait_for("bob has left the chat...");
    assert_eq!(bob.exit_code(), 0);
}

#[test]
fn a_plain_connection_can_read_and_write() {
    let mut alice = Peer::named("alice", &[]);
    let mut stream = connect(alice.address());
    alice.notices.wait_for(" connected");
    alice.say("hello");
    let frame = read_until(&mut stream, "<MSGENCD>");
    assert!(frame.ends_with("] alice:\n\t\thello<MSGENCD>"), "{frame}");
}
