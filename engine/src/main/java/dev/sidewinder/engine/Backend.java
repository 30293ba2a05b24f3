package dev.sidewinder.engine;

import dev.sidewinder.kvcache.Allocation;
import dev.sidewinder.scheduler.Batch;
import java.lang.foreign.MemorySegment;
import java.util.Optional;

/// Computes the forward pass. Owned by the engine thread: no method may be called from another one.
public interface Backend extends AutoCloseable {

    /// What this backend has memory for.
    BackendMemory memory();

    int vocabSize();

    /// Whether a token computed in a decode step leaves the same bits behind as the same token computed in a piece of a prompt.
    /// What decode steps wrote may then serve other sequences in every mode.
    default boolean decodeEqualsScan() {
        return false;
    }

    /// Whether a row of logits depends, bit for bit, on the tokens of its own sequence and on which of them were its prompt, and on
    /// nothing else.
    default boolean isBatchInvariant() {
        return true;
    }

    /// Fills memory with zeros, behind the steps under way and before the next one. Where nothing is stored there is nothing to do.
    default void erase(Allocation memory) {}

    /// What must be equal for the bytes of a state or a block to be of use to another engine: backend family, arithmetic,
    /// number formats, version and sizes of the layout. Says nothing about the model's weights.
    default String cacheFormat() {
        throw new UnsupportedOperationException("the states of this backend are of no use elsewhere: " + description());
    }

    /// The bytes of a state in the host area: to be read when the step that copies it there has completed, to be written before
    /// the step that copies it back is launched. A step has completed ([LaunchedStep#await]) when its copies have, too, also
    /// those that run beside it.
    ///
    /// @param place in `[0, states)` of the host area
    default MemorySegment hostState(int place) {
        throw new IllegalArgumentException("state " + place + " of a host area without room: " + description());
    }

    /// The bytes of a KV block in the host area, as [#hostState].
    ///
    /// @param place in `[0, blocks)` of the host area
    default MemorySegment hostBlock(int place) {
        throw new IllegalArgumentException("block " + place + " of a host area without room: " + description());
    }

    /// Fills with zeros what lies behind the first tokens of a block: another sequence may have left something there, which is not to
    /// be taken along. Any thread.
    ///
    /// @param block  bytes as [#hostBlock] gives them
    /// @param tokens that remain, 1 to 127
    default void clearBehind(MemorySegment block, int tokens) {
        throw new UnsupportedOperationException("the blocks of this backend are of no use elsewhere: " + description());
    }

    /// Runs every entry of the batch, advances its state and KV, writes the states that it names on the way, bit for bit those that
    /// pieces ending there would leave, and returns the wanted rows of logits. What the batch says of memory is copied with it, in
    /// the order that [dev.sidewinder.kvcache.MemoryWork] names.
    ///
    /// The result is valid until the next call; no step may be under way. A row depends only on the tokens of its own
    /// sequence, never on what else is in the batch or how the sequence was cut into pieces (on the 128-token grid).
    Logits forward(Batch batch);

    /// Begins to run a batch and to choose from its rows of logits. The step before must have been awaited, unless its
    /// [LaunchedStep#sample] allowed this one before that.
    ///
    /// A backend that computes on the calling thread has run the batch when this returns.
    default LaunchedStep launch(Batch batch) {
        return new ComputedStep(forward(batch));
    }

    /// Called when no step follows for now: the moment for what would hold steps up.
    default void idle() {}

    /// Where the tokens of a mixture of experts went, for any thread to read; empty when this backend does not count them.
    default Optional<ExpertLoad> expertLoad() {
        return Optional.empty();
    }

    /// One line for the start-up log: arithmetic, instruction set, libraries.
    String description();

    @Override
    void close();
}
