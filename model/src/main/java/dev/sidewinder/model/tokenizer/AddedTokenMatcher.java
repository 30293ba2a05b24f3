package dev.sidewinder.model.tokenizer;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/// Finds the literals of added tokens in those parts of a text where they may be found. Immutable.
///
/// The same rules as the library's: first the tokens that are not `normalized`, then the others in what was left; each
/// time the leftmost literal, and of several at one place the longest. The one difference is what this class is for: a
/// literal counts only if every one of its characters is trusted.
final class AddedTokenMatcher {

    /// A stretch `[from, to)` of a text.
    record Span(int from, int to) {}

    /// A token found at `[start, end)` of the text, stripped white space included.
    record Match(int start, int end, int id) {}

    private static final class Node {
        private final Map<Character, Node> next = new HashMap<>();
        private AddedToken token;
    }

    private final Node first = new Node();
    private final Node second = new Node();

    AddedTokenMatcher(List<AddedToken> tokens) {
        for (AddedToken token : tokens) {
            Node node = token.normalized() ? second : first;
            for (char character : token.content().toCharArray()) {
                node = node.next.computeIfAbsent(character, _ -> new Node());
            }
            node.token = token;
        }
    }

    /// The matches in order, without overlap.
    ///
    /// @param trusted stretches in which literals are looked for: in order, none touching the next
    List<Match> find(String text, List<Span> trusted) {
        List<Match> matches = new ArrayList<>();
        scan(first, text, 0, text.length(), trusted, matches);
        if (second.next.isEmpty()) {
            return matches;
        }
        List<Match> all = new ArrayList<>();
        int from = 0;
        for (Match match : matches) {
            scan(second, text, from, match.start(), trusted, all);
            all.add(match);
            from = match.end();
        }
        scan(second, text, from, text.length(), trusted, all);
        return all;
    }

    private static void scan(Node root, String text, int from, int to, List<Span> trusted, List<Match> matches) {
        int taken = from;
        for (int i = firstEndingAfter(trusted, from); i < trusted.size() && trusted.get(i).from() < to; i++) {
            int end = Math.min(trusted.get(i).to(), to);
            int at = Math.max(trusted.get(i).from(), from);
            while (at < end) {
                AddedToken token = longest(root, text, at, end);
                if (token == null) {
                    at++;
                    continue;
                }
                int stop = at + token.content().length();
                if (token.singleWord() && touchesWord(text, from, at, stop, to)) {
                    at = stop;
                    continue;
                }
                int start = token.lstrip() ? Math.max(taken, spaceBefore(text, at)) : at;
                int next = token.rstrip() ? spaceAfter(text, stop, to) : stop;
                matches.add(new Match(Math.max(start, taken), next, token.id()));
                taken = next;
                at = Math.max(stop, next);
            }
        }
    }

    private static int firstEndingAfter(List<Span> spans, int position) {
        int low = 0;
        int high = spans.size();
        while (low < high) {
            int middle = (low + high) >>> 1;
            if (spans.get(middle).to() > position) {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        return low;
    }

    private static AddedToken longest(Node root, String text, int at, int end) {
        AddedToken longest = null;
        Node node = root;
        for (int i = at; i < end; i++) {
            node = node.next.get(text.charAt(i));
            if (node == null) {
                break;
            }
            if (node.token != null) {
                longest = node.token;
            }
        }
        return longest;
    }

    private static boolean touchesWord(String text, int from, int start, int stop, int to) {
        return start > from && isWord(text.codePointBefore(start)) || stop < to && isWord(text.codePointAt(stop));
    }

    /// `\w` of a Unicode regular expression.
    private static boolean isWord(int codePoint) {
        if (Character.isAlphabetic(codePoint)) {
            return true;
        }
        return switch (Character.getType(codePoint)) {
            case Character.NON_SPACING_MARK, Character.ENCLOSING_MARK, Character.COMBINING_SPACING_MARK,
                    Character.DECIMAL_DIGIT_NUMBER, Character.CONNECTOR_PUNCTUATION -> true;
            default -> codePoint == 0x200C || codePoint == 0x200D;
        };
    }

    private static int spaceBefore(String text, int at) {
        int start = at;
        while (start > 0 && isSpace(text.charAt(start - 1))) {
            start--;
        }
        return start;
    }

    private static int spaceAfter(String text, int at, int to) {
        int end = at;
        while (end < to && isSpace(text.charAt(end))) {
            end++;
        }
        return end;
    }

    /// `\s` of a Unicode regular expression (property White_Space); all its characters are in the basic plane.
    private static boolean isSpace(char character) {
        return character >= 0x09 && character <= 0x0D || character == 0x85 || Character.isSpaceChar(character);
    }
}
