package dev.sidewinder.cuda.kernel;

import dev.sidewinder.cuda.device.Device;
import dev.sidewinder.cuda.device.LoadedModule;
import java.util.HashMap;
import java.util.Map;

/// The kernels of a device. A family is loaded when a kernel of it is first asked for, which is at start-up: launchers take
/// their kernels when they are made.
///
/// Belongs to the device's thread and closes before the device.
public final class Kernels implements AutoCloseable {

    private final Device device;
    private final KernelImages images;
    private final Map<String, LoadedModule> families = new HashMap<>();
    private final Map<String, Kernel> kernels = new HashMap<>();

    private Kernels(Device device, KernelImages images) {
        this.device = device;
        this.images = images;
    }

    public static Kernels load(Device device, KernelImages images) {
        return new Kernels(device, images);
    }

    public Device device() {
        return device;
    }

    /// A kernel by the name of its file (without `.cu`) and its own. Every call gives the same object, so its argument
    /// memory is shared by all who launch it; they do so from one thread.
    ///
    /// @throws IllegalArgumentException when there is no such family
    /// @throws dev.sidewinder.cuda.device.CudaException when the family has no such kernel, or none for this device
    public Kernel get(String family, String kernel) {
        String key = family + "/" + kernel;
        Kernel known = kernels.get(key);
        if (known == null) {
            known = new Kernel(module(family).function(kernel), device.info().sharedBytesPerBlock());
            kernels.put(key, known);
        }
        return known;
    }

    private LoadedModule module(String family) {
        LoadedModule module = families.get(family);
        if (module == null) {
            module = device.load(family, images.of(family));
            families.put(family, module);
        }
        return module;
    }

    /// Unloads every family; no kernel may be running.
    @Override
    public void close() {
        kernels.clear();
        families.values().forEach(LoadedModule::close);
        families.clear();
    }
}
