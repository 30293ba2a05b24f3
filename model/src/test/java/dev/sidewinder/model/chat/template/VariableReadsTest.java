package dev.sidewinder.model.chat.template;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class VariableReadsTest {
    @ParameterizedTest
    @ValueSource(strings = {
        "{{ v }}", "{% if v %}{% endif %}", "{% if v is defined %}{% endif %}", "{% set v = v if v is defined else 1 %}",
        "{% set v = v | default(1) %}{{ v }}", "{{ 'a' | d(v) }}", "{{ x[v] }}", "{{ x[:v] }}", "{{ {v: 1} }}", "{{ f(a=v) }}", "{{ f(*v) }}",
        "{% for i in v %}{% endfor %}", "{% for i in x if v %}{% endfor %}", "{% for i in x %}{% else %}{{ v }}{% endfor %}",
        "{% macro m() %}{{ v }}{% endmacro %}", "{% macro m(a=v) %}{% endmacro %}", "{% call m(v) %}{% endcall %}",
        "{% call m() %}{{ v }}{% endcall %}", "{% set x %}{{ v }}{% endset %}", "{% filter d(v) %}{% endfilter %}",
        "{% with a = v %}{% endwith %}", "{% generation %}{{ v }}{% endgeneration %}", "{{ v.x.y }}", "{{ 1 < v }}", "{{ not v }}",
        "{% if x %}{% set v = 1 %}{% endif %}{{ v }}", "{% for i in x %}{% set v = 1 %}{% endfor %}{{ v }}", "{% set v.x = 1 %}",
        "{% set x %}{% set v = 1 %}{% endset %}{{ v }}", "{% if v %}{% elif x %}{% endif %}", "{{ 1 is eq v }}", "{{ a ~ v }}"})
    void findsVariablesReadFromOutside(String source) {
        assertThat(Template.compile("t", source).reads("v")).isTrue();
    }

    @ParameterizedTest
    @ValueSource(strings = {
        "", "v", "{# {{ v }} #}", "{% raw %}{{ v }}{% endraw %}", "{{ 'v' }}", "{{ x.v }}", "{{ x['v'] }}", "{{ f(v=1) }}", "{{ x | map(attribute='v') }}",
        "{% set v = 1 %}{{ v }}", "{% for v in x %}{{ v }}{% endfor %}", "{% macro m(v) %}{{ v }}{% endmacro %}",
        "{% macro v() %}{% endmacro %}{{ v() }}", "{% call(v) m() %}{{ v }}{% endcall %}", "{% with v = 1 %}{{ v }}{% endwith %}",
        "{% if x %}{% set v = 1 %}{% else %}{% set v = 2 %}{% endif %}{{ v }}", "{% set v %}x{% endset %}{{ v }}",
        "{% set a, v = 1, 2 %}{{ v }}", "{% for a, (v, b) in x if v %}{{ v }}{% endfor %}"})
    void knowsWhatTheTemplateSetsItself(String source) {
        assertThat(Template.compile("t", source).reads("v")).isFalse();
    }

    @Test
    void staysFastOnManyNames() {
        StringBuilder source = new StringBuilder();
        for (int i = 0; i < 20_000; i++) {
            source.append("{% if a").append(i).append(" %}{% set b").append(i).append(" = c %}{% endif %}");
        }

        Template template = Template.compile("t", source.toString());

        assertThat(template.reads("a19999")).isTrue();
        assertThat(template.reads("b19999")).isFalse();
    }
}
