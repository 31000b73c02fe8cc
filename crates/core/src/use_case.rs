//! What a use case is: its events, how they are judged, and how they are simulated.
//!
//! The raw form mirrors `config.yaml` (`raw`); [`UseCase`] is the checked form, the only one that the rest accepts.

mod checked;
pub mod raw;

pub use checked::{
    Bounds, ConfigFault, Constant, DetectorSettings, Distribution, Draw, Entities, Entity, Feature, FeatureProfile,
    FeatureType, ForestKind, ForestSettings, NumberLimits, NumberProfile, PayloadLimits, Profile, RollingSettings,
    Rule, SimulatedAnomaly, SimulatorSettings, TextLimits, TimestampField, UseCase,
};
