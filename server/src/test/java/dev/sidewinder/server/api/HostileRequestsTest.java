package dev.sidewinder.server.api;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowable;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import java.nio.charset.StandardCharsets;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/// Requests that lie, contradict themselves, or ask for what is not there: each gets its code and its path.
class HostileRequestsTest {

    private static final String USER = "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]";
    private static final String TOOL = "{\"type\":\"function\",\"function\":{\"name\":\"f\"}}";

    private static final String DAMAGE = "{}[]\",:\\0123456789-.eEtfn u\0\u0080";

    private final RequestReader reader = FakeModel.reader(ApiOptions.standard());

    @ParameterizedTest
    @CsvSource(delimiter = '~', quoteCharacter = '`', value = {
        "{} ~ missing_required_parameter ~ messages",
        "{'messages':null} ~ missing_required_parameter ~ messages",
        "{'messages':[]} ~ array_below_min_length ~ messages",
        "{'messages':{}} ~ invalid_type ~ messages",
        "{'messages':'hi'} ~ invalid_type ~ messages",
        "{'messages':[1]} ~ invalid_type ~ messages[0]",
        "{'messages':[null]} ~ invalid_type ~ messages[0]",
        "{'messages':[{}]} ~ missing_required_parameter ~ messages[0].role",
        "{'messages':[{'role':null}]} ~ missing_required_parameter ~ messages[0].role",
        "{'messages':[{'role':1}]} ~ invalid_type ~ messages[0].role",
        "{'messages':[{'role':'robot','content':'x'}]} ~ invalid_value ~ messages[0].role",
        "{'messages':[{'role':'User','content':'x'}]} ~ invalid_value ~ messages[0].role",
        "{'messages':[{'role':'function','name':'f','content':'x'}]} ~ unsupported_value ~ messages[0].role",
        "{'messages':[{'role':'user'}]} ~ missing_required_parameter ~ messages[0].content",
        "{'messages':[{'role':'user','content':null}]} ~ missing_required_parameter ~ messages[0].content",
        "{'messages':[{'role':'user','content':5}]} ~ invalid_type ~ messages[0].content",
        "{'messages':[{'role':'user','content':{}}]} ~ invalid_type ~ messages[0].content",
        "{'messages':[{'role':'user','content':['x']}]} ~ invalid_type ~ messages[0].content[0]",
        "{'messages':[{'role':'user','content':[{}]}]} ~ missing_required_parameter ~ messages[0].content[0].type",
        "{'messages':[{'role':'user','content':[{'type':7}]}]} ~ invalid_type ~ messages[0].content[0].type",
        "{'messages':[{'role':'user','content':[{'type':'text'}]}]} ~ missing_required_parameter ~ messages[0].content[0].text",
        "{'messages':[{'role':'user','content':[{'type':'text','text':3}]}]} ~ invalid_type ~ messages[0].content[0].text",
        "{'messages':[{'role':'user','content':[{'type':'text','text':'a'},{'type':'image_url','image_url':{'url':'http://x'}}]}]} ~ unsupported_value ~ messages[0].content[1].type",
        "{'messages':[{'role':'user','content':[{'type':'input_audio'}]}]} ~ unsupported_value ~ messages[0].content[0].type",
        "{'messages':[{'role':'user','content':[{'type':'file'}]}]} ~ unsupported_value ~ messages[0].content[0].type",
        "{'messages':[{'role':'user','content':[{'type':'video_url'}]}]} ~ unsupported_value ~ messages[0].content[0].type",
        "{'messages':[{'role':'user','content':[{'type':'dance'}]}]} ~ invalid_value ~ messages[0].content[0].type",
        "{'messages':[{'role':'user','content':'x','name':7}]} ~ invalid_type ~ messages[0].name",
        "{'messages':[{'role':'tool','tool_call_id':'c','content':'x'}]} ~ invalid_value ~ messages[0].role",
        "{'messages':[{'role':'system','content':'s'},{'role':'tool','tool_call_id':'c','content':'x'}]} ~ invalid_value ~ messages[1].role",
        "{'messages':[{'role':'user','content':'q'},{'role':'tool','content':'x'}]} ~ missing_required_parameter ~ messages[1].tool_call_id",
        "{'messages':[{'role':'user','content':'q'},{'role':'tool','tool_call_id':5,'content':'x'}]} ~ invalid_type ~ messages[1].tool_call_id",
        "{'messages':[{'role':'user','content':'q'},{'role':'tool','tool_call_id':'c'}]} ~ missing_required_parameter ~ messages[1].content",
        "{'messages':[{'role':'assistant','content':'a','reasoning':4}]} ~ invalid_type ~ messages[0].reasoning",
        "{'messages':[{'role':'assistant','tool_calls':{}}]} ~ invalid_type ~ messages[0].tool_calls",
        "{'messages':[{'role':'assistant','tool_calls':[4]}]} ~ invalid_type ~ messages[0].tool_calls[0]",
        "{'messages':[{'role':'assistant','tool_calls':[{}]}]} ~ missing_required_parameter ~ messages[0].tool_calls[0].function",
        "{'messages':[{'role':'assistant','tool_calls':[{'type':'custom'}]}]} ~ invalid_value ~ messages[0].tool_calls[0].type",
        "{'messages':[{'role':'assistant','tool_calls':[{'function':{}}]}]} ~ missing_required_parameter ~ messages[0].tool_calls[0].function.name",
        "{'messages':[{'role':'assistant','tool_calls':[{'function':{'name':'a>b'}}]}]} ~ invalid_value ~ messages[0].tool_calls[0].function.name",
        "{'messages':[{'role':'assistant','tool_calls':[{'function':{'name':'f','arguments':'[1]'}}]}]} ~ invalid_value ~ messages[0].tool_calls[0].function.arguments",
        "{'messages':[{'role':'assistant','tool_calls':[{'function':{'name':'f','arguments':'{'}}]}]} ~ invalid_value ~ messages[0].tool_calls[0].function.arguments",
        "{'messages':[{'role':'assistant','tool_calls':[{'function':{'name':'f','arguments':'not json'}}]}]} ~ invalid_value ~ messages[0].tool_calls[0].function.arguments",
        "{'messages':[{'role':'assistant','tool_calls':[{'function':{'name':'f','arguments':5}}]}]} ~ invalid_type ~ messages[0].tool_calls[0].function.arguments",
        "{USER,'n':2147483648} ~ integer_above_max_value ~ n",
        "{USER,'seed':9223372036854775808} ~ integer_above_max_value ~ seed",
        "{USER,'seed':-9223372036854775809} ~ integer_below_min_value ~ seed",
        "{USER,'seed':'1'} ~ invalid_type ~ seed",
        "{USER,'max_tokens':1.5} ~ invalid_type ~ max_tokens",
        "{USER,'max_tokens':0} ~ integer_below_min_value ~ max_tokens",
        "{USER,'max_tokens':4,'min_tokens':5} ~ integer_above_max_value ~ min_tokens",
        "{USER,'max_completion_tokens':3,'max_tokens':9,'min_tokens':5} ~ integer_above_max_value ~ min_tokens",
        "{USER,'top_logprobs':1} ~ invalid_value ~ top_logprobs",
        "{USER,'logprobs':false,'top_logprobs':1} ~ invalid_value ~ top_logprobs",
        "{USER,'stream_options':{'include_usage':true}} ~ invalid_value ~ stream_options.include_usage",
        "{USER,'stream_options':{},'stream':false} ~ invalid_value ~ stream_options",
        "{USER,'stream':true,'prompt_logprobs':1} ~ invalid_value ~ prompt_logprobs",
        "{USER,'response_format':{}} ~ missing_required_parameter ~ response_format.type",
        "{USER,'response_format':{'type':'xml'}} ~ invalid_value ~ response_format.type",
        "{USER,'response_format':{'type':'json_object'}} ~ unsupported_value ~ response_format.type",
        "{USER,'response_format':{'type':'json_schema','json_schema':{}}} ~ unsupported_value ~ response_format.type",
        "{USER,'structured_outputs':{'regex':'(a+)+$'}} ~ unsupported_parameter ~ structured_outputs",
        "{USER,'guided_json':{}} ~ unsupported_parameter ~ guided_json",
        "{USER,'functions':[]} ~ unsupported_parameter ~ functions",
        "{USER,'function_call':'auto'} ~ unsupported_parameter ~ function_call",
        "{USER,'chat_template':'x'} ~ unsupported_parameter ~ chat_template",
        "{USER,'documents':[]} ~ unsupported_parameter ~ documents",
        "{USER,'audio':{}} ~ unsupported_parameter ~ audio",
        "{USER,'modalities':['text','audio']} ~ unsupported_parameter ~ modalities",
        "{USER,'web_search_options':{}} ~ unsupported_parameter ~ web_search_options",
        "{USER,'use_beam_search':true} ~ unsupported_parameter ~ use_beam_search",
        "{USER,'truncate_prompt_tokens':5} ~ unsupported_parameter ~ truncate_prompt_tokens",
        "{USER,'thinking_token_budget':-2} ~ integer_below_min_value ~ thinking_token_budget",
        "{USER,'thinking_token_budget':1.5} ~ invalid_type ~ thinking_token_budget",
        "{USER,'thinking_token_budget':'5'} ~ invalid_type ~ thinking_token_budget",
        "{USER,'thinking_budget':257} ~ integer_above_max_value ~ thinking_budget",
        "{USER,'thinking_budget':5,'thinking_token_budget':6} ~ invalid_value ~ thinking_budget",
        "{USER,'thinking_budget_grace':-1} ~ integer_below_min_value ~ thinking_budget_grace",
        "{USER,'thinking_budget_grace':8193} ~ integer_above_max_value ~ thinking_budget_grace",
        "{USER,'reasoning':{'max_tokens':-2}} ~ integer_below_min_value ~ reasoning.max_tokens",
        "{USER,'reasoning_effort':'huge'} ~ invalid_value ~ reasoning_effort",
        "{USER,'enable_thinking':true,'chat_template_kwargs':{'enable_thinking':false}} ~ invalid_value ~ enable_thinking",
        "{USER,'chat_template_kwargs':{'enable_thinking':1}} ~ invalid_type ~ chat_template_kwargs.enable_thinking",
        "{USER,'chat_template_kwargs':{'messages':[]}} ~ invalid_value ~ chat_template_kwargs.messages",
        "{USER,'chat_template_kwargs':{'bos_token':'x'}} ~ invalid_value ~ chat_template_kwargs.bos_token",
        "{USER,'add_generation_prompt':true,'continue_final_message':true} ~ invalid_value ~ continue_final_message",
        "{USER,'continue_final_message':true} ~ invalid_value ~ continue_final_message",
        "{USER,'tools':[1]} ~ invalid_type ~ tools[0]",
        "{USER,'tools':[{}]} ~ missing_required_parameter ~ tools[0].type",
        "{USER,'tools':[{'type':'retrieval'}]} ~ unsupported_value ~ tools[0].type",
        "{USER,'tools':[{'type':'function'}]} ~ missing_required_parameter ~ tools[0].function",
        "{USER,'tools':[{'type':'function','function':{}}]} ~ missing_required_parameter ~ tools[0].function.name",
        "{USER,'tools':[{'type':'function','function':{'name':''}}]} ~ invalid_value ~ tools[0].function.name",
        "{USER,'tools':[{'type':'function','function':{'name':'a>b'}}]} ~ invalid_value ~ tools[0].function.name",
        "{USER,'tools':[{'type':'function','function':{'name':'a\\nb'}}]} ~ invalid_value ~ tools[0].function.name",
        "{USER,'tools':[TOOL,TOOL]} ~ invalid_value ~ tools[1].function.name",
        "{USER,'tools':[{'type':'function','function':{'name':'f','parameters':[]}}]} ~ invalid_type ~ tools[0].function.parameters",
        "{USER,'tools':[{'type':'function','function':{'name':'f','parameters':{'properties':[]}}}]} ~ invalid_json_schema ~ tools[0].function.parameters.properties",
        "{USER,'tools':[{'type':'function','function':{'name':'f','parameters':{'properties':{'a':1}}}}]} ~ invalid_json_schema ~ tools[0].function.parameters.properties.a",
        "{USER,'tools':[{'type':'function','function':{'name':'f','description':5}}]} ~ invalid_type ~ tools[0].function.description",
        "{USER,'tool_choice':'required'} ~ invalid_value ~ tool_choice",
        "{USER,'tools':[],'tool_choice':'required'} ~ invalid_value ~ tool_choice",
        "{USER,'tools':[TOOL],'tool_choice':{'type':'allowed_tools','allowed_tools':{'mode':'required','tools':[]}}} ~ invalid_value ~ tool_choice",
        "{USER,'tools':[TOOL],'tool_choice':'required','response_format':{'type':'xml'}} ~ invalid_value ~ response_format.type",
        "{USER,'tools':[TOOL],'tool_choice':'auto','response_format':{'type':'json_object'}} ~ unsupported_value ~ response_format.type",
        "{USER,'tools':[TOOL],'tool_choice':{'type':'function'}} ~ missing_required_parameter ~ tool_choice.function.name",
        "{USER,'tools':[TOOL],'tool_choice':{'type':'function','function':{'name':5}}} ~ invalid_type ~ tool_choice.function.name",
        "{USER,'tools':[TOOL],'tool_choice':{'type':'function','name':'g'}} ~ invalid_value ~ tool_choice.name",
        "{USER,'tools':[TOOL],'tool_choice':{'type':'allowed_tools','tools':[{'type':'function','name':'g'}]}} ~ invalid_value ~ tool_choice.tools[0].name",
        "{USER,'tools':[TOOL],'tool_choice':'always'} ~ invalid_value ~ tool_choice",
        "{USER,'tools':[TOOL],'tool_choice':{'type':'function','function':{'name':'g'}}} ~ invalid_value ~ tool_choice.function.name",
        "{USER,'tools':[TOOL],'tool_choice':{'type':'allowed_tools','allowed_tools':{'mode':'always','tools':[TOOL]}}} ~ invalid_value ~ tool_choice.allowed_tools.mode",
        "{USER,'tools':[TOOL],'tool_choice':{'type':'allowed_tools','allowed_tools':{'mode':'auto','tools':[{'type':'function','function':{'name':'g'}}]}}} ~ invalid_value ~ tool_choice.allowed_tools.tools[0].function.name",
        "{USER,'logit_bias':{'-1':1}} ~ invalid_value ~ logit_bias.-1",
        "{USER,'logit_bias':{'01':1}} ~ invalid_value ~ logit_bias.01",
        "{USER,'logit_bias':{'1e3':1}} ~ invalid_value ~ logit_bias.1e3",
        "{USER,'user':{}} ~ invalid_type ~ user",
    })
    void chatsWithAMistake(String body, String code, String param) {
        assertRefused(Endpoint.CHAT, body, code, param);
    }

    @ParameterizedTest
    @CsvSource(delimiter = '~', quoteCharacter = '`', value = {
        "{} ~ missing_required_parameter ~ prompt",
        "{'prompt':''} ~ string_below_min_length ~ prompt",
        "{'prompt':[]} ~ array_below_min_length ~ prompt",
        "{'prompt':{}} ~ invalid_type ~ prompt",
        "{'prompt':5} ~ invalid_type ~ prompt",
        "{'prompt':['a',5]} ~ invalid_type ~ prompt[1]",
        "{'prompt':[5,'a']} ~ invalid_type ~ prompt[1]",
        "{'prompt':[[5],'a']} ~ invalid_type ~ prompt[1]",
        "{'prompt':[[5],[]]} ~ array_below_min_length ~ prompt[1]",
        "{'prompt':['a','']} ~ string_below_min_length ~ prompt[1]",
        "{'prompt':[null]} ~ invalid_type ~ prompt[0]",
        "{'prompt':[-1]} ~ integer_below_min_value ~ prompt[0]",
        "{'prompt':[[1],[400]]} ~ integer_above_max_value ~ prompt[1][0]",
        "{'prompt':[[1],[1.5]]} ~ invalid_type ~ prompt[1][0]",
        "{'prompt':[[1],[[1]]]} ~ invalid_type ~ prompt[1][0]",
        "{'prompt':'a','suffix':'b'} ~ unsupported_parameter ~ suffix",
        "{'prompt':'a','best_of':2} ~ unsupported_value ~ best_of",
        "{'prompt':'a','max_tokens':-1} ~ integer_below_min_value ~ max_tokens",
        "{'prompt':'a','logprobs':true} ~ invalid_type ~ logprobs",
        "{'prompt':'a','logprobs':21} ~ integer_above_max_value ~ logprobs",
        "{'prompt':['a','a','a','a','a','a','a','a','a'],'n':16} ~ integer_above_max_value ~ n",
    })
    void completionsWithAMistake(String body, String code, String param) {
        assertRefused(Endpoint.COMPLETIONS, body, code, param);
    }

    @ParameterizedTest
    @CsvSource(delimiter = '~', quoteCharacter = '`', value = {
        "GENERATE ~ {} ~ missing_required_parameter ~ prompt",
        "GENERATE ~ {'prompt':'a','token_ids':[1]} ~ invalid_value ~ prompt",
        "GENERATE ~ {'token_ids':[]} ~ array_below_min_length ~ token_ids",
        "GENERATE ~ {'token_ids':[400]} ~ integer_above_max_value ~ token_ids[0]",
        "GENERATE ~ {'prompt':'a','n':2} ~ unsupported_parameter ~ n",
        "GENERATE ~ {'prompt':'a','max_tokens':0} ~ integer_below_min_value ~ max_tokens",
        "TOKENIZE ~ {} ~ missing_required_parameter ~ prompt",
        "TOKENIZE ~ {'prompt':'a','messages':[{'role':'user','content':'x'}]} ~ invalid_value ~ prompt",
        "TOKENIZE ~ {'messages':[{'role':'user'}]} ~ missing_required_parameter ~ messages[0].content",
        "CACHE_RESET ~ {'cache_salt':''} ~ string_below_min_length ~ cache_salt",
        "CACHE_RESET ~ {'cache_salt':[]} ~ invalid_type ~ cache_salt",
        "DETOKENIZE ~ {} ~ missing_required_parameter ~ tokens",
        "DETOKENIZE ~ {'tokens':[400]} ~ integer_above_max_value ~ tokens[0]",
    })
    void otherRoutesWithAMistake(Endpoint endpoint, String body, String code, String param) {
        assertRefused(endpoint, body, code, param);
    }

    @Test
    void listsEightMoreMistakesAtMost() {
        ApiException one = refusal(Endpoint.CHAT, "{USER,'n':0,'top_p':2,'min_p':-1}");
        assertThat(one.error().param()).isEqualTo("n");
        assertThat(one.error().details()).containsExactly(new ApiError.Detail("top_p", "decimal_above_max_value"),
                new ApiError.Detail("min_p", "decimal_below_min_value"));

        var many = new StringBuilder("{'messages':[");
        many.append("{},".repeat(50)).setLength(many.length() - 1);
        assertThat(refusal(Endpoint.CHAT, many + "]}").error().details()).hasSize(8);
    }

    @Test
    void boundsMessagesPartsAndTools() {
        String message = "{'role':'user','content':'x'}";
        assertThat(read(Endpoint.CHAT, "{'messages':[" + repeat(message, 4_096) + "]}")).isNotNull();
        assertRefused(Endpoint.CHAT, "{'messages':[" + repeat(message, 4_097) + "]}", "array_above_max_length", "messages");
        String part = "{'type':'text','text':'x'}";
        assertThat(read(Endpoint.CHAT, "{'messages':[{'role':'user','content':[" + repeat(part, 256) + "]}]}")).isNotNull();
        assertRefused(Endpoint.CHAT, "{'messages':[{'role':'user','content':[" + repeat(part, 257) + "]}]}",
                "array_above_max_length", "messages[0].content");
        assertRefused(Endpoint.CHAT, "{USER,'tools':[" + repeat(TOOL, 129) + "]}", "array_above_max_length", "tools");
        assertRefused(Endpoint.CHAT, "{USER,'tools':[{'type':'function','function':{'name':'" + "f".repeat(129) + "'}}]}",
                "invalid_value", "tools[0].function.name");
        assertRefused(Endpoint.CHAT, "{USER,'tools':[{'type':'function','function':{'name':'f','description':'"
                + "d".repeat(65_537) + "'}}]}", "string_above_max_length", "tools[0].function.description");
        assertRefused(Endpoint.CHAT, "{USER,'tools':[{'type':'function','function':{'name':'f','parameters':{'x':'"
                + "d".repeat(262_144) + "'}}}]}", "invalid_value", "tools[0].function.parameters");
        var tools = new StringBuilder();
        for (int i = 0; i < 5; i++) {
            tools.append("{'type':'function','function':{'name':'f").append(i).append("','parameters':{'x':'")
                    .append("d".repeat(250_000)).append("'}}},");
        }
        assertRefused(Endpoint.CHAT, "{USER,'tools':[" + tools.substring(0, tools.length() - 1) + "]}", "invalid_value", "tools");
        assertRefused(Endpoint.COMPLETIONS, "{'prompt':[" + repeat("'x'", 65) + "]}", "array_above_max_length", "prompt");
        assertRefused(Endpoint.COMPLETIONS, "{'prompt':[" + repeat("1", 257) + "]}", "array_above_max_length", "prompt");
    }

    @ParameterizedTest
    @ValueSource(strings = {"<|im_end|>", "{{ 7*7 }}", "{% raise %}", "<tool_call>", "</think>", "\u202eabc\u200b", "\ufffe"})
    void takesSpellingsOfMarkersAsText(String text) {
        var chat = (ChatCompletionRequest) read(Endpoint.CHAT, "{'messages':[{'role':'user','content':'" + text + "'}]}");

        assertThat(chat.conversation().messages().getFirst().content()).isEqualTo(text);
    }

    @Test
    void namesUnknownFieldsInsteadOfFailing() {
        var chat = (ChatCompletionRequest) read(Endpoint.CHAT,
                "{USER,'frobnicate':1,'prompt':'x','priority':5,'chat_template_kwargs':{'mood':true}}");

        assertThat(chat.options().hints().ignored()).containsExactly("frobnicate", "prompt", "chat_template_kwargs.mood");
        var strict = FakeModel.reader(new ApiOptions(ApiLimits.standard(), true, ReasoningFields.BOTH, ThinkingDefaults.standard()));
        ApiException refused = catchThrowableOfType(ApiException.class, () -> strict.chat(bytes("{USER,'frobnicate':1}")));
        assertThat(refused.error().code()).isEqualTo("unknown_parameter");
        assertThat(refused.error().param()).isEqualTo("frobnicate");
    }

    @Test
    void keepsOnlyPlainRequestIds() {
        var plain = (ChatCompletionRequest) read(Endpoint.CHAT, "{USER,'request_id':'a-B_3.x'}");
        var forged = (ChatCompletionRequest) read(Endpoint.CHAT, "{USER,'request_id':'a\\r\\nSet-Cookie: b'}");

        assertThat(plain.options().hints().requestId()).contains("a-B_3.x");
        assertThat(forged.options().hints().requestId()).isEmpty();
    }

    @Test
    void boundsTheHeaderOfIgnoredFields() {
        assertThat(UnknownFields.header(List.of("a", "b.c"))).isEqualTo("a,b.c");
        assertThat(UnknownFields.header(List.of("a", "x\r\nSet-Cookie: y", "b"))).isEqualTo("a,b,+1");
        assertThat(UnknownFields.header(List.of("ü"))).isEqualTo("+1");
        assertThat(UnknownFields.header(Collections.nCopies(20, "n"))).endsWith(",n,+4");
    }

    /// Takes valid requests apart and puts them together wrongly: only our own refusals may come out.
    @Test
    void survivesRandomlyDamagedRequests() {
        for (int round = 0; round < 20_000; round++) {
            long seed = 7_919L * round;
            Random random = new Random(seed);
            Endpoint endpoint = Endpoint.values()[random.nextInt(5)];
            byte[] body = bytes(random.nextInt(3) == 0 ? soup(random) : sample(endpoint));
            for (int i = random.nextInt(4); i > 0; i--) {
                body[random.nextInt(body.length)] = (byte) DAMAGE.charAt(random.nextInt(DAMAGE.length()));
            }
            byte[] damaged = body;

            Throwable thrown = catchThrowable(() -> readBytes(endpoint, damaged));

            if (thrown != null) {
                assertThat(thrown).as("seed %d, %s %s", seed, endpoint, new String(body, StandardCharsets.UTF_8))
                        .isInstanceOf(ApiException.class);
                assertThat(((ApiException) thrown).error().status()).isEqualTo(400);
            }
        }
    }

    /// Known field names with values of any kind.
    private static String soup(Random random) {
        List<Parameter> all = ParameterTable.all();
        var body = new StringBuilder("{");
        for (int i = random.nextInt(8); i >= 0; i--) {
            body.append('"').append(all.get(random.nextInt(all.size())).name()).append("\":").append(value(random, 3));
            body.append(i > 0 ? "," : "}");
        }
        return body.toString();
    }

    private static String value(Random random, int depth) {
        String[] names = {"type", "text", "role", "content", "function", "name", "arguments", "mode", "tools", "allowed_tools",
            "parameters", "properties", "tool_calls", "enable_thinking", "effort", "include_usage"};
        return switch (random.nextInt(depth > 0 ? 10 : 7)) {
            case 0 -> "null";
            case 1 -> String.valueOf(random.nextBoolean());
            case 2 -> String.valueOf(random.nextInt(-3, 300));
            case 3 -> String.valueOf(random.nextGaussian());
            case 4 -> "\"" + names[random.nextInt(names.length)] + "\"";
            case 5 -> "\"" + List.of("user", "assistant", "tool", "text", "function", "auto", "required", "{}").get(random.nextInt(8))
                    + "\"";
            case 6 -> "1e30";
            case 7 -> "[" + value(random, depth - 1) + "," + value(random, depth - 1) + "]";
            default -> "{\"" + names[random.nextInt(8)] + "\":" + value(random, depth - 1) + ",\"" + names[8 + random.nextInt(8)]
                    + "\":" + value(random, depth - 1) + "}";
        };
    }

    private static String sample(Endpoint endpoint) {
        return RequestExamples.of(endpoint).getLast().toString();
    }

    private void assertRefused(Endpoint endpoint, String body, String code, String param) {
        ApiError error = refusal(endpoint, body).error();
        assertThat(error.code()).as(error.message()).isEqualTo(code);
        assertThat(error.param()).as(error.message()).isEqualTo(param);
        assertThat(error.status()).isEqualTo(400);
        assertThat(error.retry().shouldRetry()).isFalse();
    }

    private ApiException refusal(Endpoint endpoint, String body) {
        ApiException refused = catchThrowableOfType(ApiException.class, () -> read(endpoint, body));
        assertThat(refused).as("refusal of %s", body.substring(0, Math.min(200, body.length()))).isNotNull();
        return refused;
    }

    private Object read(Endpoint endpoint, String body) {
        return readBytes(endpoint, bytes(body));
    }

    private Object readBytes(Endpoint endpoint, byte[] body) {
        return switch (endpoint) {
            case CHAT -> reader.chat(body);
            case COMPLETIONS -> reader.completion(body);
            case GENERATE -> reader.generate(body);
            case TOKENIZE -> reader.tokenize(body);
            case DETOKENIZE -> reader.detokenize(body);
            case CACHE_RESET -> reader.cacheReset(body);
            case SESSION -> reader.session(body);
            case SESSION_FORK -> reader.sessionFork(body);
        };
    }

    private static String repeat(String item, int count) {
        return String.join(",", Collections.nCopies(count, item));
    }

    private static byte[] bytes(String body) {
        return body.replace("USER", USER).replace("TOOL", TOOL).replace('\'', '"').getBytes(StandardCharsets.UTF_8);
    }
}
