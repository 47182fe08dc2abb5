//! One message between server and `umbra inspect-server`: two lengths of four bytes, lowest first, then a JSON text and the bytes of
//! a file, which may be none.

use std::io::{self, Read, Write};

use serde::Serialize;

use super::LARGEST_FILE;

/// Longest text of a message, in bytes: a hundred times the largest answer about an image of 224 pixels.
const LONGEST_TEXT: usize = 64 << 20;
/// Bytes of the two lengths.
pub const HEAD: usize = 8;

/// A message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    /// JSON.
    pub text: Vec<u8>,
    /// The file.
    pub file: Vec<u8>,
}

impl Frame {
    /// A message without a file.
    ///
    /// # Errors
    /// A value that JSON cannot hold.
    pub fn of(value: &impl Serialize) -> io::Result<Frame> {
        let text = serde_json::to_vec(value)?;
        Ok(Frame { text, file: Vec::new() })
    }

    /// The whole message as bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let length = |part: &[u8]| (part.len() as u32).to_le_bytes();
        [&length(&self.text)[..], &length(&self.file), &self.text, &self.file].concat()
    }

    /// Writes it and makes sure that it is sent.
    ///
    /// # Errors
    /// A pipe that is closed.
    pub fn write(&self, mut to: impl Write) -> io::Result<()> {
        to.write_all(&self.bytes())?;
        to.flush()
    }

    /// Reads the next one; nothing where the other side has ended between two.
    ///
    /// # Errors
    /// A message that is torn or too long.
    pub fn read(mut from: impl Read) -> io::Result<Option<Frame>> {
        let mut head = [0; HEAD];
        // The end of the stream is no error before the first byte of a message.
        match from.read(&mut head[..1])? {
            0 => return Ok(None),
            _ => from.read_exact(&mut head[1..])?,
        }
        let (text, file) = lengths(head)?;
        let mut frame = Frame {
            text: vec![0; text],
            file: vec![0; file],
        };
        from.read_exact(&mut frame.text)?;
        from.read_exact(&mut frame.file)?;
        Ok(Some(frame))
    }
}

/// Lengths of text and file, in bytes.
///
/// # Errors
/// If either is longer than any message of ours.
pub fn lengths(head: [u8; HEAD]) -> io::Result<(usize, usize)> {
    let length = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]) as usize;
    let (text, file) = (length(0), length(4));
    if text > LONGEST_TEXT || file > LARGEST_FILE {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("a message of {text} and {file} bytes is none of ours"),
        ));
    }
    Ok((text, file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_back_one_after_another() {
        let first = Frame {
            text: b"{}".to_vec(),
            file: vec![1, 2, 3],
        };
        let second = Frame::of(&vec![1, 2]).unwrap();
        let stream = [first.bytes(), second.bytes()].concat();
        let mut stream = &stream[..];
        assert_eq!(Frame::read(&mut stream).unwrap(), Some(first));
        assert_eq!(Frame::read(&mut stream).unwrap(), Some(second));
        assert_eq!(Frame::read(&mut stream).unwrap(), None);
    }

    #[test]
    fn a_torn_or_endless_message_is_an_error() {
        let bytes = Frame::of(&"text").unwrap().bytes();
        for cut in 1..bytes.len() {
            assert!(Frame::read(&bytes[..cut]).is_err(), "{cut}");
        }
        assert!(Frame::read(&[255; 16][..]).unwrap_err().to_string().contains("none of ours"));
    }
}
