//! From a record to a template's value: structs become objects (an unknown field is an error, as with Go's
//! structs), maps stay maps (an unknown key is `<no value>`).

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::Display;

use gtmpl_ng::{Number, NumberKind, Value};
use serde::ser::{self, Serialize};

use crate::base::error::{Context, Result};

/// Turns a record into a template's value.
pub(super) fn value_of<T: Serialize + ?Sized>(record: &T) -> Result<Value> {
    to_value(record).context("prepare a record for the template")
}

/// As [`value_of`], for serialisers.
pub(super) fn to_value<T: Serialize + ?Sized>(record: &T) -> Result<Value, Unfit> {
    record.serialize(ToValue)
}

/// Objects under these keys are maps with free keys; all others have the fields of a struct.
const MAPS: &[&str] = &[
    "Annotations",
    "CgroupConf",
    "Data",
    "ExposedPorts",
    "Labels",
    "Networks",
    "Options",
    "PortBindings",
    "Ports",
    "Sysctls",
    "Tmpfs",
    "Volumes",
];

/// Makes what Go prints for a field that was never set.
type Zero = fn() -> Value;

/// Fields of an image's or container's `Config` that are left out where they are empty, with Go's zero values.
const CONFIG: &[(&str, Zero)] = &[
    ("Cmd", no_items),
    ("Entrypoint", no_items),
    ("Env", no_items),
    ("ExposedPorts", no_members),
    ("Labels", no_members),
    ("OnBuild", no_items),
    ("StopSignal", no_text),
    ("User", no_text),
    ("Volumes", no_members),
    ("WorkingDir", no_text),
];

fn no_items() -> Value {
    Value::Array(Vec::new())
}

fn no_members() -> Value {
    Value::Map(HashMap::new())
}

fn no_text() -> Value {
    Value::from("")
}

/// Turns a JSON document, as `inspect` shows it, into a template's value.
pub(super) fn value_of_json(key: &str, json: &serde_json::Value) -> Value {
    match json {
        serde_json::Value::Object(members) => {
            let mut fields: HashMap<String, Value> =
                members.iter().map(|(key, value)| (key.clone(), value_of_json(key, value))).collect();
            if MAPS.contains(&key) {
                return Value::Map(fields);
            }
            remember_order(&members.keys().cloned().collect::<Vec<_>>());
            for (name, zero) in CONFIG.iter().filter(|_| key == "Config") {
                let field = fields.entry((*name).to_owned()).or_insert_with(zero);
                if *field == Value::Nil {
                    *field = zero();
                }
            }
            Value::Object(fields)
        }
        serde_json::Value::Array(items) => {
            Value::Array(items.iter().map(|item| value_of_json("", item)).collect())
        }
        serde_json::Value::Null => Value::Nil,
        serde_json::Value::Bool(flag) => Value::from(*flag),
        serde_json::Value::String(text) => Value::from(text.as_str()),
        serde_json::Value::Number(number) => match (number.as_u64(), number.as_i64()) {
            (Some(whole), _) => Value::from(whole),
            (None, Some(whole)) => Value::from(whole),
            (None, None) => Value::from(number.as_f64().unwrap_or_default()),
        },
    }
}

thread_local! {
    /// The order of fields of every struct seen, by its sorted field names: objects are unordered, but `json`
    /// must print fields in the order of the record.
    static ORDERS: RefCell<HashMap<Vec<String>, Vec<String>>> = RefCell::default();
}

fn remember_order(fields: &[String]) {
    let mut sorted = fields.to_vec();
    sorted.sort();
    ORDERS.with_borrow_mut(|orders| {
        orders.entry(sorted).or_insert_with(|| fields.to_vec());
    });
}

fn order_of(object: &HashMap<String, Value>) -> Vec<String> {
    let mut sorted: Vec<String> = object.keys().cloned().collect();
    sorted.sort();
    ORDERS.with_borrow(|orders| orders.get(&sorted).cloned()).unwrap_or(sorted)
}

/// Writes a value as Go's `encoding/json` does, without escaping HTML.
pub(super) fn json_of(value: &Value) -> String {
    let text = |text: &str| serde_json::Value::from(text).to_string();
    match value {
        Value::NoValue | Value::Nil | Value::Function(_) => "null".into(),
        Value::Bool(flag) => flag.to_string(),
        Value::String(string) => text(string),
        Value::Number(number) => number_json(number),
        Value::Array(items) => format!("[{}]", items.iter().map(json_of).collect::<Vec<_>>().join(",")),
        Value::Object(fields) | Value::Map(fields) => {
            let member = |key: &String| format!("{}:{}", text(key), json_of(&fields[key]));
            format!("{{{}}}", order_of(fields).iter().map(member).collect::<Vec<_>>().join(","))
        }
    }
}

fn number_json(number: &Number) -> String {
    match number.kind() {
        NumberKind::Float(float) => serde_json::Value::from(float).to_string(),
        _ => Value::Number(*number).to_string(),
    }
}

/// Why a record does not become a value; none of dhow's records has what would cause it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Unfit(String);

impl ser::Error for Unfit {
    fn custom<T: Display>(message: T) -> Self {
        Unfit(message.to_string())
    }
}

struct ToValue;

macro_rules! plain {
    ($($method:ident: $type:ty),* $(,)?) => {
        $(fn $method(self, value: $type) -> Result<Value, Unfit> { Ok(Value::from(value)) })*
    };
}

impl ser::Serializer for ToValue {
    type Ok = Value;
    type Error = Unfit;
    type SerializeSeq = Items;
    type SerializeTuple = Items;
    type SerializeTupleStruct = Items;
    type SerializeTupleVariant = Items;
    type SerializeMap = Members;
    type SerializeStruct = Members;
    type SerializeStructVariant = Members;

    plain! {
        serialize_bool: bool, serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64,
        serialize_f32: f32, serialize_f64: f64, serialize_str: &str,
    }

    fn serialize_char(self, value: char) -> Result<Value, Unfit> {
        Ok(Value::from(value.to_string()))
    }
    fn serialize_bytes(self, value: &[u8]) -> Result<Value, Unfit> {
        Ok(Value::from(String::from_utf8_lossy(value).into_owned()))
    }
    fn serialize_none(self) -> Result<Value, Unfit> {
        Ok(Value::Nil)
    }
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Value, Unfit> {
        value.serialize(self)
    }
    fn serialize_unit(self) -> Result<Value, Unfit> {
        Ok(Value::Nil)
    }
    fn serialize_unit_struct(self, _: &'static str) -> Result<Value, Unfit> {
        Ok(Value::Nil)
    }
    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<Value, Unfit> {
        Ok(Value::from(variant))
    }
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<Value, Unfit> {
        value.serialize(self)
    }
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<Value, Unfit> {
        Ok(Value::Object(HashMap::from([(variant.to_owned(), value.serialize(ToValue)?)])))
    }
    fn serialize_seq(self, length: Option<usize>) -> Result<Items, Unfit> {
        Ok(Items(Vec::with_capacity(length.unwrap_or(0))))
    }
    fn serialize_tuple(self, length: usize) -> Result<Items, Unfit> {
        self.serialize_seq(Some(length))
    }
    fn serialize_tuple_struct(self, _: &'static str, length: usize) -> Result<Items, Unfit> {
        self.serialize_seq(Some(length))
    }
    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        length: usize,
    ) -> Result<Items, Unfit> {
        self.serialize_seq(Some(length))
    }
    fn serialize_map(self, _: Option<usize>) -> Result<Members, Unfit> {
        Ok(Members::default())
    }
    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Members, Unfit> {
        Ok(Members { object: true, ..Members::default() })
    }
    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Members, Unfit> {
        Ok(Members { object: true, ..Members::default() })
    }
}

struct Items(Vec<Value>);

macro_rules! items {
    ($($trait:ident . $method:ident),* $(,)?) => {$(
        impl ser::$trait for Items {
            type Ok = Value;
            type Error = Unfit;
            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unfit> {
                self.0.push(value.serialize(ToValue)?);
                Ok(())
            }
            fn end(self) -> Result<Value, Unfit> {
                Ok(Value::Array(self.0))
            }
        }
    )*};
}

items!(
    SerializeSeq.serialize_element,
    SerializeTuple.serialize_element,
    SerializeTupleStruct.serialize_field,
    SerializeTupleVariant.serialize_field,
);

#[derive(Default)]
struct Members {
    fields: HashMap<String, Value>,
    order: Vec<String>,
    key: String,
    object: bool,
}

impl Members {
    fn add<T: Serialize + ?Sized>(&mut self, key: String, value: &T) -> Result<(), Unfit> {
        self.fields.insert(key.clone(), value.serialize(ToValue)?);
        self.order.push(key);
        Ok(())
    }
}

impl ser::SerializeMap for Members {
    type Ok = Value;
    type Error = Unfit;
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Unfit> {
        self.key = match key.serialize(ToValue)? {
            Value::String(text) => text,
            other => other.to_string(),
        };
        Ok(())
    }
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unfit> {
        let key = std::mem::take(&mut self.key);
        self.add(key, value)
    }
    fn end(self) -> Result<Value, Unfit> {
        Ok(Value::Map(self.fields))
    }
}

macro_rules! members {
    ($($trait:ident),*) => {$(
        impl ser::$trait for Members {
            type Ok = Value;
            type Error = Unfit;
            fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<(), Unfit> {
                self.add(key.to_owned(), value)
            }
            fn end(self) -> Result<Value, Unfit> {
                remember_order(&self.order);
                Ok(if self.object { Value::Object(self.fields) } else { Value::Map(self.fields) })
            }
        }
    )*};
}

members!(SerializeStruct, SerializeStructVariant);
