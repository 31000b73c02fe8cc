//! One HTTP/1.1 connection that stays open: no more than a measurement needs, as it shares the cores with what it measures.

use std::net::SocketAddr;

use anyhow::{Context as _, bail, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Where a message of the Open Inference Protocol has binary values, the number of bytes before them.
pub(crate) const JSON_LENGTH: &str = "inference-header-content-length";
/// Bytes that are read at once.
const READ: usize = 64 << 10;

/// A connection with one request under way at the most.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
}

/// An answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer<'a> {
    /// Its status.
    pub(crate) status: u16,
    /// Its body.
    pub(crate) body: &'a [u8],
    /// How many bytes of the body stand before binary values.
    pub(crate) json_length: usize,
}

/// The head of an answer.
#[derive(Debug, PartialEq, Eq)]
struct Head {
    status: u16,
    /// Bytes before the body.
    length: usize,
    content_length: usize,
    json_length: usize,
}

/// A whole request, to be sent as it is.
#[must_use]
pub(crate) fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut text = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n", body.len());
    headers.iter().for_each(|(name, value)| text.push_str(&format!("{name}: {value}\r\n")));
    text.push_str("\r\n");
    [text.as_bytes(), body].concat()
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// When nobody listens.
    pub(crate) async fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await.with_context(|| format!("cannot connect to {address}"))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, received: Vec::with_capacity(READ) })
    }

    /// Sends a [`request`], and waits for the whole answer.
    ///
    /// # Errors
    /// When the connection breaks, or what comes is no answer of a known length.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> anyhow::Result<Answer<'_>> {
        self.stream.write_all(request).await?;
        self.received.clear();
        let head = loop {
            self.read().await?;
            if let Some(head) = Head::parse(&self.received)? {
                break head;
            }
        };
        let whole = head.length + head.content_length;
        while self.received.len() < whole {
            self.read().await?;
        }
        ensure!(self.received.len() == whole, "more came than was announced");
        let Head { status, length, json_length, .. } = head;
        Ok(Answer { status, body: self.received.get(length..).unwrap_or_default(), json_length })
    }

    async fn read(&mut self) -> anyhow::Result<()> {
        self.received.reserve(READ);
        if self.stream.read_buf(&mut self.received).await? == 0 {
            bail!("the server has hung up");
        }
        Ok(())
    }
}

impl Head {
    /// The head that `received` begins with; none while it is not all there.
    fn parse(received: &[u8]) -> anyhow::Result<Option<Self>> {
        let mut headers = [httparse::EMPTY_HEADER; 32];
        let mut head = httparse::Response::new(&mut headers);
        let httparse::Status::Complete(length) = head.parse(received).context("no answer of HTTP/1")? else {
            return Ok(None);
        };
        let number = |name: &str| {
            let header = head.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
            let number =
                header.map(|header| std::str::from_utf8(header.value)?.parse::<usize>().context(name.to_owned()));
            number.transpose()
        };
        let content_length = number("content-length")?.context("the answer does not say how long it is")?;
        let json_length = number(JSON_LENGTH)?.unwrap_or_default();
        Ok(Some(Self { status: head.code.unwrap_or_default(), length, content_length, json_length }))
    }
}

/// Asks once, on a connection of its own.
///
/// # Errors
/// When there is no answer.
pub(crate) fn get(address: SocketAddr, path: &str) -> anyhow::Result<(u16, Vec<u8>)> {
    runtime()?.block_on(async {
        let mut connection = Connection::open(address).await?;
        let answer = connection.ask(&request("GET", path, &[], &[])).await?;
        Ok((answer.status, answer.body.to_vec()))
    })
}

/// One thread for all connections: the other cores are for who answers.
///
/// # Errors
/// When the operating system does not allow it.
pub(crate) fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_io().build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_read() {
        let whole = b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\nInference-Header-Content-Length: 4\r\n\r\nabcd";
        let head = Head { status: 200, length: whole.len() - 4, content_length: 12, json_length: 4 };
        assert_eq!(Head::parse(whole).unwrap(), Some(head));
        (0..whole.len() - 4).for_each(|end| assert_eq!(Head::parse(&whole[..end]).unwrap(), None));
        let plain = Head::parse(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n").unwrap().unwrap();
        assert_eq!((plain.status, plain.content_length, plain.json_length), (503, 0, 0));
    }

    #[test]
    fn what_has_no_known_length_is_refused() {
        for head in ["HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", "SMTP\r\n\r\n"] {
            assert!(Head::parse(head.as_bytes()).is_err(), "{head}");
        }
    }

    #[test]
    fn answers_come_on_one_connection() {
        runtime().unwrap().block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let asked = request("POST", "/a", &[("X", "y")], b"body");
            let whole = ["HTTP/1.1 200 OK\r\nContent-Le", "ngth: 6\r\n\r\nabc", "def"];
            let server = async {
                let (mut stream, _) = listener.accept().await.unwrap();
                for answer in [&whole[..], &["HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n"]] {
                    let mut got = vec![0; asked.len()];
                    stream.read_exact(&mut got).await.unwrap();
                    assert_eq!(got, asked);
                    for part in answer {
                        stream.write_all(part.as_bytes()).await.unwrap();
                        tokio::task::yield_now().await;
                    }
                }
            };
            let client = async {
                let mut connection = Connection::open(address).await.unwrap();
                let answer = connection.ask(&asked).await.unwrap();
                assert_eq!(answer, Answer { status: 200, body: b"abcdef", json_length: 0 });
                assert_eq!(connection.ask(&asked).await.unwrap().status, 404);
                assert!(connection.ask(&asked).await.is_err());
            };
            tokio::join!(server, client);
        });
    }
}
