package dev.sidewinder.it.support;

import dev.sidewinder.model.checkpoint.ScriptedCheckpoint;
import java.nio.file.Path;

/// The words of a scripted checkpoint that is served to client libraries, so that their answers can be compared to the
/// letter.
public final class Script {

    public static final String REASONING = "They greet me, so I greet them.";
    public static final String ANSWER = "Hello! Ça va? 😀 I am well.\n\nAnd you?";
    public static final String TOOL_NAME = "get_weather";
    public static final String TOOL_ARGUMENTS = "{\"city\":\"Paris\",\"days\":3}";
    public static final String AFTER_TOOL = "It is sunny in Paris.";
    /// What has to be in a conversation for the model to call the tool.
    public static final String TOOL_QUESTION = "What about the weather there?";
    /// What has to be in a conversation for an answer without end.
    public static final String ENDLESS_QUESTION = "Please go on forever with this.";
    public static final String COMPLETION_PROMPT = "Once upon";
    public static final String COMPLETION = " a time there was a test.";

    private static final String CALL = "<tool_call>\n<function=get_weather>\n<parameter=city>\nParis\n</parameter>\n"
            + "<parameter=days>\n3\n</parameter>\n</function>\n</tool_call>";

    private Script() {}

    /// Writes the checkpoint folder.
    public static Path write(Path folder) {
        return new ScriptedCheckpoint()
                .thinking(REASONING)
                .answer(ANSWER)
                .when("weather", CALL)
                .whenEndless("forever", "tick tock ")
                .afterToolResponse(AFTER_TOOL)
                .continuing("upon", COMPLETION)
                .write(folder);
    }
}
