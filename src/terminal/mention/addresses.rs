//! URLs, e-mail addresses, host names and paths in a text, which contain no mention.

use std::ops::Range;

use super::{is_attached, is_of_word, is_written_without_blanks};

/// A run of URL characters, and the ranges of the addresses in it.
#[derive(Debug, Default)]
pub(super) struct Run {
    pub end: usize,
    /// The ranges, ordered by their starts and ends.
    pub addresses: Vec<Range<usize>>,
}

impl Run {
    /// The run around `at`.
    pub fn around(text: &str, at: usize) -> Self {
        let start = text[..at]
            .rfind(|char| !is_of_url(char))
            .map_or(0, |last| last + text[last..].chars().next().map_or(0, char::len_utf8));
        let end = text[at..].find(|char| !is_of_url(char)).map_or(text.len(), |length| at + length);
        let run = &text[start..end];
        let url = url_start(run).unwrap_or(run.len());
        let mut addresses: Vec<_> = mailboxes(&run[..url]).chain(paths(&run[..url])).collect();
        addresses.extend((url < run.len()).then_some(url..run.len()));
        addresses.sort_unstable_by_key(|address| address.start);
        addresses.dedup_by(|next, last| {
            let is_one = next.start < last.end;
            if is_one {
                last.end = last.end.max(next.end);
            }
            is_one
        });
        addresses.iter_mut().for_each(|address| *address = start + address.start..start + address.end);
        Self { end, addresses }
    }
}

/// The e-mail addresses in a run.
fn mailboxes(run: &str) -> impl Iterator<Item = Range<usize>> {
    let mailbox_chars = |char: char| char.is_ascii_alphanumeric() || "._%+-".contains(char);
    run.match_indices('@').filter_map(move |(sign, _)| {
        let local = run[..sign].len() - run[..sign].trim_end_matches(mailbox_chars).len();
        let domain = &run[sign + 1..];
        let domain = &domain[..domain.find(|char| !mailbox_chars(char)).unwrap_or(domain.len())];
        let has_dot = domain.trim_matches('.').contains('.');
        (local > 0 && has_dot).then(|| sign - local..sign + 1 + domain.len())
    })
}

/// The paths, host names and names of files in a run.
fn paths(run: &str) -> impl Iterator<Item = Range<usize>> {
    let is_of_path = |char: char| char.is_alphanumeric() || is_attached(char) || "._-~/+%".contains(char);
    let mut end = 0;
    std::iter::from_fn(move || {
        let start = end + run[end..].find(is_of_path)?;
        end = run[start..].find(|char| !is_of_path(char)).map_or(run.len(), |length| start + length);
        Some(start..end)
    })
    .flat_map(|path| {
        let is_begun = run[..path.start].chars().next_back().is_none_or(|char| "([{=:;,'".contains(char));
        if is_begun && is_rooted(&run[path.clone()]) {
            return vec![path];
        }
        // Beside words without blanks.
        let mut from = path.start;
        let pieces = run[path].split_inclusive(is_written_without_blanks).map(|piece| {
            let start = from;
            from += piece.len();
            start..start + piece.trim_end_matches(is_written_without_blanks).len()
        });
        pieces.filter(|piece| has_dotted_words(&run[piece.clone()])).collect()
    })
}

/// Whether a path begins at a root, a home or the current directory.
fn is_rooted(path: &str) -> bool {
    let is_of_home = path.starts_with('~') && path.contains('/');
    is_of_home || path.trim_start_matches('.').starts_with('/') && !path.starts_with("//")
}

/// Whether there is a dot within a word, as in a host name or the name of a file: not the number of an item,
/// and not the end of a sentence.
fn has_dotted_words(path: &str) -> bool {
    path.match_indices('.').any(|(dot, _)| {
        let before = &path[..dot];
        let word = before.rsplit(|char: char| !char.is_alphanumeric()).next().unwrap_or_default();
        let next = path[dot + 1..].chars().next();
        word.contains(char::is_alphabetic)
            && next.is_some_and(|next| next.is_ascii_lowercase() || next.is_ascii_digit())
    })
}

/// The start of a URL in a run: its scheme, or `www.`.
fn url_start(run: &str) -> Option<usize> {
    const SCHEMES_WITHOUT_SLASHES: [&str; 6] = ["mailto", "xmpp", "sip", "sips", "acct", "file"];
    let is_of_scheme = |char: char| char.is_ascii_alphanumeric() || "+.-".contains(char);
    let scheme = run.match_indices(':').find_map(|(colon, _)| {
        let start = run[..colon].trim_end_matches(is_of_scheme).len();
        let scheme = &run[start..colon];
        let is_known = || SCHEMES_WITHOUT_SLASHES.iter().any(|known| scheme.eq_ignore_ascii_case(known));
        let is_scheme = !scheme.is_empty() && (run[colon..].starts_with("://") || is_known());
        is_scheme.then_some(start)
    });
    let is_domain = |&(at, _): &(usize, &str)| !run[..at].chars().next_back().is_some_and(is_of_word);
    let domain = run.match_indices("www.").find(is_domain).map(|(at, _)| at);
    [scheme, domain].into_iter().flatten().min()
}

/// Whether a URL may contain a character: those of RFC 3986, and letters of every script.
fn is_of_url(char: char) -> bool {
    char.is_alphanumeric() || is_attached(char) || char.is_ascii_graphic() && !"<>\"`{}|\\^".contains(char)
}
