package dev.sidewinder.cuda.kernel;

import dev.sidewinder.cuda.device.Blas;
import dev.sidewinder.cuda.device.CudaUnavailableException;
import dev.sidewinder.cuda.device.Device;
import dev.sidewinder.cuda.device.Stream;
import dev.sidewinder.cuda.kernel.Linear.Finish;
import dev.sidewinder.cuda.kernel.Linear.Numbers;
import dev.sidewinder.cuda.kernel.Linear.Output;
import dev.sidewinder.cuda.kernel.Linear.Part;
import dev.sidewinder.cuda.kernel.Linear.Source;
import dev.sidewinder.cuda.kernel.Linear.Weights;
import java.lang.System.Logger.Level;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/// Products in bf16 by cuBLAS, where [BlasChoices] has measured it to be the quicker one on this device.
///
/// Its order of sums depends on the number of rows: not for batch-invariant work. Asynchronous, as [Linear] is. Belongs to the
/// device's thread and closes before the device.
public final class BlasProducts implements AutoCloseable {

    private static final System.Logger LOG = System.getLogger(BlasProducts.class.getName());

    private final Blas blas;
    private final BlasChoices choices;
    private final String device;

    private BlasProducts(Blas blas, BlasChoices choices, String device) {
        this.blas = blas;
        this.choices = choices;
        this.device = device;
    }

    /// Opens cuBLAS, only where a choice of this device names it; says in the log when it then cannot be used.
    ///
    /// @param library the file to load in place of the system's
    /// @return empty where every product is our own
    public static Optional<BlasProducts> open(Device device, BlasChoices choices, Optional<Path> library) {
        String name = device.info().name();
        long preferred = choices.preferred(name);
        if (preferred == 0) {
            return Optional.empty();
        }
        try {
            return Optional.of(new BlasProducts(Blas.open(device, library), choices, name));
        } catch (CudaUnavailableException e) {
            LOG.log(Level.INFO, "cuBLAS is the quicker one for {0} kinds of products on {1} and is not used: {2}", preferred, name,
                    e.getMessage());
            return Optional.empty();
        }
    }

    /// Whether cuBLAS computes a product. What it cannot do (several parts, activations in two values, an index of rows, a squared
    /// ReLU) is ours whatever was measured.
    public boolean takes(Source source, List<Part> parts) {
        if (parts.size() != 1 || source.low() != 0 || source.rows() != 0 || source.scale() != 1) {
            return false;
        }
        Weights weights = parts.getFirst().weights();
        Output output = parts.getFirst().output();
        return weights.numbers() == Numbers.BF16 && weights.scale() == 1 && output.stride() == weights.outputs()
                && result(output.finish()).isPresent()
                && choices.prefersBlas(device, source.tokens(), weights.outputs(), weights.inputs());
    }

    private static Optional<Blas.Result> result(Finish finish) {
        return switch (finish) {
            case STORE_F32 -> Optional.of(Blas.Result.F32);
            case STORE_BF16 -> Optional.of(Blas.Result.BF16);
            case ADD_F32 -> Optional.of(Blas.Result.ADDED_TO_F32);
            case SQUARED_RELU_BF16, SQUARED_RELU_E4M3 -> Optional.empty();
        };
    }

    /// @throws IllegalArgumentException unless [#takes]
    public void multiply(Stream stream, Source source, List<Part> parts) {
        if (!takes(source, parts)) {
            throw new IllegalArgumentException("a product of %d tokens that was not chosen for cuBLAS: %s".formatted(source.tokens(), parts));
        }
        Weights weights = parts.getFirst().weights();
        Output output = parts.getFirst().output();
        blas.multiply(stream, new Blas.Product(output.address(), result(output.finish()).orElseThrow(), source.address(),
                weights.address(), source.tokens(), weights.outputs(), weights.inputs()));
    }

    /// The library's version, for example 130100 for 13.1.0.
    public int version() {
        return blas.version();
    }

    @Override
    public void close() {
        blas.close();
    }
}
