package dev.sidewinder.engine;

import dev.sidewinder.engine.EngineException.Kind;
import dev.sidewinder.engine.EngineObserver.Refusal;
import dev.sidewinder.kvcache.FrameShape;
import dev.sidewinder.kvcache.Partition;
import dev.sidewinder.scheduler.Preparation;
import dev.sidewinder.scheduler.Scheduler;
import java.lang.foreign.MemorySegment;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.LongSupplier;
import java.util.function.Predicate;

/// The loop that turns requests into tokens. `start` makes one engine thread, which owns scheduler, caches and backend;
/// everything else talks to it through a bounded mailbox. All public methods may be called from any thread.
public final class Engine implements AutoCloseable {

    private final Backend backend;
    private final EngineLimits limits;
    private final EngineObserver observer;
    private final LongSupplier clock;
    private final FrameShape frames;
    private final int vocabSize;
    private final QueuePlaces queue;
    private final EngineLoop loop;
    private final Thread thread;
    private final AtomicLong sequenceIds = new AtomicLong();
    private final AtomicInteger reservedPlaces = new AtomicInteger();
    private volatile boolean draining;
    private boolean closed;

    private Engine(Backend backend, EngineLimits limits, EngineObserver observer, LongSupplier clock) {
        this.backend = backend;
        this.limits = limits;
        this.observer = observer;
        this.clock = clock;
        this.frames = backend.memory().frames();
        this.vocabSize = backend.vocabSize();
        this.queue = new QueuePlaces(limits.maxQueuedRequests(), limits.maxQueuedTokens());
        this.loop = new EngineLoop(backend, limits, observer, queue, clock);
        this.thread = Thread.ofPlatform().name("sidewinder-engine").daemon().unstarted(loop);
    }

    /// Starts an engine and takes ownership of the backend.
    public static Engine start(Backend backend, EngineLimits limits, EngineObserver observer) {
        return start(backend, limits, observer, System::nanoTime);
    }

    /// Starts an engine that reads deadlines off another clock.
    ///
    /// @param clock nanoseconds from any origin, never 0 and never backwards
    public static Engine start(Backend backend, EngineLimits limits, EngineObserver observer, LongSupplier clock) {
        Engine engine = new Engine(backend, limits, observer, clock);
        engine.thread.start();
        return engine;
    }

    /// A place in the queue, taken before a request is rendered and tokenized. Given back by `close` unless submitted.
    public interface Place extends AutoCloseable {

        /// Hands the request to the engine. A place reserved for several sequences takes several requests (the prompts of
        /// one call), as long as their choices add up to no more than was reserved.
        ///
        /// @throws EngineException          `TOO_LARGE` when it can never fit, `OVERLOADED` when the real token count
        ///                                  does not fit into the queue; the place remains
        /// @throws IllegalArgumentException for a prompt token outside the vocabulary, or more choices than reserved
        Generation submit(GenerationRequest request);

        @Override
        void close();
    }

    /// Takes a place in the queue, or refuses at once.
    ///
    /// @param requests        sequences the request will make (prompts x n)
    /// @param estimatedTokens prompt tokens of them all, estimated (body bytes / 3); corrected by `submit`
    /// @throws EngineException `OVERLOADED` or `DRAINING` or `ENGINE_FAILED`
    public Place reserve(int requests, long estimatedTokens) {
        return reserve(Optional.empty(), requests, estimatedTokens);
    }

    /// The same for one of several tenants, who leaves room for the others.
    ///
    /// @param share whose part of the queue it is; empty = the whole queue
    /// @throws EngineException as above, and `SHARE_USED_UP` when there is room and the tenant has as much of the queue as it may
    public Place reserve(Optional<QueueShare> share, int requests, long estimatedTokens) {
        if (requests < 1 || estimatedTokens < 0) {
            throw new IllegalArgumentException("a place for " + requests + " requests with " + estimatedTokens + " tokens");
        }
        switch (state()) {
            case SERVING -> {
            }
            case DRAINING, CLOSED -> throw refusal(Refusal.DRAINING, Kind.DRAINING, "the server is stopping and takes no new requests");
            case FAILED -> throw refusal(Refusal.ENGINE_FAILED, Kind.ENGINE_FAILED, "the engine has failed");
        }
        QueuePlaces.Answer answer = queue.take(share, requests, estimatedTokens);
        if (answer != QueuePlaces.Answer.TAKEN) {
            throw refused(answer, "");
        }
        reservedPlaces.addAndGet(requests);
        return new QueuePlace(this, share, requests, estimatedTokens);
    }

    /// @param why put in front of what is said
    private EngineException refused(QueuePlaces.Answer answer, String why) {
        return switch (answer) {
            case TAKEN -> throw new IllegalArgumentException("a place that was taken was not refused");
            case TOO_MANY_REQUESTS -> refusal(Refusal.QUEUE_REQUESTS, Kind.OVERLOADED,
                    why + "the queue is full: " + limits.maxQueuedRequests() + " requests wait at most");
            case TOO_MANY_TOKENS -> refusal(Refusal.QUEUE_TOKENS, Kind.OVERLOADED,
                    why + "the queue is full: " + limits.maxQueuedTokens() + " prompt tokens wait at most");
            case SHARE_OF_REQUESTS -> refusal(Refusal.SHARE_REQUESTS, Kind.SHARE_USED_UP,
                    why + "the tenant has as many requests waiting as its share of the queue allows now");
            case SHARE_OF_TOKENS -> refusal(Refusal.SHARE_TOKENS, Kind.SHARE_USED_UP,
                    why + "the tenant has as many prompt tokens waiting as its share of the queue allows now");
        };
    }

    private EngineException refusal(Refusal reason, Kind kind, String message) {
        observer.refused(reason);
        return new EngineException(kind, message);
    }

    /// Checks what needs no engine thread to know.
    void requireRunnable(GenerationRequest request) {
        requireInVocabulary(request.prompt());
        Scheduler.neverFits(request.prompt().length, request.maxTokens(), frames, limits.maxModelTokens()).ifPresent(refusal -> {
            throw new EngineException(Kind.TOO_LARGE, "prompt has " + request.prompt().length + " tokens and asks for "
                    + request.maxTokens() + " more; this server holds " + refusal.limit() + " per sequence");
        });
    }

    private void requireInVocabulary(int[] tokens) {
        for (int token : tokens) {
            if (token < 0 || token >= vocabSize) {
                throw new IllegalArgumentException("prompt token " + token + " is outside the vocabulary of " + vocabSize);
            }
        }
    }

    /// Hands a request that has its places to the engine thread.
    ///
    /// @param session what it belongs to, if anything
    /// @param share   what its places were taken from
    Generation launch(GenerationRequest request, Optional<SessionLink> session, Optional<QueueShare> share) {
        reservedPlaces.addAndGet(-request.choices());
        LiveRequest live = new LiveRequest(request, session, share, loop, sequenceIds.getAndAdd(request.choices()), vocabSize, clock.getAsLong());
        loop.send(new Command.Submit(live));
        return live.stream();
    }

    /// What sessions ask of this engine: see [dev.sidewinder.engine.session.Sessions].
    public SessionDesk sessionDesk() {
        return new SessionDesk(this, backend.memory().host());
    }

    /// Has the engine thread do something between two steps.
    void send(EngineTask task) {
        loop.send(new Command.Task(task));
    }

    int maxModelTokens() {
        return limits.maxModelTokens();
    }

    int vocabSize() {
        return vocabSize;
    }

    /// As [Backend#clearBehind].
    void clearBehind(MemorySegment block, int tokens) {
        backend.clearBehind(block, tokens);
    }

    void placesGivenUp(int requests) {
        reservedPlaces.addAndGet(-requests);
    }

    QueuePlaces queue() {
        return queue;
    }

    Thread thread() {
        return thread;
    }

    /// Checks the books of scheduler and cache. Only from within an observer's callback, on the engine thread.
    void checkInvariants() {
        loop.checkInvariants();
    }

    EngineException tooManyTokens(int tokens, QueuePlaces.Answer answer) {
        return refused(answer, "the prompt turned out to have " + tokens + " tokens; ");
    }

    /// Has the engine compute what a prompt is expected to begin with, where that saves enough and nobody waits: never beside a prompt, and beside
    /// answers only as far as the time between two tokens allows. Nobody is told what becomes of it; it is given up when the prompt has
    /// come, or another one in its place. Ignored by an engine that is ending.
    ///
    /// @throws IllegalArgumentException for a token outside the vocabulary
    public void prepare(Preparation preparation) {
        requireInVocabulary(preparation.tokens());
        if (state() == EngineStatus.State.SERVING) {
            loop.send(new Command.Prepare(preparation));
        }
    }

    /// Drops what the prefix cache holds and no running sequence stands on. Waits for the engine thread: for the step under way.
    ///
    /// @param partition whose prefixes; empty = everybody's
    /// @throws EngineException when the engine has ended
    public DroppedPrefixes dropPrefixes(Optional<Partition> partition) {
        return dropPrefixes(each -> partition.isEmpty() || partition.get().equals(each));
    }

    /// The same for several partitions.
    ///
    /// @param which asked on the engine thread: quick, and the same whenever it is asked
    public DroppedPrefixes dropPrefixes(Predicate<Partition> which) {
        var answer = new CompletableFuture<DroppedPrefixes>();
        loop.send(new Command.DropPrefixes(which, answer));
        try {
            return answer.join();
        } catch (CompletionException e) {
            throw e.getCause() instanceof EngineException ended ? new EngineException(ended.kind(), ended.getMessage()) : e;
        }
    }

    /// What the engine is doing, from memory.
    public EngineStatus status() {
        return loop.counts().status(state(), reservedPlaces.get(), clock.getAsLong());
    }

    /// What the engine failed with, when it has failed and not merely been closed.
    public Optional<Throwable> failure() {
        return loop.failure();
    }

    private EngineStatus.State state() {
        if (loop.hasFailed()) {
            return EngineStatus.State.FAILED;
        }
        if (loop.hasEnded()) {
            return EngineStatus.State.CLOSED;
        }
        return draining ? EngineStatus.State.DRAINING : EngineStatus.State.SERVING;
    }

    /// Takes nothing new; what was accepted goes on, and so do places that were reserved.
    public void drain() {
        draining = true;
    }

    /// Stops before the next step: running requests fail with `DRAINING`. Waits for the thread, then closes the backend.
    /// An interrupt does not shorten the wait: the backend's memory must not go while the thread uses it.
    @Override
    public synchronized void close() {
        if (closed) {
            return;
        }
        closed = true;
        draining = true;
        loop.send(new Command.Close());
        boolean interrupted = false;
        while (thread.isAlive()) {
            try {
                thread.join();
            } catch (InterruptedException interrupt) {
                interrupted = true;
            }
        }
        backend.close();
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }
}
