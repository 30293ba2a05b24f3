package dev.sidewinder.server.metrics;

import dev.sidewinder.kvcache.CacheCounts;
import dev.sidewinder.kvcache.CacheCounts.LookupCounts;
import dev.sidewinder.kvcache.CacheCounts.StateCounts;
import dev.sidewinder.kvcache.CacheUse;
import dev.sidewinder.kvcache.CheckpointPoint;
import dev.sidewinder.kvcache.MissReason;
import dev.sidewinder.server.metrics.EngineMetrics.CacheInfo;
import java.util.Locale;
import java.util.function.DoubleSupplier;
import java.util.function.Supplier;
import java.util.function.ToDoubleFunction;
import java.util.function.ToLongFunction;

/// The series of the pool of frames and of the prefix cache. The engine counts, as of its last step or command; a scrape reads.
final class CacheMetrics {

    private final MetricRegistry own;
    private final Supplier<CacheUse> use;

    /// @param info what never changes
    /// @param use  asks the engine
    CacheMetrics(MetricRegistry compatible, MetricRegistry own, CacheInfo info, Supplier<CacheUse> use) {
        this.own = own;
        this.use = use;
        compatible(compatible, info);
        pool();
        lookups();
        states();
        own.gauge("sidewinder_suspended_bytes", "Memory of the host that suspended sequences fill.",
                of(u -> (double) u.suspendedSequences() * info.stateBytes() + (double) u.suspendedBlocks() * info.blockBytes()));
    }

    private void compatible(MetricRegistry compatible, CacheInfo info) {
        compatible.gauge("vllm:kv_cache_usage_perc",
                "The part of the pool that live requests hold or are promised, 0 to 1; what can be evicted is free.",
                of(CacheUse::committed));
        compatible.gauge("vllm:cache_config_info", "Cache shape, value is always 1.", () -> 1,
                new Label("block_size", Integer.toString(info.blockTokens())),
                new Label("cache_dtype", info.cacheType()), new Label("mamba_cache_dtype", info.stateType()),
                new Label("num_gpu_blocks", Integer.toString(info.blocks())));
        compatible.counter("vllm:prefix_cache_queries_total", "Prompt tokens that were looked up in the prefix cache.",
                count(CacheCounts::promptTokens));
        compatible.counter("vllm:prefix_cache_hits_total", "Of these, tokens that were not computed again.",
                count(CacheCounts::reusedTokens));
    }

    private void pool() {
        String blocks = "KV blocks by state.";
        own.gauge("sidewinder_kv_blocks", blocks, of(CacheUse::freeBlocks), state("free"));
        own.gauge("sidewinder_kv_blocks", blocks, of(CacheUse::runningBlocks), state("active"));
        own.gauge("sidewinder_kv_blocks", blocks, of(CacheUse::keptBlocks), state("cached"));
        own.gauge("sidewinder_kv_blocks", blocks, of(u -> u.frames().fencedBlocks()), state("fenced"));
        String slots = "Recurrent-state slots by state.";
        own.gauge("sidewinder_state_slots", slots, of(u -> u.frames().freeFrames()), state("free"));
        own.gauge("sidewinder_state_slots", slots, of(CacheUse::runningStates), state("running"));
        own.gauge("sidewinder_state_slots", slots, of(CacheUse::keptStates), state("snapshot"));
        own.gauge("sidewinder_state_slots", slots, of(u -> u.frames().fencedStates()), state("fenced"));
        String frames = "Frames of the pool by use; a frame that holds blocks of several uses counts in parts.";
        own.gauge("sidewinder_frames", frames, of(CacheMetrics::freeFrames), new Label("use", "free"));
        own.gauge("sidewinder_frames", frames, of(u -> u.runningBlocks() / blocksPerFrame(u)), new Label("use", "kv"));
        own.gauge("sidewinder_frames", frames, of(CacheUse::runningStates), new Label("use", "state"));
        own.gauge("sidewinder_frames", frames, of(u -> u.keptStates() + u.keptBlocks() / blocksPerFrame(u)), new Label("use", "cached"));
        own.gauge("sidewinder_stranded_blocks",
                "Free KV blocks of frames that hold other blocks: of use for keys and values, and for a state once they are moved together.",
                of(u -> u.frames().strandedBlocks()));
        own.counter("sidewinder_moved_blocks_total", "KV blocks that were moved together so that a frame came free.",
                of(u -> u.frames().movedBlocks()));
        own.gauge("sidewinder_kv_usage_ratio", "The part of the pool that is KV of live requests, promised blocks included, 0 to 1.",
                of(u -> u.committed() - states(u)));
        own.gauge("sidewinder_state_usage_ratio", "The part of the pool that is states of live requests, 0 to 1.",
                of(CacheMetrics::states));
    }

    private static double blocksPerFrame(CacheUse use) {
        return use.shape().blocksPerFrame();
    }

    private static double states(CacheUse use) {
        return (double) use.runningStates() / use.shape().frames();
    }

    /// What nobody holds: free frames, free blocks of others, and what waits for a launched step.
    private static double freeFrames(CacheUse use) {
        return use.shape().frames() - use.runningStates() - use.keptStates()
                - (use.runningBlocks() + use.keptBlocks()) / blocksPerFrame(use);
    }

    private void lookups() {
        for (MissReason reason : MissReason.values()) {
            switch (reason) {
                case NONE -> lookup("full", reason, LookupCounts::partly);
                case SHORT, COLD, DISABLED -> lookup("miss", reason, LookupCounts::missed);
                case DIVERGED, NO_SNAPSHOT, EVICTED_STATE, EVICTED_KV -> {
                    lookup("partial", reason, LookupCounts::partly);
                    lookup("miss", reason, LookupCounts::missed);
                }
            }
        }
        String tokens = "Prompt tokens that were looked up and found; recomputed: keys and values were there, and no state.";
        own.counter("sidewinder_prefix_tokens_total", tokens, count(CacheCounts::kvTokens), new Label("kind", "kv_hit"));
        own.counter("sidewinder_prefix_tokens_total", tokens, count(CacheCounts::reusedTokens), new Label("kind", "state_hit"));
        own.counter("sidewinder_prefix_tokens_total", tokens, count(CacheCounts::reusedTokens), new Label("kind", "reused"));
        own.counter("sidewinder_prefix_tokens_total", tokens, count(c -> c.kvTokens() - c.reusedTokens()),
                new Label("kind", "recomputed"));
    }

    private void lookup(String result, MissReason reason, ToLongFunction<LookupCounts> read) {
        own.counter("sidewinder_prefix_lookups_total", "Sequences that began, by what the prefix cache had and why not more.",
                count(counts -> read.applyAsLong(counts.lookupsByReason().get(reason))), new Label("reason", lower(reason)),
                new Label("result", result));
    }

    private void states() {
        for (CheckpointPoint point : CheckpointPoint.values()) {
            state("stored", point, StateCounts::stored);
            state("restored", point, StateCounts::restored);
            state("evicted", point, StateCounts::evicted);
            state("refused", point, StateCounts::refused);
        }
    }

    private void state(String event, CheckpointPoint point, ToLongFunction<StateCounts> read) {
        own.counter("sidewinder_snapshots_total", "Recurrent states kept for other requests, by what became of them and why kept.",
                count(counts -> read.applyAsLong(counts.statesByPoint().get(point))), new Label("event", event),
                new Label("point", lower(point)));
    }

    private DoubleSupplier of(ToDoubleFunction<CacheUse> read) {
        return () -> read.applyAsDouble(use.get());
    }

    private DoubleSupplier count(ToLongFunction<CacheCounts> read) {
        return () -> read.applyAsLong(use.get().counts());
    }

    private static Label state(String value) {
        return new Label("state", value);
    }

    private static String lower(Enum<?> value) {
        return value.name().toLowerCase(Locale.ROOT);
    }
}
