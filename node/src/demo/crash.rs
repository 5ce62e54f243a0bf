//! A validator dies by SIGKILL, misses heights, comes back and catches up.

use super::stage::*;
use super::summary::*;
use aether_mesh::Slot;
use std::time::Instant;

const VICTIM: &str = "validator-4";

/// Heights the killed validator must miss.
const MISSED_MIN: u64 = 5;

pub(super) fn kill_validator(stage: &mut Stage) -> Done<Slot> {
    stage.tell.chapter("A validator dies");
    let height = status(stage, VICTIM)?.height;
    stage.urls.remove(VICTIM);
    let process = stage
        .net
        .node(VICTIM)
        .ok_or_else(|| text("no such validator"))?;
    process.kill();
    stage
        .tell
        .say(format!("{VICTIM} killed with SIGKILL at height {height}"));
    Ok(height)
}

pub(super) fn restart_validator(stage: &mut Stage, killed_at: Slot) -> Done<()> {
    stage.tell.chapter("The validator returns");
    let height = await_that(stage, "it to miss enough heights", |s| {
        let height = status(s, "validator-1")?.height;
        Ok((height.0 > killed_at.0 + MISSED_MIN).then_some(height))
    })?;
    let started = Instant::now();
    stage.net.start(VICTIM, &[]).map_err(text)?;
    let url = stage.net.ready(VICTIM).map_err(text)?;
    stage.urls.insert(VICTIM.to_owned(), client(&url)?);
    await_that(stage, "it to catch up", |s| {
        let there = status(s, "validator-1")?.height;
        let here = status(s, VICTIM)?.height;
        Ok((here.0 + 1 >= there.0 && here > height).then_some(()))
    })?;
    let seconds = started.elapsed().as_secs_f64();
    stage.tell.say(format!(
        "{VICTIM} restarted at height {height} after missing {}, replayed and caught up in {seconds:.1} s",
        height.0 - killed_at.0
    ));
    stage.summary.crash = Some(CrashSummary {
        validator: VICTIM.to_owned(),
        killed_at,
        restarted_at: height,
        missed: height.0 - killed_at.0,
        caught_up_seconds: seconds,
    });
    Ok(())
}
