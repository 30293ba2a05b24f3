package dev.sidewinder.engine.cpu;

import dev.sidewinder.scheduler.BatchEntry;
import java.util.List;

/// The rows of one forward pass: one per token, entry after entry.
///
/// @param residual the residual stream, fp32 `[rows, hidden]`; more room than rows is allowed
/// @param entries  the runs of tokens
/// @param firstRow row of the first token of each entry
/// @param rows     tokens in all
record Step(float[] residual, List<BatchEntry> entries, int[] firstRow, int rows) {}
