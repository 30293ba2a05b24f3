package dev.sidewinder.cuda.device;

import java.lang.foreign.MemorySegment;
import jcuda.Pointer;
import jcuda.driver.CUstream;
import jcuda.driver.JCudaDriver;

/// Copies between host memory and the device. JCuda takes NIO buffers, whose sizes are `int`, so segments are cut into
/// slices here, and only here is a `ByteBuffer` seen.
///
/// Native memory only (mapped files and pinned memory included): under `-Xcheck:jni` JCuda's copies into Java arrays come
/// back as zeros.
final class HostTransfer {

    /// Far below the limit of a buffer, and large enough that the number of copies does not matter.
    private static final long SLICE_BYTES = 1L << 30;

    private final Device device;
    private final long sliceBytes;

    HostTransfer(Device device) {
        this(device, SLICE_BYTES);
    }

    HostTransfer(Device device, long sliceBytes) {
        this.device = device;
        this.sliceBytes = sliceBytes;
    }

    void toDevice(CUstream stream, long target, MemorySegment source, long bytes) {
        check("copy to the device", source, bytes);
        for (long done = 0; done < bytes; done += sliceBytes) {
            long count = Math.min(sliceBytes, bytes - done);
            device.check("cuMemcpyHtoDAsync of " + count + " bytes",
                    JCudaDriver.cuMemcpyHtoDAsync(Handles.pointer(target + done), slice(source, done, count), count, stream));
        }
    }

    void toHost(CUstream stream, MemorySegment target, long source, long bytes) {
        check("copy to the host", target, bytes);
        if (target.isReadOnly()) {
            throw new IllegalArgumentException("copy to the host: the target is read-only");
        }
        for (long done = 0; done < bytes; done += sliceBytes) {
            long count = Math.min(sliceBytes, bytes - done);
            device.check("cuMemcpyDtoHAsync of " + count + " bytes",
                    JCudaDriver.cuMemcpyDtoHAsync(slice(target, done, count), Handles.pointer(source + done), count, stream));
        }
    }

    private static Pointer slice(MemorySegment segment, long offset, long bytes) {
        return Pointer.to(segment.asSlice(offset, bytes).asByteBuffer());
    }

    private static void check(String what, MemorySegment host, long bytes) {
        if (!host.isNative()) {
            throw new IllegalArgumentException(what + ": the host memory is on the Java heap; it must be native, mapped or pinned");
        }
        if (bytes < 0 || bytes > host.byteSize()) {
            throw new IllegalArgumentException(what + ": " + bytes + " bytes of host memory that has " + host.byteSize());
        }
    }
}
