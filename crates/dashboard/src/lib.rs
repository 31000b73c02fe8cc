//! The live web page over the stored anomalies, and the HTTP API behind it.
//!
//! The page is served from the binary: no CDN, no font and no script from elsewhere. Everything it shows comes from the
//! API, which other programs may use too:
//!
//! | route | answers |
//! |---|---|
//! | `GET /` | the page; its address holds filters and the anomaly that is open, so that it can be shared |
//! | `GET /api/anomalies` | the latest anomalies, newest first (`limit` 1 to 1000, default 200) |
//! | `GET /api/anomalies/{id}` | one anomaly |
//! | `GET /api/series` | anomalies per interval (`bucket` such as `15s`, `1m` or `1h`), by severity, with their scores |
//! | `GET /api/top?by=` | the largest groups of `entity`, `detector`, `severity` or `use_case` (`limit` 1 to 100, default 10) |
//! | `GET /api/summary` | counts of the last minute, 15 minutes and hour, by severity |
//! | `GET /api/stream` | Server-Sent Events: anomalies as they arrive |
//! | `GET /live`, `/ready`, `/metrics` | as every service has them |
//!
//! All but the stream take the filter `use_case`, `entity`, `detector` and `severity` (at least as bad: `warning`,
//! `high`, `critical`); those that have a period take `from` and `to` (RFC 3339; from is included, to is not). A faulty
//! parameter gets 400 and a problem document (RFC 9457) that names every fault and its mend.
//!
//! # The stream
//! Each event `anomalies` is a JSON array of anomalies; its id is the sequence of the last one. A client that comes back
//! with `Last-Event-ID` (or asks with `?after=`) gets all it missed. One that is too far behind gets an event `resync`
//! instead, after which it should read the other routes again: memory stays bounded however slow a client is.
//!
//! # Invariants
//! - It only reads: nothing here can change what is stored.
//! - One task polls the store, however many pages are open.
//! - The page treats every value as text. Entities and events come from outside and are never parsed as HTML.

mod options;
mod problem;

mod params;
mod view;

mod metrics;
mod store;

mod stream;

mod api;
mod assets;
mod security;

mod server;

pub use metrics::Metrics;
pub use options::DashboardOptions;
pub use server::{Dashboard, DashboardError, run};
