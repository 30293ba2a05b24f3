package dev.sidewinder.model.chat;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class PythonLiteralTest {

    @ParameterizedTest(name = "{0}")
    @CsvSource(delimiter = '|', quoteCharacter = '`', value = {
        "{'a': True, 'b': [1, 2.5, None]}|{\"a\":true,\"b\":[1,2.5,null]}",
        "['it\\'s', \"x\", '\\u00e9\\n\\x41']|[\"it's\",\"x\",\"é\\nA\"]", "(1, -2, )|[1,-2]", "{1: 'x', None: 2,}|{\"1\":\"x\",\"null\":2}",
        "[ ]|[]", "{ }|{}", "[1e5, +3]|[1E+5,3]"})
    void readsLiterals(String text, String json) {
        assertThat(PythonLiteral.parse(text).orElseThrow().toString()).isEqualTo(json);
    }

    @ParameterizedTest(name = "{0}")
    @ValueSource(strings = {"", " ", "[1", "{'a'}", "{'a': }", "[1 2]", "'open", "'\\q'", "'\\x4'", "__import__('os')", "[1]]", "f(1)",
        "{[1]: 2}", "[,]", "1 + 1", "[nan]", "-", "[--1]"})
    void refusesTheRest(String text) {
        assertThat(PythonLiteral.parse(text)).isEmpty();
    }

    @Test
    void refusesWhatIsTooDeepOrTooLong() {
        assertThat(PythonLiteral.parse("[".repeat(64) + "]".repeat(64))).isPresent();
        assertThat(PythonLiteral.parse("[".repeat(100_000) + "]".repeat(100_000))).isEmpty();
        assertThat(PythonLiteral.parse("9".repeat(100_000))).isEmpty();
    }
}
