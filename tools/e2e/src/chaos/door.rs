//! A door in the network: it leads connections on to a server, and can be shut for a while.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

const BUFFER: usize = 64 << 10;
/// After a connection that could not be accepted.
const PAUSE: Duration = Duration::from_millis(10);

/// A port of this machine that leads to one of several others, in turn, as a name of many addresses does. It closes with the
/// value.
#[derive(Debug)]
pub(super) struct Door {
    port: u16,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    behind: Mutex<Vec<u16>>,
    is_open: watch::Sender<bool>,
    turn: AtomicUsize,
}

impl Door {
    /// An open door that leads nowhere yet.
    pub(super) async fn new() -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let shared = Arc::new(Shared {
            behind: Mutex::default(),
            is_open: watch::Sender::new(true),
            turn: AtomicUsize::default(),
        });
        let task = tokio::spawn(keep(listener, Arc::clone(&shared)));
        Ok(Self { port, shared, task })
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn lead_to(&self, ports: &[u16]) {
        *self.shared.behind.lock().unwrap_or_else(PoisonError::into_inner) = ports.to_vec();
    }

    /// Lets nothing through any more, and breaks no connection: what is sent waits.
    pub(super) fn shut(&self) {
        self.shared.is_open.send_replace(false);
    }

    pub(super) fn open(&self) {
        self.shared.is_open.send_replace(true);
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    async fn opened(&self) {
        // It lives as long as this value, and so fails never.
        drop(self.is_open.subscribe().wait_for(|is_open| *is_open).await);
    }

    /// A connection to the next one that takes it.
    async fn connect(&self) -> Option<TcpStream> {
        let mut ports = self.behind.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let first = turn.checked_rem(ports.len())?;
        ports.rotate_left(first);
        for port in ports {
            if let Ok(stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await {
                return Some(stream);
            }
        }
        None
    }
}

/// Its connections end with it.
async fn keep(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((client, _)) => drop(connections.spawn(lead(client, Arc::clone(&shared)))),
                Err(_) => tokio::time::sleep(PAUSE).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn lead(client: TcpStream, shared: Arc<Shared>) {
    shared.opened().await;
    let Some(server) = shared.connect().await else { return };
    // A connection that does not know this is only slower.
    drop((client.set_nodelay(true), server.set_nodelay(true)));
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    // Whichever side ends, both do.
    tokio::select! {
        _ = pass(from_client, to_server, &shared) => {}
        _ = pass(from_server, to_client, &shared) => {}
    }
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, shared: &Shared) -> std::io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    loop {
        let read = from.read(&mut buffer).await?;
        if read == 0 {
            return Ok(());
        }
        shared.opened().await;
        to.write_all(&buffer[..read]).await?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that says one byte to whoever comes.
    async fn server(says: u8) -> u16 {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                stream.write_all(&[says]).await.unwrap();
            }
        });
        port
    }

    async fn hear(port: u16) -> std::io::Result<u8> {
        TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?.read_u8().await
    }

    #[tokio::test]
    async fn it_leads_to_each_in_turn_and_past_those_who_are_away() {
        let gone = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap().local_addr().unwrap().port();
        let door = Door::new().await.unwrap();
        assert!(hear(door.port()).await.is_err(), "it leads nowhere");
        door.lead_to(&[server(1).await, gone, server(2).await]);
        let mut heard = [0; 6];
        for heard in &mut heard {
            *heard = hear(door.port()).await.unwrap();
        }
        heard.sort_unstable();
        assert_eq!((heard[0], heard[5]), (1, 2), "{heard:?}");
    }

    #[tokio::test]
    async fn what_comes_to_a_shut_door_waits() {
        let door = Door::new().await.unwrap();
        door.lead_to(&[server(7).await]);
        door.shut();
        let mut hearing = tokio::spawn(hear(door.port()));
        assert!(tokio::time::timeout(Duration::from_millis(100), &mut hearing).await.is_err());
        door.open();
        assert_eq!(hearing.await.unwrap().unwrap(), 7);
    }
}
