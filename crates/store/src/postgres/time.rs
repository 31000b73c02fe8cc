//! Instants as Postgres sends them, exact to the microsecond.

use jiff::Timestamp;
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgArgumentBuffer, PgHasArrayType, PgTypeInfo, PgValueRef};
use sqlx::{Decode, Encode, Postgres, Type};

/// Numbers of the types, the same in every database.
const TIMESTAMPTZ: Oid = Oid(1184);
const TIMESTAMPTZ_ARRAY: Oid = Oid(1185);

/// The server counts from 2000-01-01: microseconds from the Unix epoch until then.
const EPOCH: i64 = 946_684_800_000_000;
/// The first instant that it can hold: 4714-11-24 BC, in microseconds since the Unix epoch.
const FIRST: i64 = -210_866_803_200_000_000;

/// A `timestamptz`, in microseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Micros(pub(super) i64);

impl Micros {
    /// `time`, where the server can hold it.
    pub(super) fn of(time: Timestamp) -> Option<Self> {
        Some(Self(time.as_microsecond())).filter(|micros| micros.0 >= FIRST)
    }

    /// `time`, or the nearest that the server can hold, to compare with.
    pub(super) fn near(time: Timestamp) -> Self {
        Self(time.as_microsecond().max(FIRST))
    }
}

impl Type<Postgres> for Micros {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(TIMESTAMPTZ)
    }
}

impl PgHasArrayType for Micros {
    fn array_type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(TIMESTAMPTZ_ARRAY)
    }
}

impl Encode<'_, Postgres> for Micros {
    fn encode_by_ref(&self, buf: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        Encode::<Postgres>::encode(self.0.saturating_sub(EPOCH), buf)
    }
}

impl Decode<'_, Postgres> for Micros {
    fn decode(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
        Ok(Self(<i64 as Decode<Postgres>>::decode(value)?.saturating_add(EPOCH)))
    }
}
