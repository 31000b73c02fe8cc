//! Waiting for the brokers.

use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _};

use crate::context::Context;
use crate::error::{KafkaError, is_away};
use crate::settings::{KafkaSettings, Role};

/// How long one question waits for an answer.
const TURN: Duration = Duration::from_secs(1);
/// How often it is said what is waited for.
const REMIND: Duration = Duration::from_secs(5);

/// Waits until the brokers answer, and says every few seconds what it waits for.
///
/// # Errors
/// When librdkafka does not take the settings, or the brokers do not let us in.
pub async fn wait_for_brokers(settings: &KafkaSettings) -> Result<(), KafkaError> {
    let client = settings.client(&Role::Lookup)?;
    let mut consumer: BaseConsumer<Context> =
        client.create_with_context(Context::new()).map_err(KafkaError::of_setup)?;
    let brokers = settings.brokers.clone();
    let mut reminded = Instant::now();
    loop {
        let asked;
        (consumer, asked) = tokio::task::spawn_blocking(move || {
            let asked = ask(&consumer);
            (consumer, asked)
        })
        .await
        .map_err(|_| KafkaError::Closed)?;
        match asked {
            Ok(()) => return Ok(()),
            Err(Trouble::Refused(reason)) => return Err(KafkaError::Authentication { brokers, reason }),
            Err(Trouble::Away) => {
                if reminded.elapsed() > REMIND {
                    reminded = Instant::now();
                    tracing::warn!(brokers, "no Kafka broker answers yet: waiting");
                }
            }
            Err(Trouble::Other(source)) => {
                return Err(KafkaError::of(&brokers, "ask for metadata", None, source));
            }
        }
    }
}

enum Trouble {
    Away,
    Refused(String),
    Other(rdkafka::error::KafkaError),
}

fn ask(consumer: &BaseConsumer<Context>) -> Result<(), Trouble> {
    let begun = Instant::now();
    // Of no topic in particular: that costs least, however many there are.
    let answer = consumer.client().fetch_metadata(Some("__consumer_offsets"), TURN);
    // Serves what the client has to say: only errors tell that we are not let in.
    while consumer.poll(Duration::ZERO).is_some() {}
    if let Some(reason) = consumer.context().take_refusal() {
        return Err(Trouble::Refused(reason));
    }
    match answer {
        Ok(_) => Ok(()),
        Err(error) if error.rdkafka_error_code().is_some_and(is_away) => {
            std::thread::sleep(TURN.saturating_sub(begun.elapsed()));
            Err(Trouble::Away)
        }
        Err(error) => Err(Trouble::Other(error)),
    }
}
