package dev.sidewinder.engine.cpu;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import dev.sidewinder.engine.BackendMemory;
import dev.sidewinder.kvcache.BlockCopy;
import dev.sidewinder.kvcache.FrameShape;
import dev.sidewinder.kvcache.HostCopy;
import dev.sidewinder.kvcache.HostShape;
import dev.sidewinder.kvcache.MemoryWork;
import dev.sidewinder.kvcache.StateCopy;
import java.lang.foreign.MemorySegment;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class CacheMemoryTest {

    private static final long SLOT_BYTES = 320;
    private static final long BLOCK_BYTES = 128;
    /// Three blocks hold a state, with room for 64 bytes more.
    private static final FrameShape FRAMES = FrameShape.of(6 * 384, SLOT_BYTES, BLOCK_BYTES);

    private final NativeMemory owner = new NativeMemory();
    private final CacheMemory memory = memory(FRAMES);

    private CacheMemory memory(FrameShape frames) {
        var layout = new CpuCacheLayout(SLOT_BYTES, BLOCK_BYTES, 2, new long[0], new long[0], new long[0]);
        return new CacheMemory(owner, layout, new BackendMemory(frames, new HostShape(2, 4)), 0);
    }

    @AfterEach
    void close() {
        owner.close();
    }

    @Test
    void slotsAndBlocksAreViewsOfOneRegion() {
        // given frame 1 written as a slot
        memory.slot(1).fill((byte) 7);

        // then its blocks hold that, as far as the slot goes, and the neighbours hold nothing of it
        assertHolds(memory.block(2), 0);
        assertHolds(memory.block(3), 7);
        assertHolds(memory.block(4), 7);
        assertThat(memory.block(5).get(JAVA_BYTE, 63)).isEqualTo((byte) 7);
        assertThat(memory.block(5).get(JAVA_BYTE, 64)).isZero();
        assertHolds(memory.slot(2), 0);
        assertThat(memory.frames().byteSize()).isEqualTo(6 * 3 * BLOCK_BYTES);
    }

    @Test
    void copiesInTheOrderOfTheRecord() {
        // given a state on the host, one in a slot, and a block
        memory.hostState(0).fill((byte) 1);
        memory.slot(5).fill((byte) 2);
        memory.block(0).fill((byte) 3);

        // when each copy reads what the one before has written
        var work = new MemoryWork(
                List.of(new HostCopy(HostCopy.Kind.STATE, 4, 0)),
                List.of(new BlockCopy(0, 1), new BlockCopy(1, 2)),
                List.of(new StateCopy(5, 4), new StateCopy(4, 3)),
                List.of(new HostCopy(HostCopy.Kind.STATE, 4, 1), new HostCopy(HostCopy.Kind.BLOCK, 2, 3)),
                List.of(new StateCopy(3, 5)));
        memory.before(work);

        // then everything but the stores has happened
        assertHolds(memory.slot(3), 2);
        assertHolds(memory.slot(4), 1);
        assertHolds(memory.block(2), 3);
        assertHolds(memory.hostState(1), 1);
        assertHolds(memory.hostBlock(3), 3);
        assertHolds(memory.slot(5), 2);

        // and the stores follow the step
        memory.slot(3).fill((byte) 9);
        memory.after(work);
        assertHolds(memory.slot(5), 9);
    }

    @Test
    void namesAPlaceThatThereIsNot() {
        assertThatIllegalArgumentException().isThrownBy(() -> memory.slot(6)).withMessage("slot 6 of 6");
        assertThatIllegalArgumentException().isThrownBy(() -> memory.block(18)).withMessage("block 18 of 18");
        assertThatIllegalArgumentException().isThrownBy(() -> memory.block(-1));
        assertThatIllegalArgumentException().isThrownBy(() -> memory.hostState(2)).withMessage("host state 2 of 2");
        assertThatIllegalArgumentException().isThrownBy(() -> memory.hostBlock(4)).withMessage("host block 4 of 4");
    }

    @Test
    void refusesFramesThatHoldNoState() {
        assertThatIllegalArgumentException().isThrownBy(() -> memory(new FrameShape(6, 2)))
                .withMessageContaining("2 blocks of 128").withMessageContaining("320");
    }

    private static void assertHolds(MemorySegment segment, int value) {
        for (long i = 0; i < segment.byteSize(); i++) {
            assertThat(segment.get(JAVA_BYTE, i)).as("byte %d", i).isEqualTo((byte) value);
        }
    }
}
