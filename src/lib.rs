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

pub mod alert;
pub mod cli;
pub mod commands;
pub mod config;
pub mod daemon;
pub mod escape;
pub mod event;
pub mod hook;
pub mod logger;
pub mod problem;
pub mod rules;
pub mod source;
pub mod sys;
pub mod users;
pub mod walk;
pub mod writer;
