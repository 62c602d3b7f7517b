//! The files of the checkout, and the code of a file without its comments and strings.
#![forbid(unsafe_code)]

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Directories that hold nothing of ours.
const FOREIGN: &[&str] = &["target", "vendor", "__pycache__"];

/// A text file of the checkout.
#[derive(Debug)]
pub(crate) struct File {
    /// Its path from the root, with slashes.
    pub(crate) path: String,
    /// What is in it.
    pub(crate) text: String,
}

impl File {
    /// Whether its name ends with one of these.
    pub(crate) fn ends_with(&self, endings: &[&str]) -> bool {
        endings.iter().any(|ending| self.path.ends_with(ending))
    }

    /// Its code: comments and what is between quotes are blanked, lines stay where they are.
    pub(crate) fn code(&self) -> String {
        code(&self.text)
    }

    /// The numbered lines of its code.
    pub(crate) fn code_lines(&self) -> Vec<(usize, String)> {
        (1..).zip(self.code().lines().map(str::to_owned)).collect()
    }
}

/// The root of the checkout.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the checkout").to_owned()
}

/// Every text file of the checkout whose path starts with `under`.
pub(crate) fn files(under: &str) -> Vec<File> {
    let mut found = Vec::new();
    walk(&root(), Path::new(""), &mut found);
    found.retain(|file| file.path.starts_with(under));
    found.sort_by(|one, other| one.path.cmp(&other.path));
    found
}

/// One file, which must be there.
pub(crate) fn file(path: &str) -> File {
    let text = fs::read_to_string(root().join(path));
    let text = text.unwrap_or_else(|error| panic!("{path}: {error}; this file must exist"));
    File { path: path.to_owned(), text }
}

fn walk(root: &Path, folder: &Path, found: &mut Vec<File>) {
    for entry in fs::read_dir(root.join(folder)).expect("the checkout can be read").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = folder.join(&name);
        let kind = entry.file_type().expect("a directory entry has a type");
        let hidden = name.starts_with('.') && ![".ci", ".cargo"].contains(&name.as_str());
        if kind.is_dir()
            && !hidden
            && !FOREIGN.contains(&name.as_str())
            && !name.starts_with("build")
        {
            walk(root, &path, found);
        } else if kind.is_file()
            && name != ".git"
            && let Ok(text) = fs::read_to_string(root.join(&path))
        {
            found.push(File { path: path.to_string_lossy().into_owned(), text });
        }
    }
}

/// Blanks the comments, strings and character literals of Rust and of C.
fn code(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some(end) = raw_string(rest).filter(|_| !ends_in_word(&out)) {
            end
        } else if first == '"' || first == '\'' && is_character(rest) {
            quoted(rest)
        } else {
            out.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        };
        out.extend(rest[..length].chars().map(|letter| if letter == '\n' { '\n' } else { ' ' }));
        rest = &rest[length..];
    }
    out
}

fn ends_in_word(text: &str) -> bool {
    text.ends_with(|letter: char| letter.is_alphanumeric() || letter == '_')
}

/// The length of a raw string of Rust at the start of `text`.
fn raw_string(text: &str) -> Option<usize> {
    let after = text
        .strip_prefix("br")
        .or_else(|| text.strip_prefix("cr"))
        .or_else(|| text.strip_prefix('r'))?;
    let hashes = after.len() - after.trim_start_matches('#').len();
    let body = after[hashes..].strip_prefix('"')?;
    let close = format!("\"{}", "#".repeat(hashes));
    Some(text.len() - body.len() + body.find(&close)? + close.len())
}

/// The length of a string or character with escapes at the start of `text`.
fn quoted(text: &str) -> usize {
    let quote = text.chars().next();
    let mut escaped = false;
    for (at, letter) in text.char_indices().skip(1) {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            letter if Some(letter) == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Whether a quote opens a character rather than a lifetime.
fn is_character(text: &str) -> bool {
    let mut letters = text.chars().skip(1);
    let first = letters.next();
    first == Some('\\') || letters.next() == Some('\'')
}

#[test]
fn comments_strings_and_characters_are_no_code() {
    let text = "a /* unsafe */ b // unsafe\n\"unsafe \\\" x\" c r#\"unsafe\"# d '\"' e 'x: &'a str '\\'' f";
    let seen = code(text);
    assert_eq!(
        seen.split_whitespace().collect::<Vec<_>>(),
        ["a", "b", "c", "d", "e", "'x:", "&'a", "str", "f"]
    );
    assert_eq!(seen.lines().count(), 2);
}
