package dev.sidewinder.server.api.answer;

import dev.sidewinder.model.chat.OutputDelta;
import java.util.ArrayList;
import java.util.List;

/// The deltas of one choice, joined.
final class CollectedChoice {

    private final StringBuilder content = new StringBuilder();
    private final StringBuilder reasoning = new StringBuilder();
    private final List<Call> calls = new ArrayList<>();
    private final TokenReport report = new TokenReport();
    private String finishReason;

    record Call(String id, String name, StringBuilder arguments) {}

    void take(OutputDelta delta, TokenReport news, CallIds ids) {
        report.addAll(news);
        switch (delta) {
            case OutputDelta.Content(String text) -> content.append(text);
            case OutputDelta.Reasoning(String text) -> reasoning.append(text);
            case OutputDelta.ToolCallStarted(int _, String name) -> calls.add(new Call(ids.next(), name, new StringBuilder()));
            case OutputDelta.ToolCallArguments(int call, String text) -> calls.get(call).arguments().append(text);
            case OutputDelta.ToolCallEnded(int call) -> {
                StringBuilder arguments = calls.get(call).arguments();
                if (arguments.isEmpty()) {
                    arguments.append("{}");
                }
            }
        }
    }

    void end(String reason, String tail, TokenReport news) {
        report.addAll(news);
        content.append(tail);
        finishReason = reason;
    }

    String content() {
        return content.toString();
    }

    String reasoning() {
        return reasoning.toString();
    }

    List<Call> calls() {
        return calls;
    }

    TokenReport report() {
        return report;
    }

    String finishReason() {
        return finishReason;
    }
}
