package dev.sidewinder.model.chat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.sidewinder.model.tokenizer.ControlTokens;
import java.util.List;
import java.util.Map;

/// Separates reasoning, content and tool calls in the output of the Nemotron-3 family.
///
/// - `</think>` ends reasoning, and the newlines right behind it are dropped; `<think>` in content opens it again. A tag
///   where none belongs is dropped and counted. An answer without thinking is content throughout, whatever tags come.
/// - `<tool_call>` opens a block. Inside reasoning it is held back until it is complete, and then closes the reasoning;
///   otherwise it is reasoning. A block that is no call is content, byte for byte. Without tools in the request there
///   are no calls, and the tags are text.
/// - White space before, between and behind tool calls is part of the frame where no other content stands.
/// - Stop strings are looked for in content only: not in reasoning, and not in tool calls, which they would cut into
///   invalid JSON. One never spans a reasoning or a call.
///
/// Texts may come from a stream decoder that skips special tokens or from one that does not.
public final class NemotronOutputParser implements ChatOutputParser {

    /// @param thinking             whether the prompt opened reasoning
    /// @param control              ids of the tags
    /// @param tools                schema of the parameters by name of the tool; empty = no calls
    /// @param parallelToolCalls    false: the answer ends with its first call
    /// @param forceNonemptyContent whether reasoning that came to a natural end without an answer is also sent as content
    /// @param stops                stop strings
    /// @param includeStop          whether the content keeps the stop string it ends with
    /// @param minTokens            stop strings are not looked for in the text of the first tokens
    public record Options(boolean thinking, ControlTokens control, Map<String, JsonNode> tools,
            boolean parallelToolCalls, boolean forceNonemptyContent, List<String> stops, boolean includeStop,
            int minTokens) {
        public Options {
            tools = Map.copyOf(tools);
            stops = List.copyOf(stops);
        }
    }

    private enum State {
        REASONING, CONTENT
    }

    private final Options options;
    private final ControlTags tags;
    private final DeltaBuffer out = new DeltaBuffer();
    private final StopMatcher stops;
    private final ContentStream content;
    /// All of it, while it may have to be sent again as content.
    private final StringBuilder reasoning = new StringBuilder();
    private boolean keepReasoning;

    private State state;
    /// The block under way; null outside.
    private ToolCallReader block;
    /// The block as text, while it may still turn out to be no call.
    private final StringBuilder blockText = new StringBuilder();

    private int tokens;
    private int reasoningTokens;
    private int blockTokens;
    private int callsStarted;
    private int callsEnded;
    private boolean callAllowedIsComplete;
    /// The last thing was a hoisted call, so `</think>` may still come.
    private boolean closesHoisted;
    private int ok;
    private int coercedRaw;
    private int hoisted;
    private int malformed;
    private int droppedThinkTags;

    public NemotronOutputParser(Options options) {
        this.options = options;
        tags = new ControlTags(options.control(), !options.tools().isEmpty());
        stops = new StopMatcher(options.stops(), options.includeStop());
        content = new ContentStream(stops, out);
        state = options.thinking() ? State.REASONING : State.CONTENT;
        keepReasoning = options.thinking() && options.forceNonemptyContent();
    }

    @Override
    public List<OutputDelta> accept(int token, String text) {
        if (stopped()) {
            return List.of();
        }
        tokens++;
        ControlTags.Tag tag = tags.of(token);
        if (tag == ControlTags.Tag.NONE) {
            count();
            text(text);
        } else {
            // in front of the tag there may be what an incomplete character before it became
            text(text.endsWith(tag.literal()) ? text.substring(0, text.length() - tag.literal().length()) : text);
            if (!stopped()) {
                tag(tag);
            }
        }
        return out.take();
    }

    @Override
    public List<OutputDelta> finish(String text, End end) {
        if (!stopped()) {
            text(text);
            if (block != null) {
                endBlock(end);
            }
            content.end(callsStarted > 0);
            if (keepReasoning && end == End.STOP) {
                out.content(reasoning);
            }
        }
        return out.take();
    }

    private void count() {
        if (block != null) {
            blockTokens++;
        } else if (state == State.REASONING) {
            reasoningTokens++;
        }
    }

    private void text(String text) {
        if (text.isEmpty()) {
            return;
        }
        if (block != null) {
            blockText(text);
        } else if (state == State.REASONING) {
            reasoning(text);
        } else {
            content.accept(text, tokens > options.minTokens());
        }
    }

    private void reasoning(CharSequence text) {
        out.reasoning(text);
        if (keepReasoning) {
            reasoning.append(text);
        }
    }

    private void tag(ControlTags.Tag tag) {
        switch (tag) {
            case THINK_START, THINK_END -> {
                // text inside a call that goes on; any other block ends here
                if (state == State.CONTENT && insideCall()) {
                    blockTokens++;
                    blockText(tag.literal());
                } else {
                    endBlock();
                    thinkTag(tag);
                }
            }
            case TOOL_CALL_START -> {
                if (insideCall()) {
                    blockTokens++;
                    blockText(tag.literal());
                } else {
                    endBlock();
                    openBlock();
                }
            }
            case TOOL_CALL_END -> {
                count();
                if (block == null) {
                    text(tag.literal());
                } else if (block.started()) {
                    closeBlock();
                } else {
                    blockText.append(tag.literal());
                    blockIsText();
                }
            }
            case NONE -> throw new IllegalStateException("a token without tag");
        }
    }

    private boolean insideCall() {
        return block != null && block.started() && !block.functionClosed();
    }

    private void thinkTag(ControlTags.Tag tag) {
        if (stopped()) {
            return;
        }
        boolean opens = tag == ControlTags.Tag.THINK_START;
        count();
        if (state == State.REASONING && !opens) {
            endReasoning();
            content.afterReasoning();
        } else if (state == State.CONTENT && opens && options.thinking()) {
            content.flush();
            state = State.REASONING;
            reasoningTokens++;
        } else {
            droppedThinkTags++;
            if (closesHoisted && !opens) {
                content.afterReasoning();
            }
        }
        closesHoisted = false;
    }

    private void endReasoning() {
        state = State.CONTENT;
        keepReasoning = false;
        reasoning.setLength(0);
    }

    private void openBlock() {
        if (stopped()) {
            return;
        }
        block = new ToolCallReader(callsStarted, options.tools());
        blockText.setLength(0);
        blockText.append(ControlTags.Tag.TOOL_CALL_START.literal());
        blockTokens = 1;
    }

    private void blockText(String text) {
        boolean held = state == State.REASONING;
        if (held || !block.started()) {
            blockText.append(text);
        }
        block.accept(text);
        if (block.isNoCall()) {
            blockIsText();
        } else if (block.started() && !held) {
            sendBlock();
        }
    }

    /// Sends what is known of the call; in front of its name, what content still held back.
    private void sendBlock() {
        if (callsStarted == callsEnded) {
            content.beforeToolCall();
            callsStarted++;
        }
        block.deltas().drainTo(out);
    }

    /// The block is no call, or one that reasoning never completed.
    private void blockIsText() {
        block = null;
        malformed++;
        String text = blockText.toString();
        blockText.setLength(0);
        if (state == State.REASONING) {
            reasoningTokens += blockTokens;
            reasoning(text);
        } else {
            content.accept(text, tokens > options.minTokens());
        }
    }

    private void closeBlock() {
        boolean wasHeld = state == State.REASONING;
        if (wasHeld) {
            endReasoning();
        }
        block.close();
        sendBlock();
        callsEnded++;
        callAllowedIsComplete = !options.parallelToolCalls();
        closesHoisted = wasHeld;
        if (wasHeld) {
            hoisted++;
        } else if (block.deviant()) {
            malformed++;
        } else if (block.coerced()) {
            coercedRaw++;
        } else {
            ok++;
        }
        block = null;
    }

    /// Ends a block that nothing more can come to: with `</function>` seen it is a call all the same.
    private void endBlock() {
        if (block == null) {
            return;
        }
        if (block.functionClosed()) {
            closeBlock();
        } else {
            blockIsText();
        }
    }

    /// The answer ends. A stop token may stand for the closing tag, the token limit may not.
    private void endBlock(End end) {
        if (state == State.REASONING && end == End.LENGTH || !block.started()) {
            blockIsText();
        } else if (state == State.REASONING) {
            endBlock();
        } else if (end == End.STOP || block.functionCloseSeen()) {
            closeBlock();
        } else {
            block.cut();
            sendBlock();
            block = null;
        }
    }

    @Override
    public int reasoningTokens() {
        return reasoningTokens;
    }

    @Override
    public int toolCalls() {
        return callsEnded;
    }

    @Override
    public boolean stopped() {
        return stops.matched() || callAllowedIsComplete;
    }

    /// What was met so far.
    public OutputCounts counts() {
        return new OutputCounts(ok, coercedRaw, hoisted, malformed, droppedThinkTags);
    }
}
