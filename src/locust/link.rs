//! Connection to the master: a DEALER of `ZeroMQ` on a thread of its own, which is made again
//! whenever it breaks.
//!
//! The crate `zeromq` makes a connection again for some kinds of sockets, and a DEALER is none of
//! them. So a new socket with the same identity replaces one that has lost its master, which the
//! next send reports: there is one every second.

use std::io;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam::channel::Sender;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use zeromq::util::PeerIdentity;
use zeromq::{
    DealerSocket, Socket, SocketOptions, SocketRecv, SocketSend, ZmqError, ZmqMessage, ZmqResult,
};

/// Longest time for a connection to be made, handshake included.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);

/// Time between two attempts to make a connection.
const TRY_EVERY: Duration = Duration::from_millis(500);

/// Time for the last messages to be written, before the process ends. The crate has no way to wait
/// for that.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// Event of the connection.
#[derive(Debug)]
pub enum News {
    /// There is a connection.
    Connected,
    /// There is none, for this reason. Another attempt follows.
    Disconnected(String),
    /// The master sent a message.
    Received(Vec<u8>),
}

/// Order to the thread of the connection.
enum Order {
    Send(Vec<u8>),
    Reconnect,
}

/// Connection to the master. Dropping it sends what is left, and closes it.
pub struct Link {
    orders: Option<UnboundedSender<Order>>,
    thread: Option<JoinHandle<()>>,
}

impl Link {
    /// Starts to connect to `master`, which is `HOST:PORT`, as the worker of this identity. `news`
    /// gets the events, wrapped by `wrap`.
    ///
    /// # Errors
    /// When a thread or its event queue can't be created.
    pub fn start<E: Send + 'static>(
        master: &str,
        identity: &str,
        news: Sender<E>,
        wrap: fn(News) -> E,
    ) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (orders, queue) = unbounded_channel();
        let (endpoint, identity) = (format!("tcp://{master}"), identity.to_owned());
        let tell = move |event| {
            let _ = news.send(wrap(event));
        };
        let work = move || runtime.block_on(keep_up(&endpoint, &identity, queue, tell));
        let thread = thread::Builder::new().name("locust-master".into()).spawn(work)?;
        Ok(Self { orders: Some(orders), thread: Some(thread) })
    }

    /// Sends a message; without a connection, as soon as there is one again.
    pub fn send(&self, message: Vec<u8>) {
        self.order(Order::Send(message));
    }

    /// Makes a new connection.
    pub fn reconnect(&self) {
        self.order(Order::Reconnect);
    }

    fn order(&self, order: Order) {
        if let Some(orders) = &self.orders {
            // The thread ends with this value alone.
            let _ = orders.send(order);
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Keeps up a connection until there are no more orders.
async fn keep_up(
    endpoint: &str,
    identity: &str,
    mut queue: UnboundedReceiver<Order>,
    tell: impl Fn(News),
) {
    // A message that could not be sent. Results must not be lost with a connection.
    let mut unsent = None;
    loop {
        let mut socket = match connect(endpoint, identity).await {
            Ok(socket) => socket,
            Err(error) => {
                tell(News::Disconnected(reason(&error)));
                if queue.is_closed() {
                    return;
                }
                tokio::time::sleep(TRY_EVERY).await;
                continue;
            }
        };
        tell(News::Connected);
        let Some(reason) = converse(&mut socket, &mut queue, &mut unsent, &tell).await else {
            drop(socket);
            return tokio::time::sleep(LAST_WORDS).await;
        };
        tell(News::Disconnected(reason));
    }
}

async fn connect(endpoint: &str, identity: &str) -> ZmqResult<DealerSocket> {
    let mut options = SocketOptions::default();
    options.peer_identity(identity.parse::<PeerIdentity>()?);
    options.connect_timeout(CONNECT_WITHIN);
    let mut socket = DealerSocket::with_options(options);
    socket.connect(endpoint).await?;
    Ok(socket)
}

/// Passes on messages in both directions until the connection breaks, which returns the reason, or
/// there are no more orders.
async fn converse(
    socket: &mut DealerSocket,
    queue: &mut UnboundedReceiver<Order>,
    unsent: &mut Option<ZmqMessage>,
    tell: &impl Fn(News),
) -> Option<String> {
    loop {
        if let Some(message) = unsent.take()
            && let Err(reason) = send(socket, message, unsent).await
        {
            return Some(reason);
        }
        tokio::select! {
            received = socket.recv() => match received {
                Ok(message) => tell(News::Received(first_frame(message))),
                Err(error) => return Some(error.to_string()),
            },
            order = queue.recv() => match order {
                Some(Order::Send(message)) => *unsent = Some(ZmqMessage::from(message)),
                Some(Order::Reconnect) => return Some("the master asked for a new one".into()),
                None => return None,
            },
        }
    }
}

/// Sends a message, or puts it back.
async fn send(
    socket: &mut DealerSocket,
    message: ZmqMessage,
    unsent: &mut Option<ZmqMessage>,
) -> Result<(), String> {
    match socket.send(message).await {
        Ok(()) => Ok(()),
        Err(ZmqError::ReturnToSender { message, .. }) => {
            *unsent = Some(message);
            Err("the master closed the connection".into())
        }
        Err(error) => Err(error.to_string()),
    }
}

/// Returns the first frame of a message; the messages of Locust have one.
fn first_frame(message: ZmqMessage) -> Vec<u8> {
    message.into_vec().first().map(|frame| frame.to_vec()).unwrap_or_default()
}

/// Explains why no connection was made.
fn reason(error: &ZmqError) -> String {
    match error {
        // A name that is not known, a host that is not there, a connection that ended.
        ZmqError::Network(error) => error.to_string(),
        // Attempts that are refused are repeated until then.
        ZmqError::ConnectTimeout(_) => "nothing answers there".into(),
        error => format!("what answers there does not speak ZeroMQ ({error})"),
    }
}
