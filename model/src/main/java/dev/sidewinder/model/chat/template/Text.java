package dev.sidewinder.model.chat.template;

import dev.sidewinder.model.tokenizer.TextRun;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.UnaryOperator;

/// Text that knows which of its characters the template wrote. The others came from the conversation, or from where
/// nobody can say any more, which counts the same.
///
/// Values are immutable to the outside. A concatenation keeps its two halves and joins them when the characters are
/// first needed, so that text built piece by piece costs linear time. Offsets are UTF-16 units. For one thread, except
/// that texts made by {@link #ofTemplate} and {@link #ofConversation} may be shared.
final class Text {
    private static final int[] NO_SWITCHES = {};

    /// Needs `NO_SWITCHES` to be there already.
    static final Text EMPTY = ofConversation("");

    private final int length;

    /// null until the halves are joined
    private String characters;

    /// whether the first character is the template's; it changes at each of `switches`, ascending, inside (0, length)
    private boolean startsInTemplate;
    private int[] switches;

    private Text left;
    private Text right;

    Text(String characters, boolean startsInTemplate, int[] switches) {
        this.length = characters.length();
        this.characters = characters;
        this.startsInTemplate = startsInTemplate;
        this.switches = switches;
    }

    private Text(Text left, Text right) {
        this.length = left.length + right.length;
        this.left = left;
        this.right = right;
    }

    static Text ofTemplate(String characters) {
        return new Text(characters, true, NO_SWITCHES);
    }

    static Text ofConversation(String characters) {
        return new Text(characters, false, NO_SWITCHES);
    }

    Text plus(Text other) {
        if (other.length == 0) {
            return this;
        }
        if (length == 0) {
            return other;
        }
        Budget.checkTextLength((long) length + other.length);
        return new Text(this, other);
    }

    int length() {
        return length;
    }

    boolean isEmpty() {
        return length == 0;
    }

    /// The characters alone.
    String string() {
        join();
        return characters;
    }

    /// Whether the character at `index` was written by the template.
    boolean fromTemplate(int index) {
        join();
        return startsInTemplate ^ (switchesUpTo(index) % 2 == 1);
    }

    Text substring(int from, int to) {
        if (from == 0 && to == length) {
            return this;
        }
        if (from >= to) {
            return EMPTY;
        }
        join();
        int first = switchesUpTo(from);
        int last = switchesUpTo(to - 1);
        int[] inside = first == last ? NO_SWITCHES : Arrays.copyOfRange(switches, first, last);
        for (int i = 0; i < inside.length; i++) {
            inside[i] -= from;
        }
        return new Text(characters.substring(from, to), startsInTemplate ^ (first % 2 == 1), inside);
    }

    Text substring(int from) {
        return substring(from, length);
    }

    /// Pieces of one origin each, in order, none empty.
    List<TextRun> runs() {
        join();
        if (length == 0) {
            return List.of();
        }
        List<TextRun> runs = new ArrayList<>(switches.length + 1);
        boolean fromTemplate = startsInTemplate;
        int from = 0;
        for (int i = 0; i <= switches.length; i++) {
            int to = i < switches.length ? switches[i] : length;
            runs.add(new TextRun(characters.substring(from, to), fromTemplate));
            fromTemplate = !fromTemplate;
            from = to;
        }
        return runs;
    }

    /// Applies a change of case. It sees the whole text, because the form of a letter may depend on its neighbours; the
    /// borders between origins are found by changing the pieces on their own. Should the lengths then disagree, the
    /// result counts as conversation.
    Text changeCase(UnaryOperator<String> change) {
        String changed = change.apply(string());
        if (switches.length == 0) {
            return new Text(changed, startsInTemplate, NO_SWITCHES);
        }
        int[] moved = new int[switches.length];
        int at = 0;
        int from = 0;
        for (int i = 0; i < switches.length; i++) {
            at += change.apply(characters.substring(from, switches[i])).length();
            moved[i] = at;
            from = switches[i];
        }
        boolean sameLength = at + change.apply(characters.substring(from)).length() == changed.length();
        return sameLength ? new Text(changed, startsInTemplate, moved) : ofConversation(changed);
    }

    /// How many switches lie at or before `index`.
    private int switchesUpTo(int index) {
        int found = Arrays.binarySearch(switches, index);
        return found >= 0 ? found + 1 : -found - 1;
    }

    private void join() {
        if (characters != null) {
            return;
        }
        TextBuilder joined = new TextBuilder(length);
        ArrayDeque<Text> rest = new ArrayDeque<>();
        rest.push(this);
        while (!rest.isEmpty()) {
            Text next = rest.pop();
            if (next.characters != null) {
                joined.append(next);
            } else {
                rest.push(next.right);
                rest.push(next.left);
            }
        }
        characters = joined.characters();
        startsInTemplate = joined.startsInTemplate();
        switches = joined.switches();
        left = null;
        right = null;
    }

    /// For the builder: the flat form.
    boolean startsInTemplate() {
        join();
        return startsInTemplate;
    }

    int[] switches() {
        join();
        return switches;
    }

    /// Texts are equal when their characters are, wherever they came from.
    @Override
    public boolean equals(Object other) {
        return other instanceof Text text && text.length == length && text.string().equals(string());
    }

    @Override
    public int hashCode() {
        return string().hashCode();
    }

    @Override
    public String toString() {
        return string();
    }
}
