//! Those who get alerts: a webhook and a mail server.

use std::io::{BufRead as _, BufReader};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use anyhow::Context as _;
use axum::Json;
use axum::routing::post;
use mailin::{Action, Handler, Response, SessionBuilder, response};
use serde::Deserialize;

/// What has come, in the order in which it came.
#[derive(Debug, Clone, Default)]
pub(super) struct Inbox(Arc<Mutex<Vec<Notice>>>);

/// An alert as it was told.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Notice {
    pub(super) channel: Channel,
    pub(super) alert: String,
    /// Whether it fires, or did.
    pub(super) is_firing: bool,
    pub(super) at: Instant,
}

/// The way it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Channel {
    Webhook,
    Email,
}

impl Channel {
    pub(super) const ALL: [Self; 2] = [Self::Webhook, Self::Email];
}

/// Both, listening.
#[derive(Debug)]
pub(super) struct Receivers {
    pub(super) webhook: SocketAddr,
    pub(super) smtp: SocketAddr,
    pub(super) inbox: Inbox,
}

impl Receivers {
    /// Listens at `host`, to the end of this program.
    ///
    /// # Errors
    /// When that address cannot be listened at.
    pub(super) fn start(host: IpAddr) -> anyhow::Result<Self> {
        let listen = || TcpListener::bind((host, 0)).with_context(|| format!("cannot listen at {host}"));
        let (webhook, smtp, inbox) = (listen()?, listen()?, Inbox::default());
        let receivers = Self { webhook: webhook.local_addr()?, smtp: smtp.local_addr()?, inbox: inbox.clone() };
        let at_webhook = inbox.clone();
        std::thread::spawn(move || serve_webhook(webhook, at_webhook));
        std::thread::spawn(move || {
            for connection in smtp.incoming().flatten() {
                let inbox = inbox.clone();
                // One that breaks off has delivered nothing; who sends tries again.
                std::thread::spawn(move || serve_smtp(connection, inbox).ok());
            }
        });
        Ok(receivers)
    }
}

impl Inbox {
    /// All that has come so far.
    pub(super) fn notices(&self) -> Vec<Notice> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn add(&self, channel: Channel, alert: String, is_firing: bool) {
        let notice = Notice { channel, alert, is_firing, at: Instant::now() };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(notice);
    }
}

/// What Alertmanager sends to webhooks, as far as it matters here.
#[derive(Debug, Deserialize)]
struct Message {
    alerts: Vec<Alert>,
}

#[derive(Debug, Deserialize)]
struct Alert {
    status: String,
    labels: Labels,
}

#[derive(Debug, Deserialize)]
struct Labels {
    alertname: String,
}

fn serve_webhook(listener: TcpListener, inbox: Inbox) -> anyhow::Result<()> {
    let receive = move |Json(Message { alerts }): Json<Message>| {
        for Alert { status, labels } in alerts {
            inbox.add(Channel::Webhook, labels.alertname, status == "firing");
        }
        std::future::ready(())
    };
    listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let router = axum::Router::new().route("/", post(receive));
        axum::serve(tokio::net::TcpListener::from_std(listener)?, router).await
    })?;
    Ok(())
}

fn serve_smtp(mut connection: TcpStream, inbox: Inbox) -> anyhow::Result<()> {
    let mut session = SessionBuilder::new("test").build(connection.peer_addr()?.ip(), Mail { inbox, text: Vec::new() });
    let mut lines = BufReader::new(connection.try_clone()?);
    session.greeting().write_to(&mut connection)?;
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line)? > 0 {
        let answer = session.process(&line);
        line.clear();
        if answer.action != Action::NoReply {
            answer.write_to(&mut connection)?;
        }
        if answer.action == Action::Close {
            break;
        }
    }
    Ok(())
}

/// A mail on its way in.
struct Mail {
    inbox: Inbox,
    text: Vec<u8>,
}

impl Handler for Mail {
    fn data(&mut self, line: &[u8]) -> std::io::Result<()> {
        self.text.extend_from_slice(line);
        Ok(())
    }

    fn data_end(&mut self) -> Response {
        for (alert, is_firing) in alerts_in(&String::from_utf8_lossy(&std::mem::take(&mut self.text))) {
            self.inbox.add(Channel::Email, alert, is_firing);
        }
        response::OK
    }
}

/// The alerts of a mail in Alertmanager's own form, quoted-printable: those that fire come first, below a title, then those that did.
fn alerts_in(mail: &str) -> Vec<(String, bool)> {
    let text = mail.replace("=\r\n", "").replace("=\n", "").replace("=3D", "=");
    let (firing, resolved) = text.split_once("] Resolved").unwrap_or((&text, ""));
    let mut found = Vec::new();
    for (part, is_firing) in [(firing, true), (resolved, false)] {
        for after in part.split("alertname = ").skip(1) {
            let name: String = after.chars().take_while(char::is_ascii_alphanumeric).collect();
            if !found.contains(&(name.clone(), is_firing)) {
                found.push((name, is_firing));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alerts_are_found_in_a_mail() {
        let mail = "Subject: [FIRING:1] x\r\n\r\n<b>[1] Firing</b><br />alertname =3D PulseSer=\r\nviceDown<br />\r\n\
                    <b>[2] Resolved</b>alertname =3D PulseA<br/>alertname =3D PulseA<br/>";
        assert_eq!(alerts_in(mail), [("PulseServiceDown".to_owned(), true), ("PulseA".to_owned(), false)]);
        assert_eq!(alerts_in("Subject: hello"), []);
    }

    #[test]
    fn both_are_spoken_to_as_by_alertmanager() {
        use std::io::{Read as _, Write as _};

        let receivers = Receivers::start(std::net::Ipv4Addr::LOCALHOST.into()).unwrap();
        let body =
            r#"{"status":"firing","alerts":[{"status":"resolved","labels":{"alertname":"PulseA","service":"x"}}]}"#;
        let answer = ureq::post(format!("http://{}/", receivers.webhook)).header("Content-Type", "application/json");
        assert_eq!(answer.send(body).unwrap().status(), 200);
        let mut mail = TcpStream::connect(receivers.smtp).unwrap();
        mail.write_all(b"EHLO a\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nalertname =3D PulseB\r\n.\r\nQUIT\r\n")
            .unwrap();
        let mut said = String::new();
        mail.read_to_string(&mut said).unwrap();
        let notices = receivers.inbox.notices();
        let told: Vec<_> = notices.iter().map(|n| (n.channel, n.alert.as_str(), n.is_firing)).collect();
        assert_eq!(told, [(Channel::Webhook, "PulseA", false), (Channel::Email, "PulseB", true)], "{said}");
    }
}
