package dev.sidewinder.model.checkpoint;

import dev.sidewinder.model.synthetic.ShapeSpec;
import dev.sidewinder.model.synthetic.SyntheticModel;
import dev.sidewinder.model.synthetic.WeightFormat;
import dev.sidewinder.model.tokenizer.ControlTokens;
import dev.sidewinder.model.tokenizer.Tokenizer;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/// Writes a real checkpoint folder whose answers are known: tests of the whole server compare them to the letter.
///
/// ```java
/// new ScriptedCheckpoint()
///         .thinking("They greet me.\n")
///         .answer("Hello, how can I help?")
///         .when("weather", "<tool_call>\n<function=get_weather>\n<parameter=city>\nParis\n</parameter>\n"
///                 + "</function>\n</tool_call>")
///         .afterToolResponse("It is sunny in Paris.")
///         .whenEndless("forever", "tick tock ")
///         .write(folder);
/// ```
///
/// - With thinking the model says the reasoning, `</think>` and the answer; without, the answer alone. Both
///   end with `<|im_end|>`.
/// - A word anywhere in the conversation selects another answer. Of several such words, and of tool responses, the one
///   declared last wins wherever it stands, so a long conversation keeps its strongest one.
/// - `<tool_call>`, `</tool_call>`, `<think>` and `</think>` in scripts are the control tokens. Characters outside the
///   basic plane (emoji) come as four tokens of one byte each.
/// - Where nothing is scripted the model ends its turn. The margins are wide: sampling at a temperature up to 2 gives the
///   same text as greedy decoding, in `f32` and in `bf16`.
///
/// The folder has a layer of every kind; the attention and the dense layer decide.
public final class ScriptedCheckpoint {
    private static final List<String> TOKENIZER_FILES =
            List.of("tokenizer_config.json", "chat_template.jinja", "generation_config.json");

    private final ScriptVocabulary vocabulary = new ScriptVocabulary();
    private final int end = vocabulary.control(ControlTokens.TURN_END);
    private final int thinkEnd = vocabulary.control(ControlTokens.THINK_END);
    private final int thinkingStart = vocabulary.token("\n");
    private final ScriptMachine machine = new ScriptMachine(vocabulary, end, thinkingStart);

    /// What the model thinks, whatever the conversation.
    public ScriptedCheckpoint thinking(String text) {
        List<Integer> line = line(thinkingStart, text);
        line.add(thinkEnd);
        machine.addLine(ScriptMachine.NO_CUE, line);
        return this;
    }

    /// What it answers where nothing else is selected.
    public ScriptedCheckpoint answer(String text) {
        machine.addLine(ScriptMachine.NO_CUE, ended(line(thinkEnd, text)));
        return this;
    }

    /// What it answers when a word is in the conversation.
    ///
    /// @param word letters only
    public ScriptedCheckpoint when(String word, String text) {
        machine.addLine(cue(word), ended(line(thinkEnd, text)));
        return this;
    }

    /// What it says over and over when a word is in the conversation.
    public ScriptedCheckpoint whenEndless(String word, String text) {
        List<Integer> line = line(thinkEnd, text);
        line.add(line.get(1));
        machine.addLine(cue(word), line);
        return this;
    }

    /// What it answers when a tool response is in the conversation.
    public ScriptedCheckpoint afterToolResponse(String text) {
        int cue = machine.addCue(vocabulary.control(ControlTokens.TOOL_RESPONSE_START));
        machine.addLine(cue, ended(line(thinkEnd, text)));
        return this;
    }

    /// How it goes on behind a text completion's prompt that ends with a word.
    ///
    /// @param word letters only, written in the prompt behind a space
    public ScriptedCheckpoint continuing(String word, String text) {
        checkWord(word);
        int token = vocabulary.token(" " + word);
        vocabulary.reserve(token);
        machine.addLine(ScriptMachine.NO_CUE, ended(line(token, text)));
        return this;
    }

    private int cue(String word) {
        checkWord(word);
        int alone = vocabulary.token(word);
        int inside = vocabulary.token(" " + word);
        vocabulary.reserve(alone);
        vocabulary.reserve(inside);
        return machine.addCue(alone, inside);
    }

    private static void checkWord(String word) {
        if (!word.matches("[a-z]{3,}")) {
            throw new IllegalArgumentException("\"" + word + "\" must be a word of three or more small letters");
        }
    }

    private List<Integer> line(int start, String text) {
        List<Integer> line = new ArrayList<>();
        line.add(start);
        line.addAll(vocabulary.pieces(text));
        return line;
    }

    private List<Integer> ended(List<Integer> line) {
        line.add(end);
        return line;
    }

    /// Writes the folder.
    ///
    /// @throws IllegalArgumentException when the scripts cannot be told apart by one token and one cue
    public Path write(Path folder) {
        machine.check();
        var sizes = ScriptWeights.Sizes.of(machine, vocabulary.size());
        var shape = ShapeSpec.parse("tiny,layers=" + ScriptWeights.LAYERS + ",hidden=" + sizes.hidden() + ",vocab="
                + vocabulary.size() + ",mamba-heads=2,mamba-head-dim=32,groups=1,state=32,query-heads="
                + ScriptWeights.QUERY_HEADS + ",kv-heads=1,head-dim=" + sizes.headDim() + ",dense=" + sizes.units()
                + ",experts=4,active=2,intermediate=64,shared=64");
        var model = new SyntheticModel(shape, WeightFormat.BF16, 0);
        var weights = new ScriptWeights(machine, sizes, end);
        try {
            Files.createDirectories(folder);
            SafetensorsWriter.write(folder.resolve("model.safetensors"), model.layout(), weights, _ -> {});
            Path tokenizer = Files.write(folder.resolve("tokenizer.json"), vocabulary.json());
            Tokenizer.open(tokenizer).close();
            for (String name : TOKENIZER_FILES) {
                try (InputStream file = Tokenizer.class.getResourceAsStream("/dev/sidewinder/model/demo/" + name)) {
                    Files.copy(file, folder.resolve(name));
                }
            }
            Files.write(folder.resolve("config.json"), model.files().get("config.json"));
            return folder;
        } catch (IOException e) {
            throw new UncheckedIOException("the scripted checkpoint cannot be written to " + folder, e);
        }
    }
}
