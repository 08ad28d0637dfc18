//! Styles and their terminal codes: colours, bold and reverse.

use std::collections::BTreeMap;

use crate::limits::MEMBERS_MAX;
use crate::protocol::{MemberId, PeerInfo};

/// A style of text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Times and diagnostics.
    Dim,
    /// The user's own name.
    Own,
    /// The name of a peer, in one of the 256 indexed colours.
    Name(u8),
    /// The user's name in a message of a peer.
    Mention,
    /// The mark of a private message.
    PrivateMark,
    /// The text of a private message.
    PrivateText,
}

/// Turns the style of the user's own name on (ECMA-48, SGR).
pub const OWN: &str = "\x1b[1m";

/// Turns every style off (ECMA-48, SGR).
pub const OFF: &str = "\x1b[0m";

/// The set of codes to use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Styling {
    /// No codes, for output that a program may read.
    #[default]
    Plain,
    /// Only bold and reverse, for mentions and private messages, where the user wants no colours.
    Weights,
    /// All codes.
    Colors,
}

/// Writes the codes of styles, and assigns colours to names.
#[derive(Debug, Default)]
pub struct Palette {
    styling: Styling,
    /// The colours of members, at most twice [`MEMBERS_MAX`].
    colors: BTreeMap<MemberId, u8>,
}

impl Palette {
    /// A palette that uses the codes of `styling`.
    #[must_use]
    pub fn new(styling: Styling) -> Self {
        Self { styling, colors: BTreeMap::new() }
    }

    /// Turns a style on.
    #[inline]
    pub fn begin(&self, style: Style, out: &mut Vec<u8>) {
        if self.styling != Styling::Plain {
            self.push_code(style, out);
        }
    }

    fn push_code(&self, style: Style, out: &mut Vec<u8>) {
        let has_colors = self.styling == Styling::Colors;
        if !has_colors && !self.is_weight(style) {
            return;
        }
        match style {
            Style::Dim => out.extend_from_slice(b"\x1b[2m"),
            Style::Own => out.extend_from_slice(OWN.as_bytes()),
            Style::Name(color) => out.extend_from_slice(format!("\x1b[38;5;{color}m").as_bytes()),
            Style::Mention => out.extend_from_slice(b"\x1b[1;7m"),
            // Like a mention, and in magenta, which no name has.
            Style::PrivateMark if has_colors => out.extend_from_slice(b"\x1b[1;7;35m"),
            Style::PrivateMark => out.extend_from_slice(b"\x1b[1;7m"),
            Style::PrivateText => out.extend_from_slice(b"\x1b[1m"),
        }
    }

    /// Turns a style off.
    #[inline]
    pub fn end(&self, style: Style, out: &mut Vec<u8>) {
        if self.styling == Styling::Colors || self.is_weight(style) {
            out.extend_from_slice(OFF.as_bytes());
        }
    }

    /// Whether a style is also shown without colours.
    fn is_weight(&self, style: Style) -> bool {
        let must_be_seen = match style {
            Style::Mention | Style::PrivateMark | Style::PrivateText => true,
            Style::Dim | Style::Own | Style::Name(_) => false,
        };
        self.styling == Styling::Weights && must_be_seen
    }

    /// The style of a peer's name. The colour depends on the name alone, so it is the same in every run; a
    /// member keeps its colour when its name changes.
    pub fn name(&mut self, peer: &PeerInfo) -> Style {
        if self.styling != Styling::Colors {
            return Style::Name(COLORS[0]);
        }
        let own = peer.name.bare();
        let Some(id) = peer.id else { return Style::Name(color(own)) };
        if self.colors.len() >= 2 * MEMBERS_MAX {
            self.colors.clear();
        }
        Style::Name(*self.colors.entry(id).or_insert_with(|| color(own)))
    }
}

/// The colours of names, ordered by hue. Each has a contrast of at least 3.3 to 1 with white and with black
/// (WCAG 2.2 requires 3 to 1 for large text), and each pair differs by at least 19.5 (CIEDE2000): of all sets of
/// ten with that contrast, this one has the greatest minimum difference.
const COLORS: [u8; 10] = [160, 130, 100, 28, 30, 26, 93, 96, 200, 161];

/// The colour of a name, chosen by its FNV-1a hash.
fn color(name: &str) -> u8 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325, step);
    COLORS[(hash % COLORS.len() as u64) as usize]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Label;
    use crate::wire::identity::MemberId;

    /// Red, green and blue of a colour of xterm's cube of 6 × 6 × 6, as linear light (IEC 61966-2-1).
    fn linear(color: u8) -> [f64; 3] {
        let place = usize::from(color - 16);
        [place / 36, place / 6 % 6, place % 6].map(|step| {
            let level = [0.0, 95.0, 135.0, 175.0, 215.0, 255.0][step] / 255.0;
            if level <= 0.040_45 { level / 12.92 } else { f64::powf((level + 0.055) / 1.055, 2.4) }
        })
    }

    /// The relative luminance, as WCAG 2.2 defines it.
    fn luminance(color: u8) -> f64 {
        let [red, green, blue] = linear(color);
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    }

    /// CIELAB under D65.
    fn lab(color: u8) -> [f64; 3] {
        let [red, green, blue] = linear(color);
        let part = |part: f64| {
            if part > 216.0 / 24_389.0 { part.cbrt() } else { (24_389.0 / 27.0 * part + 16.0) / 116.0 }
        };
        let x = part((0.412_456_4 * red + 0.357_576_1 * green + 0.180_437_5 * blue) / 0.950_47);
        let y = part(0.212_672_9 * red + 0.715_152_2 * green + 0.072_175 * blue);
        let z = part((0.019_333_9 * red + 0.119_192 * green + 0.950_304_1 * blue) / 1.088_83);
        [116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)]
    }

    /// The difference of two colours: CIEDE2000, as in Sharma, Wu and Dalal, "The CIEDE2000
    /// color-difference formula", 2005, with all weights 1.
    fn difference(one: [f64; 3], other: [f64; 3]) -> f64 {
        let seventh = |chroma: f64| (chroma.powi(7) / (chroma.powi(7) + 25_f64.powi(7))).sqrt();
        let mean = |one: f64, other: f64| (one + other) / 2.0;
        let chroma = |[_, a, b]: [f64; 3]| a.hypot(b);
        let stretch = 1.5 - 0.5 * seventh(mean(chroma(one), chroma(other)));
        let ([l1, a1, b1], [l2, a2, b2]) = (one, other);
        let (a1, a2) = (a1 * stretch, a2 * stretch);
        let (c1, c2) = (a1.hypot(b1), a2.hypot(b2));
        let (h1, h2) =
            (b1.atan2(a1).to_degrees().rem_euclid(360.0), b2.atan2(a2).to_degrees().rem_euclid(360.0));
        let turn = (h2 - h1 + 180.0).rem_euclid(360.0) - 180.0;
        let (dl, dc, dh) = (l2 - l1, c2 - c1, 2.0 * (c1 * c2).sqrt() * (turn / 2.0).to_radians().sin());
        let (l, c, h) = (mean(l1, l2), mean(c1, c2), h1 + turn / 2.0);
        let cos = |degrees: f64| degrees.to_radians().cos();
        let t = 1.0 - 0.17 * cos(h - 30.0) + 0.24 * cos(2.0 * h) + 0.32 * cos(3.0 * h + 6.0)
            - 0.2 * cos(4.0 * h - 63.0);
        let h = h.rem_euclid(360.0);
        let rotation = -2.0 * seventh(c) * (60.0 * (-((h - 275.0) / 25.0).powi(2)).exp()).to_radians().sin();
        let l_scale = 1.0 + 0.015 * (l - 50.0).powi(2) / (20.0 + (l - 50.0).powi(2)).sqrt();
        let (dl, dc, dh) = (dl / l_scale, dc / (1.0 + 0.045 * c), dh / (1.0 + 0.015 * c * t));
        (dl * dl + dc * dc + dh * dh + rotation * dc * dh).sqrt()
    }

    #[test]
    fn the_difference_is_that_of_the_paper() {
        // Pairs 1, 7 and 25 of its table 1.
        for (one, other, expected) in [
            ([50.0, 2.6772, -79.7751], [50.0, 0.0, -82.7485], 2.0425),
            ([50.0, 0.0, 0.0], [50.0, -1.0, 2.0], 2.3669),
            ([60.2574, -34.0099, 36.2677], [60.4626, -34.1751, 39.4387], 1.2644),
        ] {
            assert!((difference(one, other) - expected).abs() < 0.0001, "{}", difference(one, other));
        }
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
    fn colors_are_distinguishable() {
        for (index, &one) in COLORS.iter().enumerate() {
            for &other in &COLORS[..index] {
                let difference = difference(lab(one), lab(other));
                assert!(difference >= 19.5, "{one} and {other}: {difference}");
            }
        }
    }

    #[test]
    fn a_member_keeps_its_color() {
        let mut paint = Palette::new(Styling::Colors);
        let peer = |name: &str, id| PeerInfo { name: name.into(), id, address: None };
        let id = Some(MemberId(1));
        let bob = paint.name(&peer("bob", id));
        assert_eq!(paint.name(&peer("robert", id)), bob);
        assert_eq!(
            paint.name(&PeerInfo {
                name: Label::from("bob").with_mark("#3f2a"),
                ..peer("bob", Some(MemberId(2)))
            }),
            bob
        );
        assert_eq!(paint.name(&peer("bob", None)), bob);
        let colors = ["a", "b", "c", "d", "e", "f"].map(|name| paint.name(&peer(name, None)));
        assert!(colors.iter().any(|color| *color != colors[0]));
    }
}
