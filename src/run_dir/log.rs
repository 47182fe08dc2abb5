//! Writing and following `events.jsonl`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::event::{Event, EventKind};
use super::{now, write_atomic};

/// The writing side. Its user holds the run's lock.
#[derive(Debug)]
pub struct EventLog {
    file: File,
    next_seq: u64,
}

impl EventLog {
    /// Opens the log to go on at its end; a torn last line is cut off.
    pub fn open(path: &Path) -> io::Result<EventLog> {
        let read = EventReader::new(path).read(&LogPosition::default())?;
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        file.set_len(read.position.offset)?;
        Ok(EventLog {
            file,
            next_seq: read.events.last().map_or(1, |e| e.seq + 1),
        })
    }

    /// Opens the log to go on from a checkpoint taken after event `seq`: the work after it is cut, so
    /// that no step is ever there twice; the events of the run's life are kept.
    pub fn resume(path: &Path, seq: u64) -> io::Result<EventLog> {
        let events = EventReader::new(path).read(&LogPosition::default())?.events;
        let next_seq = events.last().map_or(1, |e| e.seq + 1);
        let mut text = Vec::new();
        for event in events.iter().filter(|e| e.seq <= seq || e.kind.is_lifecycle()) {
            text.extend(line(event)?);
        }
        write_atomic(path, &text)?;
        let file = OpenOptions::new().append(true).open(path)?;
        Ok(EventLog { file, next_seq })
    }

    /// Appends one event in one write, and returns its place.
    pub fn append(&mut self, kind: EventKind) -> io::Result<u64> {
        let event = Event {
            seq: self.next_seq,
            time: now(),
            kind,
        };
        self.file.write_all(&line(&event)?)?;
        if event.kind.is_lifecycle()
            || matches!(
                event.kind,
                EventKind::Checkpoint { .. } | EventKind::Summary { .. } | EventKind::Matrix { .. }
            )
        {
            self.file.sync_data()?;
        }
        self.next_seq += 1;
        Ok(event.seq)
    }
}

fn line(event: &Event) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(event).map_err(io::Error::other)?;
    line.push(b'\n');
    Ok(line)
}

/// How far a reader is. It remembers its last line, to notice when a resumed worker has cut the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogPosition {
    /// Bytes read, up to the end of a line.
    pub offset: u64,
    /// Place of the last event read; 0 before the first.
    pub seq: u64,
    /// Length in bytes of the last line read.
    pub last_len: u64,
}

/// What a read found.
#[derive(Clone, Debug, PartialEq)]
pub struct ReadEvents {
    /// The events after the position asked for, or all of them if `rewound`.
    pub events: Vec<Event>,
    /// Whether the log was cut behind the position, so that everything known of it is void.
    pub rewound: bool,
    /// Where to go on.
    pub position: LogPosition,
}

/// The reading side; needs no lock and takes whole lines only.
#[derive(Clone, Debug)]
pub struct EventReader {
    path: PathBuf,
}

impl EventReader {
    /// A reader of that file, which may not exist yet.
    pub fn new(path: &Path) -> EventReader {
        EventReader { path: path.to_owned() }
    }

    /// Reads what came after `from`.
    ///
    /// # Errors
    /// An unreadable file, or a whole line that is not an event; the line's number of bytes is named.
    pub fn read(&self, from: &LogPosition) -> io::Result<ReadEvents> {
        match self.follow(from)? {
            (read, None) => Ok(read),
            (_, Some(broken)) => Err(io::Error::new(io::ErrorKind::InvalidData, broken)),
        }
    }

    /// Reads what came after `from`, up to a whole line that is not an event; the sentence says where that is.
    ///
    /// # Errors
    /// An unreadable file.
    pub fn follow(&self, from: &LogPosition) -> io::Result<(ReadEvents, Option<String>)> {
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                return Ok((
                    ReadEvents {
                        events: Vec::new(),
                        rewound: from.offset > 0,
                        position: LogPosition::default(),
                    },
                    None,
                ));
            }
            Err(e) => return Err(e),
        };
        let rewound = from.offset > 0 && !still_there(&mut file, from)?;
        let mut position = if rewound { LogPosition::default() } else { from.clone() };
        file.seek(SeekFrom::Start(position.offset))?;
        let mut reader = BufReader::new(file);
        let (mut events, mut line, mut broken) = (Vec::new(), Vec::new(), None);
        while reader.read_until(b'\n', &mut line)? > 0 && line.ends_with(b"\n") {
            let event: Event = match serde_json::from_slice(&line) {
                Ok(event) => event,
                Err(e) => {
                    broken = Some(format!(
                        "{}: the line at byte {} is not an event: {e}",
                        self.path.display(),
                        position.offset
                    ));
                    break;
                }
            };
            position = LogPosition {
                offset: position.offset + line.len() as u64,
                seq: event.seq,
                last_len: line.len() as u64,
            };
            events.push(event);
            line.clear();
        }
        Ok((ReadEvents { events, rewound, position }, broken))
    }
}

/// Whether the last line read is still where it was.
fn still_there(file: &mut File, from: &LogPosition) -> io::Result<bool> {
    if fs::File::metadata(file)?.len() < from.offset {
        return Ok(false);
    }
    file.seek(SeekFrom::Start(from.offset - from.last_len))?;
    let mut line = vec![0; from.last_len as usize];
    file.read_exact(&mut line)?;
    Ok(serde_json::from_slice::<Event>(&line).is_ok_and(|event| event.seq == from.seq))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metric(step: u64) -> EventKind {
        EventKind::Metric {
            name: "train/loss".to_owned(),
            step,
            value: f64::NAN,
        }
    }

    #[test]
    fn events_come_back_as_written_and_only_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events.jsonl");
        let mut log = EventLog::open(&path).unwrap();
        log.append(EventKind::Queued { priority: 3 }).unwrap();
        let reader = EventReader::new(&path);
        let first = reader.read(&LogPosition::default()).unwrap();
        assert_eq!(first.events[0].kind, EventKind::Queued { priority: 3 });
        log.append(metric(1)).unwrap();
        let second = reader.read(&first.position).unwrap();
        assert_eq!((second.events.len(), second.events[0].seq, second.rewound), (1, 2, false));
        assert!(matches!(second.events[0].kind, EventKind::Metric { value, .. } if value.is_nan()));
    }

    #[test]
    fn a_torn_last_line_is_not_read_and_is_cut_by_the_next_writer() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events.jsonl");
        EventLog::open(&path).unwrap().append(metric(1)).unwrap();
        OpenOptions::new()
            .append(true)
            .open(&path)
            .unwrap()
            .write_all(b"{\"seq\":2,\"ti")
            .unwrap();
        assert_eq!(EventReader::new(&path).read(&LogPosition::default()).unwrap().events.len(), 1);
        EventLog::open(&path).unwrap().append(metric(2)).unwrap();
        let seqs: Vec<u64> = EventReader::new(&path)
            .read(&LogPosition::default())
            .unwrap()
            .events
            .iter()
            .map(|e| e.seq)
            .collect();
        assert_eq!(seqs, [1, 2]);
    }

    #[test]
    fn a_result_of_a_log_of_before_has_its_name_of_now() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events.jsonl");
        let names = [
            ("few.pictures", "subset.images"),
            ("few.classes", "subset.classes"),
            ("few.pictures_seen", "subset.images_seen"),
            ("cka.pictures", "cka.images"),
            ("compare.pictures", "compare.images"),
            ("finetune.top1", "finetune.top1"),
        ];
        let line = |(seq, (before, _)): (usize, &(&str, &str))| {
            format!(
                "{{\"seq\":{},\"time\":0.0,\"kind\":\"summary\",\"name\":\"{before}\",\"value\":4.0}}\n",
                seq + 1
            )
        };
        std::fs::write(&path, names.iter().enumerate().map(line).collect::<String>()).unwrap();
        let read = EventReader::new(&path).read(&LogPosition::default()).unwrap();
        let found: Vec<EventKind> = read.events.into_iter().map(|event| event.kind).collect();
        let expected = names.map(|(_, now)| EventKind::Summary {
            name: now.to_owned(),
            value: 4.0,
        });
        assert_eq!(found, expected);
    }

    #[test]
    fn resuming_cuts_the_work_after_the_checkpoint_and_readers_notice() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events.jsonl");
        let mut log = EventLog::open(&path).unwrap();
        let checkpoint = log.append(metric(1)).unwrap();
        log.append(metric(2)).unwrap();
        log.append(EventKind::Failed {
            reason: "killed".to_owned(),
            causes: vec![],
        })
        .unwrap();
        log.append(metric(3)).unwrap();
        let before = EventReader::new(&path).read(&LogPosition::default()).unwrap();
        let mut log = EventLog::resume(&path, checkpoint).unwrap();
        for step in 2..9 {
            log.append(metric(step)).unwrap();
        }
        let after = EventReader::new(&path).read(&before.position).unwrap();
        assert!(after.rewound);
        assert_eq!(
            after.events.iter().map(|e| e.seq).collect::<Vec<_>>(),
            [1, 3, 5, 6, 7, 8, 9, 10, 11]
        );
    }
}
