//! Events that wait for the control plane: lines in files, added at the end and thrown away from the start.
//!
//! A line is a checksum and JSON. Its event's number is not written: a file's name says the number of its first line. A line
//! that was torn by a crash ends its file; nothing after it was ever kept. There are at most [`SEGMENTS`] files of about
//! [`SEGMENT`] bytes: beyond that the oldest go, and are counted.

use super::Error;
use protocol::{
    Timestamp,
    event::{Event, Happening},
    ids::SpoolId,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{
    collections::VecDeque,
    fs,
    io::{Seek, SeekFrom, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

const SEGMENT: u64 = 256 * 1024;
const SEGMENTS: usize = 64;
/// Hex digits of the checksum.
const SUM: usize = 16;

pub struct Spool {
    folder: PathBuf,
    id: SpoolId,
    segments: VecDeque<Segment>,
    /// Of the next event.
    next: u64,
    /// Events up to this number are the control plane's.
    acknowledged: u64,
    /// Events that are gone and that nobody was told of.
    lost: u64,
}

/// A file: events from `first` up to, not with, `end`.
#[derive(Debug)]
struct Segment {
    first: u64,
    end: u64,
    bytes: u64,
}

#[derive(Serialize, Deserialize)]
struct Line<W> {
    at: Timestamp,
    what: W,
}

impl Spool {
    /// Goes on with what is in the folder.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let io = |source| Error::io(folder, source);
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(io)?;
        let mut found: Vec<(SpoolId, u64)> = Vec::new();
        for entry in fs::read_dir(folder).map_err(io)? {
            found.extend(parse(&entry.map_err(io)?.file_name().to_string_lossy()));
        }
        found.sort_unstable();
        let id = found.last().map_or_else(SpoolId::new, |(id, _)| *id);
        let mut spool =
            Self { folder: folder.to_owned(), id, segments: VecDeque::new(), next: 1, acknowledged: 0, lost: 0 };
        for (_, first) in found.into_iter().filter(|(of, _)| *of == id) {
            let (events, bytes) = read(&spool.path(first))?;
            let end = first + events.len() as u64;
            // What a damaged file no longer has.
            spool.lost += spool.segments.back().map_or(0, |before| first.saturating_sub(before.end));
            spool.segments.push_back(Segment { first, end, bytes });
            spool.next = end;
        }
        spool.acknowledged = spool.segments.front().map_or(0, |segment| segment.first - 1);
        Ok(spool)
    }

    pub fn id(&self) -> SpoolId {
        self.id
    }

    /// How many were lost since the last time that this was asked.
    pub fn take_lost(&mut self) -> u64 {
        std::mem::take(&mut self.lost)
    }

    pub fn is_empty(&self) -> bool {
        self.acknowledged + 1 >= self.next
    }

    /// Keeps all of them or none; they are on the disk when this returns.
    pub fn append(&mut self, events: &[(Timestamp, Happening)]) -> Result<(), Error> {
        let mut text = String::new();
        for (at, what) in events {
            let json = serde_json::to_string(&Line { at: *at, what })?;
            text.push_str(&format!("{} {json}\n", sum(json.as_bytes())));
        }
        if self.segments.back().is_none_or(|segment| segment.bytes >= SEGMENT) {
            self.segments.push_back(Segment { first: self.next, end: self.next, bytes: 0 });
        }
        let Some(segment) = self.segments.back_mut() else { return Ok(()) };
        let path = self.folder.join(name(self.id, segment.first));
        let written = || {
            let mut file = fs::OpenOptions::new().create(true).write(true).truncate(false).mode(0o600).open(&path)?;
            // What a write that failed has left is no part of it.
            file.set_len(segment.bytes)?;
            file.seek(SeekFrom::End(0))?;
            file.write_all(text.as_bytes())?;
            file.sync_data()
        };
        written().map_err(|source| Error::io(&path, source))?;
        segment.bytes += text.len() as u64;
        segment.end += events.len() as u64;
        self.next = segment.end;
        while self.segments.len() > SEGMENTS {
            self.forget_first();
        }
        Ok(())
    }

    /// The oldest that were not acknowledged, out of one file.
    pub fn waiting(&mut self, most: usize) -> Result<Vec<Event>, Error> {
        while let Some(segment) = self.segments.front_mut() {
            let (lines, bytes) = read(&self.folder.join(name(self.id, segment.first)))?;
            let numbered = (segment.first..).zip(lines);
            let acknowledged = self.acknowledged;
            let events: Vec<Event> = numbered
                .filter(|(number, _)| *number > acknowledged)
                .map(|(number, line)| Event { number, at: line.at, what: line.what })
                .take(most)
                .collect();
            if !events.is_empty() || self.segments.len() == 1 {
                return Ok(events);
            }
            // Damaged since it was written: the rest is in the next one.
            tracing::error!(bytes, "a file of events is damaged");
            self.forget_first();
        }
        Ok(Vec::new())
    }

    /// The control plane has recorded all up to this number.
    pub fn acknowledge(&mut self, number: u64) {
        self.acknowledged = self.acknowledged.max(number.min(self.next - 1));
        while self.segments.front().is_some_and(|segment| segment.end <= self.acknowledged + 1) {
            self.forget_first();
        }
    }

    fn forget_first(&mut self) {
        let Some(segment) = self.segments.pop_front() else { return };
        self.lost += segment.end.saturating_sub(segment.first.max(self.acknowledged + 1));
        self.acknowledged = self.acknowledged.max(segment.end - 1);
        let path = self.path(segment.first);
        if let Err(error) = fs::remove_file(&path) {
            tracing::warn!(%error, path = %path.display(), "a file of events could not be removed");
        }
    }

    fn path(&self, first: u64) -> PathBuf {
        self.folder.join(name(self.id, first))
    }
}

fn name(id: SpoolId, first: u64) -> String {
    format!("{id}.{first:020}.log")
}

fn parse(name: &str) -> Option<(SpoolId, u64)> {
    let (id, first) = name.strip_suffix(".log")?.split_once('.')?;
    Some((id.parse().ok()?, first.parse().ok().filter(|first| *first > 0)?))
}

fn sum(json: &[u8]) -> String {
    crate::hex(&Sha256::digest(json)[..SUM / 2])
}

/// The lines up to the first that is not whole, and how long they are.
fn read(path: &Path) -> Result<(Vec<Line<Happening>>, u64), Error> {
    let text = fs::read(path).map_err(|source| Error::io(path, source))?;
    let (mut lines, mut bytes) = (Vec::new(), 0);
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let Some(whole) = line.strip_suffix(b"\n").filter(|whole| whole.len() > SUM + 1) else { break };
        let (checksum, json) = whole.split_at(SUM);
        let Some(json) = json.strip_prefix(b" ").filter(|json| sum(json).as_bytes() == checksum) else { break };
        let Ok(event) = serde_json::from_slice(json) else { break };
        lines.push(event);
        bytes += line.len() as u64;
    }
    Ok((lines, bytes))
}

#[cfg(test)]
mod tests;
