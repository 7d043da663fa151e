//! The reference of the API: its parts, and of each its operations and the objects that go over the
//! wire. What is told in them is the document's own, in English; what stands around it is the
//! reader's language.

use serde::Serialize;

use crate::html::RenderError;
use crate::html::dashboard::{Frame, render};

/// All parts, or one of them in full.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Reference {
    pub parts: Vec<Part>,
    /// `None`: the page that lists them all.
    pub chapter: Option<Chapter>,
}

/// What belongs together, as a list of its operations.
#[derive(Debug, Clone, Serialize)]
pub struct Part {
    pub name: String,
    pub about: String,
    pub href: String,
    /// It is the one that is shown in full.
    pub current: bool,
    pub operations: Vec<Line>,
}

/// One operation in a list.
#[derive(Debug, Clone, Serialize)]
pub struct Line {
    pub href: String,
    pub method: String,
    pub path: String,
    pub title: String,
    /// `open`, `any`, or the role that it wants at least.
    pub access: &'static str,
}

/// One part in full.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Chapter {
    pub name: String,
    pub about: String,
    pub operations: Vec<Operation>,
    pub objects: Vec<Object>,
}

/// One operation.
#[derive(Debug, Clone, Serialize)]
pub struct Operation {
    /// Its anchor, and its name for programs.
    pub id: String,
    pub method: String,
    pub path: String,
    pub title: String,
    /// Paragraphs; what stands between backticks is code.
    pub about: Vec<String>,
    pub access: &'static str,
    pub parameters: Vec<Field>,
    pub body: Option<Body>,
    pub answers: Vec<Answer>,
    /// A command that does it.
    pub curl: String,
}

/// A parameter, or a part of an object.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Field {
    /// `limit`, `idle.stop_after`.
    pub name: String,
    /// Of a parameter: `path`, `query` or `header`.
    pub place: Option<String>,
    pub kind: Kind,
    pub required: bool,
    pub about: String,
    /// What it has to keep to: `1 to 500`.
    pub limits: Vec<String>,
    /// The words it may be, where the list of them is closed.
    pub values: Vec<String>,
    pub default: Option<String>,
}

/// What something is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Kind {
    /// `list of `, or nothing.
    pub before: &'static str,
    pub name: String,
    /// The anchor of the object it is.
    pub href: Option<String>,
    /// ` or null`, or nothing.
    pub after: &'static str,
}

/// What is sent along.
#[derive(Debug, Clone, Serialize)]
pub struct Body {
    pub media: Vec<String>,
    pub about: String,
    pub required: bool,
    pub kind: Kind,
    /// Nothing where they are many: then they stand with the object.
    pub fields: Vec<Field>,
    pub example: Option<String>,
}

/// What comes back.
#[derive(Debug, Clone, Serialize)]
pub struct Answer {
    pub status: String,
    /// It is what was wanted.
    pub fine: bool,
    pub about: String,
    pub bodies: Vec<Sent>,
    /// Header fields of it.
    pub fields: Vec<String>,
    /// The last words of the problems' types.
    pub problems: Vec<String>,
}

/// One form of an answer.
#[derive(Debug, Clone, Serialize)]
pub struct Sent {
    pub media: String,
    pub kind: Kind,
}

/// Something that goes over the wire.
#[derive(Debug, Clone, Serialize)]
pub struct Object {
    pub id: String,
    pub name: String,
    pub about: String,
    pub fields: Vec<Field>,
    /// Where it is no object: the words it may be.
    pub values: Vec<String>,
    pub example: Option<String>,
}

/// Renders the page.
///
/// # Errors
/// [`RenderError`] says which template is broken.
pub fn reference(frame: &Frame, view: &Reference) -> Result<String, RenderError> {
    render("dashboard/reference.html", frame, view)
}
