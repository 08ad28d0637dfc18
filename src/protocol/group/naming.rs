//! What everybody is called: who is present takes a name, changes it, or gives it back.

use std::mem;

use super::{ClientId, Group, Introduction, MemberKey, Notice, Who};
use crate::protocol::former_names::Fate;
use crate::protocol::label::{Label, address_mark};
use crate::protocol::names::Holder;
use crate::protocol::peer_frame::PeerFrame;

impl<S> Group<S> {
    /// From now on, we are called `name`. Members are told at once; others see it in what is said next.
    pub fn rename(&mut self, name: String) {
        self.writer.set_name(name);
        self.names_before += 1;
        self.name_oneself();
        // Whoever renames us tells the user of that.
        self.is_name_taken_told = !self.own_label().mark().is_empty();
        let links = self.members.iter().flat_map(|(_, member)| &member.links).copied();
        for id in links.collect::<Vec<_>>() {
            self.push_frame(id, &self.own_name());
        }
    }

    /// What the others call us: with a mark where somebody here has our name, or one that looks like it.
    #[must_use]
    pub fn own_label(&self) -> Label {
        let label = self.names.label(Holder::Member(self.id)).cloned();
        label.unwrap_or_else(|| self.writer.name().into())
    }

    /// What tells others our name.
    pub(super) fn own_name(&self) -> PeerFrame {
        let names = Some(self.names_before).filter(|names| *names > 0);
        PeerFrame { name: Some(self.writer.name().to_owned()), names, ..PeerFrame::default() }
    }

    /// Our own name counts as that of somebody who is present.
    pub(super) fn name_oneself(&mut self) {
        let changed = self.names.insert(Holder::Member(self.id), &self.writer.name().into(), None);
        self.apply(changed);
    }

    /// A member that was met is present under its name.
    pub(super) fn name_member(&mut self, key: MemberKey) {
        let member = &self.members[key];
        let changed = self.names.insert(Holder::Member(member.id), &member.shown, None);
        self.apply(changed);
    }

    /// A plain peer calls itself `name`. Who says that it is a member has the address as its mark until it
    /// has shown that it is, and takes no name from that member.
    pub(super) fn name_plain(&mut self, id: ClientId, name: &str) -> Label {
        let client = &mut self.clients[id.0];
        let label = Label::from(name);
        if let Introduction::Begun(_) = client.introduction {
            let label = label.with_mark(&address_mark(client.address));
            return client.name.insert(label).clone();
        }
        let before = client.name.replace(label.clone());
        if let Some(name) = before.filter(|before| before.bare() != label.bare()) {
            self.former_names.add(Who { name, id: None, address: None }, Fate::Renamed);
        }
        let address = Some(self.clients[id.0].address);
        let changed = self.names.insert(Holder::Plain(id), &label, address);
        self.apply(changed);
        self.clients[id.0].name.clone().unwrap_or(label)
    }

    /// Somebody is not present any more.
    pub(super) fn unname(&mut self, holder: Holder) {
        let changed = self.names.remove(holder);
        self.apply(changed);
    }

    fn apply(&mut self, changed: Vec<(Holder, Label)>) {
        for (holder, label) in changed {
            match holder {
                Holder::Member(id) => {
                    if let Some(key) = self.members.find(id) {
                        self.members[key].shown = label;
                    }
                }
                Holder::Plain(id) => self.clients[id.0].name = Some(label),
            }
        }
    }

    /// What to call a plain peer.
    pub(super) fn plain_who(&self, id: ClientId) -> Who {
        let client = &self.clients[id.0];
        let name = client.name.clone().unwrap_or_else(|| Label::of_place(client.address.to_string()));
        Who { name, id: None, address: Some(client.address) }
    }

    /// Tells the user once that a member has the same name.
    pub(super) fn tell_name_taken(&mut self, key: MemberKey) {
        let (own, who) = (self.own_label(), self.members[key].who());
        if own.is_like(&who.name) && !mem::replace(&mut self.is_name_taken_told, true) {
            self.notices.push_back(Notice::NameTaken { who, own });
        }
    }
}
