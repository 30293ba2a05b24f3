package dev.sidewinder.server.api;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class OpenApiSchemasTest {

    private final Map<Endpoint, ObjectNode> schemas = new OpenApiSchemas(ApiLimits.standard(), 4_096, 1_000).requests();

    @ParameterizedTest
    @EnumSource
    void everyExampleIsARequestWeAccept(Endpoint endpoint) throws Exception {
        JsonNode examples = schemas.get(endpoint).get("examples");

        assertThat(examples).isNotEmpty();
        for (JsonNode example : examples) {
            assertThatCode(() -> ParameterTableTest.read(endpoint, JsonTree.MAPPER.writeValueAsBytes(example)))
                    .as("%s", example).doesNotThrowAnyException();
            example.fieldNames().forEachRemaining(name ->
                    assertThat(schemas.get(endpoint).get("properties").has(name)).as(name).isTrue());
        }
    }

    @ParameterizedTest
    @EnumSource
    void offersEveryFieldThatIsNotRefused(Endpoint endpoint) {
        List<String> expected = ParameterTable.of(endpoint).stream()
                .filter(parameter -> !(parameter.type() instanceof ParameterType.Refused)).map(Parameter::name).toList();
        List<String> offered = new ArrayList<>();
        schemas.get(endpoint).get("properties").fieldNames().forEachRemaining(offered::add);

        assertThat(offered).isEqualTo(expected);
    }

    @Test
    void boundsComeFromModelAndSettings() {
        JsonNode chat = schemas.get(Endpoint.CHAT).get("properties");

        assertThat(chat.get("max_tokens").get("maximum").intValue()).isEqualTo(4_096);
        assertThat(chat.get("n").get("maximum").intValue()).isEqualTo(16);
        assertThat(chat.get("stop_token_ids").get("items").get("maximum").intValue()).isEqualTo(999);
        assertThat(schemas.get(Endpoint.CHAT).get("required")).hasSize(1);
    }
}
