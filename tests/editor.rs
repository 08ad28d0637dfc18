//! The line editor by property: whatever bytes a terminal sends, in whatever pieces.

use groupchat::limits::MESSAGE_BYTES_MAX;
use groupchat::terminal::editor::{Editor, Outcome};
use groupchat::terminal::keys::{Key, Keys};
use groupchat::terminal::tab_completion::Completion;
use groupchat::terminal::unmarked_paste::UnmarkedPaste;
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

/// Input of a terminal that is no key: reports of the mouse and the focus, and replies to queries, which
/// may be strings of any text.
fn report() -> impl Strategy<Value = Vec<u8>> {
    let number = || 0..3_000_u32;
    let strings = ["\x1b]", "\x1bP", "\x1b_", "\x1b^", "\x1bX", "\u{9d}", "\u{90}", "\u{9f}"];
    let ends = ["\x07", "\x1b\\", "\u{9c}"];
    // Any character but control characters.
    let text = "[^\\x00-\\x1f\\x7f-\\u{9f}]{0,40}";
    let outcome = (prop::sample::select(strings.to_vec()), text, prop::sample::select(ends.to_vec()))
        .prop_map(|(begin, text, end)| format!("{begin}{text}{end}").into_bytes());
    let numbers = |count| prop::collection::vec(number(), count);
    let joined = |numbers: Vec<u32>| numbers.iter().map(u32::to_string).collect::<Vec<_>>().join(";");
    let private = (prop::sample::select(vec!['?', '>', '<', '=']), numbers(0..8), 0x40..0x7f_u8).prop_map(
        move |(mark, numbers, last)| format!("\x1b[{mark}{}{}", joined(numbers), last as char).into(),
    );
    let public =
        (numbers(3..6), prop::sample::select(vec!["R", "n", "t", "c", "$y", "x", "M", "&w", "_", "I", "O"]))
            .prop_map(move |(numbers, last)| format!("\x1b[{}{last}", joined(numbers)).into());
    // In bytes up to 0xc1, which begin no character of two bytes, and as characters of one or two bytes.
    let byte = (0x20..0xc2_u8).prop_map(|byte| vec![byte]);
    let character = (0x20..0x800_u32)
        .prop_filter_map("a character", char::from_u32)
        .prop_map(|char| char.to_string().into());
    let place = |bytes: BoxedStrategy<Vec<u8>>| {
        prop::collection::vec(bytes, 3).prop_map(|bytes| [b"\x1b[M".to_vec(), bytes.concat()].concat())
    };
    let released = (1..200_u32).prop_map(|code| format!("\x1b[{code};1:3u").into());
    let focus = prop::sample::select(vec![b"\x1b[I".to_vec(), b"\x1b[O".to_vec()]);
    prop_oneof![
        3 => outcome,
        2 => private,
        2 => public,
        1 => place(byte.boxed()),
        1 => place(character.boxed()),
        1 => released,
        1 => focus,
    ]
}

fn keys_of<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Key> {
    let (mut keys, mut received) = (Keys::default(), Vec::new());
    pieces.into_iter().for_each(|piece| keys.receive(piece, |key| received.push(key)));
    keys.expire(|key| received.push(key));
    received
}

fn is_sound(editor: &Editor) -> bool {
    let (text, cursor) = (editor.text(), editor.cursor());
    let boundary = GraphemeCursor::new(cursor, text.len(), true).is_boundary(text, 0);
    text.len() <= MESSAGE_BYTES_MAX && boundary == Ok(true)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_000) })]

    #[test]
    fn keys_do_not_depend_on_how_bytes_are_cut(bytes in bytes(), size in 1..9usize) {
        prop_assert_eq!(keys_of([bytes.as_slice()]), keys_of(bytes.chunks(size)));
    }

    #[test]
    fn what_a_terminal_reports_is_never_a_key(
        reports in prop::collection::vec(report(), 1..8),
        size in 1..9_usize,
        cut in any::<prop::sample::Index>(),
    ) {
        let mut expected = Vec::new();
        let mut bytes = Vec::new();
        for report in &reports {
            bytes.extend_from_slice(report);
            bytes.push(b'x');
            expected.push(Key::Char('x'));
        }
        prop_assert_eq!(keys_of(bytes.chunks(size)), expected);
        // The last one does not go on, and the next key comes when it has expired.
        let last = &reports[0];
        let cut = 3 + cut.index(last.len().max(4) - 3);
        let (mut keys, mut received) = (Keys::default(), Vec::new());
        keys.receive(&last[..cut.min(last.len())], |key| received.push(key));
        keys.expire(|key| received.push(key));
        keys.receive(b"x", |key| received.push(key));
        prop_assert_eq!(received, [Key::Char('x')]);
    }

    #[test]
    fn the_cursor_stays_between_characters_and_everything_can_be_undone(
        bytes in bytes(),
        size in 1..80_usize,
    ) {
        let (mut editor, mut paste, mut keys) = (Editor::default(), UnmarkedPaste::default(), Vec::new());
        for piece in bytes.chunks(size) {
            paste.receive(&keys_of([piece]), |key| keys.push(key));
        }
        paste.expire(|key| keys.push(key));
        for key in keys {
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
