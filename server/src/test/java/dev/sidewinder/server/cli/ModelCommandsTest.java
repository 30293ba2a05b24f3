package dev.sidewinder.server.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// The commands that work on models, run as a user runs them.
class ModelCommandsTest {

    private static final String TINY = "synthetic:tiny?seed=3";
    private static final int TINY_VOCABULARY = 1024;

    @TempDir
    Path folder;

    private final ByteArrayOutputStream output = new ByteArrayOutputStream();
    private final StringWriter errors = new StringWriter();
    private PrintStream originalOutput;

    @BeforeEach
    void catchOutput() {
        originalOutput = System.out;
        System.setOut(new PrintStream(output, true, StandardCharsets.UTF_8));
    }

    @AfterEach
    void releaseOutput() {
        System.setOut(originalOutput);
    }

    @Test
    void aWrittenModelGivesTheSameLogitsAsTheOneInMemory() throws Exception {
        Path model = folder.resolve("m");
        assertThat(run("make-model", "--shape", "tiny", "--seed", "3", "--out", model.toString())).isZero();
        assertThat(output()).contains("config.json").contains("model.safetensors");
        output.reset();

        JsonNode written = logits("--model", model.toString(), "--tokens", "5,6,7");
        JsonNode inMemory = logits("--model", TINY, "--tokens", "5,6,7");

        assertThat(written.path("logits")).hasSize(TINY_VOCABULARY).isEqualTo(inMemory.path("logits"));
        assertThat(written.path("model").asText()).isEqualTo("m");
        assertThat(written.path("arithmetic").asText()).isEqualTo("f32");
    }

    @Test
    void allTokensEndWithTheLogitsOfTheLast() throws Exception {
        JsonNode all = logits("--model", TINY, "--tokens", "5,6,7", "--all").path("logits");
        JsonNode last = logits("--model", TINY, "--tokens", "5,6,7").path("logits");

        assertThat(all).hasSize(3).allSatisfy(row -> assertThat(row).hasSize(TINY_VOCABULARY));
        assertThat(all.path(2)).isEqualTo(last);
    }

    @Test
    void aPromptOfSeveralPiecesHasOneRowForEveryToken() throws Exception {
        int count = PromptPass.PIECE_TOKENS + 130;
        var tokens = new StringBuilder("1");
        for (int i = 1; i < count; i++) {
            tokens.append(',').append(i * 37 % TINY_VOCABULARY);
        }

        JsonNode all = logits("--model", TINY, "--tokens", tokens.toString(), "--all", "--top", "1").path("top");
        JsonNode last = logits("--model", TINY, "--tokens", tokens.toString(), "--top", "1").path("top");

        assertThat(all).hasSize(count);
        assertThat(all.path(count - 1)).isEqualTo(last);
    }

    @Test
    void topNamesTheMostLikelyTokensBestFirst() throws Exception {
        JsonNode logits = logits("--model", TINY, "--tokens", "1,2").path("logits");
        JsonNode top = logits("--model", TINY, "--tokens", "1,2", "--top", "3").path("top");

        assertThat(top).hasSize(3);
        double sum = 0;
        for (JsonNode logit : logits) {
            sum += Math.exp(logit.doubleValue());
        }
        for (JsonNode entry : top) {
            float logit = logits.path(entry.path("token").asInt()).floatValue();
            assertThat(entry.path("logit").floatValue()).isEqualTo(logit);
            assertThat(entry.path("logprob").doubleValue()).isCloseTo(logit - Math.log(sum),
                    org.assertj.core.data.Offset.offset(1e-4));
        }
        assertThat(top.path(0).path("logit").floatValue()).isEqualTo(
                (float) logits.valueStream().mapToDouble(JsonNode::doubleValue).max().orElseThrow());
        assertThat(top.path(1).path("logit").floatValue()).isGreaterThanOrEqualTo(top.path(2).path("logit").floatValue());
    }

    @ParameterizedTest
    @ValueSource(strings = {"--tokens 1,1024", "--tokens -1", "--tokens 1,x", "--tokens 1 --arithmetic f64",
        "--tokens 1 --top 0", ""})
    void wrongLogitArgumentsAreOneLine(String arguments) {
        int status = run(("logits --model " + TINY + " " + arguments).strip().split(" "));

        assertThat(status).isEqualTo(2);
        assertThat(errors.toString().lines()).hasSize(1);
        assertThat(output()).isEmpty();
    }

    @Test
    void aFolderThatIsNoModelIsOneLineThatNamesIt() {
        assertThat(run("logits", "--model", folder.toString(), "--tokens", "1")).isEqualTo(1);
        assertThat(errors.toString().lines()).hasSize(1);
        assertThat(errors.toString()).contains(folder.getFileName().toString());
    }

    @Test
    void largeModelsAreCutIntoShards() throws Exception {
        Path model = folder.resolve("m");
        assertThat(run("make-model", "--shape", "tiny", "--out", model.toString(), "--shard-size", "1MiB")).isZero();

        assertThat(model.resolve("model.safetensors.index.json")).exists();
        assertThat(model.toFile().list((_, name) -> name.endsWith(".safetensors"))).hasSizeGreaterThan(1);
        output.reset();
        assertThat(logits("--model", model.toString(), "--tokens", "1").path("logits")).hasSize(TINY_VOCABULARY);
    }

    @ParameterizedTest
    @ValueSource(strings = {"bf16", "fp8", "nvfp4"})
    void everyFormatCanBeReadBack(String format) throws Exception {
        Path model = folder.resolve(format);
        assertThat(run("make-model", "--shape", "tiny", "--format", format, "--out", model.toString())).isZero();
        output.reset();

        assertThat(logits("--model", model.toString(), "--tokens", "1,2").path("logits")).hasSize(TINY_VOCABULARY);
    }

    @Test
    void aCheckpointIsReplacedOnlyWithForce() throws Exception {
        String model = folder.resolve("m").toString();
        run("make-model", "--shape", "tiny", "--out", model);
        Path own = Files.writeString(folder.resolve("m/notes.json"), "mine");
        byte[] before = Files.readAllBytes(folder.resolve("m/model.safetensors"));

        assertThat(run("make-model", "--shape", "tiny", "--seed", "1", "--out", model)).isEqualTo(1);
        assertThat(errors.toString()).contains("already");
        assertThat(folder.resolve("m/model.safetensors")).hasBinaryContent(before);

        assertThat(run("make-model", "--shape", "tiny", "--seed", "1", "--out", model, "--force")).isZero();
        assertThat(Files.readAllBytes(folder.resolve("m/model.safetensors"))).isNotEqualTo(before);
        assertThat(own).exists();
    }

    @Test
    void aModelThatDoesNotFitOnTheDiskIsNotBegun() throws IOException {
        int status = run("make-model", "--shape", "super-120b,hidden=131072", "--out", folder.resolve("m").toString());

        assertThat(status).isEqualTo(1);
        assertThat(errors.toString()).contains("there is room for");
        assertThat(folder.resolve("m")).doesNotExist();
    }

    @Test
    void anUnknownShapeNamesTheKnownOnes() {
        assertThat(run("make-model", "--shape", "tinny", "--out", folder.resolve("m").toString())).isNotZero();
        assertThat(errors.toString().lines()).hasSize(1);
        assertThat(errors.toString()).contains("tinny", "tiny", "bench-1b");
    }

    @Test
    void inspectTellsWhatAModelIsMadeOf() {
        assertThat(run("inspect", TINY, "--memory", "1GB")).isZero();

        // 4.29 M parameters in bf16 and three expert biases in f32; 3 Mamba layers with 8 heads x 64 x 128 fp32 states
        assertThat(output()).contains("random weights", "3 Mamba, 3 experts, 1 attention", "MEM*EME",
                "2 of 8 experts of width 128, a shared one of 256", "no tokenizer", "fits into 1.00 GB")
                .containsPattern("weights +8\\.58 MB in \\d+ tensors").containsPattern(" 512 B a token")
                .containsPattern("[\\d,]+ sequences of 1,048,576 tokens");
    }

    @Test
    void inspectSpeaksJson() throws Exception {
        assertThat(run("inspect", TINY, "--memory", "1GB", "--json")).isZero();

        JsonNode json = new ObjectMapper().readTree(output.toByteArray());
        assertThat(json.path("layers").toString()).isEqualTo("{\"M\":3,\"E\":3,\"*\":1}");
        long convolution = 3 * (8 * 64 + 2 * 2 * 128) * 3 * 4L;  // layers x channels x taps before the last x fp32
        assertThat(json.path("state_bytes").asLong()).isEqualTo(3 * 8 * 64 * 128 * 4L + convolution);
        assertThat(json.path("kv_bytes_per_token").asLong()).isEqualTo(2 * 2 * 64 * 2);
        long sequenceBytes = json.path("state_bytes").asLong() + 1024 * json.path("kv_bytes_per_token").asLong();
        assertThat(json.path("fits").path(0).path("tokens").asLong()).isEqualTo(1024);
        assertThat(json.path("fits").path(0).path("sequences").asLong())
                .isEqualTo((1_000_000_000 - json.path("bytes").asLong()) / sequenceBytes);
    }

    @Test
    void inspectSaysWhenTheWeightsAloneDoNotFit() {
        assertThat(run("inspect", TINY, "--memory", "1MB")).isZero();
        assertThat(output()).contains("The weights alone do not fit into 1.00 MB.");
    }

    @Test
    void inspectLooksAtShapesThatDoNotFitIntoThisMachine() throws Exception {
        assertThat(run("inspect", "synthetic:nano-30b?format=fp8", "--memory", "80GiB", "--json")).isZero();

        // the published figures of the 30B-A3B shape: 31.6 B parameters, 6 KiB of keys and values a token
        JsonNode json = new ObjectMapper().readTree(output.toByteArray());
        assertThat(json.path("parameters").asLong()).isBetween(31_500_000_000L, 31_700_000_000L);
        assertThat(json.path("number_format").asText()).isEqualTo("fp8");
        assertThat(json.path("kv_bytes_per_token").asLong()).isEqualTo(6 * 1024);
        assertThat(json.path("fits").path(0).path("sequences").asLong()).isPositive();
    }

    /// One session of a million tokens more than with a reserve of 4 GiB, as published sums have it: workspace and driver take less.
    @Test
    void inspectSaysWhatFitsIntoAGpuThatIsElsewhere() throws Exception {
        assertThat(run("inspect", "synthetic:nano-30b-fp8", "--device-memory", "78GiB")).isZero();
        assertThat(output()).contains("on a GPU with 78.00 GiB, as stated:").contains("weights       30.4")
                .contains("about, for steps of 8,192 tokens and 256 sequences").contains("a token 6,144 B of keys and values in bf16, 3,072 B in fp8")
                .containsPattern("of    1,048,576 tokens +7 +15");

        output.reset();
        assertThat(run("inspect", "synthetic:nano-30b-fp8", "--device-memory", "78GiB", "--json")).isZero();
        JsonNode found = new ObjectMapper().readTree(output.toByteArray()).path("device");
        assertThat(found.path("bytes").asLong()).isEqualTo(78L << 30);
        assertThat(found.path("cache_bytes").asLong()).isEqualTo((78L << 30) - found.path("weight_bytes").asLong()
                - found.path("workspace_bytes").asLong() - found.path("driver_bytes").asLong());
        assertThat(found.path("fits").path(5).path("sequences_fp8").asLong()).isEqualTo(15);

        output.reset();
        assertThat(run("inspect", "synthetic:nano-30b-bf16", "--device-memory", "40GiB")).isZero();
        assertThat(output()).containsPattern("This is [0-9.]+ GiB more than there is");
    }

    @Test
    void inspectRefusesTheMemoryOfTwoMachines() {
        assertThat(run("inspect", TINY, "--memory", "1GB", "--device-memory", "1GB")).isEqualTo(2);
        assertThat(errors.toString()).contains("--device-memory for a GPU's");
        assertThat(run("inspect", TINY, "--backend", "tpu")).isEqualTo(2);
        assertThat(errors.toString()).contains("it is cpu or cuda");
    }

    @Test
    void aWrittenModelIsInspectedLikeItsShape() throws Exception {
        Path model = folder.resolve("m");
        run("make-model", "--shape", "tiny", "--format", "nvfp4", "--out", model.toString());
        output.reset();
        run("inspect", model.toString(), "--memory", "1GB", "--json");
        ObjectNode written = (ObjectNode) new ObjectMapper().readTree(output.toByteArray());
        output.reset();
        run("inspect", "synthetic:tiny?format=nvfp4", "--memory", "1GB", "--json");
        ObjectNode shape = (ObjectNode) new ObjectMapper().readTree(output.toByteArray());

        List<String> differing = List.of("model", "synthetic");
        assertThat(written.without(differing).toString()).isEqualTo(shape.without(differing).toString());
    }

    private JsonNode logits(String... arguments) throws IOException {
        String[] all = new String[arguments.length + 1];
        all[0] = "logits";
        System.arraycopy(arguments, 0, all, 1, arguments.length);
        output.reset();
        assertThat(run(all)).as(() -> errors.toString()).isZero();
        return new ObjectMapper().readTree(output.toByteArray());
    }

    private int run(String... arguments) {
        return Commands.commandLine().setErr(new PrintWriter(errors, true)).execute(arguments);
    }

    private String output() {
        return output.toString(StandardCharsets.UTF_8);
    }
}
