//! Keys out of the bytes that a terminal sends. It reads nothing, and knows nothing of what keys do.
//!
//! Terminals send a key as a character, a control character, or a sequence that begins with ESC
//! (ECMA-48, and xterm's "PC-style function keys"). What is not known is passed over whole, and never
//! taken for text. ESC itself is only a prefix, so no clock is needed to tell it from a sequence; and
//! a sequence has an end wherever the next key begins, so nothing that is typed can get stuck.

use std::mem;
use std::str;

use crate::limits::{LINE_BYTES_MAX, SEQUENCE_BYTES_MAX};

/// One key, as far as it means something here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    /// A character to be typed. Not a control character.
    Char(char),
    /// With Ctrl: a small letter, or one of `\ ] ^ _`.
    Ctrl(char),
    /// With Alt, or behind ESC: the character as it is.
    Alt(char),
    /// Return, or Ctrl+J.
    Enter,
    /// Tab.
    Tab,
    /// Tab with Shift.
    BackTab,
    /// The character before the cursor is to go.
    Backspace,
    /// The word before the cursor is to go: Backspace with Alt.
    WordBackspace,
    /// The character behind the cursor is to go.
    Delete,
    /// One character back.
    Left,
    /// One character on.
    Right,
    /// One word back: Left with Ctrl or Alt.
    WordLeft,
    /// One word on: Right with Ctrl or Alt.
    WordRight,
    /// Up.
    Up,
    /// Down.
    Down,
    /// To the start.
    Home,
    /// To the end.
    End,
    /// What was pasted, with line feeds for all line breaks; at most [`LINE_BYTES_MAX`] bytes.
    Paste(String),
    /// More was pasted than that: so many bytes, which are gone.
    PasteTooLong(usize),
}

/// Bytes on their way to become keys.
#[derive(Debug, Default)]
pub struct Keys {
    state: State,
}

#[derive(Debug, Default)]
enum State {
    /// A key begins.
    #[default]
    Start,
    /// A character has begun that takes several bytes.
    Character(Vec<u8>),
    /// ESC was sent.
    Escape,
    /// A control sequence has begun, and this is what stands in it.
    Control(Vec<u8>),
    /// A key of the keypad has begun.
    Keypad,
    /// A key without a meaning here has begun.
    Passed,
    /// Something is being pasted: so many bytes, of which these are kept.
    Paste { bytes: usize, kept: Vec<u8> },
}

/// What ends a paste. The sequence that begins one has 200 (xterm's bracketed paste).
const PASTE_END: &[u8] = b"\x1b[201~";

impl Keys {
    /// Takes in bytes, cut anywhere, and hands out each key that is complete.
    pub fn receive(&mut self, bytes: &[u8], mut each: impl FnMut(Key)) {
        for byte in bytes {
            self.push(*byte, &mut each);
        }
    }

    fn push(&mut self, byte: u8, each: &mut impl FnMut(Key)) {
        self.state = match mem::take(&mut self.state) {
            State::Paste { bytes, kept } => return self.paste(byte, bytes, kept, each),
            State::Character(begun) => return self.character(byte, begun, each),
            // It begins a sequence, whatever was before.
            _ if byte == b'\x1b' => State::Escape,
            State::Start => return self.start(byte, each),
            State::Escape => match byte {
                b'[' => State::Control(Vec::new()),
                b'O' => State::Keypad,
                b'\x08' | b'\x7f' => {
                    each(Key::WordBackspace);
                    State::Start
                }
                b' '..=b'~' => {
                    each(Key::Alt(byte.into()));
                    State::Start
                }
                _ => return self.start(byte, each),
            },
            State::Keypad | State::Passed if byte < b' ' => return self.start(byte, each),
            State::Passed => State::Start,
            State::Keypad => {
                each_known(sequence_key(byte, 1, 1), each);
                State::Start
            }
            State::Control(inside) => match byte {
                b' '..=b'?' if inside.len() < SEQUENCE_BYTES_MAX => {
                    State::Control([inside.as_slice(), &[byte]].concat())
                }
                b' '..=b'?' => State::Control(inside),
                b'@'..=b'~' => control(&inside, byte, each),
                // No sequence goes on so.
                _ => return self.start(byte, each),
            },
        };
    }

    fn start(&mut self, byte: u8, each: &mut impl FnMut(Key)) {
        let key = match byte {
            b'\r' | b'\n' => Key::Enter,
            b'\t' => Key::Tab,
            b'\x08' | b'\x7f' => Key::Backspace,
            b'\x01'..=b'\x1a' => Key::Ctrl((byte - 1 + b'a').into()),
            b'\x1c'..=b'\x1f' => Key::Ctrl((byte | 0x40).into()),
            b'\0' => return,
            b'\x1b' => return self.state = State::Escape,
            b' '..=b'~' => Key::Char(byte.into()),
            _ => return self.character(byte, Vec::new(), each),
        };
        each(key);
    }

    /// A byte of a character that takes several.
    fn character(&mut self, byte: u8, mut begun: Vec<u8>, each: &mut impl FnMut(Key)) {
        let is_new = begun.is_empty();
        begun.push(byte);
        match str::from_utf8(&begun) {
            Ok(text) => text.chars().for_each(|char| each_char(char, each)),
            Err(error) if error.error_len().is_none() => self.state = State::Character(begun),
            Err(_) => {
                each(Key::Char(char::REPLACEMENT_CHARACTER));
                if !is_new {
                    // It belongs to something else.
                    self.push(byte, each);
                }
            }
        }
    }

    fn paste(&mut self, byte: u8, bytes: usize, mut kept: Vec<u8>, each: &mut impl FnMut(Key)) {
        kept.push(byte);
        let bytes = bytes + 1;
        if kept.ends_with(PASTE_END) {
            let bytes = bytes - PASTE_END.len();
            kept.truncate(kept.len() - PASTE_END.len());
            let text = String::from_utf8_lossy(&kept).replace("\r\n", "\n").replace('\r', "\n");
            return each(match bytes.max(text.len()) {
                ..=LINE_BYTES_MAX => Key::Paste(text),
                _ => Key::PasteTooLong(bytes),
            });
        }
        if kept.len() > LINE_BYTES_MAX + PASTE_END.len() {
            // From now on, only its end counts.
            kept.drain(..kept.len() - PASTE_END.len());
        }
        self.state = State::Paste { bytes, kept };
    }
}

/// C1 control characters may come as characters of two bytes.
fn each_char(char: char, each: &mut impl FnMut(Key)) {
    if !char.is_control() {
        each(Key::Char(char));
    }
}

fn each_known(key: Option<Key>, each: &mut impl FnMut(Key)) {
    key.into_iter().for_each(each);
}

/// A control sequence is complete. Returns what comes next.
fn control(inside: &[u8], last: u8, each: &mut impl FnMut(Key)) -> State {
    let mut numbers = inside.split(|byte| *byte == b';').map(|number| {
        let text = str::from_utf8(number).unwrap_or_default();
        if text.is_empty() { Some(1) } else { text.parse::<u32>().ok() }
    });
    let (Some(first), Some(modifiers)) = (numbers.next().flatten(), numbers.next().unwrap_or(Some(1))) else {
        // Private ones answer questions that we never asked.
        return State::Start;
    };
    match (last, first) {
        (b'~', 200) => return State::Paste { bytes: 0, kept: Vec::new() },
        // Linux's console sends five of these with a letter behind.
        (b'[', _) => return State::Passed,
        _ => each_known(sequence_key(last, first, modifiers), each),
    }
    State::Start
}

/// The key that ends in `last` behind these two numbers. The modifiers are 1 more than the sum of 1 for
/// Shift, 2 for Alt and 4 for Ctrl.
fn sequence_key(last: u8, first: u32, modifiers: u32) -> Option<Key> {
    let is_word = modifiers.wrapping_sub(1) & 6 != 0;
    Some(match (last, first) {
        (b'A', _) => Key::Up,
        (b'B', _) => Key::Down,
        (b'C', _) if is_word => Key::WordRight,
        (b'C', _) => Key::Right,
        (b'D', _) if is_word => Key::WordLeft,
        (b'D', _) => Key::Left,
        (b'H', _) | (b'~', 1 | 7) => Key::Home,
        (b'F', _) | (b'~', 4 | 8) => Key::End,
        (b'M', 1) => Key::Enter,
        (b'Z', _) => Key::BackTab,
        (b'~', 3) => Key::Delete,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], expected: &[Key]) {
        // Cut at every byte, and whole.
        for cut in 0..=bytes.len() {
            let (mut keys, mut received) = (Keys::default(), Vec::new());
            keys.receive(&bytes[..cut], |key| received.push(key));
            keys.receive(&bytes[cut..], |key| received.push(key));
            assert_eq!(received, expected, "{:?} cut at {cut}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn characters_are_typed() {
        check(b"aZ ~", &['a', 'Z', ' ', '~'].map(Key::Char));
        check("\u{e9}\u{65e5}\u{1f980}".as_bytes(), &['\u{e9}', '\u{65e5}', '\u{1f980}'].map(Key::Char));
        check(
            b"\xffa\xe6\x97b\xe6\x97\x1b[A",
            &[
                Key::Char('\u{fffd}'),
                Key::Char('a'),
                Key::Char('\u{fffd}'),
                Key::Char('b'),
                Key::Char('\u{fffd}'),
                Key::Up,
            ],
        );
        check("\u{9b}a\u{80}".as_bytes(), &[Key::Char('a')]);
    }

    #[test]
    fn control_characters_are_keys() {
        check(b"\x01\x1a\x1f\x1c\0", &['a', 'z', '_', '\\'].map(Key::Ctrl));
        check(b"\r\n\t\x08\x7f", &[Key::Enter, Key::Enter, Key::Tab, Key::Backspace, Key::Backspace]);
    }

    #[test]
    fn sequences_are_keys() {
        use Key::*;
        check(
            b"\x1b[A\x1b[B\x1b[C\x1b[D\x1bOA\x1bOB\x1bOC\x1bOD",
            &[Up, Down, Right, Left, Up, Down, Right, Left],
        );
        check(
            b"\x1b[H\x1b[F\x1bOH\x1bOF\x1b[1~\x1b[4~\x1b[7~\x1b[8~",
            &[Home, End, Home, End, Home, End, Home, End],
        );
        check(
            b"\x1b[1;5C\x1b[1;5D\x1b[1;3C\x1b[1;3D\x1b[1;2C",
            &[WordRight, WordLeft, WordRight, WordLeft, Right],
        );
        check(
            b"\x1b[3~\x1b[Z\x1b\x7f\x1bb\x1b\x1bf\x1b\x1b[A",
            &[Delete, BackTab, WordBackspace, Alt('b'), Alt('f'), Up],
        );
    }

    #[test]
    fn what_is_not_known_is_passed_over_whole() {
        use Key::*;
        check(
            b"\x1b[15~a\x1b[?1;2ca\x1b[24;80Ra\x1b[Ia\x1bOPa\x1b[[Aa\x1b[>0;95;0ca",
            &[Char('a'), Char('a'), Char('a'), Char('a'), Char('a'), Char('a'), Char('a')],
        );
        // Nothing gets stuck, whatever is typed behind ESC.
        check(
            b"\x1b]a\x1bPa\x1bXa\x1b_a\x1b^a",
            &[
                Alt(']'),
                Char('a'),
                Alt('P'),
                Char('a'),
                Alt('X'),
                Char('a'),
                Alt('_'),
                Char('a'),
                Alt('^'),
                Char('a'),
            ],
        );
        check(b"\x1b[\x03\x1b[1\ra\x1b\r", &[Ctrl('c'), Enter, Char('a'), Enter]);
        let endless = [b"\x1b[".as_slice(), &[b'1'; 10_000], b"Aa"].concat();
        let mut received = Vec::new();
        Keys::default().receive(&endless, |key| received.push(key));
        assert_eq!(received, [Char('a')]);
    }

    #[test]
    fn a_paste_is_one_key() {
        check(b"\x1b[200~a\r\nb\rc\n\x1b[201~d", &[Key::Paste("a\nb\nc\n".into()), Key::Char('d')]);
        check(b"\x1b[200~\x1b[A\x03\x1b[201\x1b[201~", &[Key::Paste("\x1b[A\x03\x1b[201".into())]);
        check(b"\x1b[200~\x1b[201~", &[Key::Paste(String::new())]);
    }

    #[test]
    fn a_paste_that_is_too_long_is_counted() {
        for (bytes, expected) in [
            (LINE_BYTES_MAX, Key::Paste("x".repeat(LINE_BYTES_MAX))),
            (LINE_BYTES_MAX + 1, Key::PasteTooLong(LINE_BYTES_MAX + 1)),
            (1_000_000, Key::PasteTooLong(1_000_000)),
        ] {
            let (mut keys, mut received) = (Keys::default(), Vec::new());
            let all = format!("\x1b[200~{}\x1b[201~a", "x".repeat(bytes));
            keys.receive(all.as_bytes(), |key| received.push(key));
            assert!(received == [expected, Key::Char('a')], "{bytes} bytes");
        }
    }
}
