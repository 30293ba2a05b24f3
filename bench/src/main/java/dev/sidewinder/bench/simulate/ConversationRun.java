package dev.sidewinder.bench.simulate;

/// A conversation and how far it has come.
///
/// @param number of the conversation in the traffic
record ConversationRun(int number, Conversation conversation, Transcript transcript) {

    ConversationRun(int number, Conversation conversation) {
        this(number, conversation, new Transcript(conversation));
    }
}
