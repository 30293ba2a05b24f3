package dev.sidewinder.server.api;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.sidewinder.model.chat.Message;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/// Bytes of a body to a checked request: strict JSON, then the parameter table, then the rules between fields. Every
/// mistake ends in an [ApiException]. Safe for use by many threads; makes no request of its own to anything.
public final class RequestReader {

    private final ApiOptions options;
    private final Bounds bounds;
    private final StrictJson json;
    private final boolean goesOn;

    /// @param maxModelTokens prompt and answer of one sequence at most
    /// @param vocabSize      token ids are in `[0, vocabSize)`
    public RequestReader(ApiOptions options, int maxModelTokens, int vocabSize) {
        this(options, new Bounds(options.limits(), maxModelTokens, vocabSize), false);
    }

    private RequestReader(ApiOptions options, Bounds bounds, boolean goesOn) {
        this.options = options;
        this.bounds = bounds;
        this.json = new StrictJson(options.limits().json());
        this.goesOn = goesOn;
    }

    /// A reader of requests that go on with a session which they do not name themselves.
    public RequestReader goingOn() {
        return new RequestReader(options, bounds, true);
    }

    public ChatCompletionRequest chat(byte[] body) {
        var reading = new Reading(Endpoint.CHAT, json.readObject(body));
        var request = reading.chat();
        reading.problems.throwIfAny();
        return request;
    }

    public CompletionRequest completion(byte[] body) {
        var reading = new Reading(Endpoint.COMPLETIONS, json.readObject(body));
        var request = reading.completion();
        reading.problems.throwIfAny();
        return request;
    }

    public GenerateRequest generate(byte[] body) {
        var reading = new Reading(Endpoint.GENERATE, json.readObject(body));
        var request = reading.generate();
        reading.problems.throwIfAny();
        return request;
    }

    public TokenizeRequest tokenize(byte[] body) {
        var reading = new Reading(Endpoint.TOKENIZE, json.readObject(body));
        var request = reading.tokenize();
        reading.problems.throwIfAny();
        return request;
    }

    public DetokenizeRequest detokenize(byte[] body) {
        var reading = new Reading(Endpoint.DETOKENIZE, json.readObject(body));
        var request = new DetokenizeRequest(reading.fields.text("model"), reading.fields.tokenIds("tokens"),
                reading.fields.flag("skip_special_tokens", false), reading.ignored);
        reading.problems.throwIfAny();
        return request;
    }

    public SessionRequest session(byte[] body) {
        var reading = new Reading(Endpoint.SESSION, json.readObject(body));
        var request = reading.session();
        reading.problems.throwIfAny();
        return request;
    }

    /// @return the name of the second session
    public String sessionFork(byte[] body) {
        var reading = new Reading(Endpoint.SESSION_FORK, json.readObject(body));
        Optional<String> name = reading.sessionName();
        reading.problems.throwIfAny();
        return name.orElseThrow();
    }

    public CacheResetRequest cacheReset(byte[] body) {
        var reading = new Reading(Endpoint.CACHE_RESET, json.readObject(body));
        var request = new CacheResetRequest(reading.fields.text("cache_salt"), reading.ignored);
        reading.problems.throwIfAny();
        return request;
    }

    /// One body on its way to a request. Reading goes on after a mistake, to list a few more.
    private final class Reading {
        private final Problems problems = new Problems();
        private final List<String> ignored;
        private final Fields fields;

        Reading(Endpoint endpoint, ObjectNode body) {
            ignored = new ArrayList<>(UnknownFields.of(endpoint, body));
            if (options.strict()) {
                ignored.forEach(name -> problems.add("unknown_parameter", Printable.cut(name),
                        "'" + Printable.cut(name) + "' is not a parameter of this route."));
            }
            fields = new ParameterReader(bounds, problems).read(ParameterTable.of(endpoint), body);
        }

        ChatCompletionRequest chat() {
            var thinkingReader = new ThinkingReader(problems, ignored);
            Map<String, JsonNode> variables = thinkingReader.variables(fields);
            ThinkingOptions thinking = thinkingReader.thinking(fields, options.thinking());
            Conversation conversation = conversation(variables);
            ToolOptions tools = tools();
            GenerationOptions generation = generation(fields.integer("max_completion_tokens").isPresent()
                    ? "max_completion_tokens" : "max_tokens");
            FieldRules.check(fields, generation, problems);
            FieldRules.checkResponseFormat(fields, tools.choice().forced(), problems);
            return new ChatCompletionRequest(fields.text("model"), conversation, tools, thinking, generation);
        }

        CompletionRequest completion() {
            List<Prompt> prompts = fields.json("prompt").map(new PromptReader(bounds, problems)::read).orElse(List.of());
            GenerationOptions generation = generation("max_tokens");
            FieldRules.check(fields, generation, problems);
            FieldRules.checkResponseFormat(fields, false, problems);
            FieldRules.checkChoices(prompts.size(), generation, bounds.limits(), problems);
            return new CompletionRequest(fields.text("model"), prompts, fields.integer("truncate_prompt_tokens"), generation);
        }

        GenerateRequest generate() {
            Optional<String> text = fields.text("prompt");
            List<Integer> ids = fields.tokenIds("token_ids");
            if (!problems.any() && text.isPresent() == !ids.isEmpty()) {
                problems.add(text.isPresent() ? "invalid_value" : "missing_required_parameter", "prompt",
                        "Send either 'prompt' (a text) or 'token_ids'.");
            }
            Prompt prompt = text.<Prompt>map(Prompt.Text::new)
                    .orElseGet(() -> new Prompt.Tokens(ids.stream().mapToInt(Integer::intValue).toArray()));
            GenerationOptions generation = generation("max_tokens");
            FieldRules.check(fields, generation, problems);
            return new GenerateRequest(fields.text("model"), prompt, generation);
        }

        TokenizeRequest tokenize() {
            Optional<String> prompt = fields.text("prompt");
            boolean hasMessages = fields.has("messages");
            if (!problems.any() && prompt.isPresent() == hasMessages) {
                problems.add(hasMessages ? "invalid_value" : "missing_required_parameter", "prompt",
                        "Send either 'prompt' (a text) or 'messages'.");
            }
            Optional<Conversation> conversation = hasMessages
                    ? Optional.of(conversation(new ThinkingReader(problems, ignored).variables(fields)))
                    : Optional.empty();
            return new TokenizeRequest(fields.text("model"), prompt, conversation, tools().tools(),
                    fields.flag("add_special_tokens", true), fields.flag("return_token_strs", false), ignored);
        }

        SessionRequest session() {
            List<Prompt> prompts = fields.json("prompt").map(new PromptReader(bounds, problems)::read).orElse(List.of());
            if (!problems.any() && (prompts.size() > 1 || !prompts.isEmpty() && fields.has("messages"))) {
                problems.add("invalid_value", "prompt", "A session begins with one prompt, or with 'messages'.");
            }
            Optional<Conversation> conversation = fields.has("messages")
                    ? Optional.of(conversation(new ThinkingReader(problems, ignored).variables(fields))) : Optional.empty();
            return new SessionRequest(sessionName(), prompts.stream().findFirst(), conversation.map(each ->
                    new Conversation(each.messages(), each.variables(), false, false)), tools().tools(), ignored);
        }

        private Optional<String> sessionName() {
            Optional<String> name = fields.text("name");
            if (name.isPresent() && !RequestIds.isValid(name.get())) {
                problems.add("invalid_value", "name", "The name of a session has 1 to 128 of the characters A-Z a-z 0-9 . _ -");
            }
            return name;
        }

        private Conversation conversation(Map<String, JsonNode> variables) {
            // what a session goes on with may be the result of a call that is in its history
            boolean begins = !goesOn && fields.text("session_id").isEmpty();
            List<Message> messages = fields.json("messages")
                    .map(new MessageReader(bounds.limits(), problems, begins)::read).orElse(List.of());
            boolean continues = fields.flag("continue_final_message", false);
            boolean opens = fields.flag("add_generation_prompt", !continues);
            if (continues && opens) {
                problems.add("invalid_value", "continue_final_message",
                        "At most one of 'add_generation_prompt' and 'continue_final_message' may be true.");
            }
            if (continues && !messages.isEmpty() && messages.getLast().role() != Message.Role.ASSISTANT) {
                problems.add("invalid_value", "continue_final_message",
                        "To continue the final message, that message must be the assistant's.");
            }
            return new Conversation(messages, variables, opens, continues);
        }

        private ToolOptions tools() {
            var reader = new ToolReader(bounds.limits(), problems);
            Map<String, JsonNode> tools = fields.json("tools").map(reader::tools).orElse(Map.of());
            return reader.choose(fields.json("tool_choice").orElse(null), tools, fields.flag("parallel_tool_calls", true));
        }

        /// @param maximum the field that bounds the answer
        private GenerationOptions generation(String maximum) {
            if (fields.flag("stream_options.include_progress", false)) {
                ignored.add("stream_options.include_progress");
            }
            return new GenerationOptions(FieldGroups.length(fields, maximum), FieldGroups.sampling(fields),
                    FieldGroups.stops(fields), FieldGroups.stream(fields), FieldGroups.output(fields),
                    FieldGroups.hints(fields, ignored));
        }
    }
}
