//! Connections: how many, how slow they may be, and how they end.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpStream;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::{Duration, sleep, timeout};
use tokio_io_timeout::TimeoutStream;

use crate::engine::Piece;
use crate::error::ApiError;
use crate::routes::router;
use crate::{Shared, Until};

/// Bytes of a request's head.
const HEAD_BYTES: usize = 64 << 10;
/// For answers that are complete to reach their clients.
const FLUSH: Duration = Duration::from_secs(2);

/// What tells the server to end.
enum Stop {
    Signals(Signal, Signal),
    Told(tokio::sync::mpsc::UnboundedReceiver<()>),
}

impl Stop {
    fn new(until: Until) -> std::io::Result<Self> {
        Ok(match until {
            Until::Signals => Stop::Signals(
                signal(SignalKind::interrupt())?,
                signal(SignalKind::terminate())?,
            ),
            Until::Told(receiver) => Stop::Told(receiver),
        })
    }

    async fn next(&mut self) {
        match self {
            Stop::Signals(interrupt, terminate) => {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
            }
            Stop::Told(receiver) => {
                if receiver.recv().await.is_none() {
                    // Whoever could have told is gone: no second time.
                    std::future::pending::<()>().await;
                }
            }
        }
    }
}

/// Serves until it is told to end, or `end` says that the device has gone.
///
/// # Errors
/// If sockets or signals cannot be had.
pub async fn serve(
    shared: &Arc<Shared>,
    listener: TcpListener,
    until: Until,
    end: &mut oneshot::Receiver<()>,
) -> std::io::Result<()> {
    let mut stop = Stop::new(until)?;
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let app = router(shared.clone());
    let connections = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(shared.config.limits.connections));
    let told = loop {
        let place = places.clone().acquire_owned();
        let accepted = async { (place.await, listener.accept().await) };
        tokio::select! {
            (place, accepted) = accepted => match accepted {
                Ok((stream, _)) => {
                    let connection = connections.watch(connection(shared, stream, app.clone()));
                    tokio::spawn(async move {
                        // What a client did wrong on its connection ends that connection and nothing else.
                        let _ = connection.await;
                        drop(place);
                    });
                }
                // Too many open files, or the client has gone again: others may still come.
                Err(e) => {
                    shared.log(&format!("a connection could not be taken: {e}"));
                    sleep(Duration::from_millis(100)).await;
                }
            },
            () = stop.next() => break true,
            // The device has gone: there is nothing to wait for.
            _ = &mut *end => break false,
        }
    };
    drop(listener);
    if told {
        shared.log("ending: the request that is worked on may finish, those that wait are refused");
    }
    for job in shared.queue.close() {
        shared.metrics.refused();
        let _ = job.pieces.send(Piece::Failed(ApiError::ending()));
    }
    // A task: connections that ask for nothing are closed now, and not when this is awaited.
    let closed = tokio::spawn(connections.shutdown());
    if told {
        tokio::select! {
            _ = &mut *end => {}
            () = sleep(shared.config.limits.grace) => {}
            () = stop.next() => {}
        }
    }
    shared.cancel.store(true, Ordering::Release);
    // The engine notices between two tokens. A channel that has given its value already has no second one.
    if !end.is_terminated() {
        let _ = end.await;
    }
    let _ = timeout(FLUSH, closed).await;
    Ok(())
}

type Io = TokioIo<std::pin::Pin<Box<TimeoutStream<TcpStream>>>>;

fn connection(
    shared: &Shared,
    stream: TcpStream,
    app: Router,
) -> http1::Connection<Io, TowerToHyperService<Router>> {
    let limits = &shared.config.limits;
    // Tokens are small, and someone waits for each.
    let _ = stream.set_nodelay(true);
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(limits.write));
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(
            TokioIo::new(Box::pin(stream)),
            TowerToHyperService::new(app),
        )
}
