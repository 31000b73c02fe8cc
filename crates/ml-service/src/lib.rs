//! The ML service: trains models, and answers over HTTP how unusual an event is and why.
//!
//! | route | answer |
//! |---|---|
//! | `POST /predict`, `POST /predict/<use case>` | the verdict on one event, given as its raw fields |
//! | `POST /predict/batch`, `POST /predict/<use case>/batch` | verdicts on many; a bad row does not harm the others |
//! | `GET /schema`, `GET /schema/<use case>` | JSON Schema (2020-12) of the event |
//! | `GET /openapi.json`, `GET /docs` | this table in full, and a page to try it on |
//! | `GET /health`, `GET /models` | the model in force, or how far warm-up is; all stored versions |
//! | `POST /models/<use case>/<version>/activate`, `POST /models/<use case>/rollback` | puts another version in force |
//! | `/v2/…` | the [Open Inference Protocol](pulse_scoring::oip), for scorers that send columns instead of events |
//! | `GET /live`, `GET /ready`, `GET /metrics` | for orchestrators and Prometheus |
//!
//! # Invariants
//! - Events pass through the same featurizer as in the stream processor, so that the same event gets the same numbers.
//! - Every error is a problem detail (RFC 9457), below `/v2` what the protocol there wants; faults of fields are listed all at once.
//! - Without a model the service is up and says how far it is; nothing is scored by a guess.
//! - No page or script comes from elsewhere.

mod error;

mod first_model;
mod follow;
mod metrics;
mod model_slot;
mod registry;
mod shadow;
mod training;

mod featurizers;
mod problem;
mod served;

mod body;
mod doors;
mod infer;
mod predict;

mod openapi;
mod path;
mod schema;

mod layers;
mod routes;
mod service;

pub use error::{BuildError, RunError, TrainingError};
pub use first_model::train_first_model;
pub use follow::follow;
pub use metrics::Metrics;
pub use model_slot::{ModelSlot, ModelState, WarmUp};
pub use registry::{Metadata, Provenance, Registry, RegistryError, Standing, TrainingLock, Version};
pub use served::ServedUseCase;
pub use service::{Limits, Management, MlService, run};
pub use training::{
    Files, Quality, Reached, TopicError, Trained, load_or_train, train_from_files, train_from_sample, train_from_topic,
    train_on_sample,
};
