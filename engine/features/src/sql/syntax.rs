//! What the syntax tree may hold, and what is rewritten in it.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CastKind, DataType, Distinct, DuplicateTreatment, ExactNumberInfo, Expr, Function, FunctionArg,
    FunctionArgExpr, FunctionArgumentList, FunctionArguments, Ident, ObjectName, Query, Select, SetExpr, Spanned,
    TableFactor, Value, Visit, VisitMut, Visitor, VisitorMut,
};
use datafusion::sql::sqlparser::tokenizer::Span;

use super::complaint::Complaint;
use super::functions;

/// Operators between two expressions at most: planning takes time with their square.
const OPERATORS_MOST: usize = 200;

/// What names may stand for.
pub(crate) struct Scope<'a> {
    /// Name of the log.
    pub(crate) log: &'a str,
    /// Columns of the log.
    pub(crate) columns: Vec<&'a str>,
}

impl<'a> Scope<'a> {
    /// The column that a name means: the same name, or without quotes one that differs in case only.
    pub(crate) fn column(&self, name: &Ident) -> Option<&'a str> {
        let same = self.columns.iter().find(|column| **column == name.value);
        let alike = || {
            let mut alike = self.columns.iter().filter(|column| column.eq_ignore_ascii_case(&name.value));
            alike.next().filter(|_| name.quote_style.is_none() && alike.next().is_none())
        };
        same.or_else(alike).copied()
    }
}

/// Checks one expression over the columns of the log, and gives names their quotes.
///
/// # Errors
/// All that is wrong with it.
pub(crate) fn expression(expression: &mut Expr, scope: &Scope<'_>) -> Result<(), Vec<Complaint>> {
    let mut check = Check::new(scope, false);
    let _ = Visit::visit(&*expression, &mut check);
    check.finish()?;
    let _ = VisitMut::visit(expression, &mut Rewrite { columns: Some(scope) });
    Ok(())
}

/// Checks one query of the log.
///
/// # Errors
/// All that is wrong with it.
pub(crate) fn query(query: &mut Query, scope: &Scope<'_>) -> Result<(), Vec<Complaint>> {
    let mut check = Check::new(scope, true);
    let _ = Visit::visit(&*query, &mut check);
    if check.reads == 0 && check.complaints.is_empty() {
        check.complain(Complaint::new(format!("the query does not read its log `{}`", scope.log)));
    }
    check.finish()?;
    let _ = VisitMut::visit(query, &mut Rewrite { columns: None });
    Ok(())
}

struct Check<'a> {
    scope: &'a Scope<'a>,
    /// Whether queries are allowed, and names are left to the planner.
    is_query: bool,
    complaints: Vec<Complaint>,
    operators: usize,
    /// How often each common table is read.
    tables: BTreeMap<String, usize>,
    /// How often the log is read.
    reads: usize,
}

impl<'a> Check<'a> {
    fn new(scope: &'a Scope<'a>, is_query: bool) -> Self {
        Self { scope, is_query, complaints: Vec::new(), operators: 0, tables: BTreeMap::new(), reads: 0 }
    }

    fn finish(self) -> Result<(), Vec<Complaint>> {
        if self.complaints.is_empty() { Ok(()) } else { Err(self.complaints) }
    }

    fn complain(&mut self, complaint: Complaint) {
        self.complaints.push(complaint);
    }

    fn refuse(&mut self, what: &str, span: Span) {
        self.complain(Complaint::new(format!("{what} is not allowed")).at_span(span));
    }

    fn name(&mut self, name: &Ident) {
        if self.scope.column(name).is_some() {
            return;
        }
        let complaint = Complaint::new(format!("log `{}` has no column `{}`", self.scope.log, name.value));
        self.complain(complaint.at_span(name.span).nearest(&name.value, self.scope.columns.iter().copied()));
    }

    fn function(&mut self, function: &Function) {
        let name = function.name.to_string().to_lowercase();
        let span = function.name.span();
        if let Some(refusal) = functions::refusal(&name) {
            let complaint = Complaint::new(format!("function `{name}` is not allowed: {}", refusal.reason()));
            let complaint = complaint.at_span(span);
            let instead = functions::instead(&name);
            self.complain(match instead {
                Some(instead) => complaint.hint(format!("use {instead}")),
                None => complaint,
            });
        } else if !functions::is_allowed(&name) {
            let known = functions::SCALARS.iter().chain(functions::AGGREGATES).copied();
            let complaint = Complaint::new(format!("there is no function `{name}`")).at_span(span);
            self.complain(complaint.nearest(&name, known));
        }
        if function.over.is_some() {
            self.complain(Complaint::new("window functions (OVER) are not allowed: they need all rows").at_span(span));
        }
        if let FunctionArguments::List(list) = &function.args {
            let distinct = list.duplicate_treatment == Some(DuplicateTreatment::Distinct);
            if distinct && !functions::TAKES_DISTINCT.contains(&&name[..]) {
                let complaint = Complaint::new(format!("DISTINCT is not allowed in `{name}`, only in `count`"));
                self.complain(complaint.at_span(span));
            }
            if !distinct && name == functions::MEMBERS {
                let complaint = Complaint::new(format!("`{name}` needs DISTINCT: a list of every row has no bound"));
                self.complain(complaint.at_span(span).hint(format!("{name}(DISTINCT column)")));
            }
        }
    }

    fn clauses(&mut self, query: &Query) {
        let span = query.span();
        if let Some(with) = &query.with {
            if with.recursive {
                self.refuse("WITH RECURSIVE", with.span());
            }
            self.tables.extend(with.cte_tables.iter().map(|table| (table.alias.name.value.to_lowercase(), 0)));
        }
        if query.limit_clause.is_some() || query.fetch.is_some() {
            self.refuse("LIMIT, which depends on the order of the rows,", span);
        }
        let odd = !query.locks.is_empty()
            || query.for_clause.is_some()
            || query.settings.is_some()
            || query.format_clause.is_some()
            || !query.pipe_operators.is_empty();
        if odd {
            self.refuse("a clause after the SELECT other than ORDER BY", span);
        }
        match query.body.as_ref() {
            SetExpr::Select(_) | SetExpr::Query(_) => {}
            SetExpr::SetOperation { op, .. } => self.refuse(&format!("{op}, which reads the log twice,"), span),
            _ => self.complain(Complaint::new("only a SELECT is allowed").at_span(span)),
        }
    }

    fn select(&mut self, select: &Select) {
        let span = select.select_token.0.span;
        if select.from.len() != 1 || select.from.iter().any(|from| !from.joins.is_empty()) {
            self.complain(Complaint::new("a query reads its log once, and nothing else: no joins").at_span(span));
        }
        if matches!(select.distinct, Some(Distinct::On(_))) {
            self.refuse("DISTINCT ON, which depends on the order of the rows,", span);
        }
        let odd = select.top.is_some()
            || select.into.is_some()
            || !select.lateral_views.is_empty()
            || select.prewhere.is_some()
            || !select.connect_by.is_empty()
            || !select.named_window.is_empty()
            || select.qualify.is_some()
            || select.value_table_mode.is_some();
        if odd {
            self.refuse("TOP, INTO, LATERAL VIEW, PREWHERE, CONNECT BY, WINDOW or QUALIFY", span);
        }
    }

    fn table(&mut self, name: &ObjectName) {
        let text = name.to_string().trim_matches('"').to_owned();
        let count = match self.tables.get_mut(&text.to_lowercase()) {
            Some(count) => count,
            None if text.eq_ignore_ascii_case(self.scope.log) => &mut self.reads,
            None => {
                let complaint = Complaint::new(format!("there is no table `{text}`: the log is `{}`", self.scope.log));
                return self.complain(complaint.at_span(name.span()));
            }
        };
        *count += 1;
        if *count > 1 {
            self.complain(Complaint::new(format!("`{text}` may be read only once")).at_span(name.span()));
        }
    }
}

impl Visitor for Check<'_> {
    type Break = ();

    fn pre_visit_expr(&mut self, expression: &Expr) -> ControlFlow<()> {
        match expression {
            Expr::Function(function) => self.function(function),
            Expr::Identifier(name) if !self.is_query => self.name(name),
            Expr::CompoundIdentifier(names) if !self.is_query => match &names[..] {
                [table, name] if table.value.eq_ignore_ascii_case(self.scope.log) => self.name(name),
                _ => self.name(&names[0]),
            },
            Expr::BinaryOp { .. } => {
                self.operators += 1;
                if self.operators == OPERATORS_MOST + 1 {
                    let message = format!("there are more than the {OPERATORS_MOST} operators allowed");
                    self.complain(Complaint::new(message).hint("write long lists of values as `x IN (…)`"));
                }
            }
            Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. } if self.is_query => {
                self.refuse("a subquery within an expression", expression.span());
            }
            Expr::GroupingSets(_) | Expr::Cube(_) | Expr::Rollup(_) => {
                self.refuse("GROUPING SETS, CUBE or ROLLUP", expression.span());
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        if self.is_query {
            self.clauses(query);
            return ControlFlow::Continue(());
        }
        self.refuse("a subquery", query.span());
        ControlFlow::Break(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        self.select(select);
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        match factor {
            TableFactor::Table { name, args: None, sample: None, version: None, .. } => self.table(name),
            TableFactor::Derived { lateral: false, sample: None, .. } => {}
            _ => self.refuse("a source of rows other than the log", factor.span()),
        }
        ControlFlow::Continue(())
    }
}

/// Writes what is meant in a form that the planner takes as it is.
struct Rewrite<'a> {
    /// Where names of columns are to be written as they are in the log.
    columns: Option<&'a Scope<'a>>,
}

impl Rewrite<'_> {
    fn quote(&self, name: &Ident) -> Option<Ident> {
        let column = self.columns?.column(name)?;
        Some(Ident { value: column.to_owned(), quote_style: Some('"'), span: name.span })
    }
}

impl VisitorMut for Rewrite<'_> {
    type Break = ();

    fn post_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<()> {
        match expression {
            Expr::Identifier(name) => {
                if let Some(quoted) = self.quote(name) {
                    *name = quoted;
                }
            }
            Expr::CompoundIdentifier(names) if self.columns.is_some() => {
                if let Some(quoted) = names.last().and_then(|name| self.quote(name)) {
                    *expression = Expr::Identifier(quoted);
                }
            }
            Expr::BinaryOp { left, op: BinaryOperator::Divide, right } => real_division(left, right),
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// Shares are what `/` is used for: it divides real numbers, and gives null where the divisor is zero.
fn real_division(left: &mut Box<Expr>, right: &mut Box<Expr>) {
    let take = |from: &mut Box<Expr>| std::mem::replace(from, Box::new(Expr::Identifier(Ident::new(""))));
    let expr = take(left);
    let data_type = DataType::Double(ExactNumberInfo::None);
    **left = Expr::Cast { kind: CastKind::Cast, expr, data_type, array: false, format: None };
    if !matches!(**right, Expr::Value(_)) {
        let zero = Expr::Value(Value::Number("0".to_owned(), false).with_empty_span());
        let args = [*take(right), zero].map(|arg| FunctionArg::Unnamed(FunctionArgExpr::Expr(arg)));
        let args = FunctionArgumentList { duplicate_treatment: None, args: args.into(), clauses: Vec::new() };
        **right = Expr::Function(Function {
            name: ObjectName::from(vec![Ident::new("nullif")]),
            uses_odbc_syntax: false,
            parameters: FunctionArguments::None,
            args: FunctionArguments::List(args),
            filter: None,
            null_treatment: None,
            over: None,
            within_group: Vec::new(),
        });
    }
}
