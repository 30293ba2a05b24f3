package dev.sidewinder.model.chat.template;

import java.util.Arrays;

/// Collects text together with its origin. Adjacent pieces of one origin become one run.
final class TextBuilder {
    private static final int EXPECTED_CHARS = 64;

    private final StringBuilder characters;
    private boolean startsInTemplate;
    private boolean endsInTemplate;
    private int[] switches = new int[4];
    private int switchCount;

    TextBuilder() {
        this(EXPECTED_CHARS);
    }

    TextBuilder(int expectedChars) {
        characters = new StringBuilder(expectedChars);
    }

    int length() {
        return characters.length();
    }

    TextBuilder append(Text text) {
        int[] inside = text.switches();
        String added = text.string();
        int from = 0;
        boolean fromTemplate = text.startsInTemplate();
        for (int end : inside) {
            append(added, from, end, fromTemplate);
            fromTemplate = !fromTemplate;
            from = end;
        }
        append(added, from, added.length(), fromTemplate);
        return this;
    }

    /// Appends characters whose origin nobody can name: they count as the conversation's.
    TextBuilder append(String added) {
        append(added, 0, added.length(), false);
        return this;
    }

    TextBuilder append(String added, boolean fromTemplate) {
        append(added, 0, added.length(), fromTemplate);
        return this;
    }

    void append(String added, int from, int to, boolean fromTemplate) {
        if (from >= to) {
            return;
        }
        Budget.checkTextLength((long) characters.length() + to - from);
        if (characters.isEmpty()) {
            startsInTemplate = fromTemplate;
        } else if (fromTemplate != endsInTemplate) {
            if (switchCount == switches.length) {
                switches = Arrays.copyOf(switches, 2 * switchCount);
            }
            switches[switchCount++] = characters.length();
        }
        endsInTemplate = fromTemplate;
        characters.append(added, from, to);
    }

    Text text() {
        return new Text(characters(), startsInTemplate, switches());
    }

    String characters() {
        return characters.toString();
    }

    boolean startsInTemplate() {
        return startsInTemplate;
    }

    int[] switches() {
        return Arrays.copyOf(switches, switchCount);
    }
}
