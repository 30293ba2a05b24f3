package dev.sidewinder.model.chat.template;

import java.util.ArrayList;
import java.util.List;
import java.util.function.IntPredicate;

/// What Python's string methods do, on texts that remember their origin. Lengths and widths count code points.
final class Strings {
    /// Which ends of a text an operation works on.
    enum Side {
        LEFT, RIGHT, BOTH;

        boolean left() {
            return this != RIGHT;
        }

        boolean right() {
            return this != LEFT;
        }
    }

    private Strings() {}

    /// @param characters the characters to take away; null for white space
    static Text strip(Render render, Text text, Text characters, Side side) {
        String all = render.read(text);
        IntPredicate goes = characters == null ? PythonText::isSpace : oneOf(render.read(characters));
        int from = 0;
        int to = all.length();
        while (side.left() && from < to && goes.test(all.codePointAt(from))) {
            from += Character.charCount(all.codePointAt(from));
        }
        while (side.right() && to > from && goes.test(all.codePointBefore(to))) {
            to -= Character.charCount(all.codePointBefore(to));
        }
        return text.substring(from, to);
    }

    private static IntPredicate oneOf(String characters) {
        if (characters.length() <= 8) {
            return c -> characters.indexOf(c) >= 0;
        }
        var set = new java.util.HashSet<Integer>();
        characters.codePoints().forEach(set::add);
        return set::contains;
    }

    /// `split` without a separator: at runs of white space, from the left.
    static List<Text> splitAtSpace(Render render, Text text, int limit) {
        String all = render.read(text);
        List<Text> parts = new ArrayList<>();
        int at = skip(all, 0, true);
        while (at < all.length()) {
            render.budget().step();
            int end = parts.size() == limit ? PythonText.stripRight(all).length() : skip(all, at, false);
            parts.add(text.substring(at, end));
            at = skip(all, end, true);
        }
        return parts;
    }

    /// `rsplit` without a separator.
    static List<Text> splitAtSpaceFromRight(Render render, Text text, int limit) {
        String all = render.read(text);
        List<Text> parts = new ArrayList<>();
        int end = skipBack(all, all.length(), true);
        while (end > 0) {
            render.budget().step();
            int from = parts.size() == limit ? skip(all, 0, true) : skipBack(all, end, false);
            parts.add(text.substring(from, end));
            end = skipBack(all, from, true);
        }
        return parts.reversed();
    }

    private static int skip(String text, int from, boolean space) {
        int i = from;
        while (i < text.length() && PythonText.isSpace(text.charAt(i)) == space) {
            i++;
        }
        return i;
    }

    private static int skipBack(String text, int from, boolean space) {
        int i = from;
        while (i > 0 && PythonText.isSpace(text.charAt(i - 1)) == space) {
            i--;
        }
        return i;
    }

    /// @param limit how often to split at most
    static List<Text> split(Render render, Text text, Text separator, int limit) {
        String all = render.read(text);
        String wanted = notEmpty(separator);
        List<Text> parts = new ArrayList<>();
        int from = 0;
        for (int at = all.indexOf(wanted); at >= 0 && parts.size() < limit; at = all.indexOf(wanted, from)) {
            render.budget().step();
            parts.add(text.substring(from, at));
            from = at + wanted.length();
        }
        parts.add(text.substring(from));
        return parts;
    }

    static List<Text> splitFromRight(Render render, Text text, Text separator, int limit) {
        String all = render.read(text);
        String wanted = notEmpty(separator);
        List<Text> parts = new ArrayList<>();
        int end = all.length();
        while (parts.size() < limit) {
            int at = all.lastIndexOf(wanted, end - wanted.length());
            if (at < 0 || end < wanted.length()) {
                break;
            }
            render.budget().step();
            parts.add(text.substring(at + wanted.length(), end));
            end = at;
        }
        parts.add(text.substring(0, end));
        return parts.reversed();
    }

    private static String notEmpty(Text separator) {
        if (separator.isEmpty()) {
            throw new RenderException("empty separator");
        }
        return separator.string();
    }

    static List<Text> lines(Render render, Text text, boolean keepEnds) {
        String all = render.read(text);
        List<Text> lines = new ArrayList<>();
        int from = 0;
        for (int i = 0; i < all.length(); i++) {
            if (PythonText.isLineEnd(all.charAt(i))) {
                render.budget().step();
                int next = all.startsWith("\r\n", i) ? i + 2 : i + 1;
                lines.add(text.substring(from, keepEnds ? next : i));
                from = next;
                i = next - 1;
            }
        }
        if (from < all.length()) {
            lines.add(text.substring(from));
        }
        return lines;
    }

    /// @param limit how often to replace at most
    static Text replace(Render render, Text text, Text from, Text to, int limit) {
        String all = render.read(text);
        String wanted = from.string();
        if (limit == 0 || all.length() < wanted.length()) {
            return text;
        }
        TextBuilder replaced = new TextBuilder(all.length());
        int done = 0;
        int plainFrom = 0;
        // an empty text is found before every character and at the end
        for (int at = all.indexOf(wanted); at >= 0 && done < limit; done++) {
            render.budget().work(to.length());
            replaced.append(text.substring(plainFrom, at)).append(to);
            plainFrom = at + wanted.length();
            if (!wanted.isEmpty()) {
                at = all.indexOf(wanted, plainFrom);
            } else {
                at = at == all.length() ? -1 : at + Character.charCount(all.codePointAt(at));
            }
        }
        return done == 0 ? text : replaced.append(text.substring(plainFrom)).text();
    }

    /// Fills up to `width`; what is added comes from nobody.
    static Text justify(Render render, Text text, int width, String fill, Side side) {
        int missing = width - PythonText.length(render.read(text));
        if (missing <= 0) {
            return text;
        }
        Budget.checkTextLength(width);
        render.budget().work(width);
        // CPython puts the odd blank of `center` left when the width is odd
        int left = side == Side.BOTH ? missing / 2 + (missing & width & 1) : side == Side.LEFT ? missing : 0;
        return new TextBuilder().append(fill.repeat(left)).append(text).append(fill.repeat(missing - left)).text();
    }

    /// `|title`: capitals at the start and after white space, `-` and opening brackets.
    static Text jinjaTitle(Render render, Text text) {
        String all = render.read(text);
        TextBuilder titled = new TextBuilder(all.length());
        String lower = PythonText.lower(all);
        boolean sameUnits = lower.length() == all.length();
        boolean start = true;
        for (int i = 0; i < all.length(); ) {
            int c = all.codePointAt(i);
            int next = i + Character.charCount(c);
            String changed = start ? PythonText.upper(Character.toString(c))
                    : sameUnits ? lower.substring(i, next) : PythonText.lower(Character.toString(c));
            titled.append(changed, text.fromTemplate(i));
            start = PythonText.isSpace(c) || "-({[<".indexOf(c) >= 0;
            i = next;
        }
        return titled.text();
    }

    /// `str.title`: a capital after everything that is no letter.
    static Text title(Render render, Text text) {
        String all = render.read(text);
        TextBuilder titled = new TextBuilder(all.length());
        boolean inWord = false;
        for (int i = 0; i < all.length(); ) {
            int c = all.codePointAt(i);
            String changed = inWord ? PythonText.lower(Character.toString(c)) : PythonText.titleCase(c);
            titled.append(changed, text.fromTemplate(i));
            inWord = Character.isLetter(c);
            i += Character.charCount(c);
        }
        return titled.text();
    }

    static Text capitalize(Render render, Text text) {
        String all = render.read(text);
        if (all.isEmpty()) {
            return text;
        }
        int first = all.offsetByCodePoints(0, 1);
        TextBuilder capitalized = new TextBuilder(all.length());
        capitalized.append(PythonText.titleCase(all.codePointAt(0)), text.fromTemplate(0));
        return capitalized.append(text.substring(first).changeCase(PythonText::lower)).text();
    }

    static Text swapCase(Render render, Text text) {
        String all = render.read(text);
        TextBuilder swapped = new TextBuilder(all.length());
        for (int i = 0; i < all.length(); ) {
            int c = all.codePointAt(i);
            String one = Character.toString(c);
            String changed = Character.isUpperCase(c) ? PythonText.lower(one) : Character.isLowerCase(c) ? PythonText.upper(one) : one;
            swapped.append(changed, text.fromTemplate(i));
            i += Character.charCount(c);
        }
        return swapped.text();
    }
}
