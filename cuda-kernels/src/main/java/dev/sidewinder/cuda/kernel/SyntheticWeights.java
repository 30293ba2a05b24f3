package dev.sidewinder.cuda.kernel;

import dev.sidewinder.cuda.device.Stream;
import java.util.EnumMap;
import java.util.Map;

/// Launches `synthetic_weights.cu`: random weights, made on the device, the same bits as the host makes.
///
/// Asynchronous: buffers stay alive until the stream has passed.
public final class SyntheticWeights {

    /// Values of a table: one for each draw of 16 bits.
    public static final int TABLE_VALUES = 1 << 16;

    private static final String FAMILY = "synthetic_weights";
    private static final int THREADS = 128;
    /// Elements that a thread makes, and elements of an NVFP4 block.
    private static final int GROUP = 16;
    private static final int STORE_BYTES = 16;

    /// In which form the numbers are wanted.
    public enum Form {
        BF16("synthetic_weights_bf16"),
        /// of the same table as BF16
        F32("synthetic_weights_f32"),
        /// codes, of a table of codes
        E4M3("synthetic_weights_e4m3"),
        /// pairs of e2m1 codes, of the table of BF16
        NVFP4_CODES("synthetic_weights_codes_nvfp4"),
        /// one e4m3 scale for 16 elements, of the table of BF16
        NVFP4_SCALES("synthetic_weights_scales_nvfp4");

        private final String kernel;

        Form(String kernel) {
            this.kernel = kernel;
        }

        private boolean nvfp4() {
            return this == NVFP4_CODES || this == NVFP4_SCALES;
        }
    }

    /// A stream of random numbers.
    ///
    /// @param table       address of [#TABLE_VALUES] values, bf16 or e4m3 as the form says
    /// @param key         of the stream: two tensors with the same key have the same draws
    /// @param globalScale of an NVFP4 matrix; without meaning for other forms
    public record Numbers(long table, long key, float globalScale) {}

    private final Map<Form, Kernel> kernels = new EnumMap<>(Form.class);

    public SyntheticWeights(Kernels kernels) {
        for (Form form : Form.values()) {
            this.kernels.put(form, kernels.get(FAMILY, form.kernel));
        }
    }

    /// Makes elements 0 to `count`, exclusive.
    ///
    /// @param target   a multiple of 16; written in the form that is asked for
    /// @param elements of the tensor, before they are packed; a multiple of 16 for NVFP4
    public void make(Stream stream, Form form, long target, Numbers numbers, long elements) {
        if (target == 0 || target % STORE_BYTES != 0 || numbers.table() == 0) {
            throw new IllegalArgumentException("synthetic weights from a table at 0x%x to 0x%x; both are needed, the second a multiple of %d"
                    .formatted(numbers.table(), target, STORE_BYTES));
        }
        if (elements < 1 || form.nvfp4() && elements % GROUP != 0) {
            throw new IllegalArgumentException("%d synthetic weights in %s; NVFP4 takes whole blocks of %d"
                    .formatted(elements, form, GROUP));
        }
        long blocks = Math.ceilDiv(elements, (long) GROUP * THREADS);
        Arguments arguments = kernels.get(form).arguments()
                .pointer(target)
                .pointer(numbers.table())
                .int64(numbers.key())
                .int64(elements);
        if (form.nvfp4()) {
            arguments.float32(numbers.globalScale());
        }
        arguments.launch(stream, new LaunchShape(Math.toIntExact(blocks), 1, 1, THREADS, 0));
    }
}
