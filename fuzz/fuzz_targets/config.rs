//! Text to a configuration, or to an error that names a place in it.

#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use txtgate::config::{Config, ConfigError};

fuzz_target!(|text: &str| {
    // Files that it names are looked for where there are none.
    match Config::parse(Path::new("/nonexistent/config.toml"), text) {
        Ok(config) => assert!(!config.zones.is_empty() && !config.dns.listen.is_empty()),
        Err(ConfigError::Unreadable { path, .. }) => panic!("{} has been given", path.display()),
        Err(ConfigError::Wrong(mistakes)) => {
            assert!(mistakes.in_file().count() > 0, "no mistake in the file: {mistakes}");
            for (line, column, problem) in mistakes.in_file() {
                let place = text.split('\n').nth(line.wrapping_sub(1));
                let place = place.unwrap_or_else(|| panic!("line {line} of {}: {problem}", text.lines().count()));
                assert!((1..=place.chars().count() + 1).contains(&column), "column {column} of {place:?}: {problem}");
                assert!(!problem.is_empty());
            }
        }
        Err(other @ ConfigError::NotFound(_)) => panic!("{other}"),
    }
});
