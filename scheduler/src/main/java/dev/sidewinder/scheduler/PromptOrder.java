package dev.sidewinder.scheduler;

/// In which order the prompts of a step go on.
public enum PromptOrder {
    /// Short ones between the pieces of long ones: what [PromptTurns] describes.
    TURNS,
    /// One after the other, as they were admitted; who waits begins when all before it have been taken to their end. To compare with.
    ARRIVAL
}
