//! The record layer of a link: text becomes records, and records become text.

use std::fmt;
use std::mem;

use snow::TransportState;

use crate::limits::{RECORD_TEXT_BYTES_MAX, REKEY_RECORDS};
use crate::wire::identity::PublicKey;

const LENGTH_BYTES: usize = 2;
const TAG_BYTES: usize = 16;
/// The most text of the first record with a key. That of the next one may be twice as long, and so on.
const FIRST_RECORD_TEXT_BYTES: usize = 256;
const SEALED_BYTES_MAX: usize = RECORD_TEXT_BYTES_MAX + TAG_BYTES;

/// The record layer of one link: the keys, and the unfinished record of each direction.
pub struct Records {
    transport: TransportState,
    /// How many records have been sealed, and opened, with the present keys.
    sealed_count: u32,
    opened_count: u32,
    /// The front of a record that has not arrived whole.
    incoming: Vec<u8>,
    /// The bytes that are sealed and not written.
    outgoing: Vec<u8>,
    /// How many of them were written.
    written: usize,
}

/// A record that cannot be opened, or whose length is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken;

impl Records {
    pub(super) fn new(transport: TransportState) -> Self {
        Self {
            transport,
            sealed_count: 0,
            opened_count: 0,
            incoming: Vec::new(),
            outgoing: Vec::new(),
            written: 0,
        }
    }

    /// The public key of the other side.
    #[must_use]
    pub fn peer(&self) -> PublicKey {
        let key = self.transport.get_remote_static().and_then(|key| key.first_chunk());
        PublicKey(*key.expect("the pattern sends it"))
    }

    /// Bytes that are to be written as they are, before the first record.
    pub fn begin_with(&mut self, bytes: &[u8]) {
        self.outgoing.extend_from_slice(bytes);
    }

    /// The bytes that are sealed and not written.
    #[must_use]
    pub fn outgoing(&self) -> &[u8] {
        &self.outgoing[self.written..]
    }

    /// The first `count` of the [outgoing](Self::outgoing) bytes were written.
    pub fn handle_written(&mut self, count: usize) {
        self.written += count;
        if self.written == self.outgoing.len() {
            // An idle link keeps no buffer.
            self.outgoing = Vec::new();
            self.written = 0;
        }
    }

    /// Seals the front of `text`, and returns how many bytes that are: at most [`RECORD_TEXT_BYTES_MAX`], and less at first,
    /// so that a link that breaks soon has delivered something. The record is
    /// written to `record`, and nothing else is in that. What of it is not written at once is to be [kept](Self::keep).
    pub fn seal(&mut self, text: &[u8], record: &mut Vec<u8>) -> usize {
        let most = (FIRST_RECORD_TEXT_BYTES << self.sealed_count.min(8)).min(RECORD_TEXT_BYTES_MAX);
        let text = &text[..text.len().min(most)];
        let sealed_bytes = text.len() + TAG_BYTES;
        record.resize(LENGTH_BYTES + sealed_bytes, 0);
        let (length, sealed) = record.split_at_mut(LENGTH_BYTES);
        length.copy_from_slice(&(sealed_bytes as u16).to_be_bytes());
        self.transport.write_message(text, sealed).expect("there is room, and no link seals 2^64 records");
        self.sealed_count += 1;
        if self.sealed_count == REKEY_RECORDS {
            self.transport.rekey_outgoing();
            self.sealed_count = 0;
        }
        text.len()
    }

    /// Keeps the rest of a record that was not written. Nothing else is kept.
    pub fn keep(&mut self, rest: &[u8]) {
        self.outgoing.extend_from_slice(rest);
    }

    /// The bytes of a record that has not arrived whole.
    #[must_use]
    pub fn incoming_bytes(&self) -> usize {
        self.incoming.len()
    }

    /// Takes the next record from `bytes` and opens it into `text`, which then holds its text and nothing else. Returns
    /// whether there was one; if not, all bytes are taken.
    ///
    /// # Errors
    ///
    /// The record is no record, or was changed on its way. Then nothing that follows has a meaning.
    pub fn open(&mut self, bytes: &mut &[u8], text: &mut Vec<u8>) -> Result<bool, Broken> {
        if self.incoming.is_empty()
            && let Some(record) = whole_record(bytes)?
        {
            *bytes = &bytes[LENGTH_BYTES + record.len()..];
            return self.open_sealed(record, text).map(|()| true);
        }
        self.fill(bytes, LENGTH_BYTES);
        let Some(sealed_bytes) = sealed_bytes(&self.incoming)? else { return Ok(false) };
        self.fill(bytes, LENGTH_BYTES + sealed_bytes);
        if self.incoming.len() < LENGTH_BYTES + sealed_bytes {
            return Ok(false);
        }
        let record = mem::take(&mut self.incoming);
        self.open_sealed(&record[LENGTH_BYTES..], text).map(|()| true)
    }

    /// Moves bytes to `incoming`, until it has `length` of them.
    fn fill(&mut self, bytes: &mut &[u8], length: usize) {
        let count = length.saturating_sub(self.incoming.len()).min(bytes.len());
        self.incoming.extend_from_slice(&bytes[..count]);
        *bytes = &bytes[count..];
    }

    fn open_sealed(&mut self, sealed: &[u8], text: &mut Vec<u8>) -> Result<(), Broken> {
        text.resize(sealed.len() - TAG_BYTES, 0);
        self.transport.read_message(sealed, text).map_err(|_| Broken)?;
        self.opened_count += 1;
        if self.opened_count == REKEY_RECORDS {
            self.transport.rekey_incoming();
            self.opened_count = 0;
        }
        Ok(())
    }
}

/// The length after which the record that `bytes` begin with ends, without its own; `None` if that has not arrived.
fn sealed_bytes(bytes: &[u8]) -> Result<Option<usize>, Broken> {
    let Some(length) = bytes.first_chunk() else { return Ok(None) };
    let length = usize::from(u16::from_be_bytes(*length));
    if (TAG_BYTES + 1..=SEALED_BYTES_MAX).contains(&length) { Ok(Some(length)) } else { Err(Broken) }
}

/// The record that `bytes` begin with, without its length, if it is whole.
fn whole_record<'a>(bytes: &&'a [u8]) -> Result<Option<&'a [u8]>, Broken> {
    Ok(sealed_bytes(bytes)?.and_then(|length| bytes.get(LENGTH_BYTES..LENGTH_BYTES + length)))
}

/// Without the keys.
impl fmt::Debug for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Records").field("outgoing", &self.outgoing().len()).finish_non_exhaustive()
    }
}
