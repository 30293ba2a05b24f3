/// Our own interpreter for the Jinja that published chat templates use.
///
/// Read {@link dev.sidewinder.model.chat.template.Template} first: it names the stages. `Lexer`, `StatementParser` and
/// `ExpressionParser` make the tree (`Statement`, `Expression`); `Interpreter` and `Evaluator` walk it over `Value`s;
/// `Filters`, `Tests`, `StringMethods` and `Globals` are the vocabulary. `Text` remembers which of its characters the
/// template wrote and which came from the conversation. There is no reflection: a template reaches what it was given,
/// and nothing else.
package dev.sidewinder.model.chat.template;
