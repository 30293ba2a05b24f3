package dev.sidewinder.server.metrics;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sidewinder.engine.EngineObserver.RequestOutcome;
import dev.sidewinder.engine.EngineObserver.StepKind;
import dev.sidewinder.engine.EngineObserver.StepPhases;
import dev.sidewinder.engine.EngineObserver;
import dev.sidewinder.engine.EngineStatus;
import dev.sidewinder.engine.ExpertLoad;
import dev.sidewinder.engine.FinishReason;
import dev.sidewinder.engine.GenerationTimes;
import dev.sidewinder.engine.Sample;
import dev.sidewinder.model.Model;
import java.nio.charset.StandardCharsets;
import dev.sidewinder.kvcache.CacheUse;
import dev.sidewinder.kvcache.FrameShape;
import dev.sidewinder.kvcache.FrameUse;
import dev.sidewinder.scheduler.Preemptions;
import dev.sidewinder.scheduler.PreparationCounts;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class EngineMetricsTest {

    static final EngineStatus STATUS = new EngineStatus(EngineStatus.State.SERVING, 3, 1, 2, 500, 2_000_000_000L,
            new CacheUse(new FrameShape(25, 4), new FrameUse(12, 7, 1, 5, 15, 5, 0, 0), 75, 10, 2, 3, 0, 0,
                    CacheMetricsTest.counts()), new Preemptions(1, new Preemptions.Left(5, 2), new Preemptions.Left(4, 3), 1),
            new PreparationCounts(6, 40, 30, 3, 1, 99_000), 77, 0, 4, 0, 0);

    private final ServerMetrics server = new ServerMetrics();
    private final EngineMetrics metrics = new EngineMetrics("nano", 1000,
            new EngineMetrics.CacheInfo(128, 100, "bfloat16", "float32", 1000, 10), server, () -> STATUS);
    private final MetricsPage page = new MetricsPage(server, () -> Optional.of(metrics), () -> "");

    @Test
    void hasTheSeriesThatScrapersOfOtherServersReadUnderTheirNamesAndTypes() {
        List<String> types = Arrays.stream(text().split("\n")).filter(line -> line.startsWith("# TYPE vllm:"))
                .map(line -> line.substring("# TYPE vllm:".length())).toList();

        assertThat(types).containsExactlyInAnyOrder(
                "num_requests_running gauge", "num_requests_waiting gauge", "num_requests_waiting_by_reason gauge",
                "kv_cache_usage_perc gauge", "cache_config_info gauge", "prompt_tokens_total counter",
                "generation_tokens_total counter", "prompt_tokens_by_source_total counter", "prompt_tokens_cached_total counter",
                "prefix_cache_queries_total counter", "prefix_cache_hits_total counter", "num_preemptions_total counter",
                "external_prefix_cache_queries_total counter", "external_prefix_cache_hits_total counter",
                "mm_cache_queries_total counter", "mm_cache_hits_total counter", "request_success_total counter",
                "admission_rejections_total counter", "corrupted_requests_total counter", "time_to_first_token_seconds histogram",
                "inter_token_latency_seconds histogram", "request_time_per_output_token_seconds histogram",
                "e2e_request_latency_seconds histogram", "request_queue_time_seconds histogram",
                "request_prefill_time_seconds histogram", "request_decode_time_seconds histogram",
                "request_inference_time_seconds histogram", "request_prompt_tokens histogram",
                "request_generation_tokens histogram", "request_max_num_generation_tokens histogram",
                "request_params_max_tokens histogram", "request_prefill_kv_computed_tokens histogram",
                "request_params_n histogram", "iteration_tokens_total histogram");
    }

    @Test
    void saysWhatTheEngineIsDoing() {
        assertThat(text()).contains(
                "vllm:num_requests_running{engine=\"0\",model_name=\"nano\"} 3.0\n",
                "vllm:num_requests_waiting{engine=\"0\",model_name=\"nano\"} 7.0\n",
                "vllm:num_requests_waiting_by_reason{engine=\"0\",model_name=\"nano\",reason=\"capacity\"} 2.0\n",
                "vllm:num_requests_waiting_by_reason{engine=\"0\",model_name=\"nano\",reason=\"deferred\"} 5.0\n",
                "vllm:kv_cache_usage_perc{engine=\"0\",model_name=\"nano\"} 0.75\n",
                "vllm:cache_config_info{engine=\"0\",model_name=\"nano\",block_size=\"128\",cache_dtype=\"bfloat16\","
                        + "mamba_cache_dtype=\"float32\",num_gpu_blocks=\"100\"} 1.0\n",
                "sidewinder_kv_blocks{engine=\"0\",state=\"free\"} 48.0\n",
                "sidewinder_kv_blocks{engine=\"0\",state=\"active\"} 12.0\n",
                "sidewinder_kv_blocks{engine=\"0\",state=\"fenced\"} 5.0\n",
                "sidewinder_preemptions_total{engine=\"0\",method=\"suspend\",reason=\"kv\"} 5.0\n",
                "sidewinder_preemptions_total{engine=\"0\",method=\"recompute\",reason=\"kv\"} 2.0\n",
                "sidewinder_preemptions_total{engine=\"0\",method=\"overload\",reason=\"kv\"} 1.0\n",
                "sidewinder_preemptions_total{engine=\"0\",method=\"suspend\",reason=\"state\"} 4.0\n",
                "sidewinder_preemptions_total{engine=\"0\",method=\"recompute\",reason=\"state\"} 3.0\n",
                "sidewinder_state_slots{engine=\"0\",state=\"running\"} 5.0\n",
                "sidewinder_queue_requests{engine=\"0\"} 6.0\n",
                "sidewinder_queue_oldest_seconds{engine=\"0\"} 2.0\n");
    }

    @Test
    void splitsARequestIntoItsPhases() {
        // given a request that waited 1 s, was prefilled in 2 s, and then had 4 more tokens in 8 s
        long second = 1_000_000_000L;
        var times = new GenerationTimes(10 * second, 11 * second, 13 * second, 21 * second);

        metrics.firstToken(9 * second, 13 * second);
        metrics.finished(new EngineMetrics.Finished(9 * second, 22 * second, times, 40, 30, 5, 5, 16, 1), FinishReason.LENGTH);

        assertThat(text()).contains(
                sum("time_to_first_token_seconds", "4.0"), sum("e2e_request_latency_seconds", "13.0"),
                sum("request_queue_time_seconds", "1.0"), sum("request_prefill_time_seconds", "2.0"),
                sum("request_decode_time_seconds", "8.0"), sum("request_inference_time_seconds", "10.0"),
                sum("request_time_per_output_token_seconds", "2.0"), sum("request_prompt_tokens", "40.0"),
                sum("request_generation_tokens", "5.0"), sum("request_params_max_tokens", "16.0"),
                "vllm:request_success_total{engine=\"0\",model_name=\"nano\",finished_reason=\"length\"} 1.0\n",
                "vllm:request_generation_tokens_bucket{engine=\"0\",model_name=\"nano\",le=\"2.0\"} 0.0\n",
                "vllm:request_generation_tokens_bucket{engine=\"0\",model_name=\"nano\",le=\"5.0\"} 1.0\n",
                "vllm:request_generation_tokens_bucket{engine=\"0\",model_name=\"nano\",le=\"1000.0\"} 1.0\n");
    }

    @Test
    void countsStepsAndRefusals() {
        EngineObserver observer = metrics.observer();

        observer.stepCompleted(StepKind.DECODE, 4, 4, 3_000_000, new StepPhases(1000, 2_000_000, 4_000_000, 900_000, 5000));
        observer.refused(EngineObserver.Refusal.QUEUE_TOKENS);
        observer.freedAfterCancel(1);
        observer.numericFailure(Sample.NotFinite.Where.LOGITS);

        assertThat(text()).contains(
                "sidewinder_step_seconds_bucket{engine=\"0\",kind=\"decode\",le=\"0.002\"} 0.0\n",
                "sidewinder_step_seconds_bucket{engine=\"0\",kind=\"decode\",le=\"0.003\"} 1.0\n",
                "sidewinder_step_phase_seconds_total{engine=\"0\",phase=\"launch\"} 0.002\n",
                "sidewinder_step_phase_seconds_total{engine=\"0\",phase=\"gpu\"} 0.004\n",
                "vllm:iteration_tokens_total_sum{engine=\"0\",model_name=\"nano\"} 4.0\n",
                "vllm:admission_rejections_total{engine=\"0\",model_name=\"nano\",reason=\"queue_tokens\"} 1.0\n",
                "sidewinder_refusals_total{engine=\"0\",reason=\"queue_tokens\"} 1.0\n",
                "sidewinder_abort_to_free_steps_bucket{engine=\"0\",le=\"1.0\"} 1.0\n",
                "sidewinder_nan_rows_total{engine=\"0\",where=\"logits\"} 1.0\n",
                "sidewinder_nan_rows_total{engine=\"0\",where=\"hidden\"} 0.0\n");
    }

    @Test
    void saysWhereTheTokensOfExpertsGo() {
        try (Model model = Model.open("synthetic:tiny")) {
            ExpertLoad load = ExpertLoad.of(model.config());
            metrics.experts(load, true);
            ExpertLoad.Layer layer = load.layers().getFirst();
            String labels = "{engine=\"0\",expert=\"1\",layer=\"" + layer.index() + "\"}";
            assertThat(text()).contains("# TYPE sidewinder_moe_expert_tokens_total counter\n",
                    "# TYPE sidewinder_moe_expert_imbalance_ratio gauge\n",
                    "sidewinder_moe_expert_tokens_total" + labels + " 0.0\n",
                    "sidewinder_moe_expert_imbalance_ratio{engine=\"0\",layer=\"" + layer.index() + "\"} 0.0\n");

            // when one expert gets all tokens
            long[][] tokens = load.layers().stream().map(each -> new long[each.experts()]).toArray(long[][]::new);
            tokens[0][1] = 640;
            load.record(64, tokens);

            assertThat(text()).contains("sidewinder_moe_expert_tokens_total" + labels + " 640.0\n",
                    "sidewinder_moe_expert_imbalance_ratio{engine=\"0\",layer=\"" + layer.index() + "\"} "
                            + (layer.experts() - 1) + ".0\n");
        }
    }

    @Test
    void saysHowEvenlyTheWorkOfExpertsIsSpreadWhereThatIsCounted() {
        try (Model model = Model.open("synthetic:tiny")) {
            ExpertLoad load = ExpertLoad.withWork(model.config());
            metrics.experts(load, false);
            String series = "sidewinder_moe_work_imbalance_ratio{engine=\"0\",layer=\"" + load.layers().getFirst().index() + "\"} ";
            assertThat(text()).contains("# TYPE sidewinder_moe_work_imbalance_ratio gauge\n", series + "0.0\n");

            List<ExpertLoad.Work> work = load.layers().stream().map(_ -> new ExpertLoad.Work(1000, 800)).toList();
            load.record(64, load.layers().stream().map(each -> new long[each.experts()]).toArray(long[][]::new), work);

            assertThat(text()).contains(series + "0.25\n");
        }
    }

    /// Never a zero that nobody counted.
    @Test
    void hasNoSeriesForWorkThatIsNotCounted() {
        try (Model model = Model.open("synthetic:tiny")) {
            metrics.experts(ExpertLoad.of(model.config()), true);

            assertThat(text()).contains("sidewinder_moe_expert_imbalance_ratio{").doesNotContain("moe_work_imbalance_ratio");
        }
    }

    @Test
    void hasNoSeriesForEveryExpertUnlessAsked() {
        try (Model model = Model.open("synthetic:tiny")) {
            metrics.experts(ExpertLoad.of(model.config()), false);

            assertThat(text()).contains("sidewinder_moe_expert_imbalance_ratio{").doesNotContain("moe_expert_tokens_total");
        }
    }

    @Test
    void estimatesWhenTheQueueWillHaveDrained() {
        // given requests that leave every half second
        long[] now = {0};
        var rate = new DrainRate(() -> now[0]);
        assertThat(rate.estimate(10)).as("nothing known").hasSeconds(2);
        for (int i = 0; i < 200; i++) {
            now[0] += 500_000_000L;
            rate.ended();
        }

        assertThat(rate.estimate(10).toMillis()).isBetween(4500L, 5500L);
        assertThat(rate.estimate(0)).isZero();
        // and when nothing leaves any more though the engine works, the estimate grows
        now[0] += 3_600_000_000_000L;
        assertThat(rate.estimate(10).toSeconds()).isGreaterThan(60);
    }

    @Test
    void reportsRequestsThatLeaveTheEngine() {
        metrics.observer().requestEnded(RequestOutcome.COMPLETED, new GenerationTimes(1, 2, 3, 4));

        assertThat(metrics.queueDrain()).isPositive();
    }

    private static String sum(String name, String value) {
        return "vllm:" + name + "_sum{engine=\"0\",model_name=\"nano\"} " + value + "\n";
    }

    private String text() {
        return new String(page.render(), StandardCharsets.UTF_8);
    }
}
