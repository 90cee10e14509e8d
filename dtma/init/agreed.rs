//! What the init and the daemon agree on. Both are built with this very file.

/// Where the daemon mounts the pipes, read-only: a pipe can be written all the same, and nothing can be put beside it.
pub(super) const FOLDER: &str = "/run/agentopia";
/// Where files that are secret go: in the container's memory, its user's alone.
pub(super) const FILES: &str = "/tmp/credentials";
/// How what is given begins, before its length: four bytes, the least first.
pub(super) const MARK: &[u8] = b"given 1\n";
/// Its last field. What was cut off and filled up with something else does not end so.
pub(super) const END: &[u8] = b".\0";
