use super::*;
use proptest::prelude::*;
use protocol::event::Lost;

fn event(count: u64) -> (Timestamp, Happening) {
    (Timestamp::UNIX_EPOCH, Happening::Lost(Lost { count }))
}

fn counts(spool: &mut Spool) -> Vec<(u64, u64)> {
    let mut all = Vec::new();
    loop {
        let events = spool.waiting(7).unwrap();
        let Some(last) = events.last() else { return all };
        spool.acknowledge(last.number);
        all.extend(events.iter().map(|event| match event.what {
            Happening::Lost(lost) => (event.number, lost.count),
            _ => unreachable!(),
        }));
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn what_was_appended_comes_back_in_order_until_it_is_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(folder.path()).unwrap();
    assert!(spool.is_empty());
    spool.append(&[event(10), event(20)]).unwrap();
    spool.append(&[event(30)]).unwrap();
    assert_eq!(spool.waiting(2).unwrap().len(), 2);
    spool.acknowledge(1);
    let id = spool.id();
    drop(spool);
    // What was acknowledged may come again; what was not must.
    let mut again = Spool::open(folder.path()).unwrap();
    assert_eq!(again.id(), id);
    again.append(&[event(40)]).unwrap();
    assert_eq!(counts(&mut again), [(1, 10), (2, 20), (3, 30), (4, 40)]);
    assert!(again.is_empty() && files(folder.path()).is_empty());
    again.append(&[event(50)]).unwrap();
    assert_eq!(counts(&mut again), [(5, 50)]);
    // Nothing is left that says where it was, so it is another spool.
    drop(again);
    assert_ne!(Spool::open(folder.path()).unwrap().id(), id);
}

proptest! {
    #[test]
    fn torn_anywhere_it_keeps_what_was_whole_and_goes_on(cut in 0usize..400, flip in any::<bool>()) {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = Spool::open(folder.path()).unwrap();
        for count in 0..5 {
            spool.append(&[event(count)]).unwrap();
        }
        drop(spool);
        let path = files(folder.path()).remove(0);
        let mut bytes = fs::read(&path).unwrap();
        let line = bytes.len() / 5;
        let cut = cut % bytes.len();
        if flip { bytes[cut] ^= 1 } else { bytes.truncate(cut) }
        fs::write(&path, &bytes).unwrap();
        let whole = (cut / line) as u64;
        let mut spool = Spool::open(folder.path()).unwrap();
        spool.append(&[event(99)]).unwrap();
        let expected: Vec<_> = (0..whole).map(|n| (n + 1, n)).chain([(whole + 1, 99)]).collect();
        prop_assert_eq!(counts(&mut spool), expected);
    }
}

#[test]
fn it_is_bounded_and_counts_what_it_drops() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(folder.path()).unwrap();
    let batch: Vec<_> = (0..4_000).map(event).collect();
    for _ in 0..100 {
        spool.append(&batch).unwrap();
    }
    let files = files(folder.path());
    assert!(files.len() <= SEGMENTS);
    let lost = spool.take_lost();
    assert!(lost > 0 && spool.take_lost() == 0);
    let first = spool.waiting(1).unwrap()[0].number;
    assert_eq!(first, lost + 1);
}

#[test]
fn a_write_that_failed_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(folder.path()).unwrap();
    spool.append(&[event(1)]).unwrap();
    let path = files(folder.path()).remove(0);
    // As a full disk does: half a line is there, and the spool was told that the write failed.
    fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"0123456789abcdef {\"at").unwrap();
    spool.append(&[event(2)]).unwrap();
    drop(spool);
    assert_eq!(counts(&mut Spool::open(folder.path()).unwrap()), [(1, 1), (2, 2)]);
}
