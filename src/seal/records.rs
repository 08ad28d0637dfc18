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

    /// How much text the next record should have at most: little at first, so that a link that breaks soon has delivered
    /// something.
    #[must_use]
    pub fn next_text_bytes_max(&self) -> usize {
        (FIRST_RECORD_TEXT_BYTES << self.sealed_count.min(8)).min(RECORD_TEXT_BYTES_MAX)
    }

    /// Seals the front of `text`, at most [`RECORD_TEXT_BYTES_MAX`] bytes, and returns how many that are. The record is
    /// written to `record`, and nothing else is in that. What of it is not written at once is to be [kept](Self::keep).
    pub fn seal(&mut self, text: &[u8], record: &mut Vec<u8>) -> usize {
        let text = &text[..text.len().min(RECORD_TEXT_BYTES_MAX)];
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
            if bytes.is_empty() {
                self.incoming = Vec::new();
            }
            return self.open_sealed(record, text).map(|()| true);
        }
        self.fill(bytes, LENGTH_BYTES);
        let Some(sealed_bytes) = sealed_bytes(&self.incoming)? else { return Ok(false) };
        self.fill(bytes, LENGTH_BYTES + sealed_bytes);
        if self.incoming.len() < LENGTH_BYTES + sealed_bytes {
            return Ok(false);
        }
        let mut record = mem::take(&mut self.incoming);
        self.open_sealed(&record[LENGTH_BYTES..], text)?;
        // The front of the next record comes into the same buffer; an idle link keeps none.
        if !bytes.is_empty() {
            record.clear();
            self.incoming = record;
        }
        Ok(true)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::handshake::tests::{established, established_with};

    fn seal(from: &mut Records, text: &[u8]) -> Vec<u8> {
        let mut record = Vec::new();
        assert_eq!(from.seal(text, &mut record), text.len());
        record
    }

    /// Opens what is in `pieces`, which arrive one after the other: the text of each record, and what came after them.
    fn open_all<'a>(
        to: &mut Records,
        pieces: impl IntoIterator<Item = &'a [u8]>,
    ) -> (Vec<Vec<u8>>, Result<(), Broken>) {
        let mut texts = Vec::new();
        let mut text = Vec::new();
        for mut bytes in pieces {
            loop {
                match to.open(&mut bytes, &mut text) {
                    Ok(true) => texts.push(text.clone()),
                    Ok(false) => break,
                    Err(broken) => return (texts, Err(broken)),
                }
            }
            assert!(bytes.is_empty(), "all bytes are taken");
        }
        (texts, Ok(()))
    }

    /// What [`open_all`] returns for these texts.
    fn opened(texts: &[&[u8]]) -> (Vec<Vec<u8>>, Result<(), Broken>) {
        (texts.iter().map(|text| text.to_vec()).collect(), Ok(()))
    }

    const BROKEN: (Vec<Vec<u8>>, Result<(), Broken>) = (Vec::new(), Err(Broken));

    /// How records arrive: in one piece, or byte by byte.
    type Arrival = fn(&[u8]) -> Vec<&[u8]>;

    const ARRIVALS: [Arrival; 2] = [|bytes| vec![bytes], |bytes| bytes.chunks(1).collect()];

    /// Some bytes, no two neighbours of which are the same.
    fn some_text(length: usize) -> Vec<u8> {
        (0..length).map(|index| (index % 251) as u8).collect()
    }

    fn assert_keeps_nothing(records: &Records) {
        assert_eq!((records.incoming.capacity(), records.outgoing.capacity()), (0, 0));
        assert_eq!((records.incoming_bytes(), records.outgoing()), (0, &[][..]));
    }

    #[test]
    fn texts_of_all_lengths_arrive() {
        for arrival in ARRIVALS {
            let [mut ours, mut theirs] = established();
            for length in [1, 2, 15, 16, 17, 255, 256, 16_383, 16_384] {
                let text = some_text(length);
                let record = seal(&mut ours, &text);
                assert_eq!(record.len(), 2 + length + 16);
                assert_eq!(usize::from(u16::from_be_bytes([record[0], record[1]])), length + 16);
                assert_eq!(open_all(&mut theirs, arrival(&record)), opened(&[&text]));
                assert_eq!(open_all(&mut ours, arrival(&seal(&mut theirs, &text))), opened(&[&text]));
                assert_keeps_nothing(&ours);
                assert_keeps_nothing(&theirs);
            }
        }
    }

    #[test]
    fn a_long_text_is_sealed_in_several_records() {
        let [mut ours, mut theirs] = established();
        let mut record = Vec::new();
        let text = some_text(2 * 16_384 + 1);
        assert_eq!(ours.seal(&text[..16_385], &mut record), 16_384);
        assert_eq!(record.len(), 2 + 16_400);
        assert_eq!(open_all(&mut theirs, [&record[..]]), opened(&[&text[..16_384]]));

        let (mut rest, mut arrived) = (&text[..], Vec::new());
        while !rest.is_empty() {
            let count = ours.seal(rest, &mut record);
            rest = &rest[count..];
            let (texts, result) = open_all(&mut theirs, [&record[..]]);
            assert_eq!(result, Ok(()));
            arrived.extend(texts);
        }
        assert_eq!(arrived.iter().map(Vec::len).collect::<Vec<_>>(), [16_384, 16_384, 1]);
        assert_eq!(arrived.concat(), text);
    }

    #[test]
    fn records_and_texts_replace_what_is_in_their_buffers() {
        let [mut ours, mut theirs] = established();
        let (mut record, mut text) = (Vec::new(), Vec::new());
        for expected in [&b"a long text"[..], b"short", b"a longer text again"] {
            ours.seal(expected, &mut record);
            let mut bytes = &record[..];
            assert_eq!(theirs.open(&mut bytes, &mut text), Ok(true));
            assert_eq!((&text[..], bytes), (expected, &[][..]));
        }
    }

    /// Three records arrive in three pieces, of all lengths that there are.
    #[test]
    fn records_arrive_in_whatever_pieces() {
        let [mut ours, mut theirs] = established();
        let texts = [&b"a"[..], b"bc", b"def"];
        let length = texts.iter().map(|text| 2 + text.len() + 16).sum();
        for first in 0..=length {
            for second in first..=length {
                let stream = texts.map(|text| seal(&mut ours, text)).concat();
                let pieces = [&stream[..first], &stream[first..second], &stream[second..]];
                assert_eq!(open_all(&mut theirs, pieces), opened(&texts), "{first}, {second}");
                assert_keeps_nothing(&theirs);
            }
        }
    }

    #[test]
    fn a_record_is_opened_at_its_last_byte() {
        let [mut ours, mut theirs] = established();
        let mut text = Vec::new();
        for next in [&b""[..], b"!", b"the front of the next record"] {
            let record = seal(&mut ours, b"some text");
            let (last, front) = record.split_last().expect("not empty");
            for (index, byte) in front.iter().enumerate() {
                assert_eq!(theirs.incoming_bytes(), index);
                assert_eq!(theirs.open(&mut &[*byte][..], &mut text), Ok(false));
            }
            let rest = [&[*last], next].concat();
            let mut bytes = &rest[..];
            assert_eq!(theirs.open(&mut bytes, &mut text), Ok(true));
            assert_eq!((&text[..], bytes), (&b"some text"[..], next), "what follows is not taken");
            assert_eq!(theirs.incoming_bytes(), 0);
            if next.is_empty() {
                assert_keeps_nothing(&theirs);
            }
        }
    }

    #[test]
    fn a_record_with_a_changed_bit_is_broken() {
        // Each bit of the length, and one of each byte that follows.
        let of_the_length = (0..LENGTH_BYTES).flat_map(|index| (0..8).map(move |bit| (index, bit)));
        let later = (LENGTH_BYTES..LENGTH_BYTES + 5 + TAG_BYTES).map(|index| (index, index % 8));
        for (index, bit) in of_the_length.chain(later) {
            for arrival in ARRIVALS {
                let [mut ours, mut theirs] = established();
                let mut record = seal(&mut ours, b"hello");
                record[index] ^= 1 << bit;
                let mut result = open_all(&mut theirs, arrival(&record));
                if index < LENGTH_BYTES && result == opened(&[]) {
                    // The record has become longer, and takes its rest from the next one.
                    result = open_all(&mut theirs, arrival(&seal(&mut ours, &some_text(16_384))));
                }
                assert_eq!(result, BROKEN, "byte {index}, bit {bit}");
            }
        }
    }

    #[test]
    fn records_of_a_wrong_order_are_broken() {
        type Change = fn([&[u8]; 3]) -> Vec<u8>;
        let changes: [(&str, Change, usize); 7] = [
            ("as they were sealed", |[first, second, third]| [first, second, third].concat(), 3),
            ("two are swapped", |[first, second, third]| [second, first, third].concat(), 0),
            ("two later ones are swapped", |[first, second, third]| [first, third, second].concat(), 1),
            ("one comes twice", |[first, second, third]| [first, first, second, third].concat(), 1),
            ("the first one comes again", |[first, second, third]| [first, second, first, third].concat(), 2),
            ("the first one is missing", |[_, second, third]| [second, third].concat(), 0),
            ("one is truncated", |[first, second, third]| [first, &second[..20], third].concat(), 1),
        ];
        for arrival in ARRIVALS {
            for (change, apply, expected) in changes {
                let [mut ours, mut theirs] = established();
                let texts = [&b"first"[..], b"second", b"third"];
                let records = texts.map(|text| seal(&mut ours, text));
                let stream = apply(records.each_ref().map(|record| &record[..]));
                let (opened, result) = open_all(&mut theirs, arrival(&stream));
                assert_eq!(opened, texts[..expected], "{change}");
                assert_eq!(result.is_err(), expected < 3, "{change}");
            }
        }
    }

    #[test]
    fn a_record_is_for_the_other_side_of_its_own_link() {
        let [mut ours, mut theirs] = established();
        let record = seal(&mut ours, b"some text");
        assert_eq!(open_all(&mut ours, [&record[..]]), BROKEN, "it came back");
        assert_eq!(open_all(&mut theirs, [&record[..]]), opened(&[b"some text"]));

        let [mut dialler, mut listener] = established_with(3, 4);
        for others in [&mut dialler, &mut listener] {
            assert_eq!(open_all(others, [&seal(&mut ours, b"some text")[..]]), BROKEN);
        }
    }

    /// Two bytes are enough, at once or one after the other.
    #[test]
    fn a_length_that_none_has_is_broken_at_once() {
        let [_, mut theirs] = established();
        for arrival in ARRIVALS {
            for length in 0..=u16::MAX {
                let expected = if (17..=16_400).contains(&length) { opened(&[]) } else { BROKEN };
                assert_eq!(open_all(&mut theirs, arrival(&length.to_be_bytes())), expected, "{length}");
                theirs.incoming.clear();
            }
        }
    }

    #[test]
    fn a_record_without_text_is_broken() {
        for arrival in ARRIVALS {
            let [mut ours, mut theirs] = established();
            let record = seal(&mut ours, b"");
            assert_eq!(record.len(), 2 + 16);
            assert_eq!(open_all(&mut theirs, arrival(&record)), BROKEN);
        }
    }

    #[test]
    fn each_direction_changes_its_key_after_1024_records() {
        for arrival in ARRIVALS {
            // The other direction is ahead, and has changed its key or not.
            for ahead in [0, 1_023, 1_024, 1_025] {
                let mut sides = established();
                for (from, to, count) in [(1, 0, ahead), (0, 1, 1_026), (1, 0, 1_026)] {
                    for number in 0..count {
                        let text = format!("{number}").into_bytes();
                        let record = seal(&mut sides[from], &text);
                        assert_eq!(
                            open_all(&mut sides[to], arrival(&record)),
                            opened(&[&text]),
                            "{ahead}, {number}"
                        );
                    }
                }
            }
        }
    }

    /// The other side of this test is Noise itself, which changes a key when it is told to.
    #[test]
    fn the_key_is_changed_exactly_after_record_1024() {
        const CHANGES: [u32; 2] = [1_024, 2_048];
        let mut buffer = [0; 100];
        for arrival in ARRIVALS {
            let [mut ours, Records { transport: mut noise, .. }] = established();
            for number in 0..2_050 {
                let record = seal(&mut ours, b"some text");
                if CHANGES.contains(&number) {
                    assert!(noise.read_message(&record[2..], &mut buffer).is_err(), "{number}: the old key");
                    noise.rekey_incoming();
                }
                assert_eq!(noise.read_message(&record[2..], &mut buffer).ok(), Some(9), "{number}");
            }
            // None of that has changed the key of the other direction.
            for number in 0..2_050 {
                if CHANGES.contains(&number) {
                    noise.rekey_outgoing();
                }
                let count = noise.write_message(b"some text", &mut buffer).expect("a message");
                let record = [&[0, count as u8], &buffer[..count]].concat();
                assert_eq!(open_all(&mut ours, arrival(&record)), opened(&[b"some text"]), "{number}");
            }
        }
    }

    #[test]
    fn a_record_with_the_old_key_is_broken() {
        let mut buffer = [0; 100];
        // A side that changes its key one record too early, too late, or never.
        for (change, broken) in [(1_023, 1_023), (1_025, 1_024), (u32::MAX, 1_024)] {
            let [mut ours, Records { transport: mut noise, .. }] = established();
            for number in 0..=broken {
                if number == change {
                    noise.rekey_outgoing();
                }
                let count = noise.write_message(b"some text", &mut buffer).expect("a message");
                let record = [&[0, count as u8], &buffer[..count]].concat();
                let expected = if number < broken { opened(&[b"some text"]) } else { BROKEN };
                assert_eq!(open_all(&mut ours, [&record[..]]), expected, "{number}");
            }
        }
    }

    #[test]
    fn bytes_are_written_in_their_order_and_in_whatever_pieces() {
        for piece in [1, 2, 7, 1_000] {
            let [mut ours, mut theirs] = established();
            ours.begin_with(b"a peer frame");
            assert_eq!(ours.outgoing(), b"a peer frame");
            let record = seal(&mut ours, b"some text");
            assert_eq!(ours.outgoing(), b"a peer frame", "a record is kept by its sender if it has to be");
            ours.keep(&record);

            let mut written = Vec::new();
            while !ours.outgoing().is_empty() {
                let before = ours.outgoing().to_vec();
                let count = piece.min(before.len());
                written.extend_from_slice(&before[..count]);
                ours.handle_written(count);
                assert_eq!(ours.outgoing(), &before[count..]);
            }
            assert_eq!(written, [b"a peer frame", &record[..]].concat());
            assert_keeps_nothing(&ours);

            // The rest of a record of which the front was written already.
            let record = seal(&mut ours, b"more text");
            ours.keep(&record[5..]);
            assert_eq!(ours.outgoing(), &record[5..]);
            ours.handle_written(record.len() - 5);
            assert_keeps_nothing(&ours);
            ours.handle_written(0);
            assert_keeps_nothing(&ours);

            let records = &written[b"a peer frame".len()..];
            assert_eq!(open_all(&mut theirs, [records]), opened(&[b"some text"]));
        }
    }

    #[test]
    fn debug_shows_no_key_and_no_text() {
        let [mut ours, _] = established();
        ours.begin_with(b"secret");
        assert_eq!(format!("{ours:?}"), "Records { outgoing: 6, .. }");
    }
}
