package dev.sidewinder.engine.session;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sidewinder.engine.BackendMemory;
import dev.sidewinder.engine.Engine;
import dev.sidewinder.engine.EngineLimits;
import dev.sidewinder.engine.EngineObserver;
import dev.sidewinder.engine.Generation;
import dev.sidewinder.engine.GenerationEvent;
import dev.sidewinder.engine.GenerationRequest;
import dev.sidewinder.engine.LoadProgress;
import dev.sidewinder.engine.SamplingParams;
import dev.sidewinder.engine.cpu.Arithmetic;
import dev.sidewinder.engine.cpu.CpuBackend;
import dev.sidewinder.engine.cpu.CpuCacheLayout;
import dev.sidewinder.engine.cpu.CpuOptions;
import dev.sidewinder.kvcache.HostShape;
import dev.sidewinder.model.Model;
import dev.sidewinder.model.tokenizer.Tokenizer;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/// How a Java program has a conversation with the model that comes with Sidewinder, puts it away, and goes on with it another day.
@Timeout(120)
class SessionExampleTest {

    private static final String TURN_END = "<|im_end|>";

    @TempDir
    private Path folder;

    @Test
    void aConversationGoesOnAnotherDay() {
        var key = new SessionKey("me", "names");

        // one day
        try (Model model = Model.open("../models/tiny"); Engine engine = engine(model); Sessions sessions = open(model, engine)) {
            sessions.create(key);
            assertThat(ask(model, engine, sessions, key, "My name is Ada.")).isNotBlank();
        }

        // another day, in another process
        String answer;
        try (Model model = Model.open("../models/tiny"); Engine engine = engine(model); Sessions sessions = open(model, engine)) {
            assertThat(sessions.info(key).state()).isEqualTo(SessionInfo.State.SUSPENDED);
            SessionKey fork = sessions.fork(key, "names-again").key();
            answer = ask(model, engine, sessions, key, "What is my name?");

            // a fork knows what was said before it
            assertThat(ask(model, engine, sessions, fork, "What is my name?")).isEqualTo(answer);
            sessions.delete(fork);
        }
        System.out.println("the model remembers: " + answer);
        assertThat(answer).isNotBlank();
    }

    /// A host area is what sessions rest in.
    private static Engine engine(Model model) {
        var memory = new BackendMemory(CpuCacheLayout.of(model.config(), Arithmetic.BF16).frames(4, 32), new HostShape(4, 32));
        return Engine.start(new CpuBackend(model.config(), model.weights(), memory, CpuOptions.of(Arithmetic.BF16, 512),
                LoadProgress.SILENT), new EngineLimits(4, 512, 16, 100_000, 2048), EngineObserver.NONE);
    }

    private Sessions open(Model model, Engine engine) {
        var identity = new SessionIdentity(model.name(), "as trained", "cpu, bf16");
        return Sessions.open(engine, identity, SessionLimits.DEFAULT, Optional.of(folder));
    }

    /// Sends what is new only.
    private static String ask(Model model, Engine engine, Sessions sessions, SessionKey key, String question) {
        Tokenizer tokenizer = model.tokenizer().orElseThrow();
        int stop = tokenizer.idOf(TURN_END).orElseThrow();
        try (SessionTurn turn = sessions.begin(key)) {
            String before = turn.tokens().length == 0 ? "<|im_start|>system\n" + TURN_END + "\n" : "\n";
            int[] added = tokenizer.encode(before + "<|im_start|>user\n" + question + TURN_END
                    + "\n<|im_start|>assistant\n<think></think>", false);
            int[] prompt = IntStream.concat(Arrays.stream(turn.tokens()), Arrays.stream(added)).toArray();
            List<Integer> answer = new ArrayList<>();
            try (Engine.Place place = engine.reserve(1, prompt.length)) {
                read(turn.submit(place, new GenerationRequest(key.name(), prompt, 60, 0, Set.of(stop), 1, -1, SamplingParams.greedy())), answer);
            }
            turn.keep(answer.size());
            return tokenizer.decode(answer.stream().mapToInt(Integer::intValue).toArray(), true);
        }
    }

    private static void read(Generation generation, List<Integer> answer) {
        try {
            for (GenerationEvent event = null; !(event instanceof GenerationEvent.Finished);) {
                event = generation.next(Duration.ofSeconds(60));
                if (event instanceof GenerationEvent.Token token) {
                    answer.add(token.token());
                } else if (event instanceof GenerationEvent.Failed failed) {
                    throw failed.cause();
                }
            }
        } catch (InterruptedException interrupted) {
            throw new AssertionError(interrupted);
        }
    }
}
