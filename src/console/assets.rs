//! The console's own files, which are part of the program.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use ring::digest::{SHA256, digest};

const STYLE: &str = include_str!("assets/console.css");
const SCRIPT: &str = include_str!("assets/console.js");
const ICON: &str = include_str!("assets/icon.svg");
/// The address changes with the content, so browsers may keep the files.
const KEEP: &str = "public, max-age=31536000, immutable";

/// The path of the style sheet.
pub static STYLE_PATH: LazyLock<String> = LazyLock::new(|| format!("/assets/console.css?v={}", version(STYLE)));
/// The path of the script.
pub static SCRIPT_PATH: LazyLock<String> = LazyLock::new(|| format!("/assets/console.js?v={}", version(SCRIPT)));
/// The path of the icon.
pub static ICON_PATH: LazyLock<String> = LazyLock::new(|| format!("/assets/icon.svg?v={}", version(ICON)));

fn version(content: &str) -> String {
    digest(&SHA256, content.as_bytes()).as_ref().iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

/// Serves one of the files.
pub async fn file(Path(name): Path<String>) -> Response {
    let (kind, content) = match name.as_str() {
        "console.css" => ("text/css; charset=utf-8", STYLE),
        "console.js" => ("text/javascript; charset=utf-8", SCRIPT),
        "icon.svg" => ("image/svg+xml", ICON),
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, KEEP)], content).into_response()
}
