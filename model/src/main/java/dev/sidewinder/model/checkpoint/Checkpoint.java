package dev.sidewinder.model.checkpoint;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/// The weight files of a folder, mapped: `model.safetensors`, or the shards that `model.safetensors.index.json` names.
///
/// Owns the mappings. Opening reads headers only.
public final class Checkpoint implements TensorSet {

    private static final String SINGLE = "model.safetensors";
    private static final String INDEX = "model.safetensors.index.json";

    /// Published checkpoints have up to a few hundred shards; each costs a mapping.
    private static final int MAX_SHARDS = 4096;

    private final List<SafetensorsFile> files = new ArrayList<>();
    private final Map<String, TensorView> tensors = new LinkedHashMap<>();
    private final Map<String, SafetensorsFile> origins = new LinkedHashMap<>();

    private Checkpoint() {}

    /// Opens the weights of a folder. Where there are both an index and a single file, the index counts.
    ///
    /// @throws CheckpointException naming file and tensor
    public static Checkpoint open(ModelFolder folder) {
        var checkpoint = new Checkpoint();
        boolean complete = false;
        try {
            Optional<byte[]> index = folder.read(INDEX, ShardIndex.MAX_BYTES);
            if (index.isPresent()) {
                checkpoint.addShards(folder, ShardIndex.parse(INDEX, index.get()));
            } else {
                checkpoint.add(SafetensorsFile.open(single(folder)));
            }
            checkpoint.checkUnchanged();
            complete = true;
            return checkpoint;
        } finally {
            if (!complete) {
                checkpoint.close();
            }
        }
    }

    private static Path single(ModelFolder folder) {
        return folder.find(SINGLE).orElseThrow(() -> new CheckpointException(folder.name()
                + ": has no weights: neither " + SINGLE + " nor " + INDEX));
    }

    private void addShards(ModelFolder folder, ShardIndex index) {
        var names = new LinkedHashSet<>(index.shardOf().values());
        if (names.size() > MAX_SHARDS) {
            throw new CheckpointException(INDEX + ": names " + names.size() + " shards; at most " + MAX_SHARDS
                    + " are supported");
        }
        for (String name : names) {
            Path path = folder.find(name).orElseThrow(() -> new CheckpointException(INDEX + ": names shard " + name
                    + ", which is missing in the folder: the download is incomplete"));
            add(SafetensorsFile.open(path));
        }
        for (TensorView tensor : tensors.values()) {
            if (!index.shardOf().containsKey(tensor.name())) {
                throw new CheckpointException(origin(tensor.name()) + ": holds tensor \"" + tensor.name()
                        + "\", which " + INDEX + " does not list");
            }
        }
        index.shardOf().forEach((tensor, shard) -> {
            SafetensorsFile found = origins.get(tensor);
            if (found == null || !found.name().equals(shard)) {
                throw new CheckpointException(INDEX + ": says that " + shard + " holds tensor \"" + tensor + "\", but "
                        + (found == null ? "no shard holds it" : found.name() + " does"));
            }
        });
    }

    private void add(SafetensorsFile file) {
        files.add(file);
        for (TensorView tensor : file.tensors()) {
            SafetensorsFile other = origins.putIfAbsent(tensor.name(), file);
            if (other != null) {
                throw new CheckpointException(file.name() + ": holds tensor \"" + tensor.name() + "\", which "
                        + other.name() + " holds too");
            }
            tensors.put(tensor.name(), tensor);
        }
    }

    /// Checks that no file changed since it was mapped.
    public void checkUnchanged() {
        files.forEach(SafetensorsFile::checkUnchanged);
    }

    public List<SafetensorsFile> files() {
        return List.copyOf(files);
    }

    @Override
    public Collection<TensorView> tensors() {
        return tensors.values();
    }

    @Override
    public String origin(String tensor) {
        return origins.get(tensor).name();
    }

    @Override
    public void close() {
        files.forEach(SafetensorsFile::close);
        files.clear();
    }
}
