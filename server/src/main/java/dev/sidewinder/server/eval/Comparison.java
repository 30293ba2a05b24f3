package dev.sidewinder.server.eval;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/// Two runs over the same cases. Only cases that both answered count.
///
/// @param pairs in the order of the set
record Comparison(EvalRun first, EvalRun second, List<Pair> pairs) {

    /// One case, answered twice.
    record Pair(CaseResult.Scored first, CaseResult.Scored second) {

        TestCase test() {
            return first.test();
        }

        boolean changed() {
            return first.verdict().right() != second.verdict().right();
        }

        boolean sameAnswer() {
            return first.answer().saysTheSameAs(second.answer());
        }
    }

    Comparison {
        pairs = List.copyOf(pairs);
    }

    static Comparison of(EvalRun first, EvalRun second) {
        Map<String, CaseResult.Scored> answers = new HashMap<>();
        second.scored().forEach(result -> answers.put(result.test().id(), result));
        List<Pair> pairs = new ArrayList<>();
        for (CaseResult.Scored result : first.scored()) {
            if (answers.containsKey(result.test().id())) {
                pairs.add(new Pair(result, answers.get(result.test().id())));
            }
        }
        return new Comparison(first, second, pairs);
    }

    /// Task by task in the order of first cases.
    Map<String, PairedCounts> byTask() {
        Map<String, List<Pair>> tasks = new LinkedHashMap<>();
        pairs.forEach(pair -> tasks.computeIfAbsent(pair.test().task(), _ -> new ArrayList<>()).add(pair));
        Map<String, PairedCounts> counts = new LinkedHashMap<>();
        tasks.forEach((task, part) -> counts.put(task, count(part)));
        return counts;
    }

    PairedCounts all() {
        return count(pairs);
    }

    private static PairedCounts count(List<Pair> pairs) {
        int both = 0;
        int firstOnly = 0;
        int secondOnly = 0;
        for (Pair pair : pairs) {
            boolean first = pair.first().verdict().right();
            boolean second = pair.second().verdict().right();
            both += first && second ? 1 : 0;
            firstOnly += first && !second ? 1 : 0;
            secondOnly += !first && second ? 1 : 0;
        }
        return new PairedCounts(both, firstOnly, secondOnly, pairs.size() - both - firstOnly - secondOnly);
    }
}
