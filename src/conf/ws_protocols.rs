//! `ws-protocols`: the protocols of a vhost, with their options.

use std::collections::HashMap;
use std::sync::Arc;

use super::diagnostic::{Diagnostic, Place, Problem, Report};
use super::fields::{Fields, objects, plain_text, repeated};
use super::keys::KeyKind;
use super::node::{At, File, Key, Node};
use crate::pvo::Pvo;

/// A protocol of a vhost, and its options.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ProtocolConf {
    /// Its name.
    pub name: String,
    /// Its options; children of objects are objects.
    pub pvo: Pvo,
    pub(super) at: At,
}

impl ProtocolConf {
    /// Where its options are.
    pub fn place(&self) -> Place {
        self.at.node().place()
    }

    /// A warning about it, for what only the program knows of it: that it can be used, and does not do what it looks like.
    pub fn doubt(&self, why: impl Into<String>) -> Diagnostic {
        let node = self.at.node();
        Diagnostic::warning(Problem::Doubtful, node.place(), node.path()).note(why)
    }
}

/// The protocols in order; of one that is there twice the last options count.
pub(super) fn read(file: &Arc<File>, fields: &Fields<'_>, report: &mut Report) -> Vec<ProtocolConf> {
    let Some(node) = fields.node("ws-protocols") else { return Vec::new() };
    let mut protocols: Vec<ProtocolConf> = Vec::new();
    let mut places: HashMap<String, (usize, Key<'_>)> = HashMap::new();
    for object in objects(node, KeyKind::Protocols, report) {
        for (key, value) in object.members().into_iter().flatten() {
            let protocol =
                ProtocolConf { name: key.name.to_owned(), pvo: options(value, report), at: At::new(file, value) };
            // `_` and `-` are the same in names of protocols.
            let plain = key.name.replace('_', "-");
            match places.get(&plain) {
                Some((place, first)) => {
                    report.push(repeated(key, *first));
                    protocols[*place] = protocol;
                }
                None => {
                    places.insert(plain, (protocols.len(), key));
                    protocols.push(protocol);
                }
            }
        }
    }
    protocols
}

fn options(node: Node<'_>, report: &mut Report) -> Pvo {
    if node.members().is_none() {
        report.push(node.wrong("an object with the protocol's options"));
    }
    tree(node, report)
}

/// An object's members. Of a name that is there again all are kept, the last one in front, which is the one that counts for who asks for
/// one; as in lws.
fn tree(node: Node<'_>, report: &mut Report) -> Pvo {
    let mut children: Vec<(&str, Pvo)> = Vec::new();
    let mut same: HashMap<&str, (Vec<usize>, Key<'_>)> = HashMap::new();
    for (key, value) in node.members().into_iter().flatten() {
        match same.get_mut(key.name) {
            Some((places, first)) => {
                report.push(repeated(key, *first));
                places.push(children.len());
            }
            None => {
                same.insert(key.name, (vec![children.len()], key));
            }
        }
        children.push((key.name, option(value, report)));
    }
    for (places, _) in same.values().filter(|(places, _)| places.len() > 1) {
        for (front, back) in places.iter().zip(places.iter().rev()).take(places.len() / 2) {
            children.swap(*front, *back);
        }
    }
    let mut pvo = Pvo::default();
    for (name, child) in children {
        pvo.push(name, child);
    }
    pvo
}

fn option(node: Node<'_>, report: &mut Report) -> Pvo {
    if node.members().is_some() {
        return tree(node, report);
    }
    let wrong = |_| node.wrong("a string, or an object of options").into();
    report.take(plain_text(node).map_err(wrong)).map(Pvo::from).unwrap_or_default()
}
