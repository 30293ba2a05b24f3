package dev.sidewinder.cuda.device;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/// Host memory that stays where it is, so that copies to and from the device run without the host's help.
///
/// Its owner closes it when no copy that uses it is under way; the segment fails cleanly after that.
public final class PinnedMemory implements AutoCloseable {

    private final Device device;
    private final Arena arena;
    private final MemorySegment segment;
    private boolean closed;

    private PinnedMemory(Device device, long address, long bytes) {
        this.device = device;
        this.arena = Arena.ofShared();
        this.segment = MemorySegment.ofAddress(address).reinterpret(bytes, arena, ignored -> { });
    }

    static PinnedMemory allocate(Device device, long bytes) {
        PinnedMemory memory = new PinnedMemory(device, device.calls().allocateHost(bytes), bytes);
        device.things().add(memory, memory::release);
        return memory;
    }

    /// The memory itself; any thread may read and write it.
    public MemorySegment segment() {
        return segment;
    }

    public long bytes() {
        return segment.byteSize();
    }

    /// Frees the memory. A second call does nothing, nor does one after the device was closed.
    @Override
    public void close() {
        device.close(this);
    }

    private void release() {
        closed = true;
        arena.close();
        device.release("cuMemFreeHost of " + bytes() + " bytes", device.calls().freeHost(segment.address()));
    }

    @Override
    public String toString() {
        return "pinned memory of " + bytes() + " bytes";
    }
}
