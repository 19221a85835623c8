//! `pyhookwatch status`: shows the status of the running daemon.

mod client;
mod text;

pub use client::{configured_socket, query};

use super::exit::Exit;
use super::output::{print, print_error, print_json};
use super::style::Style;
use client::QueryError;
use std::path::PathBuf;

/// Queries the daemon and prints its status.
pub fn status(socket: Option<PathBuf>, json: bool) -> Exit {
    match socket.map_or_else(configured_socket, Ok).and_then(|socket| query(&socket)) {
        Ok(report) => {
            if json {
                print_json(&report);
            } else {
                print(&text::render(&report, &Style::of_output()));
            }
            Exit::Fine
        }
        Err(QueryError { exit, reason }) => {
            print_error(reason);
            exit
        }
    }
}
