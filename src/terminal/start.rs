//! Taking over the standard streams: what they are decides how the user is talked with.

use std::io::{self, IsTerminal as _};
use std::os::fd::AsFd as _;

use chrono::Local;
use mio::Registry;

use super::ignored::Ignored;
use super::input::Input;
use super::interactive::{Interactive, Manner};
use super::notices::Notices;
use super::output::Output;
use super::raw::Claim;
use super::record::Record;
use super::recorder::Recorder;
use super::words::{Look, Words};
use super::{Face, Terminal, Tokens, View, descriptor};

impl Terminal {
    /// Takes over the three standard streams.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn new(
        registry: &Registry,
        tokens: Tokens,
        name: String,
        view: View,
        record: Option<Record>,
        takes_input: bool,
    ) -> io::Result<Self> {
        let View { has_colors, has_bell, time_format, is_json } = view;
        let (stdin, stdout, stderr) = (io::stdin(), io::stdout(), io::stderr());
        let conversation = Output::new(stdout.as_fd(), registry, tokens.output)?;
        let notices = if is_json || descriptor::is_same_place(stdout.as_fd(), stderr.as_fd()) {
            None
        } else {
            Some(Output::new(stderr.as_fd(), registry, tokens.error)?)
        };
        let input = Input::new(registry, tokens.input)?;
        let is_screen = descriptor::can_draw(stdout.as_fd());
        let has_colors = has_colors.unwrap_or(is_screen);
        let is_interactive = takes_input && !is_json && is_screen && stdin.is_terminal();
        let look = Look {
            has_colors,
            tells_days: is_interactive && time_format.is_none(),
            finds_mentions: has_colors || is_interactive,
            time_format: time_format.unwrap_or_else(|| Look::time_format(is_interactive).to_owned()),
        };
        let face = if is_interactive {
            let claim = Claim::new(stdin.as_fd(), stdout.as_fd())?;
            let manner = Manner { has_colors, has_bell, reflows: descriptor::reflows() };
            Face::Interactive(Interactive::new(claim, name.clone(), manner).into())
        } else if is_json {
            Face::Json
        } else {
            Face::Lines
        };
        let now = Local::now();
        Ok(Self {
            input,
            conversation,
            notices: Notices::new(notices),
            face,
            words: Words::new(look, name.clone(), now),
            recorder: record.map(|record| Recorder::new(record, name, now)),
            ignored: Ignored::default(),
            tokens,
            stalled_since: None,
        })
    }
}
