//! The names of those who are present, indexed by what the names look like.
//!
//! Names that look alike are all marked, and a name that is alone again loses its mark. A change costs a few
//! look-ups in maps, however many have the name: of the other labels, only those change whose ids are next to
//! the one added or removed, or that were or are the only other one.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::rc::Rc;

use super::ids::ClientId;
use super::label::{Label, address_mark};
use crate::wire::identity::MemberId;

/// The bearer of a name who is present. Members come first, in the order of their ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Holder {
    /// A member that was met, or ourselves.
    Member(MemberId),
    /// A plain peer that has sent its name.
    Plain(ClientId),
}

/// The index of the names of all who are present.
#[derive(Debug, Default)]
pub(super) struct Names {
    held: BTreeMap<Holder, Held>,
    by_look: BTreeMap<Rc<str>, BTreeSet<Holder>>,
}

#[derive(Debug)]
struct Held {
    label: Label,
    /// The address of a plain peer.
    address: Option<SocketAddr>,
}

/// The number of digits of an id in a tag, at least.
const TAG_DIGITS_MIN: usize = 4;

/// The digits of a whole id.
const ID_DIGITS: usize = 32;

/// The shortest tag of a member with this id.
pub(super) fn short_tag(id: MemberId) -> String {
    tag(id, TAG_DIGITS_MIN)
}

fn tag(id: MemberId, digits: usize) -> String {
    format!("#{}", &id.to_string()[..digits])
}

impl Names {
    /// Adds or changes the name of a holder, whatever mark is on it; a plain peer has an address. Returns the labels
    /// that have changed: the holder's own first.
    pub fn insert(
        &mut self,
        holder: Holder,
        label: &Label,
        address: Option<SocketAddr>,
    ) -> Vec<(Holder, Label)> {
        let mut affected = self.take_out(holder);
        affected.remove(&holder);
        for look in looks(label) {
            let alike = self.by_look.entry(look).or_default();
            alike.insert(holder);
            affected.extend(around(alike, holder));
        }
        let label = self.marked(holder, label, address);
        self.held.insert(holder, Held { label: label.clone(), address });
        let mut changed = vec![(holder, label)];
        changed.extend(self.refreshed(affected));
        changed
    }

    /// Removes a holder that is not present any more. Returns the labels that have changed.
    pub fn remove(&mut self, holder: Holder) -> Vec<(Holder, Label)> {
        let affected = self.take_out(holder);
        self.refreshed(affected)
    }

    /// The label of a holder, if it is present.
    pub fn label(&self, holder: Holder) -> Option<&Label> {
        self.held.get(&holder).map(|held| &held.label)
    }

    /// Takes a holder out of the index. Returns the holders whose marks may have changed.
    fn take_out(&mut self, holder: Holder) -> BTreeSet<Holder> {
        let mut affected = BTreeSet::new();
        let Some(held) = self.held.remove(&holder) else { return affected };
        for look in looks(&held.label) {
            let Some(alike) = self.by_look.get_mut(&look) else { continue };
            affected.extend(around(alike, holder));
            alike.remove(&holder);
            if alike.is_empty() {
                self.by_look.remove(&look);
            }
        }
        affected
    }

    fn refreshed(&mut self, affected: BTreeSet<Holder>) -> Vec<(Holder, Label)> {
        let mut changed = Vec::new();
        for holder in affected {
            let Some(held) = self.held.get(&holder) else { continue };
            let label = self.marked(holder, &held.label, held.address);
            if *label != *held.label {
                changed.push((holder, label.clone()));
                self.held.entry(holder).and_modify(|held| held.label = label);
            }
        }
        changed
    }

    /// The label with the mark that it needs.
    fn marked(&self, holder: Holder, label: &Label, address: Option<SocketAddr>) -> Label {
        let mut needs_mark = label.forges_mark();
        let mut digits = TAG_DIGITS_MIN;
        for alike in looks(label).iter().filter_map(|look| self.by_look.get(look)) {
            needs_mark |= alike.len() > 1;
            if let Holder::Member(id) = holder {
                let others = neighbours(alike, holder).filter_map(|other| match other {
                    Holder::Member(other) => Some(common_digits(id, other) + 1),
                    Holder::Plain(_) => None,
                });
                digits = others.fold(digits, usize::max).min(ID_DIGITS);
            }
        }
        let mark = match (needs_mark, holder, address) {
            (false, ..) | (true, Holder::Plain(_), None) => String::new(),
            (true, Holder::Member(id), _) => tag(id, digits),
            (true, Holder::Plain(_), Some(address)) => address_mark(address),
        };
        label.with_mark(&mark)
    }
}

fn looks(label: &Label) -> Vec<Rc<str>> {
    label.looks().into_iter().flat_map(|looks| looks.keys()).cloned().collect()
}

/// Those of `alike` whose marks may depend on `holder`, which is one of them.
fn around(alike: &BTreeSet<Holder>, holder: Holder) -> Vec<Holder> {
    // If there are only two, each is the reason why the other is marked.
    if alike.len() == 2 {
        return alike.iter().copied().collect();
    }
    neighbours(alike, holder).collect()
}

fn neighbours(alike: &BTreeSet<Holder>, holder: Holder) -> impl Iterator<Item = Holder> {
    use std::ops::Bound::{Excluded, Unbounded};
    let before = alike.range(..holder).next_back().copied();
    let after = alike.range((Excluded(holder), Unbounded)).next().copied();
    before.into_iter().chain(after)
}

fn common_digits(one: MemberId, other: MemberId) -> usize {
    (one.0 ^ other.0).leading_zeros() as usize / 4
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::identity::MemberId;

    const OWN: u128 = 0x5555 << 112;

    fn member(number: u128) -> Holder {
        Holder::Member(MemberId(number))
    }

    fn address(slot: usize) -> SocketAddr {
        ([10, 0, 0, 1], slot as u16).into()
    }

    fn plain(slot: usize) -> (Holder, SocketAddr) {
        (Holder::Plain(ClientId(slot)), address(slot))
    }

    /// Names, and a copy of the labels that follows the changes that are returned.
    #[derive(Default)]
    struct Copied {
        names: Names,
        copy: BTreeMap<Holder, String>,
    }

    impl Copied {
        fn take(&mut self, changed: Vec<(Holder, Label)>) -> usize {
            let count = changed.len();
            self.copy.extend(changed.into_iter().map(|(holder, label)| (holder, label.to_string())));
            for (holder, held) in &self.names.held {
                assert_eq!(self.copy[holder], held.label.to_string(), "{holder:?} has changed");
            }
            count
        }

        fn insert(&mut self, holder: Holder, name: &str) -> usize {
            let address = if let Holder::Plain(ClientId(slot)) = holder { Some(address(slot)) } else { None };
            let changed = self.names.insert(holder, &name.into(), address);
            self.take(changed)
        }

        fn remove(&mut self, holder: Holder) -> usize {
            let changed = self.names.remove(holder);
            self.take(changed)
        }

        fn all(&self) -> Vec<String> {
            self.names.held.values().map(|held| held.label.to_string()).collect()
        }
    }

    #[test]
    fn those_who_look_alike_are_marked_as_long_as_they_do() {
        let mut names = Copied::default();
        names.insert(member(OWN), "alice");
        names.insert(member(0x4aa6 << 112), "bob");
        assert_eq!(names.all(), ["bob", "alice"]);
        names.insert(member(0x77c1 << 112), "b\u{43e}b");
        assert_eq!(names.all(), ["bob#4aa6", "alice", "b\u{43e}b#77c1"]);
        names.insert(plain(7).0, "BOB");
        assert_eq!(names.all()[3], "BOB (10.0.0.1:7)");
        names.insert(plain(8).0, "Alice");
        assert_eq!(names.all()[1], "alice#5555", "our own name counts");
        assert_eq!(names.all()[4], "Alice (10.0.0.1:8)");
        names.remove(member(0x77c1 << 112));
        assert_eq!(names.all()[0], "bob#4aa6");
        names.insert(plain(7).0, "rob");
        names.remove(plain(8).0);
        assert_eq!(names.all(), ["bob", "alice", "rob"]);
        names.insert(member(0x77c1 << 112), "rob");
        names.insert(member(0x77c1 << 112), "robert");
        assert_eq!(names.all(), ["bob", "alice", "robert", "rob"]);
    }

    #[test]
    fn names_that_are_shown_alike_are_marked() {
        for (one, other) in [
            ("a\u{202e}b", "a\u{fffd}b"),
            ("x\x07", "x^G"),
            ("t\tu", "t^Iu"),
            ("bob\u{2028}c", "bob\u{fffd}c"),
            ("b\u{200b}ob", "bob"),
        ] {
            let mut names = Copied::default();
            names.insert(member(0x4aa6 << 112), one);
            names.insert(member(0x77c1 << 112), other);
            assert!(names.all()[0].ends_with("#4aa6") && names.all()[1].ends_with("#77c1"), "{one:?}");
        }
    }

    #[test]
    fn a_name_in_another_script_alone_is_never_marked() {
        let mut names = Copied::default();
        let all = ["\u{431}\u{43e}\u{431}", "bob", "\u{674e}", "\u{5d3}\u{5d5}\u{5d3}", "mary ann", "mary"];
        for (number, name) in (1..).zip(all) {
            assert_eq!(names.insert(member(number), name), 1);
        }
        assert!(!names.all().iter().any(|name| name.contains('#')), "{:?}", names.all());
    }

    #[test]
    fn marks_cannot_be_forged() {
        let mut names = Copied::default();
        names.insert(plain(7).0, "bob#4aa6");
        names.insert(plain(8).0, "192.168.1.7");
        names.insert(plain(9).0, "\u{200b}");
        names.insert(member(0x4aa6 << 112), "bob#4aa6");
        names.insert(member(0x77c1 << 112), "c#");
        names.insert(member(0x8888 << 112), "?");
        names.insert(member(0x9999 << 112), "[::1]:5");
        names.insert(plain(10).0, "localhost:5000");
        let all = [
            "\"bob#4aa6\"#4aa6",
            "c#",
            "\"?\"#8888",
            "\"[::1]:5\"#9999",
            "\"bob#4aa6\" (10.0.0.1:7)",
            "\"192.168.1.7\" (10.0.0.1:8)",
            "\"\u{200b}\" (10.0.0.1:9)",
            "\"localhost:5000\" (10.0.0.1:10)",
        ];
        assert_eq!(names.all(), all);
    }

    #[test]
    fn a_tag_has_as_many_digits_as_tell_it_apart() {
        let mut names = Copied::default();
        names.insert(member(0xffff_f000 << 96), "x");
        names.insert(member(0xffff_f100 << 96), "x");
        names.insert(member(0xffff_0000 << 96), "x");
        names.insert(member(0xabcd_0000 << 96), "X");
        assert_eq!(names.all(), ["X#abcd", "x#ffff0", "x#fffff0", "x#fffff1"]);
        names.remove(member(0xffff_f000 << 96));
        assert_eq!(names.all(), ["X#abcd", "x#ffff0", "x#fffff"]);
        names.insert(member(u128::MAX), "x");
        names.insert(member(u128::MAX - 1), "x");
        assert_eq!(names.all()[4], format!("x#{}", "f".repeat(32)));
    }

    #[test]
    fn a_change_costs_no_more_where_a_thousand_have_the_name() {
        let mut names = Copied::default();
        for number in 0..1000 {
            assert!(names.insert(member(u128::MAX - number), "same") <= 3);
        }
        // Not only do few change: no more are looked at.
        let alike = names.names.by_look.values().find(|alike| alike.len() == 1000).expect("all look alike");
        assert_eq!(around(alike, member(u128::MAX - 500)).len(), 2);
        for name in ["sam", "same", "sam"] {
            assert!(names.insert(member(u128::MAX - 500), name) <= 3);
        }
        assert!(names.remove(member(u128::MAX - 10)) <= 3);
    }

    /// Whatever happens, each has the mark that it would have if all had come at once.
    #[test]
    fn marks_depend_on_who_is_there_and_not_on_what_has_happened() {
        let mut random = fastrand::Rng::with_seed(1);
        let mut names = Copied::default();
        for _ in 0..3_000 {
            let number = random.u128(..12);
            let holder = if number < 9 { member(number << 100) } else { plain(number as usize).0 };
            if random.u8(..4) == 0 {
                names.remove(holder);
            } else {
                let name = ["bob", "b\u{43e}b", "I", "l", "i", "bob#4aa6", "mary ann"][random.usize(..7)];
                names.insert(holder, name);
            }
            let mut fresh = Names::default();
            for (holder, held) in &names.names.held {
                fresh.insert(*holder, &held.label, held.address);
            }
            let labels =
                |names: &Names| names.held.values().map(|held| held.label.to_string()).collect::<Vec<_>>();
            assert_eq!(labels(&names.names), labels(&fresh));
            let shown: BTreeSet<_> = names.all().into_iter().collect();
            assert_eq!(shown.len(), names.names.held.len(), "{shown:?}");
        }
        names.names.held.keys().copied().collect::<Vec<_>>().into_iter().for_each(|holder| {
            names.remove(holder);
        });
        assert!(names.names.by_look.is_empty(), "nothing is left");
    }
}
