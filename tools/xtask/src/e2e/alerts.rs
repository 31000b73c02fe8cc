//! Alerts on their way to people: each has to come by webhook and by e-mail, and to be taken back by both.

use std::time::{Duration, Instant};

use super::receivers::{Channel, Inbox, Notice, Receivers};
use super::wait;

/// What has come to the receivers.
#[derive(Debug)]
pub(super) struct Alerts {
    inbox: Inbox,
}

impl Alerts {
    pub(super) fn new(receivers: Receivers) -> Self {
        Self { inbox: receivers.inbox }
    }

    /// Waits until both were told since `since` that `alert` fires.
    ///
    /// # Errors
    /// When that is not so within `limit`.
    pub(super) fn arrives(&self, alert: &str, since: Instant, limit: Duration) -> anyhow::Result<()> {
        wait::until(&format!("{alert} arrives by webhook and e-mail"), limit, || {
            let notices = self.inbox.notices();
            let is_told = |channel| {
                let mut of = of(&notices, alert, channel);
                of.any(|notice| notice.is_firing && notice.at >= since)
            };
            Ok(Channel::ALL.into_iter().all(is_told).then_some(()))
        })?;
        println!("   {alert} arrived after {} s", since.elapsed().as_secs());
        Ok(())
    }

    /// Waits until the last that both were told is that `alert` is over.
    ///
    /// # Errors
    /// When that is not so within `limit`.
    pub(super) fn resolves(&self, alert: &str, since: Instant, limit: Duration) -> anyhow::Result<()> {
        let over = wait::until(&format!("{alert} is said to be over by webhook and e-mail"), limit, || {
            let notices = self.inbox.notices();
            let over = |channel| of(&notices, alert, channel).last().filter(|last| !last.is_firing).map(|last| last.at);
            let over: Option<Vec<Instant>> = Channel::ALL.into_iter().map(over).collect();
            Ok(over.and_then(|at| at.into_iter().max()))
        })?;
        println!("   {alert} was over {} s after its cause", over.saturating_duration_since(since).as_secs());
        Ok(())
    }

    /// Whether anybody was told since `since` that `alert` fires.
    pub(super) fn was_told(&self, alert: &str, since: Instant) -> bool {
        let is_it = |notice: &Notice| notice.alert == alert && notice.is_firing && notice.at >= since;
        self.inbox.notices().iter().any(is_it)
    }
}

fn of<'a>(notices: &'a [Notice], alert: &'a str, channel: Channel) -> impl Iterator<Item = &'a Notice> {
    notices.iter().filter(move |notice| notice.alert == alert && notice.channel == channel)
}
