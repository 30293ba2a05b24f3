package dev.sidewinder.model.checkpoint;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/// What a scripted model says: for each token the next one, which may depend on the strongest *cue* before it. A cue is a
/// token; of several in a sequence the one declared last is the strongest. Where it has nothing to say about a token, what
/// holds without a cue does; else the answer ends. Repeated control tokens are told apart by cues made for the purpose.
final class ScriptMachine {
    static final int NO_CUE = -1;

    private final ScriptVocabulary vocabulary;
    private final int end;
    /// The token that prompts end with when reasoning is open.
    private final int thinkingStart;
    /// Next token by token, for each cue and without one.
    private final Map<Integer, Map<Integer, Integer>> next = new TreeMap<>();
    /// Cue by token.
    private final Map<Integer, Integer> cues = new HashMap<>();
    private int cueCount;

    private record Line(int cue, List<Integer> tokens) {}

    private final List<Line> lines = new ArrayList<>();

    ScriptMachine(ScriptVocabulary vocabulary, int end, int thinkingStart) {
        this.vocabulary = vocabulary;
        this.end = end;
        this.thinkingStart = thinkingStart;
        next.put(NO_CUE, new HashMap<>());
    }

    int addCue(int... tokens) {
        int cue = cueCount++;
        next.put(cue, new HashMap<>());
        for (int token : tokens) {
            if (cues.put(token, cue) != null) {
                throw new IllegalArgumentException("\"" + vocabulary.spellingOf(token) + "\" is a cue already");
            }
        }
        return cue;
    }

    int cueCount() {
        return cueCount;
    }

    Map<Integer, Integer> cues() {
        return cues;
    }

    Map<Integer, Map<Integer, Integer>> transitions() {
        return next;
    }

    /// Adds a chain of tokens that follows where a cue (or none) was seen.
    void addLine(int cue, List<Integer> line) {
        lines.add(new Line(cue, List.copyOf(line)));
        int phase = cue;
        for (int i = 0; i + 1 < line.size(); i++) {
            Integer known = next.get(phase).get(line.get(i));
            boolean afterPrompt = i > 0 && phase == cue && line.get(i) == thinkingStart;
            if (afterPrompt || known != null && !known.equals(line.get(i + 1))) {
                int switched = switchBefore(line, i);
                phase = addCue(line.get(switched));
                for (int j = switched; j < i; j++) {
                    next.get(phase).put(line.get(j), line.get(j + 1));
                }
            }
            next.get(phase).put(line.get(i), line.get(i + 1));
        }
    }

    /// The last token up to `at` that stands nowhere else and since which `line[at]` did not occur.
    private int switchBefore(List<Integer> line, int at) {
        for (int i = at - 1; i >= 0 && !line.get(i).equals(line.get(at)); i--) {
            int token = line.get(i);
            boolean once = line.indexOf(token) == i && line.lastIndexOf(token) == i;
            if (once && vocabulary.isUnreachable(token) && !cues.containsKey(token)) {
                return i;
            }
        }
        throw new IllegalArgumentException("\"" + vocabulary.spellingOf(line.get(at)) + "\" is followed by different "
                + "tokens, and no text of two words or more stands between that tells the places apart");
    }

    /// Plays every chain by the rule that the weights follow; reasoning also with every cue that a prompt may hold.
    void check() {
        for (Line line : lines) {
            check(line, line.cue());
            if (line.tokens().getFirst() == thinkingStart) {
                lines.forEach(other -> check(line, other.cue()));
            }
        }
    }

    private void check(Line line, int promptCue) {
        int cue = promptCue;
        for (int i = 0; i + 1 < line.tokens().size(); i++) {
            cue = Math.max(cue, cues.getOrDefault(line.tokens().get(i), NO_CUE));
            int played = play(line.tokens().get(i), cue);
            if (played != line.tokens().get(i + 1)) {
                throw new IllegalArgumentException("behind \"" + vocabulary.spellingOf(line.tokens().get(i))
                        + "\" comes \"" + vocabulary.spellingOf(played) + "\" instead of \""
                        + vocabulary.spellingOf(line.tokens().get(i + 1)) + "\": the scripts cannot be told apart");
            }
        }
    }

    private int play(int token, int cue) {
        int plain = next.get(NO_CUE).getOrDefault(token, end);
        return next.get(cue).getOrDefault(token, plain);
    }
}
