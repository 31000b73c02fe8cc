//! Plans hold what they promise, whatever the seed.

use super::*;

const LENGTH: Duration = Duration::from_secs(300);

/// What is away at the end, of all that the steps do; none of them may hit what is away.
fn follow(steps: &[Step]) -> BTreeSet<Target> {
    let initial = |role: Role| (0..role.count().1).map(move |slot| (role, slot));
    let stopped = |(role, slot): &(Role, usize)| *slot >= role.count().0;
    let stopped = Role::ALL.into_iter().flat_map(initial).filter(stopped);
    let mut away: BTreeSet<Target> = stopped.map(|(role, slot)| Target::Service(role, slot)).collect();
    for step in steps {
        let was_away = away.contains(&step.target);
        match step.action {
            Action::Kill | Action::Stop | Action::Freeze => {
                assert!(!was_away, "{step}: it is away");
                away.insert(step.target);
            }
            Action::Thaw | Action::Start => {
                assert!(was_away, "{step}: it is there");
                away.remove(&step.target);
            }
            Action::Switch => assert!(matches!(step.target, Target::Version(_))),
        }
        let brokers = away.iter().filter(|target| matches!(target, Target::Broker(_))).count();
        assert!(brokers <= 1, "{step}: {brokers} brokers are away");
        if let (Action::Stop | Action::Freeze | Action::Kill, Target::Service(role, slot)) = (step.action, step.target)
        {
            assert!(slot < role.count().1);
        }
    }
    away
}

#[test]
fn the_same_seed_gives_the_same_plan() {
    assert_eq!(plan(7, LENGTH), plan(7, LENGTH));
    assert_ne!(plan(7, LENGTH), plan(8, LENGTH));
}

#[test]
fn whatever_happens_is_taken_back_in_time() {
    for seed in 0..200 {
        let steps = plan(seed, LENGTH);
        assert!(steps.is_sorted_by_key(|step| step.at));
        assert!(steps.iter().all(|step| step.at <= LENGTH));
        let away = follow(&steps);
        let services = away.iter().filter_map(|target| match target {
            Target::Service(role, _) => Some(*role),
            _ => None,
        });
        let services: Vec<Role> = services.collect();
        assert_eq!(services.len(), away.len(), "only services may be fewer at the end: {away:?}");
        for role in Role::ALL {
            assert!(
                services.iter().filter(|&&other| other == role).count() < role.count().1,
                "seed {seed}: no {role:?}"
            );
        }
    }
}

#[test]
fn everything_happens() {
    let happened: BTreeSet<String> = (0..5)
        .flat_map(|seed| plan(seed, LENGTH))
        .map(|step| step.to_string().split_once("s  ").map(|(_, what)| what.to_owned()).unwrap())
        .collect();
    for what in [
        "SIGKILL  stream-processor 0",
        "SIGSTOP  stream-processor 1",
        "SIGKILL  anomaly-writer 1",
        "SIGSTOP  anomaly-writer 0",
        "SIGKILL  ml-service 0",
        "SIGSTOP  ml-service 1",
        "SIGKILL  broker 2",
        "SIGSTOP  broker 0",
        "start    stream-processor 3",
        "SIGTERM  anomaly-writer 0",
        "cut      network to Postgres",
        "switch   version of ml-service",
        "switch   version of stream-processor",
        "cut      network to broker 1",
    ] {
        assert!(happened.contains(what), "{what} is not in {happened:#?}");
    }
}
