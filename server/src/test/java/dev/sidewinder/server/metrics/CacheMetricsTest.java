package dev.sidewinder.server.metrics;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.sidewinder.engine.EngineStatus;
import dev.sidewinder.kvcache.CacheCounts;
import dev.sidewinder.kvcache.CacheCounts.LookupCounts;
import dev.sidewinder.kvcache.CacheCounts.StateCounts;
import dev.sidewinder.kvcache.CacheUse;
import dev.sidewinder.kvcache.CheckpointPoint;
import dev.sidewinder.kvcache.FrameShape;
import dev.sidewinder.kvcache.FrameUse;
import dev.sidewinder.kvcache.MissReason;
import dev.sidewinder.scheduler.Preemptions;
import dev.sidewinder.scheduler.PreparationCounts;
import java.nio.charset.StandardCharsets;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;

/// Each series of the caches in the scrape, from what the engine says.
class CacheMetricsTest {

    /// 25 frames of 4 blocks: 5 running states, 2 kept ones, 12 blocks of running sequences and 3 kept ones, 5 fenced
    /// and 4 stranded ones.
    private static final FrameUse FRAMES = new FrameUse(11, 7, 1, 6, 15, 5, 4, 9);
    private static final CacheUse USE = new CacheUse(new FrameShape(25, 4), FRAMES, 75, 10, 2, 3, 2, 6, counts());

    private final ServerMetrics server = new ServerMetrics();
    private final EngineMetrics metrics = new EngineMetrics("nano", 1000,
            new EngineMetrics.CacheInfo(128, 100, "bfloat16", "float32", 1000, 10), server, CacheMetricsTest::status);
    private final String page = new String(new MetricsPage(server, () -> Optional.of(metrics), () -> "").render(),
            StandardCharsets.UTF_8);

    private static EngineStatus status() {
        return new EngineStatus(EngineStatus.State.SERVING, 3, 1, 2, 500, 2_000_000_000L, USE, new Preemptions(1, new Preemptions.Left(5, 2), new Preemptions.Left(4, 3), 1),
                new PreparationCounts(6, 40, 30, 3, 1, 99_000), 77, 0, 4, 0, 0);
    }

    /// Reason `r` has `10 r + 1` lookups that found something and `10 r + 2` that did not; states count likewise.
    static CacheCounts counts() {
        Map<MissReason, LookupCounts> lookups = new EnumMap<>(MissReason.class);
        for (MissReason reason : MissReason.values()) {
            lookups.put(reason, new LookupCounts(10 * reason.ordinal() + 1, 10 * reason.ordinal() + 2));
        }
        Map<CheckpointPoint, StateCounts> states = new EnumMap<>(CheckpointPoint.class);
        for (CheckpointPoint point : CheckpointPoint.values()) {
            int base = 10 * point.ordinal();
            states.put(point, new StateCounts(base + 1, base + 2, base + 3, base + 4));
        }
        return new CacheCounts(lookups, 5000, 3000, 2048, states, 1);
    }

    private double value(String series) {
        return page.lines().filter(line -> line.startsWith(series + " ")).findFirst()
                .map(line -> Double.parseDouble(line.substring(series.length() + 1))).orElseThrow(() -> new AssertionError(series));
    }

    private double own(String name, String labels) {
        return value("sidewinder_" + name + "{engine=\"0\"" + labels + "}");
    }

    private double frames(String use) {
        return own("frames", ",use=\"" + use + "\"");
    }

    @Test
    void saysWhatTheFramesHold() {
        assertThat(frames("state")).isEqualTo(5);
        assertThat(frames("kv")).isEqualTo(3);
        assertThat(frames("cached")).isEqualTo(2 + 3 / 4.0);
        assertThat(frames("free") + frames("state") + frames("kv") + frames("cached")).as("all frames").isEqualTo(25);
    }

    @Test
    void saysWhatBlocksAndSlotsAreFor() {
        assertThat(own("kv_blocks", ",state=\"free\"")).isEqualTo(48);
        assertThat(own("kv_blocks", ",state=\"active\"")).isEqualTo(12);
        assertThat(own("kv_blocks", ",state=\"cached\"")).isEqualTo(3);
        assertThat(own("kv_blocks", ",state=\"fenced\"")).isEqualTo(5);
        assertThat(own("state_slots", ",state=\"free\"")).isEqualTo(11);
        assertThat(own("state_slots", ",state=\"running\"")).isEqualTo(5);
        assertThat(own("state_slots", ",state=\"snapshot\"")).isEqualTo(2);
        assertThat(own("state_slots", ",state=\"fenced\"")).isEqualTo(1);
    }

    @Test
    void saysWhatIsLostInFrames() {
        assertThat(own("stranded_blocks", "")).isEqualTo(4);
        assertThat(own("moved_blocks_total", "")).isEqualTo(9);
    }

    @Test
    void theTwoRatiosMakeTheCompatibleOne() {
        assertThat(own("state_usage_ratio", "")).isEqualTo(0.2);
        assertThat(own("kv_usage_ratio", "") + own("state_usage_ratio", ""))
                .isCloseTo(value("vllm:kv_cache_usage_perc{engine=\"0\",model_name=\"nano\"}"), within(1e-12)).isEqualTo(0.75, within(1e-12));
    }

    @Test
    void countsLookupsByResultAndReason() {
        assertThat(own("prefix_lookups_total", ",reason=\"none\",result=\"full\"")).isEqualTo(1);
        assertThat(own("prefix_lookups_total", ",reason=\"cold\",result=\"miss\"")).isEqualTo(10 * MissReason.COLD.ordinal() + 2);
        assertThat(own("prefix_lookups_total", ",reason=\"diverged\",result=\"partial\"")).isEqualTo(10 * MissReason.DIVERGED.ordinal() + 1);
        assertThat(own("prefix_lookups_total", ",reason=\"diverged\",result=\"miss\"")).isEqualTo(10 * MissReason.DIVERGED.ordinal() + 2);
        List<String> series = page.lines().filter(line -> line.startsWith("sidewinder_prefix_lookups_total{")).toList();
        assertThat(series).as("what cannot be has no series: cold and partial").hasSize(1 + 3 + 2 * 4);
    }

    @Test
    void countsTokens() {
        assertThat(own("prefix_tokens_total", ",kind=\"kv_hit\"")).isEqualTo(3000);
        assertThat(own("prefix_tokens_total", ",kind=\"state_hit\"")).isEqualTo(2048);
        assertThat(own("prefix_tokens_total", ",kind=\"reused\"")).isEqualTo(2048);
        assertThat(own("prefix_tokens_total", ",kind=\"recomputed\"")).isEqualTo(952);
        assertThat(value("vllm:prefix_cache_queries_total{engine=\"0\",model_name=\"nano\"}")).isEqualTo(5000);
        assertThat(value("vllm:prefix_cache_hits_total{engine=\"0\",model_name=\"nano\"}")).isEqualTo(2048);
    }

    @Test
    void countsStatesByEventAndPoint() {
        for (CheckpointPoint point : CheckpointPoint.values()) {
            String label = ",point=\"" + point.name().toLowerCase() + "\"";
            int base = 10 * point.ordinal();
            assertThat(own("snapshots_total", ",event=\"stored\"" + label)).isEqualTo(base + 1);
            assertThat(own("snapshots_total", ",event=\"restored\"" + label)).isEqualTo(base + 2);
            assertThat(own("snapshots_total", ",event=\"evicted\"" + label)).isEqualTo(base + 3);
            assertThat(own("snapshots_total", ",event=\"refused\"" + label)).isEqualTo(base + 4);
        }
    }

    @Test
    void weighsWhatIsSuspended() {
        assertThat(own("suspended_bytes", "")).as("2 states of 1000 bytes, 6 blocks of 10").isEqualTo(2060);
    }

    @Test
    void splitsPromptTokensByWhereTheyCameFrom() {
        metrics.tokens(300, 256, 5, 0);
        metrics.tokens(100, 0, 5, 0);

        String now = new String(new MetricsPage(server, () -> Optional.of(metrics), () -> "").render(), StandardCharsets.UTF_8);
        assertThat(now).contains("vllm:prompt_tokens_total{engine=\"0\",model_name=\"nano\"} 400.0\n",
                "vllm:prompt_tokens_cached_total{engine=\"0\",model_name=\"nano\"} 256.0\n",
                "vllm:prompt_tokens_by_source_total{engine=\"0\",model_name=\"nano\",source=\"local_compute\"} 144.0\n",
                "vllm:prompt_tokens_by_source_total{engine=\"0\",model_name=\"nano\",source=\"local_cache_hit\"} 256.0\n",
                "vllm:prompt_tokens_by_source_total{engine=\"0\",model_name=\"nano\",source=\"external_kv_transfer\"} 0.0\n");
    }
}
