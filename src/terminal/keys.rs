//! The key parser: bytes of a terminal go in, keys come out. It does no I/O, has no clock, and does not know
//! what keys do.
//!
//! A terminal sends a key as a character, a control character, or a sequence that begins with ESC
//! (ECMA-48; "PC-style function keys" in xterm's ctlseqs; rxvt; `CSI u` as in xterm's formatOtherKeys and
//! kitty's keyboard protocol). It sends other things the same way: replies to queries of programs that
//! have ended, reports of the mouse and of the focus. Such sequences are skipped whole and never become text.
//! A lone ESC, and an incomplete sequence, end when
//! [`SEQUENCE_TIMEOUT`](crate::limits::SEQUENCE_TIMEOUT) has passed without another byte. So typed input
//! cannot get stuck, except after a paste whose end is never marked.

use std::mem;
use std::str;

use crate::limits::{MESSAGE_BYTES_MAX, SEQUENCE_BYTES_MAX};

/// A key that the editor knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    /// A character to be typed. Not a control character.
    Char(char),
    /// A key with Ctrl: a small letter, or one of `\ ] ^ _`.
    Ctrl(char),
    /// A character with Alt, or after ESC.
    Alt(char),
    /// Return, or Ctrl+J.
    Enter,
    /// Return with Alt or Shift: a line break in the text.
    LineBreak,
    /// Escape, alone.
    Escape,
    /// Tab.
    Tab,
    /// Tab with Shift.
    BackTab,
    /// Backspace: deletes the character before the cursor.
    Backspace,
    /// Backspace with Alt: deletes the word before the cursor.
    WordBackspace,
    /// Delete: deletes the character after the cursor.
    Delete,
    /// Left.
    Left,
    /// Right.
    Right,
    /// Left with Ctrl or Alt: one word back.
    WordLeft,
    /// Right with Ctrl or Alt: one word forward.
    WordRight,
    /// Up.
    Up,
    /// Down.
    Down,
    /// Home.
    Home,
    /// End.
    End,
    /// A paste, with all line breaks as line feeds; at most [`MESSAGE_BYTES_MAX`] bytes.
    Paste(String),
    /// Several lines that arrived at once and were not marked as a paste, in the same form.
    UnmarkedPaste(String),
    /// A paste of this many bytes, more than [`MESSAGE_BYTES_MAX`], which was discarded.
    PasteTooLong(usize),
}

/// The key parser.
#[derive(Debug, Default)]
pub struct Keys {
    state: State,
}

#[derive(Debug, Default)]
enum State {
    /// Between keys.
    #[default]
    Start,
    /// After a carriage return, to which a line feed would belong.
    Return,
    /// Within a character of several bytes.
    Character(Vec<u8>),
    /// After ESC.
    Escape,
    /// Within a control sequence (CSI), with its bytes so far: at most one more than [`SEQUENCE_BYTES_MAX`].
    Control(Vec<u8>),
    /// Within a key of the keypad (SS3), with its bytes so far.
    Keypad(Vec<u8>),
    /// Skipping the characters after a report of the mouse.
    Skip {
        /// The number of characters left.
        count: usize,
        /// The last byte may be the first of two.
        is_lead: bool,
    },
    /// Within a control string (OSC, DCS, APC, PM, SOS), the reply to a query.
    Answer {
        /// The byte after ESC.
        introducer: char,
        /// The last byte so far.
        last: Option<u8>,
        /// The bytes that its last character still lacks.
        rest: usize,
    },
    /// Within a paste: the number of bytes so far, and those that are kept.
    Paste { bytes: usize, kept: Vec<u8> },
}

/// The end of a bracketed paste; its start has 200 instead (xterm).
const PASTE_END: &[u8] = b"\x1b[201~";

impl Keys {
    /// Handles bytes, split anywhere, and passes on each complete key.
    pub fn receive(&mut self, bytes: &[u8], mut each: impl FnMut(Key)) {
        for byte in bytes {
            self.push(*byte, &mut each);
        }
    }

    /// Whether a sequence is incomplete, so that [`expire`](Self::expire) would end it.
    #[must_use]
    pub fn is_unfinished(&self) -> bool {
        match self.state {
            State::Start | State::Return | State::Character(_) | State::Paste { .. } => false,
            State::Escape
            | State::Control(_)
            | State::Keypad(_)
            | State::Skip { .. }
            | State::Answer { .. } => true,
        }
    }

    /// Ends an incomplete sequence, since no byte has arrived for
    /// [`SEQUENCE_TIMEOUT`](crate::limits::SEQUENCE_TIMEOUT).
    pub fn expire(&mut self, mut each: impl FnMut(Key)) {
        if !self.is_unfinished() {
            return;
        }
        match mem::take(&mut self.state) {
            State::Escape => each(Key::Escape),
            // The start of a sequence with nothing after it was typed with Alt.
            State::Control(inside) if inside.is_empty() => each(Key::Alt('[')),
            State::Keypad(inside) if inside.is_empty() => each(Key::Alt('O')),
            State::Answer { introducer, last: None, .. } => each(Key::Alt(introducer)),
            _ => (),
        }
    }

    fn push(&mut self, byte: u8, each: &mut impl FnMut(Key)) {
        self.state = match mem::take(&mut self.state) {
            State::Paste { bytes, kept } => return self.paste(byte, bytes, kept, each),
            State::Character(begun) => return self.character(byte, begun, each),
            State::Answer { introducer, last, rest } => {
                return self.answer(byte, introducer, last, rest, each);
            }
            State::Escape if byte == b'\x1b' => {
                each(Key::Escape);
                State::Escape
            }
            // ESC starts a sequence in any state.
            _ if byte == b'\x1b' => State::Escape,
            State::Return if byte == b'\n' => State::Start,
            State::Start | State::Return => return self.start(byte, each),
            State::Escape => match byte {
                b'\r' | b'\n' => {
                    each(Key::LineBreak);
                    State::Start
                }
                b'\x08' | b'\x7f' => {
                    each(Key::WordBackspace);
                    State::Start
                }
                b' '..=b'~' => introduced(byte).unwrap_or_else(|| {
                    each(Key::Alt(byte.into()));
                    State::Start
                }),
                _ => return self.start(byte, each),
            },
            State::Skip { count, is_lead } => match byte {
                b'\x80'..=b'\xbf' if is_lead => skip(count),
                b'\x01'..=b'\x1f' => return self.start(byte, each),
                _ if count == 0 => return self.start(byte, each),
                b'\xc2'..=b'\xdf' => State::Skip { count: count - 1, is_lead: true },
                _ => skip(count - 1),
            },
            State::Keypad(mut inside) => match byte {
                b'0'..=b';' if inside.len() < SEQUENCE_BYTES_MAX => {
                    inside.push(byte);
                    State::Keypad(inside)
                }
                b'0'..=b';' => State::Keypad(inside),
                b' '..=b'~' => {
                    keypad(&inside, byte).into_iter().for_each(each);
                    State::Start
                }
                _ => return self.start(byte, each),
            },
            State::Control(mut inside) => match byte {
                b' '..=b'?' if inside.len() <= SEQUENCE_BYTES_MAX => {
                    inside.push(byte);
                    State::Control(inside)
                }
                b' '..=b'?' => State::Control(inside),
                b'@'..=b'~' => control(&inside, byte, each),
                // No sequence continues like this.
                _ => return self.start(byte, each),
            },
        };
    }

    fn start(&mut self, byte: u8, each: &mut impl FnMut(Key)) {
        match byte {
            b'\x1b' => self.state = State::Escape,
            b'\0'..=b'\x1f' | b'\x7f' => {
                if byte == b'\r' {
                    self.state = State::Return;
                }
                control_key(byte).into_iter().for_each(each);
            }
            b' '..=b'~' => each(Key::Char(byte.into())),
            b'\x80'..=b'\x9f' => self.state = introduced(byte ^ 0xc0).unwrap_or_default(),
            _ => self.character(byte, Vec::new(), each),
        }
    }

    /// Handles a byte of a multi-byte character.
    fn character(&mut self, byte: u8, mut begun: Vec<u8>, each: &mut impl FnMut(Key)) {
        let is_new = begun.is_empty();
        begun.push(byte);
        match str::from_utf8(&begun) {
            // C1 control characters may arrive as characters of two bytes.
            Ok(text) if text.chars().all(char::is_control) => {
                self.state = introduced(byte ^ 0xc0).unwrap_or_default();
            }
            Ok(text) => text.chars().map(Key::Char).for_each(each),
            Err(error) if error.error_len().is_none() => self.state = State::Character(begun),
            Err(_) => {
                each(Key::Char(char::REPLACEMENT_CHARACTER));
                if !is_new {
                    // The byte starts something else.
                    self.push(byte, each);
                }
            }
        }
    }

    /// Handles a byte of the reply to a query, which ends with ST (ECMA-48: `ESC \`, or one byte) or BEL. Enter
    /// and Ctrl+C end an unfinished reply and have no other effect: a report of the terminal must not submit a
    /// line.
    fn answer(
        &mut self,
        byte: u8,
        introducer: char,
        last: Option<u8>,
        rest: usize,
        each: &mut impl FnMut(Key),
    ) {
        let is_escaped = last == Some(b'\x1b');
        // ST is one byte or, as a character, two; within another character the byte is something else.
        let is_end = rest == 0 || last == Some(b'\xc2');
        match byte {
            b'\x07' => (),
            b'\\' if is_escaped => (),
            b'\x9c' if is_end => (),
            // Nothing follows the introducer: it was typed with Alt.
            b'\r' | b'\n' | b'\x03' if last.is_none() => self.start(byte, each),
            b'\r' => self.state = State::Return,
            b'\n' | b'\x03' => (),
            _ if is_escaped => {
                self.state = State::Escape;
                if byte != b'\x1b' {
                    self.push(byte, each);
                }
            }
            _ => {
                let rest = match byte {
                    b'\x80'..=b'\xbf' => rest.saturating_sub(1),
                    b'\xc2'..=b'\xdf' => 1,
                    b'\xe0'..=b'\xef' => 2,
                    b'\xf0'..=b'\xf4' => 3,
                    _ => 0,
                };
                self.state = State::Answer { introducer, last: Some(byte), rest };
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
                ..=MESSAGE_BYTES_MAX => Key::Paste(text),
                _ => Key::PasteTooLong(bytes),
            });
        }
        if kept.len() > MESSAGE_BYTES_MAX + PASTE_END.len() {
            // The rest is only searched for the end.
            kept.drain(..kept.len() - PASTE_END.len());
        }
        self.state = State::Paste { bytes, kept };
    }
}

/// The state that a byte after ESC starts (ECMA-48, 5.3).
fn introduced(byte: u8) -> Option<State> {
    match byte {
        b'[' => Some(State::Control(Vec::new())),
        b'O' => Some(State::Keypad(Vec::new())),
        b']' | b'P' | b'X' | b'^' | b'_' => {
            Some(State::Answer { introducer: byte.into(), last: None, rest: 0 })
        }
        _ => None,
    }
}

fn skip(count: usize) -> State {
    if count == 0 { State::Start } else { State::Skip { count, is_lead: false } }
}

/// The key of a control character.
fn control_key(byte: u8) -> Option<Key> {
    Some(match byte {
        b'\r' | b'\n' => Key::Enter,
        b'\t' => Key::Tab,
        b'\x08' | b'\x7f' => Key::Backspace,
        b'\x1b' => Key::Escape,
        b'\x01'..=b'\x1a' => Key::Ctrl((byte - 1 + b'a').into()),
        b'\x1c'..=b'\x1f' => Key::Ctrl((byte | 0x40).into()),
        _ => return None,
    })
}

/// Handles a complete control sequence. Returns the next state.
fn control(inside: &[u8], last: u8, each: &mut impl FnMut(Key)) -> State {
    match (inside, last) {
        (b"200", b'~') => return State::Paste { bytes: 0, kept: Vec::new() },
        // The mouse: a report of xterm's first encoding, and two of its highlighting.
        (b"", b'M') => return skip(3),
        (b"", b'T') => return skip(6),
        (b"", b't') => return skip(2),
        // Linux's console sends five function keys with a further letter.
        (b"", b'[') => return skip(1),
        _ => (),
    }
    // Private ones are reports and replies.
    let Some(parameters) = Parameters::read(inside) else { return State::Start };
    let (first, modifiers) = (parameters.get(0, 0), parameters.modifiers());
    if parameters.get(1, 1) == Some(KEY_RELEASED) {
        return State::Start;
    }
    match (last, first) {
        (b'u', Some(code)) => coded_key(code, modifiers, &parameters, each),
        // xterm's modifyOtherKeys.
        (b'~', Some(27)) => {
            let code = parameters.get(2, 0);
            code.into_iter().for_each(|code| coded_key(code, modifiers, &Parameters::default(), each));
        }
        // rxvt's arrows with Shift are small letters, and alone: with numbers, these are reports.
        (b'a'..=b'd', _) if !inside.is_empty() => (),
        _ => sequence_key(last, first.unwrap_or(1), modifiers).into_iter().for_each(each),
    }
    State::Start
}

/// The key of a complete SS3 sequence: a key of the keypad, or another that is sent like one.
fn keypad(inside: &[u8], last: u8) -> Option<Key> {
    let parameters = Parameters::read(inside)?;
    // Konsole and old versions of xterm put the modifiers there, with or without a 1 before.
    let modifiers = parameters.modifiers() | parameters.get(0, 0).map_or(0, |first| first.saturating_sub(1));
    match last {
        b'M' => Some(Key::Enter),
        // In application mode, a digit or sign is sent as a letter (DEC's VT220).
        b'X' => Some(Key::Char('=')),
        b'j'..=b'y' => Some(Key::Char((last - 0x40).into())),
        // rxvt's arrows with Ctrl.
        b'a'..=b'd' => sequence_key(last.to_ascii_uppercase(), 1, CTRL),
        _ => sequence_key(last, 1, modifiers),
    }
}

/// Modifiers of a key, as bits of the number in a sequence minus one.
const SHIFT: u32 = 1;
const ALT: u32 = 2;
const CTRL: u32 = 4;
const META: u32 = 32;
const CAPS_LOCK: u32 = 64;
/// Super and Hyper; keys with these are ignored.
const OTHER_MODIFIERS: u32 = 8 | 16;

/// The event type of a released key in kitty's protocol.
const KEY_RELEASED: u32 = 3;

/// The parameters of a control sequence, each with its subparameters.
#[derive(Debug, Default)]
struct Parameters(Vec<Vec<Option<u32>>>);

impl Parameters {
    /// Parses parameters; `None` if there are other characters.
    fn read(inside: &[u8]) -> Option<Self> {
        let is_number = |byte: &u8| matches!(byte, b'0'..=b'9' | b':' | b';');
        if inside.len() > SEQUENCE_BYTES_MAX || !inside.iter().all(is_number) {
            return None;
        }
        let number = |text: &str| if text.is_empty() { Some(None) } else { text.parse().ok().map(Some) };
        let parameters = str::from_utf8(inside).ok()?.split(';');
        parameters.map(|one| one.split(':').map(number).collect()).collect::<Option<_>>().map(Self)
    }

    fn get(&self, parameter: usize, subparameter: usize) -> Option<u32> {
        self.0.get(parameter)?.get(subparameter).copied().flatten()
    }

    fn modifiers(&self) -> u32 {
        self.get(1, 0).unwrap_or(1).saturating_sub(1)
    }
}

/// The key of a sequence with this first number and this last byte.
fn sequence_key(last: u8, first: u32, modifiers: u32) -> Option<Key> {
    let is_word = modifiers & (ALT | CTRL) != 0;
    Some(match (last, first) {
        (b'A', _) | (b'a', 1) => Key::Up,
        (b'B', _) | (b'b', 1) => Key::Down,
        (b'C', _) if is_word => Key::WordRight,
        (b'C', _) | (b'c', 1) => Key::Right,
        (b'D', _) if is_word => Key::WordLeft,
        (b'D', _) | (b'd', 1) => Key::Left,
        // With Ctrl, rxvt puts another sign at the end.
        (b'H', _) | (b'~' | b'^' | b'@', 1 | 7) => Key::Home,
        (b'F', _) | (b'~' | b'^' | b'@', 4 | 8) => Key::End,
        (b'Z', _) => Key::BackTab,
        (b'~' | b'^' | b'@', 3) => Key::Delete,
        _ => return None,
    })
}

/// Handles a key that is sent as a code point, from Unicode or from kitty's private use area.
fn coded_key(code: u32, modifiers: u32, parameters: &Parameters, each: &mut impl FnMut(Key)) {
    let [has_shift, has_alt, has_ctrl] = [SHIFT, ALT | META, CTRL].map(|bit| modifiers & bit != 0);
    if modifiers & OTHER_MODIFIERS != 0 {
        return;
    }
    let key = match code {
        13 | 57414 if (has_shift || has_alt) && !has_ctrl => Some(Key::LineBreak),
        10 | 13 | 57414 => Some(Key::Enter),
        9 if has_shift => Some(Key::BackTab),
        9 => Some(Key::Tab),
        27 => Some(Key::Escape),
        8 | 127 if has_alt || has_ctrl => Some(Key::WordBackspace),
        8 | 127 => Some(Key::Backspace),
        // The keypad: digits, signs, and its other keys.
        57399..=57408 => char::from_digit(code - 57399, 10).map(Key::Char),
        57409 => Some(Key::Char('.')),
        57410 => Some(Key::Char('/')),
        57411 => Some(Key::Char('*')),
        57412 => Some(Key::Char('-')),
        57413 => Some(Key::Char('+')),
        57415 => Some(Key::Char('=')),
        57416 => Some(Key::Char(',')),
        57417 => sequence_key(b'D', 1, modifiers),
        57418 => sequence_key(b'C', 1, modifiers),
        57419 => Some(Key::Up),
        57420 => Some(Key::Down),
        57423 => Some(Key::Home),
        57424 => Some(Key::End),
        57426 => Some(Key::Delete),
        // Other keys that are no characters.
        57344..=63743 => None,
        _ if has_ctrl => {
            // On a keyboard with another alphabet, the key at the place of the Latin letter.
            let latin = if code < 128 { Some(code) } else { parameters.get(0, 2) };
            latin.and_then(|latin| u8::try_from(latin).ok()).and_then(with_ctrl).and_then(control_key)
        }
        _ => {
            let text = parameters.0.get(2).map_or(&[][..], |text| text);
            if !has_alt && text.iter().any(Option::is_some) {
                let chars = text.iter().filter_map(|code| char::from_u32((*code)?));
                return chars.filter(|char| !char.is_control()).map(Key::Char).for_each(each);
            }
            let is_upper = has_shift != (modifiers & CAPS_LOCK != 0);
            let shifted = parameters.get(0, 1).filter(|_| has_shift).and_then(char::from_u32);
            let upper = |char: char| if is_upper { char.to_uppercase().last() } else { Some(char) };
            let char = shifted.or_else(|| char::from_u32(code).and_then(upper));
            let char = char.filter(|char| !char.is_control());
            char.map(|char| if has_alt { Key::Alt(char) } else { Key::Char(char) })
        }
    };
    key.into_iter().for_each(each);
}

/// The control character of a key with Ctrl, as in legacy terminals.
fn with_ctrl(byte: u8) -> Option<u8> {
    match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'['..=b'_' => Some(byte & 0x1f),
        b'/' | b'-' => Some(b'\x1f'),
        b'3'..=b'7' => Some(byte - b'3' + b'\x1b'),
        b'8' | b'?' => Some(b'\x7f'),
        _ => None,
    }
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
            keys.expire(|key| received.push(key));
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
        check("\u{80}a\u{85}".as_bytes(), &[Key::Char('a')]);
    }

    #[test]
    fn control_characters_are_keys() {
        check(b"\x01\x1a\x1f\x1c\0", &['a', 'z', '_', '\\'].map(Key::Ctrl));
        check(b"\r\t\x08\x7f", &[Key::Enter, Key::Tab, Key::Backspace, Key::Backspace]);
        // A terminal may send both for Return (ECMA-48, LNM).
        check(b"\r\n\n\r\r", &[Key::Enter, Key::Enter, Key::Enter, Key::Enter]);
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
            &[Delete, BackTab, WordBackspace, Alt('b'), Escape, Alt('f'), Escape, Up],
        );
        check(b"\x1b", &[Escape]);
        check(b"\x1b\x1b", &[Escape, Escape]);
        check(b"\x1b\r\x1b\n\r", &[LineBreak, LineBreak, Enter]);
        // rxvt: Ctrl, Shift, and Ctrl with what ends in a tilde.
        check(
            b"\x1bOa\x1bOb\x1bOc\x1bOd\x1b[a\x1b[b\x1b[c\x1b[d",
            &[Up, Down, WordRight, WordLeft, Up, Down, Right, Left],
        );
        check(b"\x1b[7^\x1b[8^\x1b[3^", &[Home, End, Delete]);
        check(b"\x1bO5C\x1bO1;5D\x1bO2A", &[WordRight, WordLeft, Up]);
        // The keypad in its application mode.
        check(b"\x1bOM\x1bOp\x1bOy\x1bOk\x1bOX", &[Enter, Char('0'), Char('9'), Char('+'), Char('=')]);
    }

    #[test]
    fn keys_by_number_are_keys() {
        use Key::*;
        for (number, expected) in [
            ("13", Enter),
            ("13;1:1", Enter),
            ("13;1:2", Enter),
            ("13;5", Enter),
            ("13;2", LineBreak),
            ("13;3", LineBreak),
            ("57414", Enter),
            ("57414;2", LineBreak),
            ("109;5", Enter),
            ("9", Tab),
            ("9;2", BackTab),
            ("105;5", Tab),
            ("27", Escape),
            ("91;5", Escape),
            ("127", Backspace),
            ("127;2", Backspace),
            ("127;3", WordBackspace),
            ("127;5", WordBackspace),
            ("99;5", Ctrl('c')),
            ("99;69", Ctrl('c')),
            ("67;6", Ctrl('c')),
            ("99:67;6", Ctrl('c')),
            ("1089::99;5", Ctrl('c')),
            ("45:95;6", Ctrl('_')),
            ("47;5", Ctrl('_')),
            ("98;3", Alt('b')),
            ("98;33", Alt('b')),
            ("97", Char('a')),
            ("97;2", Char('A')),
            ("97:65;2", Char('A')),
            ("97;65", Char('A')),
            ("49:33;2", Char('!')),
            ("97;;229", Char('\u{e5}')),
            ("228;2", Char('\u{c4}')),
            ("32", Char(' ')),
            ("57400", Char('1')),
            ("57417", Left),
            ("57417;5", WordLeft),
            ("57419", Up),
            ("57426", Delete),
        ] {
            check(format!("\x1b[{number}u").as_bytes(), &[expected]);
        }
        check(b"\x1b[0;;97:98u", &[Char('a'), Char('b')]);
        // xterm's other form.
        for (numbers, expected) in [
            ("2;13", LineBreak),
            ("3;13", LineBreak),
            ("5;13", Enter),
            ("5;99", Ctrl('c')),
            ("2;65", Char('A')),
            ("3;98", Alt('b')),
            ("2;9", BackTab),
        ] {
            check(format!("\x1b[27;{numbers}~").as_bytes(), &[expected]);
        }
        check(b"\x1b[1;1:1A\x1b[1;5:2C\x1b[3;1:1~", &[Up, WordRight, Delete]);
        // Keys that go up again, that only modify, with Super, and numbers that are no characters.
        for nothing in [
            "13;1:3u",
            "97;1:3u",
            "1;1:3A",
            "3;1:3~",
            "57441;2u",
            "97;9u",
            "57376u",
            "55296u",
            "1114112u",
            "u",
            "1u",
            "97;;27u",
            "99999999999u",
            "99999999999A",
        ] {
            check(format!("\x1b[{nothing}").as_bytes(), &[]);
        }
    }

    #[test]
    fn what_is_not_known_is_passed_over_whole() {
        use Key::*;
        check(
            b"\x1b[15~a\x1b[?1;2ca\x1b[24;80Ra\x1b[Ia\x1bOPa\x1b[[Aa\x1b[>0;95;0ca",
            &[Char('a'), Char('a'), Char('a'), Char('a'), Char('a'), Char('a'), Char('a')],
        );
        check(b"\x1b[\x03\x1b[1\ra\x1b\x03", &[Ctrl('c'), Enter, Char('a'), Ctrl('c')]);
        let endless = [b"\x1b[".as_slice(), &[b'1'; 10_000], b"Aa"].concat();
        let mut received = Vec::new();
        Keys::default().receive(&endless, |key| received.push(key));
        assert_eq!(received, [Char('a')]);
        let long = format!("\x1b[{}Aa\x1bO{}Aa", "1;".repeat(40), "1".repeat(80));
        let mut received = Vec::new();
        Keys::default().receive(long.as_bytes(), |key| received.push(key));
        assert_eq!(received, [Char('a'), Char('a')]);
    }

    #[test]
    fn what_a_terminal_reports_is_no_key() {
        use Key::*;
        for report in REPORTS {
            check(&[b"a".as_slice(), report, b"b"].concat(), &[Char('a'), Char('b')]);
            check(&[report, report, b"\r".as_slice()].concat(), &[Enter]);
        }
        // A sequence begins within another one.
        check(b"\x1b]0;title\x1b[A\x1bPx\x1bb\x1b[M!\x1b[A\x1b[1;\x1bOB", &[Up, Alt('b'), Up, Down]);
    }

    #[test]
    fn an_answer_ends_with_enter_or_with_time() {
        use Key::*;
        for introducer in [']', 'P', 'X', '^', '_'] {
            let begun = format!("\x1b{introducer}11;rgb:ff");
            check(begun.as_bytes(), &[]);
            check(format!("{begun}\r").as_bytes(), &[]);
            check(format!("{begun}\r\na\r").as_bytes(), &[Char('a'), Enter]);
            check(format!("{begun}\na").as_bytes(), &[Char('a')]);
            check(format!("{begun}\x03").as_bytes(), &[]);
            check(format!("{begun}\x1b").as_bytes(), &[]);
            check(format!("{begun}\x1b\x1b[A").as_bytes(), &[Up]);
            check(format!("\x1b{introducer}").as_bytes(), &[Alt(introducer)]);
            let mut received = Vec::new();
            let mut keys = Keys::default();
            keys.receive(begun.as_bytes(), |key| received.push(key));
            assert!(keys.is_unfinished());
            keys.expire(|key| received.push(key));
            assert!(!keys.is_unfinished());
            keys.receive(b"ab", |key| received.push(key));
            assert_eq!(received, [Char('a'), Char('b')]);
        }
        check(b"\x1b[", &[Alt('[')]);
        check(b"\x1bO", &[Alt('O')]);
        for nothing in ["\x1b[1", "\x1b[1;", "\x1bO5", "\x1b[M", "\x1b[M !", "\x1b[7$", "\x1b[<0;1"] {
            check(nothing.as_bytes(), &[]);
        }
    }

    /// What terminals send that is no key.
    const REPORTS: [&[u8]; 44] = [
        // The focus.
        b"\x1b[I",
        b"\x1b[O",
        // The mouse: as three bytes, where the last two may have any value but those of control
        // characters (xterm's modes 9, 1000 to 1003), as characters (1005), and as numbers (1006, 1015).
        b"\x1b[M !!",
        b"\x1b[M#ab",
        b"\x1b[M \x7f\x7f",
        b"\x1b[M \xb0\xa1",
        b"\x1b[M \xff\x80",
        b"\x1b[M \x80\xff",
        b"\x1b[M \0\0",
        b"\x1b[M \xc4\x80\xc3\xbf",
        b"\x1b[M \xdf\xbf!",
        b"\x1b[M\xc2\xa0!!",
        b"\x1b[<0;10;20M",
        b"\x1b[<0;10;20m",
        b"\x1b[<64;1;1M",
        b"\x1b[32;10;20M",
        b"\x1b[96;10;20M",
        b"\x1b[t!!",
        b"\x1b[T!!!!!!",
        b"\x1b[1;2;3;4&w",
        // The cursor, the terminal and its modes.
        b"\x1b[24;80R",
        b"\x1b[1;1R",
        b"\x1b[?24;80;1R",
        b"\x1b[0n",
        b"\x1b[?997;1n",
        b"\x1b[?1;2c",
        b"\x1b[?64;1;2;6;9;15;18;21;22c",
        b"\x1b[>41;354;0c",
        b"\x1b[?0u",
        b"\x1b[?2004;1$y",
        b"\x1b[4;2$y",
        b"\x1b[8;24;80t",
        b"\x1b[48;24;80;600;800t",
        b"\x1b[13;65;30;1;0;1_",
        // Strings.
        b"\x1b]10;rgb:ffff/ffff/ffff\x07",
        b"\x1b]11;rgb:0000/0000/0000\x1b\\",
        b"\x1b]l\xc3\x9c and \xe2\x80\x9c\x9c",
        b"\x1b]52;c;aGk=\xc2\x9c",
        b"\x1bP1$r0m\x1b\\",
        b"\x1bP>|XTerm(390)\x1b\\",
        b"\x1bP!|00000000\x9c",
        b"\x1b_Gi=31;OK\x1b\\",
        b"\x9b?1;2c\x9d11;rgb:0/0/0\x9c\x90x\x9c",
        b"\xc2\x9b?1;2c\xc2\x9d11;x\xc2\x9c",
    ];

    #[test]
    fn a_paste_is_one_key() {
        check(b"\x1b[200~a\r\nb\rc\n\x1b[201~d", &[Key::Paste("a\nb\nc\n".into()), Key::Char('d')]);
        check(b"\x1b[200~\x1b[A\x03\x1b[201\x1b[201~", &[Key::Paste("\x1b[A\x03\x1b[201".into())]);
        check(b"\x1b[200~\x1b[201~", &[Key::Paste(String::new())]);
    }

    #[test]
    fn a_paste_that_is_too_long_is_counted() {
        for (bytes, expected) in [
            (MESSAGE_BYTES_MAX, Key::Paste("x".repeat(MESSAGE_BYTES_MAX))),
            (MESSAGE_BYTES_MAX + 1, Key::PasteTooLong(MESSAGE_BYTES_MAX + 1)),
            (1_000_000, Key::PasteTooLong(1_000_000)),
        ] {
            let (mut keys, mut received) = (Keys::default(), Vec::new());
            let all = format!("\x1b[200~{}\x1b[201~a", "x".repeat(bytes));
            keys.receive(all.as_bytes(), |key| received.push(key));
            assert!(received == [expected, Key::Char('a')], "{bytes} bytes");
        }
    }
}
