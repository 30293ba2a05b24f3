package dev.sidewinder.cuda.device;

import static jcuda.driver.CUdevice_attribute.CU_DEVICE_ATTRIBUTE_CLOCK_RATE;
import static jcuda.driver.CUdevice_attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR;
import static jcuda.driver.CUdevice_attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR;
import static jcuda.driver.CUdevice_attribute.CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH;
import static jcuda.driver.CUdevice_attribute.CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE;
import static jcuda.driver.CUdevice_attribute.CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN;
import static jcuda.driver.CUdevice_attribute.CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE;
import static jcuda.driver.CUdevice_attribute.CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT;

import java.util.List;
import jcuda.driver.CUcontext;
import jcuda.driver.CUdevice;
import jcuda.driver.JCudaDriver;

/// One CUDA device, opened: its memory, streams, events and loaded kernels come from here and end with it.
///
/// Belongs to one thread, and everything made here with it; [#moveToThisThread] hands it over, for example from the thread
/// that loads a model to the engine's. Memory is allocated at start; a step allocates none.
///
/// Uses the device's primary context, so that a library like cuBLAS works on the same memory.
public final class Device implements AutoCloseable {

    private final DriverCalls calls;
    private final int ordinal;
    private final CUdevice device;
    private final CUcontext context;
    private final DeviceInfo info;
    private final HostTransfer transfer;
    private final OpenThings openThings = new OpenThings();
    private final Stream mainStream;
    private Thread owner = Thread.currentThread();
    private boolean closed;
    private boolean failed;
    private long launches;

    private Device(DriverCalls calls, int ordinal, CUdevice device, CUcontext context, DeviceInfo info) {
        this.calls = calls;
        this.ordinal = ordinal;
        this.device = device;
        this.context = context;
        this.info = info;
        this.transfer = new HostTransfer(this);
        this.mainStream = Stream.create(this, true);
    }

    /// How many devices a driver offers.
    ///
    /// @throws CudaUnavailableException saying why the driver cannot be used
    public static int count(Driver driver) {
        DriverCalls calls = initialise(driver);
        int[] count = new int[1];
        calls.check("cuDeviceGetCount", JCudaDriver.cuDeviceGetCount(count));
        return count[0];
    }

    /// Opens a device, for the calling thread.
    ///
    /// @param ordinal which of the driver's devices, from 0
    /// @throws CudaUnavailableException saying why there is no such device here
    public static Device open(Driver driver, int ordinal) {
        int count = count(driver);
        if (ordinal < 0 || ordinal >= count) {
            throw new CudaUnavailableException("there is no CUDA device " + ordinal + "; the driver " + driver + " offers "
                    + (count == 1 ? "device 0 only" : count + " devices, counted from 0"));
        }
        DriverCalls calls = DriverLibrary.load(driver);
        Handles.DeviceHandle device = new Handles.DeviceHandle();
        calls.check("cuDeviceGet", JCudaDriver.cuDeviceGet(device, ordinal));
        CUcontext context = new CUcontext();
        calls.check("cuDevicePrimaryCtxRetain", JCudaDriver.cuDevicePrimaryCtxRetain(context, device));
        calls.check("cuCtxSetCurrent", JCudaDriver.cuCtxSetCurrent(context));
        return new Device(calls, ordinal, device, context, describe(calls, device));
    }

    private static DriverCalls initialise(Driver driver) {
        DriverCalls calls = DriverLibrary.load(driver);
        int code = JCudaDriver.cuInit(0);
        if (code != DriverCalls.SUCCESS) {
            throw new CudaUnavailableException("the driver " + driver + " does not start: " + calls.describe(code));
        }
        return calls;
    }

    private static DeviceInfo describe(DriverCalls calls, Handles.DeviceHandle device) {
        long[] totalBytes = new long[1];
        calls.check("cuDeviceTotalMem", JCudaDriver.cuDeviceTotalMem(totalBytes, device));
        int[] version = new int[1];
        calls.check("cuDriverGetVersion", JCudaDriver.cuDriverGetVersion(version));
        return new DeviceInfo(
                calls.deviceName(device.number()),
                attribute(calls, device, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR),
                attribute(calls, device, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR),
                attribute(calls, device, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT),
                totalBytes[0],
                attribute(calls, device, CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN),
                attribute(calls, device, CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE),
                attribute(calls, device, CU_DEVICE_ATTRIBUTE_CLOCK_RATE),
                attribute(calls, device, CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE),
                attribute(calls, device, CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH),
                version[0]);
    }

    private static int attribute(DriverCalls calls, CUdevice device, int attribute) {
        int[] value = new int[1];
        calls.check("cuDeviceGetAttribute " + attribute, JCudaDriver.cuDeviceGetAttribute(value, attribute, device));
        return value[0];
    }

    public DeviceInfo info() {
        return info;
    }

    /// Makes the calling thread the owner. The thread before must have no call under way and make none from now on. Works
    /// after a failure too, so that what is open can be closed.
    public void moveToThisThread() {
        if (closed) {
            throw new IllegalStateException(this + " is closed");
        }
        release("cuCtxSetCurrent", JCudaDriver.cuCtxSetCurrent(context));
        owner = Thread.currentThread();
    }

    /// Device memory with undefined contents, aligned to at least 256 bytes.
    ///
    /// @throws CudaException with [CudaException#isOutOfMemory] when the device has no room for it
    public DeviceBuffer allocate(long bytes) {
        enter();
        if (bytes <= 0) {
            throw new IllegalArgumentException("a device buffer of " + bytes + " bytes; it needs at least 1");
        }
        return DeviceBuffer.allocate(this, bytes);
    }

    /// Host memory that the device reads and writes directly, with undefined contents.
    public PinnedMemory pinned(long bytes) {
        enter();
        if (bytes <= 0) {
            throw new IllegalArgumentException("pinned memory of " + bytes + " bytes; it needs at least 1");
        }
        return PinnedMemory.allocate(this, bytes);
    }

    /// The main stream: made with the device and closed with it. Independent of the driver's default stream.
    public Stream stream() {
        enter();
        return mainStream;
    }

    /// Another stream, ordered against the main one by events only.
    public Stream newStream() {
        enter();
        return Stream.create(this, false);
    }

    public Event newEvent() {
        enter();
        return Event.create(this);
    }

    /// Loads a module of kernels: a cubin, a fat binary, or what else the driver takes.
    ///
    /// @param name of the module, for messages
    public LoadedModule load(String name, byte[] image) {
        enter();
        return LoadedModule.load(this, name, image);
    }

    /// Kernels that were launched or captured by themselves, since the device was opened; a graph's launch is none.
    public long launches() {
        return launches;
    }

    /// Memory that is free on the device now, in bytes.
    public long freeBytes() {
        enter();
        long[] free = new long[1];
        long[] total = new long[1];
        check("cuMemGetInfo", JCudaDriver.cuMemGetInfo(free, total));
        return free[0];
    }

    /// Waits until everything given to the device is done; errors of earlier work come up here.
    public void synchronize() {
        enter();
        check("cuCtxSynchronize", JCudaDriver.cuCtxSynchronize());
    }

    /// How many buffers, streams, events, graphs and modules are open, the main stream not counted.
    public int openThings() {
        return openThings.count();
    }

    /// Gives everything back. A second call does nothing.
    ///
    /// @throws IllegalStateException naming what had not been closed; it is released all the same
    @Override
    public void close() {
        if (closed) {
            return;
        }
        enter();
        // Work that is still under way ends before its memory goes; its failure, if any, makes the calls below fail.
        noteFailure(JCudaDriver.cuCtxSynchronize());
        List<String> leaks = openThings.releaseAll();
        mainStream.release();
        closed = true;
        release("cuDevicePrimaryCtxRelease", JCudaDriver.cuDevicePrimaryCtxRelease(device));
        if (!leaks.isEmpty()) {
            throw new IllegalStateException(this + " was closed with " + leaks.size() + " things open: "
                    + String.join(", ", leaks));
        }
    }

    // ---- for the classes of this package ---------------------------------------------------------------------------

    /// Every public method of everything on this device begins here.
    void enter() {
        if (closed) {
            throw new IllegalStateException(this + " is closed");
        }
        if (Thread.currentThread() != owner) {
            throw new IllegalStateException(this + " belongs to thread " + owner.getName() + " and was used by "
                    + Thread.currentThread().getName() + "; call moveToThisThread() there first");
        }
    }

    boolean isClosed() {
        return closed;
    }

    /// Whether the context is lost: calls that give something back fail from now on and say nothing new.
    boolean hasFailed() {
        return failed;
    }

    /// Closes something that was opened here; nothing where it is closed already, by itself or with the device.
    void close(Object thing) {
        if (openThings.isOpen(thing)) {
            enter();
            openThings.release(thing);
        }
    }

    void check(String call, int code) {
        noteFailure(code);
        calls.check(call, code);
    }

    /// Checks a call that gives something back, unless the device has failed: that failure has been thrown.
    void release(String call, int code) {
        if (!failed) {
            check(call, code);
        }
    }

    /// After these codes every call into the context fails. Source: CUDA 12.4, `cuda.h`, `CUresult`: "the context cannot be
    /// used" or "leaves the process in an inconsistent state".
    private void noteFailure(int code) {
        failed |= switch (code) {
            case 214, 220, 700, 702, 709, 710, 714, 715, 716, 717, 718, 719, 999 -> true;
            default -> false;
        };
    }

    void countLaunch() {
        launches++;
    }

    DriverCalls calls() {
        return calls;
    }

    HostTransfer transfer() {
        return transfer;
    }

    OpenThings things() {
        return openThings;
    }

    @Override
    public String toString() {
        return "CUDA device " + ordinal + " (" + info.name() + ")";
    }
}
