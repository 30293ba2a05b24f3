package dev.sidewinder.cuda.device;

import jcuda.driver.CUevent;
import jcuda.driver.JCudaDriver;

/// A mark in a stream: recorded by [Stream#record], waited for by the host or by another stream.
public final class Event implements AutoCloseable {

    private static final int WITH_TIMING = 0;

    private final Device device;
    private final CUevent handle = new CUevent();
    private boolean closed;

    private Event(Device device) {
        this.device = device;
    }

    static Event create(Device device) {
        Event event = new Event(device);
        device.check("cuEventCreate", JCudaDriver.cuEventCreate(event.handle, WITH_TIMING));
        device.things().add(event, event::release);
        return event;
    }

    /// Waits until the stream has passed this mark. Returns at once when it was never recorded.
    public void synchronize() {
        enter();
        device.check("cuEventSynchronize", JCudaDriver.cuEventSynchronize(handle));
    }

    /// Whether the stream has passed this mark.
    public boolean isPassed() {
        enter();
        int code = JCudaDriver.cuEventQuery(handle);
        if (code == DriverCalls.NOT_READY) {
            return false;
        }
        device.check("cuEventQuery", code);
        return true;
    }

    /// Milliseconds of device time from an earlier event to this one. Both must be passed.
    public float millisSince(Event earlier) {
        enter();
        earlier.enter();
        float[] millis = new float[1];
        device.check("cuEventElapsedTime", JCudaDriver.cuEventElapsedTime(millis, earlier.handle, handle));
        return millis[0];
    }

    CUevent handle() {
        enter();
        return handle;
    }

    private void enter() {
        device.enter();
        if (closed) {
            throw new IllegalStateException(this + " is closed");
        }
    }

    /// A second call does nothing, nor does one after the device was closed.
    @Override
    public void close() {
        device.close(this);
    }

    private void release() {
        closed = true;
        device.release("cuEventDestroy", JCudaDriver.cuEventDestroy(handle));
    }

    @Override
    public String toString() {
        return "event";
    }
}
