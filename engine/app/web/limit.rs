//! Bounds on connections: how many there are, and how long one may be silent.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep};

/// Connections at the same time; further ones wait until one ends.
pub(super) const CONNECTIONS_MOST: usize = 64;
/// A connection on which so long nothing moves is ended.
const SILENCE_MOST: Duration = Duration::from_secs(30);

/// Accepts connections, a limited number at a time.
pub(super) struct Limited {
    listener: TcpListener,
    places: Arc<Semaphore>,
    silence_most: Duration,
}

impl Limited {
    pub(super) fn new(listener: TcpListener) -> Self {
        Self { listener, places: Arc::new(Semaphore::new(CONNECTIONS_MOST)), silence_most: SILENCE_MOST }
    }
}

impl Listener for Limited {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        let place = self.places.clone().acquire_owned().await.expect("nobody closes it");
        let (stream, address) = Listener::accept(&mut self.listener).await;
        let silence_most = self.silence_most;
        (Connection { stream, silence: Box::pin(sleep(silence_most)), silence_most, _place: place }, address)
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

/// A connection, which gives its place free when it is dropped.
pub(super) struct Connection {
    stream: TcpStream,
    silence: Pin<Box<Sleep>>,
    silence_most: Duration,
    _place: OwnedSemaphorePermit,
}

impl Connection {
    /// Passes on what became of a step, or ends a connection that was silent for too long.
    fn within<T>(&mut self, step: Poll<io::Result<T>>, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        if step.is_ready() {
            let until = Instant::now() + self.silence_most;
            self.silence.as_mut().reset(until);
            return step;
        }
        self.silence.as_mut().poll(context).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let step = Pin::new(&mut this.stream).poll_read(context, into);
        this.within(step, context)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let step = Pin::new(&mut this.stream).poll_write(context, bytes);
        this.within(step, context)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use tokio::runtime::Builder;
    use tokio::sync::oneshot;

    use super::*;

    #[test]
    fn a_silent_connection_ends_and_a_further_one_gets_its_place() {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let places = Arc::new(Semaphore::new(1));
            let mut limited = Limited { listener, places: places.clone(), silence_most: Duration::from_millis(50) };
            let _silent = TcpStream::connect(address).await.unwrap();
            let (mut first, _) = limited.accept().await;
            let _waiting = TcpStream::connect(address).await.unwrap();
            let (told, accepted) = oneshot::channel();
            let second = tokio::spawn(async move {
                let (second, _) = limited.accept().await;
                let _ = told.send(());
                second
            });
            assert_eq!(places.available_permits(), 0);
            let mut bytes = [0; 8];
            let mut buffer = ReadBuf::new(&mut bytes);
            let read = std::future::poll_fn(|context| Pin::new(&mut first).poll_read(context, &mut buffer)).await;
            assert_eq!(read.unwrap_err().kind(), io::ErrorKind::TimedOut);
            assert!(!second.is_finished(), "its place is taken");
            drop(first);
            accepted.await.unwrap();
            drop(second.await.unwrap());
            assert_eq!(places.available_permits(), 1);
        });
    }
}
