//! Which address is asked next. What is done about their answers is tested against the ML service's routes.

use std::time::Duration;

use super::*;
use crate::remote::resolve::Resolving;

/// A name that stands for what is set.
#[derive(Debug, Clone, Default)]
struct Name(Arc<Mutex<Vec<SocketAddr>>>);

impl Name {
    fn set(&self, hosts: &[u8]) {
        *self.0.lock().unwrap() = hosts.iter().copied().map(address).collect();
    }
}

impl Resolve for Name {
    fn resolve<'a>(&'a self, _: &'a str, _: u16) -> Resolving<'a> {
        Box::pin(async { Ok(self.0.lock().unwrap().clone()) })
    }
}

fn address(host: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, host], 8000))
}

/// A pool of these hosts, all of which have answered.
async fn pool(hosts: &[u8]) -> (Pool, Name) {
    let (name, server) = (Name::default(), Server::new("http://ml-service:8000").unwrap());
    name.set(hosts);
    let pool = Pool::new(server, RemoteOptions::default(), Arc::new(name.clone()), None);
    pool.resolve(Instant::now()).await.unwrap();
    pool.ways().iter().for_each(|way| pool.answered(way));
    (pool, name)
}

fn way(pool: &Pool, host: u8) -> Way {
    pool.ways().into_iter().find(|way| way.address() == address(host)).unwrap()
}

fn broken() -> RemoteError {
    RemoteError::Timeout { url: "http://x".to_owned(), seconds: 2.0 }
}

#[tokio::test]
async fn the_least_busy_is_asked_and_equals_take_turns() {
    let (pool, _) = pool(&[1, 2, 3]).await;
    let mut asked: Vec<_> = (0..3).map(|_| pool.lease(&[], false).unwrap().address()).collect();
    asked.sort_unstable();
    assert_eq!(asked, [address(1), address(2), address(3)], "each once, though none was busy");
    let mut leases: Vec<Lease> = (0..6).map(|_| pool.lease(&[], false).unwrap()).collect();
    for host in 1..=3 {
        assert_eq!(leases.iter().filter(|lease| lease.address() == address(host)).count(), 2);
    }
    leases.retain(|lease| lease.address() != address(2));
    let next: Vec<Lease> = (0..2).map(|_| pool.lease(&[], false).unwrap()).collect();
    assert!(next.iter().all(|lease| lease.address() == address(2)));
}

#[tokio::test]
async fn one_that_was_left_is_asked_only_when_any_will_do() {
    let (pool, _) = pool(&[1, 2]).await;
    pool.failed(&way(&pool, 1), &broken());
    for _ in 0..4 {
        assert_eq!(pool.lease(&[], false).unwrap().address(), address(2));
    }
    assert!(pool.lease(&[address(2)], false).is_none());
    assert!(!pool.has_other(&[address(2)]));
    assert_eq!(pool.lease(&[address(2)], true).unwrap().address(), address(1));
    assert!(pool.lease(&[address(1), address(2)], true).is_none());
    assert!(pool.all_tried(&[address(1), address(2)]));
}

#[tokio::test]
async fn one_on_trial_gets_one_request_at_a_time() {
    let (pool, _) = pool(&[1, 2]).await;
    pool.failed(&way(&pool, 1), &broken());
    pool.ready(&way(&pool, 1));
    let both: Vec<Lease> = (0..2).map(|_| pool.lease(&[], false).unwrap()).collect();
    assert_ne!(both[0].address(), both[1].address());
    for _ in 0..4 {
        assert_eq!(pool.lease(&[], false).unwrap().address(), address(2));
    }
    assert_eq!(pool.lease(&[address(2)], false).unwrap().address(), address(1), "rather than none");
    pool.answered(&way(&pool, 1));
    drop(both);
    let both: Vec<Lease> = (0..4).map(|_| pool.lease(&[], false).unwrap()).collect();
    assert_eq!(both.iter().filter(|lease| lease.address() == address(1)).count(), 2);
}

#[tokio::test(start_paused = true)]
async fn one_that_was_left_is_probed_once_its_pause_is_over() {
    let (pool, _) = pool(&[1, 2]).await;
    assert_eq!(pool.next_probe(), None);
    pool.failed(&way(&pool, 1), &broken());
    assert!(pool.take_due(Instant::now()).is_empty());
    tokio::time::sleep(pool.options.first_pause).await;
    let due = pool.take_due(Instant::now());
    assert_eq!(due.iter().map(Way::address).collect::<Vec<_>>(), [address(1)]);
    assert!(pool.take_due(Instant::now()).is_empty() && pool.next_probe().is_none(), "one probe at a time");
    pool.failed(&due[0], &broken());
    assert!(pool.next_probe().unwrap() > Instant::now());
}

#[tokio::test(start_paused = true)]
async fn addresses_come_and_go() {
    let (pool, name) = pool(&[1, 2]).await;
    let lease = pool.lease(&[address(2)], false).unwrap();
    name.set(&[2, 3, 3]);
    pool.resolve(Instant::now()).await.unwrap();
    assert!(pool.ways().iter().any(|way| way.address() == address(1)), "somebody has just looked");
    tokio::time::advance(Duration::from_millis(1)).await;
    pool.resolve(Instant::now()).await.unwrap();
    assert_eq!(pool.ways().iter().map(Way::address).collect::<Vec<_>>(), [address(2), address(3)]);
    pool.answered(&lease);
    drop(lease);
    assert!(pool.next_probe().unwrap() <= Instant::now(), "what is new is probed at once");
    assert_eq!(pool.lease(&[], false).unwrap().address(), address(2));
    // A name without addresses is a fault of the name.
    name.set(&[]);
    tokio::time::advance(Duration::from_millis(1)).await;
    assert!(matches!(pool.resolve(Instant::now()).await, Err(RemoteError::Unreachable { .. })));
    assert_eq!(pool.ways().len(), 2);
}
