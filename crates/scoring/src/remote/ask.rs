//! One question, put to one address after the other until one answers it.

use std::net::SocketAddr;
use std::time::Duration;

use pulse_core::{Classify as _, ErrorClass};
use tokio::time::Instant;

use super::error::RemoteError;
use super::http::{Answer, Question};
use super::metrics::Outcome;
use super::pool::{Lease, Pool};

/// Nobody answered.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) error: RemoteError,
    pub(super) gone: Gone,
}

/// Who says that what was asked for is no longer there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gone {
    Nobody,
    Some,
    All,
}

impl Pool {
    /// Asks until `read` takes an answer. An address has `patience` before another one is asked, where another one works; all
    /// of them together have the time of a request. When none works, their name is looked up at once, and all are asked.
    pub(super) async fn ask<T>(
        &self,
        question: &Question,
        patience: Duration,
        read: impl Fn(Answer) -> Result<T, RemoteError>,
    ) -> Result<T, Failed> {
        let started = Instant::now();
        let deadline = started + self.options.request_time;
        let (mut tried, mut errors, mut any) = (Vec::new(), Vec::new(), false);
        let (mut gone, mut unsure) = (0, 0);
        while errors.is_empty() || Instant::now() < deadline {
            let Some(lease) = self.lease(&tried, any) else {
                if any {
                    break;
                }
                any = true;
                // The addresses that are known are asked in any case; why there are no others is said by the lookup.
                drop(tokio::time::timeout_at(deadline, self.resolve(started)).await);
                continue;
            };
            tried.push(lease.address());
            match self.attempt(&lease, question, &tried, patience, deadline).await.and_then(&read) {
                Ok(answer) => {
                    self.count(Outcome::Answered);
                    self.answered(&lease);
                    return Ok(answer);
                }
                Err(error) => {
                    self.count(Outcome::of(&error));
                    self.failed(&lease, &error);
                    match error {
                        RemoteError::Gone { .. } => gone += 1,
                        // What has never answered never had it: it may be an address that nobody listens on.
                        _ => unsure += usize::from(!self.is_new(&lease)),
                    }
                    errors.push(error);
                }
            }
        }
        let gone = match (gone, unsure) {
            (0, _) => Gone::Nobody,
            (_, 0) if self.all_tried(&tried) => Gone::All,
            _ => Gone::Some,
        };
        Err(Failed { error: one_of(errors, self.server.base()), gone })
    }

    /// Asks one address. While there is no other to ask, it may take all of the time.
    async fn attempt(
        &self,
        lease: &Lease,
        question: &Question,
        tried: &[SocketAddr],
        patience: Duration,
        deadline: Instant,
    ) -> Result<Answer, RemoteError> {
        let started = Instant::now();
        let mut asking = std::pin::pin!(lease.client().ask(lease.endpoint(), question));
        loop {
            let until = (Instant::now() + patience).min(deadline);
            if let Ok(answered) = tokio::time::timeout_at(until, &mut asking).await {
                return answered;
            }
            if until == deadline || self.has_other(tried) {
                let seconds = started.elapsed().as_secs_f64();
                return Err(RemoteError::Timeout { url: lease.endpoint().shown(&question.path), seconds });
            }
        }
    }
}

/// The error of all addresses together: one that waiting may mend, where there is one.
pub(super) fn one_of(mut errors: Vec<RemoteError>, base: &str) -> RemoteError {
    let addresses = errors.len();
    let mendable = errors.iter().position(|error| error.class() == ErrorClass::Retry).unwrap_or(0);
    match addresses {
        0 => RemoteError::Unreachable { url: base.to_owned(), source: "its name has no address".into() },
        1 => errors.remove(0),
        _ => {
            RemoteError::NoneAnswers { url: base.to_owned(), addresses, source: Box::new(errors.swap_remove(mendable)) }
        }
    }
}
