package dev.sidewinder.cuda.device;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import jcuda.driver.JCudaDriver;

/// Host memory that stays where it is, so that copies to and from the device run without the host's help.
///
/// Its owner closes it when no copy that uses it is under way; the segment fails cleanly after that.
public final class PinnedMemory implements AutoCloseable {

    private final Device device;
    private final Handles.HostPointer pointer;
    private final Arena arena;
    private final MemorySegment segment;
    private boolean closed;

    private PinnedMemory(Device device, Handles.HostPointer pointer, long bytes) {
        this.device = device;
        this.pointer = pointer;
        this.arena = Arena.ofShared();
        this.segment = MemorySegment.ofAddress(pointer.address()).reinterpret(bytes, arena, ignored -> { });
    }

    static PinnedMemory allocate(Device device, long bytes) {
        Handles.HostPointer pointer = new Handles.HostPointer();
        device.check("cuMemHostAlloc of " + bytes + " bytes", JCudaDriver.cuMemHostAlloc(pointer, bytes, 0));
        PinnedMemory memory = new PinnedMemory(device, pointer, bytes);
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
        device.release("cuMemFreeHost of " + bytes() + " bytes", JCudaDriver.cuMemFreeHost(pointer));
    }

    @Override
    public String toString() {
        return "pinned memory of " + bytes() + " bytes";
    }
}
