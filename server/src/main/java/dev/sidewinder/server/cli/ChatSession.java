package dev.sidewinder.server.cli;

import dev.sidewinder.model.chat.Message;
import dev.sidewinder.model.chat.OutputDelta;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.PrintStream;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/// A conversation between a person (or a pipe) and a server: reads lines, prints answers, keeps the history.
///
/// One thread runs it; `interrupt` may come from any.
final class ChatSession {

    private static final String HELP = """
            /system TEXT  sets the system message and starts anew
            /reset        forgets the conversation
            /exit         ends the program (so does the end of the input)
            A line that ends with \\ goes on in the next. Ctrl-C stops an answer.""";

    private final ChatClient client;
    private final ChatClient.Options options;
    private final Terminal terminal;
    private final BufferedReader input;
    private final PrintStream output;
    private final PrintStream errors;
    private final List<Message> history = new ArrayList<>();
    private volatile ChatAnswer answering;

    ChatSession(ChatClient client, ChatClient.Options options, String system, Terminal terminal, BufferedReader input,
            PrintStream output, PrintStream errors) {
        this.client = client;
        this.options = options;
        this.terminal = terminal;
        this.input = input;
        this.output = output;
        this.errors = errors;
        restart(system);
    }

    /// Talks until the input ends.
    ///
    /// @return the exit status: a pipe wants to know that an answer failed, a person has seen it
    int run() throws IOException, InterruptedException {
        boolean failed = false;
        for (Optional<String> line = readLine(); line.isPresent(); line = readLine()) {
            String text = line.get().strip();
            if (text.equals("/exit")) {
                break;
            }
            if (text.startsWith("/")) {
                command(text);
            } else if (!text.isEmpty()) {
                failed |= !exchange(line.get());
            }
        }
        return failed && !terminal.interactive() ? 1 : 0;
    }

    /// Stops the answer that is being written.
    ///
    /// @return false when there is none
    boolean interrupt() {
        ChatAnswer answer = answering;
        if (answer == null) {
            return false;
        }
        answer.stop();
        return true;
    }

    List<Message> history() {
        return List.copyOf(history);
    }

    /// A line of input, joined with those that continue it.
    private Optional<String> readLine() throws IOException {
        prompt("> ");
        String line = input.readLine();
        if (line == null) {
            return Optional.empty();
        }
        var text = new StringBuilder();
        while (line != null && line.endsWith("\\")) {
            text.append(line, 0, line.length() - 1).append('\n');
            prompt("… ");
            line = input.readLine();
        }
        return Optional.of(text.append(line == null ? "" : line).toString());
    }

    private void prompt(String sign) {
        if (terminal.interactive()) {
            output.print(sign);
            output.flush();
        }
    }

    private void command(String text) {
        String name = text.split("\\s", 2)[0];
        String argument = text.substring(name.length()).strip();
        switch (name) {
            case "/system" -> restart(argument);
            case "/reset" -> restart(system());
            case "/help" -> output.println(HELP);
            default -> errors.println("unknown command " + name + "; /help lists them");
        }
    }

    private String system() {
        boolean hasSystem = !history.isEmpty() && history.getFirst().role() == Message.Role.SYSTEM;
        return hasSystem ? history.getFirst().content() : "";
    }

    private void restart(String system) {
        history.clear();
        if (system != null && !system.isEmpty()) {
            history.add(Message.system(system));
        }
    }

    /// One turn. When it fails the question is taken back, so that the next one finds a valid history.
    private boolean exchange(String question) throws IOException, InterruptedException {
        history.add(Message.user(question));
        try (ChatAnswer answer = client.ask(history, options)) {
            answering = answer;
            history.add(Message.assistant(print(answer)));
            return true;
        } catch (CommandException failure) {
            history.removeLast();
            errors.println("sidewinder chat: " + failure.getMessage());
            return false;
        } catch (IOException broken) {
            history.removeLast();
            errors.println("sidewinder chat: the connection broke: " + broken.getMessage());
            return false;
        } finally {
            answering = null;
        }
    }

    /// Prints an answer as it comes.
    ///
    /// @return its content
    private String print(ChatAnswer answer) throws IOException {
        var content = new StringBuilder();
        OutputDelta before = null;
        for (Optional<List<OutputDelta>> deltas = answer.next(); deltas.isPresent(); deltas = answer.next()) {
            for (OutputDelta delta : deltas.get()) {
                boolean newPart = before != null && !continues(before, delta);
                output.print((newPart ? "\n" : "") + shown(delta));
                if (delta instanceof OutputDelta.Content text) {
                    content.append(text.text());
                }
                before = delta;
            }
            output.flush();
        }
        output.println();
        if (answer.stopped()) {
            output.println(terminal.dim("(stopped)"));
        } else if (answer.finishReason().equals("length")) {
            errors.println(terminal.dim("(cut off at the token limit)"));
        }
        return content.toString();
    }

    private static boolean continues(OutputDelta before, OutputDelta delta) {
        return switch (delta) {
            case OutputDelta.Reasoning _ -> before instanceof OutputDelta.Reasoning;
            case OutputDelta.Content _ -> before instanceof OutputDelta.Content;
            case OutputDelta.ToolCallStarted _ -> false;
            case OutputDelta.ToolCallArguments _, OutputDelta.ToolCallEnded _ -> true;
        };
    }

    private String shown(OutputDelta delta) {
        return switch (delta) {
            case OutputDelta.Reasoning reasoning -> terminal.dim(terminal.safe(reasoning.text()));
            case OutputDelta.Content content -> terminal.safe(content.text());
            case OutputDelta.ToolCallStarted call -> "→ " + terminal.safe(call.name()) + " ";
            case OutputDelta.ToolCallArguments arguments -> terminal.safe(arguments.json());
            case OutputDelta.ToolCallEnded _ -> "";
        };
    }
}
