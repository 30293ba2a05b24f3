package dev.sidewinder.model.synthetic;

import dev.sidewinder.model.checkpoint.CheckpointException;
import dev.sidewinder.model.checkpoint.SafetensorsWriter;
import dev.sidewinder.model.checkpoint.StoredTensor;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/// Writes a synthetic model as a checkpoint folder, in the publisher's layout.
public final class SyntheticFolder {

    /// Shards of published checkpoints stay below 5 GB.
    public static final long DEFAULT_SHARD_BYTES = 5_000_000_000L;

    private SyntheticFolder() {}

    /// Writes the folder: the weights first, `config.json` last, so that a folder that can be opened is complete.
    ///
    /// @param folder     made if it is not there; must hold no checkpoint yet
    /// @param shardBytes weights larger than this are cut into shards with an index
    /// @param progress   hears bytes as they are written
    /// @return bytes of all tensors
    /// @throws CheckpointException when the folder holds a checkpoint or cannot be written
    public static long write(SyntheticModel model, Path folder, long shardBytes, SafetensorsWriter.Progress progress) {
        try {
            Files.createDirectories(folder);
            refuseToOverwrite(folder);
            List<StoredTensor> layout = model.layout();
            long total = layout.stream().mapToLong(StoredTensor::bytes).sum();
            if (total <= shardBytes) {
                SafetensorsWriter.write(folder.resolve("model.safetensors"), layout, model.numbers(), progress);
            } else {
                writeShards(model, folder, shards(layout, shardBytes), total, progress);
            }
            for (Map.Entry<String, byte[]> file : model.files().reversed().entrySet()) {
                Files.write(folder.resolve(file.getKey()), file.getValue());
            }
            return total;
        } catch (IOException failed) {
            throw new CheckpointException(folder + ": cannot be written: " + failed, failed);
        }
    }

    private static void writeShards(SyntheticModel model, Path folder, List<List<StoredTensor>> shards, long total,
            SafetensorsWriter.Progress progress) throws IOException {
        var files = new ArrayList<String>();
        var names = new ArrayList<List<String>>();
        RandomTensors numbers = model.numbers();
        for (int shard = 0; shard < shards.size(); shard++) {
            String file = String.format(Locale.ROOT, "model-%05d-of-%05d.safetensors", shard + 1, shards.size());
            SafetensorsWriter.write(folder.resolve(file), shards.get(shard), numbers, progress);
            files.add(file);
            names.add(shards.get(shard).stream().map(StoredTensor::name).toList());
        }
        Files.write(folder.resolve("model.safetensors.index.json"), SyntheticFiles.index(files, names, total));
    }

    /// Fills shards in order; a tensor larger than a shard has one of its own.
    static List<List<StoredTensor>> shards(List<StoredTensor> layout, long shardBytes) {
        var shards = new ArrayList<List<StoredTensor>>();
        long room = 0;
        for (StoredTensor tensor : layout) {
            if (shards.isEmpty() || tensor.bytes() > room) {
                shards.add(new ArrayList<>());
                room = shardBytes;
            }
            shards.getLast().add(tensor);
            room -= tensor.bytes();
        }
        return shards;
    }

    private static void refuseToOverwrite(Path folder) throws IOException {
        try (var entries = Files.newDirectoryStream(folder)) {
            for (Path entry : entries) {
                String name = entry.getFileName().toString();
                if (name.equals("config.json") || name.endsWith(".safetensors") || name.endsWith(".index.json")) {
                    throw new CheckpointException(folder + ": holds " + name + " already; choose another folder or "
                            + "remove it");
                }
            }
        }
    }
}
