//! Questions from a pipe, one at a time: what `umbra inspect-server` does.

use std::io::{self, Read, Write};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

use crate::inspect::Inspector;
use crate::playground::frame::Frame;
use crate::playground::{Reply, Request};

/// Answers until the other side closes its end of `input`, or asks nothing for as long as `idle`.
///
/// # Errors
/// A message that is torn, or an answer that nobody takes.
pub fn serve(inspector: &mut Inspector, mut input: impl Read + Send + 'static, mut output: impl Write, idle: Duration) -> io::Result<()> {
    let (hand_over, questions) = sync_channel(1);
    // It ends with the input, or with the process.
    thread::spawn(move || {
        loop {
            let frame = Frame::read(&mut input);
            let last = !matches!(frame, Ok(Some(_)));
            if hand_over.send(frame).is_err() || last {
                break;
            }
        }
    });
    loop {
        let frame = match questions.recv_timeout(idle) {
            Ok(Ok(Some(frame))) => frame,
            Ok(Err(torn)) => return Err(torn),
            Ok(Ok(None)) | Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return Ok(()),
        };
        let reply = answer(inspector, &frame, &mut output);
        Frame::of(&reply)?.write(&mut output)?;
    }
}

fn answer(inspector: &mut Inspector, frame: &Frame, output: &mut impl Write) -> Reply {
    let request: Request = match serde_json::from_slice(&frame.text) {
        Ok(request) => request,
        Err(fault) => return Reply::Refused(format!("the question cannot be read: {fault}")),
    };
    let mut report = |news: &str| {
        // If nobody listens any more, the answer will find out.
        let _ = Frame::of(&Reply::Working(news.to_owned())).and_then(|frame| frame.write(&mut *output));
    };
    let reply = match &request {
        Request::Look(question) => inspector
            .answer(question, &frame.file, &mut report)
            .map(|answer| Reply::Answer(Box::new(answer))),
        Request::Map(mapping) => inspector.map(mapping, &mut report).map(|map| Reply::Map(Box::new(map))),
        Request::Image { of, index } => inspector.image(of, *index, &mut report).map(Reply::Image),
    };
    reply.unwrap_or_else(|refusal| Reply::Refused(format!("{refusal:#}")))
}
