//! Those of whom the user does not want to hear.

use crate::protocol::{Notice, Who};

/// A list of them, as long as the user makes it. A member is known by its id, whatever it is called; who
/// has none, by its name.
#[derive(Debug, Default)]
pub struct IgnoreList {
    all: Vec<Who>,
}

impl IgnoreList {
    /// Adds somebody. Returns whether it was not there.
    pub fn add(&mut self, who: Who) -> bool {
        let is_new = !self.holds(&who);
        if is_new {
            self.all.push(who);
        }
        is_new
    }

    /// Removes who was called `name` when it was added, if there is one, and returns it.
    pub fn remove(&mut self, name: &str) -> Option<Who> {
        let at = self.all.iter().position(|who| *who.name == *name)?;
        Some(self.all.remove(at))
    }

    /// Whether somebody is on it.
    #[must_use]
    pub fn holds(&self, who: &Who) -> bool {
        self.all.iter().any(|ignored| match (ignored.id, who.id) {
            (None, None) => ignored.name == who.name,
            (one, other) => one == other,
        })
    }

    /// Whether it is said by one of them.
    #[must_use]
    pub fn is_theirs(&self, notice: &Notice) -> bool {
        matches!(notice, Notice::Message { from, .. } if self.holds(from))
    }

    /// What they were called when they were added.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        self.all.iter().map(|who| &*who.name).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::peer_frame::Word;

    #[test]
    fn a_member_is_known_by_its_id_and_others_by_their_names() {
        let who = |name: &str, id: Option<u128>| Who { name: name.into(), id: id.map(Word), address: None };
        let mut ignored = IgnoreList::default();
        assert!(ignored.add(who("bob", Some(1))) && ignored.add(who("nc", None)));
        assert!(!ignored.add(who("robert", Some(1))));
        assert!(ignored.holds(&who("robert", Some(1))) && ignored.holds(&who("nc", None)));
        assert!(!ignored.holds(&who("bob", Some(2))) && !ignored.holds(&who("bob", None)));
        assert_eq!(ignored.names(), ["bob", "nc"]);
        assert_eq!(ignored.remove("bob"), Some(who("bob", Some(1))));
        assert_eq!(ignored.remove("bob"), None);
        assert!(!ignored.holds(&who("robert", Some(1))));
    }
}
