//! `txtgate watch`, running.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::process::BINARY;
use super::{Home, PATIENCE};

/// The command with `--json`. Dropping it ends it.
pub struct Watch {
    child: Child,
    lines: Receiver<String>,
}

impl Watch {
    pub fn over(home: &Home, name: &str) -> Self {
        let mut command = Command::new(BINARY);
        command.args(["watch", name, "--json", "--config"]).arg(home.config());
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let output = child.stdout.take().unwrap();
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            BufReader::new(output).lines().map_while(Result::ok).for_each(|line| _ = sender.send(line));
        });
        Self { child, lines }
    }

    /// The first line. Until the watch has begun there is nobody to tell, so `provoke` is called again and again.
    pub fn first(&self, mut provoke: impl FnMut()) -> Value {
        let start = Instant::now();
        loop {
            provoke();
            match self.lines.recv_timeout(Duration::from_millis(50)) {
                Ok(line) => return serde_json::from_str(&line).unwrap(),
                Err(error) => assert!(start.elapsed() < PATIENCE, "{error}"),
            }
        }
    }

    /// The next event that fulfils `is_wanted`; others before it are skipped.
    pub fn find(&self, is_wanted: impl Fn(&Value) -> bool) -> Value {
        let start = Instant::now();
        loop {
            let left = PATIENCE.saturating_sub(start.elapsed());
            let line = self.lines.recv_timeout(left).unwrap_or_else(|error| panic!("no such event: {error}"));
            let event = serde_json::from_str(&line).unwrap();
            if is_wanted(&event) {
                return event;
            }
        }
    }

    /// Ends it; the lines that it had still to say.
    pub fn end(mut self) -> Vec<String> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.lines.iter().collect()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // Ended already is as good.
        _ = self.child.kill();
        _ = self.child.wait();
    }
}
