package dev.sidewinder.engine;

import static dev.sidewinder.engine.TestEngine.all;
import static dev.sidewinder.engine.TestEngine.request;
import static dev.sidewinder.engine.TestEngine.stub;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sidewinder.engine.EngineException.Kind;
import dev.sidewinder.kvcache.Partition;
import java.util.Optional;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/// An operator's wish, from another thread than the engine's.
@Timeout(60)
class DropPrefixesTest {

    private static final Optional<Partition> ALICE = Optional.of(new Partition(1, 1));

    private final TestEngine test = new TestEngine();

    @AfterEach
    void close() {
        test.close();
    }

    @Test
    void findsNothingWhereNothingWasKept() throws InterruptedException {
        test.start(stub());
        all(test.submit(request(5, 1)));

        assertThat(test.engine().dropPrefixes(ALICE)).isEqualTo(DroppedPrefixes.NONE);
        assertThat(test.engine().dropPrefixes(Optional.empty())).isEqualTo(DroppedPrefixes.NONE);
        test.awaitRest();
    }

    @Test
    void saysSoWhenTheEngineHasEnded() {
        test.start(stub());
        test.engine().close();

        assertThatThrownBy(() -> test.engine().dropPrefixes(ALICE)).isInstanceOfSatisfying(EngineException.class,
                ended -> assertThat(ended.kind()).isEqualTo(Kind.DRAINING));
    }

    @Test
    void saysSoWhenTheEngineHasFailed() throws InterruptedException {
        test.start(new FakeBackend(TestEngine.VOCAB, TestEngine.CACHE).before(step -> {
            throw new IllegalStateException("broken on purpose");
        }));
        all(test.submit(request(5, 1)));

        assertThatThrownBy(() -> test.engine().dropPrefixes(Optional.empty())).isInstanceOfSatisfying(EngineException.class,
                failed -> assertThat(failed.kind()).isEqualTo(Kind.ENGINE_FAILED));
    }
}
