//! Events per second that one core makes, anomalies included, without a log.
#![expect(clippy::print_stdout, reason = "a benchmark reports on the standard output")]

use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use bytes::BytesMut;
use pulse_features::UseCaseDir;
use pulse_simulator::Replay;

/// Events per measured round.
const EVENTS: u64 = 1_000_000;

fn main() {
    let usecases = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../usecases");
    let dir = UseCaseDir::load(&usecases, "nyc_taxi").expect("the use case loads");
    let start = Instant::now();
    let replay = Replay::new(&dir, 0.01, 1).expect("the sample replays");
    println!("prepared in {:.0} ms", start.elapsed().as_secs_f64() * 1e3);
    for _ in 0..5 {
        let start = Instant::now();
        let mut bytes = 0;
        let mut buffer = BytesMut::with_capacity(1 << 18);
        for i in 0..EVENTS {
            if buffer.capacity() < 1 << 12 {
                buffer.reserve(1 << 18);
            }
            let record = black_box(replay.record(i, 1_700_000_000_000 + i.cast_signed(), &mut buffer));
            bytes += record.map_or(0, |record| record.payload.len());
        }
        let seconds = start.elapsed().as_secs_f64();
        println!("{:.0} events/s, {} bytes an event", EVENTS as f64 / seconds, bytes as u64 / EVENTS);
    }
}
