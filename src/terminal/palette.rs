//! How what is shown is told apart: the codes of colours and weights. It says nothing of what is shown
//! in which.

use std::collections::BTreeMap;

use crate::limits::MEMBERS_MAX;
use crate::protocol::{MemberId, Who};

/// How something is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// What is only told: times and notices.
    Dim,
    /// The user's own name.
    Own,
    /// The name of somebody else, in a colour of the 256 that terminals number.
    Name(u8),
    /// The user's name, said by somebody else.
    Mention,
}

/// Turns the style of the user's own name on (ECMA-48, SGR).
pub const OWN: &str = "\x1b[1m";

/// Turns every style off (ECMA-48, SGR).
pub const OFF: &str = "\x1b[0m";

/// Turns styles into codes, or into nothing.
#[derive(Debug, Default)]
pub struct Palette {
    is_on: bool,
    /// The colours of those who introduced themselves.
    colors: BTreeMap<MemberId, u8>,
}

impl Palette {
    /// With codes, or without any.
    #[must_use]
    pub fn new(is_on: bool) -> Self {
        Self { is_on, colors: BTreeMap::new() }
    }

    /// Turns a style on.
    pub fn begin(&self, style: Style, out: &mut Vec<u8>) {
        if !self.is_on {
            return;
        }
        match style {
            Style::Dim => out.extend_from_slice(b"\x1b[2m"),
            Style::Own => out.extend_from_slice(OWN.as_bytes()),
            Style::Name(color) => out.extend_from_slice(format!("\x1b[38;5;{color}m").as_bytes()),
            Style::Mention => out.extend_from_slice(b"\x1b[1;7m"),
        }
    }

    /// Turns it off.
    pub fn end(&self, out: &mut Vec<u8>) {
        if self.is_on {
            out.extend_from_slice(OFF.as_bytes());
        }
    }

    /// The style of somebody's name. A member keeps its colour when its name changes; and whoever
    /// comes under a name that was here before, in another run, too, has the colour that it had.
    pub fn name(&mut self, who: &Who) -> Style {
        if !self.is_on {
            return Style::Name(COLORS[0]);
        }
        let own = who.name.split_once('#').map_or(&*who.name, |(name, _)| name);
        let Some(id) = who.id else { return Style::Name(color(own)) };
        if self.colors.len() >= 2 * MEMBERS_MAX {
            self.colors.clear();
        }
        Style::Name(*self.colors.entry(id).or_insert_with(|| color(own)))
    }
}

/// Colours that differ from both a white and a black ground by 3.3 to 1 or more; WCAG 2.2 asks for 3
/// to 1 in large letters.
const COLORS: [u8; 12] = [160, 166, 130, 100, 64, 28, 30, 32, 62, 98, 164, 162];

/// The same for a name in every run: it is the FNV-1a hash that chooses.
fn color(name: &str) -> u8 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325, step);
    COLORS[(hash % COLORS.len() as u64) as usize]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::peer_frame::Word;

    /// The relative luminance of a colour, as WCAG 2.2 defines it, of xterm's cube of 6 × 6 × 6.
    fn luminance(color: u8) -> f64 {
        let linear = |level: u8| {
            let level = f64::from([0_u8, 95, 135, 175, 215, 255][usize::from(level)]) / 255.0;
            if level <= 0.040_45 { level / 12.92 } else { ((level + 0.055) / 1.055).powf(2.4) }
        };
        let place = color - 16;
        0.2126 * linear(place / 36) + 0.7152 * linear(place / 6 % 6) + 0.0722 * linear(place % 6)
    }

    #[test]
    fn colors_are_readable_on_dark_and_light() {
        for color in COLORS {
            let luminance = luminance(color);
            let (on_black, on_white) = ((luminance + 0.05) / 0.05, 1.05 / (luminance + 0.05));
            assert!(on_black >= 3.3 && on_white >= 3.3, "{color}: {on_black} and {on_white}");
        }
    }

    #[test]
    fn a_member_keeps_its_color() {
        let mut paint = Palette::new(true);
        let who = |name: &str, id| Who { name: name.into(), id, address: None };
        let id = Some(Word(1));
        let bob = paint.name(&who("bob", id));
        assert_eq!(paint.name(&who("robert", id)), bob);
        assert_eq!(paint.name(&who("bob#3f2a", Some(Word(2)))), bob);
        assert_eq!(paint.name(&who("bob", None)), bob);
        let colors = ["a", "b", "c", "d", "e", "f"].map(|name| paint.name(&who(name, None)));
        assert!(colors.iter().any(|color| *color != colors[0]));
    }
}
