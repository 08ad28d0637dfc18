//! How far the cursor goes at a time: to the next cluster, word, or white space.

use unicode_segmentation::UnicodeSegmentation as _;

/// How many lines a text has.
pub(super) fn count_lines(text: &str) -> usize {
    text.split('\n').count()
}

/// Where the cluster that holds `at` begins.
pub(super) fn cluster_at(text: &str, at: usize) -> usize {
    text.grapheme_indices(true).map(|(start, _)| start).take_while(|start| *start <= at).last().unwrap_or(0)
}

/// Where the cluster before `at` begins.
pub(super) fn cluster_before(text: &str, at: usize) -> usize {
    text[..at].grapheme_indices(true).next_back().map_or(0, |(start, _)| start)
}

/// Where the cluster at `at` ends.
pub(super) fn cluster_after(text: &str, at: usize) -> usize {
    text[at..].graphemes(true).next().map_or(at, |cluster| at + cluster.len())
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
