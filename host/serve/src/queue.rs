//! Requests wait in the order in which they came; there are only so many places.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// What waits.
pub trait Waiting {
    /// Nobody wants the answer any more.
    fn is_gone(&self) -> bool;
}

/// Why something was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// All places are taken.
    Full,
    /// Nothing is taken any more.
    Closed,
}

/// A bounded queue that threads share.
pub struct Queue<T = crate::engine::Job> {
    state: Mutex<State<T>>,
    bell: Condvar,
    places: usize,
}

struct State<T> {
    waiting: VecDeque<T>,
    /// Someone waits for work: what comes is worked on at once and takes no place.
    idle: bool,
    closed: bool,
}

impl<T: Waiting> Queue<T> {
    /// A queue with places for so many that wait, besides the one that is worked on.
    pub fn new(places: usize) -> Self {
        Queue {
            state: Mutex::new(State {
                waiting: VecDeque::new(),
                idle: false,
                closed: false,
            }),
            bell: Condvar::new(),
            places,
        }
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        // The state is whole between any two statements below.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds one at the end. Those that are gone make room first.
    pub fn push(&self, item: T) -> Result<(), Refused> {
        let mut state = self.state();
        if state.closed {
            return Err(Refused::Closed);
        }
        state.waiting.retain(|item| !item.is_gone());
        if state.waiting.len() >= self.places + usize::from(state.idle) {
            return Err(Refused::Full);
        }
        state.waiting.push_back(item);
        self.bell.notify_one();
        Ok(())
    }

    /// Waits for the first one that is not gone; `None` when the queue is closed.
    pub fn pop(&self) -> Option<T> {
        let mut state = self.state();
        state.idle = true;
        let found = loop {
            match state.waiting.pop_front() {
                Some(item) if item.is_gone() => {}
                Some(item) => break Some(item),
                None if state.closed => break None,
                None => {
                    state = self
                        .bell
                        .wait(state)
                        .unwrap_or_else(PoisonError::into_inner)
                }
            }
        };
        state.idle = false;
        found
    }

    /// Takes nothing more; gives back what waited.
    pub fn close(&self) -> Vec<T> {
        let mut state = self.state();
        state.closed = true;
        self.bell.notify_all();
        state.waiting.drain(..).collect()
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.state()
            .waiting
            .iter()
            .filter(|item| !item.is_gone())
            .count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A number, and whether it is gone.
    #[derive(Debug, PartialEq)]
    struct Item(u32, bool);

    impl Waiting for Item {
        fn is_gone(&self) -> bool {
            self.1
        }
    }

    #[test]
    fn first_come_first_served_and_no_more_than_fit() {
        let queue = Queue::new(2);
        assert_eq!(queue.push(Item(1, false)), Ok(()));
        assert_eq!(queue.push(Item(2, false)), Ok(()));
        assert_eq!(queue.push(Item(3, false)), Err(Refused::Full));
        assert_eq!((queue.pop(), queue.waiting()), (Some(Item(1, false)), 1));
        assert_eq!(queue.push(Item(4, false)), Ok(()));
        assert_eq!(queue.pop(), Some(Item(2, false)));
        assert_eq!(queue.pop(), Some(Item(4, false)));
    }

    #[test]
    fn who_is_gone_takes_no_place_and_no_time() {
        let queue = Queue::new(2);
        for item in [Item(1, true), Item(2, true), Item(3, false), Item(4, false)] {
            assert_eq!(queue.push(item), Ok(()));
        }
        assert_eq!(queue.waiting(), 2);
        assert_eq!(queue.push(Item(5, false)), Err(Refused::Full));
        assert_eq!(queue.pop(), Some(Item(3, false)));
    }

    #[test]
    fn without_places_one_is_taken_by_who_waits_for_work() {
        let queue = Queue::new(0);
        assert_eq!(queue.push(Item(1, false)), Err(Refused::Full));
        std::thread::scope(|scope| {
            let worker = scope.spawn(|| queue.pop());
            while queue.push(Item(2, false)).is_err() {
                std::thread::yield_now();
            }
            assert_eq!(worker.join().unwrap(), Some(Item(2, false)));
        });
        assert_eq!(queue.push(Item(3, false)), Err(Refused::Full));
    }

    #[test]
    fn a_closed_queue_gives_back_what_waited_and_wakes_who_waits() {
        let queue = Queue::new(3);
        queue.push(Item(1, false)).unwrap();
        assert_eq!(queue.close(), [Item(1, false)]);
        assert_eq!(queue.pop(), None);
        assert_eq!(queue.push(Item(2, false)), Err(Refused::Closed));
        let queue: Queue<Item> = Queue::new(3);
        std::thread::scope(|scope| {
            let worker = scope.spawn(|| queue.pop());
            queue.close();
            assert_eq!(worker.join().unwrap(), None);
        });
    }
}
