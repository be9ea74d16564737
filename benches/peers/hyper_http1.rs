//! hyper on a tokio runtime of one thread: the page from memory, with the same head as the models'.
//!
//! It has no command of its own, so the bench runs itself again to be that server.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::Result;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue, SERVER};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use signal_hook::consts::SIGTERM;
use tokio::net::{TcpListener, TcpStream};

use crate::peer::{PAGE, PAGE_TYPE, Peer};

/// The first argument that makes this program the server; the second one is the address.
const SERVE: &str = "serve-hyper";

pub const PEER: Peer = Peer {
    name: "hyper",
    path: "/",
    version: || Some(format!("hyper/{} on tokio/{}", locked_version("hyper"), locked_version("tokio"))),
    command: |_, address| {
        let mut command = Command::new(std::env::current_exe()?);
        command.args([SERVE, &address.to_string()]);
        Ok(command)
    },
};

/// Serves, if that is what this process was started for.
pub fn serve_if_asked() -> Option<ExitCode> {
    let mut args = std::env::args().skip(1);
    if args.next()? != SERVE {
        return None;
    }
    let served = args.next()?.parse().map_err(Into::into).and_then(serve);
    Some(served.map_or_else(
        |error| {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        },
        |()| ExitCode::SUCCESS,
    ))
}

fn serve(address: SocketAddr) -> Result<()> {
    // Ends the process with status 0 as soon as it comes.
    signal_hook::flag::register_conditional_shutdown(SIGTERM, 0, Arc::new(AtomicBool::new(true)))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(address).await?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            tokio::spawn(serve_connection(stream));
        }
    })
}

async fn serve_connection(stream: TcpStream) {
    let mut http = http1::Builder::new();
    // A timer for each request would be work that the models do not have.
    http.header_read_timeout(None);
    // An error of this connection is its end and nobody else's.
    let _ = http.serve_connection(TokioIo::new(stream), service_fn(answer)).await;
}

/// hyper adds `Content-Length` and `Date` by itself.
async fn answer(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut response = Response::new(Full::new(Bytes::from_static(PAGE.as_bytes())));
    response.headers_mut().insert(SERVER, HeaderValue::from_static("c10k"));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(PAGE_TYPE));
    Ok(response)
}

/// The version of a crate that this was built with; no crate tells its own.
fn locked_version(name: &str) -> &'static str {
    let lock = include_str!("../../Cargo.lock");
    let entry = lock.split_once(&format!("name = \"{name}\"\nversion = \""));
    entry.and_then(|(_, rest)| rest.split('"').next()).unwrap_or("unknown")
}
