package dev.sidewinder.engine;

import java.time.Duration;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicIntegerArray;
import java.util.concurrent.locks.LockSupport;

/// The events of one request between the engine thread, which publishes them, and one reader. Neither ever waits for a
/// lock of the other. Events are weighed as the bytes they will be on the wire; the engine pauses a request whose reader
/// is too far behind, so what is held here is bounded.
final class RequestStream implements Generation {

    /// Behind by more than this, a request is paused.
    static final long PAUSE_BYTES = 256 << 10;
    /// Behind by no more than this, it goes on.
    static final long RESUME_BYTES = PAUSE_BYTES / 4;
    /// A streamed chat chunk with one token is about this long.
    static final int TOKEN_BYTES = 256;
    /// An alternative with its log-probability, text and bytes is about this long.
    static final int LOGPROB_BYTES = 64;

    private final LiveRequest request;
    private final EngineLoop engine;

    private final ConcurrentLinkedQueue<GenerationEvent> events = new ConcurrentLinkedQueue<>();
    private volatile Thread reader;
    /// Bytes published so far; the engine thread writes it.
    private volatile long publishedBytes;
    /// Bytes taken so far; the reader writes it.
    private volatile long takenBytes;
    private volatile boolean paused;

    /// Choices whose end the reader has not seen; the reader's own.
    private int openChoices;
    private final AtomicBoolean cancelled = new AtomicBoolean();
    private final AtomicIntegerArray cancelledChoices;

    RequestStream(LiveRequest request, EngineLoop engine) {
        this.request = request;
        this.engine = engine;
        this.openChoices = request.request().choices();
        this.cancelledChoices = new AtomicIntegerArray(openChoices);
    }

    /// Engine thread. The reader learns of it by [#wake()].
    void publish(GenerationEvent event) {
        events.add(event);
        publishedBytes = publishedBytes + wireBytes(event);
    }

    /// Lets a waiting reader look.
    void wake() {
        Thread thread = reader;
        if (thread != null) {
            LockSupport.unpark(thread);
        }
    }

    /// Bytes published and not taken.
    long undeliveredBytes() {
        return publishedBytes - takenBytes;
    }

    /// Grows as the reader takes events.
    long takenBytes() {
        return takenBytes;
    }

    /// Asks the reader to send [Command.Resume] when it has caught up. Engine thread.
    ///
    /// @return whether it has not caught up already
    boolean pause() {
        paused = true;
        // The reader may have taken the last event before it could see the flag.
        if (undeliveredBytes() <= RESUME_BYTES) {
            paused = false;
            return false;
        }
        return true;
    }

    private static long wireBytes(GenerationEvent event) {
        return switch (event) {
            case GenerationEvent.Token token -> TOKEN_BYTES + wireBytes(token.logprobs());
            case GenerationEvent.PromptScored scored -> {
                long bytes = TOKEN_BYTES;
                for (TokenLogprobs logprobs : scored.logprobs()) {
                    bytes += wireBytes(logprobs);
                }
                yield bytes;
            }
            case GenerationEvent.Admitted _, GenerationEvent.Finished _, GenerationEvent.Failed _ -> TOKEN_BYTES;
        };
    }

    private static long wireBytes(TokenLogprobs logprobs) {
        return logprobs == null ? 0 : (1L + logprobs.topTokens().length) * LOGPROB_BYTES;
    }

    @Override
    public GenerationEvent next(Duration timeout) throws InterruptedException {
        GenerationEvent event = poll();
        if (event != null) {
            return event;
        }
        long deadline = System.nanoTime() + timeout.toNanos();
        reader = Thread.currentThread();
        try {
            while ((event = poll()) == null) {
                long left = deadline - System.nanoTime();
                if (left <= 0) {
                    return null;
                }
                LockSupport.parkNanos(this, left);
                if (Thread.interrupted()) {
                    throw new InterruptedException("interrupted while waiting for an event of request " + request.request().id());
                }
            }
            return event;
        } finally {
            reader = null;
        }
    }

    /// Whether the reader has taken the last event.
    boolean isComplete() {
        return openChoices == 0;
    }

    @Override
    public GenerationEvent poll() {
        if (isComplete()) {
            throw new IllegalStateException("request " + request.request().id() + " has no more events");
        }
        GenerationEvent event = events.poll();
        if (event == null) {
            return null;
        }
        takenBytes = takenBytes + wireBytes(event);
        if (paused && undeliveredBytes() <= RESUME_BYTES) {
            paused = false;
            engine.send(new Command.Resume(request));
        }
        switch (event) {
            case GenerationEvent.Finished _ -> openChoices--;
            case GenerationEvent.Failed _ -> openChoices = 0;
            case GenerationEvent.Admitted _, GenerationEvent.Token _, GenerationEvent.PromptScored _ -> {
            }
        }
        return event;
    }

    @Override
    public void cancel() {
        if (cancelled.compareAndSet(false, true)) {
            engine.send(new Command.Cancel(request));
        }
    }

    @Override
    public void cancel(int choice) {
        if (!cancelled.get() && cancelledChoices.compareAndSet(choice, 0, 1)) {
            engine.send(new Command.CancelChoice(request, choice));
        }
    }

    @Override
    public GenerationTimes times() {
        return request.times();
    }

    @Override
    public void close() {
        cancel();
    }
}
