package dev.sidewinder.engine;

import dev.sidewinder.model.grammar.TokenGuide;
import dev.sidewinder.model.grammar.TokenMask;
import java.util.ArrayList;
import java.util.List;

/// A form made up for tests, with all that a guide can say: anything, some tokens, one token, none, and the end. What it
/// says depends on the sum of the tokens so far, so a guide that is told of a neighbour's token shows at once.
public final class PatternGuide implements TokenGuide {

    private final int vocabSize;
    private final int kind;
    private int count;
    private int sum;

    /// @param vocabSize its last token is never allowed alone: in some tests it is poison
    public PatternGuide(int vocabSize, int kind) {
        this.vocabSize = vocabSize;
        this.kind = kind;
    }

    @Override
    public TokenMask allowed() {
        return switch ((sum + count + kind) % 6) {
            case 0 -> TokenMask.only(sum % (vocabSize - 1));
            case 1, 2 -> someTokens();
            case 3 -> kind % 5 == 0 && count > 6 ? TokenMask.of(new long[0]) : someTokens();
            default -> TokenMask.ALL;
        };
    }

    private TokenMask someTokens() {
        List<Integer> banned = new ArrayList<>(List.of(vocabSize - 1));
        for (int token = 0; token < vocabSize - 1; token++) {
            if ((token * 7 + sum) % 5 < 3) {
                banned.add(token);
            }
        }
        return TokenMask.allBut(vocabSize, banned);
    }

    @Override
    public void accept(int token) {
        if (!allowed().allows(token)) {
            throw new IllegalStateException("token " + token + " was not allowed");
        }
        count++;
        sum = (sum * 31 + token) & 0xFFFF;
    }

    @Override
    public boolean isComplete() {
        return kind % 3 == 0 && count > 4 && sum % 4 == 0;
    }
}
