//! The handshake of one connection, a state machine without I/O: bodies of peer frames go in, and steps come out.

use std::fmt;

use snow::params::NoiseParams;
use snow::{Builder, HandshakeState};

use super::keys::{Keys, PreSharedKey};
use super::records::Records;
use super::resolver::Resolver;
use crate::wire::identity::{read_hexadecimal, to_hexadecimal};

const PATTERN: &str = "Noise_XXpsk0_25519_ChaChaPoly_BLAKE2s";

/// The lengths of the three messages, in bytes: the keys that are in them, of 32 bytes, and a tag for each that is
/// encrypted and one for the empty payload.
const MESSAGE_BYTES: [usize; 3] = [32 + 16, 32 + 48 + 16, 48 + 16];

/// The text before the digits of the first frame, in an open group and in a private one.
const FIRST: [&str; 2] = ["groupchat/2 open\nnoise ", "groupchat/2 private\nnoise "];

/// The text before the digits of the two other frames.
const LATER: &str = "groupchat/2\nnoise ";

/// The handshake of one connection.
#[derive(Default)]
pub struct Handshake(State);

#[derive(Default)]
enum State {
    /// We accepted, and nothing was received.
    Listening,
    /// We dialled, and have sent message 1.
    Dialled(Box<HandshakeState>),
    /// We accepted, and have sent message 2.
    Answered { noise: Box<HandshakeState>, is_old_secret: bool },
    /// It is finished, or failed.
    #[default]
    Over,
}

/// The result of a frame.
#[derive(Debug)]
pub enum Step {
    /// Send a peer frame with this body.
    Reply(String),
    /// The other side has the private key of [`Records::peer`]. What it sends from the next byte on are records.
    Sealed {
        /// The body of a peer frame that is to be sent before the first record.
        reply: Option<String>,
        /// The record layer.
        records: Box<Records>,
        /// The other side knows only an older secret of the group.
        is_old_secret: bool,
    },
}

/// The reason why a handshake failed. Nothing is to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The frame is none of the handshake.
    NoHandshake,
    /// The message does not verify: the other side has another secret, or somebody has changed the message.
    Unverified,
    /// The message was received before.
    Repeated,
    /// The other side has our own private key.
    OwnKey,
}

impl Handshake {
    /// The handshake of a connection that we dialled, and the body of the first frame.
    #[must_use]
    pub fn dial(keys: &mut Keys) -> (Self, String) {
        let first = FIRST[usize::from(keys.is_private())];
        let psk = keys.pre_shared[0].clone();
        let mut noise = Box::new(builder(keys, &psk, |builder| builder.build_initiator()));
        let body = message(&mut noise, first).expect("the first message needs nothing from the other side");
        (Self(State::Dialled(noise)), body)
    }

    /// The handshake of a connection that we accepted.
    #[must_use]
    pub fn accept() -> Self {
        Self(State::Listening)
    }

    /// Whether the other side has sent a valid message, or the handshake has failed.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        matches!(self.0, State::Answered { .. } | State::Over)
    }

    /// The frame of the other side with this body arrives.
    ///
    /// # Errors
    ///
    /// The handshake failed. The connection is to be closed, and nothing to be sent.
    pub fn receive(&mut self, body: &str, keys: &mut Keys) -> Result<Step, Refused> {
        match std::mem::take(&mut self.0) {
            State::Listening => {
                let first = FIRST[usize::from(keys.is_private())];
                let message_1 = read::<{ MESSAGE_BYTES[0] }>(body, first)?;
                let (mut noise, is_old_secret) = verified(&message_1, keys).ok_or(Refused::Unverified)?;
                if !keys.is_new(*message_1.first_chunk().expect("32 of 48 bytes")) {
                    return Err(Refused::Repeated);
                }
                let reply = message(&mut noise, LATER)?;
                self.0 = State::Answered { noise: Box::new(noise), is_old_secret };
                Ok(Step::Reply(reply))
            }
            State::Dialled(mut noise) => {
                let message_2 = read::<{ MESSAGE_BYTES[1] }>(body, LATER)?;
                noise.read_message(&message_2, &mut []).map_err(|_| Refused::Unverified)?;
                check_is_another(&noise, keys)?;
                let reply = Some(message(&mut noise, LATER)?);
                Ok(Step::Sealed { reply, records: records(*noise)?, is_old_secret: false })
            }
            State::Answered { mut noise, is_old_secret } => {
                let message_3 = read::<{ MESSAGE_BYTES[2] }>(body, LATER)?;
                noise.read_message(&message_3, &mut []).map_err(|_| Refused::Unverified)?;
                check_is_another(&noise, keys)?;
                Ok(Step::Sealed { reply: None, records: records(*noise)?, is_old_secret })
            }
            State::Over => Err(Refused::NoHandshake),
        }
    }
}

/// Whether the body of a frame, or its front, may be the first frame of a handshake of this program, in whatever kind of
/// group, or what somebody has made of one.
#[must_use]
pub fn is_like_handshake(body: &[u8]) -> bool {
    let marker = b"groupchat/";
    let length = body.len().min(marker.len());
    // If the first byte was changed, the first two may have been read as the length of a frame in lab framing.
    length > 0 && body[..length] == marker[..length] || body.starts_with(&marker[2..])
}

/// A handshake of Noise. The parameters are constants, so that it can be built.
fn builder(
    keys: &mut Keys,
    psk: &PreSharedKey,
    build: impl FnOnce(Builder<'_>) -> Result<HandshakeState, snow::Error>,
) -> HandshakeState {
    let resolver = Box::new(Resolver::new(keys));
    let params: NoiseParams = PATTERN.parse().expect("a pattern of Noise");
    let prologue = format!("direct\n{}", FIRST[usize::from(keys.is_private())]);
    let builder = Builder::with_resolver(params, resolver)
        .local_private_key(keys.private.bytes())
        .and_then(|builder| builder.psk(0, psk))
        .and_then(|builder| builder.prologue(prologue.as_bytes()));
    builder.and_then(build).expect("a handshake with all its parameters")
}

/// The handshake in which `message_1` verifies, and whether only an older secret does that.
fn verified(message_1: &[u8], keys: &mut Keys) -> Option<(HandshakeState, bool)> {
    (0..keys.pre_shared.len()).find_map(|index| {
        let psk = keys.pre_shared[index].clone();
        let mut noise = builder(keys, &psk, |builder| builder.build_responder());
        noise.read_message(message_1, &mut []).ok()?;
        Some((noise, index > 0))
    })
}

/// The next message, as the body of a frame.
fn message(noise: &mut HandshakeState, first_line: &str) -> Result<String, Refused> {
    let mut bytes = [0; MESSAGE_BYTES[1]];
    let count = noise.write_message(&[], &mut bytes).map_err(|_| Refused::Unverified)?;
    Ok(format!("{first_line}{}", to_hexadecimal(&bytes[..count])))
}

/// Reads the body of a frame that begins with `first_line`.
fn read<const N: usize>(body: &str, first_line: &str) -> Result<[u8; N], Refused> {
    body.strip_prefix(first_line).and_then(read_hexadecimal).ok_or(Refused::NoHandshake)
}

fn check_is_another(noise: &HandshakeState, keys: &Keys) -> Result<(), Refused> {
    let is_own = noise.get_remote_static().is_none_or(|key| *key == keys.public().0);
    if is_own { Err(Refused::OwnKey) } else { Ok(()) }
}

fn records(noise: HandshakeState) -> Result<Box<Records>, Refused> {
    let transport = noise.into_transport_mode().map_err(|_| Refused::NoHandshake)?;
    Ok(Box::new(Records::new(transport)))
}

/// Without the keys.
impl fmt::Debug for Handshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            State::Listening => "Listening",
            State::Dialled(_) => "Dialled",
            State::Answered { .. } => "Answered",
            State::Over => "Over",
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use curve25519_dalek::MontgomeryPoint;
    use snow::Error;
    use snow::params::{CipherChoice, DHChoice, HashChoice};
    use snow::resolvers::{BoxedCryptoResolver, CryptoResolver, DefaultResolver};
    use snow::types::{Cipher, Dh, Hash, Random};

    use super::*;
    use crate::limits::{EPHEMERALS_MAX, HANDSHAKE_FRAME_BYTES_MAX};
    use crate::seal::keys::tests::{GROUPS, bytes, keys, vector, yields};
    use crate::seal::keys::{Access, PrivateKey, Secret};
    use crate::seal::resolver::tests::low_order_points;

    /// The private keys of the two sides, for [`keys`].
    const DIALLER: u8 = 0x0d;
    const LISTENER: u8 = 0x11;

    fn dialler(secrets: &[u8]) -> Keys {
        keys(secrets, DIALLER, 1)
    }

    fn listener(secrets: &[u8]) -> Keys {
        keys(secrets, LISTENER, 2)
    }

    fn reply(step: Result<Step, Refused>) -> String {
        match step {
            Ok(Step::Reply(body)) => body,
            other => panic!("a reply, and not {other:?}"),
        }
    }

    fn sealed(step: Result<Step, Refused>) -> (Option<String>, Records, bool) {
        match step {
            Ok(Step::Sealed { reply, records, is_old_secret }) => (reply, *records, is_old_secret),
            other => panic!("records, and not {other:?}"),
        }
    }

    fn refused(step: Result<Step, Refused>) -> Refused {
        step.expect_err("no step")
    }

    /// The result of a handshake.
    struct Finished {
        bodies: [String; 3],
        dialler: Records,
        listener: Records,
        is_old_secret: bool,
    }

    fn finish(dialler: &mut Keys, listener: &mut Keys) -> Finished {
        let (mut dial, body_1) = Handshake::dial(dialler);
        let mut accept = Handshake::accept();
        let body_2 = reply(accept.receive(&body_1, listener));
        let (body_3, of_dialler, is_old_for_dialler) = sealed(dial.receive(&body_2, dialler));
        let body_3 = body_3.expect("the third message");
        let (nothing, of_listener, is_old_secret) = sealed(accept.receive(&body_3, listener));
        assert_eq!((nothing, is_old_for_dialler), (None, false));
        Finished {
            bodies: [body_1, body_2, body_3],
            dialler: of_dialler,
            listener: of_listener,
            is_old_secret,
        }
    }

    /// The record layers of the side that dialled and of the side that accepted.
    pub fn established() -> [Records; 2] {
        established_with(1, 2)
    }

    /// The same, of a link on which the two sides have these seeds of their randomness.
    pub fn established_with(dialler: u64, listener: u64) -> [Records; 2] {
        let finished = finish(&mut keys(&[], DIALLER, dialler), &mut keys(&[], LISTENER, listener));
        [finished.dialler, finished.listener]
    }

    /// The side that is to receive a message, and its keys: the dialler at message 2, else the listener.
    fn receiver(secrets: &[u8], message: usize, bodies: &[String; 3]) -> (Handshake, Keys) {
        let mut keys = if message == 2 { dialler(secrets) } else { listener(secrets) };
        let handshake = match message {
            1 => Handshake::accept(),
            2 => Handshake::dial(&mut keys).0,
            _ => {
                let mut handshake = Handshake::accept();
                assert_eq!(reply(handshake.receive(&bodies[0], &mut keys)), bodies[1]);
                handshake
            }
        };
        (handshake, keys)
    }

    /// Each of `wrong`, as the message with this number, is refused for this reason.
    fn check_refused(message: usize, reason: Refused, wrong: impl Fn(&str) -> Vec<String>) {
        for secrets in GROUPS {
            let bodies = finish(&mut dialler(secrets), &mut listener(secrets)).bodies;
            for body in wrong(&bodies[message - 1]) {
                let (mut handshake, mut keys) = receiver(secrets, message, &bodies);
                assert_eq!(refused(handshake.receive(&body, &mut keys)), reason, "{body:?}");
                let right = handshake.receive(&bodies[message - 1], &mut keys);
                assert_eq!(refused(right), Refused::NoHandshake, "after {body:?}");
            }
            let (mut handshake, mut keys) = receiver(secrets, message, &bodies);
            assert!(handshake.receive(&bodies[message - 1], &mut keys).is_ok(), "the right message");
        }
    }

    #[derive(Clone, Copy, Debug)]
    enum Side {
        Dialler,
        Listener,
    }

    /// A side of Noise without the checks of [`Handshake`].
    fn by_hand(keys: &Keys, resolver: BoxedCryptoResolver, prologue: &str, side: Side) -> HandshakeState {
        let builder = Builder::with_resolver(PATTERN.parse().expect("a pattern"), resolver)
            .local_private_key(keys.private.bytes())
            .and_then(|builder| builder.psk(0, &keys.pre_shared[0]))
            .and_then(|builder| builder.prologue(prologue.as_bytes()));
        let noise = builder.and_then(|builder| match side {
            Side::Dialler => builder.build_initiator(),
            Side::Listener => builder.build_responder(),
        });
        noise.expect("a side")
    }

    fn receive(noise: &mut HandshakeState, body: &str) {
        noise.read_message(&bytes(&body[digits(body)..]), &mut []).expect("a valid message");
    }

    /// The public keys of a side that are chosen, and not those of its private keys.
    #[derive(Clone, Copy, Debug, Default)]
    struct Chosen {
        fixed: Option<[u8; 32]>,
        ephemeral: Option<[u8; 32]>,
    }

    /// The primitives of a side with chosen public keys, which have a low order: the result of X25519 with them is zero.
    struct WithChosen {
        chosen: Chosen,
    }

    impl CryptoResolver for WithChosen {
        fn resolve_rng(&self) -> Option<Box<dyn Random>> {
            Some(Box::new(SameRandom))
        }

        fn resolve_dh(&self, _: &DHChoice) -> Option<Box<dyn Dh>> {
            Some(Box::new(ChosenKey {
                chosen: self.chosen,
                private: [0; 32],
                public: [0; 32],
                is_chosen: false,
            }))
        }

        fn resolve_hash(&self, choice: &HashChoice) -> Option<Box<dyn Hash>> {
            DefaultResolver.resolve_hash(choice)
        }

        fn resolve_cipher(&self, choice: &CipherChoice) -> Option<Box<dyn Cipher>> {
            DefaultResolver.resolve_cipher(choice)
        }
    }

    struct SameRandom;

    impl Random for SameRandom {
        fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Error> {
            bytes.fill(0x42);
            Ok(())
        }
    }

    struct ChosenKey {
        chosen: Chosen,
        private: [u8; 32],
        public: [u8; 32],
        is_chosen: bool,
    }

    impl ChosenKey {
        fn become_pair(&mut self, chosen: Option<[u8; 32]>) {
            self.is_chosen = chosen.is_some();
            self.public = chosen.unwrap_or(MontgomeryPoint::mul_base_clamped(self.private).to_bytes());
        }
    }

    impl Dh for ChosenKey {
        fn name(&self) -> &'static str {
            "25519"
        }

        fn pub_len(&self) -> usize {
            32
        }

        fn priv_len(&self) -> usize {
            32
        }

        fn set(&mut self, private: &[u8]) {
            self.private.copy_from_slice(private);
            self.become_pair(self.chosen.fixed);
        }

        fn generate(&mut self, random: &mut dyn Random) -> Result<(), Error> {
            random.try_fill_bytes(&mut self.private)?;
            self.become_pair(self.chosen.ephemeral);
            Ok(())
        }

        fn pubkey(&self) -> &[u8] {
            &self.public
        }

        fn privkey(&self) -> &[u8] {
            &self.private
        }

        fn dh(&self, public: &[u8], out: &mut [u8]) -> Result<(), Error> {
            let point = MontgomeryPoint(*public.first_chunk().expect("32 bytes"));
            let shared = if self.is_chosen { [0; 32] } else { point.mul_clamped(self.private).to_bytes() };
            out[..32].copy_from_slice(&shared);
            Ok(())
        }
    }

    /// Where the digits of a body begin.
    fn digits(body: &str) -> usize {
        body.find("\nnoise ").expect("what is before the digits") + "\nnoise ".len()
    }

    /// `body` with another byte at `index`.
    fn with(body: &str, index: usize, byte: u8) -> String {
        let mut bytes = body.as_bytes().to_vec();
        assert_ne!(bytes[index], byte);
        bytes[index] = byte;
        String::from_utf8(bytes).expect("ASCII")
    }

    /// The copies of `body` in which one digit is another one. In the last one it is bit 255 of the ephemeral key of message
    /// 1 or 2 that differs, which X25519 passes over.
    fn with_other_digits(body: &str) -> Vec<String> {
        let start = digits(body);
        let with_sum = |index: usize, summand: u8| {
            let value = char::from(body.as_bytes()[index]).to_digit(16).expect("a digit") as u8;
            with(body, index, b"0123456789abcdef"[usize::from((value + summand) % 16)])
        };
        let each = (start..body.len()).map(|index| with_sum(index, 1));
        each.chain([with_sum(start + 62, 8)]).collect()
    }

    /// The copies of `body` that are no message because of one byte.
    fn with_other_bytes(body: &str) -> Vec<String> {
        let text = (0..digits(body)).map(|index| with(body, index, body.as_bytes()[index] ^ 1));
        let digits = (digits(body)..body.len()).map(|index| with(body, index, b'g'));
        text.chain(digits).collect()
    }

    /// The copies of `body` that have another length or capital digits.
    fn of_other_shapes(body: &str) -> Vec<String> {
        let (line, digits) = body.split_at(digits(body));
        let cut = (0..body.len()).map(|length| body[..length].to_owned());
        let longer = ["0", "00", "\n", " ", "\n00"].map(|rest| format!("{body}{rest}"));
        let others = [
            format!("{line}{}", digits.to_uppercase()),
            format!("{line} {digits}"),
            format!(" {body}"),
            format!("\n{body}"),
            line.to_uppercase() + digits,
            format!("{line}{}é", &digits[2..]),
        ];
        cut.chain(longer).chain(others).collect()
    }

    #[test]
    fn handshake_and_records_are_those_of_another_implementation() {
        for group in ["private", "open"] {
            let bytes = |name: &str| vector(&format!("{group}.{name}"));
            let keys = |side: &str| {
                let key = bytes(&format!("{side}.static"));
                let ephemeral = bytes(&format!("{side}.ephemeral"));
                if group == "open" {
                    return Keys::new(Access::Open, yields([key, ephemeral].concat()));
                }
                let secrets = vec![Secret::new(bytes("secret").try_into().expect("16 bytes"))];
                let key = PrivateKey::new(key.try_into().expect("32 bytes"));
                Keys::new(Access::Private { secrets, key, run: 1 }, yields(ephemeral))
            };
            let (mut dialler, mut listener) = (keys("dialler"), keys("listener"));
            assert_eq!(dialler.public().0.to_vec(), bytes("dialler.public"));
            assert_eq!(listener.public().0.to_vec(), bytes("listener.public"));
            let line = format!("groupchat/2 {group}\nnoise ");
            assert_eq!(format!("direct\n{line}").into_bytes(), bytes("prologue"));

            let body_1 = line + &to_hexadecimal(&bytes("message_1"));
            let body_2 = format!("groupchat/2\nnoise {}", to_hexadecimal(&bytes("message_2")));
            let body_3 = format!("groupchat/2\nnoise {}", to_hexadecimal(&bytes("message_3")));
            let (mut dial, first) = Handshake::dial(&mut dialler);
            let mut accept = Handshake::accept();
            assert_eq!(first, body_1);
            assert_eq!(reply(accept.receive(&body_1, &mut listener)), body_2);
            let (third, mut of_dialler, _) = sealed(dial.receive(&body_2, &mut dialler));
            assert_eq!(third, Some(body_3.clone()));
            let (_, mut of_listener, _) = sealed(accept.receive(&body_3, &mut listener));
            assert_eq!((of_dialler.peer(), of_listener.peer()), (listener.public(), dialler.public()));

            for side in ["dialler", "listener"] {
                let is_dialler = side == "dialler";
                for number in 0..=1_024 {
                    let (from, to) = if is_dialler {
                        (&mut of_dialler, &mut of_listener)
                    } else {
                        (&mut of_listener, &mut of_dialler)
                    };
                    let expected = format!("{side} {number}").into_bytes();
                    let (mut record, mut text) = (Vec::new(), Vec::new());
                    from.seal(&expected, &mut record);
                    if [0, 1, 1_023, 1_024].contains(&number) {
                        let sealed = bytes(&format!("{side}.record_{number}"));
                        assert_eq!(record, [&[0, sealed.len() as u8], &sealed[..]].concat());
                    }
                    assert_eq!(to.open(&mut &record[..], &mut text), Ok(true));
                    assert_eq!(text, expected);
                }
            }
        }
    }

    #[test]
    fn both_sides_get_the_public_key_of_the_other() {
        for secrets in GROUPS {
            let (mut dialler, mut listener) = (dialler(secrets), listener(secrets));
            let finished = finish(&mut dialler, &mut listener);
            assert_eq!(finished.dialler.peer(), listener.public());
            assert_eq!(finished.listener.peer(), dialler.public());
            assert_ne!(dialler.public(), listener.public());
            assert!(!finished.is_old_secret);
        }
    }

    #[test]
    fn bodies_have_the_documented_shape() {
        for (secrets, kind) in GROUPS.into_iter().zip(["open", "private"]) {
            let bodies = finish(&mut dialler(secrets), &mut listener(secrets)).bodies;
            let first = format!("groupchat/2 {kind}\nnoise ");
            for (body, (line, bytes)) in bodies.iter().zip([
                (&first[..], 48),
                ("groupchat/2\nnoise ", 96),
                ("groupchat/2\nnoise ", 64),
            ]) {
                let digits = body.strip_prefix(line).expect("what is before the digits");
                assert_eq!(digits.len(), 2 * bytes);
                assert!(digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')), "{body}");
                assert!(is_like_handshake(body.as_bytes()));
            }
            let longest = bodies.iter().map(|body| body.len() + "<PEERENCD>".len()).max();
            assert_eq!(longest, Some(220));
            assert!(longest <= Some(HANDSHAKE_FRAME_BYTES_MAX));
        }
    }

    #[test]
    fn each_handshake_has_ephemeral_keys_of_its_own() {
        for secrets in GROUPS {
            let (mut dialler, mut listener) = (dialler(secrets), listener(secrets));
            let first = finish(&mut dialler, &mut listener);
            let second = finish(&mut dialler, &mut listener);
            for (first, second) in first.bodies.iter().zip(&second.bodies).take(2) {
                let ephemeral = |body: &str| body[digits(body)..][..64].to_owned();
                assert_ne!(ephemeral(first), ephemeral(second));
            }
        }
    }

    #[test]
    fn message_1_with_another_digit_does_not_verify() {
        check_refused(1, Refused::Unverified, with_other_digits);
    }

    #[test]
    fn message_2_with_another_digit_does_not_verify() {
        check_refused(2, Refused::Unverified, with_other_digits);
    }

    #[test]
    fn message_3_with_another_digit_does_not_verify() {
        check_refused(3, Refused::Unverified, with_other_digits);
    }

    #[test]
    fn message_1_with_a_wrong_byte_is_none() {
        check_refused(1, Refused::NoHandshake, with_other_bytes);
    }

    #[test]
    fn message_2_with_a_wrong_byte_is_none() {
        check_refused(2, Refused::NoHandshake, with_other_bytes);
    }

    #[test]
    fn message_3_with_a_wrong_byte_is_none() {
        check_refused(3, Refused::NoHandshake, with_other_bytes);
    }

    #[test]
    fn message_1_of_another_shape_is_none() {
        check_refused(1, Refused::NoHandshake, of_other_shapes);
    }

    #[test]
    fn message_2_of_another_shape_is_none() {
        check_refused(2, Refused::NoHandshake, of_other_shapes);
    }

    #[test]
    fn message_3_of_another_shape_is_none() {
        check_refused(3, Refused::NoHandshake, of_other_shapes);
    }

    /// Each side in each state gets each message of its own handshake. So the dialler gets its message 1 back, and the
    /// listener its message 2.
    #[test]
    fn a_message_has_one_place() {
        for secrets in GROUPS {
            let bodies = finish(&mut dialler(secrets), &mut listener(secrets)).bodies;
            for place in 1..=3 {
                for (number, body) in (1..).zip(&bodies) {
                    let (mut handshake, mut keys) = receiver(secrets, place, &bodies);
                    let step = handshake.receive(body, &mut keys);
                    if number == place {
                        assert!(step.is_ok());
                    } else {
                        assert_eq!(refused(step), Refused::NoHandshake, "{number} in place of {place}");
                        assert_eq!(
                            refused(handshake.receive(&bodies[place - 1], &mut keys)),
                            Refused::NoHandshake
                        );
                    }
                }
            }
            // After the end of the handshake of either side.
            for place in [2, 3] {
                for body in &bodies {
                    let (mut handshake, mut keys) = receiver(secrets, place, &bodies);
                    sealed(handshake.receive(&bodies[place - 1], &mut keys));
                    assert_eq!(refused(handshake.receive(body, &mut keys)), Refused::NoHandshake);
                }
            }
        }
    }

    #[test]
    fn a_message_of_another_handshake_does_not_verify() {
        for secrets in GROUPS {
            let ours = finish(&mut dialler(secrets), &mut listener(secrets)).bodies;
            // The same people, with other ephemeral keys.
            let others = finish(&mut keys(secrets, DIALLER, 3), &mut keys(secrets, LISTENER, 4)).bodies;
            for message in [2, 3] {
                let (mut handshake, mut keys) = receiver(secrets, message, &ours);
                let step = handshake.receive(&others[message - 1], &mut keys);
                assert_eq!(refused(step), Refused::Unverified, "{message}");
            }
        }
    }

    #[test]
    fn a_handshake_has_begun_with_a_valid_message_or_is_over() {
        for secrets in GROUPS {
            let bodies = finish(&mut dialler(secrets), &mut listener(secrets)).bodies;
            for (message, before) in [(1, false), (2, false), (3, true)] {
                let (mut handshake, mut keys) = receiver(secrets, message, &bodies);
                assert_eq!(handshake.has_begun(), before);
                assert!(handshake.receive(&bodies[message - 1], &mut keys).is_ok());
                assert!(handshake.has_begun());

                let (mut handshake, mut keys) = receiver(secrets, message, &bodies);
                refused(handshake.receive("hello", &mut keys));
                assert!(handshake.has_begun(), "it is over");
            }
        }
    }

    #[test]
    fn a_run_with_our_private_key_is_refused_by_the_dialler() {
        for secrets in GROUPS {
            let (mut ours, mut theirs) = (keys(secrets, DIALLER, 1), keys(secrets, DIALLER, 2));
            let (mut dial, body_1) = Handshake::dial(&mut ours);
            let body_2 = reply(Handshake::accept().receive(&body_1, &mut theirs));
            assert_eq!(refused(dial.receive(&body_2, &mut ours)), Refused::OwnKey);
        }
    }

    /// Our dialler would not send message 3. The dialler of this test does.
    #[test]
    fn a_run_with_our_private_key_is_refused_by_the_listener() {
        for secrets in GROUPS {
            for (key, expected) in [(LISTENER, Some(Refused::OwnKey)), (DIALLER, None)] {
                let (mut ours, mut theirs) = (listener(secrets), keys(secrets, key, 1));
                let line = FIRST[usize::from(theirs.is_private())];
                let resolver = Box::new(Resolver::new(&mut theirs));
                let mut dial = by_hand(&theirs, resolver, &format!("direct\n{line}"), Side::Dialler);
                let mut accept = Handshake::accept();
                let body_1 = message(&mut dial, line).expect("message 1");
                receive(&mut dial, &reply(accept.receive(&body_1, &mut ours)));
                let body_3 = message(&mut dial, LATER).expect("message 3");
                assert_eq!(accept.receive(&body_3, &mut ours).err(), expected);
            }
        }
    }

    #[test]
    fn a_run_with_another_secret_is_refused() {
        let (mut dial, body_1) = Handshake::dial(&mut dialler(&[1]));
        for secrets in [&[2][..], &[2, 3, 4, 5]] {
            let step = Handshake::accept().receive(&body_1, &mut listener(secrets));
            assert_eq!(refused(step), Refused::Unverified);
        }
        // A reply to another dialler.
        let others = finish(&mut dialler(&[2]), &mut listener(&[2])).bodies;
        assert_eq!(refused(dial.receive(&others[1], &mut dialler(&[1]))), Refused::Unverified);
    }

    #[test]
    fn an_older_secret_is_accepted_and_the_newest_one_is_dialled_with() {
        let ring = [1, 2, 3, 4];
        for (newest, is_old) in [(1, false), (2, true), (3, true), (4, true)] {
            let finished = finish(&mut dialler(&[newest]), &mut listener(&ring));
            assert_eq!(finished.is_old_secret, is_old, "{newest}");
            // The older ones of the dialler do not matter.
            let finished = finish(&mut dialler(&[newest, 8, 9]), &mut listener(&ring));
            assert_eq!(finished.is_old_secret, is_old, "{newest}");
        }
        let (_, body_1) = Handshake::dial(&mut dialler(&ring));
        assert_eq!(
            refused(Handshake::accept().receive(&body_1, &mut listener(&[2, 3, 4]))),
            Refused::Unverified
        );
    }

    #[test]
    fn the_kinds_of_groups_do_not_mix() {
        for (ours, theirs) in [(GROUPS[0], GROUPS[1]), (GROUPS[1], GROUPS[0])] {
            let (_, body_1) = Handshake::dial(&mut dialler(theirs));
            assert_eq!(
                refused(Handshake::accept().receive(&body_1, &mut listener(ours))),
                Refused::NoHandshake
            );
            // With the text of the kind of the listener.
            let line = FIRST[usize::from(!ours.is_empty())];
            let body_1 = format!("{line}{}", &body_1[digits(&body_1)..]);
            assert_eq!(
                refused(Handshake::accept().receive(&body_1, &mut listener(ours))),
                Refused::Unverified
            );
        }
    }

    #[test]
    fn a_recorded_message_1_is_refused_in_a_private_group() {
        let mut listener = listener(&[1, 2]);
        for secret in [1, 2] {
            let (_, body_1) = Handshake::dial(&mut keys(&[secret], DIALLER, secret.into()));
            reply(Handshake::accept().receive(&body_1, &mut listener));
            for _ in 0..2 {
                assert_eq!(refused(Handshake::accept().receive(&body_1, &mut listener)), Refused::Repeated);
            }
            let (_, another) = Handshake::dial(&mut keys(&[secret], DIALLER, 3 + u64::from(secret)));
            reply(Handshake::accept().receive(&another, &mut listener));

            for number in 0..EPHEMERALS_MAX {
                let mut ephemeral = [secret; 32];
                ephemeral[..8].copy_from_slice(&number.to_be_bytes());
                assert!(listener.is_new(ephemeral));
            }
            reply(Handshake::accept().receive(&body_1, &mut listener));
        }
    }

    #[test]
    fn a_recorded_message_1_is_answered_in_an_open_group() {
        let mut listener = listener(&[]);
        let (_, body_1) = Handshake::dial(&mut dialler(&[]));
        let replies = [(); 3].map(|()| reply(Handshake::accept().receive(&body_1, &mut listener)));
        assert!(replies[0] != replies[1] && replies[1] != replies[2]);
    }

    /// Otherwise somebody without the secret could send the ephemeral key of a member first, and so keep it out.
    #[test]
    fn an_ephemeral_key_that_did_not_verify_is_not_remembered() {
        let mut listener = listener(&[1]);
        let (_, body_1) = Handshake::dial(&mut dialler(&[1]));
        let with_other_tag = with_other_digits(&body_1).remove(64);
        assert_eq!(with_other_tag[..digits(&body_1) + 64], body_1[..digits(&body_1) + 64]);
        assert_eq!(refused(Handshake::accept().receive(&with_other_tag, &mut listener)), Refused::Unverified);
        reply(Handshake::accept().receive(&body_1, &mut listener));
    }

    /// The text before the digits is right in each case, and so is the pre-shared key.
    #[test]
    fn the_prologue_is_protected() {
        for (secrets, [right, other]) in GROUPS.into_iter().zip([["open", "private"], ["private", "open"]]) {
            for (prologue, is_right) in [
                (format!("direct\ngroupchat/2 {right}\nnoise "), true),
                (format!("direct\ngroupchat/2 {other}\nnoise "), false),
                (format!("direct\ngroupchat/2 {right}\nnoise"), false),
                (format!("direct\ngroupchat/1 {right}\nnoise "), false),
                (format!("direct\ngroupchat/3 {right}\nnoise "), false),
                (format!("circuit\ngroupchat/2 {right}\nnoise "), false),
                (format!("groupchat/2 {right}\nnoise "), false),
                (String::new(), false),
            ] {
                let mut dialler = dialler(secrets);
                let resolver = Box::new(Resolver::new(&mut dialler));
                let mut noise = by_hand(&dialler, resolver, &prologue, Side::Dialler);
                let line = format!("groupchat/2 {right}\nnoise ");
                let body_1 = message(&mut noise, &line).expect("message 1");
                let step = Handshake::accept().receive(&body_1, &mut listener(secrets));
                if is_right {
                    reply(step);
                } else {
                    assert_eq!(refused(step), Refused::Unverified, "{prologue:?}");
                }
            }
        }
    }

    /// The number of the first message of a side with chosen public keys that the other side refuses, and the reason.
    fn first_refusal(secrets: &[u8], side: Side, chosen: Chosen) -> Option<(usize, Refused)> {
        let (mut dialler, mut listener) = (dialler(secrets), listener(secrets));
        let line = FIRST[usize::from(dialler.is_private())];
        let keys = match side {
            Side::Dialler => &dialler,
            Side::Listener => &listener,
        };
        let mut noise = by_hand(keys, Box::new(WithChosen { chosen }), &format!("direct\n{line}"), side);
        match side {
            Side::Dialler => {
                let mut accept = Handshake::accept();
                let body_1 = message(&mut noise, line).expect("message 1");
                match accept.receive(&body_1, &mut listener) {
                    Err(refused) => return Some((1, refused)),
                    step => receive(&mut noise, &reply(step)),
                }
                let body_3 = message(&mut noise, LATER).expect("message 3");
                accept.receive(&body_3, &mut listener).err().map(|refused| (3, refused))
            }
            Side::Listener => {
                let (mut dial, body_1) = Handshake::dial(&mut dialler);
                receive(&mut noise, &body_1);
                let body_2 = message(&mut noise, LATER).expect("message 2");
                dial.receive(&body_2, &mut dialler).err().map(|refused| (2, refused))
            }
        }
    }

    /// With such a key the result of X25519 is zero whatever the other key is, and protects nothing. The listener does not
    /// reply to message 1, although its tag is right.
    #[test]
    fn a_public_key_of_low_order_is_refused() {
        for secrets in GROUPS {
            for side in [Side::Dialler, Side::Listener] {
                assert_eq!(first_refusal(secrets, side, Chosen::default()), None, "its own keys");
            }
        }
        for point in low_order_points() {
            let point = Some(point);
            for (side, chosen, message) in [
                (Side::Dialler, Chosen { ephemeral: point, fixed: None }, 1),
                (Side::Listener, Chosen { ephemeral: point, fixed: None }, 2),
                (Side::Listener, Chosen { fixed: point, ephemeral: None }, 2),
                (Side::Dialler, Chosen { fixed: point, ephemeral: None }, 3),
            ] {
                let expected = Some((message, Refused::Unverified));
                assert_eq!(first_refusal(&[1], side, chosen), expected, "{side:?}, {chosen:02x?}");
            }
        }
    }

    #[test]
    fn frames_of_a_handshake_have_a_front_of_their_own() {
        for (body, expected) in [
            (&b""[..], false),
            (b"g", true),
            (b"groupchat", true),
            (b"groupchat/", true),
            (b"groupchat/1", true),
            (b"groupchat/2 open\nnoise 00", true),
            (b"groupchat/2 private\nnoise 00", true),
            (b"groupchat/3 closed", true),
            (b"groupchat 2", false),
            (b"Groupchat/2", false),
            (b" groupchat/2", false),
            (b"h", false),
            (b"hello", false),
            (b"groupchaX", false),
            (b"\xff", false),
        ] {
            assert_eq!(is_like_handshake(body), expected, "{}", body.escape_ascii());
        }
    }

    #[test]
    fn debug_shows_no_key() {
        let (mut dialler, mut listener) = (dialler(&[1]), listener(&[1]));
        let (mut dial, body_1) = Handshake::dial(&mut dialler);
        let mut accept = Handshake::accept();
        assert_eq!(format!("{dial:?} {accept:?}"), "Dialled Listening");
        let step = accept.receive(&body_1, &mut listener).expect("a reply");
        let body_2 = match &step {
            Step::Reply(body) => body.clone(),
            other => panic!("a reply, and not {other:?}"),
        };
        assert_eq!(format!("{step:?}"), format!("Reply({body_2:?})"));
        let step = dial.receive(&body_2, &mut dialler).expect("records");
        assert_eq!(format!("{dial:?} {accept:?}"), "Over Answered");
        let shown = format!("{step:?}");
        let (body_3, _, _) = sealed(Ok(step));
        assert_eq!(
            shown,
            format!(
                "Sealed {{ reply: {body_3:?}, records: Records {{ outgoing: 0, .. }}, is_old_secret: false }}"
            )
        );
    }
}
