//! Carries out the instructions of a pickle.

use std::collections::HashMap;

use anyhow::{Context, bail};

use super::literal::{integer, unescaped};
use super::{Bytes, Id, Value};

/// Values that are too many (ours: a batch of CIFAR has 100,000).
const MOST_VALUES: usize = 4_000_000;
/// Lists within lists that are too many.
const MOST_DEEP: usize = 1000;

/// Functions and types that may stand in a pickle, by module and name, and what they are here.
const NAMES: [(&str, &str, &str); 9] = [
    ("numpy.core.multiarray", "_reconstruct", "reconstruct"),
    ("numpy._core.multiarray", "_reconstruct", "reconstruct"),
    ("numpy.core.numeric", "_frombuffer", "frombuffer"),
    ("numpy._core.numeric", "_frombuffer", "frombuffer"),
    ("numpy", "ndarray", "ndarray"),
    ("numpy", "dtype", "dtype"),
    ("_codecs", "encode", "encode"),
    ("__builtin__", "bytearray", "bytearray"),
    ("builtins", "bytearray", "bytearray"),
];

/// Carries out all of `bytes`: every value that was made, and which is the last.
pub(super) fn run(bytes: &[u8]) -> anyhow::Result<(Vec<Value>, Id)> {
    let mut machine = Machine {
        bytes,
        at: 0,
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
        values: Vec::new(),
        made: 0,
    };
    loop {
        if let Some(root) = machine.step()? {
            return Ok((machine.values, root));
        }
    }
}

/// The stack machine that a pickle is a program for.
struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    stack: Vec<Id>,
    marks: Vec<usize>,
    memo: HashMap<u64, Id>,
    values: Vec<Value>,
    /// Bytes that were decoded, which must not grow beyond the pickle.
    made: usize,
}

impl<'a> Machine<'a> {
    /// Carries out one instruction; the result is the last value once it is there.
    fn step(&mut self) -> anyhow::Result<Option<Id>> {
        let at = self.at;
        let code = self.take(1)?[0];
        if code == b'.' {
            return Ok(Some(self.pop()?));
        }
        if !(self.scalar(code)? || self.string(code)? || self.collection(code)? || self.object(code)?) {
            bail!("its byte {at} is the pickle instruction 0x{code:02x}, which is not carried out");
        }
        Ok(None)
    }

    /// Numbers, truth values, nothing, and frames.
    fn scalar(&mut self, code: u8) -> anyhow::Result<bool> {
        let value = match code {
            0x80 => return self.take(1).map(|_| true), // Protocol.
            0x95 => return self.take(8).map(|_| true), // Frame.
            b'N' | 0x88 | 0x89 => Value::Other,
            b'K' => Value::Int(self.number(1)? as i64),
            b'M' => Value::Int(self.number(2)? as i64),
            b'J' => Value::Int(i64::from(self.number(4)? as u32 as i32)),
            b'G' => self.take(8).map(|_| Value::Other)?,
            b'F' => self.line().map(|_| Value::Other)?,
            0x8a => {
                let size = self.number(1)? as usize;
                integer(self.take(size)?)?
            }
            b'I' | b'L' => {
                let line = std::str::from_utf8(self.line()?)?.trim_end_matches('L');
                let line = line.strip_prefix('0').filter(|rest| !rest.is_empty()).unwrap_or(line);
                Value::Int(line.parse().with_context(|| format!("`{line}` is no integer"))?)
            }
            _ => return Ok(false),
        };
        self.push(value)?;
        Ok(true)
    }

    /// Bytes and text.
    fn string(&mut self, code: u8) -> anyhow::Result<bool> {
        let digits = match code {
            b'U' | b'C' | 0x8c => 1,
            b'T' | b'B' | b'X' => 4,
            0x8d | 0x8e | 0x96 => 8,
            b'V' => {
                let line = self.line()?;
                let text = unescaped(line, true)?;
                return self.made(text).map(|()| true);
            }
            b'S' => {
                let line = self.line()?;
                let inner = match line {
                    [b'\'', inner @ .., b'\''] | [b'"', inner @ .., b'"'] => inner,
                    _ => bail!("a string in it has no quotes"),
                };
                let text = unescaped(inner, false)?;
                return self.made(text).map(|()| true);
            }
            _ => return Ok(false),
        };
        let size = usize::try_from(self.number(digits)?)?;
        let start = self.at;
        self.take(size)?;
        self.push(Value::Text(Bytes::There(start..start + size)))?;
        Ok(true)
    }

    /// Lists, tuples, dictionaries, and what was remembered.
    fn collection(&mut self, code: u8) -> anyhow::Result<bool> {
        match code {
            b'(' if self.marks.len() == MOST_DEEP => bail!("it is nested more than {MOST_DEEP} deep"),
            b'(' => self.marks.push(self.stack.len()),
            b']' | b')' => self.push(Value::List(Vec::new()))?,
            b'}' => self.push(Value::Dict(Vec::new()))?,
            b'l' | b't' => {
                let items = self.above_mark()?;
                self.push(Value::List(items))?;
            }
            b'd' => {
                let items = self.above_mark()?;
                self.push(Value::Dict(pairs(&items)?))?;
            }
            0x85..=0x87 => {
                let from = self.stack.len().checked_sub(usize::from(code - 0x84)).context("it ends early")?;
                let items = self.stack.split_off(from);
                self.push(Value::List(items))?;
            }
            b'a' | b'e' => {
                let items = if code == b'a' { vec![self.pop()?] } else { self.above_mark()? };
                match self.top()? {
                    Value::List(list) => list.extend(items),
                    _ => bail!("it appends to what is no list"),
                }
            }
            b's' | b'u' => {
                let items = if code == b's' {
                    let value = self.pop()?;
                    vec![self.pop()?, value]
                } else {
                    self.above_mark()?
                };
                let new = pairs(&items)?;
                match self.top()? {
                    Value::Dict(dict) => dict.extend(new),
                    _ => bail!("it sets a key of what is no dictionary"),
                }
            }
            _ => return self.memory(code),
        }
        Ok(true)
    }

    /// Remembers the last value, or gets one back.
    fn memory(&mut self, code: u8) -> anyhow::Result<bool> {
        let key = match code {
            b'q' | b'h' => self.number(1)?,
            b'r' | b'j' => self.number(4)?,
            b'p' | b'g' => std::str::from_utf8(self.line()?)?.parse()?,
            0x94 => self.memo.len() as u64,
            _ => return Ok(false),
        };
        if matches!(code, b'h' | b'j' | b'g') {
            let id = *self.memo.get(&key).context("it asks for a value that it has not")?;
            self.stack.push(id);
        } else {
            let id = *self.stack.last().context("it ends early")?;
            self.memo.insert(key, id);
        }
        if self.memo.len().max(self.stack.len()) > MOST_VALUES {
            bail!("it has more than {MOST_VALUES} values");
        }
        Ok(true)
    }

    /// Names, and what they make.
    fn object(&mut self, code: u8) -> anyhow::Result<bool> {
        match code {
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                let known = known(module, name)?;
                self.push(known)?;
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let known = known(self.text(module)?, self.text(name)?)?;
                self.push(known)?;
            }
            b'R' => {
                let (arguments, function) = (self.pop()?, self.pop()?);
                let made = self.call(function, arguments)?;
                self.push(made)?;
            }
            b'b' => {
                let state = self.pop()?;
                self.build(state)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// What a known function makes.
    fn call(&mut self, function: Id, arguments: Id) -> anyhow::Result<Value> {
        let Value::Name(name) = self.values[function] else {
            bail!("it calls what is no function")
        };
        let arguments = self.list(arguments)?.to_vec();
        let first = *arguments.first().with_context(|| format!("`{name}` has no arguments"))?;
        match name {
            "reconstruct" => Ok(Value::Array {
                shape: vec![0],
                bytes: Bytes::There(0..0),
            }),
            "dtype" => Ok(Value::Element(String::from_utf8_lossy(self.text(first)?).into_owned())),
            "frombuffer" => {
                let [bytes, element, shape, _order] = arguments[..] else {
                    bail!("an array in it has other parts than NumPy's")
                };
                self.array(shape, element, bytes)
            }
            "bytearray" => {
                let bytes = self.text(first)?.to_vec();
                self.count(bytes.len())?;
                Ok(Value::Text(Bytes::Made(bytes)))
            }
            "encode" => {
                let latin = |letter: char| u8::try_from(u32::from(letter)).context("a text in it is not Latin-1");
                let text = std::str::from_utf8(self.text(first)?)?;
                let bytes: Vec<u8> = text.chars().map(latin).collect::<anyhow::Result<_>>()?;
                self.count(bytes.len())?;
                Ok(Value::Text(Bytes::Made(bytes)))
            }
            other => bail!("it calls `{other}`, which makes nothing that is read"),
        }
    }

    /// Gives the last value its state.
    fn build(&mut self, state: Id) -> anyhow::Result<()> {
        let at = *self.stack.last().context("it ends early")?;
        match &self.values[at] {
            Value::Element(_) => Ok(()), // Its byte order, which single bytes have none of.
            Value::Array { .. } => {
                let [_version, shape, element, _columns_first, bytes] = self.list(state)?[..] else {
                    bail!("an array in it has other parts than NumPy's")
                };
                self.values[at] = self.array(shape, element, bytes)?;
                Ok(())
            }
            _ => bail!("it builds what is no array"),
        }
    }

    fn array(&mut self, shape: Id, element: Id, bytes: Id) -> anyhow::Result<Value> {
        let size = |id: &Id| match self.values[*id] {
            Value::Int(size) => usize::try_from(size).context("an array in it has a negative size"),
            _ => bail!("an array in it has a size that is no number"),
        };
        let shape: Vec<usize> = self.list(shape)?.iter().map(size).collect::<anyhow::Result<_>>()?;
        match &self.values[element] {
            Value::Element(name) if name == "u1" || name == "|u1" => {}
            Value::Element(name) => bail!("an array in it is of the type `{name}`, not of bytes (`u1`)"),
            _ => bail!("an array in it has no type"),
        }
        let length = self.text(bytes)?.len();
        if shape.iter().try_fold(1_usize, |all, size| all.checked_mul(*size)) != Some(length) {
            bail!("an array in it has {length} bytes for the sizes {shape:?}");
        }
        let Value::Text(bytes) = &self.values[bytes] else {
            bail!("an array in it has no bytes")
        };
        let bytes = bytes.clone();
        if let Bytes::Made(made) = &bytes {
            self.count(made.len())?;
        }
        Ok(Value::Array { shape, bytes })
    }

    fn push(&mut self, value: Value) -> anyhow::Result<()> {
        if self.values.len() >= MOST_VALUES {
            bail!("it has more than {MOST_VALUES} values");
        }
        self.stack.push(self.values.len());
        self.values.push(value);
        Ok(())
    }

    fn made(&mut self, bytes: Vec<u8>) -> anyhow::Result<()> {
        self.count(bytes.len())?;
        self.push(Value::Text(Bytes::Made(bytes)))
    }

    /// Counts decoded bytes; a pickle that repeats itself must not fill the memory.
    fn count(&mut self, more: usize) -> anyhow::Result<()> {
        self.made += more;
        if self.made > 4 * self.bytes.len() {
            bail!("it decodes to much more than it has");
        }
        Ok(())
    }

    fn pop(&mut self) -> anyhow::Result<Id> {
        self.stack.pop().context("it ends early")
    }

    fn top(&mut self) -> anyhow::Result<&mut Value> {
        let at = *self.stack.last().context("it ends early")?;
        Ok(&mut self.values[at])
    }

    fn above_mark(&mut self) -> anyhow::Result<Vec<Id>> {
        let mark = self.marks.pop().context("it ends a list that it did not begin")?;
        Ok(self.stack.split_off(mark.min(self.stack.len())))
    }

    fn text(&self, id: Id) -> anyhow::Result<&[u8]> {
        match &self.values[id] {
            Value::Text(Bytes::There(range)) => Ok(&self.bytes[range.clone()]),
            Value::Text(Bytes::Made(bytes)) => Ok(bytes),
            _ => bail!("it has something else where a text is needed"),
        }
    }

    fn list(&self, id: Id) -> anyhow::Result<&[Id]> {
        match &self.values[id] {
            Value::List(items) => Ok(items),
            _ => bail!("it has something else where a list is needed"),
        }
    }

    fn take(&mut self, size: usize) -> anyhow::Result<&'a [u8]> {
        let taken = self.bytes[self.at..].get(..size).context("it ends early")?;
        self.at += size;
        Ok(taken)
    }

    /// A little-endian number.
    fn number(&mut self, digits: usize) -> anyhow::Result<u64> {
        Ok(self
            .take(digits)?
            .iter()
            .rev()
            .fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn line(&mut self) -> anyhow::Result<&'a [u8]> {
        let length = self.bytes[self.at..]
            .iter()
            .position(|byte| *byte == b'\n')
            .context("it ends early")?;
        let line = self.take(length + 1)?;
        Ok(&line[..length])
    }
}

/// The function or type of that name, if it is one that a pickle of arrays needs.
fn known(module: &[u8], name: &[u8]) -> anyhow::Result<Value> {
    let found = NAMES
        .iter()
        .find(|known| (known.0.as_bytes(), known.1.as_bytes()) == (module, name));
    match found {
        Some((_, _, known)) => Ok(Value::Name(known)),
        None => bail!(
            "it asks for `{}.{}`, which no data set needs (nothing in it was executed)",
            String::from_utf8_lossy(module),
            String::from_utf8_lossy(name)
        ),
    }
}

/// Keys and values that follow each other.
fn pairs(items: &[Id]) -> anyhow::Result<Vec<(Id, Id)>> {
    if !items.len().is_multiple_of(2) {
        bail!("it has a key without a value");
    }
    Ok(items.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect())
}
