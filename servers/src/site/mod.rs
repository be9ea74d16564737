//! Served content, the same for every model: pages that were read from a folder at start, and
//! synthetic endpoints.

pub mod lesson;
pub mod mix;

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use self::lesson::Lesson;
use self::mix::{Counter, Drawn, Kind, MAX_HANDLER_TIME, Mix};
use crate::http::response::write_fixed_head;
use crate::http::status::Status;

/// The largest body of `/bytes/N`.
pub const MAX_SYNTHETIC_BYTES: usize = 16 * 1024 * 1024;

/// Largest size of all files together. They are held in memory, so that no model is measured by the
/// speed of a disk.
const MAX_ROOT_BYTES: u64 = 1024 * 1024 * 1024;

/// Page at `/` if no folder is served, exactly 1 KiB.
pub static DEFAULT_PAGE: &str = include_str!("default_page.html");

/// Pattern that `/bytes/N` repeats: lines of 63 printable bytes, so that a wrong offset shows.
static PATTERN: [u8; 64 * 1024] = {
    let mut pattern = [0; 64 * 1024];
    let mut i = 0;
    while i < pattern.len() {
        pattern[i] = if i % 64 == 63 { b'\n' } else { b'0' + ((i / 64 + i % 64) % 64) as u8 };
        i += 1;
    }
    pattern
};

/// Everything that a server answers with.
#[derive(Debug)]
pub struct Site {
    pages: HashMap<Box<[u8]>, Arc<Page>>,
    has_panic: bool,
    /// Number of requests for `/mixed` so far.
    mixed: Counter,
}

/// Resource that is held in memory as a whole.
#[derive(Debug)]
pub struct Page {
    pub(crate) fixed_head: Box<[u8]>,
    pub(crate) body: Box<[u8]>,
}

impl Page {
    fn new(content_type: &str, body: Vec<u8>) -> Arc<Self> {
        let mut fixed_head = Vec::new();
        write_fixed_head(&mut fixed_head, Status::Ok, content_type, body.len());
        Arc::new(Self { fixed_head: fixed_head.into_boxed_slice(), body: body.into_boxed_slice() })
    }
}

/// Handler or content behind a request target.
#[derive(Debug, Clone, Copy)]
pub enum Route<'a> {
    /// A page from memory.
    Page(&'a Arc<Page>),
    /// This many bytes of [`pattern`].
    Bytes(usize),
    /// Bytes of [`pattern`] whose length is told in another way.
    Lesson(Lesson),
    /// A handler that burns CPU time for this long.
    Spin(Duration),
    /// A handler that blocks its thread for this long.
    Sleep(Duration),
    /// A handler that waits for this long, as for a database, in the model's own way.
    Wait(Duration),
    /// A request for `/mixed`, with the kind and time drawn for it.
    Mixed(Drawn),
    /// A handler that panics.
    Panic,
    /// A redirection to `/`.
    Redirect,
    /// No resource.
    NotFound,
}

impl Route<'_> {
    /// Returns true if the handler keeps a thread for longer than it takes to copy a response.
    pub fn blocks(&self) -> bool {
        matches!(self, Self::Spin(_) | Self::Sleep(_) | Self::Mixed(Drawn { kind: Kind::Spin, .. }))
    }

    /// Returns the time that the handler waits, for models that can wait without keeping a thread.
    pub fn waits(&self) -> Option<Duration> {
        match *self {
            Self::Wait(time) | Self::Mixed(Drawn { kind: Kind::Wait, time }) => Some(time),
            _ => None,
        }
    }
}

impl Site {
    /// Creates the site without a folder: one embedded page of 1 KiB at `/`.
    pub fn embedded() -> Self {
        let page = Page::new("text/html; charset=utf-8", DEFAULT_PAGE.as_bytes().to_vec());
        Self {
            pages: HashMap::from([(Box::from(*b"/"), page)]),
            has_panic: false,
            mixed: Counter::at_zero(),
        }
    }

    /// Reads every file below `root`; `index.html` is also served for its folder.
    ///
    /// # Errors
    /// When the folder or a file in it can't be read, or all files together exceed 1 GiB. Symbolic
    /// links that lead out of the folder are left out, so that no path leaves the root.
    pub fn load(root: &Path) -> io::Result<Self> {
        let at = |path: &Path, error: io::Error| {
            io::Error::new(error.kind(), format!("{}: {error}", path.display()))
        };
        let root = root.canonicalize().map_err(|error| at(root, error))?;
        if !root.is_dir() {
            return Err(io::Error::new(
                io::ErrorKind::NotADirectory,
                format!("{}: not a folder", root.display()),
            ));
        }
        let mut pages = HashMap::new();
        let mut total = 0;
        for file in files_below(&root).map_err(|error| at(&root, error))? {
            total += fs::metadata(&file).map_err(|error| at(&file, error))?.len();
            if total > MAX_ROOT_BYTES {
                let message = format!(
                    "{}: holds more than 1 GiB; files are served from memory",
                    root.display()
                );
                return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
            }
            let body = fs::read(&file).map_err(|error| at(&file, error))?;
            let content_type = mime_guess::from_path(&file).first_or_octet_stream();
            let page = Page::new(content_type.essence_str(), body);
            for path in url_paths(&root, &file) {
                pages.insert(path, Arc::clone(&page));
            }
        }
        Ok(Self { pages, has_panic: false, mixed: Counter::at_zero() })
    }

    /// Adds `/panic`, whose handler panics, to show what that costs.
    #[must_use]
    pub fn with_panic(self) -> Self {
        Self { has_panic: true, ..self }
    }

    /// Finds the route of `target`, a path with an optional query. Synthetic endpoints take
    /// precedence over files.
    pub fn find(&self, target: &[u8]) -> Route<'_> {
        let mut parts = target.splitn(2, |&byte| byte == b'?');
        let (path, query) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        match synthetic(path) {
            Some(Route::Bytes(length)) if !query.is_empty() => return bytes(length, query),
            Some(route) => return route,
            None => {}
        }
        if path == b"/mixed" {
            return Mix::parse(query)
                .map_or(Route::NotFound, |mix| Route::Mixed(mix.draw(self.mixed.next())));
        }
        if self.has_panic && path == b"/panic" {
            return Route::Panic;
        }
        let page = if path.contains(&b'%') {
            self.pages.get(decode(path).as_slice())
        } else {
            self.pages.get(path)
        };
        page.map_or(Route::NotFound, Route::Page)
    }
}

/// Returns the bytes of `/bytes/N` from `offset` on: as many as are contiguous in memory, at least
/// one and at most `left`.
pub fn pattern(offset: usize, left: usize) -> &'static [u8] {
    let piece = &PATTERN[offset % PATTERN.len()..];
    &piece[..piece.len().min(left)]
}

fn synthetic(path: &[u8]) -> Option<Route<'static>> {
    if path == b"/redirect" {
        return Some(Route::Redirect);
    }
    let (endpoint, number) = std::str::from_utf8(path.strip_prefix(b"/")?).ok()?.split_once('/')?;
    let number: u64 =
        number.bytes().all(|byte| byte.is_ascii_digit()).then(|| number.parse().ok())??;
    let duration = Duration::from_micros(number);
    match endpoint {
        "bytes" if number <= MAX_SYNTHETIC_BYTES as u64 => Some(Route::Bytes(number as usize)),
        "spin" if duration <= MAX_HANDLER_TIME => Some(Route::Spin(duration)),
        "sleep" if duration <= MAX_HANDLER_TIME => Some(Route::Sleep(duration)),
        "wait" if duration <= MAX_HANDLER_TIME => Some(Route::Wait(duration)),
        _ => None,
    }
}

/// Returns the route of `/bytes/N` with a query, which is ignored unless it asks for a lesson.
fn bytes(length: usize, query: &[u8]) -> Route<'static> {
    match query.strip_prefix(b"length=") {
        None => Route::Bytes(length),
        Some(told) => Lesson::parse(length, told).map_or(Route::NotFound, Route::Lesson),
    }
}

/// Returns the regular files below a folder, in the order of their paths, without links that lead
/// out of it.
fn files_below(root: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let path = entry.path();
            let inside = path.canonicalize().is_ok_and(|real| real.starts_with(root));
            if entry.file_type()?.is_dir() {
                folders.push(path);
            } else if inside && path.is_file() {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

/// Returns the decoded URL paths of a file.
fn url_paths(root: &Path, file: &Path) -> Vec<Box<[u8]>> {
    use std::os::unix::ffi::OsStrExt;
    let relative = file.strip_prefix(root).unwrap_or(file);
    let path = [b"/", relative.as_os_str().as_bytes()].concat();
    let folder =
        path.strip_suffix(b"index.html").filter(|folder| folder.ends_with(b"/")).map(Box::from);
    [Some(path.into_boxed_slice()), folder].into_iter().flatten().collect()
}

/// Decodes percent-encoding; an invalid escape stays as it is, so that no page is found.
fn decode(path: &[u8]) -> Vec<u8> {
    let hex = |byte: Option<&u8>| byte.and_then(|&byte| char::from(byte).to_digit(16));
    let mut decoded = Vec::with_capacity(path.len());
    let mut i = 0;
    while i < path.len() {
        match (path[i], hex(path.get(i + 1)), hex(path.get(i + 2))) {
            (b'%', Some(high), Some(low)) => {
                decoded.push((high * 16 + low) as u8);
                i += 3;
            }
            (byte, ..) => {
                decoded.push(byte);
                i += 1;
            }
        }
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body<'a>(site: &'a Site, target: &str) -> Option<&'a [u8]> {
        match site.find(target.as_bytes()) {
            Route::Page(page) => Some(&page.body),
            _ => None,
        }
    }

    #[test]
    fn the_embedded_page_has_1_kib() {
        assert_eq!(body(&Site::embedded(), "/?x").unwrap().len(), 1024);
    }

    #[test]
    fn serves_files_and_never_what_lies_outside() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        fs::create_dir_all(root.join("sub")).unwrap();
        fs::write(root.join("index.html"), "home").unwrap();
        fs::write(root.join("sub/index.html"), "sub").unwrap();
        fs::write(root.join("a b.txt"), "spaced").unwrap();
        fs::write(folder.path().join("secret"), "secret").unwrap();
        std::os::unix::fs::symlink(folder.path().join("secret"), root.join("link")).unwrap();
        let site = Site::load(&root).unwrap();
        assert_eq!(body(&site, "/"), Some(&b"home"[..]));
        assert_eq!(body(&site, "/sub/"), Some(&b"sub"[..]));
        assert_eq!(body(&site, "/a%20b.txt?q"), Some(&b"spaced"[..]));
        for target in [
            "/../secret",
            "/%2e%2e/secret",
            "/sub/../../secret",
            "//secret",
            "/link",
            "/..%2fsecret",
            "/%",
        ] {
            assert_eq!(body(&site, target), None, "{target}");
        }
    }

    #[test]
    fn synthetic_endpoints_take_numbers_within_their_bounds() {
        let site = Site::embedded();
        assert!(matches!(site.find(b"/bytes/16777216"), Route::Bytes(16_777_216)));
        assert!(matches!(site.find(b"/bytes/5?x=y"), Route::Bytes(5)));
        assert!(matches!(site.find(b"/bytes/5?length=none"), Route::Lesson(_)));
        assert!(matches!(site.find(b"/spin/5"), Route::Spin(time) if time.as_micros() == 5));
        assert!(matches!(site.find(b"/wait/5"), Route::Wait(time) if time.as_micros() == 5));
        assert!(matches!(site.find(b"/redirect?x"), Route::Redirect));
        let all_wait = site.find(b"/mixed?wait=100:7");
        assert_eq!((all_wait.waits(), all_wait.blocks()), (Some(Duration::from_micros(7)), false));
        assert!(site.find(b"/mixed?spin=100:7").blocks());
        for target in [
            "/bytes/16777217",
            "/bytes/",
            "/bytes/-1",
            "/bytes/+1",
            "/bytes/1/2",
            "/bytes/5?length=5",
            "/sleep/99999999999",
            "/wait/99999999999",
            "/mixed?wait=10",
            "/x/1",
        ] {
            assert!(matches!(site.find(target.as_bytes()), Route::NotFound), "{target}");
        }
    }

    #[test]
    fn the_pattern_continues_across_its_pieces() {
        assert_eq!(pattern(0, 10).len(), 10);
        assert_eq!(pattern(65_535, 10), b"\n");
        assert_eq!(pattern(65_536, 3), pattern(0, 3));
    }
}
