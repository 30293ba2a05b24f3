package dev.sidewinder.cuda.emulator;

import dev.sidewinder.cuda.device.Device;
import dev.sidewinder.cuda.device.Driver;
import dev.sidewinder.cuda.kernel.KernelImages;
import dev.sidewinder.cuda.kernel.Kernels;
import java.util.List;

/// A device that exists on the CPU only, with the kernels of this build.
///
/// The same launchers, the same device layer and JCuda run on it; a missing barrier, an access outside of memory and the
/// like become a `CudaException` that names kernel, block and thread. Memory starts as 0xFF, which is NaN in every format;
/// allocations above 1 GiB start as zeros and take real memory where they are touched.
/// In which order blocks and threads run follows from the seed.
///
/// One emulator is open at a time in a process, and such a process has no other CUDA driver. Belongs to the thread that
/// opened it, like its device.
public final class Emulator implements AutoCloseable {

    private final EmulatorSettings settings;
    private final Device device;
    private final Kernels kernels;

    private Emulator(EmulatorSettings settings) {
        this.settings = settings;
        this.device = Device.open(driver(), 0);
        this.kernels = Kernels.load(device, images());
    }

    /// A fresh device: whatever an earlier one held or suffered is forgotten.
    public static Emulator open(long seed) {
        return open(EmulatorSettings.withSeed(seed));
    }

    public static Emulator open(EmulatorSettings settings) {
        reset(settings);
        return new Emulator(settings);
    }

    /// The emulated driver, for code that opens its own device; call [#reset] before.
    public static Driver driver() {
        return Driver.at(EmulatorLibrary.get().path());
    }

    /// The kernel families as g++ compiled them, those of `src/main/cuda` and of the emulator's own tests.
    public static KernelImages images() {
        return EmulatorLibrary::image;
    }

    /// Begins anew: all memory, modules and errors of the emulated driver are gone.
    public static void reset(EmulatorSettings settings) {
        EmulatorLibrary.get().reset(settings);
    }

    /// From now until the next reset only so many blocks of each launch run, those with the highest numbers: for a matrix of billions
    /// of values, of which a test looks at the end.
    public static void runOnlyLastBlocks(long count) {
        EmulatorLibrary.get().runOnlyLastBlocks(count);
    }

    /// Allocations on the device that were never freed, since the last reset.
    public static long liveAllocations() {
        return EmulatorLibrary.get().liveAllocations();
    }

    /// The launches that `work` makes, whether they run or are captured.
    public static List<RecordedLaunch> recording(Runnable work) {
        EmulatorLibrary.get().record();
        work.run();
        return EmulatorLibrary.get().recorded().lines().map(RecordedLaunch::parse).toList();
    }

    public Device device() {
        return device;
    }

    public Kernels kernels() {
        return kernels;
    }

    public EmulatorSettings settings() {
        return settings;
    }

    /// Closes kernels and device.
    ///
    /// @throws IllegalStateException naming what was left open on the device
    @Override
    public void close() {
        kernels.close();
        device.close();
    }
}
