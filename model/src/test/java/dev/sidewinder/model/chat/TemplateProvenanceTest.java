package dev.sidewinder.model.chat;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.sidewinder.model.chat.template.Template;
import dev.sidewinder.model.tokenizer.TextRun;
import java.time.Clock;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/// A user who types control tokens never gets them into a piece that counts as the template's.
class TemplateProvenanceTest {
    private static final JsonNodeFactory JSON = JsonNodeFactory.instance;

    /// stands in every text that users wrote, and in no template
    private static final String SIGN = "Ω";
    private static final List<String> TOKENS = List.of("<|im_end|>", "<|im_start|>", "<|eot_id|>", "</s>", "[/INST]",
            "<end_of_turn>", "<|end|>", "<|User|>", "<tool_call>");

    /// A conversation whose every text is `typed`, in every field there is.
    private static ChatPrompt everywhere(String typed) {
        ObjectNode arguments = JSON.objectNode().put(typed, typed).put(typed + "2", " " + typed + "\n");
        arguments.putObject(typed + "3").put(typed, typed).putArray("list").add(typed);
        arguments.putArray(typed + "4").add(typed).addArray().add(typed);
        ToolCall call = new ToolCall("abcdefgh1", typed, arguments);
        List<Message> messages = List.of(Message.system(typed), Message.user(typed + "\n" + typed),
                new Message(Message.Role.ASSISTANT, " " + typed + " ", typed, List.of(call), null),
                Message.tool("abcdefgh1", typed), Message.user(" " + typed),
                new Message(Message.Role.ASSISTANT, typed + "<think>" + typed + "</think>\n" + typed, null, List.of(), null),
                Message.user(typed), new Message(Message.Role.ASSISTANT, null, typed, List.of(call), null),
                Message.tool("abcdefgh1", typed + "\t" + typed));
        return new ChatPrompt(messages, List.of(tool(typed)), Map.of("enable_thinking", JSON.booleanNode(true)), true, false);
    }

    private static JsonNode tool(String typed) {
        ObjectNode tool = JSON.objectNode().put("type", "function");
        ObjectNode function = tool.putObject("function").put("name", typed).put("description", "  " + typed + "\n").put(typed, typed);
        ObjectNode parameters = function.putObject("parameters").put("type", "object").put(typed, typed);
        parameters.putArray("required").add(typed);
        ObjectNode property = parameters.putObject("properties").putObject(typed).put("type", typed).put("description", typed)
                .put("pattern", typed);
        property.putArray("enum").add(typed);
        property.putObject("items").put(typed, typed);
        return tool;
    }

    private static String joined(List<TextRun> runs, boolean fromTemplate) {
        return String.join("\u0000", runs.stream().filter(run -> run.fromTemplate() == fromTemplate).map(TextRun::text).toList());
    }

    private static int count(String text, String wanted) {
        return text.split(java.util.regex.Pattern.quote(wanted), -1).length - 1;
    }

    @ParameterizedTest
    @ValueSource(strings = {"nano", "lightning", "chatml-lines", "dated-tools", "thinking-tools", "typed-schemas"})
    void controlTokensTypedInAnyFieldStayText(String name) {
        ChatTemplate template = ChatTemplate.compile(name, ChatTemplateTest.resource("templates/" + name + ".jinja"),
                Map.of("bos_token", "<s>", "eos_token", "</s>"));
        String harmless = joined(template.render(everywhere(SIGN)), true);
        assertThat(harmless).isNotEmpty().doesNotContain(SIGN);

        for (String token : TOKENS) {
            List<TextRun> runs = template.render(everywhere(SIGN + token + SIGN));

            assertThat(joined(runs, true)).doesNotContain(SIGN);
            assertThat(count(joined(runs, true), token)).as("%s in %s", token, name).isEqualTo(count(harmless, token));
            assertThat(joined(runs, false)).contains(token);
        }
    }

    private static List<TextRun> render(String source, String typed) {
        ObjectNode variables = JSON.objectNode().put("u", typed);
        variables.putObject("object").put(typed, typed).putArray("list").add(typed).add(1);
        return Template.compile("t", source).render(variables, Map.of(), Clock.systemUTC());
    }

    @ParameterizedTest
    @ValueSource(strings = {
        "{{ '<|im_' ~ u ~ 'end|>' }}", "{{ ('x' ~ u ~ 'y')[1:-1] }}", "{{ (' ' ~ u ~ ' ') | trim }}", "{{ ('  ' ~ u).strip() }}",
        "{{ ('aΩb' ~ u).split('Ω') | join('|') }}", "{{ u.split('|') | join('|') }}", "{{ u.rsplit('|', 1) | join('|') }}",
        "{{ u.partition('|') | join }}", "{{ u.split() | join(' ') }}", "{{ u.splitlines() | join('\n') }}", "{{ u | list | join }}",
        "{% for c in u %}{{ c }}{% endfor %}", "{{ u[::-1][::-1] }}", "{{ u | reverse | reverse }}", "{{ u | first ~ u[1:] }}",
        "{{ u.upper().lower() }}", "{{ u | upper | lower }}", "{{ u.title() }}{{ u | capitalize | lower }}", "{{ u | title | lower }}",
        "{{ u.swapcase().swapcase() }}", "{{ u.replace('x', '') }}", "{{ u | replace('|', '|') }}", "{{ 'X' | replace('X', u) }}",
        "{{ 'aXb'.replace('X', u) }}", "{{ '%s' % u }}", "{{ '%s|%5s' % (u, u) }}", "{{ '%(k)s' % {'k': u} }}",
        "{{ '{}{x}'.format(u, x=u) }}", "{{ '{:>40}'.format(u) }}", "{{ '%s' | format(u) }}", "{{ [u] }}", "{{ {u: u} }}",
        "{{ object }}", "{{ object | tojson }}", "{{ u | tojson }}", "{{ object | tojson(indent=2) }}", "{{ [u, 'x'] | tojson }}",
        "{{ u | indent(2, true) }}", "{{ 'x\ny' | indent(u) }}", "{{ u | center(60) }}", "{{ u.ljust(60, '|') }}",
        "{{ (u ~ ' word') | truncate(14, leeway=0) }}", "{{ u | e | safe }}{{ u | safe }}", "{{ u | string }}", "{{ u ~ 1 }}",
        "{% set x %}{{ u }}{% endset %}{{ x }}", "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(u) }}",
        "{% macro m() %}{{ caller() }}{% endmacro %}{% call m() %}{{ u }}{% endcall %}", "{% filter trim %} {{ u }} {% endfilter %}",
        "{% set ns = namespace(t='') %}{% for c in u %}{% set ns.t = ns.t ~ c %}{% endfor %}{{ ns.t }}",
        "{{ [u, u] | map('trim') | join('<|') }}", "{{ [{'a': u}] | map(attribute='a') | join }}", "{{ [u] | sort | first }}",
        "{{ object.keys() | list }}{{ object.values() | first }}", "{% for k, v in object | items %}{{ k }}{{ v }}{% endfor %}",
        "{{ [u] | unique | first }}{{ [u, ''] | max }}", "{{ (u ~ 'x').removesuffix('x') }}", "{{ u * 2 }}", "{{ u | d('x') }}",
        "{{ [{'k': u}] | groupby('k') }}", "{{ u | urlencode }}{{ u }}", "{{ {'a': u} | dictsort }}", "{{ dict(a=u) }}",
        "{{ namespace(a=u) }}", "{{ joiner(u) }}{% set j = joiner(u) %}{{ j() }}{{ j() }}", "{{ cycler(u).next() }}", "{{ u.zfill(30) }}"})
    void noOperationMakesTypedTextTheTemplates(String source) {
        String typed = "<|im_end|>";

        List<TextRun> runs = render(source, typed);

        assertThat(String.join("", runs.stream().map(TextRun::text).toList()).toLowerCase(java.util.Locale.ROOT)).contains("im_");
        for (TextRun run : runs) {
            if (run.fromTemplate()) {
                assertThat(run.text().toLowerCase(java.util.Locale.ROOT)).doesNotContain(typed).doesNotContain("im_end");
            }
        }
    }

    /// Runs are written as `T` or `C` for each character: the template's, the conversation's.
    @ParameterizedTest
    @CsvSource(delimiter = '!', ignoreLeadingAndTrailingWhitespace = true, value = {
        "{{ 'ab' ~ u ~ 'c' }}                   ! TTCCCCT",
        "{{ ('ab' ~ u)[1:4] }}                  ! TCC",
        "{{ ('ab' ~ u)[::-1] }}                 ! CCCCTT",
        "{{ (' a' ~ u ~ ' ').strip() }}         ! TCCCC",
        "{{ ('a|b|' ~ u).split('|')[1] }}       ! T",
        "{{ ('a' ~ u) | replace('a', 'b') }}    ! TCCCC",
        "{{ ('a' ~ u) | upper }}                ! TCCCC",
        "{{ ('aß' ~ u) | upper }}               ! TTTCCCC",
        "{{ 'x%sy' % u }}                       ! TCCCCT",
        "{{ '{}-'.format(u) }}                  ! CCCCT",
        "{{ [u, u] | join('-') }}               ! CCCCTCCCC",
        "{{ ('ab' ~ u) | tojson }}              ! CTTCCCCC",
        "{{ ('a' ~ u) | indent(1, true) }}      ! CTCCCC",
        "{{ 7 }}{{ true }}                      ! CCCCC",
        "{{ ('a' ~ u) | title }}                ! TCCCC",
        "a{{ u }}{{ 'b' }}c                     ! TCCCCTT"})
    void tracesEveryCharacter(String source, String expected) {
        StringBuilder origins = new StringBuilder();
        for (TextRun run : render(source, "user")) {
            origins.append((run.fromTemplate() ? "T" : "C").repeat(run.text().length()));
        }

        assertThat(origins.toString()).isEqualTo(expected);
    }

    @Test
    void templatesInsideMessagesAreNotExecuted() {
        List<TextRun> runs = render("{{ u }}{{ u | safe }}{% set x = u %}{{ x }}", "{{ 7 * 7 }}{% raw %}");

        assertThat(runs).containsExactly(new TextRun("{{ 7 * 7 }}{% raw %}".repeat(3), false));
    }
}
