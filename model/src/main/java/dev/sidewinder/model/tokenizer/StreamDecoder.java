package dev.sidewinder.model.tokenizer;

/// Decodes one stream of tokens from a table. Allocates only where a character is split between tokens.
final class StreamDecoder implements TokenDecoder {
    private final TokenTable table;
    private final boolean skipSpecialTokens;
    private final Utf8Decoder utf8 = new Utf8Decoder();
    private final StringBuilder text = new StringBuilder();

    StreamDecoder(TokenTable table, boolean skipSpecialTokens) {
        this.table = table;
        this.skipSpecialTokens = skipSpecialTokens;
    }

    @Override
    public String accept(int token) {
        if (skipSpecialTokens && table.isSpecial(token)) {
            return "";
        }
        String whole = table.wholeText(token);
        if (whole != null && utf8.atBoundary()) {
            return whole;
        }
        utf8.accept(table.bytes(token), text);
        return take();
    }

    @Override
    public String finish() {
        utf8.finish(text);
        return take();
    }

    private String take() {
        String taken = text.toString();
        text.setLength(0);
        return taken;
    }
}
