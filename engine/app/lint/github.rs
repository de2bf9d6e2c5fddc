//! Problems as workflow commands of GitHub Actions, which shows them at their lines of a pull request.

use std::path::Path;

use margay_config::{Problem, Severity};

use super::relative;

/// One command a line; `root` is what paths are shown relative to.
#[must_use]
pub fn commands(problems: &[Problem], root: &Path) -> String {
    problems.iter().map(|problem| command(problem, root)).collect()
}

fn command(problem: &Problem, root: &Path) -> String {
    let name = match problem.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let hint = problem.hint.as_deref().map(|hint| format!("\n{hint}")).unwrap_or_default();
    format!(
        "::{name} file={},line={},col={},title={}::{}\n",
        property(&relative(&problem.file, root)),
        problem.line,
        problem.column,
        property(&problem.rule),
        data(&format!("{}{hint}", problem.message)),
    )
}

/// Text that cannot end its command or start another.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// Text that cannot end its property or start another either.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_problem_starts_another_command_or_property() {
        let file = Path::new("/repo/detectors.d/a,line=9::b\n::error::c.yaml");
        let problem = Problem::new(file, (3, 5), "sql", "100 %\r\n::set-output name=x::y".to_owned());
        let text = commands(&[problem.hint("use\nless".to_owned()).warning()], Path::new("/repo"));
        assert_eq!(
            text,
            "::warning file=detectors.d/a%2Cline=9%3A%3Ab%0A%3A%3Aerror%3A%3Ac.yaml,line=3,col=5,title=sql\
             ::100 %25%0D%0A::set-output name=x::y%0Ause%0Aless\n"
        );
    }
}
