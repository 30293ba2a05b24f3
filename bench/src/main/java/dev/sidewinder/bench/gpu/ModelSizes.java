package dev.sidewinder.bench.gpu;

import dev.sidewinder.cuda.kernel.AttentionShape;
import dev.sidewinder.cuda.kernel.ExpertShape;
import dev.sidewinder.cuda.kernel.MambaShape;
import java.util.List;
import java.util.stream.Stream;

/// The sizes that kernels are measured at.
///
/// @param decode   tokens of a decode step: sequences
/// @param prompt   tokens of a pass over a prompt
/// @param scan     tokens of a prompt that the recurrence runs over
/// @param contexts tokens in the cache, for one sequence that decodes
/// @param batch    tokens in the cache of each of 64 sequences, or as many as `decode` has at most
record ModelSizes(int hidden, int vocabulary, MambaShape mamba, AttentionShape attention, ExpertShape experts,
        List<Integer> decode, List<Integer> prompt, List<Integer> scan, List<Integer> contexts, List<Integer> batch) {

    /// Nemotron 3 Nano.
    static final ModelSizes NANO = new ModelSizes(2688, 131_072, new MambaShape(64, 64, 8, 128, 4),
            new AttentionShape(32, 2, 128), new ExpertShape(2688, 128, 6, 1856, 3712),
            List.of(1, 8, 32, 64, 256), List.of(2048, 8192), List.of(2048, 8192, 32_768),
            List.of(1536, 8192, 65_536, 1 << 20), List.of(1536, 8192));

    /// The same layers in small: for trying the benchmark out, where there is no device.
    static final ModelSizes SMALL = new ModelSizes(128, 256, new MambaShape(4, 16, 2, 64, 4), new AttentionShape(4, 2, 64),
            new ExpertShape(128, 8, 2, 64, 128), List.of(1, 3), List.of(40), List.of(70), List.of(130), List.of(5));

    /// Columns of queries, keys and values together.
    int projections() {
        return (attention.queryHeads() + 2 * attention.kvHeads()) * attention.headDim();
    }

    int attended() {
        return attention.queryHeads() * attention.headDim();
    }

    /// Sequences of a batched decode step.
    int sequences() {
        return Math.min(64, decode.getLast());
    }

    /// Decode and prompt sizes together.
    List<Integer> tokens() {
        return Stream.concat(decode.stream(), prompt.stream()).toList();
    }
}
