package dev.sidewinder.engine.cuda;

import dev.sidewinder.cuda.device.CudaGraph;
import dev.sidewinder.cuda.device.Device;
import dev.sidewinder.cuda.device.Stream;
import dev.sidewinder.scheduler.BatchEntry;
import java.lang.foreign.MemorySegment;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.TreeMap;
import java.util.function.Consumer;

/// The two passes that a step has at most: one over the generated tokens, a row for each sequence, and one over the pieces of
/// prompts. The first is captured as a graph for each batch size of [DecodeBuckets] when this is built. Everything here only
/// launches.
final class StepPasses {

    private final CudaMemory memory;
    private final CudaOptions options;
    private final Stream stream;
    private final int vocabSize;
    private final StepTables decodes;
    private final StepTables prompts;
    private final Map<Integer, CudaGraph> graphs = new TreeMap<>();
    private final Map<Integer, Integer> graphKernels = new TreeMap<>();

    /// @param closing takes over what gives back all that was made, piece by piece
    StepPasses(Device device, CudaMemory memory, CudaOptions options, int vocabSize, Consumer<Runnable> closing) {
        this.memory = memory;
        this.options = options;
        this.vocabSize = vocabSize;
        stream = device.stream();
        decodes = new StepTables(device, memory.decodeTables(), memory.decodeSize());
        closing.accept(decodes::close);
        prompts = new StepTables(device, memory.promptTables(), memory.promptSize());
        closing.accept(prompts::close);
        if (options.graphs()) {
            capture(device, closing);
        }
    }

    private void capture(Device device, Consumer<Runnable> closing) {
        for (int rows : DecodeBuckets.upTo(options.maxSequences())) {
            long launches = device.launches();
            CudaGraph graph = stream.capture(() -> launchDecode(rows));
            graphKernels.put(rows, (int) (device.launches() - launches));
            closing.accept(graph::close);
            graphs.put(rows, graph);
            graph.upload(stream);
        }
    }

    /// Begins a step.
    void clear() {
        decodes.clear();
        prompts.clear();
    }

    /// Adds a generated token.
    ///
    /// @param source row of the step before that chooses it; -1 when it is known
    void addDecode(BatchEntry entry, int source) {
        decodes.add(entry, vocabSize, source);
    }

    void addPrompt(BatchEntry entry) {
        prompts.add(entry, vocabSize, StepTables.KNOWN);
    }

    /// Rows of the decode pass, without padding.
    int decodeRows() {
        return decodes.sequences();
    }

    /// Rows of the prompt pass of which logits are wanted.
    int promptLogitRows() {
        return prompts.logitRows();
    }

    /// Pieces of prompts.
    int pieces() {
        return prompts.sequences();
    }

    /// Launches what was added: for a decode pass up to the logits, for a pass over prompts up to the last layer.
    ///
    /// @param sampler has the tokens of the step before
    /// @param spoiled pinned int32 for each piece, becomes 1 for those that left NaN or infinity behind
    void launch(Optional<DeviceSampler> sampler, MemorySegment spoiled) {
        int rows = decodes.sequences();
        if (rows > 0) {
            int bucket = DecodeBuckets.of(rows);
            decodes.pad(bucket);
            decodes.upload(stream);
            if (decodes.hasSources()) {
                sampler.orElseThrow().handOver(decodes, rows);
            }
            if (options.graphs()) {
                graphs.get(bucket).launch(stream);
            } else {
                launchDecode(bucket);
            }
        }
        if (prompts.sequences() > 0) {
            prompts.upload(stream);
            var pass = new Pass.Prompt(prompts.prompts(), prompts.rows(), prompts.kept());
            memory.network().launch(pass, prompts.tokens());
            stream.copyToHost(spoiled, memory.network().findSpoiled(pass), (long) pieces() * Integer.BYTES);
        }
    }

    /// What a graph holds: from the step tables to logits of every row.
    private void launchDecode(int rows) {
        memory.network().launch(new Pass.Decode(decodes.decode(rows), rows), decodes.tokens());
        memory.network().launchHead(memory.decodeLogits(), 0, rows);
    }

    /// Computes logits of some rows of the prompt pass. The step behind must not have been launched.
    ///
    /// @param first of the rows of which logits are wanted
    /// @param rows  at most [CudaMemory#LOGIT_ROWS]
    void launchPromptHead(int first, int rows) {
        memory.network().launchHead(memory.promptLogits(), prompts.logitRow(first), rows);
    }

    /// The slots of the decode pass, -1 also where the step before chose no token.
    long decodeSlots() {
        return decodes.slots();
    }

    /// Kernels of the graph for so many sequences; empty without graphs.
    OptionalInt kernelsPerStep(int sequences) {
        Integer kernels = graphKernels.get(DecodeBuckets.of(sequences));
        return kernels == null ? OptionalInt.empty() : OptionalInt.of(kernels);
    }

    String description() {
        return options.graphs() ? "as graphs of " + graphs.keySet() + " rows" : "without graphs";
    }
}
