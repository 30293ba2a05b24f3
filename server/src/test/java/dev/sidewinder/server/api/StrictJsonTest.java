package dev.sidewinder.server.api;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.ByteArrayOutputStream;
import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class StrictJsonTest {

    private static final String GOOD = "{\"a\":[1,2.5,\"x\\u00e9\",true,null,{\"b\":{}}],\"c\":\"\\ud83d\\ude00\"}";

    private final StrictJson json = new StrictJson(StrictJson.Limits.DEFAULT);

    @Test
    void readsEveryKindOfValue() {
        ObjectNode read = json.readObject(bytes(GOOD));

        assertThat(read.get("a").get(0).intValue()).isEqualTo(1);
        assertThat(read.get("a").get(1).doubleValue()).isEqualTo(2.5);
        assertThat(read.get("a").get(2).textValue()).isEqualTo("xé");
        assertThat(read.get("a").get(4).isNull()).isTrue();
        assertThat(read.get("c").textValue()).isEqualTo("😀");
    }

    @Test
    void refusesATextThatIsCutAtAnyByte() {
        byte[] whole = bytes(GOOD);
        for (int length = 0; length < whole.length; length++) {
            assertRefused(Arrays.copyOf(whole, length));
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"", " ", "null", "1", "\"text\"", "[]", "[{}]", "true", "{}{}", "{} x", "{}]", "{}\0",
        "{\"a\":1,}", "{\"a\" 1}", "{a:1}", "{'a':1}", "{\"a\":'b'}", "{\"a\":NaN}", "{\"a\":Infinity}", "{\"a\":-Infinity}",
        "{\"a\":0x1}", "{\"a\":01}", "{\"a\":+1}", "{\"a\":.5}", "{\"a\":5.}", "{\"a\":1e}", "{\"a\":1e999}", "{\"a\":-1E400}",
        "{\"a\":--1}", "{\"a\":tru}", "{\"a\":\"\n\"}", "{\"a\":\"\0\"}", "{\"a\":\"\\x41\"}", "{\"a\":\"\\u12\"}",
        "{\"a\":1 /* comment */}", "{\"a\":1 // comment\n}", "{\"a\":1,\"a\":2}", "{\"x\":{\"a\":1,\"b\":2,\"\\u0061\":3}}",
        "{\"a\":\"\\ud800\"}", "{\"a\":\"\\udc00\\ud800\"}", "{\"a\":\"\\ud800x\"}", "{\"\\ud800\":1}", "\0", "{\0}"})
    void refusesWhatIsNotOneStrictObject(String text) {
        assertRefused(bytes(text));
    }

    @Test
    void refusesOtherEncodingsThanUtf8() {
        for (Charset charset : new Charset[] {StandardCharsets.UTF_16, StandardCharsets.UTF_16BE, StandardCharsets.UTF_16LE,
            Charset.forName("UTF-32BE"), Charset.forName("UTF-32LE")}) {
            assertRefused("{\"a\":\"b\"}".getBytes(charset));
        }
        assertRefused("{\"a\":\"é\"}".getBytes(StandardCharsets.ISO_8859_1));
    }

    @Test
    void refusesByteOrderMarksOverlongFormsAndEncodedSurrogates() {
        assertRefused(bytes("\uFEFF{}"));
        assertRefused(inString(0xC0, 0xAF));
        assertRefused(inString(0xE0, 0x80, 0xAF));
        assertRefused(inString(0xED, 0xA0, 0x80));
        assertRefused(inString(0xF4, 0x90, 0x80, 0x80));
        assertRefused(inString(0xFF));
        assertRefused(inString(0x80));
        assertRefused(inString(0xE2, 0x82));
        assertThat(json.readObject(inString(0xE2, 0x82, 0xAC)).get("a").textValue()).isEqualTo("€");
    }

    @Test
    void findsBadBytesBehindTheFirstPiece() {
        byte[] body = bytes("{\"a\":\"" + "é".repeat(20_000) + "\"}");
        body[body.length - 3] = 'x';

        assertRefused(body);
    }

    @Test
    void boundsDepth() {
        assertThat(json.readObject(bytes(nested(64)))).isNotNull();
        assertRefused(bytes(nested(65)));
        assertRefused(bytes(nested(100_000)));
        assertRefused(bytes("[".repeat(100_000)));
        assertRefused(bytes("{\"a\":".repeat(100_000)));
    }

    @Test
    void boundsStringsNumbersNamesAndValues() {
        var small = new StrictJson(new StrictJson.Limits(64, 10, 32, 5, 4));

        assertThat(small.readObject(bytes("{\"a\":\"0123456789\"}")).get("a").textValue()).hasSize(10);
        assertRefused(small, bytes("{\"a\":\"01234567890\"}"));
        assertThat(small.readObject(bytes("{\"a\":" + "1".repeat(32) + "}")).get("a").isIntegralNumber()).isTrue();
        assertRefused(small, bytes("{\"a\":" + "1".repeat(33) + "}"));
        assertRefused(small, bytes("{\"a\":0." + "1".repeat(31) + "}"));
        assertThat(small.readObject(bytes("{\"aaaaa\":1}"))).hasSize(1);
        assertRefused(small, bytes("{\"aaaaaa\":1}"));
        assertThat(small.readObject(bytes("{\"a\":[1,2,3]}"))).hasSize(1);
        assertRefused(small, bytes("{\"a\":[1,2,3,4]}"));
    }

    @Test
    void saysWhereItStoppedInWordsOfItsOwn() {
        ApiException refused = catchThrowableOfType(ApiException.class, () -> json.readObject(bytes("{\"a\":1,\n \"b\": xyz}")));

        assertThat(refused.error().message()).contains("line 2").contains("column").doesNotContain("Unrecognized", "xyz");
    }

    private void assertRefused(byte[] body) {
        assertRefused(json, body);
    }

    private static void assertRefused(StrictJson json, byte[] body) {
        ApiException refused = catchThrowableOfType(ApiException.class, () -> json.readObject(body));
        assertThat(refused).as("refusal of %s", Arrays.toString(Arrays.copyOf(body, Math.min(40, body.length)))).isNotNull();
        assertThat(refused.error().status()).isEqualTo(400);
        assertThat(refused.error().code()).isEqualTo("invalid_json");
        assertThat(refused.error().type()).isEqualTo("invalid_request_error");
        assertThat(refused.error().retry().shouldRetry()).isFalse();
    }

    private static String nested(int depth) {
        return "{\"a\":" + "[".repeat(depth - 1) + "]".repeat(depth - 1) + "}";
    }

    private static byte[] inString(int... raw) {
        var body = new ByteArrayOutputStream();
        body.writeBytes(bytes("{\"a\":\""));
        for (int b : raw) {
            body.write(b);
        }
        body.writeBytes(bytes("\"}"));
        return body.toByteArray();
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }
}
