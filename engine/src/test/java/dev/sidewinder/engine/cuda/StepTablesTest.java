package dev.sidewinder.engine.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import dev.sidewinder.cuda.device.DeviceBuffer;
import dev.sidewinder.cuda.emulator.EmulatorExtension;
import dev.sidewinder.cuda.kernel.StepSequences;
import dev.sidewinder.engine.cpu.TestSequence;
import dev.sidewinder.kvcache.CacheShape;
import dev.sidewinder.scheduler.BatchEntry;
import dev.sidewinder.scheduler.LogitRows;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

/// What the kernels find on the device.
class StepTablesTest {

    private static final StepTables.Size SIZE = new StepTables.Size(300, 4, 5);

    @RegisterExtension
    final EmulatorExtension emulator = new EmulatorExtension();

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
        tables.add(first.next(3, LogitRows.ALL), 100);
        tables.add(second.next(132, LogitRows.LAST), 100);
        tables.upload(emulator.device().stream());

        StepSequences prompts = tables.prompts();
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
    void markRowsThatBelongToNobody() {
        var sequence = new TestSequence(2, new int[] {4}, new int[] {8});
        tables.clear();
        tables.add(sequence.next(1, LogitRows.LAST), 100);
        tables.pad(4);
        tables.upload(emulator.device().stream());

        StepSequences decode = tables.decode(4);
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
                tables.add(entry, 10);
                expected[row] = new int[CacheShape.blocksFor(entry.from() + count)];
                Arrays.setAll(expected[row], sequences[row]::block);
            }
            tables.upload(emulator.device().stream());
            for (int row = 0; row < rows; row++) {
                assertThat(ints(tables.prompts().blockTable() + 4L * 5 * row, expected[row].length))
                        .as("row %d of step %d", row, step).isEqualTo(expected[row]);
            }
        }
    }

    @Test
    void refuseMoreThanThereIsRoomFor() {
        tables.clear();
        assertThatIllegalArgumentException()
                .isThrownBy(() -> tables.add(new TestSequence(0, new int[5], new int[301]).next(301, LogitRows.LAST), 10))
                .withMessageContaining("300 tokens");
        var tooLong = new TestSequence(0, new int[6], new int[641]);
        tooLong.next(640, LogitRows.NONE);
        assertThatIllegalArgumentException().isThrownBy(() -> tables.add(tooLong.next(1, LogitRows.LAST), 10))
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
