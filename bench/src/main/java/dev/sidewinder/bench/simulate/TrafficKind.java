package dev.sidewinder.bench.simulate;

import java.util.ArrayList;
import java.util.List;

/// Kinds of generated traffic. Their numbers are **assumptions**, chosen to look like what such services report; recorded
/// traffic ([TraceFile]) takes their place where there is some. Lengths and times are logarithmically normal, written as
/// median × e^(± spread); [Draws] has the rest.
enum TrafficKind {

    /// People who talk to one of 40 applications, the most popular most: system prompt 600 × e^±0.9 tokens, 4 turns on average,
    /// messages 60 × e^±1.1, half of the conversations think first (250 × e^±1), answers 220 × e^±0.8, 25 s × e^±1 until the
    /// next message. Every answer may have 4,096 tokens.
    CHAT {
        @Override
        Conversation draw(long seed, int number, double arrivalSeconds) {
            String name = "chat" + number;
            var draws = new Draws(seed, name);
            int application = draws.popular(40);
            String tenant = "chat-" + application;
            int systemTokens = new Draws(seed, tenant).tokens(600, 0.9, 40, 6000);
            boolean thinks = draws.happens(0.5);
            int count = draws.count(4, 40);
            List<Turn> turns = new ArrayList<>();
            for (int i = 0; i < count; i++) {
                double delay = i == 0 ? 0 : draws.seconds(25, 1, 2, 900);
                var message = new Passage(name + ".user" + i, draws.tokens(60, 1.1, 4, 8000));
                int reasoning = thinks ? draws.tokens(250, 1, 10, 3000) : 0;
                turns.add(new Turn(Turn.Input.USER, delay, List.of(message), reasoning, draws.tokens(220, 0.8, 5, 1000), 4096));
            }
            return new Conversation(name, "chat", tenant, 0, arrivalSeconds, List.of(new Passage(tenant + ".system", systemTokens)), turns);
        }
    },

    /// Programs that work with tools, of 8 products: system prompt and tools 9,000 × e^±0.4 tokens, tasks of 300 × e^±1, 12 tool calls on
    /// average (80 × e^±0.9 tokens of reasoning, 90 × e^±0.8 of call), results of 500 × e^±1.3 tokens after 1.5 s × e^±1.2, a final
    /// answer, and in one case of three a further task a minute later. Every answer may have 8,192 tokens.
    AGENT {
        @Override
        Conversation draw(long seed, int number, double arrivalSeconds) {
            String name = "agent" + number;
            var draws = new Draws(seed, name);
            String tenant = "agent-" + draws.popular(8);
            int systemTokens = new Draws(seed, tenant).tokens(9000, 0.4, 2000, 30_000);
            int tasks = draws.count(1.5, 6);
            List<Turn> turns = new ArrayList<>();
            for (int task = 0; task < tasks; task++) {
                int calls = draws.count(12, 80);
                for (int call = 0; call <= calls; call++) {
                    String content = name + ".task" + task + "." + call;
                    Turn.Input input = call == 0 ? Turn.Input.USER : Turn.Input.TOOL;
                    int added = call == 0 ? draws.tokens(300, 1, 20, 8000) : draws.tokens(500, 1.3, 10, 20_000);
                    double wait = call == 0 ? draws.seconds(60, 1, 5, 900) : draws.seconds(1.5, 1.2, 0.05, 120);
                    int answer = call == calls ? draws.tokens(300, 0.7, 20, 3000) : draws.tokens(90, 0.8, 15, 3000);
                    turns.add(new Turn(input, turns.isEmpty() ? 0 : wait, List.of(new Passage(content, added)),
                            draws.tokens(80, 0.9, 5, 3000), answer, 8192));
                }
            }
            return new Conversation(name, "agent", tenant, 0, arrivalSeconds, List.of(new Passage(tenant + ".system", systemTokens)), turns);
        }
    },

    /// Questions about one long document each: 30,000 × e^±0.9 tokens, up to 400,000; 3 questions on average of 40 × e^±0.6 tokens,
    /// answers of 350 × e^±0.7 without reasoning, 40 s × e^±1 apart. Every answer may have 4,096 tokens.
    DOCUMENT {
        @Override
        Conversation draw(long seed, int number, double arrivalSeconds) {
            String name = "document" + number;
            var draws = new Draws(seed, name);
            String tenant = "document-" + draws.popular(5);
            var document = new Passage(name + ".text", draws.tokens(30_000, 0.9, 4000, 400_000));
            int questions = draws.count(3, 20);
            List<Turn> turns = new ArrayList<>();
            for (int i = 0; i < questions; i++) {
                double delay = i == 0 ? 0 : draws.seconds(40, 1, 3, 900);
                var question = new Passage(name + ".question" + i, draws.tokens(40, 0.6, 5, 500));
                turns.add(new Turn(Turn.Input.USER, delay, i == 0 ? List.of(document, question) : List.of(question), 0,
                        draws.tokens(350, 0.7, 20, 4000), 4096));
            }
            return new Conversation(name, "document", tenant, 0, arrivalSeconds, List.of(new Passage("document.system", 200)), turns);
        }
    },

    /// Work of one tenant that nobody waits for, of priority 100: each a text of 3,000 × e^±0.6 tokens behind instructions of 400,
    /// with an answer of 400 × e^±0.7, in bursts: 40 of them come within ten seconds. Every answer may have 2,048 tokens.
    JOB {
        @Override
        Conversation draw(long seed, int number, double arrivalSeconds) {
            String name = "job" + number;
            var draws = new Draws(seed, name);
            var text = new Passage(name + ".text", draws.tokens(3000, 0.6, 200, 30_000));
            var turn = new Turn(Turn.Input.USER, 0, List.of(text), 0, draws.tokens(400, 0.7, 20, 2000), 2048);
            return new Conversation(name, "job", "jobs", 100, arrivalSeconds, List.of(new Passage("jobs.system", 400)), List.of(turn));
        }

        @Override
        int together() {
            return 40;
        }
    };

    /// Conversations that come within ten seconds whenever some come.
    int together() {
        return 1;
    }

    /// A conversation of this kind; the same seed and number give the same one, whatever else is drawn.
    abstract Conversation draw(long seed, int number, double arrivalSeconds);
}
