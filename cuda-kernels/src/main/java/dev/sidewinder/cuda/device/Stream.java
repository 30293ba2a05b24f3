package dev.sidewinder.cuda.device;

import java.lang.foreign.MemorySegment;
import jcuda.driver.CUstream;
import jcuda.driver.JCudaDriver;

/// A queue of work of a device. Everything here returns at once, `synchronize` excepted; memory that is named must stay
/// alive and unchanged until the stream has passed.
///
/// A failure inside the device comes up at a later call, mostly `synchronize`.
public final class Stream implements AutoCloseable {

    /// Does not wait for the driver's default stream, nor the other way round.
    private static final int NON_BLOCKING = 1;
    /// Only calls of this thread that a capture forbids are refused meanwhile.
    private static final int CAPTURE_OF_THIS_THREAD = 1;

    private final Device device;
    private final boolean main;
    private final Handles.StreamHandle handle = new Handles.StreamHandle();
    private boolean capturing;
    private boolean closed;

    private Stream(Device device, boolean main) {
        this.device = device;
        this.main = main;
    }

    static Stream create(Device device, boolean main) {
        Stream stream = new Stream(device, main);
        device.check("cuStreamCreate", JCudaDriver.cuStreamCreate(stream.handle, NON_BLOCKING));
        if (!main) {
            device.things().add(stream, stream::release);
        }
        return stream;
    }

    public Device device() {
        return device;
    }

    /// Copies from native host memory. From pageable memory (not [PinnedMemory]) it may be read before this returns.
    public void copyToDevice(long target, MemorySegment source, long bytes) {
        enter();
        device.transfer().toDevice(handle, target, source, bytes);
    }

    /// Copies to native host memory, which holds the data when the stream has passed.
    public void copyToHost(MemorySegment target, long source, long bytes) {
        enter();
        device.transfer().toHost(handle, target, source, bytes);
    }

    /// Copies within the device. The ranges must not overlap.
    public void copy(long target, long source, long bytes) {
        enter();
        checkCount("copy within the device", bytes);
        if (bytes > 0) {
            device.check("cuMemcpyDtoDAsync of " + bytes + " bytes", JCudaDriver.cuMemcpyDtoDAsync(
                    Handles.pointer(target), Handles.pointer(source), bytes, handle));
        }
    }

    public void fill(long target, byte value, long bytes) {
        enter();
        checkCount("fill", bytes);
        if (bytes > 0) {
            device.check("cuMemsetD8Async of " + bytes + " bytes",
                    JCudaDriver.cuMemsetD8Async(Handles.pointer(target), value, bytes, handle));
        }
    }

    /// Fills with 32-bit words; `target` is a multiple of 4.
    public void fillWords(long target, int value, long words) {
        enter();
        checkCount("fill of words", words);
        if (target % Integer.BYTES != 0) {
            throw new IllegalArgumentException("fill of words at 0x" + Long.toHexString(target) + ", which is no multiple of 4");
        }
        if (words > 0) {
            device.check("cuMemsetD32Async of " + words + " words",
                    JCudaDriver.cuMemsetD32Async(Handles.pointer(target), value, words, handle));
        }
    }

    /// Waits until everything given to this stream is done.
    public void synchronize() {
        enter();
        if (capturing) {
            throw new IllegalStateException(this + " is being captured; nothing runs that could be waited for");
        }
        device.check("cuStreamSynchronize", JCudaDriver.cuStreamSynchronize(handle));
    }

    /// Whether everything given to this stream is done.
    public boolean isIdle() {
        enter();
        int code = JCudaDriver.cuStreamQuery(handle);
        if (code == DriverCalls.NOT_READY) {
            return false;
        }
        device.check("cuStreamQuery", code);
        return true;
    }

    public void record(Event event) {
        enter();
        device.check("cuEventRecord", JCudaDriver.cuEventRecord(event.handle(), handle));
    }

    /// Lets later work of this stream wait for an event, without the host.
    public void waitFor(Event event) {
        enter();
        device.check("cuStreamWaitEvent", JCudaDriver.cuStreamWaitEvent(handle, event.handle(), 0));
    }

    /// Records what `work` gives to this stream instead of running it. Addresses and scalars are taken as they are now;
    /// what is in memory is read at each launch.
    public CudaGraph capture(Runnable work) {
        return CudaGraph.instantiate(device, recordGraph(work));
    }

    /// Runs `work` while this stream records; the graph is the caller's.
    Handles.GraphHandle recordGraph(Runnable work) {
        enter();
        if (capturing) {
            throw new IllegalStateException(this + " is being captured already");
        }
        device.check("cuStreamBeginCapture", JCudaDriver.cuStreamBeginCapture(handle, CAPTURE_OF_THIS_THREAD));
        capturing = true;
        Handles.GraphHandle graph = new Handles.GraphHandle();
        boolean recorded = false;
        try {
            work.run();
            recorded = true;
        } finally {
            capturing = false;
            int code = JCudaDriver.cuStreamEndCapture(handle, graph);
            if (recorded) {
                device.check("cuStreamEndCapture", code);
            } else if (graph.address() != 0) {
                // The failure of the work is what the caller hears of, unless even this fails.
                device.release("cuGraphDestroy", JCudaDriver.cuGraphDestroy(graph));
            }
        }
        return graph;
    }

    CUstream handle() {
        enter();
        return handle;
    }

    long address() {
        return handle.address();
    }

    void enter() {
        device.enter();
        if (closed) {
            throw new IllegalStateException(this + " is closed");
        }
    }

    private static void checkCount(String what, long count) {
        if (count < 0) {
            throw new IllegalArgumentException(what + " of " + count);
        }
    }

    /// Waits for nothing: the driver ends the stream when its work is done. A second call does nothing, nor does one after
    /// the device was closed.
    @Override
    public void close() {
        if (main && !closed) {
            device.enter();
            throw new IllegalStateException("the main stream closes with its device");
        }
        device.close(this);
    }

    void release() {
        closed = true;
        device.release("cuStreamDestroy", JCudaDriver.cuStreamDestroy(handle));
    }

    @Override
    public String toString() {
        return main ? "main stream" : "stream";
    }
}
