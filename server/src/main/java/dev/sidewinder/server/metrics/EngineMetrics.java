package dev.sidewinder.server.metrics;

import dev.sidewinder.engine.EngineObserver;
import dev.sidewinder.engine.EngineStatus;
import dev.sidewinder.engine.ExpertLoad;
import dev.sidewinder.engine.FinishReason;
import dev.sidewinder.engine.GenerationTimes;
import dev.sidewinder.engine.cuda.CudaSummary;
import dev.sidewinder.server.metrics.ServerMetrics.Refusal;
import java.util.EnumMap;
import java.util.Locale;
import java.util.Map;
import java.util.function.Supplier;
import java.util.function.ToDoubleFunction;

/// What is measured once there is a model: the series other servers' scrapers expect (prefix `vllm:`) and our own.
/// Safe for use by many threads; the engine calls [#observer] on its own.
public final class EngineMetrics {

    /// How a choice ended, in the words of the compatible series.
    private enum Finish {
        STOP, LENGTH, ABORT, ERROR
    }

    /// One request to the model, after its end.
    ///
    /// @param arrivedNanos     when its headers had arrived, `System.nanoTime`
    /// @param endedNanos       when its last token was taken
    /// @param promptTokens     over all prompts
    /// @param completionTokens over all choices
    /// @param longestChoice    tokens of the longest choice
    /// @param maxTokens        the limit in force per choice
    /// @param choices          `n`
    public record Finished(long arrivedNanos, long endedNanos, GenerationTimes times, long promptTokens,
            long completionTokens, long longestChoice, long maxTokens, int choices) {}

    /// The numbers that describe the cache and never change.
    public record CacheInfo(int blockTokens, int blocks, String cacheType, String stateType) {}

    private static final String[] TIERS = {"prefix_cache", "external_prefix_cache", "mm_cache"};

    private final MetricRegistry compatible;
    private final MetricRegistry own = new MetricRegistry(new Label("engine", "0"));
    private final ServerMetrics server;
    private final Supplier<EngineStatus> status;

    private final Counter promptTokens;
    private final Counter generationTokens;
    private final Map<Finish, Counter> finishes = new EnumMap<>(Finish.class);
    private final Map<Refusal, Counter> rejections = new EnumMap<>(Refusal.class);
    private final Counter corrupted;
    private final Counter thinkingTokens;
    private final Histogram firstToken;
    private final Histogram interToken;
    private final Histogram perOutputToken;
    private final Histogram endToEnd;
    private final Histogram queueTime;
    private final Histogram prefillTime;
    private final Histogram decodeTime;
    private final Histogram inferenceTime;
    private final Histogram requestPromptTokens;
    private final Histogram requestGenerationTokens;
    private final Histogram requestLongestChoice;
    private final Histogram requestMaxTokens;
    private final Histogram requestComputedTokens;
    private final Histogram requestChoices;
    private final DrainRate drain = new DrainRate(System::nanoTime);
    private final EngineObserver observer;

    /// @param modelName      the first served name
    /// @param maxModelTokens bounds the buckets of token counts
    /// @param server         counts refusals too
    /// @param status         asks the engine what it is doing
    public EngineMetrics(String modelName, int maxModelTokens, CacheInfo cache, ServerMetrics server,
            Supplier<EngineStatus> status) {
        this.server = server;
        this.compatible = new MetricRegistry(new Label("engine", "0"), new Label("model_name", modelName));
        this.status = status;
        loadGauges(cache);
        promptTokens = compatible.counter("vllm:prompt_tokens_total", "Prompt tokens of all requests.");
        generationTokens = compatible.counter("vllm:generation_tokens_total", "Tokens generated.");
        compatible.counter("vllm:prompt_tokens_by_source_total", "Prompt tokens by where they came from.",
                promptTokens::value, new Label("source", "local_compute"));
        compatible.counter("vllm:prompt_tokens_cached_total", "Prompt tokens that were not computed again.", () -> 0);
        for (String tier : TIERS) {
            compatible.counter("vllm:" + tier + "_queries_total", "Tokens looked up; there is no such tier yet.", () -> 0);
            compatible.counter("vllm:" + tier + "_hits_total", "Tokens found; there is no such tier yet.", () -> 0);
        }
        for (Finish finish : Finish.values()) {
            finishes.put(finish, compatible.counter("vllm:request_success_total", "Finished requests by reason.",
                    new Label("finished_reason", lower(finish))));
        }
        for (Refusal refusal : new Refusal[] {Refusal.QUEUE_REQUESTS, Refusal.QUEUE_TOKENS, Refusal.DRAINING}) {
            rejections.put(refusal, compatible.counter("vllm:admission_rejections_total",
                    "Requests refused for want of a place.", new Label("reason", lower(refusal))));
        }
        compatible.counter("vllm:num_preemptions_total", "Sequences suspended for others; none are yet.", () -> 0);
        corrupted = compatible.counter("vllm:corrupted_requests_total", "Requests with NaN or infinity in their logits.");
        firstToken = histogram("time_to_first_token_seconds", "From arrival to the first token.", Buckets.firstToken());
        interToken = histogram("inter_token_latency_seconds", "Gap between two tokens.", Buckets.betweenTokens());
        perOutputToken = histogram("request_time_per_output_token_seconds", "Mean gap between the tokens of a request.",
                Buckets.betweenTokens());
        endToEnd = histogram("e2e_request_latency_seconds", "From arrival to the last token.", Buckets.phases());
        queueTime = histogram("request_queue_time_seconds", "From queued to scheduled.", Buckets.phases());
        prefillTime = histogram("request_prefill_time_seconds", "From scheduled to the first token.", Buckets.phases());
        decodeTime = histogram("request_decode_time_seconds", "From the first token to the last.", Buckets.phases());
        inferenceTime = histogram("request_inference_time_seconds", "From scheduled to the last token.", Buckets.phases());
        double[] counts = Buckets.tokenCounts(maxModelTokens);
        requestPromptTokens = histogram("request_prompt_tokens", "Prompt tokens of a request.", counts);
        requestGenerationTokens = histogram("request_generation_tokens", "Tokens generated for a request.", counts);
        requestLongestChoice = histogram("request_max_num_generation_tokens", "Tokens of the longest choice of a request.",
                counts);
        requestMaxTokens = histogram("request_params_max_tokens", "Limit of tokens of a request.", counts);
        requestComputedTokens = histogram("request_prefill_kv_computed_tokens", "Prompt tokens computed for a request.",
                counts);
        requestChoices = histogram("request_params_n", "Choices of a request.", Buckets.choices());
        thinkingTokens = own.counter("sidewinder_thinking_tokens_total", "Reasoning tokens generated.");
        cacheGauges();
        observer = new StepMetrics(this, compatible, own, drain);
    }

    /// To be given to the engine.
    public EngineObserver observer() {
        return observer;
    }

    /// The first token of a request was taken.
    public void firstToken(long arrivedNanos, long firstTokenNanos) {
        firstToken.observeNanos(firstTokenNanos - arrivedNanos);
    }

    /// A further token of a choice was taken.
    public void nextToken(long gapNanos) {
        interToken.observeNanos(gapNanos);
    }

    /// Prompt tokens were computed, and tokens came of them. The same numbers stand in `usage`.
    public void tokens(long prompt, long generated, long reasoning) {
        promptTokens.add(prompt);
        generationTokens.add(generated);
        thinkingTokens.add(reasoning);
    }

    /// A request came to its natural end.
    public void finished(Finished request, FinishReason reason) {
        finishes.get(switch (reason) {
            case STOP -> Finish.STOP;
            case LENGTH -> Finish.LENGTH;
            case CANCELLED -> Finish.ABORT;
        }).increment();
        GenerationTimes times = request.times();
        endToEnd.observeNanos(request.endedNanos() - request.arrivedNanos());
        if (times.scheduled() != 0) {
            queueTime.observeNanos(times.scheduled() - times.submitted());
        }
        if (times.firstToken() != 0) {
            prefillTime.observeNanos(times.firstToken() - times.scheduled());
            decodeTime.observeNanos(times.lastToken() - times.firstToken());
            inferenceTime.observeNanos(times.lastToken() - times.scheduled());
            if (request.longestChoice() > 1) {
                perOutputToken.observe((times.lastToken() - times.firstToken()) / 1e9 / (request.longestChoice() - 1));
            }
        }
        requestPromptTokens.observe(request.promptTokens());
        requestComputedTokens.observe(request.promptTokens());
        requestGenerationTokens.observe(request.completionTokens());
        requestLongestChoice.observe(request.longestChoice());
        requestMaxTokens.observe(request.maxTokens());
        requestChoices.observe(request.choices());
    }

    /// A request was cut off after it had been taken.
    public void aborted() {
        finishes.get(Finish.ABORT).increment();
    }

    /// A request that had been taken failed.
    ///
    /// @param numeric whether its logits were no numbers
    public void failed(boolean numeric) {
        finishes.get(Finish.ERROR).increment();
        if (numeric) {
            corrupted.increment();
        }
    }

    /// The engine refused a place. Draining and failure are counted where the answer is written, since the engine is not
    /// the only one to refuse for them.
    void refused(EngineObserver.Refusal reason) {
        switch (reason) {
            case QUEUE_REQUESTS -> {
                rejections.get(Refusal.QUEUE_REQUESTS).increment();
                server.refused(Refusal.QUEUE_REQUESTS);
            }
            case QUEUE_TOKENS -> {
                rejections.get(Refusal.QUEUE_TOKENS).increment();
                server.refused(Refusal.QUEUE_TOKENS);
            }
            case DRAINING -> rejections.get(Refusal.DRAINING).increment();
            case ENGINE_FAILED -> { }
        }
    }

    /// Says what the model runs on, when that is a GPU.
    public void runsOn(CudaSummary device) {
        own.gauge("sidewinder_device_info", "The device that computes, value is always 1.", () -> 1,
                new Label("device", device.device()), new Label("driver", device.driver()),
                new Label("kernels", device.kernels()));
    }

    /// Says where the tokens of a mixture of experts go. To be called once, before the first scrape.
    ///
    /// @param everyExpert whether each expert has a series, besides the summary of its layer
    public void experts(ExpertLoad load, boolean everyExpert) {
        for (int i = 0; i < load.layers().size(); i++) {
            int at = i;
            Label layer = new Label("layer", Integer.toString(load.layers().get(i).index()));
            own.gauge("sidewinder_moe_expert_imbalance_ratio",
                    "Tokens of the busiest expert of a layer over the mean, minus 1; over the last 1,024 steps.",
                    () -> load.imbalance(at), layer);
            for (int j = 0; everyExpert && j < load.layers().get(i).experts(); j++) {
                int expert = j;
                own.counter("sidewinder_moe_expert_tokens_total", "Tokens routed to an expert.",
                        () -> load.tokens(at, expert), new Label("expert", Integer.toString(expert)), layer);
            }
        }
    }

    /// How long the queue needs at the rate of the latest requests.
    public java.time.Duration queueDrain() {
        return drain.estimate(status.get().waiting() + status.get().places());
    }

    MetricRegistry compatible() {
        return compatible;
    }

    MetricRegistry own() {
        return own;
    }

    private void loadGauges(CacheInfo cache) {
        compatible.gauge("vllm:num_requests_running", "Requests in the running batch.", of(EngineStatus::running));
        compatible.gauge("vllm:num_requests_waiting", "Requests accepted and not in the running batch.",
                of(s -> s.waiting() + s.paused() + s.places()));
        compatible.gauge("vllm:num_requests_waiting_by_reason", "Requests waiting, by what for.",
                of(EngineStatus::waiting), new Label("reason", "capacity"));
        compatible.gauge("vllm:num_requests_waiting_by_reason", "Requests waiting, by what for.",
                of(s -> s.paused() + s.places()), new Label("reason", "deferred"));
        compatible.gauge("vllm:kv_cache_usage_perc",
                "The part of the pool that live requests hold or are promised, 0 to 1; what can be evicted is free.",
                of(s -> s.cache().committed()));
        compatible.gauge("vllm:cache_config_info", "Cache shape, value is always 1.", () -> 1,
                new Label("block_size", Integer.toString(cache.blockTokens())),
                new Label("cache_dtype", cache.cacheType()), new Label("mamba_cache_dtype", cache.stateType()),
                new Label("num_gpu_blocks", Integer.toString(cache.blocks())));
    }

    private void cacheGauges() {
        own.gauge("sidewinder_kv_blocks", "KV blocks by state.", of(s -> s.cache().freeBlocks()), state("free"));
        own.gauge("sidewinder_kv_blocks", "KV blocks by state.", of(s -> s.cache().runningBlocks()), state("active"));
        own.gauge("sidewinder_kv_blocks", "KV blocks by state.", of(s -> s.cache().keptBlocks()), state("cached"));
        own.gauge("sidewinder_kv_blocks", "KV blocks by state.", of(s -> s.cache().frames().fencedBlocks()), state("fenced"));
        own.gauge("sidewinder_state_slots", "Recurrent-state slots by state.", of(s -> s.cache().frames().freeFrames()), state("free"));
        own.gauge("sidewinder_state_slots", "Recurrent-state slots by state.", of(s -> s.cache().runningStates()), state("running"));
        own.gauge("sidewinder_state_slots", "Recurrent-state slots by state.", of(s -> s.cache().keptStates()), state("snapshot"));
        own.gauge("sidewinder_state_slots", "Recurrent-state slots by state.", of(s -> s.cache().frames().fencedStates()),
                state("fenced"));
        own.gauge("sidewinder_kv_usage_ratio", "The part of the pool that is KV of live requests, 0 to 1.", of(EngineMetrics::blockUsage));
        own.gauge("sidewinder_state_usage_ratio", "The part of the pool that is states of live requests, 0 to 1.",
                of(EngineMetrics::slotUsage));
        own.gauge("sidewinder_queue_requests", "Sequences waiting, reserved places included.",
                of(s -> s.waiting() + s.places()));
        own.gauge("sidewinder_queue_tokens", "Prompt tokens waiting.", of(EngineStatus::waitingTokens));
        own.gauge("sidewinder_queue_oldest_seconds", "How long the oldest of them has waited.",
                of(s -> s.oldestWaitNanos() / 1e9));
    }

    private java.util.function.DoubleSupplier of(ToDoubleFunction<EngineStatus> read) {
        return () -> read.applyAsDouble(status.get());
    }

    private static double blockUsage(EngineStatus status) {
        return status.cache().runningBlocks() / (double) status.cache().shape().blocks();
    }

    private static double slotUsage(EngineStatus status) {
        return status.cache().runningStates() / (double) status.cache().shape().frames();
    }

    private Histogram histogram(String name, String help, double[] bounds) {
        return compatible.histogram("vllm:" + name, help, bounds);
    }

    private static Label state(String value) {
        return new Label("state", value);
    }

    private static String lower(Enum<?> value) {
        return value.name().toLowerCase(Locale.ROOT);
    }
}
