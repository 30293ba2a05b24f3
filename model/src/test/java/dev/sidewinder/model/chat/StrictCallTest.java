package dev.sidewinder.model.chat;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.sidewinder.model.Model;
import dev.sidewinder.model.chat.GuideOptions.Calls;
import dev.sidewinder.model.grammar.GrammarException;
import dev.sidewinder.model.grammar.TokenGuide;
import dev.sidewinder.model.tokenizer.ControlTokens;
import dev.sidewinder.model.tokenizer.TokenDecoder;
import dev.sidewinder.model.tokenizer.Tokenizer;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/// Calls of strict tools: what the masks allow fits the schema, and what fits it is allowed.
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class StrictCallTest {
    private static final JsonMapper JSON = JsonMapper.builder().enable(DeserializationFeature.USE_BIG_DECIMAL_FOR_FLOATS).build();
    private static final int CALL = 14;
    private static final int END_CALL = 15;

    private Model model;
    private Tokenizer tokenizer;
    private AnswerGuides guides;

    @BeforeAll
    void open() {
        model = Model.open("synthetic:demo");
        tokenizer = model.tokenizer().orElseThrow();
        guides = new AnswerGuides(tokenizer, ControlTokens.of(tokenizer), 600, AnswerGuides.CLOSING_TEXT);
    }

    @AfterAll
    void close() {
        model.close();
    }

    private static JsonNode json(String text) {
        try {
            return JSON.readTree(text.replace('\'', '"'));
        } catch (com.fasterxml.jackson.core.JsonProcessingException e) {
            throw new AssertionError(text, e);
        }
    }

    private TokenGuide guide(JsonNode parameters) {
        return guides.of(new GuideOptions(false, Optional.empty(), List.of(new CallableTool("f", parameters, true)), Calls.FORCED_ONE,
                Set.of(11))).orElseThrow().get();
    }

    private GuidedWalk walk(JsonNode parameters, Random random) {
        var walk = new GuidedWalk(tokenizer, guide(parameters), random);
        walk.sayToken(CALL);
        return walk;
    }

    /// The arguments as they are read, and what the reader had to remark.
    private record Read(JsonNode arguments, OutputCounts counts) {}

    private Read read(List<Integer> tokens, JsonNode parameters) {
        var parser = new NemotronOutputParser(new NemotronOutputParser.Options(false, ControlTokens.of(tokenizer),
                Map.of("f", parameters), false, true, List.of(), false, 0));
        TokenDecoder decoder = tokenizer.decoder(false);
        var arguments = new StringBuilder();
        for (int token : tokens) {
            for (OutputDelta delta : parser.accept(token, decoder.accept(token))) {
                switch (delta) {
                    case OutputDelta.ToolCallArguments(int _, String text) -> arguments.append(text);
                    case OutputDelta.ToolCallStarted _, OutputDelta.ToolCallEnded _ -> { }
                    case OutputDelta.Content _, OutputDelta.Reasoning _ -> throw new AssertionError("no call: " + delta);
                }
            }
        }
        assertThat(parser.toolCalls()).isOne();
        try {
            return new Read(JSON.readTree(arguments.toString()), parser.counts());
        } catch (com.fasterxml.jackson.core.JsonProcessingException e) {
            throw new AssertionError("no JSON: " + arguments, e);
        }
    }

    // ---- both directions

    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8})
    void whateverIsAllowedFitsTheSchema(long seed) {
        System.out.println("StrictCallTest seed " + seed);
        Random random = new Random(seed);
        int complete = 0;
        for (int round = 0; round < 60; round++) {
            ObjectNode parameters = randomParameters(random);
            GuidedWalk walk;
            try {
                walk = walk(parameters, random);
            } catch (GrammarException refusal) {
                continue;
            }
            walk.run(2_000, END_CALL, END_CALL);
            String as = "seed " + seed + " round " + round + ": " + parameters + "\n" + walk.text();
            if (walk.tokens.getLast() == END_CALL) {
                complete++;
                Read read = read(walk.tokens, parameters);
                assertThat(SchemaCheck.fits(read.arguments(), parameters, parameters)).as(as + "\n" + read.arguments()).isTrue();
                assertThat(read.counts()).as(as).isEqualTo(new OutputCounts(1, 0, 0, 0, 0));
            }
        }
        System.out.println("StrictCallTest seed " + seed + ": " + complete + " complete calls");
        assertThat(complete).isGreaterThan(15);
    }

    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8})
    void whatFitsTheSchemaIsAllowed(long seed) {
        System.out.println("StrictCallTest seed " + seed);
        Random random = new Random(seed);
        int said = 0;
        for (int round = 0; round < 60; round++) {
            ObjectNode parameters = randomParameters(random);
            ObjectNode arguments = JSON.createObjectNode();
            List<String> names = new ArrayList<>();
            parameters.get("properties").fieldNames().forEachRemaining(names::add);
            java.util.Collections.shuffle(names, random);
            boolean possible = true;
            var call = new StringBuilder("\n<function=f>\n");
            for (String name : names) {
                boolean required = parameters.path("required").toString().contains("\"" + name + "\"");
                if (!required && random.nextInt(3) == 0) {
                    continue;
                }
                JsonNode value = valueOf(parameters.get("properties").get(name), parameters, random, 0);
                String raw = value == null ? null : value.isTextual() ? value.textValue() : spelled(value, random);
                // the format cannot carry everything: a text that is read as a number, say
                possible &= raw != null && CallText.isValue(raw) && ArgumentConverter.convert(raw, ArgumentType.of(parameters, name))
                        .map(StrictCallTest::json2).filter(read -> read.equals(value)).isPresent();
                arguments.set(name, value);
                call.append("<parameter=").append(name).append(">\n").append(raw).append("\n</parameter>\n");
            }
            if (!possible || !SchemaCheck.fits(arguments, parameters, parameters)) {
                continue;
            }
            GuidedWalk walk;
            try {
                walk = walk(parameters, random);
            } catch (GrammarException refusal) {
                continue;
            }
            said++;
            walk.say(call + "</function>\n");
            walk.sayToken(END_CALL);
            assertThat(read(walk.tokens, parameters).arguments()).as(parameters + "\n" + call).isEqualTo(arguments);
        }
        System.out.println("StrictCallTest seed " + seed + ": " + said + " calls said");
        assertThat(said).isGreaterThan(10);
    }

    private static JsonNode json2(String text) {
        try {
            return JSON.readTree(text);
        } catch (com.fasterxml.jackson.core.JsonProcessingException e) {
            throw new AssertionError(text, e);
        }
    }

    private static String spelled(JsonNode value, Random random) {
        String text = value.toString();
        return random.nextBoolean() || text.contains("\"x") ? text : text.replace(",", ", ").replace(":", ": ");
    }

    private static ObjectNode randomParameters(Random random) {
        ObjectNode parameters = JSON.createObjectNode().put("type", "object");
        ObjectNode definitions = JSON.createObjectNode();
        definitions.set("tree", json("{'type':'object','properties':{'v':{'type':'integer'},'l':{'$ref':'#/$defs/tree'},"
                + "'r':{'anyOf':[{'$ref':'#/$defs/tree'},{'type':'null'}]}},'required':['v'],'additionalProperties':false}"));
        ObjectNode properties = parameters.putObject("properties");
        ArrayNode required = parameters.putArray("required");
        for (String name : List.of("a", "ab", "k_1", "é")) {
            if (random.nextInt(3) > 0) {
                properties.set(name, randomSchema(random, 2));
                if (random.nextBoolean()) {
                    required.add(name);
                }
            }
        }
        parameters.set("$defs", definitions);
        return parameters;
    }

    private static JsonNode randomSchema(Random random, int depth) {
        return switch (random.nextInt(depth > 0 ? 15 : 9)) {
            case 0, 1 -> json("{'type':'string','description':'words'}");
            case 2 -> json("{'type':'integer'}");
            case 3 -> json("{'type':'number'}");
            case 4 -> json("{'type':'boolean'}");
            case 5 -> json("{'enum':['red','green','blue'],'type':'string'}");
            case 6 -> json("{'enum':[1,22,'x',null,true]}");
            case 7 -> json("{'type':['integer','null']}");
            case 8 -> random.nextBoolean() ? json("{'type':['integer','string']}") : json("{'const':7}");
            case 9, 10 -> {
                ObjectNode object = JSON.createObjectNode().put("type", "object").put("additionalProperties", false);
                ObjectNode properties = object.putObject("properties");
                ArrayNode required = object.putArray("required");
                for (String name : List.of("p", "q", "pq")) {
                    if (random.nextBoolean()) {
                        properties.set(name, randomSchema(random, depth - 1));
                        if (random.nextBoolean()) {
                            required.add(name);
                        }
                    }
                }
                yield object;
            }
            case 11 -> {
                ObjectNode array = JSON.createObjectNode().put("type", "array");
                array.set("items", randomSchema(random, depth - 1));
                if (random.nextBoolean()) {
                    array.put("minItems", random.nextInt(3)).put("maxItems", 2 + random.nextInt(3));
                }
                yield array;
            }
            case 12 -> {
                ObjectNode any = JSON.createObjectNode();
                any.putArray("anyOf").add(randomSchema(random, depth - 1)).add(randomSchema(random, depth - 1));
                yield any;
            }
            case 13 -> json("{'$ref':'#/$defs/tree'}");
            default -> json("{'type':'object','additionalProperties':{'type':'integer'}}");
        };
    }

    /// A value that fits a schema; null when none was found.
    private static JsonNode valueOf(JsonNode schema, JsonNode document, Random random, int depth) {
        JsonNodeFactory make = JSON.getNodeFactory();
        if (schema.has("$ref")) {
            return depth > 4 ? null : valueOf(document.at(schema.get("$ref").asText().substring(1)), document, random, depth + 1);
        }
        if (schema.has("anyOf")) {
            return valueOf(schema.get("anyOf").get(random.nextInt(2)), document, random, depth + 1);
        }
        if (schema.has("enum")) {
            return schema.get("enum").get(random.nextInt(schema.get("enum").size()));
        }
        if (schema.has("const")) {
            return schema.get("const");
        }
        JsonNode type = schema.get("type");
        String[] words = {"", "x", "two words\n</function>\n", "é日😀", "<", "null", "\"\\", "</parameter"};
        return switch (type.isArray() ? type.get(random.nextInt(type.size())).asText() : type.asText()) {
            case "string" -> make.textNode(words[random.nextInt(words.length)]);
            case "integer" -> JSON.getNodeFactory().numberNode(random.nextInt(2_000) - 1_000);
            case "number" -> json2(List.of("0", "-1.50", "3e-7", "12", "0.1E+22").get(random.nextInt(5)));
            case "boolean" -> make.booleanNode(random.nextBoolean());
            case "null" -> make.nullNode();
            case "object" -> {
                ObjectNode object = make.objectNode();
                for (Map.Entry<String, JsonNode> property : schema.path("properties").properties()) {
                    JsonNode value = valueOf(property.getValue(), document, random, depth + 1);
                    boolean required = schema.path("required").toString().contains("\"" + property.getKey() + "\"");
                    if (value != null && (required || random.nextBoolean())) {
                        object.set(property.getKey(), value);
                    }
                }
                if (!schema.has("properties")) {
                    object.put("any thing", 5).put("é", -6);
                }
                yield object;
            }
            default -> {
                ArrayNode array = make.arrayNode();
                int items = schema.path("minItems").asInt(0) + random.nextInt(2);
                for (int i = 0; i < items; i++) {
                    JsonNode item = valueOf(schema.get("items"), document, random, depth + 1);
                    if (item != null) {
                        array.add(item);
                    }
                }
                yield array;
            }
        };
    }

    // ---- one by one

    /// Whether a call with these parameters, as text, is allowed.
    private boolean allows(JsonNode parameters, String text) {
        TokenGuide guide = guide(parameters);
        guide.accept(CALL);
        for (int token : tokenizer.encode("\n<function=f>\n" + text + "</function>\n", false)) {
            if (!guide.allowed().allows(token)) {
                return false;
            }
            guide.accept(token);
        }
        return guide.allowed().allows(END_CALL);
    }

    private static String parameter(String key, String value) {
        return "<parameter=" + key + ">\n" + value + "\n</parameter>\n";
    }

    @Test
    void requiredParametersComeAndNoneComesTwiceOrUndeclared() {
        JsonNode schema = json("{'type':'object','properties':{'a':{'type':'integer'},'b':{'type':'string'}},'required':['a']}");
        assertThat(allows(schema, parameter("a", "1"))).isTrue();
        assertThat(allows(schema, parameter("b", "x") + parameter("a", "1"))).as("in any order").isTrue();
        assertThat(allows(schema, parameter("a", "1") + parameter("b", "x"))).isTrue();
        assertThat(allows(schema, "")).as("a is missing").isFalse();
        assertThat(allows(schema, parameter("b", "x"))).as("a is missing").isFalse();
        assertThat(allows(schema, parameter("a", "1") + parameter("a", "1"))).as("twice").isFalse();
        assertThat(allows(schema, parameter("a", "1") + parameter("c", "1"))).as("undeclared").isFalse();
        assertThat(allows(json("{}"), "")).as("no parameters").isTrue();
        assertThat(allows(json("{}"), parameter("a", "1"))).isFalse();
        assertThat(allows(json("{'required':['a']}"), parameter("a", "any text"))).as("required and not described").isTrue();
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '`', value = {
        "{'type':'integer'} | 0,-1,123456789012345678 | 1.0,x,01,-0,+1,1e5,1234567890123456789,null",
        "{'type':'number'} | 0,-1.5,1e5,2E-7,-0 | .5,5.,x,NaN,1e123,0x1",
        "{'type':'boolean'} | true,false,True,False | TRUE,yes,1,null",
        "{'type':'null'} | null,None | nil,0",
        "{'type':'string'} | a,null,5,{},true,</function> | </parameter>",
        "{'type':'string','enum':['a','bc']} | a,bc | b,abc,A,null",
        "{'enum':[1,true,'x',null]} | 1,x,null,true | 2,y,false",
        "{'enum':['x',1,true]} | x | 1,true",
        "{'type':['integer','null']} | 5,null,None | x,true",
        "{'type':'integer','nullable':true} | 5,null | x",
        "{'type':['string','null'],'enum':['a']} | a | null,None,b",
        "{'anyOf':[{'type':'integer'},{'type':'boolean'}]} | 5,true | x,null",
        "{'anyOf':[{'enum':[1,2]},{'type':'string'}]} | 1,2,x,2x | 3,12,-1",
        "{'anyOf':[{'type':'array','items':{'type':'integer'}},{'type':'string'}]} | [1],x | [x],[\"a\"]",
        "{'type':'array','items':{'type':'integer'}} | [],[1],[-5] | [x],[1.5],[\"1\"],[1",
        "{'type':'object','properties':{'x':{'type':'boolean'}},'required':['x'],'additionalProperties':false} | {\"x\":true},{\"x\": false},{ \"x\": true } | {},{\"y\":1},{'x':true}",
        "{'type':'object'} | {},{\"a\":{\"b\":[1]}} | [],x,5",
        "{'$ref':'#/$defs/n'} | 5 | x",
        "{'allOf':[{'$ref':'#/$defs/n'}]} | 5 | x",
        "{'const':'only'} | only | other",
        "{} | any thing | </parameter>",
    })
    void valuesAreThoseOfTheirType(String schema, String good, String bad) {
        JsonNode parameters = json("{'type':'object','properties':{'p':" + schema + "},'$defs':{'n':{'type':'integer'}}}");
        for (String value : good.split(",(?![^\\[{]*[]}])")) {
            assertThat(allows(parameters, parameter("p", value.strip()))).as("%s takes %s", schema, value).isTrue();
        }
        for (String value : bad.split(",(?![^\\[{]*[]}])")) {
            assertThat(allows(parameters, parameter("p", value.strip()))).as("%s takes %s", schema, value).isFalse();
        }
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '`', value = {
        "{'properties':{'p':{'type':'string','pattern':'a+'}}} | UNSUPPORTED | parameters.properties.p: 'pattern'",
        "{'properties':{'p':{'type':'string','maxLength':5}}} | UNSUPPORTED | 'maxLength'",
        "{'properties':{'p':{'type':'integer','minimum':5}}} | UNSUPPORTED | 'minimum'",
        "{'properties':{'p':{'type':'string','format':'date'}}} | UNSUPPORTED | 'format'",
        "{'properties':{'p':{'not':{}}}} | UNSUPPORTED | 'not'",
        "{'properties':{'p':{'frobnicate':1}}} | UNSUPPORTED | 'frobnicate'",
        "{'properties':{'p':{'type':'array','prefixItems':[]}}} | UNSUPPORTED | 'prefixItems'",
        "{'properties':{'p':{'type':'object','properties':{'q':{'type':'array','items':{'uniqueItems':true}}}}}} | UNSUPPORTED | parameters.properties.p.properties.q.items: 'uniqueItems'",
        "{'properties':{'p':{'anyOf':[{'type':'integer'}],'type':'string'}}} | UNSUPPORTED | 'anyOf beside type'",
        "{'properties':{'p':{'allOf':[{},{}]}}} | UNSUPPORTED | 'allOf of several'",
        "{'properties':{'p':{'$ref':'#/$defs/none'}}} | INVALID | points to nothing",
        "{'properties':{'p':{'$ref':'http://x'}}} | INVALID | points to nothing",
        "{'properties':{'p':{'type':'strin'}}} | INVALID | 'strin' is no type",
        "{'properties':{'p':{'type':'string','enum':[1]}}} | INVALID | no value fits",
        "{'properties':{'p':{'type':'string','enum':['a</parameter>b']}}} | UNSUPPORTED | </parameter>",
        "{'properties':{'p':{'type':'string','enum':['<parameter=x']}}} | UNSUPPORTED | cannot write one of these",
        "{'properties':{'a>b':{'type':'string'}}} | UNSUPPORTED | cannot name",
        "{'properties':{'p':{'type':'array','minItems':2000}}} | TOO_COMPLEX | 1024",
        "{'patternProperties':{}} | UNSUPPORTED | 'patternProperties'",
        "{'type':'array'} | INVALID | must be object",
        "{'properties':{'p':{'$ref':'#/properties/p'}}} | UNSUPPORTED | leads back to itself",
        "{'properties':{'p':{'type':'object','properties':{'q':{'$ref':'#/properties/p'}},'required':['q']}}} | INVALID | no value fits",
    })
    void whatCannotBeEnforcedIsRefusedByName(String schema, GrammarException.Kind kind, String message) {
        GrammarException refusal = catchThrowableOfType(GrammarException.class, () -> guide(json(schema)));
        assertThat(refusal).as(schema).isNotNull().hasMessageContaining(message).hasMessageStartingWith("tool 'f', ");
        assertThat(refusal.kind()).isEqualTo(kind);
    }

    @Test
    void aSchemaThatIsTooLargeIsRefusedBeforeItCosts() {
        ObjectNode parameters = JSON.createObjectNode();
        ObjectNode properties = parameters.putObject("properties");
        for (int i = 0; i < 3_000; i++) {
            ArrayNode values = properties.putObject("property" + i).putArray("enum");
            for (int v = 0; v < 20; v++) {
                values.add("value " + i + " " + v);
            }
        }
        GrammarException refusal = catchThrowableOfType(GrammarException.class, () -> guide(parameters));
        assertThat(refusal.kind()).isEqualTo(GrammarException.Kind.TOO_COMPLEX);
    }

    @Test
    void referencesThatMultiplyAreRefusedBeforeTheyCost() {
        // given definitions, each of which is one of ten times the next: a chain of nine has 10^9 ends
        ObjectNode parameters = JSON.createObjectNode();
        parameters.withObject("/properties").putObject("p").put("$ref", "#/$defs/d0");
        parameters.withObject("/properties/q").put("type", "array").putObject("items").put("$ref", "#/$defs/d0");
        for (int i = 0; i < 9; i++) {
            ArrayNode any = parameters.withObject("/$defs").putObject("d" + i).putArray("anyOf");
            for (int n = 0; n < 10; n++) {
                any.addObject().put("$ref", "#/$defs/d" + (i + 1));
            }
        }
        parameters.withObject("/$defs").putObject("d9").put("type", "integer");
        GrammarException refusal = catchThrowableOfType(GrammarException.class, () -> guide(parameters));
        assertThat(refusal.kind()).isEqualTo(GrammarException.Kind.TOO_COMPLEX);

        // inside a value each is made once
        parameters.withObject("/properties").remove("p");
        assertThat(allows(parameters, parameter("q", "[]"))).isTrue();
        assertThat(allows(parameters, parameter("q", "[1]"))).isTrue();
    }

    @Test
    void manyParametersCostOnlyThePathThatIsTaken() {
        // given 40 parameters: more subsets than could ever be laid out
        ObjectNode parameters = JSON.createObjectNode();
        var call = new StringBuilder();
        for (int i = 39; i >= 0; i--) {
            parameters.withObject("/properties").putObject("p" + i).put("type", "integer");
            parameters.withArray("/required").add("p" + i);
        }
        for (int i = 0; i < 40; i += 2) {
            call.append(parameter("p" + i, "1"));
        }
        assertThat(allows(parameters, call.toString())).as("half of them").isFalse();
        for (int i = 39; i > 0; i -= 2) {
            call.append(parameter("p" + i, "1"));
        }
        assertThat(allows(parameters, call.toString())).isTrue();
    }
}
