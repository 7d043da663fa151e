//! `wakedock config …` as a program: output, exit codes, closed pipes.

use std::io::Read;
use std::process::{Command, Output, Stdio};

use serde_json::Value as Json;
use wakedock::config::{example, schema};

use super::{ConfigFile, service};

fn wakedock(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wakedock"));
    // Nothing of the machine's own: neither its variables nor a file beside the test.
    command.args(arguments).env_clear().current_dir("/");
    command
}

fn run(arguments: &[&str]) -> Output {
    wakedock(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn help_and_version_are_fine_and_a_wrong_command_line_is_64() {
    for good in [&["--help"][..], &["--version"], &["config", "--help"], &["help"]] {
        let output = run(good);
        assert_eq!(output.status.code(), Some(0), "{good:?}");
        assert!(!output.stdout.is_empty());
    }
    for bad in
        [&[][..], &["nonsense"], &["config"], &["serve", "--nonsense"], &["config", "check", "--config"]]
    {
        assert_eq!(run(bad).status.code(), Some(64), "{bad:?}");
    }
}

#[test]
fn print_says_where_each_value_comes_from() {
    let file = ConfigFile::new(
        "domain: example.com\ndefaults: { idle: { stop_after: 5m }, wait: hold }\n\
         services: [{ name: a, container: a, readiness: tcp, wait: page }]\n",
    );
    let path = file.path().display().to_string();
    let mut command = wakedock(&["config", "print", "--origin", "--config", &path]);
    command.env("WAKEDOCK_LOG__LEVEL", "debug").env("WAKEDOCK_DEFAULTS__WAKE_TIMEOUT", "9s");
    let lines = text(&command.output().unwrap().stdout);
    for line in [
        format!("domain: example.com  # file, {path}:1:1"),
        "log.level: debug  # environment, environment variable WAKEDOCK_LOG__LEVEL".to_owned(),
        "log.format: text  # default".to_owned(),
        format!("services[0].idle.stop_after: 5m  # defaults, {path}:2:21"),
        "services[0].wake_timeout: 9s  # defaults, environment variable WAKEDOCK_DEFAULTS__WAKE_TIMEOUT"
            .to_owned(),
        format!("services[0].readiness.type: tcp  # file, {path}:3:37"),
        format!("services[0].wait: page  # file, {path}:3:53"),
        "services[0].hosts: [a.example.com]  # default".to_owned(),
    ] {
        assert!(lines.lines().any(|own| own == line), "no {line:?} in\n{lines}");
    }
    let told: Json = serde_json::from_slice(&command.arg("--json").output().unwrap().stdout).unwrap();
    let wait = told.as_array().unwrap().iter().find(|told| told["key"] == "services[0].wait").unwrap();
    assert_eq!((&wait["value"], &wait["origin"], &wait["line"]), (&"page".into(), &"file".into(), &3.into()));
    assert_eq!(run(&["config", "print", "--json", "--config", &path]).status.code(), Some(64));
}

#[test]
fn check_says_ok_with_a_summary() {
    let file = ConfigFile::new(service("a"));
    let path = file.path().display().to_string();
    for arguments in [["--config", &path, "config", "check"], ["config", "check", "--config", &path]] {
        let output = run(&arguments);
        assert_eq!(output.status.code(), Some(0));
        assert_eq!(text(&output.stdout), format!("ok: {path}, 1 service, 0 warnings\n"));
        assert!(output.stderr.is_empty());
    }
}

#[test]
fn check_prints_every_problem_without_colour_and_exits_64() {
    let file = ConfigFile::new("domain: 'a b'\nlog: { level: loud }\n");
    let path = file.path().display().to_string();
    for command in [&["config", "check"][..], &["config", "print"], &["serve"], &["caddyfile"]] {
        let output = wakedock(command).args(["--config", &path]).output().unwrap();
        assert_eq!(output.status.code(), Some(64), "{command:?}");
        assert!(output.stdout.is_empty());
        let complaint = text(&output.stderr);
        assert!(complaint.contains("domain") && complaint.contains("log.level"), "{complaint}");
        assert!(complaint.contains(&format!("{path}:1:1")), "{complaint}");
        assert!(complaint.contains("2 problems"), "{complaint}");
        assert!(!complaint.contains('\u{1b}'));
    }
}

#[test]
fn check_speaks_json() {
    let file = ConfigFile::new("shutdown: { grace: 30 }\n");
    let path = file.path().display().to_string();
    let output = run(&["config", "check", "--json", "--config", &path]);
    assert_eq!(output.status.code(), Some(64));
    let answer: Json = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&answer["ok"], &answer["file"]), (&false.into(), &path.as_str().into()));
    let problem = &answer["problems"][0];
    assert_eq!((&problem["key"], &problem["line"]), (&"shutdown.grace".into(), &1.into()));
    assert!(problem["mend"].as_str().unwrap().contains("`30s`"));

    let output = wakedock(&["config", "check", "--json"]).env("WAKEDOCK_XYZZY", "1").output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let answer: Json = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&answer["ok"], &answer["services"]), (&true.into(), &0.into()));
    assert_eq!(answer["warnings"][0]["key"], "WAKEDOCK_XYZZY");
}

/// The file was `null` as soon as there was a problem, although it had been read.
#[test]
fn check_names_the_file_whatever_is_wrong() {
    let file = ConfigFile::new(service("a"));
    let path = file.path().display().to_string();
    let answer = |output: Output| serde_json::from_slice::<Json>(&output.stdout).unwrap();
    let mut bad_variable = wakedock(&["config", "check", "--json"]);
    bad_variable.env("WAKEDOCK_CONFIG", &path).env("WAKEDOCK_LOG__LEVEL", "loud");
    let said = answer(bad_variable.output().unwrap());
    assert_eq!((&said["file"], &said["problems"][0]["file"]), (&path.as_str().into(), &Json::Null));

    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("none.yml").display().to_string();
    let said = answer(run(&["config", "check", "--json", "--config", &missing]));
    assert_eq!((&said["ok"], &said["file"]), (&false.into(), &missing.as_str().into()));

    std::fs::create_dir(folder.path().join("config")).unwrap();
    std::fs::write(folder.path().join("config/config.yml"), "log: { level: loud }\n").unwrap();
    let mut beside = wakedock(&["config", "check", "--json"]);
    let said = answer(beside.current_dir(folder.path()).output().unwrap());
    assert_eq!(said["file"], "./config/config.yml");

    let said =
        answer(wakedock(&["config", "check", "--json"]).env("WAKEDOCK_LOG__LEVEL", "loud").output().unwrap());
    assert_eq!((&said["ok"], &said["file"]), (&false.into(), &Json::Null), "there is none");
}

#[test]
fn print_shows_what_the_environment_says() {
    let output = wakedock(&["config", "print"]).env("WAKEDOCK_LOG__LEVEL", "debug").output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stdout).contains("  level: debug\n"));
}

#[test]
fn example_and_schema_are_the_generated_ones() {
    assert_eq!(text(&run(&["config", "example"]).stdout), example());
    let printed: Json = serde_json::from_slice(&run(&["config", "schema"]).stdout).unwrap();
    assert_eq!(printed, schema());
}

#[test]
fn a_closed_pipe_is_nobodys_fault() {
    let mut child =
        wakedock(&["config", "schema"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let status = child.wait().unwrap();
    let mut complaint = String::new();
    child.stderr.take().unwrap().read_to_string(&mut complaint).unwrap();
    assert_eq!((status.code(), complaint.as_str()), (Some(0), ""));
}

/// In mode `file` it printed a Caddyfile that nobody would ever run.
#[test]
fn caddyfile_prints_what_the_mode_does() {
    let printed = |mode: &str| {
        let file = ConfigFile::new(format!("caddy: {{ mode: {mode}, file: /x/y.caddy }}\n{}", service("a")));
        let output = run(&["caddyfile", "--config", &file.path().display().to_string()]);
        assert_eq!(output.status.code(), Some(0), "{mode}: {}", text(&output.stderr));
        (text(&output.stdout), text(&output.stderr))
    };
    let (managed, said) = printed("managed");
    assert!(managed.contains("\tadmin ") && said.is_empty(), "{managed}{said}");
    let (file, said) = printed("file");
    assert!(file.contains("#\timport /x/y.caddy\n") && !file.contains("\tadmin "), "{file}");
    assert!(said.is_empty(), "{said}");
    let (off, said) = printed("off");
    assert_eq!(off, file);
    assert!(said.starts_with("note: `caddy.mode` is `off`: nothing is published"), "{said}");
}

/// The sample of the waiting page did not pass `config check`.
#[test]
fn the_samples_in_the_documents_hold() {
    let docs = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let mut samples = 0;
    for document in std::fs::read_dir(docs).unwrap().map(|entry| entry.unwrap().path()) {
        let Ok(words) = std::fs::read_to_string(&document) else { continue };
        for sample in words.split("```yaml\n").skip(1) {
            let file = ConfigFile::new(sample.split("```").next().unwrap());
            let output = run(&["config", "check", "--config", &file.path().display().to_string()]);
            assert_eq!(output.status.code(), Some(0), "{}: {}", document.display(), text(&output.stderr));
            samples += 1;
        }
    }
    assert!(samples >= 1, "no sample found");
}
