//! What the members of an archive leave in a folder when it is unpacked: later ones replace earlier ones, links lead to
//! what they name.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::name::{system_part, text};
use super::{Entry, Place};
use crate::data::passed::{PassedOver, Reason};

/// Links that a path may lead through, as Linux has it.
const HOPS: usize = 40;

/// The inside of an archive.
#[derive(Default)]
pub(super) struct Contents {
    nodes: BTreeMap<String, Node>,
    passed: PassedOver,
    /// Whether a member is another name of something.
    linked: bool,
}

/// What a name stands for.
#[derive(Clone)]
enum Node {
    Folder,
    File(Place),
    /// A symbolic link with the path that it names.
    Link(String),
    /// Something that is not read.
    Passed(Reason),
}

/// The same, when all members are known.
#[derive(Default)]
pub(super) struct Finished {
    pub entries: Vec<Entry>,
    pub folders: BTreeSet<String>,
    pub again: BTreeMap<String, String>,
    pub passed: PassedOver,
}

impl Contents {
    /// Takes in a folder.
    pub(super) fn folder(&mut self, raw: &[u8]) {
        self.put(raw, Node::Folder);
    }

    /// Takes in a file.
    pub(super) fn file(&mut self, raw: &[u8], place: Place) {
        self.put(raw, Node::File(place));
    }

    /// Takes in a symbolic link.
    pub(super) fn link(&mut self, raw: &[u8], target: &[u8]) {
        self.linked = true;
        self.put(raw, Node::Link(text(target)));
    }

    /// Takes in another name of an earlier member.
    pub(super) fn same(&mut self, raw: &[u8], target: &[u8]) {
        self.linked = true;
        let node = inside(target).and_then(|target| self.nodes.get(&target)).cloned();
        self.put(raw, node.unwrap_or(Node::Passed(Reason::Link)));
    }

    /// Takes in a member that is not read.
    pub(super) fn pass(&mut self, raw: &[u8], reason: Reason) {
        self.put(raw, Node::Passed(reason));
    }

    fn put(&mut self, raw: &[u8], node: Node) {
        match inside(raw) {
            None => self.passed.note(Reason::Outside, &text(raw)),
            // The folder that the archive is unpacked into.
            Some(name) if name.is_empty() => {}
            Some(name) => {
                self.nodes.insert(name, node);
            }
        }
    }

    /// All files by name, with the links led to what they name.
    pub(super) fn finish(self) -> Finished {
        let mut done = Finished {
            passed: self.passed,
            ..Finished::default()
        };
        let mut links = Vec::new();
        let mut system = BTreeSet::new();
        for (name, node) in &self.nodes {
            if let Some(part) = system_part(name) {
                if system.insert(part) {
                    done.passed.note(Reason::SystemFile, part);
                }
                continue;
            }
            let around = name.match_indices('/').map(|(at, _)| at);
            for at in around.chain(matches!(node, Node::Folder).then_some(name.len())) {
                if !done.folders.contains(&name[..at]) {
                    done.folders.insert(name[..at].to_owned());
                }
            }
            match node {
                Node::Folder => {}
                Node::File(place) => done.entries.push(Entry {
                    name: name.clone(),
                    place: *place,
                }),
                Node::Link(target) => links.push((name, target)),
                Node::Passed(reason) => done.passed.note(*reason, name),
            }
        }
        for (name, target) in links {
            match resolve(&self.nodes, &done.folders, name, target) {
                Some(Target::File(place)) => done.entries.push(Entry { name: name.clone(), place }),
                Some(Target::Folder(folder)) if !leads_up(name, &folder) => done.passed.note(Reason::Again, name),
                Some(Target::Folder(_)) | None => done.passed.note(Reason::Link, name),
            }
        }
        if self.linked {
            done.again = again(&done.entries);
        }
        done
    }
}

/// What a link leads to.
enum Target {
    File(Place),
    Folder(String),
}

/// The path inside an archive that `raw` names, without `./` and a `/` at its beginning; none if it leads out of it.
fn inside(raw: &[u8]) -> Option<String> {
    let name = text(raw);
    let parts: Vec<&str> = name.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    (!parts.contains(&"..")).then(|| parts.join("/"))
}

/// What the link `name` leads to with `target`, if that is in the archive.
fn resolve(nodes: &BTreeMap<String, Node>, folders: &BTreeSet<String>, name: &str, target: &str) -> Option<Target> {
    let mut at: Vec<String> = name.split('/').map(str::to_owned).collect();
    at.pop();
    let mut rest: Vec<String> = target.split('/').rev().map(str::to_owned).collect();
    let mut hops = 0;
    if target.starts_with('/') {
        return None;
    }
    while let Some(part) = rest.pop() {
        match part.as_str() {
            "" | "." => {}
            ".." => drop(at.pop()?),
            _ => {
                at.push(part);
                if let Some(Node::Link(target)) = nodes.get(&at.join("/")) {
                    hops += 1;
                    if hops > HOPS || target.starts_with('/') {
                        return None;
                    }
                    at.pop();
                    rest.extend(target.split('/').rev().map(str::to_owned));
                }
            }
        }
    }
    let path = at.join("/");
    match nodes.get(&path) {
        Some(Node::File(place)) => Some(Target::File(*place)),
        Some(Node::Folder) => Some(Target::Folder(path)),
        Some(Node::Link(_) | Node::Passed(_)) => None,
        None => (path.is_empty() || folders.contains(&path)).then_some(Target::Folder(path)),
    }
}

/// Whether `folder` is one that `name` lies in.
fn leads_up(name: &str, folder: &str) -> bool {
    folder.is_empty() || name.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}

/// Which names are of files that have an earlier one, and that name.
fn again(entries: &[Entry]) -> BTreeMap<String, String> {
    let mut first: HashMap<Place, &str> = HashMap::new();
    let mut again = BTreeMap::new();
    for Entry { name, place } in entries {
        let known = *first.entry(*place).or_insert(name);
        if known != name {
            again.insert(name.clone(), known.to_owned());
        }
    }
    again
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(offset: u64) -> Place {
        Place::Part { file: 0, offset, size: 1 }
    }

    fn files(finished: &Finished) -> Vec<(&str, u64)> {
        let offset = |place| match place {
            Place::Part { offset, .. } => offset,
            Place::Own { .. } | Place::Deflated { .. } => panic!("it is a part"),
        };
        let mut files: Vec<_> = finished
            .entries
            .iter()
            .map(|entry| (entry.name.as_str(), offset(entry.place)))
            .collect();
        files.sort();
        files
    }

    #[test]
    fn later_members_replace_earlier_ones_and_names_stay_inside() {
        let mut contents = Contents::default();
        contents.file(b"./a/1", place(1));
        contents.file(b"/a//2", place(2));
        contents.same(b"b/1", b"./a/1");
        contents.file(b"a/1", place(3));
        contents.file(b"a/../../etc/passwd", place(4));
        contents.folder(b"./");
        contents.folder(b"c/");
        contents.file(b"a/@eaDir/1/t.png", place(5));
        contents.file(b"a/@eaDir/2/t.png", place(6));
        let finished = contents.finish();
        // As `tar -x`: the other name keeps what it was given for.
        assert_eq!(files(&finished), [("a/1", 3), ("a/2", 2), ("b/1", 1)]);
        assert_eq!(finished.folders.iter().collect::<Vec<_>>(), ["a", "b", "c"]);
        assert!(finished.again.is_empty());
        let passed: Vec<_> = finished.passed.0.iter().map(|(reason, passed)| (*reason, passed.count)).collect();
        assert_eq!(passed, [(Reason::SystemFile, 1), (Reason::Outside, 1)]);
    }

    #[test]
    fn links_lead_to_what_they_name_or_are_noted() {
        let mut contents = Contents::default();
        contents.link(b"b/early", b"../a/1");
        contents.file(b"a/1", place(1));
        contents.link(b"d", b"a");
        contents.link(b"b/through", b"../d/1");
        contents.link(b"b/up", b"..");
        contents.link(b"b/absolute", b"/a/1");
        contents.link(b"b/out", b"../../a/1");
        contents.link(b"b/nothing", b"x");
        contents.link(b"b/x1", b"x2");
        contents.link(b"b/x2", b"x1");
        contents.same(b"b/hard", b"missing");
        let finished = contents.finish();
        assert_eq!(files(&finished), [("a/1", 1), ("b/early", 1), ("b/through", 1)]);
        assert_eq!(finished.again["b/through"], "a/1");
        let passed: Vec<_> = finished.passed.0.iter().map(|(reason, passed)| (*reason, passed.count)).collect();
        assert_eq!(passed, [(Reason::Link, 7), (Reason::Again, 1)]);
    }
}
