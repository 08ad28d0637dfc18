//! The line editor by property: whatever bytes a terminal sends, in whatever pieces.

use groupchat::limits::LINE_BYTES_MAX;
use groupchat::terminal::editor::{Editor, Outcome};
use groupchat::terminal::keys::{Key, Keys};
use groupchat::terminal::tab_completion::Completion;
use proptest::prelude::*;
use unicode_segmentation::GraphemeCursor;

/// Bytes as a terminal sends them, and as none does.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let known = [
        "a",
        "b c",
        "\u{65e5}",
        "\u{301}",
        "\u{1f468}\u{200d}",
        "\u{1f467}",
        "\r",
        "\t",
        "\x7f",
        "\x1b",
        "\x1b[",
        "\x1b[A",
        "\x1b[B",
        "\x1b[C",
        "\x1b[D",
        "\x1b[1;5C",
        "\x1bOA",
        "\x1b[Z",
        "\x1b[3~",
        "\x1b[200~",
        "\x1b[201~",
        "\n",
        "\x1bb",
        "\x1bd",
        "\x12",
        "\x07",
        "\x03",
        "\x04",
        "y",
        "n",
        "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n",
    ];
    let known = prop::sample::select(known.to_vec()).prop_map(|text| text.as_bytes().to_vec());
    let any = prop::collection::vec(any::<u8>(), 1..4);
    let control = (0..0x20_u8).prop_map(|byte| vec![byte]);
    prop::collection::vec(prop_oneof![6 => known, 1 => any, 2 => control], 0..80)
        .prop_map(|parts| parts.concat())
}

fn keys_of<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Key> {
    let (mut keys, mut received) = (Keys::default(), Vec::new());
    pieces.into_iter().for_each(|piece| keys.receive(piece, |key| received.push(key)));
    received
}

fn is_sound(editor: &Editor) -> bool {
    let (text, cursor) = (editor.text(), editor.cursor());
    let boundary = GraphemeCursor::new(cursor, text.len(), true).is_boundary(text, 0);
    text.len() <= LINE_BYTES_MAX && boundary == Ok(true)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_000) })]

    #[test]
    fn keys_do_not_depend_on_how_bytes_are_cut(bytes in bytes(), size in 1..9usize) {
        prop_assert_eq!(keys_of([bytes.as_slice()]), keys_of(bytes.chunks(size)));
    }

    #[test]
    fn the_cursor_stays_between_characters_and_everything_can_be_undone(bytes in bytes()) {
        let mut editor = Editor::default();
        for key in keys_of([bytes.as_slice()]) {
            let is_tab = key == Key::Tab;
            if editor.press(key) == Outcome::Complete && is_tab {
                let candidates = vec!["bob ".to_owned(), "\u{301}bert ".to_owned()];
                editor.offer(Completion { from: 0, candidates });
            }
            prop_assert!(is_sound(&editor), "{:?}", editor);
        }
        // Ctrl+G ends a search, n a question; then Ctrl+_ undoes, until there is nothing to undo.
        for key in [Key::Ctrl('g'), Key::Char('n')] {
            editor.press(key);
        }
        let steps = (0..=200).take_while(|_| editor.press(Key::Ctrl('_')) != Outcome::Bell).count();
        prop_assert!(steps <= 200 && is_sound(&editor));
        prop_assert!(editor.text().is_empty() || steps == 100, "{:?} is left", editor.text());
    }
}
