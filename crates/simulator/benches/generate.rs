//! Events per second that one core makes, anomalies included, without a log.
#![expect(clippy::print_stdout, reason = "a benchmark reports on the standard output")]

use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use bytes::BytesMut;
use pulse_features::UseCaseDir;
use pulse_simulator::Events;

/// Events per measured round.
const EVENTS: u64 = 1_000_000;
/// Rows of a sample, each changed in one event at most; the same for several events; and events drawn from a profile.
const USE_CASES: [&str; 3] = ["nyc_taxi", "server_logs", "device_metrics"];

fn main() {
    let usecases = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../usecases");
    for use_case in USE_CASES {
        let dir = UseCaseDir::load(&usecases, use_case).expect("the use case loads");
        let start = Instant::now();
        let events = Events::new(&dir, 0.01, 1).expect("it has events");
        println!("{use_case}: prepared in {:.0} ms", start.elapsed().as_secs_f64() * 1e3);
        for _ in 0..5 {
            round(&events);
        }
    }
}

fn round(events: &Events) {
    let start = Instant::now();
    let mut bytes = 0;
    let mut buffer = BytesMut::with_capacity(1 << 18);
    for i in 0..EVENTS {
        if buffer.capacity() < 1 << 12 {
            buffer.reserve(1 << 18);
        }
        bytes += black_box(events.record(i, 1_700_000_000_000 + i.cast_signed(), &mut buffer)).payload.len();
    }
    let seconds = start.elapsed().as_secs_f64();
    println!("  {:.0} events/s, {} bytes an event", EVENTS as f64 / seconds, bytes as u64 / EVENTS);
}
