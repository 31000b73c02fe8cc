//! Puts features behind those that they depend on.

use std::collections::BTreeMap;

use super::{Draw, FeatureProfile, PATH};
use crate::use_case::checked::Faults;

/// A feature, and the features that it depends on with their factors.
type Dependent = (FeatureProfile, BTreeMap<String, f64>);

/// `features` in an order in which each stands behind those that it depends on; where that leaves a choice, as they came.
pub(super) fn by_dependence(features: Vec<Dependent>, faults: &mut Faults) -> Vec<FeatureProfile> {
    let is_number = |(feature, _): &&Dependent| matches!(feature.draw, Draw::Number(_));
    let numbers: Vec<String> = features.iter().filter(is_number).map(|(feature, _)| feature.name.clone()).collect();
    let mut waiting = Vec::with_capacity(features.len());
    for (feature, mut depends_on) in features {
        depends_on.retain(|name, _| {
            let known = numbers.contains(name);
            if !known {
                let message = format!("{name:?} is no number that is drawn: there are {}", numbers.join(", "));
                faults.add(format!("{PATH}.features.{}.depends_on", feature.name), message);
            }
            known
        });
        waiting.push((feature, depends_on));
    }
    let mut ordered: Vec<FeatureProfile> = Vec::with_capacity(waiting.len());
    while !waiting.is_empty() {
        let is_there = |name: &String| ordered.iter().any(|feature| feature.name == *name);
        let Some(next) = waiting.iter().position(|(_, depends_on)| depends_on.keys().all(is_there)) else {
            let names: Vec<&str> = waiting.iter().map(|(feature, _)| feature.name.as_str()).collect();
            let message = format!("{} wait for each other in a circle: break it", names.join(", "));
            faults.add(format!("{PATH}.features.{}.depends_on", names[0]), message);
            ordered.extend(waiting.drain(..).map(|(feature, _)| feature));
            break;
        };
        let (mut feature, depends_on) = waiting.remove(next);
        if let Draw::Number(number) = &mut feature.draw {
            let place = |name: &String| ordered.iter().position(|feature| feature.name == *name);
            number.depends_on = depends_on.iter().filter_map(|(name, factor)| Some((place(name)?, *factor))).collect();
        }
        ordered.push(feature);
    }
    ordered
}
