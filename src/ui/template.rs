//! Go templates with the functions that Docker and Podman add. The engine stays behind this page.

use std::cell::OnceCell;

use gtmpl_ng::{Context as Data, ExecError, Func, FuncError, Limits, Value};

use super::plain::Plain;
use super::value::{json_of, value_of, value_of_json};
use crate::base::error::{Error, Explain, Kind, Result, fail};
use serde::Serialize;

/// A parsed template.
pub struct Template {
    /// As it was written.
    text: String,
    ends_line: bool,
    /// The same without the engine, where the template is that plain.
    plain: Option<Plain>,
    /// Made when it is first needed: the engine parses with a thread of its own.
    engine: OnceCell<gtmpl_ng::Template>,
}

impl std::fmt::Debug for Template {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Template")
    }
}

type Call = std::result::Result<Value, FuncError>;

const FUNCTIONS: &[(&str, Func)] = &[
    ("json", json),
    ("join", join),
    ("lower", lower),
    ("upper", upper),
    ("title", title),
    ("split", split),
    ("truncate", truncate),
    ("pad", pad),
    ("label", label),
];

/// In a heading the functions let the column's name pass.
const PASSING: &[(&str, Func)] = &[
    ("json", first),
    ("join", first),
    ("lower", first),
    ("upper", first),
    ("title", first),
    ("split", first),
    ("truncate", first),
    ("pad", pad),
    ("label", label_heading),
    ("index", last),
    ("slice", first),
    ("len", first),
];

impl Template {
    /// Parses a template; `\t` and `\n` may be written as escapes.
    pub fn parse(text: &str) -> Result<Template> {
        let prepared = prepare(text);
        let plain = Plain::parse(&prepared);
        let engine = match plain {
            Some(_) => OnceCell::new(),
            None => OnceCell::from(engine(text, FUNCTIONS)?),
        };
        Ok(Template { text: text.to_owned(), ends_line: prepared.ends_with('\n'), plain, engine })
    }

    /// What is printed after a rendering: a newline, unless the template itself ends in one.
    pub fn line_end(&self) -> &'static str {
        if self.ends_line { "" } else { "\n" }
    }

    /// Renders a record, without a newline at the end.
    pub fn render<T: Serialize + ?Sized>(&self, record: &T) -> Result<String> {
        match self.plain.as_ref().and_then(|plain| plain.render(record)) {
            Some(text) => Ok(text),
            None => self.render_value(value_of(record)?),
        }
    }

    /// Renders a JSON document, without a newline at the end.
    pub fn render_json(&self, document: &serde_json::Value) -> Result<String> {
        self.render_value(value_of_json("", document))
    }

    fn render_value(&self, value: Value) -> Result<String> {
        match self.engine.get() {
            Some(engine) => run(engine, value),
            None => {
                let engine = engine(&self.text, FUNCTIONS)?;
                run(self.engine.get_or_init(|| engine), value)
            }
        }
    }
}

/// Prepares the engine for a template.
fn engine(text: &str, functions: &[(&str, Func)]) -> Result<gtmpl_ng::Template> {
    let mut engine = gtmpl_ng::Template::with_limits(Limits::unlimited());
    engine.add_funcs(functions);
    engine.parse(prepare(text)).map_err(|error| {
        fail(Kind::Usage, format!("template `{text}`: {error}"))
            .hint("fields are written `{{.Name}}`; `json` prints everything there is")
    })?;
    Ok(engine)
}

fn run(engine: &gtmpl_ng::Template, value: Value) -> Result<String> {
    let fields = field_names(&value);
    engine.render(&Data::from(value)).map_err(|error| explain(error, &fields))
}

/// Renders the heading of a table: the template with every field replaced by its column's name.
pub fn heading(columns: &str, headings: &[(&str, &str)]) -> Result<String> {
    let name = |field: &str| headings.iter().find(|(known, _)| *known == field).map(|(_, name)| *name);
    if let Some(text) = Plain::parse(&prepare(columns)).and_then(|plain| plain.fill(name)) {
        return Ok(text);
    }
    let fields = headings.iter().map(|(field, name)| ((*field).to_owned(), Value::from(*name))).collect();
    run(&engine(columns, PASSING)?, Value::Object(fields))
}

/// Escapes of the command line, and `.Label "x"`, a method in Go.
fn prepare(text: &str) -> String {
    text.replace("\\t", "\t").replace("\\n", "\n").replace(".Label \"", "label $ \"")
}

fn field_names(value: &Value) -> Vec<String> {
    let Value::Object(fields) = value else { return Vec::new() };
    let mut names: Vec<String> = fields.keys().map(|name| format!(".{name}")).collect();
    names.sort();
    names
}

fn explain(error: ExecError, fields: &[String]) -> Error {
    let message = match &error {
        ExecError::Structured(inner) => inner.message.clone(),
        other => other.to_string(),
    };
    let Some((field, _)) = message.strip_prefix("no field `").and_then(|rest| rest.split_once('`')) else {
        return fail(Kind::Usage, format!("template: {message}"));
    };
    let failed =
        fail(Kind::Usage, format!("template: can't evaluate field `{field}`: there is no such field"));
    if fields.is_empty() { failed } else { failed.hint(format!("fields are {}", fields.join(" "))) }
}

fn argument(args: &[Value], at: usize) -> std::result::Result<&Value, FuncError> {
    args.get(at).ok_or_else(|| FuncError::Generic("a function of the template has too few arguments".into()))
}

fn string(args: &[Value], at: usize) -> std::result::Result<String, FuncError> {
    Ok(argument(args, at)?.to_string())
}

fn number(args: &[Value], at: usize) -> std::result::Result<usize, FuncError> {
    string(args, at)?.parse().map_err(|_| FuncError::Generic("a number is expected".into()))
}

fn first(args: &[Value]) -> Call {
    argument(args, 0).cloned()
}

fn last(args: &[Value]) -> Call {
    argument(args, args.len().saturating_sub(1)).cloned()
}

fn json(args: &[Value]) -> Call {
    Ok(json_of(argument(args, 0)?).into())
}

/// `join LIST SEPARATOR`.
fn join(args: &[Value]) -> Call {
    let Value::Array(items) = argument(args, 0)? else {
        return Err(FuncError::Generic("`join` takes a list and a separator".into()));
    };
    let parts: Vec<String> = items.iter().map(Value::to_string).collect();
    Ok(parts.join(&string(args, 1)?).into())
}

fn lower(args: &[Value]) -> Call {
    Ok(string(args, 0)?.to_lowercase().into())
}

fn upper(args: &[Value]) -> Call {
    Ok(string(args, 0)?.to_uppercase().into())
}

fn title(args: &[Value]) -> Call {
    let mut start = true;
    let raise = |c: char| {
        let out = if start { c.to_uppercase().collect::<String>() } else { c.to_string() };
        start = !c.is_alphanumeric() && c != '\'';
        out
    };
    Ok(string(args, 0)?.chars().map(raise).collect::<String>().into())
}

/// `split TEXT SEPARATOR`.
fn split(args: &[Value]) -> Call {
    let (text, separator) = (string(args, 0)?, string(args, 1)?);
    Ok(Value::Array(text.split(separator.as_str()).map(Value::from).collect()))
}

/// `truncate TEXT LENGTH`.
fn truncate(args: &[Value]) -> Call {
    Ok(string(args, 0)?.chars().take(number(args, 1)?).collect::<String>().into())
}

/// `pad TEXT BEFORE AFTER`.
fn pad(args: &[Value]) -> Call {
    let text = string(args, 0)?;
    if text.is_empty() {
        return Ok(text.into());
    }
    Ok(format!("{}{text}{}", " ".repeat(number(args, 1)?), " ".repeat(number(args, 2)?)).into())
}

/// `.Label "key"`: the label's value or nothing.
fn label(args: &[Value]) -> Call {
    let (Value::Object(row), key) = (argument(args, 0)?, string(args, 1)?) else { return Ok("".into()) };
    match row.get("Labels") {
        Some(Value::Map(labels)) => Ok(labels.get(&key).cloned().unwrap_or_else(|| "".into())),
        _ => Ok("".into()),
    }
}

/// Docker heads such a column with the label's last word.
fn label_heading(args: &[Value]) -> Call {
    let key = string(args, 1)?;
    Ok(key.rsplit(['.', '/']).next().unwrap_or(&key).to_owned().into())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[derive(Serialize)]
    struct Inner {
        #[serde(rename = "Zed")]
        zed: u32,
        #[serde(rename = "Alpha")]
        alpha: Option<u32>,
    }

    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Record {
        name: String,
        running: bool,
        size: u64,
        ratio: f64,
        args: Vec<String>,
        labels: BTreeMap<String, String>,
        inner: Inner,
    }

    fn record() -> Record {
        Record {
            name: "web server".into(),
            running: true,
            size: 1_234_567,
            ratio: 1.5,
            args: vec!["a".into(), "b<c".into()],
            labels: BTreeMap::from([("x".into(), "1".into()), ("com.a/b".into(), "2".into())]),
            inner: Inner { zed: 1, alpha: None },
        }
    }

    #[test]
    fn templates_print_what_go_prints() {
        for (template, expected) in [
            ("{{.Name}}", "web server"),
            ("{{.Running}} {{.Size}} {{.Ratio}}", "true 1234567 1.5"),
            ("{{.Args}}", "[a b<c]"),
            ("{{.Labels}}", "map[com.a/b:2 x:1]"),
            ("{{.Labels.x}}|{{.Labels.none}}", "1|<no value>"),
            ("{{index .Labels \"x\"}}", "1"),
            ("{{.Label \"x\"}}{{.Label \"none\"}}", "1"),
            ("{{json .Args}}", "[\"a\",\"b<c\"]"),
            ("{{json .Inner}}", "{\"Zed\":1,\"Alpha\":null}"),
            ("{{json .Labels}}", "{\"com.a/b\":\"2\",\"x\":\"1\"}"),
            ("{{json .Ratio}} {{json .Name}}", "1.5 \"web server\""),
            ("{{join .Args \",\"}}", "a,b<c"),
            ("{{upper .Name}} {{title .Name}}", "WEB SERVER Web Server"),
            ("{{index (split .Name \" \") 1}}", "server"),
            ("{{truncate .Name 3}}|{{pad .Name 1 2}}|", "web| web server  |"),
            ("{{slice .Name 0 3}}", "web"),
            ("{{range .Args}}<{{.}}>{{end}}", "<a><b<c>"),
            ("{{range $k, $v := .Labels}}{{$k}}={{$v}};{{end}}", "com.a/b=2;x=1;"),
            ("{{if .Running}}up{{else}}down{{end}}", "up"),
            ("{{printf \"%q %5d\" .Name .Inner.Zed}}", "\"web server\"     1"),
            ("{{len .Args}}\\t{{.Inner.Zed}}", "2\t1"),
            ("{{.Inner.Alpha}}", "<no value>"),
            ("{{println .Name}}", "web server\n"),
            ("{{with .Inner}}{{.Zed}}{{end}}", "1"),
            ("{{eq .Name \"web server\"}}", "true"),
        ] {
            assert_eq!(Template::parse(template).unwrap().render(&record()).unwrap(), expected, "{template}");
        }
    }

    #[test]
    fn an_unknown_field_is_named_and_the_known_ones_are_listed() {
        let error = Template::parse("{{.Nmae}}").unwrap().render(&record()).unwrap_err();
        assert!(crate::base::error::render(&error).contains("can't evaluate field `Nmae`"));
        assert!(crate::base::error::hints_of(&error)[0].contains(".Name"));
        assert!(Template::parse("{{.Name").is_err());
    }

    #[test]
    fn documents_have_struct_fields_and_free_maps() {
        let document = serde_json::json!({
            "State": {"Running": true, "Pid": 42}, "Config": {"Labels": {"a": "b"}, "Cmd": null, "Env": ["A=1"]},
        });
        for (template, expected) in [
            ("{{.State.Running}} {{.State.Pid}}", "true 42"),
            ("{{.Config.Labels}} {{.Config.Labels.none}}", "map[a:b] <no value>"),
            ("{{.Config.Cmd}} {{.Config.Entrypoint}} {{.Config.User}}|", "[] [] |"),
            ("{{json .State}}", "{\"Pid\":42,\"Running\":true}"),
            ("{{range .Config.Env}}{{println .}}{{end}}", "A=1\n"),
        ] {
            assert_eq!(
                Template::parse(template).unwrap().render_json(&document).unwrap(),
                expected,
                "{template}"
            );
        }
        assert!(Template::parse("{{.State.Runing}}").unwrap().render_json(&document).is_err());
    }

    #[test]
    fn an_empty_template_prints_nothing() {
        assert_eq!(Template::parse("").unwrap().render(&record()).unwrap(), "");
    }
}
