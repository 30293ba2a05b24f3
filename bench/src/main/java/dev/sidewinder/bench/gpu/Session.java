package dev.sidewinder.bench.gpu;

import dev.sidewinder.cuda.device.Device;
import dev.sidewinder.cuda.device.Driver;
import dev.sidewinder.cuda.kernel.KernelImages;
import dev.sidewinder.cuda.kernel.Kernels;

/// An open device and the kernels for it. A failure inside the device ends what can be done with it; [#reopen] begins anew.
final class Session implements AutoCloseable {

    private final Driver driver;
    private final int ordinal;
    private final KernelImages images;
    private Device device;
    private Kernels kernels;

    /// @throws dev.sidewinder.cuda.device.CudaUnavailableException saying why there is no such device
    Session(Driver driver, int ordinal, KernelImages images) {
        this.driver = driver;
        this.ordinal = ordinal;
        this.images = images;
        open();
    }

    private void open() {
        device = Device.open(driver, ordinal);
        kernels = Kernels.load(device, images);
    }

    Device device() {
        return device;
    }

    Kernels kernels() {
        return kernels;
    }

    /// Gives everything back and opens the device again: whatever was left open or lost is gone.
    void reopen() {
        closeWhateverIsLeft();
        open();
    }

    private void closeWhateverIsLeft() {
        try {
            close();
        } catch (RuntimeException leftOpen) {
            // the failure before this said what happened; what it left open was released all the same
        }
    }

    /// Closes the device, so that all of its memory is free, until [#reopen].
    void giveBack() {
        close();
    }

    /// A second call does nothing.
    @Override
    public void close() {
        if (device == null) {
            return;
        }
        try {
            kernels.close();
        } finally {
            Device closing = device;
            device = null;
            closing.close();
        }
    }
}
