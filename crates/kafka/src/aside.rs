//! Clients whose end waits for something, which a thread of the async runtime must not.

use std::ops::Deref;
use std::sync::Arc;

/// Drops its value on a thread of its own, with the last of its clones.
#[derive(Debug)]
pub(crate) struct Aside<T: Send + Sync + 'static>(Option<Arc<T>>);

impl<T: Send + Sync + 'static> Aside<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(Some(Arc::new(value)))
    }
}

impl<T: Send + Sync + 'static> Clone for Aside<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: Send + Sync + 'static> Deref for Aside<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // Only `drop` takes it.
        self.0.as_deref().unwrap_or_else(|| unreachable!("used after its end"))
    }
}

impl<T: Send + Sync + 'static> Drop for Aside<T> {
    fn drop(&mut self) {
        if let Some(last) = self.0.take().and_then(Arc::into_inner) {
            drop(std::thread::Builder::new().name("kafka-end".to_owned()).spawn(move || drop(last)));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread::{self, ThreadId};

    use super::*;

    struct Tell(mpsc::Sender<ThreadId>);

    impl Drop for Tell {
        fn drop(&mut self) {
            self.0.send(thread::current().id()).unwrap();
        }
    }

    #[test]
    fn the_last_one_ends_elsewhere() {
        let (sender, ended) = mpsc::channel();
        let first = Aside::new(std::sync::Mutex::new(Tell(sender)));
        let second = first.clone();
        drop(first);
        assert!(ended.try_recv().is_err());
        drop(second);
        assert_ne!(ended.recv().unwrap(), thread::current().id());
    }
}
