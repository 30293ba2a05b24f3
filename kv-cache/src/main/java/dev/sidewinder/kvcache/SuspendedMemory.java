package dev.sidewinder.kvcache;

import java.util.Optional;

/// The memory of a sequence in the host area: it holds nothing on the device. Resumed or closed exactly once.
///
/// What is there is never written again, so several can share it: [#share] gives another one, and
/// [SequenceMemory#suspend(SuspendedMemory, int)] one that has the first blocks in common. Each goes on by itself, and a place
/// is free when the last has left it.
public final class SuspendedMemory implements AutoCloseable {

    private final FrameCache cache;
    private final Optional<Partition> partition;
    private final int reusedTokens;
    private final int state;
    private final int[] blocks;
    /// How it comes or came to the host; empty when somebody wrote it there.
    private final Optional<Departure> departure;
    private boolean closed;

    SuspendedMemory(FrameCache cache, Optional<Partition> partition, int reusedTokens, int state, int[] blocks,
            Optional<Departure> departure) {
        this.cache = cache;
        this.partition = partition;
        this.reusedTokens = reusedTokens;
        this.state = state;
        this.blocks = blocks;
        this.departure = departure;
    }

    /// KV blocks it has.
    public int blockCount() {
        return blocks.length;
    }

    /// Gives it memory on the device again, into which the next steps copy what was suspended, bit for bit. As long as they have not,
    /// [SequenceMemory#reserve] asks to wait.
    ///
    /// @param promiseTokens as in [MemoryWish]
    public MemoryAdmission resume(int promiseTokens) {
        requireOpen();
        MemoryAdmission answer = cache.changes().resume(this, promiseTokens);
        closed = answer instanceof MemoryAdmission.Granted;
        return answer;
    }

    /// Another one with the same content, resumed or closed by itself.
    public SuspendedMemory share() {
        requireOpen();
        return cache.suspensions().share(this);
    }

    /// Whether the steps that copy it to the host have completed: what lies at its places can be read from then on.
    public boolean isThere() {
        requireOpen();
        return cache.suspensions().isThere(this);
    }

    /// Index of its state in the host area.
    public int statePlace() {
        requireOpen();
        return state;
    }

    /// Index of one of its blocks in the host area.
    public int blockPlace(int i) {
        requireOpen();
        return blocks[i];
    }

    /// Drops it: the sequence will not go on.
    @Override
    public void close() {
        requireOpen();
        closed = true;
        cache.suspensions().drop(this);
    }

    private void requireOpen() {
        if (closed) {
            throw new IllegalStateException("a suspended sequence of " + blocks.length + " blocks was resumed or closed before");
        }
    }

    // For the cache.

    Optional<Partition> partition() {
        return partition;
    }

    int reusedTokens() {
        return reusedTokens;
    }

    int state() {
        return state;
    }

    int[] blocks() {
        return blocks;
    }

    /// The step with which the last of it is copied to the host; later than any as long as that is not known.
    long copiedWith() {
        return departure.map(Departure::copiedWith).orElse(0L);
    }

    Optional<Departure> departure() {
        return departure;
    }

    /// The same for somebody else who holds it.
    SuspendedMemory again() {
        return new SuspendedMemory(cache, partition, reusedTokens, state, blocks.clone(), departure);
    }
}
