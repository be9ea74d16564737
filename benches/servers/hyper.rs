//! `c10k-hyper ADDRESS`: hyper on a tokio runtime of one thread, for comparison with the models.
//!
//! It serves the page from memory to every request, with the same head as the models. It contains
//! nothing of c10k.

use std::convert::Infallible;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::{Context, Result};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue, SERVER};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use signal_hook::consts::{SIGINT, SIGTERM};
use tokio::net::{TcpSocket, TcpStream};

/// Page that every server serves, byte for byte.
const PAGE: &str = include_str!("../../servers/src/site/default_page.html");

/// The media type of [`PAGE`].
const PAGE_TYPE: &str = "text/html; charset=utf-8";

/// Connections that may wait to be accepted, as many as with the models.
const BACKLOG: u32 = 4096;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("c10k-hyper: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<()> {
    let arg =
        std::env::args().nth(1).context("write an address to listen on, such as 127.0.0.1:8080")?;
    if arg == "--version" {
        println!("hyper/{} on tokio/{}", locked_version("hyper"), locked_version("tokio"));
        return Ok(());
    }
    serve(
        arg.parse()
            .with_context(|| format!("`{arg}` is no address; write 127.0.0.1:8080 or the like"))?,
    )
}

fn serve(address: SocketAddr) -> Result<()> {
    for signal in [SIGINT, SIGTERM] {
        // Ends the process with status 0 as soon as the signal comes.
        signal_hook::flag::register_conditional_shutdown(
            signal,
            0,
            Arc::new(AtomicBool::new(true)),
        )?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(async {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        socket.set_reuseaddr(true)?;
        socket.bind(address).with_context(|| format!("cannot listen on {address}"))?;
        let listener = socket.listen(BACKLOG)?;
        writeln!(io::stdout(), "listening on {}", listener.local_addr()?)?;
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
    // An error of this connection does not end any other connection.
    let _ = http.serve_connection(TokioIo::new(stream), service_fn(answer)).await;
}

/// Responds with the page. hyper adds `Content-Length` and `Date` by itself.
async fn answer(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut response = Response::new(Full::new(Bytes::from_static(PAGE.as_bytes())));
    response.headers_mut().insert(SERVER, HeaderValue::from_static("c10k"));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(PAGE_TYPE));
    Ok(response)
}

/// Returns the version of a crate that this program was built with. Crates do not report their own.
fn locked_version(name: &str) -> &'static str {
    let lock = include_str!("../../Cargo.lock");
    let entry = lock.split_once(&format!("name = \"{name}\"\nversion = \""));
    entry.and_then(|(_, rest)| rest.split('"').next()).unwrap_or("unknown")
}
