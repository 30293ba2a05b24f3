package dev.sidewinder.server.cli;

import dev.sidewinder.model.checkpoint.StoredTensor;
import dev.sidewinder.model.synthetic.ShapeSpec;
import dev.sidewinder.model.synthetic.SyntheticFolder;
import dev.sidewinder.model.synthetic.SyntheticModel;
import dev.sidewinder.model.synthetic.WeightFormat;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/// `./sidewinder make-model`: writes a checkpoint of random weights.
@Command(name = "make-model", mixinStandardHelpOptions = true, description = {
    "Writes a checkpoint folder of seeded random weights, in the publisher's layout.",
    "A shape is a name, single dimensions, or both: bench-1b   tiny,hidden=128,layers=MEM*E   hidden=64,experts=4"})
final class MakeModelCommand implements Callable<Integer> {

    /// What a checkpoint folder consists of.
    private static final Pattern CHECKPOINT_FILE = Pattern.compile("(.*\\.safetensors(\\.index\\.json|\\.partial)?)"
            + "|((config|generation_config|hf_quant_config|tokenizer|tokenizer_config)\\.json)|(chat_template\\.jinja)");

    @Option(names = "--shape", paramLabel = "SHAPE", required = true,
            description = "What the model looks like. Names: ${COMPLETION-CANDIDATES}",
            completionCandidates = ShapeNames.class)
    String shape;

    @Option(names = "--format", paramLabel = "FORMAT", defaultValue = "bf16",
            description = "Number format: bf16, fp8 or nvfp4 (default: ${DEFAULT-VALUE}).")
    String format;

    @Option(names = "--seed", paramLabel = "N", defaultValue = "0",
            description = "The same shape, format and seed give the same bytes (default: ${DEFAULT-VALUE}).")
    long seed;

    @Option(names = "--out", paramLabel = "DIR", required = true, description = "The folder to write.")
    Path out;

    @Option(names = "--shard-size", paramLabel = "BYTES", converter = ByteSize.Converter.class, defaultValue = "5GB",
            description = "Weights above this are cut into shards with an index (default: ${DEFAULT-VALUE}).")
    ByteSize shardSize;

    @Option(names = "--force", description = "Replace a checkpoint that is there already.")
    boolean force;

    /// The shapes that have a name, for the help text.
    static final class ShapeNames extends ArrayList<String> {
        private static final long serialVersionUID = 1;

        ShapeNames() {
            super(ShapeSpec.names());
        }
    }

    @Override
    public Integer call() throws IOException {
        var model = new SyntheticModel(ShapeSpec.parse(shape), WeightFormat.parse(format), seed);
        long total = model.layout().stream().mapToLong(StoredTensor::bytes).sum();
        if (force) {
            removeCheckpoint();
        }
        requireRoom(total);
        try (Progress progress = Progress.of("writing " + out)) {
            SyntheticFolder.write(model, out, shardSize.bytes(), done -> progress.bytes(done, total));
            progress.finish(Progress.size(total));
        }
        for (Path file : checkpointFiles()) {
            System.out.println(file + "  " + Progress.size(Files.size(file)));
        }
        return 0;
    }

    private void requireRoom(long bytes) throws IOException {
        Path existing = out.toAbsolutePath();
        while (!Files.exists(existing)) {
            existing = existing.getParent();
        }
        long room = Files.getFileStore(existing).getUsableSpace();
        if (room < bytes) {
            throw new CommandException(out + ": needs " + Progress.size(bytes) + ", there is room for "
                    + Progress.size(room));
        }
    }

    /// Deletes what a checkpoint consists of, and nothing else.
    private void removeCheckpoint() throws IOException {
        for (Path file : checkpointFiles()) {
            Files.delete(file);
        }
    }

    private List<Path> checkpointFiles() throws IOException {
        if (!Files.isDirectory(out)) {
            return List.of();
        }
        try (Stream<Path> files = Files.list(out)) {
            return files.filter(Files::isRegularFile)
                    .filter(file -> CHECKPOINT_FILE.matcher(file.getFileName().toString()).matches()).sorted().toList();
        }
    }
}
