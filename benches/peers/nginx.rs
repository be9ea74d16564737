//! nginx with one worker: the page from disk, as distributions set it up and as is fastest for a file so small, and the
//! page from its configuration, which spares it the file.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::peer::{PAGE, PAGE_FILE, PAGE_TYPE, Peer, find_program, write_configuration};

/// With `sendfile` and `tcp_nopush`: made for large files, of which a small one has the calls and not the gain.
pub const SENDFILE: Peer = Peer { name: "nginx-sendfile", path: "/sendfile/page.html", version, command };

/// Read and written, head and body in one call.
pub const FILE: Peer = Peer { name: "nginx-file", path: "/page.html", version, command };

pub const RETURN: Peer = Peer { name: "nginx-return", path: "/return", version, command };

fn version() -> Option<String> {
    let (_, text) = find_program(&["nginx"], &["-v"])?;
    Some(text.trim().replace("nginx version: ", ""))
}

fn command(dir: &Path, address: SocketAddr) -> Result<Command> {
    let (program, _) = find_program(&["nginx"], &["-v"]).context("nginx is not installed")?;
    let file = write_configuration(dir, "nginx.conf", &configuration(dir, address))?;
    let mut command = Command::new(program);
    // Without -e it would complain that the log it was built with is not ours to write.
    command.arg("-p").arg(dir).arg("-e").arg(dir.join("nginx.log")).arg("-c").arg(file);
    Ok(command)
}

/// No log, files kept open, connections kept as long as they like: nothing but the answer is left to do.
fn configuration(dir: &Path, address: SocketAddr) -> String {
    let dir = dir.display();
    let page = PAGE.replace('\\', "\\\\").replace('\'', "\\'");
    format!(
        "daemon off;
        worker_processes 1;
        pid {dir}/nginx.pid;
        error_log {dir}/nginx.log crit;
        events {{ worker_connections 1024; }}
        http {{
            access_log off;
            default_type '{PAGE_TYPE}';
            open_file_cache max=16 inactive=1h;
            open_file_cache_valid 1h;
            keepalive_requests 1000000000;
            keepalive_timeout 1h;
            client_body_temp_path {dir}/nginx-body;
            server {{
                listen {address} backlog=4096;
                types {{ }}
                location = /{PAGE_FILE} {{ root {dir}; }}
                location = /sendfile/{PAGE_FILE} {{ alias {dir}/{PAGE_FILE}; sendfile on; tcp_nopush on; }}
                location = /return {{ return 200 '{page}'; }}
            }}
        }}\n"
    )
}
