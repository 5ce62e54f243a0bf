//! Stories of a network in one process, on a made-up clock.

mod app;
mod chain;
mod crash;
mod hostile;
mod sim;
mod threads;
