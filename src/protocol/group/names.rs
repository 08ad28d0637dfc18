//! Names of those who are present: added, changed and removed.

use super::*;
use crate::protocol::label::address_mark;

impl<S> Group<S> {
    /// Changes our name. Members are sent it at once; plain peers see it in the next message.
    pub fn rename(&mut self, name: String) {
        self.own.rename(name);
        self.name_oneself();
        // The caller shows that to the user.
        self.is_name_taken_shown = !self.own_label().mark().is_empty();
        let links: Vec<_> = self.members.iter().flat_map(|(_, member)| &member.links).copied().collect();
        for id in links {
            let frame = PeerFrame { name: self.own.name(), ..PeerFrame::default() };
            self.push_frame(id, &frame);
        }
    }

    /// Our name as others see it: with a mark if another peer here has our name, or one that looks like it.
    #[must_use]
    pub fn own_label(&self) -> Label {
        let label = self.names.label(Holder::Member(self.own.id)).cloned();
        label.unwrap_or_else(|| self.own.writer.name().into())
    }

    /// Adds our own name to the names of those who are present.
    pub(super) fn name_oneself(&mut self) {
        let changed = self.names.insert(Holder::Member(self.own.id), &self.own.writer.name().into(), None);
        self.apply(changed);
    }

    /// Adds the name of a member that was met.
    pub(super) fn name_member(&mut self, key: MemberKey) {
        let member = &self.members[key];
        let changed = self.names.insert(Holder::Member(member.id), &member.shown, None);
        self.apply(changed);
    }

    /// A member sends its name. Of two names with one version the one that compares greater counts, in whatever order
    /// they arrive, so that everybody who receives both ends with the same one.
    pub(super) fn rename_member(&mut self, key: MemberKey, version: u64, name: &str) {
        let member = &mut self.members[key];
        if (Some(version), name) < (member.name_version, &*member.name) {
            return;
        }
        member.name_version = Some(version);
        if *name == *member.name {
            return;
        }
        let before = member.shown.clone();
        member.set_name(name);
        if member.is_unmet() {
            // The user was not shown the old one.
            return;
        }
        self.name_member(key);
        let peer = self.members[key].info();
        self.former_names.add(PeerInfo { name: before.clone(), ..peer.clone() }, Fate::Renamed);
        self.show(Event::Renamed { peer, before });
        self.show_name_taken(key);
    }

    /// A plain peer sends a message or a goodbye with this name. Returns its label.
    pub(super) fn name_plain(&mut self, id: ClientId, name: &str) -> Label {
        let address = self.clients[id].address;
        let label = Label::from(name);
        let Some(peer) = self.clients[id].phase.plain_mut() else {
            return label.with_mark(&address_mark(address));
        };
        let before = peer.name.replace(label.clone());
        if let Some(name) = before.filter(|before| before.bare() != label.bare()) {
            self.former_names.add(PeerInfo { name, id: None, address: None }, Fate::Renamed);
        }
        let changed = self.names.insert(Holder::Plain(id), &label, Some(address));
        self.apply(changed);
        let known = self.clients[id].phase.plain().and_then(|peer| peer.name.clone());
        known.unwrap_or(label)
    }

    /// Removes the name of a holder that is not present any more.
    pub(super) fn unname(&mut self, holder: Holder) {
        let changed = self.names.remove(holder);
        self.apply(changed);
    }

    pub(super) fn apply(&mut self, changed: Vec<(Holder, Label)>) {
        for (holder, label) in changed {
            match holder {
                Holder::Member(id) => {
                    if let Some(key) = self.members.find(id) {
                        self.members[key].shown = label;
                    }
                }
                Holder::Plain(id) => {
                    let peer = self.clients[id].phase.plain_mut();
                    peer.into_iter().for_each(|peer| peer.name = Some(label.clone()));
                }
            }
        }
    }

    /// A plain peer for events: by its name, or by its address if it has none.
    pub(super) fn plain_info(&self, id: ClientId) -> PeerInfo {
        let client = &self.clients[id];
        let name = client.phase.plain().and_then(|peer| peer.name.clone());
        let name = name.unwrap_or_else(|| Label::of_place(client.address.to_string()));
        PeerInfo { name, id: None, address: Some(client.address) }
    }

    /// Shows the user once that a member has the same name.
    pub(super) fn show_name_taken(&mut self, key: MemberKey) {
        let (own, peer) = (self.own_label(), self.members[key].info());
        if own.is_like(&peer.name) && !mem::replace(&mut self.is_name_taken_shown, true) {
            self.report(Diagnostic::NameTaken { peer, own });
        }
    }
}
