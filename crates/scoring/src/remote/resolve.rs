//! From the name of a server to its addresses.

use std::fmt::Debug;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;

/// Addresses that are being looked up.
pub type Resolving<'a> = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'a>>;

/// Finds the addresses of a server by its name.
pub trait Resolve: Debug + Send + Sync + 'static {
    /// All addresses of `host`, each with `port`.
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> Resolving<'a>;
}

/// Asks the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> Resolving<'a> {
        Box::pin(async move { Ok(tokio::net::lookup_host((host, port)).await?.collect()) })
    }
}

/// In one order, each once, and as they may stand in a URL: without the zone of a link.
pub(super) fn in_order(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let mut addresses: Vec<SocketAddr> =
        addresses.into_iter().map(|address| SocketAddr::new(address.ip(), address.port())).collect();
    addresses.sort_unstable();
    addresses.dedup();
    addresses
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_is_its_own() {
        let resolved = SystemResolver.resolve("127.0.0.2", 8000).await.unwrap();
        assert_eq!(resolved, ["127.0.0.2:8000".parse().unwrap()]);
    }

    #[test]
    fn an_address_stands_once() {
        let texts = ["10.0.0.2:1", "[fe80::1%3]:1", "10.0.0.1:1", "10.0.0.2:1"];
        let addresses = in_order(texts.map(|text| text.parse().unwrap()).to_vec());
        assert_eq!(
            addresses.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["10.0.0.1:1", "10.0.0.2:1", "[fe80::1]:1"]
        );
    }
}
