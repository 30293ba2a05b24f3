package dev.sidewinder.kvcache;

import java.util.random.RandomGenerator;

/// The books of one cache, each made once, for those of its classes that work on most of them.
///
/// @param pool        the frames
/// @param fence       which steps may still touch them
/// @param index       what earlier sequences left
/// @param work        what is to be copied with the next step
/// @param supply      finds room
/// @param suspensions the host area
/// @param commitments what running sequences hold or are promised
/// @param tally       counts
record CacheParts(FramePool pool, StepFence fence, PrefixIndex index, WorkQueue work, FrameSupply supply, Suspensions suspensions,
        Commitments commitments, CacheTally tally) {

    /// Books of a cache that holds nothing.
    static CacheParts of(FrameShape shape, HostShape host, ReuseEstimate estimate, RandomGenerator random) {
        var fence = new StepFence();
        var pool = new FramePool(shape, fence);
        var index = new PrefixIndex(pool, estimate, random);
        var work = new WorkQueue(pool, fence);
        var tally = new CacheTally();
        return new CacheParts(pool, fence, index, work, new FrameSupply(pool, index, work, tally),
                new Suspensions(host, fence, pool, index, work), new Commitments(pool, index), tally);
    }
}
