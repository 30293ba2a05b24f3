/// What an answer may say, token by token. A language over bytes is an [dev.sidewinder.model.grammar.Expression], made by
/// [dev.sidewinder.model.grammar.Expressions]; a [dev.sidewinder.model.grammar.Grammar] walks it lazily as an automaton
/// and lays it over the vocabulary ([dev.sidewinder.model.grammar.TokenTrie]) to masks
/// ([dev.sidewinder.model.grammar.TokenMask]). [dev.sidewinder.model.grammar.TokenGuide] is the border to whoever samples:
/// any other automaton may stand behind it.
package dev.sidewinder.model.grammar;
