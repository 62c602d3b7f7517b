//! Rules for every file: a head that says its idea, danger only where it is listed, no debts.
#![forbid(unsafe_code)]

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    expect_none,
    source::{File, file, files},
};

const SOURCES: &[&str] = &[".rs", ".c", ".h", ".cpp", ".hpp", ".py", ".sh", "meson.build", ".map"];
const LIST: &str = "tests/unsafe_files.txt";
const MOST_LINES: usize = 700;

/// The first words of a file's head comment.
fn head(file: &File) -> Option<&str> {
    let text = match file.text.split_once('\n') {
        Some((first, rest)) if first.starts_with("#!") && !first.starts_with("#![") => rest,
        _ => &file.text,
    };
    let openings: &[&str] = match file.path.rsplit('.').next() {
        Some("rs") => &["//! "],
        Some("c" | "h" | "cpp" | "hpp") => &["/* ", "// "],
        Some("py") => &["\"\"\"", "# "],
        _ => &["# "],
    };
    let line = text.lines().next()?;
    openings.iter().find_map(|opening| line.strip_prefix(opening))
}

#[test]
fn every_source_file_starts_by_saying_its_one_idea() {
    let headless = |file: &File| head(file).is_none_or(|head| head.trim().len() < 15);
    let sources = files("").into_iter().filter(|file| file.ends_with(SOURCES));
    let fault = |file: File| {
        format!("{}: write the one idea of the file as a comment in its first line", file.path)
    };
    expect_none(sources.filter(headless).map(fault).collect());
}

#[test]
fn no_file_is_longer_than_one_idea_needs() {
    let documents = [".md", ".txt", ".lock", ".json"];
    let long = files("").into_iter().filter(|file| !file.ends_with(&documents));
    let fault = |file: File| {
        let lines = file.text.lines().count();
        let path = file.path;
        (lines >= MOST_LINES).then(|| {
            format!("{path} has {lines} lines, {MOST_LINES} are too many: split it by idea")
        })
    };
    expect_none(long.filter_map(fault).collect());
}

/// The files that may be unsafe, each with its reason.
fn listed() -> BTreeMap<String, String> {
    let list = file(LIST);
    let lines = list.text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let pair = |line: &str| {
        let (path, reason) = line.split_once(' ').unwrap_or((line, ""));
        (path.to_owned(), reason.trim().to_owned())
    };
    lines.map(pair).collect()
}

/// The first line of code that says `unsafe`.
fn unsafe_line(file: &File) -> Option<usize> {
    let has_word = |line: &str| {
        line.split(|letter: char| !letter.is_alphanumeric() && letter != '_')
            .any(|word| word == "unsafe")
    };
    file.code_lines().into_iter().find(|(_, line)| has_word(line)).map(|(number, _)| number)
}

#[test]
fn unsafe_code_is_only_in_listed_files() {
    let listed = listed();
    let mut faults = Vec::new();
    let mut present = BTreeSet::new();
    for file in files("").into_iter().filter(|file| file.ends_with(&[".rs"])) {
        let path = &file.path;
        match (unsafe_line(&file), listed.contains_key(path)) {
            (Some(line), false) => faults.push(format!(
                "{path}:{line} is unsafe: move that into a file of {LIST}, \
                 or add this one there with the reason why the danger has to grow"
            )),
            (None, true) => {
                faults.push(format!("{LIST} lists {path}, which is not unsafe: strike it out"));
            }
            _ => {}
        }
        present.insert(file.path);
    }
    for (path, reason) in &listed {
        if !present.contains(path) {
            faults.push(format!("{LIST} lists {path}, which is not there: strike it out"));
        } else if reason.len() < 10 {
            faults.push(format!("{LIST}: say behind {path} why it has to be unsafe"));
        }
    }
    expect_none(faults);
}

#[test]
fn every_other_file_forbids_unsafe_code() {
    // A module that forbids it forbids it to its children too, so one that has some may not.
    let has_children = |code: &str| {
        code.lines().any(|line| {
            let line = line.trim_start_matches("pub(crate) ").trim_start_matches("pub ");
            line.starts_with("mod ") && line.ends_with(';')
        })
    };
    let listed = listed();
    let faults = files("").into_iter().filter(|file| file.ends_with(&[".rs"])).filter(|file| {
        let code = file.code();
        !listed.contains_key(&file.path)
            && !has_children(&code)
            && !code.contains("#![forbid(unsafe_code)]")
    });
    let fault =
        |file: File| format!("{}: write #![forbid(unsafe_code)] below the head comment", file.path);
    expect_none(faults.map(fault).collect());
}

#[test]
fn atomics_and_locks_come_through_their_one_door() {
    let banned = ["sync::atomic", "sync::Mutex", "sync::{Mutex", "sync::Condvar", "sync::RwLock"];
    // What only tests use is no part of a model.
    let is_library = |file: &File| {
        ["runtime/src/", "glue/"].iter().any(|folder| file.path.starts_with(folder))
            && file.ends_with(&[".rs"])
            && file.path != "runtime/src/primitive.rs"
            && !file.ends_with(&["/tests.rs"])
    };
    let mut faults = Vec::new();
    for file in files("").into_iter().filter(is_library) {
        let tests = file.text.find("#[cfg(test)]").unwrap_or(file.text.len());
        let lines = file.text[..tests].lines().enumerate();
        for (number, _) in lines.filter(|(_, line)| banned.iter().any(|name| line.contains(name))) {
            faults.push(format!(
                "{}:{}: use crate::primitive (elsewhere raddle::primitive), so that loom sees it",
                file.path,
                number + 1
            ));
        }
    }
    expect_none(faults);
}

#[test]
fn no_file_names_a_place_on_one_machine() {
    let places = ["root", "home", "opt", "work"].map(|folder| format!("/{folder}/"));
    let mut faults = Vec::new();
    for file in files("") {
        for (number, line) in (1..).zip(file.text.lines()) {
            for place in places.iter().filter(|place| names_place(line, place)) {
                let path = &file.path;
                faults.push(format!(
                    "{path}:{number} names {place}: write a path that any machine has"
                ));
            }
        }
    }
    expect_none(faults);
}

/// Whether a path in `line` starts at `place`, rather than going on with it.
fn names_place(line: &str, place: &str) -> bool {
    line.match_indices(place).any(|(at, _)| {
        !line[..at]
            .ends_with(|before: char| before.is_alphanumeric() || "._-~}/$*>)".contains(before))
    })
}

#[test]
fn no_file_leaves_a_debt() {
    let debts = ["TO", "FIX", "XX"].map(|word| {
        word.to_owned()
            + if word == "TO" {
                "DO"
            } else if word == "FIX" {
                "ME"
            } else {
                "X"
            }
    });
    let mut faults = Vec::new();
    for file in files("").iter().filter(|file| !file.ends_with(&[".lock"])) {
        for (number, line) in (1..).zip(file.text.lines()) {
            for debt in debts.iter().filter(|debt| line.contains(debt.as_str())) {
                faults.push(format!(
                    "{}:{number} says {debt}: do it, or file an issue and name it",
                    file.path
                ));
            }
        }
    }
    expect_none(faults);
}

#[test]
fn every_link_of_a_document_leads_somewhere() {
    let root = crate::source::root();
    let mut faults = Vec::new();
    for file in files("").iter().filter(|file| file.ends_with(&[".md"])) {
        let folder = root.join(&file.path);
        let folder = folder.parent().expect("a file lies in a directory");
        for part in file.text.split("](").skip(1) {
            let target = part.split([')', ' ', '#']).next().unwrap_or_default();
            if !target.is_empty()
                && !target.contains("://")
                && !target.starts_with("mailto:")
                && !folder.join(target).exists()
            {
                faults.push(format!("{}: the link to {target} leads nowhere", file.path));
            }
        }
    }
    expect_none(faults);
}

#[test]
fn a_news_fragment_is_named_after_its_issue_and_kind() {
    let kinds = ["added", "changed", "fixed", "removed"];
    let is_valid = |name: &str| {
        let parts: Vec<&str> = name.split('.').collect();
        matches!(parts[..], [issue, kind, "md"] if issue.parse::<u32>().is_ok() && kinds.contains(&kind))
    };
    let fragments = files("docs/news/")
        .into_iter()
        .filter_map(|file| file.path.rsplit('/').next().map(str::to_owned));
    let wrong = fragments.filter(|name| name != "README.md" && !is_valid(name));
    let fault = |name| format!("docs/news/{name}: name it ISSUE.KIND.md, with a kind of {kinds:?}");
    expect_none(wrong.map(fault).collect());
}
