//! What runs margay in other people's repositories: the action, the hooks, and the example of such a repository.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_yaml::Value;

use crate::support::{Home, copy, leave_out, root};

fn yaml(path: &str) -> Value {
    serde_yaml::from_str(&std::fs::read_to_string(root().join(path)).unwrap()).unwrap()
}

/// Runs a script of bash in a folder, with this margay first in PATH.
fn bash(dir: &Path, script: &str, environment: &[(&str, &str)]) -> (i32, String, String) {
    let own = Path::new(env!("CARGO_BIN_EXE_margay")).parent().unwrap();
    let path = format!("{}:{}:{}", dir.display(), own.display(), std::env::var("PATH").unwrap());
    let ran = Command::new("bash")
        .args(["-c", script])
        .current_dir(dir)
        .env("PATH", path)
        .env_remove("MARGAY_CONFIG")
        .env_remove("MARGAY_LOG")
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (ran.status.code().unwrap_or(-1), text(ran.stdout), text(ran.stderr))
}

/// The scripts of the action, by name of the step.
fn steps() -> Vec<(String, String)> {
    let action = yaml("action.yml");
    assert_eq!(action["runs"]["using"], "composite");
    let steps = action["runs"]["steps"].as_sequence().unwrap();
    let text = |step: &Value, key: &str| step[key].as_str().unwrap_or_else(|| panic!("{key}: {step:?}")).to_owned();
    for step in steps {
        assert_eq!(text(step, "shell"), "bash");
    }
    steps.iter().map(|step| (text(step, "name"), text(step, "run"))).collect()
}

fn script(name: &str) -> String {
    steps().into_iter().find(|(step, _)| step == name).unwrap().1
}

#[test]
fn no_expression_of_the_action_reaches_the_text_of_a_script() {
    for (name, script) in steps() {
        assert!(!script.contains("${{"), "{name}");
        assert!(script.starts_with("set -euo pipefail\n"), "{name}");
        let parsed = Command::new("bash").args(["-n", "-c", &script]).output().unwrap();
        assert!(parsed.status.success(), "{name}: {}", String::from_utf8_lossy(&parsed.stderr));
    }
    let inputs = yaml("action.yml")["inputs"].as_mapping().unwrap().clone();
    assert!(inputs.values().all(|input| input["description"].as_str().is_some_and(|text| text.len() > 10)));
}

#[test]
fn the_action_checks_a_folder_whatever_it_is_called() {
    let home = Home::new();
    let folder = "my $(touch pwned) `touch pwned`; repo";
    home.margay(&["init", folder]).expect(0);
    let environment = [("DIRECTORY", folder)];
    let (code, stdout, _) = bash(&home.path(""), &script("Check"), &environment);
    assert_eq!((code, &stdout[..]), (0, ""));
    let detector = format!("{folder}/detectors.d/connections.yaml");
    let good = home.read(&detector);
    home.write(&detector, "name: connections\ncolour: red\n");
    let (code, stdout, _) = bash(&home.path(""), &script("Check"), &environment);
    assert_eq!(code, 3);
    assert!(stdout.contains("::error file=detectors.d/connections.yaml,line=2,col=1,title=unknown-key::"), "{stdout}");
    assert!(!home.path("pwned").exists() && !home.path(&format!("{folder}/pwned")).exists());
    home.write(&detector, good);
    let (code, stdout, _) = bash(&home.path(""), &script("Test"), &environment);
    assert!(code == 0 && stdout.contains("2 passed, 0 failed"), "{stdout}");
    std::fs::remove_dir_all(home.path(folder).join("tests")).unwrap();
    let (code, stdout, _) = bash(&home.path(""), &script("Test"), &environment);
    assert_eq!((code, &stdout[..]), (0, "no tests/detectors\n"));
}

/// A repository like the example, whose head is the base of a pull request; the commit is returned.
fn repository(home: &Home) -> Option<String> {
    copy(&root().join("examples/gitops"), &home.path(""));
    let generate = ["generate", "--out", "logs", "--days", "5", "--pods", "30", "--incidents", "port_scan"];
    home.margay(&generate).expect(0);
    home.write(".gitignore", "logs\n.margay\n");
    let script =
        "git init -q && git add . && git -c user.name=a -c user.email=a@b commit -qm base && git rev-parse HEAD";
    Command::new("git").arg("--version").output().ok()?;
    let (code, commit, stderr) = bash(&home.path(""), script, &[]);
    assert_eq!(code, 0, "{stderr}");
    Some(commit.trim().to_owned())
}

#[test]
fn the_action_tests_detectors_and_posts_what_a_pull_request_changes() {
    let home = Home::new();
    let Some(base) = repository(&home) else {
        return leave_out("the_action_tests_detectors_and_posts_what_a_pull_request_changes", "needs git");
    };
    home.write("runner/gh", "#!/bin/sh\necho \"$@\" > said.args\ncat > said.md\n");
    let dir = home.path("");
    bash(&dir, "chmod +x runner/gh && mv runner/gh .", &[]);
    let runner = home.path("runner").display().to_string();
    let summary = format!("{runner}/summary.md");
    let compare = |max_added: &str| {
        let environment = [
            ("DIRECTORY", "."),
            ("BASE", &base[..]),
            ("NUMBER", "7"),
            ("MAX_ADDED", max_added),
            ("COMMENT", "true"),
            ("RUNNER_TEMP", &runner[..]),
            ("GITHUB_STEP_SUMMARY", &summary[..]),
        ];
        bash(&dir, &script("Compare"), &environment)
    };
    let test = || bash(&dir, &script("Test"), &[("DIRECTORY", ".")]);
    assert_eq!(test().0, 0);
    let detector = home.read("detectors.d/connections.yaml");
    home.write("detectors.d/connections.yaml", detector.replace("min_dev: 100", "min_dev: 1000000"));
    assert_eq!(test().0, 1, "the scan is missed");
    let (code, stdout, stderr) = compare("5");
    assert_eq!(code, 0, "{stdout}{stderr}");
    assert_eq!(home.read("said.args").trim(), "pr comment 7 --edit-last --create-if-none --body-file -");
    assert!(home.read("said.md").contains("1 removed"), "{}", home.read("said.md"));
    assert_eq!(home.read("said.md"), home.read("runner/summary.md"));
    let loud = detector.replace("min_dev: 100", "min_dev: 0").replace("score: ", "score: 5 # ");
    assert_ne!(loud, detector);
    home.write("detectors.d/connections.yaml", loud);
    let (code, stdout, stderr) = compare("0");
    assert_eq!(code, 1, "{stdout}{stderr}");
}

#[test]
fn the_hooks_run_check_on_files_of_margay() {
    let hooks = yaml(".pre-commit-hooks.yaml");
    let hooks = hooks.as_sequence().unwrap();
    assert_eq!(hooks.len(), 2);
    for hook in hooks {
        for key in ["id", "name", "description", "entry", "language", "files"] {
            assert!(hook[key].as_str().is_some_and(|text| !text.is_empty()), "{key}: {hook:?}");
        }
        assert_eq!(hook["entry"], "margay check");
        let dir = Home::new();
        dir.margay(&["init"]).expect(0);
        let (code, _, stderr) = bash(&dir.path(""), hook["entry"].as_str().unwrap(), &[]);
        assert_eq!(code, 0, "{stderr}");
    }
}

#[test]
fn the_workflow_of_the_example_has_no_problems() {
    let actionlint = root().join("target/editor/bin/actionlint");
    if !actionlint.exists() {
        return leave_out("the_workflow_of_the_example_has_no_problems", "needs what tests/services/editor.sh fetches");
    }
    let workflow = root().join("examples/gitops/.github/workflows/margay.yml");
    let ran = Command::new(actionlint).arg(&workflow).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stdout));
}

#[test]
fn the_walk_through_of_the_example_runs_as_it_is_written() {
    let home = Home::new();
    copy(&root().join("examples"), &home.path("examples"));
    let dir = home.path("examples/gitops");
    let text = std::fs::read_to_string(dir.join("README.md")).unwrap();
    let blocks: Vec<&str> =
        text.split("```console\n").skip(1).map(|block| block.split("```").next().unwrap()).collect();
    assert!(blocks.len() >= 5, "{}", blocks.len());
    for block in blocks {
        let mut lines = block.lines().peekable();
        while let Some(line) = lines.next() {
            let command = line.strip_prefix("$ ").unwrap_or_else(|| panic!("no command stands before `{line}`"));
            let mut expected = String::new();
            while let Some(output) = lines.next_if(|line| !line.starts_with("$ ")) {
                expected.push_str(output);
                expected.push('\n');
            }
            let (code, stdout, stderr) = bash(&dir, command, &[]);
            assert_eq!(code, 0, "{command}\n{stdout}{stderr}");
            // What the text leaves out is what nobody reads there: the list of what was written.
            if !expected.is_empty() {
                assert_eq!(stdout, expected, "{command}\n{stderr}");
            }
        }
    }
}
