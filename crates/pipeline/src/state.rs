//! Per-entity state and its place in the state topic.
//!
//! Keys are `entity/<entity>` and `position`, besides those of [`Versions`]. An entity's value is: `u8` format, `u64` layout (a
//! hash of the settings that the state depends on), `u64` offset of its last event, then one window for each watched column.
//! `position` holds format, layout and the offset that the whole state is true for. All numbers are little endian. An entity
//! that was forgotten leaves a tombstone.

use bytes::Bytes;
use hashbrown::HashMap;
use pulse_core::ports::StateRecord;
use pulse_detect::Window;

use crate::plan::Plan;
use crate::versions::Versions;

const FORMAT: u8 = 2;
/// Of more entities than may be remembered, one in so many is forgotten at once, those least recently seen.
const FORGET: usize = 8;
/// Bytes of an entity's record in the state besides its windows: key, header, offset, and what the topic adds.
const RECORD: usize = 64;
const POSITION: &[u8] = b"position";
const ENTITY: &[u8] = b"entity/";

/// What the detectors remember of an entity.
#[derive(Debug, Default)]
pub(crate) struct EntityState {
    /// One window for each column that the rolling rule watches.
    pub(crate) windows: Box<[Window]>,
    /// Offset of its last event.
    seen: u64,
    /// Whether it changed since the last snapshot.
    changed: bool,
    /// Whether any snapshot holds it.
    saved: bool,
}

/// What the detectors remember of a partition's entities.
#[derive(Debug, Default)]
pub(crate) struct States {
    entities: HashMap<String, EntityState>,
    columns: usize,
    max_entities: usize,
    /// Entities that changed since the last snapshot.
    changed: usize,
    /// Entities that a snapshot holds, and that were forgotten since the last one.
    removed: Vec<String>,
    /// Entities that were ever forgotten.
    forgotten: u64,
}

/// Why a snapshot cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SnapshotError {
    #[error("its format has changed, or a setting that it depends on: what is watched, remembered, or a valid event")]
    Layout,
    #[error("it is damaged")]
    Damaged,
    #[error("there is none")]
    Missing,
    #[error("it knows events behind the committed offset, which was set back, or is of another topic")]
    Ahead,
    #[error("it is of a group that was removed, or of another topic")]
    Foreign,
}

impl States {
    pub(crate) fn new(plan: &Plan) -> Self {
        let rolling = plan.rolling.as_ref();
        Self {
            columns: rolling.map_or(0, |rolling| rolling.columns.len()),
            max_entities: rolling.map_or(usize::MAX, |rolling| rolling.max_entities),
            ..Self::default()
        }
    }

    /// The state of `entity`, which the caller is about to change by its event at `offset`.
    ///
    /// Who is forgotten to make room depends on the events before alone, so that it is the same after a restart.
    pub(crate) fn change(&mut self, entity: &str, offset: u64) -> &mut EntityState {
        if self.entities.len() >= self.max_entities && !self.entities.contains_key(entity) {
            self.forget();
        }
        // `entry_ref` makes a key of its own only for an entity that is new.
        let columns = self.columns;
        let state = self.entities.entry_ref(entity).or_insert_with(|| EntityState {
            windows: vec![Window::default(); columns].into_boxed_slice(),
            ..EntityState::default()
        });
        self.changed += usize::from(!std::mem::replace(&mut state.changed, true));
        state.seen = offset;
        state
    }

    /// Forgets those least recently seen, of which there are some.
    fn forget(&mut self) {
        let mut seen: Vec<u64> = self.entities.values().map(|state| state.seen).collect();
        let last = (seen.len() / FORGET).saturating_sub(1);
        // No two have the same offset.
        let (_, &mut youngest, _) = seen.select_nth_unstable(last);
        let forgotten = self.entities.extract_if(|_, state| state.seen <= youngest);
        for (entity, state) in forgotten {
            self.changed -= usize::from(state.changed);
            self.forgotten += 1;
            if state.saved {
                self.removed.push(entity);
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.entities.len()
    }

    /// Entities that were forgotten so far.
    pub(crate) fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// About how many bytes the next snapshot takes.
    pub(crate) fn snapshot_bytes(&self, plan: &Plan) -> usize {
        let window = plan.rolling.as_ref().map_or(0, |rolling| rolling.window);
        let of_entity = RECORD + self.columns * (size_of::<u64>() + window * size_of::<f64>());
        (self.changed + 1) * of_entity + self.removed.len() * RECORD
    }

    /// The entities that changed or were forgotten since the last snapshot, and the offset that the state is true for.
    pub(crate) fn snapshot(&mut self, plan: &Plan, offset: u64) -> Vec<StateRecord> {
        let layout = plan.state_layout();
        let key = |entity: &str| Bytes::from([ENTITY, entity.as_bytes()].concat());
        let removed = self.removed.drain(..).filter(|entity| !self.entities.contains_key(entity));
        let mut records: Vec<StateRecord> =
            removed.map(|entity| StateRecord { key: key(&entity), value: None }).collect();
        records.reserve(self.changed + 1);
        self.changed = 0;
        let changed = self.entities.iter_mut().filter(|(_, state)| state.changed);
        records.extend(changed.map(|(entity, state)| {
            (state.changed, state.saved) = (false, true);
            let mut value = header(layout);
            value.extend_from_slice(&state.seen.to_le_bytes());
            state.windows.iter().for_each(|window| window.encode(&mut value));
            StateRecord { key: key(entity), value: Some(value.into()) }
        }));
        let mut value = header(layout);
        value.extend_from_slice(&offset.to_le_bytes());
        records.push(StateRecord { key: Bytes::from_static(POSITION), value: Some(value.into()) });
        records
    }

    /// Reads a snapshot back: the state, and the offset that it is true for.
    pub(crate) fn restore(plan: &Plan, records: &[StateRecord]) -> Result<(Self, u64), SnapshotError> {
        let (mut states, mut position) = (Self::new(plan), None);
        let layout = plan.state_layout();
        let mut found = false;
        for record in records.iter().filter(|record| !Versions::are_in(record)) {
            found = true;
            let Some(mut value) = record.value.as_deref() else { continue };
            check_header(&mut value, layout)?;
            if record.key == POSITION {
                position = Some(u64_le(&mut value)?);
            } else if let Some(entity) = record.key.strip_prefix(ENTITY) {
                let entity = std::str::from_utf8(entity).map_err(|_| SnapshotError::Damaged)?;
                states.entities.insert(entity.into(), decode(plan, &mut value)?);
            }
        }
        match position {
            Some(position) => Ok((states, position)),
            None if !found => Err(SnapshotError::Missing),
            None => Err(SnapshotError::Damaged),
        }
    }
}

fn decode(plan: &Plan, value: &mut &[u8]) -> Result<EntityState, SnapshotError> {
    let Some(rolling) = &plan.rolling else { return Ok(EntityState::default()) };
    let seen = u64_le(value)?;
    let windows = rolling.columns.iter().map(|_| Window::decode(value, rolling.window));
    let windows = windows.collect::<Result<_, _>>().map_err(|_| SnapshotError::Damaged)?;
    Ok(EntityState { windows, seen, changed: false, saved: true })
}

fn header(layout: u64) -> Vec<u8> {
    let mut value = vec![FORMAT];
    value.extend_from_slice(&layout.to_le_bytes());
    value
}

fn check_header(value: &mut &[u8], layout: u64) -> Result<(), SnapshotError> {
    let (&format, rest) = value.split_first().ok_or(SnapshotError::Damaged)?;
    *value = rest;
    if format != FORMAT || u64_le(value)? != layout {
        return Err(SnapshotError::Layout);
    }
    Ok(())
}

fn u64_le(value: &mut &[u8]) -> Result<u64, SnapshotError> {
    let (head, rest) = value.split_first_chunk::<8>().ok_or(SnapshotError::Damaged)?;
    *value = rest;
    Ok(u64::from_le_bytes(*head))
}
