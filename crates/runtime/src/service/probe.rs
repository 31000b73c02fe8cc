//! The health check of a container whose image has no HTTP client.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::service_group::BoxError;

const PATIENCE: Duration = Duration::from_secs(3);
/// Longer than any answer of `/ready`.
const LONGEST_ANSWER: u64 = 16 << 10;

/// Asks the service that listens on `address` whether it is ready.
///
/// # Errors
/// When it is not, with its reason, or when it does not answer.
pub(super) async fn check(address: SocketAddr) -> Result<(), BoxError> {
    let address = reachable(address);
    let answer = match timeout(PATIENCE, ask(address)).await {
        Ok(answer) => answer.map_err(|error| format!("nothing answers on {address}: {error}"))?,
        Err(_) => return Err(format!("no answer from {address} within {} s", PATIENCE.as_secs()).into()),
    };
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    if head.split_whitespace().nth(1) == Some("200") { Ok(()) } else { Err(format!("not ready: {body}").into()) }
}

async fn ask(address: SocketAddr) -> std::io::Result<String> {
    let mut connection = TcpStream::connect(address).await?;
    // Version 1.0 has the server close the connection after its answer.
    connection.write_all(b"GET /ready HTTP/1.0\r\nHost: localhost\r\n\r\n").await?;
    let mut answer = Vec::new();
    connection.take(LONGEST_ANSWER).read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// A service that listens on every address is reached here.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}

#[cfg(test)]
mod tests {
    use prometheus::Registry;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::health::Health;
    use crate::{admin, http};

    #[tokio::test]
    async fn it_says_what_the_service_says() {
        let listener = http::bind("test", ([127, 0, 0, 1], 0).into(), "test.port").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let everywhere = SocketAddr::from(([0, 0, 0, 0], port));
        let (health, stop) = (Health::starting("waiting for the broker"), CancellationToken::new());
        let served = tokio::spawn(http::serve(listener, admin::router(Registry::new(), health.clone()), stop.clone()));
        let said = check(everywhere).await.unwrap_err().to_string();
        assert_eq!(said, r#"not ready: {"ready":false,"reason":"waiting for the broker"}"#);
        health.set_ready();
        check(everywhere).await.unwrap();
        stop.cancel();
        served.await.unwrap().unwrap();
        assert!(check(everywhere).await.unwrap_err().to_string().starts_with("nothing answers on 127.0.0.1:"));
    }
}
