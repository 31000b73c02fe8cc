//! What happens to whom, and when: all of it drawn from a seed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;
use std::time::Duration;

use pulse_testkit::servers::kafka::BROKERS;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use rand_xoshiro::Xoshiro256PlusPlus;

/// A service that runs more than once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    Processor,
    Writer,
    MlService,
}

impl Role {
    pub(super) const ALL: [Self; 3] = [Self::Processor, Self::Writer, Self::MlService];

    /// How many run at the beginning, and at the most.
    pub(super) fn count(self) -> (usize, usize) {
        match self {
            Self::Processor => (2, 4),
            Self::Writer => (2, 3),
            Self::MlService => (2, 2),
        }
    }

    pub(super) fn binary(self) -> &'static str {
        match self {
            Self::Processor => "stream-processor",
            Self::Writer => "anomaly-writer",
            Self::MlService => "ml-service",
        }
    }
}

/// A way to a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Network {
    /// That of clients to a broker.
    Broker(usize),
    Postgres,
    MlServices,
}

/// To whom something happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Target {
    Service(Role, usize),
    Broker(usize),
    Network(Network),
    /// What a service runs by: for ML services another model, for processors another configuration.
    Version(Role),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// SIGKILL.
    Kill,
    /// SIGTERM.
    Stop,
    /// SIGSTOP; of a network, nothing gets through.
    Freeze,
    /// SIGCONT.
    Thaw,
    Start,
    /// From now on services start with the other version.
    Switch,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) at: Duration,
    pub(super) action: Action,
    pub(super) target: Target,
}

/// Milliseconds between two decisions.
const GAP: Range<u64> = 300..3500;
/// Milliseconds that something is dead. Some are back before anybody has noticed.
const DEAD: Range<u64> = 50..8000;
/// Milliseconds that something stands still: longer than the session timeout of six seconds in more than half of the cases.
const FROZEN: Range<u64> = 1000..15_000;
/// A service is left alone for so long after it is back.
const REST: Duration = Duration::from_secs(1);
/// Milliseconds that a service is away to be started with another version.
const SWITCH: Range<u64> = 50..800;
/// A broker that is back needs time to catch up, before the next one goes.
const CATCH_UP: Duration = Duration::from_secs(8);

/// What happens in a run of `length`. At its end nobody is frozen, and of every service at least one runs.
pub(super) fn plan(seed: u64, length: Duration) -> Vec<Step> {
    let running = |role: Role| (0..role.count().0).map(move |slot| (role, slot));
    let mut planner = Planner {
        random: Xoshiro256PlusPlus::seed_from_u64(seed),
        length,
        now: Duration::ZERO,
        steps: Vec::new(),
        running: Role::ALL.into_iter().flat_map(running).collect(),
        idle_from: BTreeMap::new(),
        brokers_idle_from: Duration::ZERO,
    };
    loop {
        planner.now += Duration::from_millis(planner.random.random_range(GAP));
        if planner.now >= length {
            break;
        }
        planner.decide();
    }
    planner.steps.sort_by_key(|step| step.at);
    planner.steps
}

struct Planner {
    random: Xoshiro256PlusPlus,
    length: Duration,
    now: Duration,
    steps: Vec<Step>,
    /// Those that run, or come back soon.
    running: BTreeSet<(Role, usize)>,
    /// From when on something may happen again to those to whom something has.
    idle_from: BTreeMap<Target, Duration>,
    /// The same for all brokers: never is more than one of them away.
    brokers_idle_from: Duration,
}

impl Planner {
    /// Lets something happen, unless all to whom it could are busy.
    fn decide(&mut self) {
        match self.random.random_range(0..100) {
            0..40 => self.harm_a_service(),
            40..55 => self.harm_a_broker(),
            55..72 => self.cut_a_network(),
            72..88 => self.scale(),
            _ => self.switch(),
        }
    }

    fn harm_a_service(&mut self) {
        let idle = |&&(role, slot): &&(Role, usize)| self.is_idle(Target::Service(role, slot));
        let candidates: Vec<_> = self.running.iter().filter(idle).copied().collect();
        let Some(&(role, slot)) = candidates.choose(&mut self.random) else { return };
        let target = Target::Service(role, slot);
        let end = match self.random.random_range(0..10) {
            0..5 => self.away(Action::Kill, target, DEAD, Action::Start),
            5..9 => self.away(Action::Freeze, target, FROZEN, Action::Thaw),
            _ => self.away(Action::Stop, target, DEAD, Action::Start),
        };
        self.idle_from.insert(target, end + REST);
    }

    fn harm_a_broker(&mut self) {
        if self.now < self.brokers_idle_from {
            return;
        }
        let target = Target::Broker(self.random.random_range(0..BROKERS));
        let end = if self.random.random_bool(0.6) {
            self.away(Action::Kill, target, DEAD, Action::Start)
        } else {
            self.away(Action::Freeze, target, FROZEN, Action::Thaw)
        };
        self.brokers_idle_from = end + CATCH_UP;
    }

    fn cut_a_network(&mut self) {
        let brokers: Vec<Target> = (0..BROKERS).map(|broker| Target::Network(Network::Broker(broker))).collect();
        let others = [Network::Postgres, Network::MlServices].map(Target::Network);
        let mut candidates: Vec<Target> = others.into_iter().filter(|&target| self.is_idle(target)).collect();
        // With two brokers out of reach nothing would get on, and so nothing could go wrong.
        if brokers.iter().all(|&target| self.is_idle(target)) {
            candidates.extend(brokers);
        }
        let Some(&target) = candidates.choose(&mut self.random) else { return };
        let end = self.away(Action::Freeze, target, FROZEN, Action::Thaw);
        self.idle_from.insert(target, end + REST);
    }

    /// Starts one more of a service, or stops one for good.
    fn scale(&mut self) {
        let Some(&role) = Role::ALL.choose(&mut self.random) else { return };
        let slots = (0..role.count().1).filter(|&slot| self.is_idle(Target::Service(role, slot)));
        let (up, down): (Vec<_>, Vec<_>) = slots.partition(|&slot| !self.running.contains(&(role, slot)));
        let count = self.running.iter().filter(|(running, _)| *running == role).count();
        let wants_more = count == 1 || self.random.random_bool(0.5);
        let slots = if wants_more { up } else { down };
        let Some(&slot) = slots.choose(&mut self.random) else { return };
        let target = Target::Service(role, slot);
        let action = if wants_more {
            self.running.insert((role, slot));
            Action::Start
        } else {
            self.running.remove(&(role, slot));
            if self.random.random_bool(0.3) { Action::Kill } else { Action::Stop }
        };
        self.steps.push(Step { at: self.now, action, target });
        self.idle_from.insert(target, self.now + REST);
    }

    /// Rolls another version of a service out. What is dead or frozen meanwhile has the one before when it is back, or gets the
    /// new one at its next start.
    fn switch(&mut self) {
        let Some(&role) = [Role::Processor, Role::MlService].choose(&mut self.random) else { return };
        let target = Target::Version(role);
        if !self.is_idle(target) {
            return;
        }
        self.steps.push(Step { at: self.now, action: Action::Switch, target });
        let (begun, running) = (self.now, self.running.clone());
        for (role, slot) in running.into_iter().filter(|(running, _)| *running == role) {
            let target = Target::Service(role, slot);
            if self.is_idle(target) && self.now < self.length {
                self.now = self.away(Action::Stop, target, SWITCH, Action::Start);
                self.idle_from.insert(target, self.now + REST);
            }
        }
        self.idle_from.insert(target, self.now + REST);
        self.now = begun;
    }

    /// Does something to `target` and takes it back later; says when.
    fn away(&mut self, action: Action, target: Target, time: Range<u64>, back: Action) -> Duration {
        let time = Duration::from_millis(self.random.random_range(time));
        let end = (self.now + time).min(self.length);
        self.steps.push(Step { at: self.now, action, target });
        self.steps.push(Step { at: end, action: back, target });
        end
    }

    fn is_idle(&self, target: Target) -> bool {
        self.idle_from.get(&target).is_none_or(|&from| from <= self.now)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let action = match (self.action, self.target) {
            (Action::Freeze, Target::Network(_)) => "cut",
            (Action::Thaw, Target::Network(_)) => "mend",
            (Action::Kill, _) => "SIGKILL",
            (Action::Stop, _) => "SIGTERM",
            (Action::Freeze, _) => "SIGSTOP",
            (Action::Thaw, _) => "SIGCONT",
            (Action::Start, _) => "start",
            (Action::Switch, _) => "switch",
        };
        write!(f, "{:8.3} s  {action:<7}  {}", self.at.as_secs_f64(), self.target)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service(role, slot) => write!(f, "{} {slot}", role.binary()),
            Self::Version(role) => write!(f, "version of {}", role.binary()),
            Self::Broker(broker) => write!(f, "broker {broker}"),
            Self::Network(Network::Broker(broker)) => write!(f, "network to broker {broker}"),
            Self::Network(Network::Postgres) => f.write_str("network to Postgres"),
            Self::Network(Network::MlServices) => f.write_str("network to the ML services"),
        }
    }
}

#[cfg(test)]
mod tests;
