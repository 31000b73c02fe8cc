//! Headers in their encoded form: those that can be read are written back the same.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use pulse_core::Headers;

fuzz_target!(|encoded: &[u8]| {
    let headers = Headers::from_encoded(Bytes::copy_from_slice(encoded));
    let again = Headers::new(headers.iter());
    assert!(headers.iter().eq(again.iter()));
});
