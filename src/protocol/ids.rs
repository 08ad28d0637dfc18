//! The ids by which the parts of the group refer to a connection, a member and a target.

/// The id of a connection: its slot in the group's slab, used again only after the connection was reaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(pub usize);

/// The key of a member. It is never used again, and a member that became known later has a greater one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MemberKey(pub(super) u64);

/// The id of a target. It is never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TargetId(pub(super) u64);

#[cfg(test)]
impl MemberKey {
    pub(super) const FIRST: Self = Self(0);

    pub(super) fn next(self) -> Self {
        Self(self.0 + 1)
    }
}
