package dev.sidewinder.bench.simulate;

import dev.sidewinder.kvcache.CheckpointPoint;
import dev.sidewinder.scheduler.Mark;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/// The tokens of a conversation as the chat template renders them.
///
/// As published templates do, it drops the reasoning of earlier answers when a user speaks again, and keeps it as long as only
/// tools answer. So two renderings are kept: the whole one, and the one without reasoning, which takes over at the next
/// message of a user.
final class Transcript {

    /// `<|im_start|>assistant` and a line feed.
    private static final Passage ANSWER_HEADER = new Passage("template.assistant", 3);
    /// What opens an answer that thinks first.
    private static final Passage THINKING = new Passage("template.think", 2);
    /// What opens one that does not, and stands in place of reasoning that was dropped.
    private static final Passage NO_THINKING = new Passage("template.no-think", 2);
    /// Between an answer and what follows.
    private static final Passage ANSWER_END = new Passage("template.end", 1);

    private final Conversation conversation;
    private final Buffer whole = new Buffer();
    private final Buffer withoutReasoning = new Buffer();
    private final int systemTokens;
    private int turn = -1;
    private int historyTokens;
    private int promptStart;
    /// Where the first answer after the latest message of a user begins.
    private int firstAnswerStart;
    private long reasoningSeed;
    private long answerSeed;

    Transcript(Conversation conversation) {
        this.conversation = conversation;
        for (Passage passage : conversation.system()) {
            addToBoth(passage);
        }
        systemTokens = whole.length;
    }

    /// Goes on to the next turn.
    ///
    /// @return its prompt
    int[] nextPrompt() {
        turn++;
        Turn now = now();
        if (now.input() == Turn.Input.USER) {
            whole.setTo(withoutReasoning);
        }
        historyTokens = turn == 0 ? 0 : whole.length;
        now.messages().forEach(this::addToBoth);
        promptStart = whole.length;
        if (now.input() == Turn.Input.USER) {
            firstAnswerStart = promptStart;
        }
        addToBoth(ANSWER_HEADER);
        whole.add(now.reasoningTokens() > 0 ? THINKING : NO_THINKING);
        withoutReasoning.add(NO_THINKING);
        reasoningSeed = Passage.seed(conversation.name() + ".reasoning" + turn);
        answerSeed = Passage.seed(conversation.name() + ".answer" + turn);
        return whole.copy();
    }

    /// Notes that the answer of this turn is complete.
    void answered() {
        Turn now = now();
        int generated = now.generatedTokens();
        for (int i = 0; i < generated; i++) {
            whole.add(generatedToken(i));
            if (i >= now.reasoningTokens()) {
                withoutReasoning.add(generatedToken(i));
            }
        }
        addToBoth(ANSWER_END);
    }

    /// A token that the model will generate in this turn.
    int generatedToken(int place) {
        int reasoning = now().reasoningTokens();
        return place < reasoning ? Passage.token(reasoningSeed, place) : Passage.token(answerSeed, place - reasoning);
    }

    /// Whether the next message of a user leaves reasoning out that was there until now.
    boolean dropsReasoning() {
        return whole.length != withoutReasoning.length;
    }

    /// What the prompt begins with if a user speaks next.
    int[] nextTurnBeginning() {
        return withoutReasoning.copy();
    }

    Turn now() {
        return conversation.turns().get(turn);
    }

    int turn() {
        return turn;
    }

    boolean hasNext() {
        return turn + 1 < conversation.turns().size();
    }

    Turn next() {
        return conversation.turns().get(turn + 1);
    }

    /// Tokens of the prompt before the messages of this turn; 0 in the first turn.
    int historyTokens() {
        return historyTokens;
    }

    /// Where the state of this prompt is worth keeping, as the chat layer of the server marks it: behind the system message, before
    /// the first answer to the latest message of a user, and in a tool loop behind the latest answer and before the next.
    List<Mark> marks() {
        List<Mark> marks = new ArrayList<>(4);
        if (systemTokens > 0) {
            marks.add(new Mark(systemTokens, CheckpointPoint.SYSTEM));
        }
        marks.add(new Mark(firstAnswerStart, CheckpointPoint.TURN_START));
        if (now().input() == Turn.Input.TOOL && turn > 0) {
            marks.add(new Mark(historyTokens, CheckpointPoint.TURN_END));
            marks.add(new Mark(promptStart, CheckpointPoint.TURN_START));
        }
        return marks;
    }

    private void addToBoth(Passage passage) {
        whole.add(passage);
        withoutReasoning.add(passage);
    }

    /// Tokens that become more.
    private static final class Buffer {
        private int[] tokens = new int[256];
        private int length;

        void add(Passage passage) {
            long seed = Passage.seed(passage.content());
            reserve(passage.tokens());
            for (int i = 0; i < passage.tokens(); i++) {
                tokens[length++] = Passage.token(seed, i);
            }
        }

        void add(int token) {
            reserve(1);
            tokens[length++] = token;
        }

        void setTo(Buffer other) {
            length = 0;
            reserve(other.length);
            System.arraycopy(other.tokens, 0, tokens, 0, other.length);
            length = other.length;
        }

        int[] copy() {
            return Arrays.copyOf(tokens, length);
        }

        private void reserve(int more) {
            if (length + more > tokens.length) {
                tokens = Arrays.copyOf(tokens, Math.max(length + more, 2 * tokens.length));
            }
        }
    }
}
