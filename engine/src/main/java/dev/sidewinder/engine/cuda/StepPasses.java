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

/// The pass of a step: over generated tokens, a row for each sequence, over pieces of prompts, or over both. The first is
/// captured as a graph for each batch size of [DecodeBuckets] when this is built; the others are launched kernel by kernel, and
/// have no padding. Everything here only launches.
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

    /// Generated tokens; behind a launch of nothing else, padding too.
    int decodeRows() {
        return decodes.sequences();
    }

    /// Rows of prompts of which logits are wanted.
    int promptLogitRows() {
        return prompts.logitRows();
    }

    /// Pieces of prompts.
    int pieces() {
        return prompts.sequences();
    }

    /// Launches what was added: generated tokens up to the logits, prompts up to the last layer.
    ///
    /// @param sampler has the tokens of the step before
    /// @param spoiled pinned int32 for each piece, becomes 1 for those that left NaN or infinity behind
    void launch(Optional<DeviceSampler> sampler, MemorySegment spoiled) {
        int generated = decodes.sequences();
        if (generated > 0 && pieces() > 0) {
            bringDecodes(sampler, generated);
            launchMixed(generated, spoiled);
        } else if (generated > 0) {
            int bucket = DecodeBuckets.of(generated);
            decodes.pad(bucket);
            bringDecodes(sampler, generated);
            if (options.graphs()) {
                graphs.get(bucket).launch(stream);
            } else {
                launchDecode(bucket);
            }
        } else if (pieces() > 0) {
            prompts.upload(stream);
            memory.network().launch(prompts.prompts());
            findSpoiled(0, spoiled);
        }
    }

    private void bringDecodes(Optional<DeviceSampler> sampler, int rows) {
        decodes.upload(stream);
        if (decodes.hasSources()) {
            sampler.orElseThrow().handOver(decodes, rows);
        }
    }

    /// What a graph holds: from the step tables to logits of every row.
    private void launchDecode(int rows) {
        memory.network().launch(decodes.decode(rows));
        memory.network().launchHead(memory.decodeLogits(), 0, rows);
    }

    /// The head reads its matrix once for generated tokens and for as many rows of prompts as it may take.
    private void launchMixed(int generated, MemorySegment spoiled) {
        prompts.follow(generated);
        prompts.upload(stream);
        memory.network().launch(new Pass.Mixed(decodes.decode(generated), prompts.prompts()));
        findSpoiled(generated, spoiled);
        int beside = Math.min(promptLogitRows(), CudaMemory.LOGIT_ROWS);
        memory.network().launchHead(memory.decodeLogits(), prompts.logitRow(-generated), generated + beside);
    }

    private void findSpoiled(int firstRow, MemorySegment spoiled) {
        stream.copyToHost(spoiled, memory.network().findSpoiled(prompts.prompts(), firstRow), (long) pieces() * Integer.BYTES);
    }

    /// Has logits of some rows of prompts computed, unless they have been. The step behind must not have been launched.
    ///
    /// @param first of the rows of which logits are wanted: a multiple of [CudaMemory#LOGIT_ROWS]
    /// @param rows  at most [CudaMemory#LOGIT_ROWS]
    /// @return fp32 `[rows, vocabulary]` on the device, until the next ones
    long promptLogits(int first, int rows) {
        if (first == 0 && decodeRows() > 0) {
            return memory.decodeLogits() + (long) decodeRows() * vocabSize * Float.BYTES;
        }
        memory.network().launchHead(memory.promptLogits(), prompts.logitRow(first), rows);
        return memory.promptLogits();
    }

    /// The slots of the generated tokens, -1 also where the step before chose none.
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
