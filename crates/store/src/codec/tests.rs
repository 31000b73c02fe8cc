//! Properties of the encoding.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;

fn record(timestamp: i64, key: Option<Vec<u8>>, payload: Vec<u8>, headers: &[(String, Vec<u8>)]) -> NewRecord {
    NewRecord {
        topic: Arc::from("t"),
        partition: None,
        timestamp,
        key: key.map(Bytes::from),
        payload: Bytes::from(payload),
        headers: Headers::new(headers.iter().map(|(name, value)| (name.as_str(), value.as_slice()))),
    }
}

fn any_record() -> impl Strategy<Value = NewRecord> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..200);
    let headers = prop::collection::vec(("[a-z-]{0,12}", bytes()), 0..3);
    (any::<i64>(), prop::option::of(bytes()), bytes(), headers)
        .prop_map(|(timestamp, key, payload, headers)| record(timestamp, key, payload, &headers))
}

fn decode(blob: Vec<u8>, base: u64) -> Result<Vec<Record>, CodecError> {
    Decoder::new(blob, base)?.collect()
}

proptest! {
    #[test]
    fn what_goes_in_comes_out(records in prop::collection::vec(any_record(), 0..40), base in 0_u64..1 << 60) {
        let decoded = decode(encode(&records), base).unwrap();
        prop_assert_eq!(decoded.len(), records.len());
        for (i, (before, after)) in records.iter().zip(&decoded).enumerate() {
            prop_assert_eq!(after.offset, base + i as u64);
            prop_assert_eq!(after.timestamp, before.timestamp);
            prop_assert_eq!(&after.key, &before.key);
            prop_assert_eq!(&after.payload, &before.payload);
            prop_assert_eq!(&after.headers, &before.headers);
        }
    }

    #[test]
    fn one_changed_bit_is_noticed(
        records in prop::collection::vec(any_record(), 1..10), at in any::<prop::sample::Index>(), bit in 0_u8..8,
    ) {
        let mut blob = encode(&records);
        let at = at.index(blob.len());
        blob[at] ^= 1 << bit;
        prop_assert!(decode(blob, 0).is_err());
    }

    #[test]
    fn a_cut_blob_is_noticed(records in prop::collection::vec(any_record(), 1..10), at in any::<prop::sample::Index>()) {
        let mut blob = encode(&records);
        blob.truncate(at.index(blob.len()));
        prop_assert!(decode(blob, 0).is_err());
    }

    #[test]
    fn numbers_round_trip(value in any::<u64>(), signed in any::<i64>()) {
        let mut out = Vec::new();
        put(&mut out, value);
        put(&mut out, zigzag(signed));
        let mut cursor = Cursor::new(Bytes::from(out));
        prop_assert_eq!(cursor.number(), Some(value));
        prop_assert_eq!(cursor.number().map(unzigzag), Some(signed));
        prop_assert_eq!(cursor.number(), None);
    }

    #[test]
    fn a_sound_checksum_over_nonsense_does_no_harm(body in prop::collection::vec(any::<u8>(), 0..100), count in 0_u32..50) {
        let mut blob = vec![VERSION, PLAIN, 0, 0];
        blob.extend_from_slice(&count.to_le_bytes());
        blob.extend_from_slice(&[0; 12]);
        blob.extend_from_slice(&body);
        let sum = checksum(&blob);
        blob[CHECKED..HEADER].copy_from_slice(&sum.to_le_bytes());
        if let Ok(records) = decode(blob, 0) {
            prop_assert_eq!(records.len(), count as usize);
        }
    }
}

#[test]
fn a_length_that_no_body_has_asks_for_no_memory() {
    let zeros = encode(&[record(1, None, vec![0; 1 << 20], &[])]);
    assert_eq!(decode(zeros.clone(), 0).unwrap()[0].payload.len(), 1 << 20, "the best there is to compress");
    let with_length = |raw: usize| {
        let mut blob = zeros.clone();
        blob[8..12].copy_from_slice(&u32::try_from(raw).unwrap().to_le_bytes());
        let sum = checksum(&blob);
        blob[CHECKED..HEADER].copy_from_slice(&sum.to_le_bytes());
        blob
    };
    let most = (zeros.len() - HEADER) * LZ4_GROWTH;
    for (raw, error) in
        [(most, CodecError::Compression), (most + 1, CodecError::Length), (u32::MAX as usize, CodecError::Length)]
    {
        assert_eq!(Decoder::new(with_length(raw), 0).map(drop), Err(error), "{raw}");
    }
    assert!(most < 2 << 20, "what is asked for is about what is there: {most}");
}

#[test]
fn text_is_compressed_and_noise_is_not() {
    let text = encode(&[record(1, None, b"{\"fare\": 12.5}".repeat(100), &[])]);
    assert!(text.len() < 200, "{}", text.len());
    let mut noise = vec![0_u8; 1400];
    let mut state = 1_u64;
    for byte in &mut noise {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        *byte = state.to_be_bytes()[0];
    }
    let plain = encode(&[record(1, None, noise, &[])]);
    assert!((1400..1450).contains(&plain.len()), "{}", plain.len());
}
