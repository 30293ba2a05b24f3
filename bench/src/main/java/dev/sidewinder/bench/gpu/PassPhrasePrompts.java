package dev.sidewinder.bench.gpu;

import com.fasterxml.jackson.databind.node.BooleanNode;
import dev.sidewinder.model.Model;
import dev.sidewinder.model.chat.ChatPrompt;
import dev.sidewinder.model.chat.ChatTemplate;
import dev.sidewinder.model.chat.Message;
import dev.sidewinder.model.tokenizer.Tokenizer;
import java.util.List;
import java.util.Map;
import java.util.Random;

/// Long prompts with a pass phrase near their beginning and the question for it at their end, in the words that `models/tiny`
/// was trained on.
final class PassPhrasePrompts {

    /// @param tokens of the whole prompt, up to where the answer begins
    record Prompt(int[] tokens, String phrase) {}

    private static final String[] NAMES = {"Anna", "Clara", "David", "Grace", "Leo", "Nora", "Oscar", "Tina", "Victor", "Hugo"};
    private static final String[] ANIMALS = {"cat", "dog", "horse", "goat", "rabbit", "fox", "bear", "tiger", "camel", "duck"};
    private static final String[] THINGS = {"table", "chair", "lamp", "spoon", "bottle", "book", "clock", "mirror", "drum",
            "rope", "bridge", "castle", "lantern", "marble", "canyon", "glacier"};
    private static final String[] ADJECTIVES = {"old", "small", "tall", "quiet", "bright", "warm", "soft", "heavy", "dusty",
            "golden", "round", "brave", "clever", "hidden", "famous", "simple"};
    private static final String[] PLACES = {"in the garden", "near the river", "behind the old mill", "at the station",
            "on the hill", "by the lake", "at the market", "in the library"};
    private static final String[] TIMES = {"In the morning", "At noon", "Last week", "On Monday", "In winter", "Yesterday"};
    /// Sentences in front of the one with the pass phrase, where there are so many.
    private static final int BEFORE = 3;
    /// What tokens may differ when sentences stand together.
    private static final int SLACK_TOKENS = 4;
    private static final String QUESTION = "\n\nWhat is the pass phrase?";

    private final Tokenizer tokenizer;
    private final ChatTemplate template;

    /// @throws IllegalArgumentException when the model serves token ids only
    PassPhrasePrompts(Model model) {
        tokenizer = model.tokenizer().orElseThrow(() -> new IllegalArgumentException(model.name() + " has no tokenizer"));
        template = model.chatTemplate().orElseThrow(() -> new IllegalArgumentException(model.name() + " has no chat template"));
    }

    /// A prompt of at most `length` tokens, and hardly less.
    Prompt make(int length, long seed) {
        Random random = new Random(seed);
        String phrase = of(random, ADJECTIVES) + " " + of(random, THINGS) + " " + (1 + random.nextInt(99));
        String said = "The pass phrase is " + phrase + ".";
        int room = length - SLACK_TOKENS - encode(said + QUESTION).length;
        if (room < 0) {
            throw new IllegalArgumentException("a prompt of " + length + " tokens has no room for a pass phrase");
        }
        var text = new StringBuilder();
        for (int sentences = 0; ; sentences++) {
            if (sentences == BEFORE) {
                text.append(said).append(' ');
            }
            String sentence = sentence(random);
            room -= tokenizer.encode(" " + sentence, false).length;
            if (room < 0) {
                text.append(sentences < BEFORE ? said : "");
                break;
            }
            text.append(sentence).append(' ');
        }
        int[] tokens = encode(text.toString().strip() + QUESTION);
        if (tokens.length > length) {
            throw new IllegalStateException("a prompt of " + tokens.length + " tokens came of sentences for " + length);
        }
        return new Prompt(tokens, phrase);
    }

    private int[] encode(String content) {
        return tokenizer.encode(template.render(new ChatPrompt(List.of(Message.user(content)), List.of(),
                Map.of("enable_thinking", BooleanNode.FALSE), true, false)));
    }

    private static String sentence(Random random) {
        return switch (random.nextInt(4)) {
            case 0 -> "The " + of(random, ADJECTIVES) + " " + of(random, ANIMALS) + " waits " + of(random, PLACES) + ".";
            case 1 -> of(random, TIMES) + " " + of(random, NAMES) + " found a " + of(random, THINGS) + " " + of(random, PLACES) + ".";
            case 2 -> "The " + of(random, THINGS) + " " + of(random, PLACES) + " is " + of(random, ADJECTIVES) + " and "
                    + of(random, ADJECTIVES) + ".";
            default -> of(random, NAMES) + " and " + of(random, NAMES) + " went to Berlin by train.";
        };
    }

    private static String of(Random random, String[] words) {
        return words[random.nextInt(words.length)];
    }
}
