//! Opening a port, and saying in plain words why that did not work.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use tokio::net::TcpListener;

use crate::settings::env_name;

/// A service could not listen on its address.
#[derive(Debug, thiserror::Error)]
#[error("{service} cannot listen on {addr}: {problem}")]
pub struct BindError {
    /// The service.
    pub service: &'static str,
    /// The address it wanted.
    pub addr: SocketAddr,
    /// What is wrong, and the mend.
    pub problem: BindProblem,
    /// What the operating system said.
    pub source: io::Error,
}

/// Why an address could not be had. Its text ends with the mend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BindProblem {
    /// Another program listens there.
    Taken {
        /// The port.
        port: u16,
        /// The setting that moves it.
        setting: &'static str,
    },
    /// Ports below 1024 belong to the administrator.
    Forbidden {
        /// The port.
        port: u16,
        /// The setting that moves it.
        setting: &'static str,
    },
    /// This machine does not have the address.
    NotOurs,
    /// Something else.
    Other {
        /// What the operating system said.
        said: String,
        /// The setting that moves the port.
        setting: &'static str,
    },
}

impl BindProblem {
    fn new(error: &io::Error, addr: SocketAddr, setting: &'static str) -> Self {
        let port = addr.port();
        match error.kind() {
            io::ErrorKind::AddrInUse => Self::Taken { port, setting },
            io::ErrorKind::PermissionDenied => Self::Forbidden { port, setting },
            io::ErrorKind::AddrNotAvailable => Self::NotOurs,
            _ => Self::Other { said: error.to_string(), setting },
        }
    }
}

impl fmt::Display for BindProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Taken { port, setting } => write!(
                f,
                "port {port} is taken by another program; stop that program, or give {setting} a free port (as in {}={})",
                env_name(setting),
                port.checked_add(1).unwrap_or(8080)
            ),
            Self::Forbidden { port, setting } => write!(
                f,
                "this user may not open port {port}; give {setting} a port from 1024 up (as in {}=8080)",
                env_name(setting)
            ),
            Self::NotOurs => write!(
                f,
                "this machine does not have that address; give http.host one that it has (as in {}=127.0.0.1)",
                env_name("http.host")
            ),
            Self::Other { said, setting } => write!(f, "{said}; {setting} ({}) moves the port", env_name(setting)),
        }
    }
}

/// Listens on `addr` for `service`. `setting` is the key that moves the port, as in `dashboard.port`.
///
/// # Errors
/// When the address cannot be had; the text names the service, the reason and the mend.
pub async fn bind(service: &'static str, addr: SocketAddr, setting: &'static str) -> Result<TcpListener, BindError> {
    TcpListener::bind(addr).await.map_err(|source| {
        let problem = BindProblem::new(&source, addr, setting);
        BindError { service, addr, problem, source }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_busy_port_is_named_with_the_mend() {
        let first = bind("dashboard", ([127, 0, 0, 1], 0).into(), "dashboard.port").await.unwrap();
        let addr = first.local_addr().unwrap();
        let error = bind("dashboard", addr, "dashboard.port").await.unwrap_err();
        let port = addr.port();
        let expected = format!(
            "dashboard cannot listen on 127.0.0.1:{port}: port {port} is taken by another program; stop that program, \
             or give dashboard.port a free port (as in PULSE__DASHBOARD__PORT={})",
            port.checked_add(1).unwrap_or(8080)
        );
        assert_eq!(error.to_string(), expected);
        assert_eq!(error.source.kind(), io::ErrorKind::AddrInUse);
    }

    #[tokio::test]
    async fn an_address_of_another_machine_is_named() {
        // 192.0.2.0/24 is set aside for documentation (RFC 5737): no machine has it.
        let error = bind("dashboard", ([192, 0, 2, 1], 0).into(), "dashboard.port").await.unwrap_err();
        assert_eq!(error.problem, BindProblem::NotOurs);
        assert!(error.to_string().contains("PULSE__HTTP__HOST=127.0.0.1"), "{error}");
    }

    #[test]
    fn a_forbidden_port_is_named() {
        let refused = io::Error::from(io::ErrorKind::PermissionDenied);
        let problem = BindProblem::new(&refused, ([127, 0, 0, 1], 80).into(), "dashboard.port");
        assert!(problem.to_string().starts_with("this user may not open port 80;"), "{problem}");
    }
}
