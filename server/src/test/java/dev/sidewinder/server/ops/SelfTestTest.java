package dev.sidewinder.server.ops;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sidewinder.engine.Backend;
import dev.sidewinder.engine.BackendMemory;
import dev.sidewinder.engine.Engine;
import dev.sidewinder.engine.EngineLimits;
import dev.sidewinder.engine.EngineObserver;
import dev.sidewinder.engine.Logits;
import dev.sidewinder.engine.stub.StubBackend;
import dev.sidewinder.engine.stub.StubShape;
import dev.sidewinder.kvcache.FrameShape;
import dev.sidewinder.kvcache.MemoryWork;
import dev.sidewinder.kvcache.MissReason;
import dev.sidewinder.kvcache.Partition;
import dev.sidewinder.scheduler.Batch;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// The test at start against backends and engines with known faults.
class SelfTestTest {

    private static final int VOCABULARY = 50;
    private static final Optional<Partition> PARTITION = Optional.of(new Partition(1, 2));

    private static StubBackend stub(FrameShape frames) {
        return new StubBackend(new StubShape(VOCABULARY, frames));
    }

    private static Engine start(Backend backend) {
        return Engine.start(backend, new EngineLimits(2, 256, 8, 10_000, 1000), EngineObserver.NONE);
    }

    private static void run(Backend backend, int maxModelTokens, Optional<Partition> partition) throws InterruptedException {
        try (Engine engine = start(backend)) {
            new SelfTest(engine, VOCABULARY, maxModelTokens, partition).run();
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {3, 4, 130, 131, 132, 258, 259, 302, 1000})
    void passesWithASoundBackendWhateverTheLengthOfTheModel(int maxModelTokens) throws InterruptedException {
        run(stub(FrameShape.holding(4, 64, 16)), maxModelTokens, PARTITION);
        run(stub(FrameShape.holding(4, 64, 16)), maxModelTokens, Optional.empty());
    }

    @Test
    void goesOnFromTwoBlocksAndLeavesNothingBehind() throws InterruptedException {
        try (Engine engine = start(stub(FrameShape.holding(4, 64, 16)))) {
            new SelfTest(engine, VOCABULARY, 1000, PARTITION).run();

            var cache = engine.status().cache();
            assertThat(cache.counts().reusedTokens()).isEqualTo(256);
            assertThat(cache.counts().lookupsByReason().get(MissReason.NONE).partly()).isEqualTo(1);
            assertThat(cache.keptStates()).isZero();
            assertThat(cache.keptBlocks()).isZero();
        }
    }

    @Test
    void failsWhereWhatIsReusedIsNotWhatWasComputed() {
        assertThatThrownBy(() -> {
            try (Engine engine = start(new Forgetful(stub(FrameShape.holding(4, 64, 16))))) {
                new SelfTest(engine, VOCABULARY, 1000, PARTITION).run();
            }
        }).isInstanceOfSatisfying(StartException.class, failure -> {
            assertThat(failure.exitCode()).isEqualTo(ServeApplication.SELF_TEST_FAILED);
            assertThat(failure.getMessage()).contains("256 tokens reused");
        });
    }

    @Test
    void startsWithAWarningWhereThereIsNoRoomToKeepAState() {
        // given one frame for a state and one for blocks
        assertThatCode(() -> run(stub(new FrameShape(2, 16)), 1000, PARTITION)).doesNotThrowAnyException();
    }

    /// Leaves out what it should copy, so a sequence that goes on from a kept state begins with the state of somebody else.
    private record Forgetful(StubBackend stub) implements Backend {

        @Override
        public Logits forward(Batch batch) {
            return stub.forward(new Batch(batch.step(), batch.entries(), MemoryWork.NONE));
        }

        @Override
        public BackendMemory memory() {
            return stub.memory();
        }

        @Override
        public int vocabSize() {
            return stub.vocabSize();
        }

        @Override
        public boolean decodeEqualsScan() {
            return true;
        }

        @Override
        public String description() {
            return "forgetful";
        }

        @Override
        public void close() {
            stub.close();
        }
    }
}
