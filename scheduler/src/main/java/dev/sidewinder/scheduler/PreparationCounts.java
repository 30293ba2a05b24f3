package dev.sidewinder.scheduler;

/// What has become of preparations so far.
///
/// @param waiting  those that are still to be computed, as a whole or in part
/// @param begun    taken in; the rest saved too little, or there were too many
/// @param done     computed to their end
/// @param overtaken dropped since the prompt came that they were for, or another one in its place
/// @param dropped  given up: too many, no room for what they leave, or forgotten with what is kept
/// @param tokens   computed
public record PreparationCounts(int waiting, long begun, long done, long overtaken, long dropped, long tokens) {}
