package dev.sidewinder.engine.cuda;

import static dev.sidewinder.engine.cuda.EmulatedBackend.ODD;
import static dev.sidewinder.engine.cuda.EmulatedBackend.ROUND;
import static dev.sidewinder.engine.cuda.EmulatedBackend.randomTokens;
import static org.assertj.core.api.Assertions.assertThat;

import dev.sidewinder.cuda.emulator.EmulatorSettings;
import dev.sidewinder.engine.BackendMemory;
import dev.sidewinder.engine.FrameRunner;
import dev.sidewinder.engine.FrameRunner.Piece;
import dev.sidewinder.engine.FrameRunner.Run;
import dev.sidewinder.engine.StateParts;
import dev.sidewinder.kvcache.CacheShape;
import dev.sidewinder.kvcache.CheckpointPoint;
import dev.sidewinder.kvcache.FrameShape;
import dev.sidewinder.kvcache.HostShape;
import dev.sidewinder.kvcache.Partition;
import dev.sidewinder.model.Model;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.provider.MethodSource;

/// Cold and cached, suspended and never suspended, forked and copied: the same bits, in batch-invariant mode, around the edges of
/// blocks. States are written on the way through prompts; behind the prompt a scan sums in another order than single tokens.
///
/// With `-Dsidewinder.long=true` the plain kernels run too, which take the emulator minutes.
@Timeout(900)
@ParameterizedClass
@MethodSource("models")
class CudaReuseTest {

    private static final Partition PARTITION = new Partition(1, 2);
    private static final Partition OTHER_PARTITION = new Partition(1, 3);
    private static final int GENERATED = 3;
    private static final int LONGEST = 257 + GENERATED;
    private static final CacheShape SHAPE = new CacheShape(12, 6);

    private final Model model;
    private final int[] tokens;
    private CudaBackend backend;
    private FrameRunner runner;

    static List<String> models() {
        List<String> quick = List.of(ROUND, ROUND + "?format=fp8");
        return Boolean.getBoolean("sidewinder.long") ? Stream.concat(quick.stream(), Stream.of(ODD)).toList() : quick;
    }

    CudaReuseTest(String location) {
        model = Model.open(location);
        tokens = randomTokens(new Random(21), LONGEST, model);
    }

    @BeforeEach
    void open() {
        CudaOptions options = EmulatedBackend.options(512, SHAPE);
        FrameShape frames = CacheLayout.of(model.config(), options.kvFormat()).frames(SHAPE.slots(), SHAPE.blocks());
        var memory = new BackendMemory(frames, new HostShape(2, 6));
        backend = EmulatedBackend.open(model, memory, options, EmulatorSettings.withSeed(5).lazily());
        runner = new FrameRunner(backend, memory, 5);
    }

    @AfterEach
    void close() {
        backend.close();
        model.close();
    }

    private int[] prompt(int length) {
        return Arrays.copyOf(tokens, length + GENERATED);
    }

    /// Alone, in one piece, and without a use of the cache.
    private float[][] cold(int[] sequence, int promptTokens) {
        Run run = runner.admit(Optional.empty(), sequence, promptTokens);
        runner.prefill(run);
        runner.generate(run, sequence.length - promptTokens);
        runner.close(run);
        return run.rows();
    }

    private static void assertSameFrom(int from, Run run, float[][] expected, String what) {
        for (int position = from; position < run.done(); position++) {
            assertThat(run.rows()[position]).as("%s, position %d", what, position).isEqualTo(expected[position]);
        }
    }

    @Test
    void cachedIsColdAroundTheEdgesOfBlocks() {
        for (int length : new int[] {127, 128, 129, 255, 256, 257}) {
            int[] sequence = prompt(length);
            float[][] expected = cold(sequence, length);
            // given the prompt with its state kept at every block below its last token
            int[] marks = {128, 256};
            int kept = (length - 1) / 128;
            Run first = runner.admit(Optional.of(PARTITION), sequence, length);
            runner.prefill(first, Arrays.copyOf(marks, kept));
            runner.generate(first, 1);
            // when it comes again, while the first one still goes on
            Run second = runner.admit(Optional.of(PARTITION), sequence, length);
            runner.prefill(second);
            runner.step(Piece.of(first, 1), Piece.of(second, 1));
            runner.step(Piece.of(second, 1), Piece.of(first, 1));
            runner.generate(second, 1);

            // then it goes on from the last of them, and both are as if alone
            assertThat(second.reusedTokens()).as("reused of %d", length).isEqualTo(128 * kept);
            assertSameFrom(0, first, expected, "first of " + length);
            assertSameFrom(second.reusedTokens(), second, expected, "second of " + length);
            runner.close(first);
            runner.close(second);
            runner.cache().evictAll();
        }
    }

    /// Several in one piece, one at its end, and with others in the same step.
    @Test
    void aStateWrittenOnTheWayIsTheOneThatAPieceEndingThereLeaves() {
        // given a prompt in one piece that keeps its state at two positions, between two that keep others or none
        float[][] expected = cold(prompt(257), 257);
        Run run = runner.admit(Optional.of(PARTITION), prompt(257), 257);
        Run none = runner.admit(Optional.empty(), prompt(100), 100);
        Run other = runner.admit(Optional.of(OTHER_PARTITION), prompt(150), 150);
        runner.step(Piece.of(none, 100), new Piece(run, 256, List.of(128), Optional.of(CheckpointPoint.SYSTEM), true),
                new Piece(other, 150, List.of(128), Optional.empty(), true));
        runner.step(Piece.of(run, 1), Piece.of(none, 1));
        assertSameFrom(0, run, expected, "with states kept on the way");
        assertSameFrom(0, other, expected, "beside it");
        for (Run each : List.of(run, none, other)) {
            runner.close(each);
        }
        assertGoesOn(PARTITION, 256);
        assertGoesOn(PARTITION, 128);
        assertGoesOn(OTHER_PARTITION, 128);
    }

    /// A piece that begins inside a block, as that of a session does, and ends where the block does, at no multiple of a chunk.
    @Test
    void aStateIsWrittenAtTheEndOfABlockThatAPieceBeginsIn() {
        for (int begin : new int[] {100, 127}) {
            Run run = runner.admit(Optional.of(PARTITION), prompt(130), 130);
            runner.step(Piece.of(run, begin));
            runner.step(new Piece(run, 128 - begin, Optional.of(CheckpointPoint.TURN_START)));
            Run resumed = runner.admit(Optional.of(PARTITION), prompt(130), 130);
            assertThat(resumed.reusedTokens()).isEqualTo(128);
            assertSameState(resumed, run, "from " + begin);
            runner.close(run);
            runner.close(resumed);
            runner.cache().evictAll();
        }
    }

    /// What goes on from a kept state has the state of what has run as far, bit for bit.
    private void assertGoesOn(Partition partition, int position) {
        int[] tokens = prompt(position + 1);
        Run resumed = runner.admit(Optional.of(partition), tokens, position + 1);
        assertThat(resumed.reusedTokens()).isEqualTo(position);
        Run ended = runner.admit(Optional.empty(), tokens, position + 1);
        runner.step(Piece.of(ended, position));
        assertSameState(resumed, ended, "behind " + position);
        runner.close(resumed);
        runner.close(ended);
    }

    private void assertSameState(Run one, Run other, String what) {
        CacheLayout layout = CacheLayout.of(model.config(), EmulatedBackend.options(512, SHAPE).kvFormat());
        List<byte[]> expected = StateParts.of(runner.state(other), model.config(), layout.recurrentOffset(), layout.historyOffset());
        assertThat(StateParts.of(runner.state(one), model.config(), layout.recurrentOffset(), layout.historyOffset())).as(what)
                .isNotEmpty().containsExactlyElementsOf(expected);
    }

    /// Another question behind the same beginning: what the first prompt wrote behind the state must not show.
    @Test
    void goesOnFromAPrefixWithOtherTokensBehindIt() {
        Run first = runner.admit(Optional.of(PARTITION), prompt(257), 257);
        runner.prefill(first, 128, 256);
        runner.close(first);
        for (int shared : new int[] {127, 128, 129, 200, 256}) {
            int[] other = randomTokens(new Random(shared), 257 + GENERATED, model);
            System.arraycopy(tokens, 0, other, 0, shared);
            other[shared] = (tokens[shared] + 1) % model.config().vocabSize();
            float[][] expected = cold(other, 257);
            Run run = runner.admit(Optional.of(PARTITION), other, 257);
            runner.prefill(run);
            runner.generate(run, GENERATED);
            assertThat(run.reusedTokens()).isEqualTo(shared / 128 * 128);
            assertSameFrom(run.reusedTokens(), run, expected, "behind " + shared);
            runner.close(run);
        }
    }

    @Test
    void suspendedIsNeverSuspended() {
        float[][] expected = cold(prompt(257), 257);
        // given a sequence that is suspended between pieces of its prompt, behind it, and between generated tokens
        Run run = runner.admit(Optional.of(PARTITION), prompt(257), 257);
        runner.step(new Piece(run, 128, Optional.of(CheckpointPoint.SYSTEM)));
        suspendWhileOthersTakeItsMemory(run);
        runner.step(Piece.of(run, 128));
        suspendWhileOthersTakeItsMemory(run);
        runner.prefill(run);
        suspendWhileOthersTakeItsMemory(run);
        runner.generate(run, 1);
        suspendWhileOthersTakeItsMemory(run);
        runner.generate(run, GENERATED - 1);
        assertSameFrom(0, run, expected, "suspended");
        runner.close(run);
    }

    private void suspendWhileOthersTakeItsMemory(Run run) {
        runner.suspend(run);
        runner.cache().evictAll();
        var others = new Run[SHAPE.slots() - 1];
        for (int i = 0; i < others.length; i++) {
            others[i] = runner.admit(Optional.empty(), randomTokens(new Random(i), 140, model), 140);
            runner.prefill(others[i]);
        }
        for (Run other : others) {
            runner.close(other);
        }
        runner.resume(run);
    }

    @Test
    void forkedIsCopied() {
        for (int at : new int[] {127, 128, 129, 256}) {
            // given a sequence that generates, and a fork behind a generated token
            int[] left = prompt(at + GENERATED);
            int[] right = left.clone();
            right[at + 2] = (right[at + 2] + 1) % model.config().vocabSize();
            float[][] expectedLeft = cold(left, at);
            float[][] expectedRight = cold(right, at);
            Run run = runner.admit(Optional.of(PARTITION), left, at);
            runner.prefill(run);
            runner.generate(run, 1);
            Run fork = runner.fork(run, right, at);
            // when both go on, in one step and apart
            runner.step(Piece.of(fork, 1), Piece.of(run, 1));
            runner.generate(run, 1);
            runner.generate(fork, 1);
            runner.close(run);
            runner.generate(fork, right.length - fork.done());

            assertSameFrom(0, run, expectedLeft, "forked at " + at);
            assertSameFrom(at + 1, fork, expectedRight, "fork at " + at);
            runner.close(fork);
            runner.cache().evictAll();
        }
    }

    @Test
    void bytesThatWereSuspendedMayBeReadAndPutBack() {
        float[][] expected = cold(prompt(129), 129);
        Run run = runner.admit(Optional.empty(), prompt(129), 129);
        runner.prefill(run);
        runner.suspend(run);
        runner.step();
        // given copies of all that lies in the host area, which then holds something else
        byte[][] bytes = new byte[3][];
        for (int i = 0; i < 3; i++) {
            MemorySegment segment = i == 0 ? backend.hostState(0) : backend.hostBlock(i - 1);
            bytes[i] = segment.toArray(ValueLayout.JAVA_BYTE);
            segment.fill((byte) 0x5a);
        }
        for (int i = 0; i < 3; i++) {
            MemorySegment segment = i == 0 ? backend.hostState(0) : backend.hostBlock(i - 1);
            segment.copyFrom(MemorySegment.ofArray(bytes[i]));
        }
        runner.resume(run);
        runner.generate(run, GENERATED);
        assertSameFrom(0, run, expected, "put back");
        runner.close(run);
    }
}
