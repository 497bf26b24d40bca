//! Templates that only name fields (`{{.ID}}\t{{.Names}}`, as all default columns do), without the engine: of each
//! record only the named fields are looked at, so that a field that costs something to word costs nothing unnamed.

use gtmpl_ng::{NumberKind, Value};
use serde::ser::{self, Impossible, Serialize};

use super::value::{Unfit, to_value};

/// A template of text and plain fields.
pub(super) struct Plain {
    parts: Vec<Part>,
}

enum Part {
    Text(String),
    Field(String),
}

impl Plain {
    /// Parses a template; `None` when it needs the engine.
    pub(super) fn parse(mut text: &str) -> Option<Plain> {
        let mut parts = Vec::new();
        while let Some((before, rest)) = text.split_once("{{") {
            let (field, after) = rest.split_once("}}")?;
            let name = field.strip_prefix('.').filter(|name| is_name(name))?;
            parts.extend([Part::Text(before.to_owned()), Part::Field(name.to_owned())]);
            text = after;
        }
        parts.push(Part::Text(text.to_owned()));
        Some(Plain { parts })
    }

    /// Renders a record; `None` when it is none whose fields are all there and are text, whole numbers or flags. Then
    /// the engine renders, or says what is wrong.
    pub(super) fn render<T: Serialize + ?Sized>(&self, record: &T) -> Option<String> {
        record.serialize(Pick { parts: &self.parts }).ok()
    }

    /// Puts a text in the place of every field; `None` when one has none.
    pub(super) fn fill<'a>(&self, text_of: impl Fn(&str) -> Option<&'a str>) -> Option<String> {
        let text = |part: &'_ Part| match part {
            Part::Text(text) => Some(text.clone()),
            Part::Field(name) => text_of(name).map(str::to_owned),
        };
        self.parts.iter().map(text).collect()
    }
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Serialises a struct to the text of the template.
struct Pick<'a> {
    parts: &'a [Part],
}

/// The struct's fields as they come; `found[n]` is the text of `parts[n]`.
struct Fields<'a> {
    parts: &'a [Part],
    found: Vec<Option<String>>,
}

impl ser::SerializeStruct for Fields<'_> {
    type Ok = String;
    type Error = Unfit;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<(), Unfit> {
        for (part, found) in self.parts.iter().zip(&mut self.found) {
            if matches!(part, Part::Field(name) if name == key) {
                *found = Some(plain_text(to_value(value)?)?);
            }
        }
        Ok(())
    }

    fn end(self) -> Result<String, Unfit> {
        let mut text = String::new();
        for (part, found) in self.parts.iter().zip(&self.found) {
            text.push_str(match (part, found) {
                (Part::Text(text), _) => text,
                (Part::Field(_), Some(found)) => found,
                (Part::Field(_), None) => return unfit(),
            });
        }
        Ok(text)
    }
}

/// What the engine would print, for kinds of values where that is plain.
fn plain_text(value: Value) -> Result<String, Unfit> {
    match value {
        Value::String(text) => Ok(text),
        Value::Bool(flag) => Ok(flag.to_string()),
        Value::Number(number) if !matches!(number.kind(), NumberKind::Float(_)) => {
            Ok(Value::Number(number).to_string())
        }
        _ => unfit(),
    }
}

fn unfit<T>() -> Result<T, Unfit> {
    Err(ser::Error::custom("the engine renders this"))
}

macro_rules! unfit {
    ($($method:ident($($type:ty),*) -> $result:ty;)*) => {
        $(fn $method(self, $(_: $type),*) -> Result<$result, Unfit> { unfit() })*
    };
}

type Never = Impossible<String, Unfit>;

impl<'a> ser::Serializer for Pick<'a> {
    type Ok = String;
    type Error = Unfit;
    type SerializeSeq = Never;
    type SerializeTuple = Never;
    type SerializeTupleStruct = Never;
    type SerializeTupleVariant = Never;
    type SerializeMap = Never;
    type SerializeStruct = Fields<'a>;
    type SerializeStructVariant = Never;

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Fields<'a>, Unfit> {
        Ok(Fields { parts: self.parts, found: vec![None; self.parts.len()] })
    }

    unfit! {
        serialize_bool(bool) -> String;
        serialize_i8(i8) -> String;
        serialize_i16(i16) -> String;
        serialize_i32(i32) -> String;
        serialize_i64(i64) -> String;
        serialize_u8(u8) -> String;
        serialize_u16(u16) -> String;
        serialize_u32(u32) -> String;
        serialize_u64(u64) -> String;
        serialize_f32(f32) -> String;
        serialize_f64(f64) -> String;
        serialize_char(char) -> String;
        serialize_str(&str) -> String;
        serialize_bytes(&[u8]) -> String;
        serialize_none() -> String;
        serialize_unit() -> String;
        serialize_unit_struct(&'static str) -> String;
        serialize_unit_variant(&'static str, u32, &'static str) -> String;
        serialize_seq(Option<usize>) -> Never;
        serialize_tuple(usize) -> Never;
        serialize_tuple_struct(&'static str, usize) -> Never;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Never;
        serialize_map(Option<usize>) -> Never;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> Never;
    }

    fn serialize_some<T: Serialize + ?Sized>(self, _: &T) -> Result<String, Unfit> {
        unfit()
    }
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: &T,
    ) -> Result<String, Unfit> {
        unfit()
    }
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<String, Unfit> {
        unfit()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Record {
        name: String,
        size: u64,
        up: bool,
        ratio: f64,
        args: Vec<String>,
    }

    #[test]
    fn fields_are_rendered_and_everything_else_is_left_to_the_engine() {
        let record = Record { name: "a b".into(), size: 7, up: true, ratio: 1.5, args: Vec::new() };
        let render = |template: &str| Plain::parse(template)?.render(&record);
        assert_eq!(render("{{.Name}}\t{{.Size}} {{.Up}}{{.Name}}!").as_deref(), Some("a b\t7 truea b!"));
        assert_eq!(render("no field").as_deref(), Some("no field"));
        for other in
            ["{{.None}}", "{{.Ratio}}", "{{.Args}}", "{{ .Name }}", "{{.Name.X}}", "{{json .}}", "{{.Name"]
        {
            assert_eq!(render(other), None, "{other}");
        }
    }
}
