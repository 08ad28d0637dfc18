//! How far the cursor goes at a time: to the next cluster, word, or white space.

use unicode_segmentation::{GraphemeCursor, UnicodeSegmentation as _};

/// How many lines a text has.
pub(super) fn count_lines(text: &str) -> usize {
    text.split('\n').count()
}

/// A cursor at `at`, which is between two characters. It looks only at what is near.
fn cursor(text: &str, at: usize) -> GraphemeCursor {
    GraphemeCursor::new(at, text.len(), true)
}

fn is_boundary(text: &str, at: usize) -> bool {
    // It fails only where the text is in several pieces.
    cursor(text, at).is_boundary(text, 0).unwrap_or(true)
}

/// Where the cluster that holds `at` begins.
pub(super) fn cluster_start(text: &str, at: usize) -> usize {
    if is_boundary(text, at) { at } else { cluster_before(text, at) }
}

/// `at`, or where the cluster that is around it ends.
pub(super) fn cluster_end(text: &str, at: usize) -> usize {
    if is_boundary(text, at) { at } else { cluster_after(text, at) }
}

/// Where the cluster before `at` begins.
pub(super) fn cluster_before(text: &str, at: usize) -> usize {
    cursor(text, at).prev_boundary(text, 0).ok().flatten().unwrap_or(0)
}

/// Where the cluster at `at` ends.
pub(super) fn cluster_after(text: &str, at: usize) -> usize {
    cursor(text, at).next_boundary(text, 0).ok().flatten().unwrap_or(text.len())
}

fn is_word(cluster: &str) -> bool {
    cluster.chars().next().is_some_and(|char| char.is_alphanumeric() || char == '_')
}

/// Where the word before `at` begins.
pub(super) fn word_before(text: &str, at: usize) -> usize {
    let clusters = text[..at].grapheme_indices(true).rev();
    let word =
        clusters.skip_while(|(_, cluster)| !is_word(cluster)).take_while(|(_, cluster)| is_word(cluster));
    word.last().map_or(0, |(start, _)| start)
}

/// Where the word at `at`, or the next one, ends.
pub(super) fn word_after(text: &str, at: usize) -> usize {
    let clusters = text[at..].grapheme_indices(true);
    let word =
        clusters.skip_while(|(_, cluster)| !is_word(cluster)).take_while(|(_, cluster)| is_word(cluster));
    word.last().map_or(text.len(), |(start, cluster)| at + start + cluster.len())
}

/// Where what stands before `at` begins, up to the white space before it.
pub(super) fn blank_before(text: &str, at: usize) -> usize {
    let is_blank = |cluster: &str| cluster.trim().is_empty();
    let clusters = text[..at].grapheme_indices(true).rev();
    let part =
        clusters.skip_while(|(_, cluster)| is_blank(cluster)).take_while(|(_, cluster)| !is_blank(cluster));
    part.last().map_or(0, |(start, _)| start)
}
