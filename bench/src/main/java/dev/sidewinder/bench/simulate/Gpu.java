package dev.sidewinder.bench.simulate;

import dev.sidewinder.bench.gpu.Ceilings;
import java.util.Arrays;
import java.util.Locale;

/// What the simulator knows of a GPU: every constant of its costs, with its source.
///
/// | constant | source |
/// |---|---|
/// | memory | what an empty device offers: 80 and 141 GB cards show 79 and 139 GiB and some |
/// | bytes a second | rate of a large copy, read and written counted together: 3.0 and 4.3 TB/s of the 3.35 and 4.8 of NVIDIA's data sheets |
/// | operations a second | large products on random data: 790 TFLOP/s in bf16, 1,500 in e4m3 (data sheets, dense: 989 and 1,979) |
/// | host bytes a second | pinned copies over PCI Express 5.0 x16, nominally 63 GB/s in one direction |
/// | [#ATTAINED_BANDWIDTH], [#ATTAINED_PRODUCTS] | **assumed**: no step has been measured on a device yet. 0.8 lies between the design's floor of 0.7 and the 0.88 to 0.99 that docs/performance-log.md estimates without latencies and tails; 0.5 is the design's target of 110,000 prompt tokens a second in pieces of 8,192 |
/// | all others | docs/performance-log.md, estimated: the tables of `StepCensusTest` and the paragraphs on prompt steps |
///
/// @param name             as on the command line
/// @param memoryBytes      free on an empty device
/// @param ceilings         its rates at best
/// @param hostBytesPerSecond to pinned memory of the host or from it
public record Gpu(String name, long memoryBytes, Ceilings ceilings, double hostBytesPerSecond) {

    static final Gpu H100 = new Gpu("h100", 79L << 30, new Ceilings(3.0e12, 790e12, 1500e12), 50e9);
    static final Gpu H200 = new Gpu("h200", 139L << 30, new Ceilings(4.3e12, 790e12, 1500e12), 50e9);

    /// Part of the copy rate that kernels reach over a whole step.
    static final double ATTAINED_BANDWIDTH = 0.8;

    /// Part of the rate of large products that a pass over prompts reaches, the scan included.
    static final double ATTAINED_PRODUCTS = 0.5;

    /// The attention of prompts: 132 multiprocessors at 3 TFLOP/s.
    static final double ATTENTION_FLOPS_PER_SECOND = 132 * 3e12;

    /// One block of that attention walks the whole context for 8 tokens of a key head, alone on its multiprocessor: 1.4 ms
    /// for 65,536 tokens, in every attention layer, however short the piece is.
    static final double WALK_MICROS_PER_CONTEXT_TOKEN = 1430.0 / 65_536;

    /// Between two kernels of a decode step, the second of which begins early.
    static final double BOUNDARY_MICROS = 0.6;

    /// Between two kernels of a pass over prompts.
    static final double PROMPT_BOUNDARY_MICROS = 1.3;

    /// Kernels of a pass over prompts, for each layer of the model: 310 for 52.
    static final double PROMPT_KERNELS_PER_LAYER = 310.0 / 52;

    /// What the shortest kernels take, those with next to no bytes.
    static final double SHORTEST_KERNEL_MICROS = 2;

    /// Bytes of a generated token that pass between kernels or are read more than once, as a part of the bytes that its
    /// hidden rows have in all layers: 0.7 GB for 64 tokens and 3.1 GB for 256 in the 30B shape, which are 12 MB a token.
    static final double PASSING_BYTES_PER_HIDDEN_VALUE = 12e6 / (52 * 2688);

    /// The engine thread, for each step and for each sequence in it: 23 microseconds at 64 sequences (README, `bench
    /// engine`), and the launches. Hidden behind a step under way, unless that is shorter.
    static final double HOST_MICROS_PER_STEP = 30;
    static final double HOST_MICROS_PER_SEQUENCE = 0.3;

    /// Each copy of a block or a state is a call of its own.
    static final double COPY_CALL_MICROS = 2;

    static Gpu named(String name) {
        for (Gpu gpu : new Gpu[] {H100, H200}) {
            if (gpu.name.equals(name.toLowerCase(Locale.ROOT))) {
                return gpu;
            }
        }
        throw new IllegalArgumentException("no GPU \"" + name + "\" is known; known are "
                + Arrays.asList(H100.name, H200.name));
    }

    /// Time of the engine thread for a step.
    static long hostNanos(int sequences) {
        return Math.round(1000 * (HOST_MICROS_PER_STEP + HOST_MICROS_PER_SEQUENCE * sequences));
    }

    /// The same device with kernels that reach other parts of its rates.
    Rates rates(double attainedBandwidth, double attainedProducts) {
        return new Rates(ceilings.bytesPerSecond() * attainedBandwidth, ceilings.bf16FlopsPerSecond() * attainedProducts,
                ceilings.fp8FlopsPerSecond() * attainedProducts, hostBytesPerSecond);
    }

    /// What kernels reach.
    record Rates(double bytesPerSecond, double bf16FlopsPerSecond, double fp8FlopsPerSecond, double hostBytesPerSecond) {

        /// The longer of moving and computing.
        double micros(double bytes, double bf16Flops, double fp8Flops) {
            return Math.max(bytes / bytesPerSecond, bf16Flops / bf16FlopsPerSecond + fp8Flops / fp8FlopsPerSecond) * 1e6;
        }
    }
}
