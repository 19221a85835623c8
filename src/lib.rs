//! pyhookwatch raises an alert on every change to a file that Python runs by itself at start-up, and names its writer.
//!
//! A change goes through five stages, ordered by how fast the evidence disappears:
//!
//! 1. [`source`] reads the kernel's events: which file changed?
//! 2. [`writer`] reads `/proc` and process records, in the same thread: which process wrote it?
//! 3. [`hook`] reads the file once: which kind of hook is it, and what would it run?
//! 4. [`rules`] evaluates Sigma rules: does it matter?
//! 5. [`alert`] makes one ECS document and delivers it to the outputs.
//!
//! [`daemon`] connects the stages, and [`commands`] are the entry points. No stage uses another one: all share the
//! values of [`event`] and small tools such as [`escape`], [`diagnostic`] and [`sys`], the only file with `unsafe`.
//! `docs/architecture.md` lists what each part may use, and `tests/project` compares the list with the code.

#![warn(missing_docs)]

#[forbid(unsafe_code)]
pub mod alert;
#[forbid(unsafe_code)]
pub mod cli;
#[forbid(unsafe_code)]
pub mod commands;
#[forbid(unsafe_code)]
pub mod config;
#[forbid(unsafe_code)]
pub mod daemon;
#[forbid(unsafe_code)]
pub mod diagnostic;
#[forbid(unsafe_code)]
pub mod escape;
#[forbid(unsafe_code)]
pub mod event;
#[forbid(unsafe_code)]
pub mod handles;
#[forbid(unsafe_code)]
pub mod hook;
#[forbid(unsafe_code)]
pub mod logger;
#[forbid(unsafe_code)]
pub mod privileges;
#[forbid(unsafe_code)]
pub mod rules;
#[forbid(unsafe_code)]
pub mod secure_open;
#[forbid(unsafe_code)]
pub mod source;
pub mod sys;
#[forbid(unsafe_code)]
pub mod users;
#[forbid(unsafe_code)]
pub mod walk;
#[forbid(unsafe_code)]
pub mod writer;
