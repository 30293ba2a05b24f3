/// Text to token ids and back. Read [dev.sidewinder.model.tokenizer.Tokenizer] first: it reads and checks
/// `tokenizer.json` (`TokenizerFile`), leaves byte-pair encoding to the maintained native library (`NativeTokenizer`),
/// and keeps for itself what the library cannot do: which parts of a prompt may become control tokens
/// (`AddedTokenMatcher`) and decoding a stream without splitting a character (`Utf8Decoder`).
package dev.sidewinder.model.tokenizer;
