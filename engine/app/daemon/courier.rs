//! Delivers the outbox, on a thread for each sink: none holds up a cycle or another sink.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use tracing::{info, warn};

use crate::ingest::chain;
use crate::outlet::{Desk, Outlet, again_after};

/// How long what a sink did not take waits for the next try: twice as long each time, within these.
const AGAIN_FIRST: Duration = Duration::from_secs(5);
const AGAIN_MOST: Duration = Duration::from_secs(300);
/// The longest time for which a server's wish to be left alone is heeded.
const HEEDED_MOST: Duration = Duration::from_secs(3600);
/// How often the end looks whether the last delivery is over.
const LOOK_EVERY: Duration = Duration::from_millis(20);

enum Order {
    Take(Box<(Outlet, Desk)>),
    Deliver,
    End,
}

struct Lane {
    orders: Sender<Order>,
    thread: JoinHandle<()>,
}

/// The threads that deliver.
pub struct Courier {
    lanes: BTreeMap<String, Lane>,
}

impl Courier {
    /// Starts a thread for each sink.
    ///
    /// # Errors
    /// There is no thread to be had, or the state fails.
    pub fn start(outlets: Vec<Outlet>, desk: &Desk) -> anyhow::Result<Self> {
        let mut courier = Self { lanes: BTreeMap::new() };
        courier.take(outlets, desk)?;
        Ok(courier)
    }

    /// Delivers to these sinks from now on; a sink that was there before goes on at its place.
    ///
    /// # Errors
    /// There is no thread to be had, or the state fails.
    pub fn take(&mut self, outlets: Vec<Outlet>, desk: &Desk) -> anyhow::Result<()> {
        desk.address(&outlets)?;
        let gone = |name: &String| !outlets.iter().any(|outlet| outlet.name == *name);
        for (_, lane) in self.lanes.extract_if(.., |name, _| gone(name)) {
            lane.order(Order::End);
        }
        for outlet in outlets {
            match self.lanes.get(&outlet.name) {
                Some(lane) => lane.order(Order::Take(Box::new((outlet, desk.clone())))),
                None => {
                    let (name, (orders, receiver), desk) = (outlet.name.clone(), channel(), desk.clone());
                    let thread = Builder::new().name(name.clone()).spawn(move || serve(outlet, desk, &receiver))?;
                    self.lanes.insert(name, Lane { orders, thread });
                }
            }
        }
        Ok(())
    }

    /// Delivers what waits, soon.
    pub fn deliver(&self) {
        self.lanes.values().for_each(|lane| lane.order(Order::Deliver));
    }

    /// Delivers a last time and ends; false where that takes longer than `most`. What waits stays in the outbox.
    pub fn end(self, most: Duration) -> bool {
        self.lanes.values().for_each(|lane| lane.order(Order::End));
        let latest = Instant::now() + most;
        let is_over = || self.lanes.values().all(|lane| lane.thread.is_finished());
        while !is_over() && Instant::now() < latest {
            std::thread::sleep(LOOK_EVERY);
        }
        is_over()
    }
}

impl Lane {
    fn order(&self, order: Order) {
        if self.orders.send(order).is_err() {
            warn!("a thread that delivers has ended; alerts wait in the outbox");
        }
    }
}

/// When a sink that failed is called again.
#[derive(Default)]
struct Pause {
    failures: u32,
    until: Option<Instant>,
}

impl Pause {
    fn left(&self) -> Duration {
        self.until.map_or(AGAIN_FIRST, |until| until.saturating_duration_since(Instant::now()))
    }

    fn is_over(&self) -> bool {
        self.until.is_none_or(|until| until <= Instant::now())
    }

    fn extend(&mut self, asked: Option<Duration>) {
        let wait = AGAIN_FIRST.saturating_mul(1 << self.failures.min(10)).min(AGAIN_MOST);
        self.failures += 1;
        self.until = Some(Instant::now() + asked.map_or(wait, |asked| asked.min(HEEDED_MOST).max(AGAIN_FIRST)));
    }
}

fn serve(mut outlet: Outlet, mut desk: Desk, orders: &Receiver<Order>) {
    let mut pause = Pause::default();
    loop {
        let (mut end, mut order) = (false, orders.recv_timeout(pause.left()));
        loop {
            match order {
                Ok(Order::Take(other)) => {
                    let before = std::mem::replace(&mut outlet, other.0);
                    desk = other.1;
                    outlet.follow(before);
                    pause = Pause::default();
                }
                Ok(Order::Deliver) | Err(RecvTimeoutError::Timeout) => {}
                Ok(Order::End) | Err(RecvTimeoutError::Disconnected) => end = true,
            }
            match orders.try_recv() {
                Ok(next) => order = Ok(next),
                Err(_) => break,
            }
        }
        if pause.is_over() {
            match outlet.deliver(&desk) {
                Err(error) => {
                    if pause.failures == 0 {
                        warn!(error = chain(&error), "alerts could not be delivered; they are kept and sent again");
                    }
                    pause.extend(again_after(&error));
                }
                Ok(()) => {
                    if pause.failures > 0 {
                        info!(sink = outlet.name, "alerts are delivered again");
                    }
                    pause = Pause::default();
                }
            }
        }
        if end {
            return;
        }
    }
}
