package dev.sidewinder.engine;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sidewinder.kvcache.FrameShape;
import dev.sidewinder.kvcache.HostShape;
import dev.sidewinder.kvcache.Partition;
import dev.sidewinder.scheduler.Batch;
import dev.sidewinder.scheduler.BatchEntry;
import dev.sidewinder.scheduler.LogitRows;
import dev.sidewinder.scheduler.TokenSource;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/// A sequence of 1,048,576 tokens beside 64 readers of short answers, on a clock that each step moves by what it would take on
/// a GPU. What happens, happens on the engine thread, so the run is the same every time.
class LongPromptTest {

    private static final int VOCAB = 50;
    private static final int TOKENS = 1 << 20;
    private static final int LONG_ANSWER = 16;
    private static final int READERS = 64;
    private static final Duration GAP = EngineLimits.DEFAULT_TOKEN_GAP;
    private static final long MEBIBYTE = 1 << 20;

    private final AtomicLong clock = new AtomicLong(1);
    private final Random random = new Random(1);
    private Engine engine;
    private volatile boolean done;
    private Generation longOne;
    private final Outcome longOutcome = new Outcome(1);
    private final Generation[] readers = new Generation[READERS];
    private final long[] askedNanos = new long[READERS];
    private final boolean[] waitsForFirst = new boolean[READERS];
    private int shortAnswers;
    private long longestFirstNanos;

    private final Map<Long, Long> lastTokenNanos = new HashMap<>();
    private long longestGapNanos;
    private long lateSteps;
    private long steps;
    private long heapBefore;
    private long mostHeap;

    /// Nanoseconds of a step on a GPU: 2 ms, 20 µs for each sequence and 10 ns for each thousand tokens that it reads, 8 µs for each
    /// token of a prompt and a quarter of a nanosecond for each one that it attends to (the 30B shape on an H100, about).
    private static long nanos(Batch batch) {
        double nanos = 2e6;
        for (BatchEntry entry : batch.entries()) {
            nanos += entry.source() == TokenSource.PROMPT
                    ? entry.count() * (8e3 + 0.25 * (entry.from() + entry.count() / 2.0))
                    : 2e4 + 0.01 * entry.from();
        }
        return Math.round(nanos);
    }

    @Test
    @Timeout(value = 5, unit = TimeUnit.MINUTES)
    void runsAMillionTokensWhileShortAnswersKeepTheirPace() throws InterruptedException {
        int blocksPerFrame = 64;
        var memory = new BackendMemory(FrameShape.holding(READERS + 2, TOKENS / 128 + READERS * 8, blocksPerFrame), HostShape.NONE);
        var limits = new EngineLimits(READERS + 1, 8192, 256, 4L * TOKENS, TOKENS, Timeouts.DEFAULT, GAP);
        Backend backend = new WatchedBackend(new FakeBackend(VOCAB, memory), this::step);
        engine = Engine.start(backend, limits, EngineObserver.NONE, clock::get);
        heapBefore = heap();

        int[] prompt = random.ints(TOKENS - LONG_ANSWER, 0, VOCAB).toArray();
        longOne = submit(prompt, LONG_ANSWER);
        while (!longOutcome.isComplete()) {
            GenerationEvent event = longOne.next(Duration.ofMinutes(4));
            assertThat(event).as("an event of the long sequence; %s", engine.status()).isNotNull();
            longOutcome.add(event);
        }
        long longNanos = longOne.times().lastToken() - longOne.times().submitted();
        done = true;
        engine.close();

        System.out.printf("LongPromptTest: %d steps, %.1f s, %d short answers, longest gap %.1f ms, longest first token %.1f ms, heap %d MiB%n",
                steps, longNanos / 1e9, shortAnswers, longestGapNanos / 1e6, longestFirstNanos / 1e6, mostHeap / MEBIBYTE);
        assertThat(longOutcome.failure()).isNull();
        assertThat(longestGapNanos).as("longest time between two tokens of a sequence").isLessThanOrEqualTo(GAP.toNanos());
        assertThat(shortAnswers).as("answers beside it").isGreaterThan(10 * READERS);
        assertThat(longestFirstNanos).as("longest time to a first token, when all readers come at once").isLessThan(10 * GAP.toNanos());
        // The steps of the readers alone would take a tenth of this time, and they get half of the prompts' tokens at most.
        assertThat(longNanos).as("time of the long one").isLessThan(2 * aloneNanos(prompt.length));
        // Its tokens, the fake's answers, and the tree of prefixes: nothing that grows with the steps.
        assertThat(mostHeap).as("heap that came to it").isLessThan(64 * MEBIBYTE);
    }

    private static long aloneNanos(int tokens) {
        return Math.round(tokens * 8e3 + 0.25 * tokens / 2.0 * tokens);
    }

    private Generation submit(int[] prompt, int maxTokens) {
        var request = new GenerationRequest("r", prompt, maxTokens, 0, Set.of(), 1, -1, SamplingParams.greedy())
                .withPrefixes(new Partition(1, 1), List.of(), false);
        try (Engine.Place place = engine.reserve(1, prompt.length)) {
            return place.submit(request);
        }
    }

    /// At the beginning of each step: time passes, readers take what came, and those that are through ask again.
    private Batch step(Batch batch) {
        long end = clock.addAndGet(nanos(batch));
        steps++;
        for (BatchEntry entry : batch.entries()) {
            if (entry.logits() == LogitRows.LAST) {
                Long last = lastTokenNanos.put(entry.sequence(), end);
                longestGapNanos = Math.max(longestGapNanos, last == null ? 0 : end - last);
            }
        }
        for (int i = 0; i < READERS; i++) {
            read(i);
        }
        if (steps % 500 == 0) {
            mostHeap = Math.max(mostHeap, heap() - heapBefore);
        }
        return batch;
    }

    private void read(int reader) {
        boolean through = readers[reader] == null;
        GenerationEvent event;
        while (!done && !through && (event = readers[reader].poll()) != null) {
            switch (event) {
                case GenerationEvent.Token _ -> {
                    if (waitsForFirst[reader]) {
                        waitsForFirst[reader] = false;
                        longestFirstNanos = Math.max(longestFirstNanos, readers[reader].times().firstToken() - askedNanos[reader]);
                    }
                }
                case GenerationEvent.Finished _ -> {
                    shortAnswers++;
                    through = true;
                }
                default -> {
                }
            }
        }
        if (through && !done) {
            askedNanos[reader] = clock.get();
            waitsForFirst[reader] = true;
            readers[reader] = submit(random.ints(1 + random.nextInt(600), 0, VOCAB).toArray(), 1 + random.nextInt(200));
        }
    }

    private static long heap() {
        System.gc();
        Runtime runtime = Runtime.getRuntime();
        return runtime.totalMemory() - runtime.freeMemory();
    }
}
