//! `run`: cycles on their schedules, until it is told to stop.

mod backoff;
mod clock;
mod courier;
mod schedule;
mod watch;
mod worker;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use tokio::sync::watch::{Receiver, channel};
use tracing::info;

use crate::Exit;
use crate::cli::RunArgs;
use crate::state::State;
use crate::web;
use clock::Clock;
use worker::{Settings, Worker};

/// How often the one that stands by tries to take over.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(1);
/// How long the end waits for work that cannot be interrupted; what it leaves is repeated by the next process.
const END_WITHIN: Duration = Duration::from_secs(10);

/// Runs until it is told to stop, or until `args.until`.
///
/// # Errors
/// The configuration, the state, or the scores file cannot be opened.
pub fn run(config: &Path, args: &RunArgs) -> anyhow::Result<Exit> {
    let settings = Settings {
        config: config.to_owned(),
        clock: args.accelerated_from.map_or(Clock::System, Clock::accelerated),
        until: args.until,
        scores: args.scores.clone(),
        stop: Arc::new(AtomicBool::new(false)),
        board: Arc::default(),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the threads of the daemon cannot be started")?;
    let ended = runtime.block_on(go_on(settings));
    runtime.shutdown_timeout(END_WITHIN);
    ended
}

async fn go_on(settings: Settings) -> anyhow::Result<Exit> {
    let stop = settings.stop.clone();
    let mut told = stopped(stop.clone());
    let loaded = margay_config::load(&settings.config);
    if let Some(address) = loaded.engine.web.as_ref().and_then(margay_config::Web::address) {
        web::start(address, settings.board.clone()).await?;
    }
    let dir = loaded.root.join(&loaded.engine.state.dir);
    let Some(state) = alone(&dir, &mut told).await? else { return Ok(Exit::Ok) };
    let opened = tokio::task::spawn_blocking(move || Worker::open(settings, loaded, state)).await;
    let Some(mut worker) = opened.context("the start panicked, which is an error in margay")?? else {
        return Ok(Exit::Configuration);
    };
    while let Some(next) = worker.next() {
        tokio::select! {
            biased;
            _ = told.wait_for(|told| *told) => break,
            () = worker.clock().approach(next) => {}
        }
        worker = tokio::task::spawn_blocking(move || worker.tick().map(|()| worker))
            .await
            .context("a cycle panicked, which is an error in margay")??;
    }
    info!("stopping");
    stop.store(true, Ordering::Relaxed);
    tokio::task::spawn_blocking(move || worker.end()).await.context("the end panicked")?
}

/// The state, once no other process writes it: of several daemons one works, and another one takes over when that one
/// ends, however it ends. `None` where this one is told to stop before.
async fn alone(dir: &Path, told: &mut Receiver<bool>) -> anyhow::Result<Option<Arc<State>>> {
    let mut has_said = false;
    loop {
        let folder = dir.to_owned();
        let state = tokio::task::spawn_blocking(move || State::open(&folder)).await.context("opening panicked")??;
        if !state.is_read_only() {
            return Ok(Some(Arc::new(state)));
        }
        if !has_said {
            eprintln!("{} is in use by another margay: standing by", dir.display());
            has_said = true;
        }
        tokio::select! {
            _ = told.wait_for(|told| *told) => return Ok(None),
            () = tokio::time::sleep(LOOK_AGAIN_AFTER) => {}
        }
    }
}

/// True once the process was told to stop. A second signal ends it at once: nothing is lost, work is repeated.
fn stopped(stop: Arc<AtomicBool>) -> Receiver<bool> {
    let (sender, receiver) = channel(false);
    tokio::spawn(async move {
        signal().await;
        stop.store(true, Ordering::Relaxed);
        sender.send_replace(true);
        signal().await;
        std::process::exit(i32::from(Exit::Failed as u8));
    });
    receiver
}

#[cfg(unix)]
async fn signal() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        },
        Err(_) => drop(tokio::signal::ctrl_c().await),
    }
}

#[cfg(not(unix))]
async fn signal() {
    drop(tokio::signal::ctrl_c().await);
}
