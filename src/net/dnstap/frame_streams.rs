//! Frame Streams, the container of dnstap messages: frames with a length, and control frames that begin and end a stream.
//!
//! A file holds START, data frames and STOP. Over a socket the writer first offers the content type with READY, and the
//! receiver answers with ACCEPT; the receiver confirms STOP with FINISH.

use std::io::{self, Read, Write};

/// The content type of dnstap.
const CONTENT_TYPE: &[u8] = b"protobuf:dnstap.Dnstap";
/// The most bytes of a control frame (FSTRM_CONTROL_FRAME_LENGTH_MAX).
const MAX_CONTROL: u32 = 512;
/// The field of a control frame that holds a content type.
const CONTENT_TYPE_FIELD: u32 = 1;

/// The type of a control frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Control {
    Accept = 1,
    Start = 2,
    Stop = 3,
    Ready = 4,
    Finish = 5,
}

/// Begins the stream of a file.
pub fn start(out: &mut impl Write) -> io::Result<()> {
    write_control(out, Control::Start, true)
}

/// Begins the stream of a connection: offers dnstap, waits until the receiver accepts, and starts.
pub fn start_with(receiver: &mut (impl Read + Write)) -> io::Result<()> {
    write_control(receiver, Control::Ready, true)?;
    let content_types = expect_control(receiver, Control::Accept)?;
    // A receiver that names no content type accepts any.
    if !content_types.is_empty() && !content_types.iter().any(|accepted| accepted == CONTENT_TYPE) {
        let accepted: Vec<_> = content_types.iter().map(|bytes| String::from_utf8_lossy(bytes)).collect();
        return Err(invalid(format!("the receiver accepts {}, and no dnstap", accepted.join(", "))));
    }
    write_control(receiver, Control::Start, true)
}

/// Writes a data frame.
pub fn write_frame(out: &mut impl Write, frame: &[u8]) -> io::Result<()> {
    // Longer than a DNS message by a hundred bytes at most, so the length always fits.
    out.write_all(&(frame.len() as u32).to_be_bytes())?;
    out.write_all(frame)
}

/// The bytes that a data frame takes.
pub fn size_of(frame: &[u8]) -> u64 {
    4 + frame.len() as u64
}

/// Ends the stream of a file.
pub fn stop(out: &mut impl Write) -> io::Result<()> {
    write_control(out, Control::Stop, false)
}

/// Ends the stream of a connection, and waits until the receiver has read it all.
pub fn stop_with(receiver: &mut (impl Read + Write)) -> io::Result<()> {
    stop(receiver)?;
    expect_control(receiver, Control::Finish).map(|_| ())
}

fn write_control(out: &mut impl Write, control: Control, has_content_type: bool) -> io::Result<()> {
    let mut frame = (control as u32).to_be_bytes().to_vec();
    if has_content_type {
        frame.extend_from_slice(&CONTENT_TYPE_FIELD.to_be_bytes());
        frame.extend_from_slice(&(CONTENT_TYPE.len() as u32).to_be_bytes());
        frame.extend_from_slice(CONTENT_TYPE);
    }
    // A length of 0 escapes a control frame from the data.
    out.write_all(&0_u32.to_be_bytes())?;
    out.write_all(&(frame.len() as u32).to_be_bytes())?;
    out.write_all(&frame)?;
    out.flush()
}

/// Reads a control frame, and returns the content types in it.
fn expect_control(receiver: &mut impl Read, expected: Control) -> io::Result<Vec<Vec<u8>>> {
    let escape = read_u32(receiver)?;
    let length = read_u32(receiver)?;
    if escape != 0 || !(4..=MAX_CONTROL).contains(&length) {
        return Err(invalid("the receiver does not speak Frame Streams"));
    }
    let mut frame = vec![0; length as usize];
    receiver.read_exact(&mut frame)?;
    let mut rest = &frame[..];
    let found = read_u32(&mut rest)?;
    if found != expected as u32 {
        return Err(invalid(format!("the receiver sent control frame {found}, expected {expected:?}")));
    }
    let mut content_types = Vec::new();
    while !rest.is_empty() {
        let field = read_u32(&mut rest)?;
        let length = read_u32(&mut rest)? as usize;
        let value = rest.split_off(..length).ok_or_else(|| invalid("a control frame of the receiver is too short"))?;
        if field == CONTENT_TYPE_FIELD {
            content_types.push(value.to_vec());
        }
    }
    Ok(content_types)
}

fn read_u32(from: &mut impl Read) -> io::Result<u32> {
    let mut bytes = [0; 4];
    from.read_exact(&mut bytes)?;
    Ok(u32::from_be_bytes(bytes))
}

fn invalid(problem: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::other(problem)
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::*;

    /// A receiver that says one thing, and keeps what it is sent.
    struct Receiver<'a> {
        says: &'a [u8],
        heard: Vec<u8>,
    }

    impl Read for Receiver<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.says.read(buffer)
        }
    }

    impl Write for Receiver<'_> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.heard.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn start_against(says: &[u8]) -> (io::Result<()>, Vec<u8>) {
        let mut receiver = Receiver { says, heard: Vec::new() };
        (start_with(&mut receiver), receiver.heard)
    }

    fn accept(content_types: &[&[u8]]) -> Vec<u8> {
        let mut frame = 1_u32.to_be_bytes().to_vec();
        for content_type in content_types {
            frame.extend([1_u32.to_be_bytes(), (content_type.len() as u32).to_be_bytes()].concat());
            frame.extend(*content_type);
        }
        [&0_u32.to_be_bytes()[..], &(frame.len() as u32).to_be_bytes(), &frame].concat()
    }

    #[test]
    fn a_stream_starts_once_the_receiver_accepts_dnstap() {
        let ready = [&b"\0\0\0\0\0\0\0\x22\0\0\0\x04\0\0\0\x01\0\0\0\x16"[..], CONTENT_TYPE].concat();
        let start = [&b"\0\0\0\0\0\0\0\x22\0\0\0\x02\0\0\0\x01\0\0\0\x16"[..], CONTENT_TYPE].concat();
        for accepting in [accept(&[CONTENT_TYPE]), accept(&[b"other", CONTENT_TYPE]), accept(&[])] {
            let (started, heard) = start_against(&accepting);
            started.unwrap();
            assert_eq!(heard, [ready.clone(), start.clone()].concat());
        }
        for wrong in [accept(&[b"other"]), b"HTTP/1.1 400".to_vec(), b"\0\0\0\0\0\0\0\x04\0\0\0\x05".to_vec()] {
            let (started, heard) = start_against(&wrong);
            assert_eq!((started.unwrap_err().kind(), &heard), (ErrorKind::Other, &ready));
        }
        let truncated = b"\0\0\0\0\0\0\0\x0d\0\0\0\x01\0\0\0\x01\0\0\0\x16x";
        assert!(start_against(truncated).0.is_err());
        assert_eq!(start_against(b"").0.unwrap_err().kind(), ErrorKind::UnexpectedEof);
    }
}
