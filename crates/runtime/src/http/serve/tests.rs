//! A shutdown with readers and requests still there.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::response::Sse;
use axum::response::sse::Event;
use axum::routing::get;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::*;

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(30);

struct Server {
    addr: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<io::Result<()>>,
}

async fn start(router: Router) -> Server {
    start_within(router, Limits { grace: GRACE, head: HEAD }).await
}

async fn start_within(router: Router, limits: Limits) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let task = tokio::spawn(serve_within(listener, router, stop.clone(), limits));
    Server { addr, stop, task }
}

async fn request(addr: SocketAddr, path: &str) -> TcpStream {
    let mut connection = TcpStream::connect(addr).await.unwrap();
    let text = format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n");
    connection.write_all(text.as_bytes()).await.unwrap();
    connection
}

async fn read_until(connection: &mut TcpStream, wanted: &str) -> String {
    let mut text = String::new();
    let mut chunk = [0; 1024];
    while !text.contains(wanted) {
        let read = connection.read(&mut chunk).await.unwrap();
        assert_ne!(read, 0, "the connection ended before {wanted:?} came: {text:?}");
        text.push_str(std::str::from_utf8(&chunk[..read]).unwrap());
    }
    text
}

#[tokio::test]
async fn an_open_event_stream_does_not_hang_the_stop() {
    let events = || async {
        let first = futures_util::stream::once(async { Ok::<_, Infallible>(Event::default().data("first")) });
        Sse::new(first.chain(futures_util::stream::pending()))
    };
    let server = start(Router::new().route("/events", get(events))).await;
    let mut reader = request(server.addr, "/events").await;
    read_until(&mut reader, "data: first").await;

    let stopped_at = Instant::now();
    server.stop.cancel();
    let mut rest = Vec::new();
    timeout(Duration::from_secs(1), reader.read_to_end(&mut rest)).await.unwrap().unwrap();
    server.task.await.unwrap().unwrap();
    assert!(stopped_at.elapsed() < Duration::from_secs(1), "took {:?}", stopped_at.elapsed());
    assert_eq!(rest, b"0\r\n\r\n", "the stream must end as a whole, not be cut");
}

#[tokio::test]
async fn a_request_under_way_is_answered() {
    let entered = Arc::new(Notify::new());
    let release = Arc::new(Notify::new());
    let slow = {
        let (entered, release) = (entered.clone(), release.clone());
        move || async move {
            entered.notify_one();
            release.notified().await;
            "done"
        }
    };
    let server = start(Router::new().route("/slow", get(slow))).await;
    let mut client = request(server.addr, "/slow").await;
    entered.notified().await;

    server.stop.cancel();
    release.notify_one();
    let answer = read_until(&mut client, "done").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    server.task.await.unwrap().unwrap();
    assert!(TcpStream::connect(server.addr).await.is_err(), "nobody may be let in after the stop");
}

#[tokio::test]
async fn an_idle_connection_does_not_hang_the_stop() {
    let server = start(Router::new().route("/", get(|| async { "hello" }))).await;
    let mut idle = request(server.addr, "/").await;
    read_until(&mut idle, "hello").await;
    let _silent = TcpStream::connect(server.addr).await.unwrap();
    server.stop.cancel();
    timeout(Duration::from_secs(1), server.task).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn a_request_that_never_ends_is_given_up() {
    let entered = Arc::new(Notify::new());
    let endless = {
        let entered = entered.clone();
        move || async move {
            entered.notify_one();
            std::future::pending::<&'static str>().await
        }
    };
    let limits = Limits { grace: Duration::from_millis(50), head: HEAD };
    let server = start_within(Router::new().route("/endless", get(endless)), limits).await;
    let _client = request(server.addr, "/endless").await;
    entered.notified().await;
    server.stop.cancel();
    timeout(GRACE, server.task).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn a_head_that_never_ends_and_a_connection_that_lies_idle_are_closed() {
    let limits = Limits { grace: GRACE, head: Duration::from_secs(1) };
    let server = start_within(Router::new().route("/", get(|| async { "hello" })), limits).await;
    let mut slow = TcpStream::connect(server.addr).await.unwrap();
    slow.write_all(b"GET / HTTP/1.1\r\nHost: te").await.unwrap();
    let mut silent = TcpStream::connect(server.addr).await.unwrap();
    let mut idle = request(server.addr, "/").await;
    read_until(&mut idle, "hello").await;
    for connection in [&mut slow, &mut silent, &mut idle] {
        let mut rest = Vec::new();
        timeout(PATIENCE, connection.read_to_end(&mut rest)).await.unwrap().unwrap();
        assert!(rest.is_empty(), "{}", String::from_utf8_lossy(&rest));
    }
    read_until(&mut request(server.addr, "/").await, "hello").await;
}

#[tokio::test]
async fn a_request_may_take_longer_than_its_head() {
    let limits = Limits { grace: GRACE, head: Duration::from_secs(1) };
    let slow = || async {
        tokio::time::sleep(Duration::from_millis(1500)).await;
        "done"
    };
    let server = start_within(Router::new().route("/slow", get(slow)), limits).await;
    let mut client = request(server.addr, "/slow").await;
    read_until(&mut client, "done").await;
}
