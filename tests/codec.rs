//! The frame codec, by property: every message arrives as it was sent, and no bytes do harm.

use chrono::DateTime;
use groupchat::limits::FRAME_BYTES_MAX;
use groupchat::wire::Decoder;
use groupchat::wire::frame::{self, Code, Framing};
use groupchat::wire::lab;
use groupchat::wire::message::{MessageWriter, read_message};
use std::ops::ControlFlow;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// Texts full of what codes are made of.
fn text() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        4 => select(vec![
            "<", ">", "\\", "\\\\", "ENCD>", "ENCD", "MSG", "EXIT", "<MSGENCD>", "<\\MSGENCD>", "<EXTENCD>",
            "<ABCDEFGHENCD>", "<ABCDEFGHIENCD>", "<ENCDENCD>", ":\n\t\t", "] ", "[", "\n", "\0", "\x08",
        ]).prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
        1 => "[ -~]{0,40}",
    ];
    vec(part, 0..40).prop_map(|parts| parts.concat())
}

/// Feeds `bytes` to a decoder, cut at `cuts`. Returns its frames as (code, text, framing), and whether
/// the stream was closed as too long.
fn receive(bytes: &[u8], cuts: &[Index]) -> (Vec<(Code, String, Framing)>, bool) {
    let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    cuts.push(bytes.len());
    cuts.sort_unstable();
    let (mut decoder, mut frames, mut start) = (Decoder::default(), Vec::new(), 0);
    for end in cuts {
        let piece = &bytes[start..end];
        let result = decoder.receive(piece, |frame| {
            frames.push((frame.code, frame.text().into_owned(), frame.framing));
            ControlFlow::Continue(())
        });
        assert!(decoder.unfinished_bytes() < FRAME_BYTES_MAX + 2, "a decoder grows no further");
        if result.is_err() {
            return (frames, true);
        }
        start = end;
    }
    (frames, false)
}

fn lab_frame(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    lab::write(Code::Message, text.as_bytes(), &mut bytes);
    bytes
}

fn text_frame(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame::escape(text.as_bytes(), &mut bytes);
    bytes.extend_from_slice(Code::Message.spelled(Framing::Text));
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_text_survives_text_framing(texts in vec(text(), 1..5), cuts in vec(any::<Index>(), 0..12)) {
        // The first byte of a text peer is never a control character, or it would be a length.
        let texts: Vec<_> = texts.into_iter().map(|text| format!("[{text}")).collect();
        let bytes: Vec<u8> = texts.iter().flat_map(|text| text_frame(text)).collect();
        let (frames, is_too_long) = receive(&bytes, &cuts);
        let expected: Vec<_> = texts.into_iter().map(|text| (Code::Message, text, Framing::Text)).collect();
        prop_assert_eq!(frames, expected);
        prop_assert!(!is_too_long);
    }

    #[test]
    fn every_text_survives_lab_framing(texts in vec(text(), 1..5), cuts in vec(any::<Index>(), 0..12)) {
        let bytes: Vec<u8> = texts.iter().flat_map(|text| lab_frame(text)).collect();
        let (frames, _) = receive(&bytes, &cuts);
        let expected: Vec<_> = texts.into_iter().map(|text| (Code::Message, text, Framing::Lab)).collect();
        prop_assert_eq!(frames, expected);
    }

    #[test]
    fn every_message_survives_being_written_and_read(
        name in "[!-~ü€🦀]{1,16}", texts in vec(text(), 1..4), cuts in vec(any::<Index>(), 0..12),
    ) {
        prop_assume!(!name.contains(":\n\t\t"));
        let at = DateTime::parse_from_rfc3339("2026-11-22T06:55:22.756724+01:00").expect("a time");
        let mut writer = MessageWriter::new(name.clone());
        let mut bytes = Vec::new();
        for text in &texts {
            prop_assert_eq!(writer.write(text, at, &mut bytes), "");
        }
        let (frames, _) = receive(&bytes, &cuts);
        prop_assert_eq!(frames.len(), texts.len());
        for ((_, body, _), text) in frames.iter().zip(&texts) {
            let message = read_message(body).expect("the usual shape");
            prop_assert_eq!((message.name, message.text), (Some(name.as_str()), text.as_str()));
        }
    }

    #[test]
    fn arbitrary_bytes_mean_the_same_at_every_cut(
        bytes in prop_oneof![vec(any::<u8>(), 0..400), text().prop_map(String::into_bytes)],
        cuts in vec(any::<Index>(), 0..12),
    ) {
        prop_assert_eq!(receive(&bytes, &cuts), receive(&bytes, &[]));
    }

    #[test]
    fn escaping_leaves_no_code_and_is_undone(bytes in prop_oneof![vec(any::<u8>(), 0..200), text().prop_map(String::into_bytes)]) {
        let mut escaped = Vec::new();
        frame::escape(&bytes, &mut escaped);
        prop_assert_eq!(frame::codes(&escaped, 0).count(), 0);
        prop_assert_eq!(frame::unescape(&escaped), bytes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn long_streams_mean_the_same_at_every_cut_and_stay_within_the_limit(
        filler in 65_500_usize..65_560, repeats in 1_usize..3, first in any::<u8>(), cuts in vec(any::<Index>(), 0..40),
    ) {
        let mut bytes = vec![first];
        for _ in 0..repeats {
            bytes.resize(bytes.len() + filler, b'a');
            bytes.extend_from_slice(b"<MSGENCD>");
        }
        prop_assert_eq!(receive(&bytes, &cuts), receive(&bytes, &[]));
    }
}
