package dev.sidewinder.bench;

import dev.sidewinder.model.Model;
import dev.sidewinder.model.chat.ChatPrompt;
import dev.sidewinder.model.chat.ChatTemplate;
import dev.sidewinder.model.chat.Message;
import dev.sidewinder.model.tokenizer.TextRun;
import dev.sidewinder.model.tokenizer.TokenDecoder;
import dev.sidewinder.model.tokenizer.Tokenizer;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/// Text of a conversation on its way in (template, tokenizer) and out (decoder), with the demo model's files.
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Fork(1)
@Warmup(iterations = 3, time = 1)       // compiled within the first second
@Measurement(iterations = 5, time = 1)  // thousands of calls in each
public class ChatTextBenchmark {

    private static final int TURNS = 20;

    private Model model;
    private ChatTemplate template;
    private Tokenizer tokenizer;
    private ChatPrompt prompt;
    private List<TextRun> rendered;
    private int[] answer;

    @Setup
    public void prepare() {
        model = Model.open("synthetic:demo");
        template = model.chatTemplate().orElseThrow();
        tokenizer = model.tokenizer().orElseThrow();
        List<Message> messages = new ArrayList<>(List.of(Message.system("You answer briefly and say what you mean.")));
        for (int i = 0; i < TURNS; i++) {
            messages.add(Message.user("Question " + i + ": how far is it from here to there, and why does it matter?"));
            messages.add(Message.assistant("It is about " + 7 * i + " km. It matters, because somebody has to walk it."));
        }
        messages.add(Message.user("And back?"));
        prompt = new ChatPrompt(messages, List.of(), Map.of(), true, false);
        rendered = template.render(prompt);
        answer = tokenizer.encode("It is as far as there, with the sun behind you: née, 蛇, 🐍.", false);
    }

    @TearDown
    public void close() {
        model.close();
    }

    @Benchmark
    public List<TextRun> render() {
        return template.render(prompt);
    }

    @Benchmark
    public int[] encode() {
        return tokenizer.encode(rendered);
    }

    @Benchmark
    public int decodeAnswer() {
        TokenDecoder decoder = tokenizer.decoder(true);
        int characters = 0;
        for (int token : answer) {
            characters += decoder.accept(token).length();
        }
        return characters + decoder.finish().length();
    }
}
