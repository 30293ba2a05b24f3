package dev.sidewinder.model.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// Folders of weights: single files, shards, links, and what may go wrong with them.
class CheckpointTest {

    private static final String INDEX = "model.safetensors.index.json";

    @TempDir
    Path root;

    @Test
    void opensTheShardsOfAnIndex() throws IOException {
        Path folder = sharded();

        try (Checkpoint checkpoint = Checkpoint.open(new ModelFolder(folder))) {
            assertThat(checkpoint.tensors()).extracting(TensorView::name).containsExactly("a", "b", "c");
            assertThat(checkpoint.origin("c")).isEqualTo("model-00002-of-00002.safetensors");
            assertThat(checkpoint.files()).hasSize(2);
        }
    }

    @Test
    void namesAShardThatIsMissing() throws IOException {
        Path folder = sharded();
        Files.delete(folder.resolve("model-00002-of-00002.safetensors"));

        refuses(folder, "names shard model-00002-of-00002.safetensors, which is missing");
    }

    @Test
    void refusesATensorThatTheIndexPutsIntoTheWrongShard() throws IOException {
        Path folder = sharded();
        replace(folder, "\"b\": \"model-00001", "\"b\": \"model-00002");

        refuses(folder, "says that model-00002-of-00002.safetensors holds tensor \"b\", but "
                + "model-00001-of-00002.safetensors does");
    }

    @Test
    void refusesATensorThatNoShardHolds() throws IOException {
        Path folder = sharded();
        replace(folder, "\"c\":", "\"d\": \"model-00002-of-00002.safetensors\", \"c\":");

        refuses(folder, "tensor \"d\", but no shard holds it");
    }

    @Test
    void refusesATensorThatTheIndexDoesNotList() throws IOException {
        Path folder = sharded();
        replace(folder, "\"b\": \"model-00001-of-00002.safetensors\",", "");

        refuses(folder, "model-00001-of-00002.safetensors: holds tensor \"b\", which " + INDEX + " does not list");
    }

    @Test
    void refusesATensorInTwoShards() throws IOException {
        Path folder = sharded();
        new SafetensorsBytes().zeros("c", DType.F32, 1).zeros("a", DType.F32, 2)
                .write(folder.resolve("model-00002-of-00002.safetensors"));

        refuses(folder, "holds tensor \"a\", which model-00001-of-00002.safetensors holds too");
    }

    @ParameterizedTest
    @ValueSource(strings = {"../x.safetensors", "/etc/passwd", "sub/x.safetensors", "..", ".", "", "a\\\\b", "a\\u0000b"})
    void refusesShardNamesThatAreNotPlain(String name) throws IOException {
        Path folder = sharded();
        replace(folder, "model-00002-of-00002.safetensors", name);

        refuses(folder, "is not a plain name");
    }

    @ParameterizedTest
    @ValueSource(strings = {"[]", "{}", "{\"weight_map\": {}}", "{\"weight_map\": []}", "{\"weight_map\": {\"a\": 1}}",
            "{\"weight_map\": {\"a\": \"x\", \"a\": \"y\"}}", "{\"weight_map\": {\"a\": \"x\"}", "", "{} {}",
            "{\"weight_map\": {\"a\": \"x\"}} 1", "\u0000"})
    void refusesBrokenIndexFiles(String json) throws IOException {
        Path folder = sharded();
        Files.writeString(folder.resolve(INDEX), json);

        refuses(folder, INDEX + ": ");
    }

    @Test
    @Timeout(value = 60, unit = TimeUnit.SECONDS)
    void refusesAMillionShardsBeforeOpeningAny() throws IOException {
        Path folder = sharded();
        var json = new StringBuilder("{\"weight_map\": {");
        for (int i = 0; i < 1_000_000; i++) {
            json.append(i == 0 ? "" : ",").append("\"t").append(i).append("\":\"s").append(i).append('"');
        }
        Files.writeString(folder.resolve(INDEX), json.append("}}"));

        refuses(folder, "names 1000000 shards; at most 4096");
    }

    @Test
    @Timeout(value = 20, unit = TimeUnit.SECONDS)
    void refusesDirectoriesPipesAndDevicesInPlaceOfAShard() throws Exception {
        Path folder = sharded();
        Path shard = folder.resolve("model-00002-of-00002.safetensors");

        Files.delete(shard);
        Files.createDirectory(shard);
        refuses(folder, "is a directory");

        Files.delete(shard);
        assertThat(new ProcessBuilder("mkfifo", shard.toString()).start().waitFor()).isZero();
        refuses(folder, "is a pipe, socket or device");

        Files.delete(shard);
        Files.createSymbolicLink(shard, Path.of("/dev/zero"));
        refuses(folder, "leads out of the model folder");
    }

    @Test
    void followsLinksInsideTheFolderOnly() throws IOException {
        Path folder = sharded();
        Path shard = folder.resolve("model-00002-of-00002.safetensors");
        Path elsewhere = root.resolve("elsewhere.safetensors");
        Files.copy(shard, elsewhere);

        // a link inside the folder
        Files.move(shard, folder.resolve("real.bin"));
        Files.createSymbolicLink(shard, Path.of("real.bin"));
        Checkpoint.open(new ModelFolder(folder)).close();

        // a link to the outside
        Files.delete(shard);
        Files.createSymbolicLink(shard, elsewhere);
        refuses(folder, "leads out of the model folder");

        // a link to nothing
        Files.delete(shard);
        Files.createSymbolicLink(shard, Path.of("gone"));
        refuses(folder, "cannot be opened");
    }

    @Test
    void followsLinksIntoTheBlobStoreOfTheHubCache() throws IOException {
        // given the layout of the hub's cache: snapshots/<revision>/<name> -> ../../blobs/<hash>
        Path blobs = Files.createDirectories(root.resolve("models--x/blobs"));
        Path snapshot = Files.createDirectories(root.resolve("models--x/snapshots/abc"));
        new SafetensorsBytes().zeros("a", DType.F32, 2).write(blobs.resolve("0123"));
        Files.createSymbolicLink(snapshot.resolve("model.safetensors"), Path.of("../../blobs/0123"));

        // then the blob store is part of the model, and nothing else outside is
        try (Checkpoint checkpoint = Checkpoint.open(new ModelFolder(snapshot))) {
            assertThat(checkpoint.origin("a")).isEqualTo("model.safetensors");
        }
        Files.copy(blobs.resolve("0123"), root.resolve("models--x/other"));
        Files.delete(snapshot.resolve("model.safetensors"));
        Files.createSymbolicLink(snapshot.resolve("model.safetensors"), Path.of("../../other"));
        refuses(snapshot, "leads out of the model folder");
    }

    @Test
    void opensAFolderThroughALinkToIt() throws IOException {
        Path folder = sharded();
        Path link = Files.createSymbolicLink(root.resolve("link"), folder);

        ModelFolder opened = new ModelFolder(link);
        assertThat(opened.name()).isEqualTo("link");
        Checkpoint.open(opened).close();
    }

    @Test
    void refusesTextFilesAboveTheirLimit() throws IOException {
        Path folder = Files.createDirectory(root.resolve("m"));
        Files.writeString(folder.resolve("config.json"), "x".repeat(101));

        assertThat(new ModelFolder(folder).read("config.json", 101)).hasValueSatisfying(
                content -> assertThat(content).hasSize(101));
        assertThatThrownBy(() -> new ModelFolder(folder).read("config.json", 100))
                .isInstanceOf(CheckpointException.class).hasMessageContaining("larger than 100 bytes");
    }

    private Path sharded() throws IOException {
        Path folder = Files.createDirectories(root.resolve("model"));
        new SafetensorsBytes().zeros("a", DType.F32, 2).zeros("b", DType.BF16, 3)
                .write(folder.resolve("model-00001-of-00002.safetensors"));
        new SafetensorsBytes().zeros("c", DType.F32, 1).write(folder.resolve("model-00002-of-00002.safetensors"));
        Files.writeString(folder.resolve(INDEX), """
                {"metadata": {"total_size": 18}, "weight_map": {
                 "a": "model-00001-of-00002.safetensors",
                 "b": "model-00001-of-00002.safetensors",
                 "c": "model-00002-of-00002.safetensors"}}
                """);
        return folder;
    }

    private static void replace(Path folder, String what, String by) throws IOException {
        String before = Files.readString(folder.resolve(INDEX));
        assertThat(before).contains(what);
        Files.writeString(folder.resolve(INDEX), before.replace(what, by));
    }

    private static void refuses(Path folder, String expected) {
        assertThatThrownBy(() -> Checkpoint.open(new ModelFolder(folder)).close())
                .isInstanceOf(CheckpointException.class).hasMessageContaining(expected);
    }
}
