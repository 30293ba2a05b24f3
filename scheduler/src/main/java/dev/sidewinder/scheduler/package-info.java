/// Which sequences run next, and how many tokens of each: bookkeeping over integers, no threads, no text, no tensors.
///
/// Read [dev.sidewinder.scheduler.Scheduler] first; [dev.sidewinder.scheduler.StepComposer] fills a step,
/// [dev.sidewinder.scheduler.FairQueue] has who is next, [dev.sidewinder.scheduler.Residents] who has memory,
/// [dev.sidewinder.scheduler.StepBudget] how much of a prompt. Everything here belongs to the engine thread.
package dev.sidewinder.scheduler;
