package dev.sidewinder.engine.cuda;

import dev.sidewinder.cuda.device.CudaException;
import dev.sidewinder.cuda.device.CudaUnavailableException;
import dev.sidewinder.cuda.device.Device;
import dev.sidewinder.cuda.device.DeviceInfo;
import dev.sidewinder.cuda.device.Driver;
import dev.sidewinder.cuda.kernel.BlasChoices;
import dev.sidewinder.cuda.kernel.BlasProducts;
import dev.sidewinder.cuda.kernel.KernelImages;
import dev.sidewinder.cuda.kernel.Kernels;
import dev.sidewinder.engine.BackendUnavailableException;
import dev.sidewinder.model.checkpoint.ModelWeights;
import dev.sidewinder.model.config.ModelConfig;
import java.nio.file.Path;
import java.util.Optional;

/// A device that is open, with the kernels for it. [CudaBackend] takes it over; until then it belongs to whoever opened it.
public final class CudaDevice implements AutoCloseable {

    private static final int LEAST_COMPUTE_MAJOR = 8;

    private final Device device;
    private final Kernels kernels;
    private final Optional<BlasProducts> blas;
    private final String kernelOrigin;

    private CudaDevice(Device device, Kernels kernels, Optional<BlasProducts> blas, String kernelOrigin) {
        this.device = device;
        this.kernels = kernels;
        this.blas = blas;
        this.kernelOrigin = kernelOrigin;
    }

    /// Opens a device, for the calling thread.
    ///
    /// @param driver  a library in place of the system's driver
    /// @param images  a folder of kernels in place of those in the jar
    /// @param ordinal which device, from 0
    /// @throws BackendUnavailableException saying in one sentence why there is none to use
    public static CudaDevice open(Optional<Path> driver, Optional<Path> images, int ordinal) {
        try {
            KernelImages kernelImages = images.map(KernelImages::in).orElseGet(KernelImages::packaged);
            return open(Device.open(driver.map(Driver::at).orElseGet(Driver::system), ordinal), kernelImages,
                    images.map(Path::toString).orElse("of this build"));
        } catch (CudaUnavailableException | CudaException e) {
            throw new BackendUnavailableException(e.getMessage(), e);
        }
    }

    /// Takes an open device over.
    ///
    /// @param origin where the images come from
    static CudaDevice open(Device device, KernelImages images, String origin) {
        return open(device, images, origin, BlasChoices.recorded(), Optional.empty());
    }

    /// cuBLAS is opened here, so that what it takes of the device is gone before memory is planned.
    ///
    /// @param choices which products are for cuBLAS
    /// @param library cuBLAS in place of the system's
    static CudaDevice open(Device device, KernelImages images, String origin, BlasChoices choices, Optional<Path> library) {
        DeviceInfo info = device.info();
        if (info.computeMajor() < LEAST_COMPUTE_MAJOR) {
            device.close();
            throw new CudaUnavailableException("the device " + info.name() + " has compute capability " + info.computeMajor()
                    + "." + info.computeMinor() + "; the kernels need " + LEAST_COMPUTE_MAJOR + ".0");
        }
        Kernels kernels = Kernels.load(device, images);
        return new CudaDevice(device, kernels, BlasProducts.open(device, choices, library), origin);
    }

    /// Cuts the memory of the device up for a model. Loads the kernels that the model needs, allocates nothing.
    ///
    /// @throws BackendUnavailableException when the model does not fit, or the kernels cannot run it
    public CudaMemoryPlan plan(ModelConfig config, ModelWeights weights, CudaOptions options, CudaMemoryPlan.Wish wish) {
        try {
            CudaFootprint footprint = counted(config, weights, options);
            return CudaMemoryPlan.of(footprint.deviceBytes(), footprint.weightBytes(), footprint.workspaceBytes(),
                    CacheLayout.of(config, options.kvFormat()), wish);
        } catch (CudaUnavailableException e) {
            throw new BackendUnavailableException(e.getMessage(), e);
        } catch (CudaException e) {
            throw new BackendUnavailableException(e.isImageRefused()
                    ? "the driver, which is for CUDA " + summary().driver() + ", does not take the kernels " + kernelOrigin + ": "
                            + e.getMessage() + "; install a newer driver, or build with the nvcc of this one"
                    : "the kernels cannot be loaded: " + e.getMessage(), e);
        } catch (IllegalArgumentException e) {
            throw new BackendUnavailableException("the kernels do not take this model: " + e.getMessage(), e);
        }
    }

    /// What of a model fits into this device, whatever is wished for. Loads the kernels that the model needs, allocates
    /// nothing.
    ///
    /// @throws BackendUnavailableException when the kernels cannot run it
    public CudaFootprint footprint(ModelConfig config, ModelWeights weights, CudaOptions options) {
        try {
            return counted(config, weights, options);
        } catch (CudaUnavailableException | CudaException | IllegalArgumentException e) {
            throw new BackendUnavailableException("the kernels cannot run this model: " + e.getMessage(), e);
        }
    }

    private CudaFootprint counted(ModelConfig config, ModelWeights weights, CudaOptions options) {
        var counting = new WeightSink.Counting();
        DeviceWeights counted = new WeightPlacement(config, counting).place(weights);
        return CudaFootprint.of(device.freeBytes(), counting.bytes(), CudaMemory.counted(this, config, counted, options), false,
                CacheLayout.of(config, options.kvFormat()));
    }

    Device device() {
        return device;
    }

    Kernels kernels() {
        return kernels;
    }

    /// Products that are for cuBLAS on this device; empty where there are none, or there is no cuBLAS.
    Optional<BlasProducts> blas() {
        return blas;
    }

    /// Memory of the device that nobody has taken.
    public long freeBytes() {
        return device.freeBytes();
    }

    /// What it is, in one line.
    public String description() {
        return device.info().toString();
    }

    public CudaSummary summary() {
        int version = device.info().driverVersion();
        return new CudaSummary(description(), version / 1000 + "." + version % 1000 / 10, kernelOrigin);
    }

    @Override
    public void close() {
        blas.ifPresent(BlasProducts::close);
        kernels.close();
        device.close();
    }
}
