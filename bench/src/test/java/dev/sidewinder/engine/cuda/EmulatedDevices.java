package dev.sidewinder.engine.cuda;

import dev.sidewinder.cuda.device.Device;
import dev.sidewinder.cuda.emulator.Emulator;
import dev.sidewinder.cuda.emulator.EmulatorSettings;

/// Devices that exist on the CPU only, for what is measured on real ones.
public final class EmulatedDevices {

    private EmulatedDevices() {}

    /// A fresh device; one is open at a time.
    public static CudaDevice open(long seed) {
        Emulator.reset(EmulatorSettings.withSeed(seed));
        return CudaDevice.open(Device.open(Emulator.driver(), 0), Emulator.images(), "of the emulator");
    }
}
