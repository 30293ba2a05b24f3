package dev.sidewinder.engine;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sidewinder.engine.SaidTokens.StopText;
import dev.sidewinder.engine.session.SessionIdentity;
import dev.sidewinder.engine.session.SessionInfo;
import dev.sidewinder.engine.session.SessionKey;
import dev.sidewinder.engine.session.SessionLimits;
import dev.sidewinder.engine.session.SessionTurn;
import dev.sidewinder.engine.session.Sessions;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/// Sessions that are forked where their history ends around the end of a block, against copies: sessions on another engine that were
/// given the same turns and were never forked, nor left the host.
///
/// A conversation has three turns: a prompt and the beginning of an answer; more of that answer with nothing new, so that the first
/// part still counts as said; and something new. It is forked behind the first one.
final class SameSessions {

    /// Of the first turn's answer.
    private static final int BEGUN = 6;
    private static final int NEW_TOKENS = 3;
    private static final String TENANT = "tenant";
    private static final SessionIdentity IDENTITY = new SessionIdentity("small", "1", "same");

    private final SameAnswers same;
    private final Path folder;
    private final List<Conversation> conversations = new ArrayList<>();

    /// A conversation of three turns, with the answers that it has to get.
    ///
    /// @param stop ends the first turn
    private record Conversation(Asking asking, int[] prompt, Optional<StopText> stop, SaidTokens first, SaidTokens second, SaidTokens third) {

        String name() {
            return (asking + "-" + (prompt.length + BEGUN)).toLowerCase(Locale.ROOT);
        }
    }

    SameSessions(SameAnswers same, Path folder) {
        this.same = same;
        this.folder = folder;
    }

    /// An engine and its sessions.
    private final class Running implements AutoCloseable {

        private final Engine engine = same.engine(SameAnswers.LIMITS, same.roomy());
        private final Sessions sessions;

        Running(Path files) {
            sessions = Sessions.open(engine, IDENTITY, SessionLimits.DEFAULT, Optional.of(files));
        }

        Turn begin(String session, Asking asking, int[] added, int maxTokens) {
            SessionTurn turn = sessions.begin(key(session));
            try (Engine.Place place = engine.reserve(1, SameAnswers.MOST_TOKENS)) {
                int[] prompt = SameAnswers.join(turn.tokens(), added);
                return new Turn(turn, turn.submit(place, asking.request(prompt, maxTokens, same.vocabSize())));
            }
        }

        SaidTokens first(String session, Asking asking, int[] prompt, Optional<StopText> stop) {
            sessions.create(key(session));
            return begin(session, asking, prompt, stop.isPresent() ? SameAnswers.ANSWER + BEGUN : BEGUN).end(stop);
        }

        Turn second(String session, Asking asking) {
            return begin(session, asking, new int[0], SameAnswers.ANSWER);
        }

        Turn third(String session, Asking asking) {
            return begin(session, asking, Arrays.copyOf(same.text(), NEW_TOKENS), SameAnswers.ANSWER);
        }

        void fork(String session, String name) {
            sessions.fork(key(session), name);
        }

        @Override
        public void close() {
            sessions.close();
            engine.close();
        }
    }

    /// A turn under way.
    private record Turn(SessionTurn turn, Generation generation) {

        /// Reads it to its end, and keeps what is not of the stop text.
        SaidTokens end(Optional<StopText> stop) {
            SaidTokens said = SaidTokens.read(generation, stop);
            turn.keep(said.kept());
            return said;
        }

        SaidTokens end() {
            return end(Optional.empty());
        }
    }

    private static SessionKey key(String session) {
        return new SessionKey(TENANT, session);
    }

    private List<Conversation> conversations() {
        if (conversations.isEmpty()) {
            try (Running running = new Running(folder.resolve("copies"))) {
                for (Asking asking : Asking.values()) {
                    for (int length : same.lengths(asking)) {
                        conversations.add(copy(running, asking, length));
                    }
                }
            }
        }
        return conversations;
    }

    private Conversation copy(Running running, Asking asking, int length) {
        String name = "copy-" + asking + "-" + length;
        int[] prompt = Arrays.copyOf(same.text(), length - BEGUN);
        Optional<StopText> stop = asking == Asking.STOPPED ? Optional.of(StopText.in(whole(running, asking, prompt), BEGUN)) : Optional.empty();

        SaidTokens first = running.first(name, asking, prompt, stop);
        SaidTokens second = running.second(name, asking).end();
        int[] history = history(running, name);
        SaidTokens third = running.third(name, asking).end();
        running.sessions.delete(key(name));

        var copy = new Conversation(asking, prompt, stop, first, second, third);
        if (same.decodeEqualsScan()) {
            checkAgainstPrompts(running, copy, history);
        }
        return copy;
    }

    /// Two turns are as good as one long answer, and the last one as its history as a prompt.
    private void checkAgainstPrompts(Running running, Conversation copy, int[] history) {
        if (copy.asking != Asking.FORMED) {
            SaidTokens whole = whole(running, copy.asking, copy.prompt);
            assertThat(parts(copy.first, copy.second)).as("%s, an answer in two turns", copy.name()).startsWith(whole.tokens().toArray(String[]::new));
        }
        int[] all = SameAnswers.join(history, Arrays.copyOf(same.text(), NEW_TOKENS));
        GenerationRequest cold = copy.asking.request(all, SameAnswers.ANSWER, same.vocabSize());
        assertSame(copy, "all of it as a prompt", SaidTokens.read(SameAnswers.submit(running.engine, cold), Optional.empty()), copy.third);
    }

    private SaidTokens whole(Running running, Asking asking, int[] prompt) {
        GenerationRequest request = asking.request(prompt, SameAnswers.ANSWER + BEGUN, same.vocabSize());
        return SaidTokens.read(SameAnswers.submit(running.engine, request), Optional.empty());
    }

    private static int[] history(Running running, String name) {
        try (SessionTurn turn = running.sessions.begin(key(name))) {
            return turn.tokens();
        }
    }

    private static List<String> parts(SaidTokens first, SaidTokens second) {
        List<String> both = new ArrayList<>(first.tokens().subList(0, first.kept()));
        both.addAll(second.tokens());
        return both;
    }

    private static void assertSame(Conversation conversation, String turn, SaidTokens actual, SaidTokens expected) {
        assertThat(actual).as("%s, %s", conversation.name(), turn).isEqualTo(expected);
    }

    /// The parent and its fork go on at once, in the same steps, where another fork has written into what was the same block.
    void forked() {
        List<Conversation> all = conversations();
        try (Running running = new Running(folder.resolve("forked"))) {
            for (Conversation each : all) {
                String parent = each.name();
                assertSame(each, "first turn", running.first(parent, each.asking, each.prompt, each.stop), each.first);
                running.fork(parent, "fork");
                running.fork(parent, "other");
                running.begin("other", Asking.GREEDY, new int[] {1, 2}, 2).end();

                Turn ofParent = running.second(parent, each.asking);
                Turn ofFork = running.second("fork", each.asking);
                assertSame(each, "second turn of the fork", ofFork.end(), each.second);
                assertSame(each, "second turn of the parent", ofParent.end(), each.second);
                running.sessions.delete(key(parent));
                assertSame(each, "third turn of the fork", running.third("fork", each.asking).end(), each.third);
                running.sessions.delete(key("fork"));
                running.sessions.delete(key("other"));
            }
        }
    }

    /// One fork is written before its parent goes on, another one behind the parent's second turn, and the parent when its engine ends.
    void forkedIntoFiles() {
        List<Conversation> all = conversations();
        Path files = folder.resolve("files");
        try (Running running = new Running(files)) {
            for (Conversation each : all) {
                String parent = each.name();
                running.first(parent, each.asking, each.prompt, each.stop);
                running.fork(parent, parent + "-early");
                running.sessions.suspend(key(parent + "-early"));
                assertSame(each, "second turn of the parent", running.second(parent, each.asking).end(), each.second);
                running.fork(parent, parent + "-late");
                SessionInfo late = running.sessions.suspend(key(parent + "-late"));
                assertThat(late.state()).isEqualTo(SessionInfo.State.SUSPENDED);
            }
        }
        try (Running another = new Running(files)) {
            for (Conversation each : all) {
                String parent = each.name();
                assertSame(each, "second turn of a fork", another.second(parent + "-early", each.asking).end(), each.second);
                assertSame(each, "third turn of a late fork", another.third(parent + "-late", each.asking).end(), each.third);
                assertSame(each, "third turn of the parent", another.third(parent, each.asking).end(), each.third);
            }
        }
    }
}
