package dev.sidewinder.cuda.device;

import java.lang.foreign.Arena;
import jcuda.driver.CUmodule;
import jcuda.driver.JCudaDriver;

/// A module of kernels on a device. Its functions end with it.
public final class LoadedModule implements AutoCloseable {

    private final Device device;
    private final String name;
    private final CUmodule handle = new CUmodule();
    /// Holds the launch memory of the module's functions.
    private final Arena arena = Arena.ofShared();
    private boolean closed;

    private LoadedModule(Device device, String name) {
        this.device = device;
        this.name = name;
    }

    static LoadedModule load(Device device, String name, byte[] image) {
        LoadedModule module = new LoadedModule(device, name);
        device.check("cuModuleLoadData of " + name, JCudaDriver.cuModuleLoadData(module.handle, image));
        device.things().add(module, module::release);
        return module;
    }

    /// A kernel of this module, ready to be launched.
    ///
    /// @throws CudaException when there is none of that name
    public DeviceFunction function(String kernel) {
        enter();
        Handles.FunctionHandle function = new Handles.FunctionHandle();
        device.check("cuModuleGetFunction of " + kernel + " in " + name,
                JCudaDriver.cuModuleGetFunction(function, handle, kernel));
        return new DeviceFunction(device, this, kernel, function, arena);
    }

    void enter() {
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
        arena.close();
        device.release("cuModuleUnload of " + name, JCudaDriver.cuModuleUnload(handle));
    }

    @Override
    public String toString() {
        return "module " + name;
    }
}
