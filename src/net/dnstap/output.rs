//! An open stream of frames: a connection to a receiver, or a file.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Target;
use super::frame_streams::{size_of, start, start_with, stop, stop_with, write_frame};

/// How long a receiver may take for what is sent to it, and for its own control frames. Then it counts as gone.
const PATIENCE: Duration = Duration::from_secs(5);
/// The same when the daemon stops.
const LAST_PATIENCE: Duration = Duration::from_secs(1);
/// Bytes that are written with one system call.
const BUFFER: usize = 64 * 1_024;
/// Queries say who asks for what, so the files are for their owner and group alone.
const MODE: u32 = 0o640;

/// An open stream.
#[derive(Debug)]
pub enum Output {
    /// The connection to a receiver.
    Socket(BufWriter<UnixStream>),
    /// A file, and the bytes in it.
    File(BufWriter<File>, u64),
}

impl Output {
    /// Connects, or begins a file. A file that is there already is renamed.
    pub fn open(target: &Target) -> io::Result<Self> {
        match target {
            Target::Socket(path) => {
                let mut stream = UnixStream::connect(path)?;
                set_patience(&stream, PATIENCE)?;
                start_with(&mut stream)?;
                Ok(Self::Socket(BufWriter::with_capacity(BUFFER, stream)))
            }
            Target::File { path, .. } => {
                set_aside(path)?;
                let file = OpenOptions::new().write(true).create(true).truncate(true).mode(MODE).open(path)?;
                let mut file = BufWriter::with_capacity(BUFFER, file);
                start(&mut file)?;
                Ok(Self::File(file, 0))
            }
        }
    }

    /// Writes a frame, and a full buffer to the receiver.
    pub fn write(&mut self, frame: &[u8]) -> io::Result<()> {
        match self {
            Self::Socket(stream) => write_frame(stream, frame),
            Self::File(file, size) => {
                *size += size_of(frame);
                write_frame(file, frame)
            }
        }
    }

    /// Writes the buffer to the receiver.
    pub fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Socket(stream) => stream.flush(),
            Self::File(file, _) => file.flush(),
        }
    }

    /// Whether the target wants a new file.
    pub fn is_full(&self, target: &Target) -> bool {
        match (self, target) {
            (Self::File(_, size), Target::File { limit, .. }) => size >= limit,
            _ => false,
        }
    }

    /// Ends the stream in good order.
    pub fn close(self) -> io::Result<()> {
        match self {
            Self::Socket(stream) => {
                // What cannot be flushed is dropped with the buffer's error.
                let mut stream = stream.into_inner().map_err(io::IntoInnerError::into_error)?;
                set_patience(&stream, LAST_PATIENCE)?;
                stop_with(&mut stream)
            }
            Self::File(mut file, _) => stop(&mut file),
        }
    }
}

fn set_patience(stream: &UnixStream, patience: Duration) -> io::Result<()> {
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))
}

/// Renames a file with content to `FILE.1`, which replaces the one before it. Readers expect one stream in a file.
fn set_aside(path: &Path) -> io::Result<()> {
    match path.metadata() {
        // A pipe would hold the writer up until somebody reads it.
        Ok(found) if !found.is_file() => Err(io::Error::other("that is not a regular file; name one")),
        Ok(found) if found.len() > 0 => std::fs::rename(path, former(path)),
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// The name of the file before this one.
pub fn former(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".1");
    name.into()
}
