//! Recipients: which peer is meant by the name at the start of a command's arguments.
//!
//! A name can be written in quotes or without, with its mark or without. A name in quotes or with a mark has one
//! reading. Names may hold blanks, so one without either may end at any blank. If two ends make the names of two
//! peers, the result is an error, since the text could go to the wrong one. The words up to one end are compared as
//! they are written, then without case, then by their looks.
//!
//! A name that is out of use is read like the others, so that a text for its bearer goes to nobody else. The same name
//! of a present peer comes first.

use std::net::SocketAddr;

use super::event::PeerInfo;
use super::former_names::Fate;
use super::label::read_quoted;
use super::roster::{NotFound, Reading};
use crate::limits::{RECIPIENT_BYTES_MAX, RECIPIENTS_LISTED_MAX};
use crate::look_alike::{Looks, fold};

/// A peer that may be meant.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The peer.
    pub peer: PeerInfo,
    /// Whether it is connected.
    pub attendance: Attendance,
}

/// Whether a candidate is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attendance {
    /// It is connected.
    Here,
    /// It is lost, and may return.
    Lost,
    /// It is gone for good, or has another name now.
    Former(Fate),
}

impl Candidate {
    fn fate(&self) -> Option<Fate> {
        match self.attendance {
            Attendance::Former(fate) => Some(fate),
            Attendance::Here | Attendance::Lost => None,
        }
    }
}

/// The place at which the name ends in the words that the user writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// At a blank or at the end: something may follow.
    Start,
    /// At the end.
    Whole,
}

/// A name as the user writes it.
#[derive(Debug, PartialEq, Eq)]
struct Written {
    name: String,
    mark: Mark,
}

#[derive(Debug, PartialEq, Eq)]
enum Mark {
    None,
    /// The first digits of an id.
    Tag(String),
    Address(SocketAddr),
}

/// How well a name matches, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    Exact,
    InAnyCase,
    ByLooks,
}

/// Finds the peer of `all` that is meant by the name at the start of `words`. Returns it, and the text behind the
/// name. The name may follow an `@`, as in a mention.
///
/// # Errors
///
/// Why no peer is meant.
pub fn find<'a>(words: &'a str, all: &[Candidate], extent: Extent) -> Result<(PeerInfo, &'a str), NotFound> {
    match (find_as_written(words, all, extent), words.strip_prefix('@')) {
        (Err(NotFound::Nobody), Some(name)) => find_as_written(name, all, extent),
        (found, _) => found,
    }
}

fn find_as_written<'a>(
    words: &'a str,
    all: &[Candidate],
    extent: Extent,
) -> Result<(PeerInfo, &'a str), NotFound> {
    if let Some((written, rest)) = Written::read_quoted(words) {
        return match written.best(all).as_slice() {
            _ if extent == Extent::Whole && !rest.is_empty() => Err(NotFound::Nobody),
            [] => Err(NotFound::Nobody),
            found => written.one_of(found, all).map(|peer| (peer, rest)),
        };
    }
    let mut readings: Vec<(Written, Vec<&Candidate>, &str)> = Vec::new();
    for end in ends(words, extent) {
        let (written, rest) = (Written::read(&words[..end]), words[end..].trim_start());
        let found = written.best(all);
        if found.is_empty() {
            continue;
        }
        if written.mark != Mark::None {
            return written.one_of(&found, all).map(|peer| (peer, rest));
        }
        // If the next words are invisible, they belong to the name.
        readings.pop_if(|(_, before, _)| {
            before.iter().map(|one| &one.peer).eq(found.iter().map(|one| &one.peer))
        });
        readings.push((written, found, rest));
    }
    match readings.as_slice() {
        [] => Err(NotFound::Nobody),
        [(written, found, rest)] => written.one_of(found, all).map(|peer| (peer, *rest)),
        [(written, found, _), ..] if readings.iter().all(|(_, found, _)| found[0].fate().is_some()) => {
            written.one_of(found, all).map(|peer| (peer, ""))
        }
        _ => {
            let all = readings.iter().flat_map(|(_, found, rest)| found.iter().map(move |one| (one, rest)));
            let reading = |(one, rest): (&&Candidate, &&str)| {
                let (name, fate) = (&one.peer.name, one.fate());
                let written = if fate.is_some() { name.to_string() } else { one.peer.written() };
                Reading { written, rest: (*rest).to_owned(), fate }
            };
            Err(NotFound::Ambiguous(all.take(RECIPIENTS_LISTED_MAX).map(reading).collect()))
        }
    }
}

/// The positions at which the name may end.
fn ends(words: &str, extent: Extent) -> Vec<usize> {
    let blanks = words.char_indices().filter(|(_, char)| char.is_whitespace()).map(|(at, _)| at);
    let ends = blanks.filter(|_| extent == Extent::Start).chain([words.len()]);
    let ends = ends.take_while(|end| *end <= RECIPIENT_BYTES_MAX);
    ends.filter(|end| words[..*end].ends_with(|char: char| !char.is_whitespace())).collect()
}

impl Written {
    /// Reads a name in quotes at the start of `words`, with its mark if it has one. Returns it, and the text behind.
    fn read_quoted(words: &str) -> Option<(Self, &str)> {
        let (name, rest) = read_quoted(words)?;
        let end = match rest.strip_prefix(" (") {
            Some(_) => rest.find(')').map(|end| end + 1),
            None => Some(rest.find(char::is_whitespace).unwrap_or(rest.len())),
        };
        let mark = end.and_then(|end| Some((Mark::read(&rest[..end])?, &rest[end..])));
        let (mark, rest) = mark.unwrap_or((Mark::None, rest));
        let is_ended = rest.is_empty() || rest.starts_with(char::is_whitespace);
        is_ended.then(|| (Self { name, mark }, rest.trim_start()))
    }

    /// Reads a name without quotes, with its mark if it has one.
    fn read(text: &str) -> Self {
        if let Ok(address) = text.parse() {
            return Self { name: String::new(), mark: Mark::Address(address) };
        }
        let start = if text.ends_with(')') { text.rfind(" (") } else { text.rfind('#') };
        let (name, mark) = start
            .and_then(|start| Some((&text[..start], Mark::read(&text[start..])?)))
            .unwrap_or((text, Mark::None));
        Self { name: name.to_owned(), mark }
    }

    /// The only one of `found`, or the only one that is here: earlier runs with the same name may be lost.
    fn one_of(&self, found: &[&Candidate], all: &[Candidate]) -> Result<PeerInfo, NotFound> {
        let written = |all: &[&Candidate]| {
            let all = all.iter().take(RECIPIENTS_LISTED_MAX);
            all.map(|one| one.peer.written()).collect()
        };
        if let Some(fate) = found.iter().find_map(|one| one.fate()) {
            let peer = found[0].peer.clone();
            // The bearer of the name may have another one now, and other peers may have one that looks like it.
            let is_meant = |peer: &PeerInfo| {
                let had_it = |one: &&Candidate| one.peer.id.is_some() && one.peer.id == peer.id;
                found.iter().any(had_it) || peer.name.is_like(&found[0].peer.name)
            };
            let is_other = |one: &&Candidate| one.fate().is_none() && is_meant(&one.peer);
            let others: Vec<_> = all.iter().filter(is_other).collect();
            return Err(NotFound::Former { peer, fate, others: written(&others) });
        }
        let here: Vec<_> = found.iter().filter(|one| one.attendance == Attendance::Here).copied().collect();
        match if here.is_empty() { found } else { &here } {
            [one] => Ok(one.peer.clone()),
            found => Err(NotFound::Several(written(found))),
        }
    }

    /// The candidates that the name matches best. Those with names out of use count only if there are no others.
    fn best<'a>(&self, all: &'a [Candidate]) -> Vec<&'a Candidate> {
        let (folded, looks) = (fold(&self.name), Looks::new(&self.name));
        let fit = |one: &'a Candidate| Some((self.fit(&one.peer, &folded, &looks)?, one));
        let fitting: Vec<_> = all.iter().filter_map(fit).collect();
        let best = fitting.iter().map(|(fit, _)| *fit).min();
        let best: Vec<_> =
            fitting.into_iter().filter(|(fit, _)| Some(*fit) == best).map(|(_, one)| one).collect();
        let present: Vec<_> = best.iter().copied().filter(|one| one.fate().is_none()).collect();
        if present.is_empty() { best } else { present }
    }

    fn fit(&self, peer: &PeerInfo, folded: &str, looks: &Looks) -> Option<Fit> {
        let has_mark = match &self.mark {
            Mark::None => true,
            Mark::Tag(digits) => peer.id.is_some_and(|id| id.to_string().starts_with(digits)),
            Mark::Address(address) => peer.id.is_none() && peer.address == Some(*address),
        };
        if !has_mark {
            return None;
        }
        // An address alone is enough, whatever the name.
        let is_address = self.name.is_empty() && matches!(self.mark, Mark::Address(_));
        let name = peer.name.bare();
        if is_address || self.name == name {
            Some(Fit::Exact)
        } else if fold(name) == folded {
            Some(Fit::InAnyCase)
        } else if peer.name.looks().is_some_and(|theirs| theirs.are_like(looks)) {
            Some(Fit::ByLooks)
        } else {
            None
        }
    }
}

impl Mark {
    fn read(text: &str) -> Option<Self> {
        if let Some(digits) = text.strip_prefix('#') {
            let is_tag =
                (1..=32).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
            return is_tag.then(|| Self::Tag(digits.to_ascii_lowercase()));
        }
        let address = text.strip_prefix(" (").and_then(|text| text.strip_suffix(')'))?;
        address.parse().ok().map(Self::Address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::label::Label;
    use crate::wire::identity::MemberId;

    fn member(name: &str, tag: &str, is_here: bool) -> Candidate {
        let id = u128::from_str_radix(tag, 16).expect("digits") << (128 - 4 * tag.len());
        let peer = PeerInfo { name: Label::from(name), id: Some(MemberId(id)), address: None };
        Candidate { peer, attendance: if is_here { Attendance::Here } else { Attendance::Lost } }
    }

    fn plain(name: &str, address: &str) -> Candidate {
        let name = if name.is_empty() { Label::of_place(address) } else { Label::from(name) };
        let address = Some(address.parse().expect("an address"));
        Candidate { peer: PeerInfo { name, id: None, address }, attendance: Attendance::Here }
    }

    fn former(name: &str, tag: &str, fate: Fate) -> Candidate {
        Candidate { attendance: Attendance::Former(fate), ..member(name, tag, false) }
    }

    fn everybody() -> Vec<Candidate> {
        vec![
            member("bob", "4aa6", true),
            member("bob the", "77c1", true),
            member("eve", "1111", true),
            member("eve", "2222", true),
            member("Ian", "3333", true),
            member("lan", "4444", true),
            member("\u{430}nna", "5555", true),
            member("dave", "6666", false),
            member("dave", "7777", true),
            member("gone", "8888", false),
            member("Mary Ann", "9999", true),
            member("alice: yes. x", "aaaa", true),
            member("bob#4aa6", "bbbb", true),
            member("q\"u\\o", "cccc", true),
            member("gone#8888", "dddd", true),
            plain("nc", "127.0.0.1:5000"),
            plain("nc", "127.0.0.1:5001"),
            plain("", "127.0.0.1:5002"),
            plain("127.0.0.1:5000", "127.0.0.1:5003"),
        ]
    }

    /// The peer that is meant, by its id or address, and the rest; or why nobody is.
    fn read(words: &str, extent: Extent) -> String {
        read_of(words, &everybody(), extent)
    }

    fn read_of(words: &str, all: &[Candidate], extent: Extent) -> String {
        match find(words, all, extent) {
            Ok((peer, rest)) => {
                let address = || peer.address.expect("an address").to_string();
                let id = peer.id.map(|id| id.to_string()[..4].to_owned());
                format!("{}|{rest}", id.unwrap_or_else(address))
            }
            Err(NotFound::Nobody) => "nobody".to_owned(),
            Err(why @ NotFound::Former { .. }) => why.to_string(),
            Err(NotFound::Oneself) => "oneself".to_owned(),
            Err(NotFound::Several(all)) => format!("several: {}", all.join(", ")),
            Err(NotFound::Ambiguous(all)) => {
                let fate = |fate: Option<Fate>| fate.map_or("", Fate::predicate);
                let all =
                    all.into_iter().map(|one| format!("{}|{}{}", one.written, one.rest, fate(one.fate)));
                format!("two ways: {}", all.collect::<Vec<_>>().join(", "))
            }
        }
    }

    #[test]
    fn recipients_are_read() {
        for (words, expected) in [
            ("bob hi", "4aa6|hi"),
            ("bob  hi  there", "4aa6|hi  there"),
            ("bob\nhi", "4aa6|hi"),
            ("BOB hi", "4aa6|hi"),
            ("b\u{43e}b hi", "4aa6|hi"),
            ("bob", "4aa6|"),
            ("bob the password is x", "two ways: bob#4aa6|the password is x, \"bob the\"#77c1|password is x"),
            ("Bob The password", "two ways: bob#4aa6|The password, \"bob the\"#77c1|password"),
            ("bob#4aa6 the password", "4aa6|the password"),
            ("BOB#4AA6 the password", "4aa6|the password"),
            ("bob#4a hi", "4aa6|hi"),
            ("\"bob\" the password", "4aa6|the password"),
            ("\"bob the\" password", "77c1|password"),
            ("@bob hi", "4aa6|hi"),
            ("@\"bob the\" password", "77c1|password"),
            ("@bob the password", "two ways: bob#4aa6|the password, \"bob the\"#77c1|password"),
            ("@@bob hi", "nobody"),
            ("bob the#77c1 password", "77c1|password"),
            ("\"bob the\"#77c1 password", "77c1|password"),
            ("\"bob\"#77c1 password", "nobody"),
            ("bob#beef hi", "nobody"),
            ("eve hi", "several: eve#1111, eve#2222"),
            ("EVE hi", "several: eve#1111, eve#2222"),
            ("\"eve\" hi", "several: eve#1111, eve#2222"),
            ("eve#2222 hi", "2222|hi"),
            ("Ian hi", "3333|hi"),
            ("ian hi", "3333|hi"),
            ("lan hi", "4444|hi"),
            ("1an hi", "several: Ian#3333, lan#4444"),
            ("anna hi", "5555|hi"),
            ("dave hi", "7777|hi"),
            ("dave#6666 hi", "6666|hi"),
            ("gone hi", "8888|hi"),
            ("gone#8888 hi", "8888|hi"),
            ("Mary Ann hi", "9999|hi"),
            ("mary  ann hi", "9999|hi"),
            ("bob \u{200b} hi", "4aa6|hi"),
            ("\"mary  ann\" hi", "9999|hi"),
            ("mary hi", "nobody"),
            ("alice: yes. x hi", "aaaa|hi"),
            ("\"alice: yes. x\" hi", "aaaa|hi"),
            ("\"bob#4aa6\" hi", "bbbb|hi"),
            ("\"bob#4aa6\"#bbbb hi", "bbbb|hi"),
            ("bob#4aa6#bbbb hi", "bbbb|hi"),
            ("q\"u\\o hi", "cccc|hi"),
            ("\"q\\\"u\\\\o\" hi", "cccc|hi"),
            ("nc hi", "several: \"nc\" (127.0.0.1:5000), \"nc\" (127.0.0.1:5001)"),
            ("nc (127.0.0.1:5001) hi", "127.0.0.1:5001|hi"),
            ("\"nc\" (127.0.0.1:5001) hi", "127.0.0.1:5001|hi"),
            ("\"bob\" (see above)", "4aa6|(see above)"),
            ("\"bob\"", "4aa6|"),
            ("127.0.0.1:5002 hi", "127.0.0.1:5002|hi"),
            ("127.0.0.1:5000 hi", "127.0.0.1:5000|hi"),
            ("\"127.0.0.1:5000\" hi", "127.0.0.1:5003|hi"),
            ("\"bob", "nobody"),
            ("\"bob\"x hi", "nobody"),
            ("", "nobody"),
            ("rob hi", "nobody"),
        ] {
            assert_eq!(read(words, Extent::Start), expected, "{words}");
        }
    }

    #[test]
    fn names_that_nobody_has_any_more_are_read_too() {
        let all = [
            member("bob the", "77c1", true),
            former("bob", "4aa6", Fate::Left),
            member("Ann", "5555", true),
            former("\u{430}nn", "6666", Fate::Left),
            former("Ian", "3333", Fate::Gone),
            member("lan", "4444", true),
            former("rob", "8888", Fate::Renamed),
            member("robert", "8888", true),
            former("eve", "1111", Fate::Left),
            member("eve", "2222", false),
            former("mary", "9999", Fate::Left),
            former("mary ann", "aaaa", Fate::Gone),
        ];
        for (words, expected) in [
            (
                "bob the password is x",
                "two ways: bob|the password is xhas left, \"bob the\"#77c1|password is x",
            ),
            ("BOB the password", "two ways: bob|the passwordhas left, \"bob the\"#77c1|password"),
            ("bob hi", "bob has left"),
            ("bob#4aa6 the password", "bob has left"),
            ("\"bob\" the password", "bob has left"),
            ("\"bob the\" password", "77c1|password"),
            ("ann hi", "5555|hi"),
            ("\u{430}nn hi", "\u{430}nn has left; did you mean Ann#5555?"),
            ("Ian hi", "Ian is gone; did you mean lan#4444?"),
            ("lan hi", "4444|hi"),
            ("rob hi", "rob has another name now; did you mean robert#8888?"),
            ("robert hi", "8888|hi"),
            ("eve hi", "2222|hi"),
            ("mary ann hi", "mary has left"),
            ("carol hi", "nobody"),
        ] {
            assert_eq!(read_of(words, &all, Extent::Start), expected, "{words}");
        }
        let why = find("bob the password is x", &all, Extent::Start).expect_err("bob has left").to_string();
        assert_eq!(
            why,
            "that can be read in several ways: \"the password is x\" to bob, who has left, or \"password is x\" to \
             \"bob the\"#77c1; write \"bob the\"#77c1"
        );
    }

    #[test]
    fn a_name_alone_is_read_whole() {
        for (words, expected) in [
            ("bob the", "77c1|"),
            ("bob", "4aa6|"),
            ("bob hi", "nobody"),
            ("\"bob\"", "4aa6|"),
            ("\"bob\" hi", "nobody"),
            ("nc (127.0.0.1:5000)", "127.0.0.1:5000|"),
        ] {
            assert_eq!(read(words, Extent::Whole), expected, "{words}");
        }
    }

    #[test]
    fn how_a_recipient_is_written_means_it_alone() {
        let is_it = |written: &str, one: &Candidate| match find(written, &everybody(), Extent::Start) {
            Ok((peer, "")) => (peer.id, peer.address) == (one.peer.id, one.peer.address),
            _ => false,
        };
        for one in everybody() {
            assert!(is_it(&one.peer.written(), &one), "{}", one.peer.written());
        }
    }
}
