package dev.sidewinder.server.eval;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class TestSetReaderTest {

    private static final String COPY = line("copy-1", "copy", "{'content':'a b'}");

    @TempDir
    Path folder;

    @Test
    void readsEveryKindOfExpectation() throws IOException {
        Path file = write("set.jsonl", COPY,
                line("none-1", "tool-none", "{'content':'No.','no_tool_calls':true}"),
                line("call-1", "tool-call", "{'tool_calls':[{'name':'f','arguments':{'x':1}},{'name':'g','arguments':{}}]}"),
                line("json-1", "json", "{'json':[1,'é']}"));

        List<TestCase> cases = TestSetReader.read(List.of(file)).cases();

        assertThat(cases).extracting(TestCase::expected).containsExactly(
                new Expectation.Content("a b"),
                new Expectation.ContentWithoutCalls("No."),
                new Expectation.ToolCalls(List.of(new Expectation.Call("f", Cases.json("{'x':1}")),
                        new Expectation.Call("g", Cases.json("{}")))),
                new Expectation.JsonContent(Cases.json("[1,'é']")));
        assertThat(cases).extracting(TestCase::id).containsExactly("copy-1", "none-1", "call-1", "json-1");
    }

    @Test
    void readsWhatIsOptionalAndWhatIsNot() throws IOException {
        Path file = write("set.jsonl", COPY, """
                {"id":"b","task":"t","messages":[{"role":"user","content":"x"}],"tools":[{"type":"function"}],\
                "enable_thinking":false,"max_tokens":7,"expect":{"content":""}}""");

        List<TestCase> cases = TestSetReader.read(List.of(file)).cases();

        assertThat(cases.get(0).tools()).isEmpty();
        assertThat(cases.get(0).thinking()).isEmpty();
        assertThat(cases.get(1).tools()).contains(Cases.json("[{'type':'function'}]"));
        assertThat(cases.get(1).thinking()).isEqualTo(Optional.of(false));
        assertThat(cases.get(1).maxTokens()).isEqualTo(7);
    }

    @Test
    void readsFoldersAndPackedFilesInTheOrderOfTheirNames() throws IOException {
        write("test-b.jsonl", line("b", "second", "{'content':'x'}"), "", line("c", "second", "{'content':'x'}"));
        Files.write(folder.resolve("test-a.jsonl.gz"), packed(COPY + "\n"));
        write("test.jsonl", line("first", "first", "{'content':'x'}"));
        write("train.jsonl", "not read");
        write("README.md", "not read");

        TestSet set = TestSetReader.read(List.of(folder));

        assertThat(set.cases()).extracting(TestCase::id).containsExactly("first", "copy-1", "b", "c");
        assertThat(set.tasks()).containsExactly("first", "copy", "second");
        assertThat(set.sources()).extracting(TestSet.Source::cases).containsExactly(1, 1, 2);
        assertThat(set.sources().get(1).file()).endsWith("test-a.jsonl.gz");
        assertThat(set.sources().getFirst().sha256()).hasSize(64);
    }

    @Test
    void keepsTheFirstCasesOfTheTasksAskedFor() throws IOException {
        TestSet set = TestSetReader.read(List.of(write("set.jsonl", line("a1", "a", "{'content':''}"),
                line("b1", "b", "{'content':''}"), line("a2", "a", "{'content':''}"), line("a3", "a", "{'content':''}"),
                line("c1", "c", "{'content':''}"))));

        assertThat(set.only(Set.of(), 2).cases()).extracting(TestCase::id).containsExactly("a1", "b1", "a2", "c1");
        assertThat(set.only(Set.of("a", "c"), 100).cases()).extracting(TestCase::id)
                .containsExactly("a1", "a2", "a3", "c1");
        assertThatThrownBy(() -> set.only(Set.of("d"), 1))
                .isInstanceOf(EvalException.class).hasMessage("the test set has no task \"d\"; it has a, b, c");
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '~', value = {
        "{'id':'x'                                              | is no JSON: Unexpected end-of-input",
        "[1]                                                    | is no JSON object",
        "{}                                                     | \"messages\" is no list of messages",
        "{'id':'x','id':'y'}                                    | is no JSON: Duplicate field 'id'",
        "{'task':'t','messages':[{}],'max_tokens':1,'expect':{'content':'a'}} | \"id\" is missing or no text",
        "{'id':7,'task':'t','messages':[{}],'max_tokens':1,'expect':{'content':'a'}} | \"id\" is missing or no text",
        "{'id':'x','task':' ','messages':[{}],'max_tokens':1,'expect':{'content':'a'}} | \"task\" is missing or no text",
        "{'id':'x','task':'t','messages':[],'max_tokens':1,'expect':{'content':'a'}} | \"messages\" is no list",
        "{'id':'x','task':'t','messages':[{}],'expect':{'content':'a'}} | \"max_tokens\" is no positive number",
        "{'id':'x','task':'t','messages':[{}],'max_tokens':0,'expect':{'content':'a'}} | \"max_tokens\" is no positive number",
        "{'id':'x','task':'t','messages':[{}],'max_tokens':1.5,'expect':{'content':'a'}} | \"max_tokens\" is no positive",
        "{'id':'x','task':'t','messages':[{}],'max_token':1,'expect':{'content':'a'}} | the case has a field \"max_token\"; known are [enable_thinking, expect, id, max_tokens, messages, task, tools]",
        "{'id':'x','task':'t','messages':[{}],'max_tokens':1,'tools':[],'expect':{'content':'a'}} | \"tools\" is no list",
        "{'id':'x','task':'t','messages':[{}],'max_tokens':1,'enable_thinking':'no','expect':{'content':'a'}} | \"enable_thinking\" is neither",
        "{'id':'x','task':'t','messages':[{}],'max_tokens':1}   | \"expect\" is no object with what is expected",
        "{'id':'x','task':'t','messages':[{}],'max_tokens':1,'expect':{}} | \"expect\" is no object with what is expected",
        "{'id':'x','task':'t','messages':[{}],'max_tokens':1,'expect':{'text':'a'}} | \"expect\" has a field \"text\"",
        "{'id':'x','task':'t','messages':[{}],'max_tokens':1,'expect':{'content':1}} | \"content\" is no text",
        "{'id':'x','task':'t','messages':[{}],'max_tokens':1,'expect':{'content':'a','json':1}} | more than one kind of answer",
        "{'id':'x','task':'t','messages':[{}],'max_tokens':1,'expect':{'json':1,'tool_calls':[]}} | more than one kind of answer",
        "{'id':'x','task':'t','messages':[{}],'max_tokens':1,'expect':{'content':'a','no_tool_calls':false}} | \"no_tool_calls\" can only be true",
        "{'id':'x','task':'t','messages':[{}],'max_tokens':1,'expect':{'no_tool_calls':true}} | stands only beside \"content\"",
        "{'id':'x','task':'t','messages':[{}],'max_tokens':1,'expect':{'tool_calls':[]}} | \"tool_calls\" is no list of calls",
        "{'id':'x','task':'t','messages':[{}],'max_tokens':1,'expect':{'tool_calls':[{'name':'f','arguments':'{}'}]}} | \"arguments\" of a tool call is no object",
        "{'id':'x','task':'t','messages':[{}],'max_tokens':1,'expect':{'tool_calls':[{'arguments':{}}]}} | \"name\" is missing or no text",
        "{'id':'x','task':'t','messages':[{}],'max_tokens':1,'expect':{'tool_calls':[{'name':'f','arguments':{},'id':'1'}]}} | a tool call has a field \"id\"",
    })
    void tellsFileAndLineOfAMistake(String line, String problem) throws IOException {
        Path file = write("set.jsonl", COPY, "", line.replace('\'', '"'));

        assertThatThrownBy(() -> TestSetReader.read(List.of(file))).isInstanceOf(EvalException.class)
                .hasMessageStartingWith(file + ", line 3: ").message().contains(problem.replace("field 'id'", "field"));
    }

    @Test
    void anIdIsThereOnce() throws IOException {
        Path first = write("a.jsonl", COPY);
        Path second = write("b.jsonl", line("other", "copy", "{'content':'x'}"), COPY);

        assertThatThrownBy(() -> TestSetReader.read(List.of(first, second))).isInstanceOf(EvalException.class)
                .hasMessage(second + ", line 2: the id copy-1 is taken by " + first + ", line 1");
    }

    @Test
    void refusesWhatIsNoText() throws IOException {
        Path file = Files.write(folder.resolve("set.jsonl"), new byte[] {'{', (byte) 0xc3, '}', '\n'});

        assertThatThrownBy(() -> TestSetReader.read(List.of(file))).hasMessage(file + ", line 1: is no UTF-8 text");
    }

    @Test
    void refusesFilesThatAreMissingEmptyOrCutShort() throws IOException {
        Path missing = folder.resolve("missing.jsonl");
        assertThatThrownBy(() -> TestSetReader.read(List.of(missing)))
                .hasMessage("the test set " + missing + " cannot be read: there is no such file");
        Path empty = write("empty.jsonl", "", " ");
        assertThatThrownBy(() -> TestSetReader.read(List.of(empty))).hasMessage(empty + " holds no test case");
        byte[] packed = packed(COPY);
        Path cut = Files.write(folder.resolve("cut.jsonl.gz"), Arrays.copyOf(packed, packed.length - 9));
        assertThatThrownBy(() -> TestSetReader.read(List.of(cut))).hasMessageStartingWith(cut + " is no complete gzip file");
        Path plain = write("plain.jsonl.gz", COPY);
        assertThatThrownBy(() -> TestSetReader.read(List.of(plain))).hasMessageStartingWith(plain + " is no complete gzip");
        assertThatThrownBy(() -> TestSetReader.read(List.of(folder)))
                .hasMessage(folder + " holds no test*.jsonl or test*.jsonl.gz");
    }

    private static String line(String id, String task, String expect) {
        return ("{'id':'" + id + "','task':'" + task + "','messages':[{'role':'user','content':'x'}],'max_tokens':8,"
                + "'expect':" + expect + "}").replace('\'', '"');
    }

    private Path write(String name, String... lines) throws IOException {
        return Files.writeString(folder.resolve(name), String.join("\n", lines));
    }

    private static byte[] packed(String text) throws IOException {
        var bytes = new ByteArrayOutputStream();
        try (var stream = new GZIPOutputStream(bytes)) {
            stream.write(text.getBytes(StandardCharsets.UTF_8));
        }
        return bytes.toByteArray();
    }
}
