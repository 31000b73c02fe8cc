//! Ports for servers that are stopped and started again.

use std::hash::{BuildHasher as _, RandomState};
use std::net::{Ipv4Addr, TcpListener};
use std::ops::RangeInclusive;

use anyhow::Context as _;

/// Below what Linux (from 32768) and others (from 49152) give to those who ask for any port, above what services are used to.
const PORTS: RangeInclusive<u16> = 20_000..=32_000;
const TRIES: u64 = 100;

/// A port on which nobody listens now, and that the system gives to nobody who asks for any: a server that is away for a
/// while finds it free again.
///
/// # Errors
/// When none is found.
pub fn free_port() -> anyhow::Result<u16> {
    // Where each process begins differs, so that two that run at once hardly ever find the same.
    let (random, count) = (RandomState::new(), u64::from(PORTS.end() - PORTS.start()) + 1);
    let tried = (0..TRIES).map(|n| *PORTS.start() + u16::try_from(random.hash_one(n) % count).unwrap_or_default());
    tried
        .into_iter()
        .find(|&port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok())
        .with_context(|| format!("no free port from {} to {}", PORTS.start(), PORTS.end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_gives_it_to_nobody_else() {
        let port = free_port().unwrap();
        assert!(PORTS.contains(&port));
        if let Ok(range) = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range") {
            let first: u16 = range.split_whitespace().next().unwrap().parse().unwrap();
            assert!(port < first, "this machine gives ports from {first} on to everybody");
        }
    }
}
