package dev.sidewinder.model.chat.template;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.sidewinder.model.chat.ChatTemplateException;
import dev.sidewinder.model.checkpoint.CheckpointException;
import dev.sidewinder.model.tokenizer.TextRun;
import java.time.Clock;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// Hostile templates end with a clear error, soon, and without taking the stack or the heap.
@Timeout(60)
class TemplateBudgetTest {
    private static final JsonNodeFactory JSON = JsonNodeFactory.instance;

    /// Smaller than any thread that will render.
    private static final int SMALL_STACK_BYTES = 512 << 10;

    private static String render(String source, ObjectNode variables) {
        List<TextRun> runs = Template.compile("t", source).render(variables, Map.of(), Clock.systemUTC());
        return String.join("", runs.stream().map(TextRun::text).toList());
    }

    private static String render(String source) {
        return render(source, JSON.objectNode());
    }

    private static void onSmallStack(Runnable work) throws InterruptedException {
        AtomicReference<Throwable> failure = new AtomicReference<>();
        Thread thread = new Thread(null, work, "small stack", SMALL_STACK_BYTES);
        thread.setUncaughtExceptionHandler((_, error) -> failure.set(error));
        thread.start();
        assertThat(thread.join(Duration.ofSeconds(50))).isTrue();
        assertThat(failure.get()).isNull();
    }

    @ParameterizedTest
    @ValueSource(strings = {
        "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
        "{% for a in range(100000) %}{% for b in range(100) %}x{% endfor %}{% endfor %}",
        "{{ range(100000) | list | length }}{% for i in range(100) %}{{ range(100000) | list | length }}{% endfor %}",
        "{% set ns = namespace(l=[1]) %}{% for i in range(100) %}{% set ns.l = ns.l + ns.l %}{% endfor %}",
        "{{ [0] * 1000000000 }}", "{{ [0] * 10 ** 30 }}", "{{ ([0] * 1000) * 1000000 }}",
        "{{ [1, 2] | batch(2) | list }}{{ [1] | batch(2000000000, 0) | list }}", "{{ [1] | slice(2000000000) | list }}",
        "{% for i in range(100000) %}{{ (range(100000) | list)[:50000] | length }}{% endfor %}",
        "{% set l = range(1000) | list %}{% for i in l %}{{ l in [l] }}{% endfor %}{% for i in range(9999) %}{{ l == range(1000) | list }}{% endfor %}",
        "{% for i in range(100000) %}{{ range(90000) | sort | first }}{% endfor %}", "{{ ('a' * 60000000) | join('bbbbbbbbbbbb') }}"})
    void stopsAfterTooManySteps(String source) {
        assertThatThrownBy(() -> render(source)).isInstanceOf(ChatTemplateException.class).hasMessageContaining("steps");
    }

    @ParameterizedTest
    @ValueSource(strings = {
        "{{ 'a' * 1000000000 }}", "{{ 'a' * 10 ** 30 }}", "{{ ('a' * 1000) * 1000000 }}", "{{ 'x' | center(1000000000) }}",
        "{% set ns = namespace(s='ab') %}{% for i in range(100) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
        "{% set ns = namespace(s='ab') %}{% for i in range(100) %}{% set ns.s = ns.s + ns.s %}{{ ns.s | length }}{% endfor %}",
        "{% set ns = namespace(s='ab') %}{% for i in range(100) %}{% set ns.s = ns.s | replace('', ns.s) %}{% endfor %}",
        "{% set s = 'a' * 1000000 %}{% for i in range(1000) %}{{ s }}{% endfor %}",
        "{% set s = 'a' * 1000000 %}{% for i in range(1000) %}{% set x %}{{ s }}{% endset %}{% endfor %}",
        "{% set s = 'a' * 1000000 %}{{ [s] * 1000 }}", "{% set s = 'a' * 1000000 %}{{ ([s] * 1000) | tojson }}",
        "{% set s = 'a' * 1000000 %}{% for i in range(1000) %}{{ (s ~ i).upper() | length }}{% endfor %}",
        "{% set s = 'a' * 1000000 %}{% for i in range(100000) %}{{ s[1:] == 'x' }}{% endfor %}",
        "{{ [[1]] | tojson(indent=1000000000) }}", "{{ '%1000000s' % 'x' }}{{ '%99999999d' % 1 }}", "{{ '{:99999999}'.format('x') }}",
        "{{ 'x'.ljust(2000000000) }}", "{{ '1'.zfill(2000000000) }}", "{{ 'a\nb' | indent(2000000000) }}",
        "{% set s = 'a' * 50000000 %}{{ s.split('b') }}{{ s ~ s }}"})
    void stopsBeforeTextsGrowTooLong(String source) {
        assertThatThrownBy(() -> render(source)).isInstanceOf(ChatTemplateException.class).hasMessageContaining("characters");
    }

    @ParameterizedTest
    @ValueSource(strings = {
        "{{ range(1000000000) }}", "{{ range(10 ** 9) | list }}", "{{ range(0, -1000000000, -1) }}", "{{ range(10 ** 40) }}",
        "{{ 2 ** (10 ** 9) }}", "{{ 10 ** 100000 }}", "{{ (2 ** 10000) * (2 ** 10000) }}", "{{ 1.5 ** 100000 }}", "{{ 2 ** 14000 / 3 }}"})
    void refusesNumbersWithoutBounds(String source) {
        assertThatThrownBy(() -> render(source)).isInstanceOf(ChatTemplateException.class);
    }

    @ParameterizedTest
    @ValueSource(strings = {
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}{{ a() }}{% endmacro %}{{ a() }}",
        "{% macro m() %}{% call m() %}{{ caller() }}{% endcall %}{{ caller is defined }}{% endmacro %}{{ m() }}",
        "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}",
        "{% macro m(x=m()) %}{% endmacro %}{% macro m(n) %}{% if n %}{% if n %}{{ ((((m(n))))) | trim | upper }}{% endif %}{% endif %}{% endmacro %}{{ m(1) }}",
        "{% set ns = namespace() %}{% macro m() %}{% for i in [1] %}{% set x %}{{ ns.f() }}{% endset %}{% endfor %}{% endmacro %}{% set ns.f = m %}{{ m() }}"})
    void refusesEndlessRecursion(String source) throws InterruptedException {
        onSmallStack(() -> assertThatThrownBy(() -> render(source)).isInstanceOf(ChatTemplateException.class)
                .hasMessageContaining("deeper than"));
    }

    @ParameterizedTest
    @ValueSource(strings = {
        "{% set ns = namespace(l=[]) %}{% for i in range(90000) %}{% set ns.l = [ns.l] %}{% endfor %}{{ ns.l }}",
        "{% set ns = namespace(l=[]) %}{% for i in range(90000) %}{% set ns.l = {'a': ns.l} %}{% endfor %}{{ ns.l | tojson }}",
        "{% set ns = namespace(l=[], m=[]) %}{% for i in range(90000) %}{% set ns.l = [ns.l] %}{% set ns.m = [ns.m] %}{% endfor %}{{ ns.l == ns.m }}",
        "{% set ns = namespace(l=[], m=[]) %}{% for i in range(90000) %}{% set ns.l = [ns.l] %}{% set ns.m = [ns.m] %}{% endfor %}{{ ns.l < ns.m }}",
        "{% set ns = namespace(l=(1,)) %}{% for i in range(90000) %}{% set ns.l = (ns.l, 1) %}{% endfor %}{{ {ns.l: 1} }}",
        "{% set ns = namespace() %}{% set ns.self = ns %}{{ ns }}",
        "{% set ns = namespace() %}{% set ns.self = {'a': [ns]} %}{{ ns.self }}"})
    void refusesValuesNestedTooDeep(String source) throws InterruptedException {
        onSmallStack(() -> assertThatThrownBy(() -> render(source)).isInstanceOf(ChatTemplateException.class)
                .hasMessageContaining("nested deeper"));
    }

    @ParameterizedTest
    @ValueSource(strings = {"(|)", "[|]", "{'a': |}", "not |", "- |", "f(|)", "x[|]", "x[1:|]", "x|d(|)", "x if x else |", "x is in (|)"})
    void refusesDeepExpressions(String pattern) throws InterruptedException {
        String[] halves = pattern.split("\\|(?=[^d]|$)", 2);
        for (int depth : new int[] {100, 100_000}) {
            String source = "{{ " + halves[0].repeat(depth) + "1" + halves[1].repeat(depth) + " }}";
            onSmallStack(() -> assertThatThrownBy(() -> Template.compile("t", source))
                    .isInstanceOf(CheckpointException.class).hasMessageContaining("nested deeper"));
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {".a", "[0]", "()", "|trim", " + 1", " and 1", " or 1", " * 2", " ** 1", " is defined", " < 1", " if 1"})
    void refusesLongChains(String link) throws InterruptedException {
        String source = "{{ x" + link.repeat(100_000) + " }}";
        onSmallStack(() -> assertThatThrownBy(() -> Template.compile("t", source)).isInstanceOf(CheckpointException.class));
    }

    @ParameterizedTest
    @ValueSource(strings = {"{% if x %}|{% endif %}", "{% for a in x %}|{% endfor %}", "{% set x %}|{% endset %}",
        "{% macro m() %}|{% endmacro %}", "{% filter trim %}|{% endfilter %}", "{% with %}|{% endwith %}",
        "{% call m() %}|{% endcall %}", "{% if x %}{% else %}|{% endif %}"})
    void refusesDeepBlocks(String pattern) throws InterruptedException {
        String[] halves = pattern.split("\\|");
        String source = halves[0].repeat(50_000) + halves[1].repeat(50_000);
        onSmallStack(() -> assertThatThrownBy(() -> Template.compile("t", source)).isInstanceOf(CheckpointException.class)
                .hasMessageContaining("nested deeper"));
    }

    @Test
    void allowsWhatPublishedTemplatesNeed() throws InterruptedException {
        String blocks = "{% if 1 %}".repeat(30) + "{{ " + "(".repeat(25) + "1" + ")".repeat(25) + " }}" + "{% endif %}".repeat(30);
        String chain = "{{ 'a'" + " + 'b'".repeat(200) + " }}";
        String recursion = "{% macro m(n) %}{{ n }}{% if n > 1 %}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(60) }}";

        onSmallStack(() -> {
            assertThat(render(blocks)).isEqualTo("1");
            assertThat(render(chain)).isEqualTo("a" + "b".repeat(200));
            assertThat(render(recursion)).startsWith("6059").endsWith("21");
        });
    }

    @Test
    void refusesVariablesNestedTooDeep() throws InterruptedException {
        ObjectNode variables = JSON.objectNode();
        ArrayNode inner = variables.putArray("x");
        for (int i = 0; i < 5_000; i++) {
            inner = inner.addArray();
        }

        onSmallStack(() -> assertThatThrownBy(() -> render("{{ x }}", variables)).isInstanceOf(ChatTemplateException.class)
                .hasMessageContaining("nested deeper"));
    }

    @Test
    void reachesNothingOfTheJavaBehindAValue() {
        for (String name : List.of("__class__", "class", "getClass", "getClass()", "value", "text", "items", "hashCode",
                "__init__", "__globals__", "__subclasses__", "func_globals", "wait", "toString")) {
            for (String value : List.of("'a'", "1", "1.5", "true", "none", "[1]", "(1,)", "range(3)", "namespace()", "range",
                    "joiner()", "raise_exception")) {
                String source = "{{ (" + value + ")." + name.replace("()", "") + " is defined }}";
                assertThat(render(source)).as(source).isEqualTo("False");
            }
        }
        assertThatThrownBy(() -> render("{{ ''.__class__.__mro__[1].__subclasses__() }}")).isInstanceOf(ChatTemplateException.class);
        assertThatThrownBy(() -> render("{% include '/etc/passwd' %}")).isInstanceOf(CheckpointException.class);
        assertThatThrownBy(() -> render("{% import 'os' as os %}")).isInstanceOf(CheckpointException.class);
        assertThatThrownBy(() -> render("{% extends 'x' %}")).isInstanceOf(CheckpointException.class);
        assertThat(render("{{ self is defined }}{{ config is defined }}{{ request is defined }}{{ lipsum is defined }}"))
                .isEqualTo("FalseFalseFalseFalse");
    }

    @Test
    void costIsLinearInTheLengthOfTheConversation() {
        // given a template that gathers the text piece by piece, and a conversation far longer than any model's window
        String source = "{% set ns = namespace(all='') %}{% for m in messages %}{% set c = m.content | trim %}"
                + "{% set ns.all = ns.all ~ '<|im_start|>' ~ c ~ '<|im_end|>\n' %}{% endfor %}{{ ns.all }}";
        ObjectNode variables = JSON.objectNode();
        ArrayNode messages = variables.putArray("messages");
        String content = "word ".repeat(400);
        for (int i = 0; i < 8_000; i++) {
            messages.addObject().put("content", content);
        }

        // when it is rendered, quadratic work would copy 64 GB
        String printed = render(source, variables);

        // then it is all there
        assertThat(printed).hasSize(8_000 * (content.length() - 1 + "<|im_start|><|im_end|>\n".length()));
    }
}
