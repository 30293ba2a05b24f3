package dev.sidewinder.model.chat;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// The inside of a block: values, their types, and what is tolerated.
class ToolCallReaderTest {

    private static Answer answer(String inside) {
        return Answer.plain().call(inside);
    }

    private static String arguments(String inside) {
        Answer.Message message = answer(inside).stop();
        assertThat(message.content()).isEmpty();
        message.calls().getFirst().json();
        return message.calls().getFirst().arguments();
    }

    private static String value(String key, String text) {
        String arguments = arguments("\n<function=f>\n<parameter=" + key + ">\n" + text + "\n</parameter>\n</function>\n");
        return arguments.substring(("{\"" + key + "\":").length(), arguments.length() - 1);
    }

    @ParameterizedTest(name = "{0} of \"{1}\" is {2}")
    @CsvSource(delimiter = '|', quoteCharacter = '`', ignoreLeadingAndTrailingWhitespace = false, value = {
        "s|null|\"null\"", "s|42|\"42\"", "s|{\"a\": 1}|\"{\\\"a\\\": 1}\"", "s| x |\" x \"", "unknown|42|\"42\"",
        "i|42|42", "i|-7|-7", "i|3.0|3", "i|+5|5", "i|007|7", "i| 8 |8", "i|1e3|1000", "i|12345678901234567890|12345678901234567890",
        "n|1.50|1.50", "n|.5|0.5", "n|5.|5", "n|-1e-9|-1e-9", "n|3|3",
        "b|true|true", "b|TRUE|true", "b|True|true", "b|false|false", "b|yes|false", "b||false",
        "o|{\"a\": [1, 2.50, null]}|{\"a\":[1,2.50,null]}", "o|{'a': True, 'b': (1, None)}|{\"a\":true,\"b\":[1,null]}",
        "a|[1, \"x\"]|[1,\"x\"]", "a|['x', \"it's\"]|[\"x\",\"it's\"]", "a|()|[]",
        "z|null|null", "ns|null|null", "ns|None|null", "ns|nul|\"nul\"", "ns|nullable|\"nullable\"", "ns||\"\"",
        "ni|null|null", "ni|5|5", "either|5|5", "either|true|true", "either|maybe|\"maybe\"", "e|2|2", "ref|9|9"})
    void valuesAreConvertedByTheSchema(String key, String text, String json) {
        assertThat(value(key, text == null ? "" : text)).isEqualTo(json);
    }

    @ParameterizedTest(name = "{0} of \"{1}\"")
    @CsvSource(delimiter = '|', quoteCharacter = '`', value = {"i|many", "i|3.5", "i|1e999999999", "i|null", "n|NaN",
        "n|Infinity", "n|1.2.3", "n|-", "o|[1]", "o|{\"a\": 1", "a|{}", "a|[1,", "o|{1} x", "z|nothing", "ni|x", "e|one"})
    void whatDoesNotFitStaysAStringAndIsCounted(String key, String text) {
        Answer answer = answer("<function=f>\n<parameter=" + key + ">\n" + text + "\n</parameter>\n</function>");

        assertThat(answer.stop().calls().getFirst().json().get(key).asText()).isEqualTo(text);
        assertThat(answer.stop().calls().getFirst().json().get(key).isTextual()).isTrue();
        assertThat(answer.parser().counts()).isEqualTo(new OutputCounts(0, 1, 0, 0, 0));
    }

    @Test
    void aValueLosesExactlyOneNewlineAtEachEnd() {
        assertThat(value("s", "\n\nx\n\n")).isEqualTo("\"\\n\\nx\\n\\n\"");
        assertThat(value("s", "  indented\n\ttext ")).isEqualTo("\"  indented\\n\\ttext \"");
        assertThat(arguments("<function=f><parameter=s>x</parameter></function>")).isEqualTo("{\"s\":\"x\"}");
        assertThat(arguments("<function=f><parameter=s></parameter></function>")).isEqualTo("{\"s\":\"\"}");
        assertThat(arguments("<function=f><parameter=s>\n</parameter></function>")).isEqualTo("{\"s\":\"\"}");
        assertThat(arguments("<function=f><parameter=s>\n\n</parameter></function>")).isEqualTo("{\"s\":\"\"}");
        assertThat(arguments("<function=f><parameter=s>\n\n\n</parameter></function>")).isEqualTo("{\"s\":\"\\n\"}");
        assertThat(arguments("<function=f><parameter=s>\r\nx\r\n</parameter></function>")).isEqualTo("{\"s\":\"\\r\\nx\\r\"}");
    }

    @Test
    void textThatLooksLikeAFrameIsPartOfAValue() {
        for (String text : new String[] {"a < b", "<", "</", "</parameter", "</parameters>", "x\n<param\ny", "a <parameter=x> b",
            "if (a<b) {\n}\n</div>\n", "</function> and more", "</function>\n\n</function>x", "\n</function>\n<b>", "<<<", "</</",
            "\n\n<", "<function=f>", "</tool_call>", "<parameter=", "<parameter=>", "<parameter=s>", "<parameter=x<b",
            "a\n<parameter=s>b\n<parameter=x\n>", "<parameter=" + "k".repeat(2_000) + ">", "</parameter x>", "a\n</parameterss=b>\nc", "\u2028\u0000\"\\ \uD83D\uDE00"}) {
            Answer.Message message = answer("<function=f>\n<parameter=s>\n" + text + "\n</parameter>\n</function>\n").stop();
            assertThat(message.calls().getFirst().json().get("s").asText()).as(text).isEqualTo(text);
            assertThat(message.content()).isEmpty();
        }
    }

    @Test
    void aMissingEndOfAParameterIsTolerated() {
        assertThat(arguments("<function=f>\n<parameter=s>\nx\n<parameter=i>\n5\n</function>\n"))
                .isEqualTo("{\"s\":\"x\",\"i\":5}");
        assertThat(arguments("<function=f>\n<parameter=s>\n<parameter=i>\n5\n</parameter>\n</function>\n"))
                .isEqualTo("{\"s\":\"\",\"i\":5}");
        assertThat(arguments("<function=f>\n<parameter=s>\nx</function>")).isEqualTo("{\"s\":\"x\"}");
        assertThat(arguments("<function=f>\n<parameter=s>\nx\n</function>\n\n")).isEqualTo("{\"s\":\"x\"}");
    }

    @Test
    void anEndOfTheFunctionInsideAValueIsText() {
        assertThat(arguments("<function=f>\n<parameter=s>\na</function>\nb</function>\n</parameter>\n</function>\n"))
                .isEqualTo("{\"s\":\"a</function>\\nb</function>\"}");
    }

    @Test
    void missingFrameIsCountedAndStillACall() {
        for (String inside : new String[] {"<function=f>", "<function=f>\n<parameter=s>\nx\n</parameter>\n",
            "<function=f>\n<parameter=s>\nx"}) {
            Answer answer = answer(inside);
            assertThat(answer.stop().calls().getFirst().ended()).isTrue();
            assertThat(answer.parser().counts().malformed()).as(inside).isOne();
        }
    }

    @Test
    void textOutOfPlaceIsKeptAsContent() {
        Answer answer = answer("<function=f>\nhm <b>\n<parameter=s>\nx\n</parameter> and <parameter=i>\n5\n</parameter>\n"
                + "</function> so ");
        Answer.Message message = answer.stop();

        assertThat(message.calls().getFirst().arguments()).isEqualTo("{\"s\":\"x\",\"i\":5}");
        assertThat(message.content()).isEqualTo("hm <b>\nand so ");
        assertThat(answer.parser().counts().malformed()).isOne();
    }

    @Test
    void aRepeatedOrEmptyKeyIsNoPartOfTheObject() {
        Answer.Message message = answer("<function=f>\n<parameter=s>\nx\n</parameter>\n<parameter=s>\ny\n</parameter>\n"
                + "<parameter=>\nz\n</parameter>\n<parameter=i>\n5\n</parameter>\n</function>\n").stop();

        assertThat(message.calls().getFirst().arguments()).isEqualTo("{\"s\":\"x\",\"i\":5}");
        assertThat(message.content()).isEqualTo("<parameter=s>\ny\n</parameter>\n<parameter=>\nz\n</parameter>\n");
    }

    @Test
    void keysAreQuoted() {
        assertThat(arguments("<function=g>\n<parameter=a \"b\">\n1\n</parameter>\n</function>"))
                .isEqualTo("{\"a \\\"b\\\"\":\"1\"}");
    }

    @Test
    void anUnknownToolHasStrings() {
        assertThat(arguments("<function=other.tool-1>\n<parameter=i>\n5\n</parameter>\n</function>"))
                .isEqualTo("{\"i\":\"5\"}");
    }
}
