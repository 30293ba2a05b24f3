package dev.sidewinder.server.api;

/// The routes whose bodies the parameter table describes.
public enum Endpoint {
    CHAT('C', "/v1/chat/completions"),
    COMPLETIONS('T', "/v1/completions"),
    GENERATE('G', "/generate"),
    TOKENIZE('K', "/tokenize"),
    DETOKENIZE('D', "/detokenize"),
    CACHE_RESET('R', "/v1/cache/reset"),
    SESSION('S', "/v1/sessions"),
    SESSION_FORK('F', "/v1/sessions/{name}/fork");

    private final char letter;
    private final String path;

    Endpoint(char letter, String path) {
        this.letter = letter;
        this.path = path;
    }

    /// Its sign in the column "where" of the table.
    public char letter() {
        return letter;
    }

    public String path() {
        return path;
    }
}
