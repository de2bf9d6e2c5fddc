//! Delivers the outbox on a thread of its own: no sink holds up a cycle.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use margay_render::Templates;
use tracing::{info, warn};

use crate::ingest::{Ready, chain};
use crate::outlet::Outlet;
use crate::state::State;

/// How long what a sink refused waits for the next try.
const AGAIN_AFTER: Duration = Duration::from_secs(5);
/// How often the end looks whether the last delivery is over.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Whom to tell, and how.
pub struct Route {
    /// The sinks.
    pub outlet: Outlet,
    /// The outbox.
    pub state: Arc<State>,
    /// Detectors, for their templates.
    pub ready: Vec<Arc<Ready>>,
    /// Templates.
    pub templates: Arc<Templates>,
}

enum Order {
    Take(Box<Route>),
    Deliver,
    End,
}

/// The thread that delivers.
pub struct Courier {
    orders: Sender<Order>,
    thread: JoinHandle<()>,
}

impl Courier {
    /// Starts the thread.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub fn start(route: Route) -> std::io::Result<Self> {
        let (orders, receiver) = channel();
        let thread = Builder::new().name("courier".to_owned()).spawn(move || serve(route, &receiver))?;
        Ok(Self { orders, thread })
    }

    /// Delivers to other sinks from now on.
    pub fn take(&self, route: Route) {
        self.order(Order::Take(Box::new(route)));
    }

    /// Delivers what waits, soon.
    pub fn deliver(&self) {
        self.order(Order::Deliver);
    }

    /// Delivers a last time and ends; false where that takes longer than `most`. What waits stays in the outbox.
    pub fn end(self, most: Duration) -> bool {
        self.order(Order::End);
        let latest = Instant::now() + most;
        while !self.thread.is_finished() && Instant::now() < latest {
            std::thread::sleep(LOOK_EVERY);
        }
        self.thread.is_finished()
    }

    fn order(&self, order: Order) {
        if self.orders.send(order).is_err() {
            warn!("the thread that delivers has ended; alerts wait in the outbox");
        }
    }
}

fn serve(mut route: Route, orders: &Receiver<Order>) {
    let mut failing = false;
    loop {
        let (mut end, mut order) = (false, orders.recv_timeout(AGAIN_AFTER));
        loop {
            match order {
                Ok(Order::Take(other)) => route = *other,
                Ok(Order::Deliver) => {}
                Ok(Order::End) | Err(RecvTimeoutError::Disconnected) => end = true,
                Err(RecvTimeoutError::Timeout) => {}
            }
            match orders.try_recv() {
                Ok(next) => order = Ok(next),
                Err(_) => break,
            }
        }
        let Route { outlet, state, ready, templates } = &mut route;
        match outlet.deliver(state, ready, templates) {
            Err(error) if !failing => {
                warn!(error = chain(&error), "alerts could not be delivered; they are kept and sent again");
                failing = true;
            }
            Err(_) => {}
            Ok(()) if failing => {
                info!("alerts are delivered again");
                failing = false;
            }
            Ok(()) => {}
        }
        if end {
            return;
        }
    }
}
