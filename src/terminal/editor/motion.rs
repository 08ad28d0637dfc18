//! Cursor motion: the positions of clusters, words, and white space. All positions are in bytes.

use unicode_segmentation::{GraphemeCursor, UnicodeSegmentation as _};

/// The number of lines in a text.
pub(super) fn count_lines(text: &str) -> usize {
    text.split('\n').count()
}

/// A grapheme cursor at `at`, which is between two characters. It examines only the text nearby.
fn cursor(text: &str, at: usize) -> GraphemeCursor {
    GraphemeCursor::new(at, text.len(), true)
}

fn is_boundary(text: &str, at: usize) -> bool {
    // The call fails only for a text in several chunks.
    cursor(text, at).is_boundary(text, 0).unwrap_or(true)
}

/// The start of the cluster around `at`.
pub(super) fn cluster_start(text: &str, at: usize) -> usize {
    if is_boundary(text, at) { at } else { cluster_before(text, at) }
}

/// `at` if it is a boundary, otherwise the end of the cluster around it.
pub(super) fn cluster_end(text: &str, at: usize) -> usize {
    if is_boundary(text, at) { at } else { cluster_after(text, at) }
}

/// The start of the cluster before `at`.
pub(super) fn cluster_before(text: &str, at: usize) -> usize {
    cursor(text, at).prev_boundary(text, 0).ok().flatten().unwrap_or(0)
}

/// The end of the cluster after `at`.
pub(super) fn cluster_after(text: &str, at: usize) -> usize {
    cursor(text, at).next_boundary(text, 0).ok().flatten().unwrap_or(text.len())
}

fn is_word(cluster: &str) -> bool {
    cluster.chars().next().is_some_and(|char| char.is_alphanumeric() || char == '_')
}

/// The start of the word before `at`.
pub(super) fn word_before(text: &str, at: usize) -> usize {
    let clusters = text[..at].grapheme_indices(true).rev();
    let word =
        clusters.skip_while(|(_, cluster)| !is_word(cluster)).take_while(|(_, cluster)| is_word(cluster));
    word.last().map_or(0, |(start, _)| start)
}

/// The end of the word at or after `at`.
pub(super) fn word_after(text: &str, at: usize) -> usize {
    let clusters = text[at..].grapheme_indices(true);
    let word =
        clusters.skip_while(|(_, cluster)| !is_word(cluster)).take_while(|(_, cluster)| is_word(cluster));
    word.last().map_or(text.len(), |(start, cluster)| at + start + cluster.len())
}

/// The start of the run without white space before `at`.
pub(super) fn blank_before(text: &str, at: usize) -> usize {
    let is_blank = |cluster: &str| cluster.trim().is_empty();
    let clusters = text[..at].grapheme_indices(true).rev();
    let part =
        clusters.skip_while(|(_, cluster)| is_blank(cluster)).take_while(|(_, cluster)| !is_blank(cluster));
    part.last().map_or(0, |(start, _)| start)
}
