//! `throttling`: time for which a CPU quota held back a cgroup that the server is in, over all
//! processors. It is zero if there is no quota, and missing if the quotas can't be read.

use anyhow::Result;

use super::definition::{Finish, Probe, Read};
use super::tree::Tree;
use crate::quota::Quota;

pub(super) const PROBE: Probe = Probe { name: "throttling", read: Read::Both(begin) };

fn begin(tree: &Tree) -> Result<Finish> {
    let throttling = Quota::of(Some(tree.members[0].pid))?.begin()?;
    Ok(Box::new(move |_| Ok(vec![("server_throttled_s", throttling.elapsed_s()?)])))
}
