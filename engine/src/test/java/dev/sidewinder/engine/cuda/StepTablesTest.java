package dev.sidewinder.engine.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import dev.sidewinder.cuda.device.DeviceBuffer;
import dev.sidewinder.cuda.device.Stream;
import dev.sidewinder.cuda.emulator.EmulatorExtension;
import dev.sidewinder.cuda.emulator.EmulatorSettings;
import dev.sidewinder.cuda.kernel.KeptStates;
import dev.sidewinder.cuda.kernel.StepSequences;
import dev.sidewinder.engine.cpu.TestSequence;
import dev.sidewinder.kvcache.CacheShape;
import dev.sidewinder.kvcache.StateWrite;
import dev.sidewinder.scheduler.BatchEntry;
import dev.sidewinder.scheduler.LogitRows;
import dev.sidewinder.scheduler.TokenSource;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

/// What the kernels find on the device.
class StepTablesTest {

    private static final StepTables.Size SIZE = new StepTables.Size(300, 4, 5, 3);

    @RegisterExtension
    final EmulatorExtension emulator = new EmulatorExtension(EmulatorSettings.withSeed(0).lazily());

    private DeviceBuffer memory;
    private StepTables tables;

    @BeforeEach
    void open() {
        memory = emulator.device().allocate(SIZE.bytes());
        tables = new StepTables(emulator.device(), memory.address(), SIZE);
    }

    @AfterEach
    void close() {
        tables.close();
        memory.close();
    }

    @Test
    void sayWhereThePiecesOfPromptsAre() {
        var first = new TestSequence(3, new int[] {7, 2}, new int[] {10, 11, 12});
        var second = new TestSequence(0, new int[] {5, 1, 9}, new int[260]);
        second.next(128, LogitRows.NONE);
        tables.clear();
        tables.add(first.next(3, LogitRows.ALL), 100, StepTables.KNOWN);
        tables.add(second.next(132, LogitRows.LAST), 100, StepTables.KNOWN);
        tables.upload(emulator.device().stream());

        StepSequences prompts = tables.prompts().sequences();
        assertThat(ints(prompts.start(), 3)).containsExactly(0, 3, 135);
        assertThat(ints(prompts.position(), 2)).containsExactly(0, 128);
        assertThat(ints(prompts.slot(), 2)).containsExactly(3, 0);
        assertThat(ints(tables.tokens(), 4)).containsExactly(10, 11, 12, 0);
        assertThat(tables.logitRows()).isEqualTo(4);
        assertThat(ints(tables.logitRow(1), 3)).containsExactly(1, 2, 134);
        assertThat(ints(prompts.blockTable(), 1)).containsExactly(7);
        assertThat(ints(prompts.blockTable() + 4 * 5, 3)).containsExactly(5, 1, 9);
    }

    @Test
    void sayWhichStatesAreKeptOnTheWay() {
        var none = new TestSequence(3, new int[] {7, 2}, new int[] {10, 11, 12});
        var two = new TestSequence(0, new int[] {5, 1, 9}, new int[280]);
        tables.clear();
        tables.add(none.next(3, LogitRows.NONE), 100, StepTables.KNOWN);
        assertThat(tables.kept()).as("nothing is kept").isEqualTo(KeptStates.NONE);
        BatchEntry entry = two.next(280, LogitRows.NONE);
        tables.add(new BatchEntry(entry.sequence(), entry.tokens(), 0, 280, entry.source(), entry.logits(), entry.allocation(),
                List.of(new StateWrite(128, 2), new StateWrite(256, 1))), 100, StepTables.KNOWN);
        tables.add(new TestSequence(4, new int[] {4}, new int[] {8}).next(1, LogitRows.LAST), 100, StepTables.KNOWN);
        tables.upload(emulator.device().stream());

        assertThat(ints(tables.kept().start(), 4)).containsExactly(0, 0, 2, 2);
        assertThat(ints(tables.kept().position(), 2)).containsExactly(128, 256);
        assertThat(ints(tables.kept().slot(), 2)).containsExactly(2, 1);
        assertThat(ints(tables.tokens(), 1)).containsExactly(10);
        tables.clear();
        assertThat(tables.kept()).isEqualTo(KeptStates.NONE);
    }

    /// Pieces inside a block that end with it, one for each sequence, and whole blocks: more states cannot be asked for.
    @Test
    void holdAsManyStatesAsPiecesCanPass() {
        tables.clear();
        for (int s = 0; s < 3; s++) {
            var sequence = new TestSequence(s, new int[] {s}, new int[128]);
            sequence.next(127, LogitRows.NONE);
            tables.add(keeping(sequence.next(1, LogitRows.NONE), 10 + s), 10, StepTables.KNOWN);
        }
        tables.add(keeping(new TestSequence(3, new int[] {3, 4, 5}, new int[256]).next(256, LogitRows.NONE), 13, 14), 10, StepTables.KNOWN);
        tables.upload(emulator.device().stream());

        assertThat(ints(tables.kept().start(), 5)).containsExactly(0, 1, 2, 3, 5);
        assertThat(ints(tables.kept().position(), 5)).containsExactly(128, 128, 128, 128, 256);
        assertThat(ints(tables.kept().slot(), 5)).containsExactly(10, 11, 12, 13, 14);
    }

    private static BatchEntry keeping(BatchEntry entry, int... slots) {
        List<StateWrite> writes = new ArrayList<>();
        for (int i = 0; i < slots.length; i++) {
            writes.add(new StateWrite(CacheShape.BLOCK_TOKENS * (i + 1), slots[i]));
        }
        return new BatchEntry(entry.sequence(), entry.tokens(), entry.from(), entry.count(), entry.source(), entry.logits(),
                entry.allocation(), writes);
    }

    @Test
    void markRowsThatBelongToNobody() {
        var sequence = new TestSequence(2, new int[] {4}, new int[] {8});
        tables.clear();
        tables.add(sequence.next(1, LogitRows.LAST), 100, StepTables.KNOWN);
        tables.pad(4);
        tables.upload(emulator.device().stream());

        StepSequences decode = tables.decode(4).sequences();
        assertThat(decode.start()).isZero();
        assertThat(ints(decode.slot(), 4)).containsExactly(2, -1, -1, -1);
        assertThat(ints(decode.position(), 4)).containsExactly(0, 0, 0, 0);
        assertThat(ints(tables.tokens(), 4)).containsExactly(8, -1, -1, -1);
    }

    /// Only what changes is copied; what the device has must be right all the same.
    @Test
    void keepBlockTablesRightWhateverChanges() {
        var random = new Random(4);
        var sequences = new TestSequence[4];
        for (int step = 0; step < 200; step++) {
            tables.clear();
            int[][] expected = new int[4][];
            int rows = 1 + random.nextInt(4);
            for (int row = 0; row < rows; row++) {
                if (sequences[row] == null || sequences[row].remaining() == 0 || random.nextInt(8) == 0) {
                    sequences[row] = new TestSequence(row, random.ints(5, 0, 6).toArray(), new int[600]);
                }
                int count = Math.min(1 + random.nextInt(60), sequences[row].remaining());
                BatchEntry entry = sequences[row].next(count, LogitRows.LAST);
                tables.add(entry, 10, StepTables.KNOWN);
                expected[row] = new int[CacheShape.blocksFor(entry.from() + count)];
                Arrays.setAll(expected[row], sequences[row]::block);
            }
            tables.upload(emulator.device().stream());
            for (int row = 0; row < rows; row++) {
                assertThat(ints(tables.prompts().sequences().blockTable() + 4L * 5 * row, expected[row].length))
                        .as("row %d of step %d", row, step).isEqualTo(expected[row]);
            }
        }
    }

    @Test
    void sayWhereATokenComesFromThatTheHostDoesNotHave() {
        var known = new TestSequence(2, new int[] {4}, new int[] {8});
        var unread = new TestSequence(1, new int[] {3}, new int[] {9});
        unread.next(1, LogitRows.LAST);
        tables.clear();
        assertThat(tables.hasSources()).isFalse();
        tables.add(known.next(1, LogitRows.LAST), 100, StepTables.KNOWN);
        assertThat(tables.hasSources()).isFalse();
        tables.add(new BatchEntry(7, new int[1], 1, 1, TokenSource.UNREAD, LogitRows.LAST, unread), 100, 5);
        assertThat(tables.hasSources()).isTrue();
        tables.pad(4);
        tables.upload(emulator.device().stream());

        assertThat(ints(tables.sources(), 4)).containsExactly(-1, 5, -1, -1);
        assertThat(ints(tables.tokens(), 4)).containsExactly(8, -1, -1, -1);
        assertThat(ints(tables.slots(), 4)).containsExactly(2, 1, -1, -1);
        assertThat(ints(tables.decode(4).sequences().position(), 4)).containsExactly(0, 1, 0, 0);
        tables.clear();
        assertThat(tables.hasSources()).isFalse();
    }

    /// This device works only when the host waits, so a buffer that is written too early shows.
    @Test
    void mayBeWrittenWhileTheCopyOfTheStepBeforeIsUnderWay() {
        Stream stream = emulator.device().stream();
        try (DeviceBuffer seen = emulator.device().allocate(64)) {
            var sequence = new TestSequence(2, new int[] {4, 1, 2, 3, 0}, new int[600]);
            for (int step = 0; step < 2; step++) {
                tables.clear();
                tables.add(sequence.next(128 * (step + 1), LogitRows.LAST), 10, StepTables.KNOWN);
                tables.upload(stream);
                stream.copy(seen.at(32L * step), tables.prompts().sequences().position(), 4);
                stream.copy(seen.at(32L * step + 4), tables.prompts().sequences().blockTable(), 4);
            }
            assertThat(ints(seen.address(), 2)).containsExactly(0, 4);
            assertThat(ints(seen.at(32), 2)).containsExactly(128, 4);
            assertThat(ints(tables.prompts().sequences().blockTable(), 3)).containsExactly(4, 1, 2);
        }
    }

    /// Whoever computes logits of rows of both names them by one list.
    @Test
    void nameTheRowsOfLogitsBehindThoseOfGeneratedTokens() {
        for (int ahead = 1; ahead <= 3; ahead++) {
            tables.clear();
            tables.add(new TestSequence(3, new int[] {7}, new int[5]).next(5, LogitRows.LAST), 100, StepTables.KNOWN);
            tables.add(new TestSequence(1, new int[] {2}, new int[3]).next(3, LogitRows.ALL), 100, StepTables.KNOWN);
            tables.follow(ahead);
            tables.upload(emulator.device().stream());

            int[] rows = ints(tables.logitRow(-ahead), ahead + 4);
            for (int row = 0; row < ahead; row++) {
                assertThat(rows[row]).isEqualTo(row);
            }
            assertThat(Arrays.copyOfRange(rows, ahead, ahead + 4)).containsExactly(ahead + 4, ahead + 5, ahead + 6, ahead + 7);
            assertThat(ints(tables.prompts().sequences().start(), 3)).containsExactly(0, 5, 8);
        }
        assertThatIllegalArgumentException().isThrownBy(() -> tables.follow(4)).withMessageContaining("4 rows").withMessageContaining("3");
    }

    @Test
    void refuseMoreThanThereIsRoomFor() {
        tables.clear();
        assertThatIllegalArgumentException()
                .isThrownBy(() -> tables.add(new TestSequence(0, new int[5], new int[301]).next(301, LogitRows.LAST), 10, StepTables.KNOWN))
                .withMessageContaining("300 tokens");
        var tooLong = new TestSequence(0, new int[6], new int[641]);
        tooLong.next(640, LogitRows.NONE);
        assertThatIllegalArgumentException().isThrownBy(() -> tables.add(tooLong.next(1, LogitRows.LAST), 10, StepTables.KNOWN))
                .withMessageContaining("6 KV blocks");
    }

    private int[] ints(long address, int count) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment host = arena.allocate(ValueLayout.JAVA_INT, count);
            emulator.device().stream().copyToHost(host, address, host.byteSize());
            emulator.device().stream().synchronize();
            return host.toArray(ValueLayout.JAVA_INT);
        }
    }
}
