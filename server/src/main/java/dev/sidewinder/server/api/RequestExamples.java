package dev.sidewinder.server.api;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.charset.StandardCharsets;
import java.util.List;

/// Requests to copy, for the OpenAPI document. The tests read every one of them.
public final class RequestExamples {

    private static final StrictJson JSON = new StrictJson(StrictJson.Limits.DEFAULT);

    private RequestExamples() {}

    public static List<ObjectNode> of(Endpoint endpoint) {
        List<String> texts = switch (endpoint) {
            case CHAT -> List.of("""
                    {"messages":[{"role":"user","content":"What is a sidewinder?"}],"max_tokens":200}""", """
                    {"messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"Hello"}],
                     "stream":true,"stream_options":{"include_usage":true},"enable_thinking":false,"temperature":0.6}""", """
                    {"messages":[{"role":"user","content":"What is the weather in Paris?"}],
                     "tools":[{"type":"function","function":{"name":"get_weather","description":"Weather of a city, today",
                      "parameters":{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}}}]}""");
            case COMPLETIONS -> List.of("""
                    {"prompt":"The capital of France is","max_tokens":8,"temperature":0}""", """
                    {"prompt":[1,2,3],"max_tokens":4,"return_token_ids":true}""");
            case GENERATE -> List.of("""
                    {"prompt":"Once upon a time","max_tokens":32,"temperature":0.8}""", """
                    {"token_ids":[1,2,3],"max_tokens":4,"stream":true}""");
            case TOKENIZE -> List.of("""
                    {"prompt":"Hello world","return_token_strs":true}""", """
                    {"messages":[{"role":"user","content":"Hello"}]}""");
            case DETOKENIZE -> List.of("""
                    {"tokens":[1,2,3]}""");
            case CACHE_RESET -> List.of("""
                    {"cache_salt":"team-7"}""");
            case SESSION -> List.of("""
                    {"name":"travel-plans","messages":[{"role":"system","content":"You plan travels."}]}""", """
                    {"prompt":[1,2,3]}""");
            case SESSION_FORK -> List.of("""
                    {"name":"travel-plans-2"}""");
        };
        return texts.stream().map(text -> JSON.readObject(text.getBytes(StandardCharsets.UTF_8))).toList();
    }
}
