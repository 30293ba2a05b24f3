package dev.sidewinder.server.eval;

/// What a server says of itself. A text is empty where another server than ours does not tell.
///
/// @param model          the name it serves the model under
/// @param numberFormat   the format most weights are stored in
/// @param weights        fingerprint of the weights
/// @param maxModelTokens prompt and answer at most; 0 when it does not tell
public record ServerInfo(String model, String numberFormat, String weights, int maxModelTokens, String version,
        String commit) {}
