//! The invite to a private group: one line with a proposed name, addresses of members, and the secret.
//!
//! `friends@192.168.1.7:5000,[2001:db8::7]:5000/k7qx-2m9p-t4wc-hn8d-5vrb-j3sy-6gfe-a1zk`
//!
//! - The name is only a proposal: a [`GroupName`].
//! - One to three addresses follow, each a `HOST:PORT`; an IPv6 address stands in brackets.
//! - The last part is 32 characters of lower-case Crockford base32, in groups of four: the 16 bytes of the secret, and
//!   the first 4 bytes of BLAKE2s-256 of `groupchat/2 invite` and the secret. So a typo is reported as a typo.
//! - When an invite is read, blanks and line breaks do not count, and neither does the case of letters. In the last part
//!   hyphens do not count either, `o` is `0`, and `i` and `l` are `1`.

use std::fmt;
use std::str::FromStr;

use blake2::{Blake2s256, Digest as _};
use zeroize::Zeroizing;

use crate::address::{self, PeerAddress};
use crate::limits::{GROUP_NAME_CHARS_MAX, INVITE_ADDRESSES_MAX, INVITE_BYTES_MAX};
use crate::seal::Secret;
use crate::unicode::is_blank_char;

/// The environment variable with an invite.
pub const VARIABLE: &str = "GROUPCHAT_INVITE";

/// The digits of Crockford's base32: `i`, `l`, `o` and `u` are none.
const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// The digits of the last part, 5 bits each: the secret of 16 bytes, and 4 bytes to check it.
const SECRET_DIGITS: usize = 32;

/// The parts of an invite that can be missing.
const NAME: &str = "name before '@'";
const ADDRESS: &str = "address after '@'";
const SECRET: &str = "secret after '/'";

/// The name of a private group: 1 to 32 of the characters `a` to `z`, `0` to `9` and `-`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupName(String);

impl FromStr for GroupName {
    type Err = InviteError;

    fn from_str(text: &str) -> Result<Self, InviteError> {
        let is_name = (1..=GROUP_NAME_CHARS_MAX).contains(&text.len())
            && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        is_name.then(|| Self(text.to_owned())).ok_or(InviteError::Name)
    }
}

impl fmt::Display for GroupName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An invite to a private group. It has no `Display`, so that it is not written to a log by accident.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invite {
    name: GroupName,
    addresses: Vec<PeerAddress>,
    secret: Secret,
}

impl Invite {
    /// An invite with these parts.
    ///
    /// # Errors
    ///
    /// [`InviteError`], if there is no address, too many of them, or one that has no host or characters that no host
    /// name has; and if the invite is longer than [`INVITE_BYTES_MAX`].
    pub fn new(name: GroupName, addresses: Vec<PeerAddress>, secret: Secret) -> Result<Self, InviteError> {
        if addresses.is_empty() {
            return Err(InviteError::Missing(ADDRESS));
        }
        if addresses.len() > INVITE_ADDRESSES_MAX {
            return Err(InviteError::TooManyAddresses);
        }
        if let Some(index) = addresses.iter().position(|address| parse_address(address.text()).is_none()) {
            return Err(InviteError::Address(index + 1));
        }
        let invite = Self { name, addresses, secret };
        if invite.public_part().len() + "/".len() + SECRET_DIGITS / 4 * 5 - 1 > INVITE_BYTES_MAX {
            return Err(InviteError::TooLong);
        }
        Ok(invite)
    }

    /// Reads an invite that somebody typed or pasted.
    ///
    /// # Errors
    ///
    /// [`InviteError`], which quotes nothing of the invite but a character that cannot be in it.
    pub fn parse(text: &str) -> Result<Self, InviteError> {
        let text = without_blanks(text)?;
        let (name, rest) = text.split_once('@').unwrap_or(("", &text));
        if name.is_empty() {
            return Err(InviteError::Missing(NAME));
        }
        let (addresses, secret) = rest.rsplit_once('/').unwrap_or((rest, ""));
        if secret.is_empty() {
            return Err(InviteError::Missing(SECRET));
        }
        let name = name.parse()?;
        let secret = parse_secret(secret)?;
        if addresses.is_empty() {
            return Err(InviteError::Missing(ADDRESS));
        }
        let addresses = addresses.split(',').zip(1..);
        let addresses: Result<_, _> =
            addresses.map(|(text, number)| parse_address(text).ok_or(InviteError::Address(number))).collect();
        Self::new(name, addresses?, secret)
    }

    /// The invite as one line, with the secret in it.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        // All of it fits, so that the string never moves and leaves a copy behind.
        let mut text = Zeroizing::new(String::with_capacity(INVITE_BYTES_MAX));
        text.push_str(&self.public_part());
        // One byte more than the digits take, so that every digit begins in a byte that has another one after it.
        let mut bytes = Zeroizing::new([0; SECRET_DIGITS * 5 / 8 + 1]);
        bytes[..16].copy_from_slice(self.secret.bytes());
        bytes[16..20].copy_from_slice(&check(&self.secret));
        for index in 0..SECRET_DIGITS {
            if index % 4 == 0 {
                text.push(if index == 0 { '/' } else { '-' });
            }
            let (byte, bit) = (index * 5 / 8, index * 5 % 8);
            let bits = u16::from_be_bytes([bytes[byte], bytes[byte + 1]]) >> (11 - bit) & 31;
            text.push(char::from(DIGITS[usize::from(bits)]));
        }
        text
    }

    /// The invite without its secret.
    fn public_part(&self) -> String {
        let addresses: Vec<_> = self.addresses.iter().map(PeerAddress::text).collect();
        format!("{}@{}", self.name, addresses.join(","))
    }

    /// The proposed name.
    #[must_use]
    pub fn name(&self) -> &GroupName {
        &self.name
    }

    /// The addresses of members: one to three.
    #[must_use]
    pub fn addresses(&self) -> &[PeerAddress] {
        &self.addresses
    }

    /// The secret of the group.
    #[must_use]
    pub fn secret(&self) -> &Secret {
        &self.secret
    }
}

/// Parses an address of an invite: a `HOST:PORT` that [`address::parse`] accepts, of characters that IP addresses and host
/// names have. A port alone is none: it means another machine to each reader.
#[must_use]
pub fn parse_address(text: &str) -> Option<PeerAddress> {
    let has_host = text.contains(':');
    let is_plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".:-_[]".contains(&byte));
    address::parse(text).ok().filter(|_| has_host && is_plain)
}

/// Whether a command-line argument has the shape of an invite, even a mistyped one: `NAME@...`, and some 32 letters and
/// digits after the last slash. Everybody on the machine can read such an argument.
#[must_use]
pub fn looks_like_invite(argument: &str) -> bool {
    let Some((name, rest)) = argument.split_once('@') else { return false };
    let Some((_, secret)) = rest.rsplit_once('/') else { return false };
    let digits = secret.chars().filter(|char| char.is_ascii_alphanumeric()).count();
    !name.is_empty()
        && !name.contains('/')
        && (SECRET_DIGITS * 3 / 4..=SECRET_DIGITS * 5 / 4).contains(&digits)
}

/// The text without blanks, in lower case.
fn without_blanks(text: &str) -> Result<Zeroizing<String>, InviteError> {
    // All of it fits, so that the string never moves and leaves a copy behind.
    let mut short = Zeroizing::new(String::with_capacity(INVITE_BYTES_MAX));
    for char in text.chars().filter(|char| !is_blank_char(*char)) {
        if short.len() + char.len_utf8() > INVITE_BYTES_MAX {
            return Err(InviteError::TooLong);
        }
        short.push(char.to_ascii_lowercase());
    }
    Ok(short)
}

fn parse_secret(text: &str) -> Result<Secret, InviteError> {
    let mut bytes = Zeroizing::new([0; SECRET_DIGITS * 5 / 8 + 1]);
    let mut count = 0;
    for char in text.chars().filter(|char| *char != '-') {
        let digit = parse_digit(char).ok_or(InviteError::Character(char))?;
        if count < SECRET_DIGITS {
            let (byte, bit) = (count * 5 / 8, count * 5 % 8);
            let [high, low] = (digit << (11 - bit)).to_be_bytes();
            bytes[byte] |= high;
            bytes[byte + 1] |= low;
        }
        count += 1;
    }
    if count != SECRET_DIGITS {
        return Err(InviteError::SecretLength(count));
    }
    let secret = Secret::new(*bytes.first_chunk().expect("16 of 21 bytes"));
    if bytes[16..20] == check(&secret) { Ok(secret) } else { Err(InviteError::Mistyped) }
}

fn parse_digit(char: char) -> Option<u16> {
    let meant = match char {
        'o' => '0',
        'i' | 'l' => '1',
        _ => char,
    };
    DIGITS.iter().zip(0..).find_map(|(digit, value)| (char::from(*digit) == meant).then_some(value))
}

fn check(secret: &Secret) -> [u8; 4] {
    let mut hash = Blake2s256::new();
    hash.update(b"groupchat/2 invite");
    hash.update(secret.bytes());
    *hash.finalize().first_chunk().expect("4 of 32 bytes")
}

/// The reason why a text is no invite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InviteError {
    /// There is no such part.
    Missing(&'static str),
    /// It is longer than [`INVITE_BYTES_MAX`].
    TooLong,
    /// The name is none for a group.
    Name,
    /// The address with this number, counted from 1, is wrong.
    Address(usize),
    /// There are more than [`INVITE_ADDRESSES_MAX`] addresses.
    TooManyAddresses,
    /// The last part has this many characters instead of 32.
    SecretLength(usize),
    /// This character cannot be in the last part.
    Character(char),
    /// The secret does not fit its check.
    Mistyped,
}

impl fmt::Display for InviteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const WHOLE: &str = "copy the whole invite, NAME@HOST:PORT/ and 32 letters and digits";
        const COMPARE: &str = "compare it with the original";
        const CHARACTERS: &str = "characters, each a letter from a to z, a digit or '-'";
        const FORM: &str = "it is HOST:PORT, such as 192.168.1.7:5000 or [2001:db8::7]:5000";
        match self {
            Self::Missing(part) => write!(f, "the invite has no {part}: {WHOLE}"),
            Self::TooLong => write!(f, "an invite has at most {INVITE_BYTES_MAX} bytes: {WHOLE}"),
            Self::Name => write!(
                f,
                "the name of a group has 1 to {GROUP_NAME_CHARS_MAX} {CHARACTERS}: write such a name"
            ),
            Self::Address(number) => write!(f, "address {number} of the invite is wrong: {FORM}"),
            Self::TooManyAddresses => {
                write!(f, "an invite has at most {INVITE_ADDRESSES_MAX} addresses: write fewer")
            }
            Self::SecretLength(count) => {
                write!(
                    f,
                    "the secret of the invite has {count} characters instead of {SECRET_DIGITS}: {WHOLE}"
                )
            }
            Self::Character(char) => {
                let char = char.escape_debug();
                write!(f, "the secret of an invite cannot have the character '{char}': {COMPARE}")
            }
            Self::Mistyped => write!(f, "the secret of the invite is mistyped: {COMPARE}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORD: &str = "000g-40r4-0m30-e209-185g-r38e-1zs5-ktd5";

    fn invite(addresses: &[&str]) -> Result<Invite, InviteError> {
        let addresses = addresses.iter().map(|text| address::parse(text).expect("an address")).collect();
        let name = "friends".parse().expect("a name");
        Invite::new(name, addresses, Secret::new(std::array::from_fn(|index| index as u8)))
    }

    #[test]
    fn invites_are_those_of_another_implementation() {
        // Python: the base32 of bytes(range(16)) + blake2s(b"groupchat/2 invite" + bytes(range(16))).digest()[:4].
        for addresses in [
            &["192.168.1.7:5000"][..],
            &["192.168.1.7:5000", "[2001:db8::7]:5000"],
            &["[::1]:1", "chat.example.org:5000", "my_host-2:65535"],
        ] {
            let invite = invite(addresses).expect("an invite");
            let text = format!("friends@{}/{WORD}", addresses.join(","));
            assert_eq!(*invite.to_text(), text);
            assert_eq!(Invite::parse(&text), Ok(invite));
        }
        for (byte, word) in
            [(0, "0000-0000-0000-0000-0000-0000-00j8-hth1"), (255, "zzzz-zzzz-zzzz-zzzz-zzzz-zzzz-zy1t-tv8h")]
        {
            let invite = Invite::parse(&format!("a@b:1/{word}")).expect("an invite");
            assert_eq!(invite.secret().bytes(), &[byte; 16]);
            assert!(invite.to_text().ends_with(word));
        }
    }

    #[test]
    fn case_blanks_hyphens_and_similar_characters_do_not_matter() {
        let expected = invite(&["chat.example.org:5000", "[2001:db8::7]:5000"]).expect("an invite");
        let text = expected.to_text();
        let spaced: String = text.chars().flat_map(|char| [char, '\n', '\u{200b}']).collect();
        for changed in [
            text.to_uppercase(),
            text.replace("000g-40r4", "oOOG4Or4").replace("-18", "-i8").replace("-1z", "LZ"),
            format!("  {}\r\n", text.replace(',', "\r\n ,").replace('/', "\u{a0}/\t")),
            spaced,
            text.replace('/', "/--").replace("-e2", "---e-2"),
        ] {
            assert_eq!(Invite::parse(&changed), Ok(expected.clone()), "{changed}");
        }
    }

    #[test]
    fn each_mistyped_character_is_found() {
        let digits: Vec<char> = WORD.chars().filter(|char| *char != '-').collect();
        let mut tried = 0;
        for place in 0..digits.len() {
            for wrong in DIGITS.iter().map(|digit| char::from(*digit)).filter(|digit| *digit != digits[place])
            {
                let mut typed = digits.clone();
                typed[place] = wrong;
                let text: String = "friends@192.168.1.7:5000/".chars().chain(typed).collect();
                assert_eq!(Invite::parse(&text), Err(InviteError::Mistyped), "{place} {wrong}");
                assert!(looks_like_invite(&text));
                tried += 1;
            }
        }
        assert_eq!(tried, 32 * 31);
        for place in (1..digits.len()).filter(|place| digits[*place] != digits[*place - 1]) {
            let mut typed = digits.clone();
            typed.swap(place - 1, place);
            let text: String = "friends@192.168.1.7:5000/".chars().chain(typed).collect();
            assert_eq!(Invite::parse(&text), Err(InviteError::Mistyped), "{place}");
        }
    }

    #[test]
    fn other_texts_are_refused_with_a_reason() {
        let long = format!("a@{}:5000/{WORD}", "x".repeat(512));
        for (text, error, sentence) in [
            ("", InviteError::Missing(NAME), "no name before '@'"),
            (WORD, InviteError::Missing(NAME), "no name before '@'"),
            (&format!("@h:5/{WORD}"), InviteError::Missing(NAME), "no name before '@'"),
            (&format!("a@/{WORD}"), InviteError::Missing(ADDRESS), "no address after '@'"),
            ("a@h:5", InviteError::Missing(SECRET), "no secret after '/'"),
            ("a@h:5/", InviteError::Missing(SECRET), "no secret after '/'"),
            (&format!("a@h:5{WORD}"), InviteError::Missing(SECRET), "no secret after '/'"),
            (&format!("a_b@h:5/{WORD}"), InviteError::Name, "1 to 32 characters"),
            (&format!("{}@h:5/{WORD}", "a".repeat(33)), InviteError::Name, "1 to 32 characters"),
            (&format!("a@h/{WORD}"), InviteError::Address(1), "address 1 of the invite is wrong"),
            (&format!("a@5000/{WORD}"), InviteError::Address(1), "HOST:PORT"),
            (&format!("a@h:0/{WORD}"), InviteError::Address(1), "HOST:PORT"),
            (&format!("a@:5/{WORD}"), InviteError::Address(1), "HOST:PORT"),
            (&format!("a@h:5,::1:5/{WORD}"), InviteError::Address(2), "address 2"),
            (&format!("a@h:5,/{WORD}"), InviteError::Address(2), "address 2"),
            (&format!("a@h:5/b:5/{WORD}"), InviteError::Address(1), "address 1"),
            (&format!("a@b@h:5/{WORD}"), InviteError::Address(1), "address 1"),
            (&format!("a@h\u{fc}:5/{WORD}"), InviteError::Address(1), "address 1"),
            (&format!("a@h:5,h:6,h:7,h:8/{WORD}"), InviteError::TooManyAddresses, "at most 3 addresses"),
            (&format!("a@h:5/{}", &WORD[..38]), InviteError::SecretLength(31), "31 characters instead of 32"),
            (&format!("a@h:5/{WORD}-0"), InviteError::SecretLength(33), "33 characters instead of 32"),
            (&format!("a@h:5/{WORD}."), InviteError::Character('.'), "cannot have the character '.'"),
            (&format!("a@h:5/u{WORD}"), InviteError::Character('u'), "the character 'u'"),
            (&format!("a@h:5/\x1b{WORD}"), InviteError::Character('\x1b'), "the character '\\u{1b}'"),
            (&format!("a@h:5/1{}", &WORD[1..]), InviteError::Mistyped, "is mistyped"),
            (&long, InviteError::TooLong, "at most 512 bytes"),
        ] {
            assert_eq!(Invite::parse(text), Err(error), "{text}");
            let shown = error.to_string();
            assert!(shown.contains(sentence), "{text}: {shown}");
        }
    }

    #[test]
    fn no_invite_is_made_that_cannot_be_read() {
        assert_eq!(invite(&[]), Err(InviteError::Missing(ADDRESS)));
        assert_eq!(invite(&["5000"]), Err(InviteError::Address(1)));
        assert_eq!(invite(&["h:5", "a,b:5"]), Err(InviteError::Address(2)));
        assert_eq!(invite(&["a:1", "a:2", "a:3", "a:4"]), Err(InviteError::TooManyAddresses));
        let bytes = |count: usize| format!("{}:1", "h".repeat(count));
        let longest =
            invite(&[&bytes(INVITE_BYTES_MAX - "friends@:1/".len() - WORD.len())]).expect("an invite");
        assert_eq!(longest.to_text().len(), INVITE_BYTES_MAX);
        assert_eq!(Invite::parse(&longest.to_text()), Ok(longest));
        assert_eq!(
            invite(&[&bytes(INVITE_BYTES_MAX - "friends@:1/".len() - WORD.len() + 1)]),
            Err(InviteError::TooLong)
        );
    }

    #[test]
    fn nothing_shows_the_secret() {
        let shown = format!("{:?}", invite(&["h:5"]).expect("an invite"));
        assert!(
            shown.contains("friends") && !shown.contains(&WORD[..4]) && !shown.contains(", 7"),
            "{shown}"
        );
    }

    #[test]
    fn an_invite_among_the_arguments_is_recognised() {
        let whole = format!("friends@192.168.1.7:5000/{WORD}");
        for text in [
            &whole,
            &whole.to_uppercase(),
            &whole.replace('-', ""),
            &format!("{whole}."),
            &format!(" {} ", whole.replace('/', " / ")),
            &format!("my friends@h/{WORD}"),
            &whole[..whole.len() - 5].to_owned(),
            &format!("{whole}-xxxx"),
        ] {
            assert!(looks_like_invite(text), "{text}");
        }
        for text in [
            "",
            "5000",
            "host:5000",
            "192.168.1.7:5000",
            "[::1]:5000",
            "a@b:5000",
            "a@b/c",
            "/home/al/notes",
            "/home/a@b/000g40r40m30e209185gr38e1zs5ktd5",
            "./a@b/000g40r40m30e209185gr38e1zs5ktd5",
            "@h:5/000g40r40m30e209185gr38e1zs5ktd5",
        ] {
            assert!(!looks_like_invite(text), "{text}");
        }
    }
}
