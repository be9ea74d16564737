//! Assembly of a network: its layout becomes namespaces, cables, addresses and routes.

use std::io;
use std::os::fd::AsFd;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use netlink_packet_route::link::LinkFlags;

use super::host::Host;
use super::layout::{Card, HostLayout, Layout, PREFIX_LENGTH, SwitchLayout};
use super::rtnetlink::Rtnetlink;

/// Name of the bridge in the namespace of a switch.
const BRIDGE: &str = "switch";

/// Name of the loopback interface, which every namespace has.
const LOOPBACK: &str = "lo";

/// Longest time for all cables to transmit: the kernel takes some milliseconds, and longer on a
/// busy machine.
const READY_TIME: Duration = Duration::from_secs(10);

/// Time between two looks at the interfaces.
const LOOK_TIME: Duration = Duration::from_millis(1);

/// A host or a switch that is being set up.
struct Site {
    host: Host,
    link: Rtnetlink,
    /// Names of its ends of cables. Some kernels add other interfaces to each namespace.
    ends: Vec<String>,
}

/// Makes the hosts and the switches of a layout, and returns them in this order. When it returns,
/// every cable transmits, and all is silent.
pub(super) fn assemble(layout: &Layout) -> Result<Vec<Host>> {
    let mut sites = layout.hosts.iter().map(Site::of_host).collect::<Result<Vec<_>>>()?;
    for (number, switch) in layout.switches.iter().enumerate() {
        let switch = Site::of_switch(number, switch, &layout.hosts, &sites)?;
        sites.push(switch);
    }
    for (host, site) in layout.hosts.iter().zip(&sites) {
        site.set_up(host).with_context(|| format!("cannot set up the {}", host.name))?;
    }
    await_readiness(&sites)?;
    Ok(sites.into_iter().map(|site| site.host).collect())
}

impl Site {
    fn new(name: &'static str, cards: Vec<Card>) -> Result<Self> {
        let host = Host::new(name, cards)?;
        let link = host.within(Rtnetlink::open)?.context("cannot talk to rtnetlink")?;
        Ok(Self { host, link, ends: Vec::new() })
    }

    fn of_host(layout: &HostLayout) -> Result<Self> {
        let cards: Vec<Card> = layout.cards.iter().map(|card| card.card.clone()).collect();
        let plugged = layout.cards.iter().filter(|card| card.switch.is_some());
        let ends = plugged.map(|card| card.card.name.clone()).collect();
        Ok(Self { ends, ..Self::new(layout.name, cards)? })
    }

    /// Makes a switch, and plugs in the cards that belong to it. The hosts come first in `sites`.
    fn of_switch(
        number: usize,
        switch: &SwitchLayout,
        hosts: &[HostLayout],
        sites: &[Self],
    ) -> Result<Self> {
        let mut made = Self::new(switch.name, Vec::new())?;
        made.add_bridge(switch).with_context(|| format!("cannot make the {}", switch.name))?;
        for (layout, site) in hosts.iter().zip(sites) {
            for card in layout.cards.iter().filter(|card| card.switch == Some(number)) {
                let cannot = || format!("cannot plug in a card of the {}", layout.name);
                made.plug_in(&card.card, &site.host).with_context(cannot)?;
            }
        }
        Ok(made)
    }

    fn add_bridge(&self, switch: &SwitchLayout) -> io::Result<()> {
        self.link.add_bridge(BRIDGE, switch.learns)?;
        self.switch_on(BRIDGE)
    }

    fn plug_in(&mut self, card: &Card, host: &Host) -> io::Result<()> {
        let port = format!("to-{}", host.name);
        self.link.add_cable(&port, self.link.index_of(BRIDGE)?, card, host.as_fd())?;
        self.switch_on(&port)?;
        self.ends.push(port);
        Ok(())
    }

    /// Switches on an interface of a switch.
    fn switch_on(&self, name: &str) -> io::Result<()> {
        let index = self.link.index_of(name)?;
        self.link.silence(index)?;
        self.link.set(index, LinkFlags::Up)
    }

    /// Switches on the cards of a host, and gives it its addresses and routes.
    fn set_up(&self, layout: &HostLayout) -> io::Result<()> {
        let link = &self.link;
        link.set(link.index_of(LOOPBACK)?, LinkFlags::Up)?;
        for card in layout.cards.iter().filter(|card| card.switch.is_some()) {
            let index = link.index_of(&card.card.name)?;
            link.silence(index)?;
            if layout.forwards {
                link.forward(index)?;
            }
            let is_all = card.is_promiscuous;
            let promiscuous = if is_all { LinkFlags::Promisc } else { LinkFlags::empty() };
            link.set(index, LinkFlags::Up | promiscuous)?;
            if let Some(address) = card.card.address {
                link.add_address(index, address, PREFIX_LENGTH)?;
            }
        }
        layout.gateway.map_or(Ok(()), |gateway| link.add_default_route(gateway))
    }

    /// Returns the name of an end of a cable that does not transmit yet. A bridge is not waited for:
    /// it sends nothing itself, and the kernel tells its state up to a second late.
    fn unready(&self) -> Result<Option<String>> {
        let interfaces = self.link.interfaces().context("cannot read the state of interfaces")?;
        let mut ends = interfaces.into_iter().filter(|found| self.ends.contains(&found.name));
        Ok(ends.find(|end| !end.is_ready).map(|end| end.name))
    }
}

/// Waits until every cable transmits. The kernel tells the two ends of a cable a moment after
/// each other that both are up, and drops what is sent before.
fn await_readiness(sites: &[Site]) -> Result<()> {
    let deadline = Instant::now() + READY_TIME;
    for site in sites {
        while let Some(end) = site.unready()? {
            let name = site.host.name;
            ensure!(
                Instant::now() < deadline,
                "the interface {end} of the {name} is not up after {READY_TIME:?}"
            );
            thread::sleep(LOOK_TIME);
        }
    }
    Ok(())
}
