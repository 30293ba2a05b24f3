package dev.sidewinder.server.auth;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sidewinder.server.api.Tenant;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class KeyFileTest {

    @TempDir
    Path folder;

    static String digest(String key) {
        return HexFormat.of().formatHex(ApiKey.digestOf(key));
    }

    private static KeyRing parse(String text) {
        return KeyFile.parse("keys", text.getBytes(StandardCharsets.UTF_8));
    }

    @Test
    void knowsTheDigestThatSha256sumPrints() {
        // printf abc | sha256sum
        assertThat(digest("abc")).isEqualTo("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    @Test
    void readsKeysWithTheirRolesAndOptions() {
        KeyRing ring = parse("# who may do what\n\n  team-a:inference:" + digest("a") + "\r\nops:operator, metrics:"
                + digest("o").toUpperCase(Locale.ROOT) + ":weight=7, priority-floor=-10");

        assertThat(ring.find("a")).contains(new Caller(new Tenant("team-a"), Set.of(Role.INFERENCE)));
        assertThat(ring.find("o")).contains(new Caller(new Tenant("ops", 7, -10), Set.of(Role.OPERATOR, Role.METRICS)));
        assertThat(ring.summary()).isEqualTo("2 keys of 2 tenants");
    }

    @Test
    void letsAnOldKeyAndItsSuccessorBeOfOneTenant() {
        KeyRing ring = parse("a:inference:" + digest("old") + ":weight=2\na:inference,metrics:" + digest("new") + ":weight=2\n");

        assertThat(ring.find("old").orElseThrow().tenant()).isEqualTo(ring.find("new").orElseThrow().tenant());
        assertThat(ring.summary()).isEqualTo("2 keys of 1 tenant");
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {
        "a:inference | three parts",
        "a:inference:DIGEST:weight=1:x | three parts",
        "sk-plain-key | three parts",
        ":inference:DIGEST | id of 1 to 64",
        "a b:inference:DIGEST | id of 1 to 64",
        "a/b:inference:DIGEST | id of 1 to 64",
        "anonymous:inference:DIGEST | uses the id anonymous itself",
        "self-test:inference:DIGEST | uses the id self-test itself",
        "a::DIGEST | roles are some of inference, operator, metrics",
        "a:admin:DIGEST | roles are some of",
        "a:Inference:DIGEST | roles are some of",
        "a:inference,:DIGEST | roles are some of",
        "a:inference,inference:DIGEST | stands twice",
        "a:inference: | 64 hexadecimal digits",
        "a:inference:sk-somebody-wrote-the-key-itself | 64 hexadecimal digits",
        "a:inference:abcd | 64 hexadecimal digits",
        "a:inference:DIGEST00 | 64 hexadecimal digits",
        "a:inference:xyDIGEST | 64 hexadecimal digits",
        "a:inference:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 | SHA-256 of nothing",
        "a:inference:DIGEST:weight | options are",
        "a:inference:DIGEST:weight=1,weight=2 | options are",
        "a:inference:DIGEST:colour=1 | options are",
        "a:inference:DIGEST:weight=1, | options are",
        "a:inference:DIGEST:weight=two | is an integer",
        "a:inference:DIGEST:weight=99999999999 | is an integer",
        "a:inference:DIGEST:weight=0 | weight is 1..100",
        "a:inference:DIGEST:weight=101 | weight is 1..100",
        "a:inference:DIGEST:priority-floor=-1001 | priority-floor is -1000..1000",
        "a:inference:DIGEST:priority-floor=1001 | priority-floor is -1000..1000",
    })
    void namesTheLineAndRepeatsNothingOfIt(String line, String message) {
        String text = "# one\nb:inference:" + digest("b") + "\n" + line.strip().replace("DIGEST", digest("k"));

        assertThatThrownBy(() -> parse(text)).isInstanceOf(KeyFileException.class).hasMessageStartingWith("keys, line 3: ")
                .hasMessageContaining(message.strip()).hasMessageNotContaining(digest("k")).hasMessageNotContaining("sk-");
    }

    @Test
    void refusesTheSameKeyTwiceAndOptionsThatDiffer() {
        assertThatThrownBy(() -> parse("a:inference:" + digest("k") + "\nb:inference:" + digest("k"))).hasMessageContaining("further up");
        assertThatThrownBy(() -> parse("a:inference:" + digest("k") + ":weight=2\na:inference:" + digest("l")))
                .hasMessageContaining("options of a are others");
    }

    @Test
    void refusesAFileThatCannotBeAFileOfKeys() throws IOException {
        assertThatThrownBy(() -> parse("# nobody\n\n")).hasMessageContaining("has no key");
        assertThatThrownBy(() -> KeyFile.read(folder.resolve("none"))).hasMessageContaining("cannot read").hasMessageContaining("NoSuchFile");
        assertThatThrownBy(() -> KeyFile.read(folder)).hasMessageContaining("cannot read");
        Path large = Files.write(folder.resolve("large"), new byte[(1 << 20) + 1]);
        assertThatThrownBy(() -> KeyFile.read(large)).hasMessageContaining("larger than");
        Path binary = Files.write(folder.resolve("binary"), new byte[] {(byte) 0xff, (byte) 0xfe});
        assertThatThrownBy(() -> KeyFile.read(binary)).hasMessageContaining("not UTF-8");
    }

    @Test
    void fallsOverNoRandomText() {
        long seed = 5;
        Random random = new Random(seed);
        String letters = "a:,=#-0 \n\tbß" + "é";
        for (int i = 0; i < 20_000; i++) {
            StringBuilder text = new StringBuilder("a:inference:").append(digest("x")).append('\n');
            random.ints(random.nextInt(40), 0, letters.length()).forEach(at -> text.append(letters.charAt(at)));
            try {
                assertThat(parse(text.toString()).find("x")).isPresent();
            } catch (KeyFileException refused) {
                assertThat(refused).as("seed %d, text %s", seed, text).hasMessageStartingWith("keys, line ");
            }
        }
    }

    @Test
    void makesLinesThatItReads() {
        KeyLine made = KeyLine.make("team-a", List.of("inference", "metrics"), 3, 0);
        KeyLine other = KeyLine.make("team-a", List.of("inference"), null, null);

        assertThat(parse(made.line()).find(made.key()))
                .contains(new Caller(new Tenant("team-a", 3, 0), Set.of(Role.INFERENCE, Role.METRICS)));
        assertThat(made.key()).hasSize(6 + 43).isNotEqualTo(other.key()).matches("sk-sw-[A-Za-z0-9_-]+");
        assertThat(made.line()).doesNotContain(made.key());
        assertThat(made.toString()).doesNotContain(made.key());
        assertThatThrownBy(() -> KeyLine.make("a b", List.of("inference"), null, null)).hasMessageContaining("id of 1 to 64");
    }
}
