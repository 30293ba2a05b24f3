package dev.sidewinder.engine;

import dev.sidewinder.kvcache.Allocation;
import dev.sidewinder.scheduler.Batch;
import java.lang.foreign.MemorySegment;
import java.util.function.UnaryOperator;

/// A backend in front of which every batch is looked at, on the engine thread at the beginning of its step.
///
/// @param backend  computes
/// @param look     sees a batch and says what is computed in its place
/// @param launched sees a step that was launched and says what is awaited in its place
/// @param atRest   is called when no step follows for now
record WatchedBackend(Backend backend, UnaryOperator<Batch> look, UnaryOperator<LaunchedStep> launched, Runnable atRest) implements Backend {

    WatchedBackend(Backend backend, UnaryOperator<Batch> look) {
        this(backend, look, UnaryOperator.identity(), () -> {});
    }

    @Override
    public Logits forward(Batch batch) {
        return backend.forward(look.apply(batch));
    }

    @Override
    public LaunchedStep launch(Batch batch) {
        return launched.apply(backend.launch(look.apply(batch)));
    }

    @Override
    public BackendMemory memory() {
        return backend.memory();
    }

    @Override
    public boolean decodeEqualsScan() {
        return backend.decodeEqualsScan();
    }

    @Override
    public String cacheFormat() {
        return backend.cacheFormat();
    }

    @Override
    public MemorySegment hostState(int place) {
        return backend.hostState(place);
    }

    @Override
    public MemorySegment hostBlock(int place) {
        return backend.hostBlock(place);
    }

    @Override
    public boolean isBatchInvariant() {
        return backend.isBatchInvariant();
    }

    @Override
    public void erase(Allocation memory) {
        backend.erase(memory);
    }

    @Override
    public void idle() {
        backend.idle();
        atRest.run();
    }

    @Override
    public int vocabSize() {
        return backend.vocabSize();
    }

    @Override
    public String description() {
        return "watched: " + backend.description();
    }

    @Override
    public void close() {
        backend.close();
    }
}
