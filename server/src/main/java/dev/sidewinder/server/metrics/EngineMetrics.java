package dev.sidewinder.server.metrics;

import dev.sidewinder.engine.EngineObserver;
import dev.sidewinder.engine.EngineStatus;
import dev.sidewinder.engine.ExpertLoad;
import dev.sidewinder.engine.FinishReason;
import dev.sidewinder.engine.GenerationTimes;
import dev.sidewinder.engine.cuda.CudaSummary;
import dev.sidewinder.engine.session.Sessions;
import dev.sidewinder.scheduler.Preemptions;
import dev.sidewinder.scheduler.PreparationCounts;
import dev.sidewinder.server.metrics.ServerMetrics.Refusal;
import java.util.EnumMap;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.DoubleSupplier;
import java.util.function.Supplier;
import java.util.function.ToDoubleFunction;
import java.util.function.ToLongFunction;

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
    /// @param cachedTokens     of these, not computed again
    /// @param completionTokens over all choices
    /// @param longestChoice    tokens of the longest choice
    /// @param maxTokens        the limit in force per choice
    /// @param choices          `n`
    public record Finished(long arrivedNanos, long endedNanos, GenerationTimes times, long promptTokens,
            long cachedTokens, long completionTokens, long longestChoice, long maxTokens, int choices) {}

    /// The numbers that describe the cache and never change.
    ///
    /// @param blocks     KV blocks if every frame held blocks
    /// @param stateBytes of one recurrent state
    /// @param blockBytes of one KV block
    public record CacheInfo(int blockTokens, int blocks, String cacheType, String stateType, long stateBytes, long blockBytes) {}

    private static final String[] TIERS = {"external_prefix_cache", "mm_cache"};

    private final MetricRegistry compatible;
    private final MetricRegistry own = new MetricRegistry(new Label("engine", "0"));
    private final ServerMetrics server;
    private final Supplier<EngineStatus> status;

    private final Counter promptTokens;
    private final Counter cachedTokens;
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
    /// Time of all steps: a full queue drains by steps, and what passed between them says nothing.
    private final AtomicLong stepNanos = new AtomicLong();
    private final DrainRate drain = new DrainRate(stepNanos::get);
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
        loadGauges();
        promptTokens = compatible.counter("vllm:prompt_tokens_total", "Prompt tokens of all requests.");
        generationTokens = compatible.counter("vllm:generation_tokens_total", "Tokens generated.");
        cachedTokens = compatible.counter("vllm:prompt_tokens_cached_total", "Prompt tokens that were not computed again.");
        source("local_compute", () -> promptTokens.value() - cachedTokens.value());
        source("local_cache_hit", cachedTokens::value);
        source("external_kv_transfer", () -> 0);
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
        compatible.counter("vllm:num_preemptions_total", "Sequences that had to leave the device for others.",
                of(s -> s.preemptions().copied() + s.preemptions().recomputed()));
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
        queueGauges();
        new CacheMetrics(compatible, own, cache, () -> status.get().cache());
        observer = new StepMetrics(this, compatible, own, drain, stepNanos);
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

    /// Tokens that have come to a request's usage since the last time.
    ///
    /// @param prompt    of its prompts
    /// @param cached    of these, not computed again
    /// @param reasoning of those generated
    public void tokens(long prompt, long cached, long generated, long reasoning) {
        // in this order: whoever reads in between sees no more cached than there were
        promptTokens.add(prompt);
        cachedTokens.add(cached);
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
        requestComputedTokens.observe(request.promptTokens() - request.cachedTokens());
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
            case SHARE_REQUESTS -> server.refused(Refusal.SHARE_REQUESTS);
            case SHARE_TOKENS -> server.refused(Refusal.SHARE_TOKENS);
            case DRAINING -> rejections.get(Refusal.DRAINING).increment();
            case ENGINE_FAILED -> { }
        }
    }

    /// Says what the sessions of the engine are doing. To be called once, before the first scrape.
    public void sessions(Sessions sessions) {
        String help = "Sessions by where they are.";
        own.gauge("sidewinder_sessions", help, () -> sessions.counts().live(), new Label("state", "live"));
        own.gauge("sidewinder_sessions", help, () -> sessions.counts().suspended(), new Label("state", "suspended"));
        String bytes = "Bytes of sessions, in memory of the host or in files.";
        own.gauge("sidewinder_session_bytes", bytes, () -> sessions.counts().liveBytes(), new Label("state", "live"));
        own.gauge("sidewinder_session_bytes", bytes, () -> sessions.counts().suspendedBytes(), new Label("state", "suspended"));
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
            if (load.countsWork()) {
                own.gauge("sidewinder_moe_work_imbalance_ratio", "Work of the busiest of the places on the device that run a"
                        + " layer's experts over the mean, minus 1; over the last 1,024 steps.", () -> load.workImbalance(at), layer);
            }
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

    private void loadGauges() {
        compatible.gauge("vllm:num_requests_running", "Requests in the running batch.", of(EngineStatus::running));
        compatible.gauge("vllm:num_requests_waiting", "Requests accepted and not in the running batch.",
                of(s -> s.waiting() + s.paused() + s.places()));
        compatible.gauge("vllm:num_requests_waiting_by_reason", "Requests waiting, by what for.",
                of(EngineStatus::waiting), new Label("reason", "capacity"));
        compatible.gauge("vllm:num_requests_waiting_by_reason", "Requests waiting, by what for.",
                of(s -> s.paused() + s.places()), new Label("reason", "deferred"));
    }

    private void queueGauges() {
        preemptions("kv", "suspend", p -> p.forBlocks().copied());
        preemptions("kv", "recompute", p -> p.forBlocks().recomputed());
        preemptions("kv", "overload", Preemptions::overloaded);
        preemptions("state", "suspend", p -> p.forStates().copied());
        preemptions("state", "recompute", p -> p.forStates().recomputed());
        preparations("begun", PreparationCounts::begun);
        preparations("done", PreparationCounts::done);
        preparations("overtaken", PreparationCounts::overtaken);
        preparations("dropped", PreparationCounts::dropped);
        own.gauge("sidewinder_preparations_waiting", "Beginnings of next turns that are still to be computed, when there is nothing better to do.",
                of(s -> s.preparations().waiting()));
        own.counter("sidewinder_prepared_tokens_total", "Tokens of next turns that were computed before anybody asked.",
                of(s -> s.preparations().tokens()));
        own.gauge("sidewinder_queue_requests", "Sequences waiting, reserved places included.",
                of(s -> s.waiting() + s.places()));
        own.gauge("sidewinder_queue_tokens", "Prompt tokens waiting.", of(EngineStatus::waitingTokens));
        own.gauge("sidewinder_queue_oldest_seconds", "How long the oldest of them has waited.",
                of(s -> s.oldestWaitNanos() / 1e9));
    }

    /// Nobody is ended for want of a state, so there is no series for that: see [Preemptions].
    private void preemptions(String reason, String method, ToLongFunction<Preemptions> count) {
        own.counter("sidewinder_preemptions_total", "Sequences that had to leave the device, by what was missing and what became of their memory.",
                of(s -> count.applyAsLong(s.preemptions())), new Label("method", method), new Label("reason", reason));
    }

    private void preparations(String event, ToLongFunction<PreparationCounts> count) {
        own.counter("sidewinder_preparations_total", "Beginnings of next turns to be computed before anybody asks, by what became of them.",
                of(s -> count.applyAsLong(s.preparations())), new Label("event", event));
    }

    private DoubleSupplier of(ToDoubleFunction<EngineStatus> read) {
        return () -> read.applyAsDouble(status.get());
    }

    private void source(String name, DoubleSupplier value) {
        compatible.counter("vllm:prompt_tokens_by_source_total", "Prompt tokens by where they came from.", value,
                new Label("source", name));
    }

    private Histogram histogram(String name, String help, double[] bounds) {
        return compatible.histogram("vllm:" + name, help, bounds);
    }

    private static String lower(Enum<?> value) {
        return value.name().toLowerCase(Locale.ROOT);
    }
}
