package dev.sidewinder.engine;

import dev.sidewinder.kvcache.CacheShape;
import dev.sidewinder.kvcache.FrameCache;
import dev.sidewinder.kvcache.HostShape;
import dev.sidewinder.kvcache.SuspendedMemory;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.function.BiFunction;
import java.util.function.Consumer;

/// What sessions ask of an engine: requests that go on from memory and leave memory, and that memory's bytes. For
/// [dev.sidewinder.engine.session.Sessions], which decides what is kept and where.
///
/// Between its requests a session is in the host area, so it never holds what running sequences want. Any thread; calls wait for
/// the engine thread, a step at most, and fail with [EngineException] when that has ended. Bytes are read and written by the
/// calling thread while the engine goes on: close the sessions before the engine.
public final class SessionDesk {

    private final Engine engine;
    private final HostShape host;

    SessionDesk(Engine engine, HostShape host) {
        this.engine = engine;
        this.host = host;
    }

    /// A request of a session.
    ///
    /// @param generation as for any request
    /// @param end        what it left; completed once nothing of it runs any more
    public record Turn(Generation generation, CompletableFuture<TurnEnd> end) {}

    /// What a request of a session left.
    ///
    /// @param tokens prompt and generated tokens
    /// @param memory of the first of them; empty when there was no room for it
    /// @param failure why the request failed, if it did: what it computed is not to be used
    public record TurnEnd(int[] tokens, Optional<SessionMemory> memory, Optional<EngineException> failure) {}

    /// How much there is for sessions and suspended sequences.
    public HostShape host() {
        return host;
    }

    /// Sizes of a state and of a block.
    public record Sizes(long slotBytes, long blockBytes) {}

    /// @throws EngineException when the engine has ended
    public Sizes sizes() {
        return call((cache, backend) -> Optional.of(new Sizes(backend.hostState(0).byteSize(), backend.hostBlock(0).byteSize())));
    }

    /// Tokens of the longest sequence.
    public int mostTokens() {
        return engine.maxModelTokens();
    }

    public int vocabSize() {
        return engine.vocabSize();
    }

    /// Hands a request to the engine.
    ///
    /// @param place       reserved for one sequence
    /// @param request     its prompt begins with the tokens that `from` is of, and has at least one more; one choice, and its prompt
    ///                    is not scored
    /// @param from        what it goes on from, which remains; empty = it begins at token 0
    /// @param answerStart prompt tokens from here on count as generated, for penalties; the prompt's length = none
    public Turn submit(Engine.Place place, GenerationRequest request, Optional<SessionMemory> from, int answerStart) {
        if (request.choices() != 1 || request.promptLogprobs() >= 0) {
            throw new IllegalArgumentException("request " + request.id() + " of a session has " + request.choices()
                    + " choices and promptLogprobs " + request.promptLogprobs() + "; it has one choice, and its prompt is not scored");
        }
        int computed = from.map(SessionMemory::computed).orElse(0);
        if (computed >= request.prompt().length) {
            throw new IllegalArgumentException("request " + request.id() + " has " + request.prompt().length + " prompt tokens, of which "
                    + computed + " are computed: none is left to go on with");
        }
        Optional<SessionMemory> own = from.map(this::share);
        var link = new SessionLink(own, answerStart);
        try {
            return new Turn(((QueuePlace) place).submit(request, Optional.of(link)), link.end());
        } catch (RuntimeException refused) {
            own.ifPresent(this::drop);
            throw refused;
        }
    }

    /// A second hold on the same memory.
    public SessionMemory share(SessionMemory memory) {
        return call((cache, backend) -> Optional.of(new SessionMemory(memory.places().share(), memory.computed())));
    }

    /// Gives memory back.
    public void drop(SessionMemory memory) {
        engine.send(new Task<>((cache, backend) -> {
            memory.places().close();
            return Optional.of(true);
        }));
    }

    /// Reads memory, once it is in the host area. What lies behind the last computed token in its block is zero, whoever had the
    /// block before.
    ///
    /// @param reader may use the bytes until it returns
    public void read(SessionMemory memory, Consumer<SessionBytes> reader) {
        SessionBytes bytes = call((cache, backend) ->
                memory.places().isThere() ? Optional.of(bytes(memory, backend)) : Optional.empty());
        int inLast = memory.computed() % CacheShape.BLOCK_TOKENS;
        if (inLast == 0) {
            reader.accept(bytes);
            return;
        }
        try (Arena arena = Arena.ofConfined()) {
            List<MemorySegment> blocks = new ArrayList<>(bytes.blocks());
            MemorySegment last = arena.allocate(Math.max(1, blocks.getLast().byteSize())).asSlice(0, blocks.getLast().byteSize());
            last.copyFrom(blocks.getLast());
            engine.clearBehind(last, inLast);
            blocks.set(blocks.size() - 1, last);
            reader.accept(new SessionBytes(bytes.computed(), bytes.state(), blocks));
        }
    }

    /// Takes memory for what somebody else's bytes are; empty when there is no room for now.
    ///
    /// @param computed tokens after which the state will be
    /// @param writer   fills the bytes; when it fails, the memory is given back
    public Optional<SessionMemory> adopt(int computed, Consumer<SessionBytes> writer) {
        record Adopted(Optional<SessionMemory> memory, SessionBytes bytes) {}
        Adopted adopted = call((cache, backend) -> {
            Optional<SessionMemory> memory = cache.adopt(Optional.empty(), CacheShape.blocksFor(computed))
                    .map(places -> new SessionMemory(places, computed));
            return Optional.of(new Adopted(memory, memory.map(each -> bytes(each, backend)).orElse(null)));
        });
        adopted.memory().ifPresent(memory -> {
            try {
                writer.accept(adopted.bytes());
            } catch (RuntimeException failed) {
                drop(memory);
                throw failed;
            }
        });
        return adopted.memory();
    }

    private static SessionBytes bytes(SessionMemory memory, Backend backend) {
        SuspendedMemory places = memory.places();
        List<MemorySegment> blocks = new ArrayList<>(places.blockCount());
        for (int i = 0; i < places.blockCount(); i++) {
            blocks.add(backend.hostBlock(places.blockPlace(i)));
        }
        return new SessionBytes(memory.computed(), backend.hostState(places.statePlace()), blocks);
    }

    /// Has the engine thread work something out.
    ///
    /// @param work empty = not yet, ask again after the next step
    private <T> T call(BiFunction<FrameCache, Backend, Optional<T>> work) {
        var task = new Task<>(work);
        engine.send(task);
        try {
            return task.result.join();
        } catch (CompletionException failed) {
            if (failed.getCause() instanceof EngineException ended) {
                throw new EngineException(ended.kind(), ended.getMessage());
            }
            throw failed;
        }
    }

    private static final class Task<T> implements EngineTask {
        final BiFunction<FrameCache, Backend, Optional<T>> work;
        final CompletableFuture<T> result = new CompletableFuture<>();

        Task(BiFunction<FrameCache, Backend, Optional<T>> work) {
            this.work = work;
        }

        @Override
        public boolean run(FrameCache cache, Backend backend) {
            Optional<T> done = work.apply(cache, backend);
            done.ifPresent(result::complete);
            return done.isPresent();
        }

        @Override
        public void failed(EngineException cause) {
            result.completeExceptionally(cause);
        }
    }
}
