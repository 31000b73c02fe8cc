//! Messages of the Open Inference Protocol, their first two bytes being the length of the JSON: a request, a response, or errors.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pulse_scoring::oip::{Request, Response, header_length, rows_of, scores_of};

fuzz_target!(|data: &[u8]| {
    drop(header_length(data));
    let Some((length, body)) = data.split_first_chunk::<2>() else { return };
    let length = usize::from(u16::from_le_bytes(*length));
    for length in [None, Some(length)] {
        if let Ok(request) = Request::decode(body, length) {
            drop(rows_of(request, &["a".to_owned(), "b".to_owned()]));
        }
        if let Ok(response) = Response::decode(body, length) {
            drop(scores_of(response, "v", 2, 2));
        }
    }
});
