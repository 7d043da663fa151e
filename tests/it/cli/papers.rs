//! Completions and manual pages.

use std::io::Write;
use std::process::{Command, Stdio};

use super::{Said, wakedock};

fn run(arguments: &[&str]) -> Said {
    wakedock(arguments).output().unwrap().into()
}

#[test]
fn every_shell_gets_its_completions() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let said = run(&["completions", shell]);
        assert!(said.fine().contains("restart") && said.out.contains("caddyfile"), "{shell}");
    }
}

#[test]
fn bash_understands_its_own() {
    let mut bash = Command::new("bash").arg("-n").stdin(Stdio::piped()).spawn().unwrap();
    bash.stdin.take().unwrap().write_all(run(&["completions", "bash"]).fine().as_bytes()).unwrap();
    assert!(bash.wait().unwrap().success());
}

#[test]
fn there_is_a_page_for_every_command() {
    let all = run(&["man"]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().display().to_string();
    assert_eq!(run(&["man", "--dir", &path]).fine(), "");
    let mut pages: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|page| page.unwrap()).collect();
    pages.sort_by_key(std::fs::DirEntry::file_name);
    let names: Vec<String> = pages.iter().map(|page| page.file_name().into_string().unwrap()).collect();
    for wanted in ["wakedock.1", "wakedock-status.1", "wakedock-config.1", "wakedock-config-check.1"] {
        assert!(names.iter().any(|name| name == wanted), "{names:?}");
    }
    for page in &pages {
        let text = std::fs::read_to_string(page.path()).unwrap();
        assert!(text.contains("\n.SH \"EXIT STATUS\"\n"), "{}", page.path().display());
        assert!(text.contains(".TH wakedock") && all.out.contains(&text), "{}", page.path().display());
    }
    let said = run(&["man", "--dir", "/nowhere/at/all"]);
    assert!(said.failed(1).contains("\n  at     /nowhere/at/all\n"), "{}", said.err);
}
