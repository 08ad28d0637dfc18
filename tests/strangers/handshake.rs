//! The handshake as strangers meet it, and the records behind it: what is cut, changed, repeated or put between.
