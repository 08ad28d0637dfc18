//! `groupchat`: a group chat for the terminal with no server; every participant is a peer.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod limits;
pub mod protocol;
