//! The files of an open database, watched: SQLite does not notice that it writes into a file which was deleted, replaced,
//! truncated or overwritten, and what it acknowledges then is gone at the next start.

use std::fs::File;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::error::StoreError;
use super::files::with_suffix;

/// The header of the WAL, and the header of each frame in it (sqlite.org/fileformat2.html section 4).
const WAL_HEADER: u64 = 32;
const FRAME_HEADER: u64 = 24;
/// The least size of the WAL's index: SQLite maps it in pieces of this size, and dies by SIGBUS where one is missing.
const INDEX_SIZE: u64 = 32 << 10;

/// The database, its WAL, and the index of the WAL.
///
/// Closing any descriptor of a file drops the locks that this process has on it (POSIX), SQLite's included. So all three
/// stay open until the last connection is closed.
#[derive(Debug)]
pub(super) struct OpenFiles {
    database: Watched,
    wal: Watched,
    index: Watched,
    main: Mutex<Option<MainFile>>,
}

#[derive(Debug)]
struct Watched {
    path: PathBuf,
    file: File,
    /// Device and inode.
    identity: (u64, u64),
}

/// The database's own file as it was after a checkpoint. Until the next one nobody writes to it.
#[derive(Debug)]
struct MainFile {
    checkpoint: Checkpoint,
    size: u64,
    first_page: Vec<u8>,
}

/// Which checkpoint was the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Checkpoint {
    salt: [u8; 8],
    frames: u32,
}

impl OpenFiles {
    /// Opens the files of a database that a connection in WAL mode has read from.
    pub fn open(database: &Path) -> Result<Self, StoreError> {
        let files = Self {
            database: Watched::open(database.to_owned())?,
            wal: Watched::open(with_suffix(database, "-wal"))?,
            index: Watched::open(with_suffix(database, "-shm"))?,
            main: Mutex::default(),
        };
        Ok(files)
    }

    /// Whether the paths still lead to the files that were opened.
    pub fn are_in_place(&self) -> Result<(), StoreError> {
        [&self.database, &self.wal, &self.index].into_iter().try_for_each(Watched::is_in_place)
    }

    /// Whether SQLite can read the WAL's index, which it maps into memory.
    pub fn is_index_whole(&self) -> Result<(), StoreError> {
        if self.index.size()? < INDEX_SIZE { Err(self.index.altered()) } else { Ok(()) }
    }

    /// Whether the files are in place, and hold what the WAL's index says of them. For the writer alone: a checkpoint of
    /// its own must not run at the same time.
    pub fn check(&self) -> Result<(), StoreError> {
        self.are_in_place()?;
        self.is_index_whole()?;
        let mut bytes = [0; WalIndex::SIZE];
        self.index.read(&mut bytes, 0)?;
        let Some(index) = WalIndex::parse(&bytes) else { return Ok(()) };
        self.check_wal(&index)?;
        self.check_main(&index)
    }

    /// The WAL must begin with its header, and end with the frame that was committed last.
    fn check_wal(&self, index: &WalIndex) -> Result<(), StoreError> {
        let Some(before_last) = index.frames.checked_sub(1) else { return Ok(()) };
        let mut header = [0; WAL_HEADER as usize];
        self.wal.read(&mut header, 0)?;
        let mut frame = [0; FRAME_HEADER as usize];
        let start = WAL_HEADER + u64::from(before_last) * (FRAME_HEADER + index.page_size);
        self.wal.read(&mut frame, start)?;
        let end = start + FRAME_HEADER + index.page_size;
        let is_whole = header[16..24] == index.salt
            && frame[8..16] == index.salt
            && frame[16..24] == index.last_checksum
            && self.wal.size()? >= end;
        if is_whole { Ok(()) } else { Err(self.wal.altered()) }
    }

    /// The database's own file must be as the last checkpoint has left it.
    fn check_main(&self, index: &WalIndex) -> Result<(), StoreError> {
        let size = self.database.size()?;
        // Without any frame the index does not know the size of a page; no page is smaller than this.
        let mut first_page = vec![0; usize::try_from(index.page_size).unwrap_or(0).max(512)];
        self.database.read(&mut first_page, 0)?;
        if !first_page.starts_with(b"SQLite format 3\0") {
            return Err(self.database.altered());
        }
        let checkpoint = index.checkpoint();
        let mut main = self.main.lock().unwrap_or_else(PoisonError::into_inner);
        match main.as_ref().filter(|main| Some(main.checkpoint) == checkpoint) {
            Some(main) if main.size == size && main.first_page == first_page => Ok(()),
            Some(_) => Err(self.database.altered()),
            None if index.is_all_in_main() && size < u64::from(index.pages) * index.page_size => {
                Err(self.database.altered())
            }
            None => {
                *main = checkpoint.map(|checkpoint| MainFile { checkpoint, size, first_page });
                Ok(())
            }
        }
    }
}

impl Watched {
    fn open(path: PathBuf) -> Result<Self, StoreError> {
        let failed = |source: std::io::Error| StoreError::File { path: path.clone(), source: source.into() };
        let file = File::open(&path).map_err(failed)?;
        let found = file.metadata().map_err(failed)?;
        Ok(Self { identity: (found.dev(), found.ino()), file, path })
    }

    fn is_in_place(&self) -> Result<(), StoreError> {
        match std::fs::metadata(&self.path) {
            Ok(found) if (found.dev(), found.ino()) == self.identity => Ok(()),
            _ => Err(StoreError::Replaced(self.path.clone())),
        }
    }

    fn size(&self) -> Result<u64, StoreError> {
        let found = self.file.metadata();
        found.map(|found| found.len()).map_err(|source| StoreError::Disk(format!("{}: {source}", self.path.display())))
    }

    /// Fills `bytes`; a file that ends before is one that was truncated.
    fn read(&self, bytes: &mut [u8], at: u64) -> Result<(), StoreError> {
        self.file.read_exact_at(bytes, at).map_err(|source| match source.kind() {
            std::io::ErrorKind::UnexpectedEof => self.altered(),
            _ => StoreError::Disk(format!("{}: {source}", self.path.display())),
        })
    }

    fn altered(&self) -> StoreError {
        StoreError::Altered(self.path.clone())
    }
}

/// What the WAL's index says of the WAL (sqlite.org/walformat.html section 2).
#[derive(Debug)]
struct WalIndex {
    page_size: u64,
    /// How many frames of the WAL are valid.
    frames: u32,
    /// The size of the database in pages.
    pages: u32,
    /// The checksum of the last valid frame, in the order of bytes of the WAL.
    last_checksum: [u8; 8],
    salt: [u8; 8],
    /// How many frames the last checkpoint has written into the database, and how many it was going to.
    written: u32,
    to_be_written: u32,
}

impl WalIndex {
    /// Two headers of 48 bytes, and the state of the checkpoints.
    const SIZE: usize = 136;

    /// `None` where SQLite would not believe it either, and make it anew from the WAL.
    fn parse(bytes: &[u8; Self::SIZE]) -> Option<Self> {
        let number = |at: usize| bytes[at..].first_chunk().map_or(0, |four| u32::from_ne_bytes(*four));
        let is_initialised = bytes[12] != 0;
        if bytes[..48] != bytes[48..96] || !is_initialised {
            return None;
        }
        let page_size = u64::from(u16::from_ne_bytes([bytes[14], bytes[15]]));
        let mut last_checksum = [0; 8];
        last_checksum[..4].copy_from_slice(&number(24).to_be_bytes());
        last_checksum[4..].copy_from_slice(&number(28).to_be_bytes());
        let mut salt = [0; 8];
        salt.copy_from_slice(&bytes[32..40]);
        Some(Self {
            // 1 stands for 65,536.
            page_size: if page_size == 1 { 65_536 } else { page_size },
            frames: number(16),
            pages: number(20),
            last_checksum,
            salt,
            written: number(96),
            to_be_written: number(128),
        })
    }

    /// `None` while a checkpoint is under way, or after one that was interrupted.
    fn checkpoint(&self) -> Option<Checkpoint> {
        (self.written == self.to_be_written).then_some(Checkpoint { salt: self.salt, frames: self.written })
    }

    /// Whether the database's own file has everything that is committed.
    fn is_all_in_main(&self) -> bool {
        self.frames == self.written
    }
}
