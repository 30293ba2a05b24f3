package dev.sidewinder.model.chat;

import static dev.sidewinder.model.chat.Answer.json;
import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.MissingNode;
import com.fasterxml.jackson.databind.node.NullNode;
import dev.sidewinder.model.chat.ArgumentType.Kind;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Assertions;
import org.junit.jupiter.api.Test;

class ArgumentTypeTest {

    private static ArgumentType of(String schema) {
        return ArgumentType.of(json("{\"properties\": {\"k\": " + schema + "}, \"$defs\": {\"Day\": {\"enum\": [\"mon\"]}}}"), "k");
    }

    @Test
    void readsTheFormsThatSchemasTake() {
        assertThat(of("{\"type\": \"integer\"}")).isEqualTo(new ArgumentType(List.of(Kind.INTEGER), false));
        assertThat(of("{\"type\": [\"number\", \"null\"]}")).isEqualTo(new ArgumentType(List.of(Kind.NUMBER), true));
        assertThat(of("{\"type\": \"boolean\", \"nullable\": true}")).isEqualTo(new ArgumentType(List.of(Kind.BOOLEAN), true));
        assertThat(of("{\"anyOf\": [{\"type\": \"array\"}, {\"type\": \"null\"}]}"))
                .isEqualTo(new ArgumentType(List.of(Kind.ARRAY), true));
        assertThat(of("{\"oneOf\": [{\"$ref\": \"#/$defs/Day\"}, {\"type\": \"integer\"}]}"))
                .isEqualTo(new ArgumentType(List.of(Kind.STRING, Kind.INTEGER), false));
        assertThat(of("{\"allOf\": [{\"type\": \"object\"}]}")).isEqualTo(new ArgumentType(List.of(Kind.OBJECT), false));
        assertThat(of("{\"enum\": [1, 2]}")).isEqualTo(new ArgumentType(List.of(Kind.INTEGER), false));
        assertThat(of("{\"enum\": [\"a\", null]}")).isEqualTo(new ArgumentType(List.of(Kind.STRING), true));
        assertThat(of("{\"const\": 1.5}")).isEqualTo(new ArgumentType(List.of(Kind.NUMBER), false));
        assertThat(of("{\"properties\": {}}")).isEqualTo(new ArgumentType(List.of(Kind.OBJECT), false));
        assertThat(of("{\"items\": {}}")).isEqualTo(new ArgumentType(List.of(Kind.ARRAY), false));
        assertThat(of("{\"type\": \"null\"}")).isEqualTo(new ArgumentType(List.of(), true));
        assertThat(of("{\"type\": \"list\"}")).isEqualTo(new ArgumentType(List.of(Kind.ARRAY), false));
    }

    @Test
    void everythingElseIsText() {
        for (String schema : new String[] {"{}", "true", "null", "5", "[]", "\"string\"", "{\"type\": 5}", "{\"type\": {}}",
            "{\"type\": \"any\"}", "{\"$ref\": \"https://example.org/schema\"}", "{\"$ref\": \"#/$defs/Missing\"}",
            "{\"$ref\": \"#/~\"}", "{\"anyOf\": 7}", "{\"enum\": []}"}) {
            assertThat(of(schema)).as(schema).isEqualTo(ArgumentType.STRING);
        }
        for (JsonNode parameters : new JsonNode[] {MissingNode.getInstance(), NullNode.getInstance(), json("[]"), json("7"),
            json("{\"properties\": []}")}) {
            assertThat(ArgumentType.of(parameters, "k")).isEqualTo(ArgumentType.STRING);
        }
    }

    @Test
    void aSchemaThatRefersToItselfEnds() {
        JsonNode schema = json("""
                {"properties": {"k": {"$ref": "#/$defs/A"}},
                 "$defs": {"A": {"anyOf": [{"$ref": "#/$defs/A"}, {"$ref": "#/$defs/A"}, {"$ref": "#/$defs/A"}]}}}""");

        Assertions.assertTimeoutPreemptively(Duration.ofSeconds(20), () ->
                assertThat(ArgumentType.of(schema, "k")).isEqualTo(ArgumentType.STRING));
    }
}
