//! Korean particles and titles, which follow a name without a blank.

use super::is_of_word;
use crate::look_alike::push_syllable;

/// Whether the Hangul word at the start of `behind` consists only of particles and titles that follow names.
pub(super) fn are_particles(behind: &str) -> bool {
    let end = behind.find(|char| !is_hangul(char)).unwrap_or(behind.len());
    let is_at_end = !behind[end..].chars().next().is_some_and(is_of_word);
    is_at_end && are_particles_up_to(&letters(&behind[..end]), PARTICLES_MAX)
}

/// The greatest number of particles after one name: a title, a particle of direction, a topic marker.
const PARTICLES_MAX: usize = 3;

fn are_particles_up_to(word: &[char], count: usize) -> bool {
    let is_rest = |particle: &str| {
        word.strip_prefix(&*letters(particle)).is_some_and(|rest| are_particles_up_to(rest, count - 1))
    };
    word.is_empty() || count > 0 && (PARTICLES.iter().any(|particle| is_rest(particle)) || is_past(word))
}

/// Whether a word is the copula in the past.
fn is_past(word: &[char]) -> bool {
    let stem = ["이었", "였"].into_iter().find_map(|stem| word.strip_prefix(&*letters(stem)));
    stem.is_some_and(|ending| PAST_ENDINGS.iter().any(|one| ending == letters(one)))
}

/// The letters of syllables of Hangul.
pub(super) fn letters(syllables: &str) -> Vec<char> {
    let mut letters = Vec::new();
    syllables.chars().for_each(|char| push_syllable(char, |letter| letters.push(letter)));
    letters
}

/// Endings of the copula in the past.
const PAST_ENDINGS: [&str; 28] = [
    "어",
    "어요",
    "다",
    "다고",
    "다가",
    "다면",
    "대",
    "지",
    "지만",
    "죠",
    "지요",
    "고",
    "나",
    "나요",
    "네",
    "네요",
    "는데",
    "는지",
    "던",
    "으면",
    "으니",
    "을까",
    "습니다",
    "습니까",
    "구나",
    "군요",
    "거든",
    "잖아",
];

/// Common particles, forms of the copula and titles after names.
const PARTICLES: [&str; 120] = [
    "이",
    "가",
    "은",
    "는",
    "을",
    "를",
    "의",
    "에",
    "에게",
    "에게서",
    "한테",
    "한테서",
    "께",
    "께서",
    "와",
    "과",
    "랑",
    "이랑",
    "하고",
    "도",
    "만",
    "로",
    "으로",
    "부터",
    "까지",
    "처럼",
    "보다",
    "마다",
    "조차",
    "마저",
    "밖에",
    "라도",
    "이라도",
    "나",
    "이나",
    "야",
    "아",
    "이야",
    "여",
    "이여",
    "요",
    "이요",
    "라고",
    "이라고",
    "라는",
    "이라는",
    "란",
    "이란",
    "라면",
    "이라면",
    "네",
    "이네",
    "들",
    "뿐",
    "같이",
    "대로",
    "더러",
    "보고",
    "커녕",
    "든지",
    "이든지",
    "예요",
    "이에요",
    "입니다",
    "이다",
    "인데",
    "인가",
    "이지",
    "씨",
    "님",
    "군",
    "양",
    "형",
    "누나",
    "언니",
    "오빠",
    "선배",
    "쌤",
    "인",
    "이고",
    "이면",
    "면",
    "이라",
    "라서",
    "이라서",
    "이니",
    "니",
    "이냐",
    "냐",
    "죠",
    "이죠",
    "지요",
    "이지요",
    "구나",
    "이구나",
    "군요",
    "이군요",
    "거든",
    "이거든",
    "잖아",
    "이잖아",
    "인지",
    "인데요",
    "입니까",
    "이예요",
    "에요",
    "여서",
    "이어서",
    "아니",
    "야말로",
    "이야말로",
    "만큼",
    "치고",
    "에겐",
    "한텐",
    "보단",
    "까진",
    "선생님",
    "아빠",
    "엄마",
];

/// Whether this is a syllable or letter of Hangul.
pub(super) fn is_hangul(char: char) -> bool {
    matches!(char, '\u{ac00}'..='\u{d7a3}' | '\u{1100}'..='\u{11ff}' | '\u{3131}'..='\u{318e}')
        || matches!(char, '\u{a960}'..='\u{a97c}' | '\u{d7b0}'..='\u{d7fb}')
}
