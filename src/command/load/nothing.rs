//! What `c10k load` says when nothing completed: what happened instead, and what to try next.

use c10k_loadgen::Measurement;

/// One line, without its end.
pub(super) fn line(measured: &Measurement, interrupted: bool) -> String {
    if interrupted {
        return "interrupted before any request completed".into();
    }
    if measured.generator_limits.total() > 0 {
        return "no request completed; see the check generator-limits: this generator was out of descriptors, ports or \
                memory, and the server may be well"
            .into();
    }
    if measured.connections.established == 0 {
        return "no connection could be made in time; see whether the server accepts any more of them".into();
    }
    let sent = measured.requests.sent;
    format!("no request completed of {sent} sent; errors: {}; {}", measured.errors, next_step(measured))
}

/// By the kind of error that there was most of.
fn next_step(measured: &Measurement) -> String {
    let kinds = measured.errors.by_kind();
    match kinds.into_iter().filter(|(_, count)| *count > 0).max_by_key(|(_, count)| *count) {
        None => "the server had not answered at the end: try a longer --duration, or see what it does".into(),
        Some(("connect", _)) => "see whether the server accepts connections".into(),
        Some(("reset", _)) => "the server closes connections: see what it says".into(),
        Some(("timeout", _)) => {
            let timeout = measured.workload.timeout;
            format!("no answer comes within {timeout:?}: see what the server does, or try a longer --timeout")
        }
        Some(("status", _)) => "the answers are of status 400 or above: check the path of the URL".into(),
        Some((_, _)) => "the answers are not HTTP/1.1: check the port of the URL".into(),
    }
}
