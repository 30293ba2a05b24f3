package dev.sidewinder.model.tokenizer;

/// A token that is found in text as a literal, before byte-pair encoding sees the text.
///
/// @param special    flagged as part of the format rather than of the text
/// @param lstrip     takes the white space before it along
/// @param rstrip     takes the white space after it along
/// @param singleWord found only where no word character touches it
/// @param normalized looked for after the tokens that are not, in what they left over
record AddedToken(int id, String content, boolean special, boolean lstrip, boolean rstrip, boolean singleWord,
        boolean normalized) {}
