//! pyhookwatch: every change to a file that Python runs by itself at start-up becomes one alert that
//! names its writer.
//!
//! One change passes five stages, in this order because each fact rots faster than the next:
//!
//! 1. [`source`] reads the kernel's queue: where was something written?
//! 2. [`writer`] reads `/proc` at once, in the same thread: who wrote it?
//! 3. [`hook`] looks at the file once: what is it, and what would run?
//! 4. [`rules`] decides by Sigma rules: does it matter?
//! 5. [`alert`] makes one ECS document and delivers it: who is told?
//!
//! [`daemon`] wires the stages together and [`commands`] are the entry points; a stage knows only
//! [`event`], [`escape`], [`problem`] and [`sys`] (the one file with `unsafe`), never another stage.

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
