package dev.sidewinder.cuda.device;

import jcuda.driver.JCudaDriver;

/// A piece of device memory with one owner, who closes it when no work that uses it is under way.
public final class DeviceBuffer implements AutoCloseable {

    private final Device device;
    private final Handles.DevicePointer pointer;
    private final long bytes;
    private boolean closed;

    private DeviceBuffer(Device device, Handles.DevicePointer pointer, long bytes) {
        this.device = device;
        this.pointer = pointer;
        this.bytes = bytes;
    }

    static DeviceBuffer allocate(Device device, long bytes) {
        Handles.DevicePointer pointer = new Handles.DevicePointer();
        device.check("cuMemAlloc of " + bytes + " bytes", JCudaDriver.cuMemAlloc(pointer, bytes));
        DeviceBuffer buffer = new DeviceBuffer(device, pointer, bytes);
        device.things().add(buffer, buffer::release);
        return buffer;
    }

    /// The device address of the first byte.
    public long address() {
        checkOpen();
        return pointer.address();
    }

    public long bytes() {
        return bytes;
    }

    /// The device address of a byte of this buffer, or of the end of it.
    public long at(long offset) {
        if (offset < 0 || offset > bytes) {
            throw new IllegalArgumentException("offset " + offset + " in " + this);
        }
        return address() + offset;
    }

    /// The device address of `count` bytes that lie inside this buffer.
    public long range(long offset, long count) {
        if (offset < 0 || count < 0 || offset > bytes - count) {
            throw new IllegalArgumentException(count + " bytes at offset " + offset + " in " + this);
        }
        return address() + offset;
    }

    private void checkOpen() {
        if (closed || device.isClosed()) {
            throw new IllegalStateException(this + " is closed");
        }
    }

    /// Frees the memory. A second call does nothing, nor does one after the device was closed.
    @Override
    public void close() {
        device.close(this);
    }

    private void release() {
        closed = true;
        device.release("cuMemFree of " + bytes + " bytes", JCudaDriver.cuMemFree(pointer));
    }

    @Override
    public String toString() {
        return "device buffer of " + bytes + " bytes";
    }
}
