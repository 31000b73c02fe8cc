//! What can go wrong with Kafka, in plain words, and what can be done about it.

use pulse_core::{Classify, ErrorClass};
use rdkafka::error::{KafkaError as Native, RDKafkaErrorCode as Code};

/// Why a call failed.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum KafkaError {
    /// A property that librdkafka does not take. Its value is left out: it may be a secret.
    #[error("kafka.properties.{name} {reason}")]
    Property {
        /// The property.
        name: String,
        /// What is wrong with it, and the mend.
        reason: String,
    },
    /// TLS is asked for, and this program was built without it.
    #[error(
        "{what} needs TLS, and this program was built without it: use an image of Stream Pulse, or build it with `--features tls`"
    )]
    NoTls {
        /// What asks for it.
        what: String,
    },
    /// librdkafka could not be set up.
    #[error("cannot set up a client for Kafka: {reason}")]
    Client {
        /// What it says.
        reason: String,
    },
    /// No broker answers.
    #[error("no Kafka broker answers at {brokers}: check that it runs, and that kafka.brokers is right")]
    Unreachable {
        /// Where they should be.
        brokers: String,
    },
    /// The brokers refuse who we are.
    #[error(
        "the Kafka brokers at {brokers} refuse to let us in ({reason}): check kafka.sasl_username, kafka.sasl_password, \
         kafka.sasl_mechanism and kafka.security_protocol"
    )]
    Authentication {
        /// Where they are.
        brokers: String,
        /// What they say.
        reason: String,
    },
    /// The brokers know who we are, and do not allow this.
    #[error("Kafka does not allow us to {what}: grant it with `kafka-acls.sh --add …`")]
    NotAllowed {
        /// What we wanted to do.
        what: String,
        /// What the brokers say.
        source: Native,
    },
    /// The topic does not exist.
    #[error("there is no topic {topic:?}: create it, or set kafka.create_topics = true")]
    UnknownTopic {
        /// The topic.
        topic: String,
    },
    /// The topic has no such partition.
    #[error("topic {topic:?} has no partition {partition}")]
    NoSuchPartition {
        /// The topic.
        topic: String,
        /// The partition.
        partition: u32,
    },
    /// The partition is not assigned to this member of the group.
    #[error("partition {partition} of topic {topic:?} is not assigned to us")]
    NotAssigned {
        /// The topic.
        topic: String,
        /// The partition.
        partition: u32,
    },
    /// A record is larger than its topic takes.
    #[error("a record of {bytes} bytes is too large for topic {topic:?}, whose max.message.bytes is {limit}")]
    TooLarge {
        /// The topic.
        topic: String,
        /// Its size.
        bytes: usize,
        /// What the topic takes.
        limit: usize,
    },
    /// The state of an entity is larger than its topic takes.
    #[error(
        "the state of an entity has {bytes} bytes, which is too large for topic {topic:?}, whose max.message.bytes is {limit}: \
         raise that, or lower detectors.rolling_zscore.window or the number of its features"
    )]
    StateTooLarge {
        /// The topic.
        topic: String,
        /// Its size.
        bytes: usize,
        /// What the topic takes.
        limit: usize,
    },
    /// A topic is not as it has to be.
    #[error("topic {topic:?}: {setting} is {found}, and has to be {wanted}: {mend}")]
    WrongTopic {
        /// The topic.
        topic: String,
        /// What is wrong.
        setting: String,
        /// How it is.
        found: String,
        /// How it has to be.
        wanted: String,
        /// What to do.
        mend: String,
    },
    /// A topic could not be made.
    #[error("cannot create topic {topic:?} ({reason}): have it created with `{command}`")]
    CannotCreate {
        /// The topic.
        topic: String,
        /// What the brokers say.
        reason: String,
        /// The command that creates it.
        command: String,
    },
    /// Reading should go on behind the end of a partition.
    #[error(
        "partition {partition} of topic {topic:?} ends at {end}, and reading should go on at {position}: the topic was made anew, \
         or lost records; to begin anew, stop all members and delete group {group:?} with `kafka-consumer-groups.sh --delete`, and \
         its state topic"
    )]
    BeyondEnd {
        /// The topic.
        topic: String,
        /// The partition.
        partition: u32,
        /// The end of the partition.
        end: u64,
        /// Where reading should go on.
        position: u64,
        /// The consumer group.
        group: String,
    },
    /// A partition has become shorter than what was read of it.
    #[error(
        "partition {partition} of topic {topic:?} ends at {end}, though it was read up to {position}: the topic was made anew, \
         or lost records; read it again from its beginning"
    )]
    Shrunk {
        /// The topic.
        topic: String,
        /// The partition.
        partition: u32,
        /// The end of the partition.
        end: u64,
        /// Up to where it was read.
        position: u64,
    },
    /// Somebody else took over.
    #[error("fenced: somebody else holds partition {partition} of topic {topic:?} for group {group:?}")]
    Fenced {
        /// The consumer group.
        group: String,
        /// The topic.
        topic: String,
        /// The partition.
        partition: u32,
    },
    /// A commit for a partition that was not taken over by `restore`.
    #[error("partition {partition} of topic {topic:?} was not restored before a commit of group {group:?}")]
    NotRestored {
        /// The consumer group.
        group: String,
        /// The topic.
        topic: String,
        /// The partition.
        partition: u32,
    },
    /// A commit would move a position backwards.
    #[error("group {group:?} stands at {committed} in partition {partition} of {topic:?}, not to go back to {wanted}")]
    Backwards {
        /// The consumer group.
        group: String,
        /// The topic.
        topic: String,
        /// The partition.
        partition: u32,
        /// The committed offset.
        committed: u64,
        /// The offset of the refused commit.
        wanted: u64,
    },
    /// A transaction was aborted: nothing of it is visible.
    #[error("the transaction of partition {partition} of topic {topic:?} failed and was aborted")]
    Aborted {
        /// The input topic.
        topic: String,
        /// Its partition.
        partition: u32,
        /// Why.
        source: Native,
    },
    /// Anything else; Kafka's errors pass more often than not.
    #[error("cannot {what}")]
    Failed {
        /// What was to be done.
        what: String,
        /// Why it could not.
        source: Native,
    },
    /// A thread of this crate has ended, because everything does.
    #[error("the client for Kafka is closed")]
    Closed,
}

impl Classify for KafkaError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Unreachable { .. } | Self::Aborted { .. } | Self::Failed { .. } => ErrorClass::Retry,
            Self::TooLarge { .. } => ErrorClass::DeadLetter,
            Self::Fenced { .. } => ErrorClass::Fenced,
            _ => ErrorClass::Fatal,
        }
    }

    fn too_large_for(&self) -> Option<&str> {
        match self {
            Self::TooLarge { topic, .. } => Some(topic),
            _ => None,
        }
    }
}

impl KafkaError {
    /// What an error of librdkafka means for a client of `brokers` that wanted to do `what`, with `topic` where one topic is
    /// concerned.
    pub(crate) fn of(brokers: &str, what: impl Into<String>, topic: Option<&str>, source: Native) -> Self {
        let what = what.into();
        match (source.rdkafka_error_code(), topic) {
            (Some(code), _) if is_away(code) => Self::Unreachable { brokers: brokers.to_owned() },
            (Some(code), _) if is_refused(code) => {
                Self::Authentication { brokers: brokers.to_owned(), reason: code.to_string() }
            }
            (Some(code), _) if is_forbidden(code) => Self::NotAllowed { what, source },
            (Some(code), Some(topic)) if is_unknown_topic(code) => Self::UnknownTopic { topic: topic.to_owned() },
            _ => Self::Failed { what, source },
        }
    }

    /// What it means that a client could not be made.
    pub(crate) fn of_setup(source: Native) -> Self {
        use rdkafka::types::RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN;
        match source {
            Native::ClientConfig(RD_KAFKA_CONF_UNKNOWN, _, name, _) => {
                Self::Property { name, reason: "is not a property of librdkafka: remove it".to_owned() }
            }
            // What librdkafka says names the value.
            Native::ClientConfig(_, _, name, _) => {
                Self::Property { name, reason: "has a value that librdkafka does not take: correct it".to_owned() }
            }
            Native::ClientCreation(reason) => Self::Client { reason },
            other => Self::Client { reason: other.to_string() },
        }
    }
}

/// No broker is there.
pub(crate) fn is_away(code: Code) -> bool {
    matches!(
        code,
        Code::BrokerTransportFailure
            | Code::AllBrokersDown
            | Code::Resolve
            | Code::OperationTimedOut
            | Code::TimedOutQueue
            | Code::RequestTimedOut
            | Code::MessageTimedOut
    )
}

/// A partition is just being given a leader, or its leader was asked and has left the cluster.
pub(crate) fn is_leaderless(code: Code) -> bool {
    matches!(code, Code::NotLeaderForPartition | Code::LeaderNotAvailable | Code::DestroyBroker)
}

/// A broker does not believe who we are.
pub(crate) fn is_refused(code: Code) -> bool {
    matches!(code, Code::Authentication | Code::SaslAuthenticationFailed)
}

/// We may not do this.
pub(crate) fn is_forbidden(code: Code) -> bool {
    matches!(
        code,
        Code::TopicAuthorizationFailed
            | Code::GroupAuthorizationFailed
            | Code::ClusterAuthorizationFailed
            | Code::TransactionalIdAuthorizationFailed
    )
}

/// What was read is not what was written. librdkafka passes it over.
pub(crate) fn is_damage(code: Code) -> bool {
    matches!(code, Code::BadMessage | Code::BadCompression)
}

/// There is no such topic.
pub(crate) fn is_unknown_topic(code: Code) -> bool {
    matches!(code, Code::UnknownTopicOrPartition | Code::UnknownTopic)
}

/// A younger producer with the same transactional id is at work.
pub(crate) fn is_fenced(code: Code) -> bool {
    matches!(code, Code::Fenced | Code::ProducerFenced | Code::InvalidProducerEpoch)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_told_apart() {
        let class = |code| {
            let error = KafkaError::of("a:1", "read", Some("events"), Native::Global(code));
            (error.class(), error.to_string())
        };
        for (code, wanted, text) in [
            (Code::AllBrokersDown, ErrorClass::Retry, "a:1"),
            (Code::TopicAuthorizationFailed, ErrorClass::Fatal, "read"),
            (Code::UnknownTopicOrPartition, ErrorClass::Fatal, "\"events\""),
            (Code::SaslAuthenticationFailed, ErrorClass::Fatal, "a:1"),
            (Code::NotLeaderForPartition, ErrorClass::Retry, "read"),
        ] {
            let (class, shown) = class(code);
            assert_eq!(class, wanted, "{shown}");
            assert!(shown.contains(text), "{shown}");
        }
    }
}
