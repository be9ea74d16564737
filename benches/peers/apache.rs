//! Apache httpd with a process and with a thread for each connection, serving the page from a file.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::peer::{PAGE_FILE, PAGE_TYPE, Peer, find_program, write_configuration};

/// What the program is called: by Debian and by everybody else.
const PROGRAMS: &[&str] = &["apache2", "httpd"];

/// Where distributions put its modules.
const MODULES: &[&str] = &["/usr/lib/apache2/modules", "/usr/lib64/httpd/modules", "/usr/lib/httpd/modules"];

pub const PREFORK: Peer = Peer {
    name: "apache-prefork",
    path: "/page.html",
    version: || version("prefork"),
    command: |dir, address| command("prefork", PREFORK_POOL, dir, address),
};

pub const WORKER: Peer = Peer {
    name: "apache-worker",
    path: "/page.html",
    version: || version("worker"),
    command: |dir, address| command("worker", WORKER_POOL, dir, address),
};

/// A process for each of the 64 connections and some more, all from the start, none ever ended for being idle.
const PREFORK_POOL: &str =
    "StartServers 72\nServerLimit 80\nMaxRequestWorkers 80\nMinSpareServers 1\nMaxSpareServers 80";

/// The same with threads of one process, which is as many processes as there are processors for it.
const WORKER_POOL: &str = "StartServers 1\nServerLimit 1\nThreadLimit 80\nThreadsPerChild 80\nMaxRequestWorkers 80\n\
    MinSpareThreads 1\nMaxSpareThreads 80";

fn version(mpm: &str) -> Option<String> {
    let (_, text) = find_program(PROGRAMS, &["-v"])?;
    find_modules(mpm)?;
    Some(text.lines().next()?.replace("Server version: ", ""))
}

/// The folder of modules, if it has this multi-processing module.
fn find_modules(mpm: &str) -> Option<&'static Path> {
    let has_mpm = |dir: &&Path| dir.join(format!("mod_mpm_{mpm}.so")).exists();
    MODULES.iter().map(Path::new).find(has_mpm)
}

fn command(mpm: &str, pool: &str, dir: &Path, address: SocketAddr) -> Result<Command> {
    let (program, _) = find_program(PROGRAMS, &["-v"]).context("Apache httpd is not installed")?;
    let modules = find_modules(mpm).with_context(|| format!("its module mpm_{mpm} is not installed"))?;
    let file = write_configuration(dir, "apache.conf", &configuration(mpm, pool, modules, dir, address))?;
    let mut command = Command::new(program);
    // In the foreground, so that it stays in its process group.
    command.arg("-d").arg(dir).arg("-f").arg(file).arg("-DFOREGROUND");
    Ok(command)
}

/// No log, the file mapped once, no .htaccess, no check of links, connections kept as long as they like: nothing but the answer is left to do.
fn configuration(mpm: &str, pool: &str, modules: &Path, dir: &Path, address: SocketAddr) -> String {
    let (dir, modules) = (dir.display(), modules.display());
    format!(
        "LoadModule mpm_{mpm}_module {modules}/mod_mpm_{mpm}.so
        LoadModule authz_core_module {modules}/mod_authz_core.so
        LoadModule file_cache_module {modules}/mod_file_cache.so
        # Debian builds it in.
        <IfModule !unixd_module>
            LoadModule unixd_module {modules}/mod_unixd.so
        </IfModule>
        {pool}
        # By number, for names differ; it matters to the superuser only.
        User #65534
        Group #65534
        ServerName c10k
        Listen {address}
        ListenBacklog 4096
        DefaultRuntimeDir {dir}
        PidFile {dir}/apache.pid
        ErrorLog {dir}/apache.log
        LogLevel crit
        DocumentRoot {dir}
        <Directory />
            Require all granted
            AllowOverride None
            Options FollowSymLinks
            ForceType '{PAGE_TYPE}'
        </Directory>
        MMapFile {dir}/{PAGE_FILE}
        KeepAlive On
        MaxKeepAliveRequests 0
        KeepAliveTimeout 3600
        MaxConnectionsPerChild 0\n"
    )
}
