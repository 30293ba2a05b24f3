package dev.sidewinder.server.api;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.BooleanNode;
import dev.sidewinder.engine.GenerationRequest;
import dev.sidewinder.kvcache.Partition;
import dev.sidewinder.model.chat.CallableTool;
import dev.sidewinder.model.chat.ChatPrompt;
import dev.sidewinder.model.chat.ChatTemplateException;
import dev.sidewinder.model.chat.GuideOptions;
import dev.sidewinder.model.chat.Message;
import dev.sidewinder.model.chat.ThinkingBudget;
import dev.sidewinder.model.grammar.TokenGuide;
import dev.sidewinder.model.tokenizer.ControlTokens;
import dev.sidewinder.model.tokenizer.TextRun;
import dev.sidewinder.scheduler.Mark;
import dev.sidewinder.server.api.answer.AnswerPlan;
import dev.sidewinder.server.api.answer.RenderedPrompt;
import dev.sidewinder.server.api.answer.SmallAnswers;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.function.Function;
import java.util.function.LongSupplier;
import java.util.function.Supplier;

/// From a checked request to token ids and work for the engine. Renders and tokenizes, so it belongs on a worker thread
/// and after the place in the queue is taken. Safe for use by many threads.
public final class RequestPlanner {

    private static final String THINK_START = ControlTokens.THINK_START;
    private static final String THINK_END = ControlTokens.THINK_END;

    /// Stands for the id of a request that is only rendered.
    private static final String RENDER_ID = "render";

    private static final int[] NO_HISTORY = {};

    private final ServedModel model;
    private final ApiOptions options;
    private final LongSupplier seeds;
    private final InstantSource clock;
    private final Optional<Partitions> partitions;

    /// @param seeds      for requests that name none
    /// @param partitions whose prefixes a request may use; empty = no request uses any
    public RequestPlanner(ServedModel model, ApiOptions options, LongSupplier seeds, InstantSource clock,
            Optional<Partitions> partitions) {
        this.partitions = partitions;
        this.model = model;
        this.options = options;
        this.seeds = seeds;
        this.clock = clock;
    }

    /// @param requestId of the request, already settled between header and body
    /// @throws ApiException when the model does not exist here, the prompt does not fit, or the model lacks what it takes
    public GenerationPlan plan(GenerationCall call, String requestId, Tenant tenant) {
        return plan(call, requestId, tenant, NO_HISTORY);
    }

    /// The same for a request of a session.
    ///
    /// @param history tokens of the session, which the prompt goes on from; none = the request begins it
    public GenerationPlan plan(GenerationCall call, String requestId, Tenant tenant, int[] history) {
        String name = model.resolve(call.model());
        Owner owner = new Owner(requestId, name, tenant, history);
        checkStops(call.options());
        return switch (call) {
            case ChatCompletionRequest chat -> planChat(chat, owner);
            case CompletionRequest completion -> planText(completion, owner);
            case GenerateRequest generate -> planGenerate(generate, owner);
        };
    }

    /// @param model   as the client named it
    /// @param history of its session
    private record Owner(String requestId, String model, Tenant tenant, int[] history) {}

    /// What a new session begins with.
    ///
    /// @return no tokens where it begins with nothing
    public int[] sessionPrefix(SessionRequest request) {
        if (request.conversation().isPresent()) {
            Conversation conversation = request.conversation().get();
            Map<String, JsonNode> variables = new LinkedHashMap<>(conversation.variables());
            variables.putIfAbsent("enable_thinking", BooleanNode.valueOf(options.thinking().enabled()));
            return model.textFor("messages").encode(render(conversation, request.tools(), variables));
        }
        return request.prompt().map(prompt -> tokens("prompt", prompt)).orElse(NO_HISTORY);
    }

    /// The body of an answer to `/v1/chat/completions/render`: the prompt that the model would get for this request, which is
    /// checked as if it were to be answered.
    public byte[] render(ChatCompletionRequest chat) {
        int[] tokens = plan(chat, RENDER_ID, Tenant.ANONYMOUS).requests().getFirst().prompt();
        List<TextRun> runs = render(chat.conversation(), chat.tools().tools(), variables(chat, model.chatFor("messages")));
        return SmallAnswers.rendered(List.of(RenderedPrompt.of(runs, tokens)));
    }

    /// The same for `/v1/completions/render`.
    public byte[] render(CompletionRequest completion) {
        List<GenerationRequest> requests = plan(completion, RENDER_ID, Tenant.ANONYMOUS).requests();
        List<RenderedPrompt> prompts = new ArrayList<>();
        for (int i = 0; i < requests.size(); i++) {
            prompts.add(rendered(completion.prompts().get(i), requests.get(i).prompt(),
                    completion.truncatePromptTokens().isPresent()));
        }
        return SmallAnswers.rendered(prompts);
    }

    private RenderedPrompt rendered(Prompt prompt, int[] tokens, boolean cut) {
        if (prompt instanceof Prompt.Text text && !cut) {
            // special tokens count anywhere in a text that is no conversation
            return RenderedPrompt.of(List.of(new TextRun(text.text(), true)), tokens);
        }
        return new RenderedPrompt(model.text().map(t -> t.decode(tokens, false)).orElse(null), tokens, List.of());
    }

    /// The body of an answer to `/tokenize`.
    public byte[] tokenize(TokenizeRequest request) {
        model.resolve(request.model());
        ModelText text = model.textFor(request.prompt().isPresent() ? "prompt" : "messages");
        int[] tokens;
        if (request.conversation().isPresent()) {
            Conversation conversation = request.conversation().get();
            Map<String, JsonNode> variables = new LinkedHashMap<>(conversation.variables());
            variables.putIfAbsent("enable_thinking", BooleanNode.valueOf(options.thinking().enabled()));
            tokens = text.encode(render(conversation, request.tools(), variables));
        } else {
            checkTextSize("prompt", request.prompt().orElseThrow().length());
            tokens = text.encode(request.prompt().orElseThrow(), request.addSpecialTokens());
        }
        return SmallAnswers.tokenized(tokens, model.maxModelTokens(),
                request.returnTokenStrs() ? model.text() : Optional.empty());
    }

    /// The body of an answer to `/detokenize`.
    public byte[] detokenize(DetokenizeRequest request) {
        model.resolve(request.model());
        int[] tokens = request.tokens().stream().mapToInt(Integer::intValue).toArray();
        return SmallAnswers.detokenized(model.textFor("tokens").decode(tokens, request.skipSpecialTokens()));
    }

    private GenerationPlan planChat(ChatCompletionRequest chat, Owner owner) {
        ChatFormat format = model.chatFor("messages");
        Map<String, JsonNode> variables = variables(chat, format);
        ModelText tokenizer = model.textFor("messages");
        boolean goesOn = owner.history().length > 0;
        List<TextRun> runs;
        int[] prompt;
        if (goesOn) {
            var turn = new NextTurn(format, tokenizer);
            runs = rendered(() -> turn.render(chat.conversation(), variables));
            prompt = turn.append(owner.history(), runs, variables);
        } else {
            checkOpening(chat.conversation());
            runs = render(chat.conversation(), chat.tools().tools(), variables);
            prompt = tokenizer.encode(runs);
        }
        String text = !chat.options().output().promptText() ? null : goesOn ? tokenizer.decode(prompt, false) : join(runs);
        GenerationOptions wanted = chat.options();
        boolean thinking = opensThinking(runs);
        var answer = new AnswerFormat(thinking, chat.tools().tools(), !chat.tools().oneCall(),
                chat.thinking().forceNonemptyContent(), wanted.stops(), wanted.length().minTokens());
        var answerChat = new AnswerPlan.Chat(() -> format.parser(answer), options.reasoningFields(),
                chat.thinking().includeReasoning(), chat.tools().choice() instanceof ToolChoice.Named);
        int maxTokens = PromptFit.maxTokens("messages", prompt.length, wanted.length(), model.maxModelTokens());
        var info = new AnswerPlan.PromptInfo(prompt, text, maxTokens);
        GenerationPlan plan = assemble(AnswerPlan.Form.CHAT, "chatcmpl-", wanted, owner, List.of(info),
                _ -> goesOn ? CacheMarks.of(prompt) : CacheMarks.of(format, runs, prompt), Optional.of(answerChat),
                stops -> format.guides(guideOptions(chat, format, thinking, stops)));
        return CacheMarks.answerStays(chat) ? plan.keepingAnswers() : plan;
    }

    /// What the prompt of the next turn begins with if a user speaks next, as the template will write it then: up to where that message's
    /// turn opens. Empty where the template shows no turns, or would not have such a conversation.
    ///
    /// @param answer without its reasoning
    public Optional<int[]> nextTurnBeginning(ChatCompletionRequest chat, String answer) {
        ChatFormat format = model.chatFor("messages");
        return new NextTurnBeginning(format, model.textFor("messages"))
                .of(chat.conversation(), chat.tools().tools(), variables(chat, format), answer);
    }

    private GuideOptions guideOptions(ChatCompletionRequest chat, ChatFormat format, boolean thinking,
            Set<Integer> stopTokens) {
        ToolOptions tools = chat.tools();
        List<CallableTool> callable = new ArrayList<>();
        for (JsonNode tool : tools.tools()) {
            JsonNode function = tool.get("function");
            String name = function.get("name").textValue();
            if (!(tools.choice() instanceof ToolChoice.Named(String only)) || only.equals(name)) {
                callable.add(new CallableTool(name, function.path("parameters"),
                        function.path("strict").asBoolean(false)));
            }
        }
        GuideOptions.Calls calls = tools.choice().forced()
                ? tools.oneCall() ? GuideOptions.Calls.FORCED_ONE : GuideOptions.Calls.FORCED
                : tools.oneCall() ? GuideOptions.Calls.FREE_ONE : GuideOptions.Calls.FREE;
        return new GuideOptions(thinking, budget(chat.thinking(), format), callable, calls, stopTokens);
    }

    private Optional<ThinkingBudget> budget(ThinkingOptions wanted, ChatFormat format) {
        OptionalInt tokens = wanted.budget().tokens();
        if (wanted.mediumEffort() && !wanted.budget().named() && !format.reads("medium_effort")) {
            tokens = OptionalInt.of(options.thinking().budgets().medium());
        }
        if (tokens.isEmpty()) {
            return Optional.empty();
        }
        var usual = ThinkingBudget.of(tokens.getAsInt());
        return Optional.of(new ThinkingBudget(usual.tokens(), wanted.budget().grace().orElse(usual.grace())));
    }

    /// Variables of the request, and what thinking means for this template.
    private static Map<String, JsonNode> variables(ChatCompletionRequest chat, ChatFormat format) {
        Map<String, JsonNode> variables = new LinkedHashMap<>(chat.conversation().variables());
        variables.put("enable_thinking", BooleanNode.valueOf(chat.thinking().enabled()));
        if (chat.thinking().mediumEffort() && format.reads("medium_effort")) {
            variables.put("medium_effort", BooleanNode.TRUE);
        }
        return variables;
    }

    private List<TextRun> render(Conversation conversation, List<JsonNode> tools, Map<String, JsonNode> variables) {
        ChatFormat format = model.chatFor("messages");
        return rendered(() -> format.render(new ChatPrompt(conversation.messages(), tools, variables,
                conversation.addGenerationPrompt(), conversation.continueFinalMessage())));
    }

    private List<TextRun> rendered(Supplier<List<TextRun>> rendering) {
        try {
            List<TextRun> runs = rendering.get();
            checkTextSize("messages", runs.stream().mapToLong(run -> run.text().length()).sum());
            return runs;
        } catch (ChatTemplateException refused) {
            throw ApiErrors.of(refused);
        }
    }

    /// Whether the prompt ends inside the reasoning: just behind its opening tag, or further in when a message is
    /// continued. Only tags of the template count, never what somebody typed.
    private static boolean opensThinking(List<TextRun> runs) {
        var template = new StringBuilder();
        for (TextRun run : runs) {
            // a blank keeps the pieces around other text from making a tag together
            template.append(run.fromTemplate() ? run.text() : " ");
        }
        return template.lastIndexOf(THINK_START) > template.lastIndexOf(THINK_END);
    }

    private static String join(List<TextRun> runs) {
        var text = new StringBuilder();
        runs.forEach(run -> text.append(run.text()));
        return text.toString();
    }

    private GenerationPlan planText(CompletionRequest completion, Owner owner) {
        GenerationOptions wanted = completion.options();
        List<AnswerPlan.PromptInfo> prompts = new ArrayList<>();
        for (int i = 0; i < completion.prompts().size(); i++) {
            String param = completion.prompts().size() == 1 ? "prompt" : "prompt[" + i + "]";
            int[] tokens = behind(owner.history(), tokens(param, completion.prompts().get(i), owner.history().length == 0));
            tokens = PromptFit.truncate(tokens, completion.truncatePromptTokens(), wanted.length(), model.maxModelTokens());
            int maxTokens = PromptFit.maxTokens(param, tokens.length, wanted.length(), model.maxModelTokens());
            boolean cut = completion.truncatePromptTokens().isPresent();
            String text = wanted.output().echo() ? promptText(completion.prompts().get(i), tokens, cut, wanted) : null;
            prompts.add(new AnswerPlan.PromptInfo(tokens, text, maxTokens));
        }
        return assemble(AnswerPlan.Form.TEXT, "cmpl-", wanted, owner, prompts, CacheMarks::of, Optional.empty(),
                _ -> Optional.empty());
    }

    private GenerationPlan planGenerate(GenerateRequest generate, Owner owner) {
        GenerationOptions wanted = generate.options();
        String param = generate.prompt() instanceof Prompt.Text ? "prompt" : "token_ids";
        int[] tokens = tokens(param, generate.prompt());
        int maxTokens = PromptFit.maxTokens(param, tokens.length, wanted.length(), model.maxModelTokens());
        String text = promptText(generate.prompt(), tokens, false, wanted);
        return assemble(AnswerPlan.Form.GENERATE, "gen-", wanted, owner,
                List.of(new AnswerPlan.PromptInfo(tokens, text, maxTokens)), CacheMarks::of, Optional.empty(), _ -> Optional.empty());
    }

    private static int[] behind(int[] history, int[] tokens) {
        int[] all = Arrays.copyOf(history, history.length + tokens.length);
        System.arraycopy(tokens, 0, all, history.length, tokens.length);
        return all;
    }

    /// A run of tool results needs a turn before it: where nothing is in front of it, the template would leave it unopened.
    private static void checkOpening(Conversation conversation) {
        List<Message> messages = conversation.messages();
        int first = !messages.isEmpty() && messages.getFirst().role() == Message.Role.SYSTEM ? 1 : 0;
        if (first < messages.size() && messages.get(first).role() == Message.Role.TOOL) {
            throw ApiErrors.invalid("invalid_value", "messages[" + first + "].role",
                    "A conversation must not begin with a tool message; send the assistant's call before it.");
        }
    }

    private int[] tokens(String param, Prompt prompt) {
        return tokens(param, prompt, true);
    }

    /// @param addSpecialTokens whether the post-processor adds its tokens: at the beginning only
    private int[] tokens(String param, Prompt prompt, boolean addSpecialTokens) {
        return switch (prompt) {
            case Prompt.Tokens tokens -> tokens.ids();
            case Prompt.Text text -> {
                ModelText tokenizer = model.textFor(param);
                checkTextSize(param, text.text().length());
                int[] ids = tokenizer.encode(text.text(), addSpecialTokens);
                if (ids.length == 0) {
                    throw ApiErrors.invalid("invalid_value", param, "'" + param + "' makes no token.");
                }
                yield ids;
            }
        };
    }

    /// The prompt as the answer repeats it: as it was sent, or decoded where it was sent as ids or cut.
    private String promptText(Prompt prompt, int[] tokens, boolean cut, GenerationOptions wanted) {
        if (prompt instanceof Prompt.Text text && !cut) {
            return text.text();
        }
        return model.text().map(t -> t.decode(tokens, wanted.output().skipSpecialTokens())).orElse("");
    }

    private void checkTextSize(String param, long chars) {
        int max = options.limits().get(Limit.TOKENIZER_INPUT_CHARS);
        if (chars > max) {
            throw ApiErrors.invalid("string_above_max_length", param, "'" + param + "' makes a text of " + chars
                    + " characters; this server tokenizes " + max + " at most.");
        }
    }

    /// Stop strings and bad words are texts: without a tokenizer nothing could be found.
    private void checkStops(GenerationOptions wanted) {
        if (!wanted.stops().strings().isEmpty() && model.text().isEmpty()) {
            throw ApiErrors.invalid("unsupported_value", "stop", "'stop' needs a tokenizer, and this model has none. "
                    + "Use 'stop_token_ids'.");
        }
        if (!wanted.sampling().badWords().isEmpty() && model.text().isEmpty()) {
            throw ApiErrors.invalid("unsupported_value", "bad_words", "'bad_words' needs a tokenizer, and this model has "
                    + "none. Use 'logit_bias' with -100.");
        }
    }

    /// @param marks where a prompt is worth keeping
    private GenerationPlan assemble(AnswerPlan.Form form, String prefix, GenerationOptions wanted, Owner owner,
            List<AnswerPlan.PromptInfo> prompts, Function<int[], List<Mark>> marks, Optional<AnswerPlan.Chat> chat,
            Function<Set<Integer>, Optional<Supplier<TokenGuide>>> guidesForStops) {
        var sampling = new SamplingPlan(model, wanted, seeds);
        Optional<Supplier<TokenGuide>> guides = guidesForStops.apply(sampling.stopTokens());
        int promptLogprobs = sampling.promptLogprobs();
        // who wants the scores of a prompt has all of it computed
        Optional<Partition> partition = promptLogprobs >= 0 ? Optional.empty()
                : partitions.map(all -> all.of(owner.tenant(), wanted.hints().cacheSalt()));
        List<GenerationRequest> requests = new ArrayList<>();
        for (int i = 0; i < prompts.size(); i++) {
            AnswerPlan.PromptInfo prompt = prompts.get(i);
            checkScored(prompt.tokens().length, promptLogprobs);
            String id = prompts.size() == 1 ? owner.requestId() : owner.requestId() + "-" + i;
            requests.add(new GenerationRequest(id, prompt.tokens(), prompt.maxTokens(), wanted.length().minTokens(),
                    sampling.stopTokens(), wanted.length().choices(), promptLogprobs,
                    sampling.params(form == AnswerPlan.Form.GENERATE), guides, partition, marks.apply(prompt.tokens()),
                    false, wanted.output().cacheExplain(), priority(wanted.hints().priority(), owner.tenant()),
                    owner.tenant().name()));
        }
        var identity = new AnswerPlan.Identity(owner.requestId(), prefix + owner.requestId(),
                clock.instant().getEpochSecond(), owner.model(), model.fingerprint());
        Optional<String> explained = wanted.output().cacheExplain()
                ? Optional.of(wanted.hints().cacheSalt().isPresent() ? "tenant+salt" : "tenant") : Optional.empty();
        return new GenerationPlan(requests, new AnswerPlan(form, identity, prompts, wanted.length().choices(),
                wanted.length().minTokens(), wanted.stops(), wanted.stream(), wanted.output(), model.text(), chat,
                explained));
    }

    /// The priority that a request gets: the floors of server and tenant raise what is more urgent than they allow.
    public int priority(int wanted, Tenant tenant) {
        return Math.max(wanted, Math.max(options.priorityFloor(), tenant.priorityFloor()));
    }

    private void checkScored(int promptTokens, int promptLogprobs) {
        int max = options.limits().get(Limit.PROMPT_LOGPROBS_TOKENS);
        if (promptLogprobs >= 0 && promptTokens > max) {
            throw ApiErrors.invalid("integer_above_max_value", "prompt_logprobs", "The prompt has " + promptTokens
                    + " tokens; log-probabilities are offered for " + max + " at most.");
        }
    }
}
