// Conversations of the official client with a running Sidewinder. SIDEWINDER_URL names the server (…/v1), KEY opens it, SCRIPT holds
// the words of the scripted checkpoint that is served (see support/Script.java).
import assert from "node:assert/strict";
import { test } from "node:test";
import OpenAI, { AuthenticationError, BadRequestError, NotFoundError } from "openai";

const client = new OpenAI({ baseURL: process.env.SIDEWINDER_URL, apiKey: process.env.KEY, maxRetries: 0, timeout: 60_000 });
const script = JSON.parse(process.env.SCRIPT);
const model = (await client.models.list()).data[0].id;
const tools = [{
  type: "function",
  function: {
    name: script.toolName,
    description: "Looks up the weather",
    parameters: {
      type: "object",
      properties: { city: { type: "string" }, days: { type: "integer" } },
      required: ["city"],
    },
  },
}];

test("a wrong key is an authentication error", async () => {
  const stranger = new OpenAI({ baseURL: process.env.SIDEWINDER_URL, apiKey: "wrong", maxRetries: 0 });
  await assert.rejects(stranger.models.list(), (error) => {
    assert.ok(error instanceof AuthenticationError);
    assert.equal(error.code, "invalid_api_key");
    return true;
  });
});

test("a plain answer separates reasoning and content", async () => {
  const answer = await client.chat.completions.create({
    model, temperature: 0, max_tokens: 200, messages: [{ role: "user", content: "Hello" }],
  });
  const [choice] = answer.choices;
  assert.equal(choice.message.content, script.answer);
  assert.equal(choice.message.reasoning.trim(), script.reasoning);
  assert.equal(choice.message.reasoning_content, choice.message.reasoning);
  assert.equal(choice.finish_reason, "stop");
  assert.equal(answer.usage.total_tokens, answer.usage.prompt_tokens + answer.usage.completion_tokens);
});

test("a stream joins to the plain answer and ends with usage", async () => {
  const stream = await client.chat.completions.create({
    model, temperature: 0, max_tokens: 200, stream: true, stream_options: { include_usage: true },
    messages: [{ role: "system", content: "Be brief." }, { role: "user", content: "Hello" }],
  });
  let content = "", reasoning = "", finish = null, usage = null;
  for await (const chunk of stream) {
    if (chunk.usage) { usage = chunk.usage; continue; }
    content += chunk.choices[0].delta.content ?? "";
    reasoning += chunk.choices[0].delta.reasoning ?? "";
    finish = chunk.choices[0].finish_reason ?? finish;
  }
  assert.equal(content, script.answer);
  assert.equal(reasoning.trim(), script.reasoning);
  assert.equal(finish, "stop");
  assert.ok(usage.completion_tokens > 0);
});

test("the stream helper accumulates the same message", async () => {
  const runner = client.chat.completions.stream({
    model, temperature: 0, max_tokens: 200, messages: [{ role: "user", content: "Hello" }],
  });
  const final = await runner.finalChatCompletion();
  assert.equal(final.choices[0].message.content, script.answer);
});

test("a conversation with a tool call goes on after the result", async () => {
  const messages = [{ role: "user", content: script.toolQuestion }];
  const request = { model, temperature: 0, max_tokens: 200, tools, messages, reasoning_effort: "none" };
  const first = await client.chat.completions.create(request);
  const message = first.choices[0].message;
  assert.equal(first.choices[0].finish_reason, "tool_calls");
  assert.equal(message.tool_calls.length, 1);
  assert.match(message.tool_calls[0].id, /^call_[0-9A-Za-z]{24}$/);
  assert.equal(message.tool_calls[0].function.name, script.toolName);
  assert.deepEqual(JSON.parse(message.tool_calls[0].function.arguments), script.toolArguments);

  const second = await client.chat.completions.create({
    ...request,
    messages: [...messages, message, { role: "tool", tool_call_id: message.tool_calls[0].id, content: "sunny" }],
  });
  assert.equal(second.choices[0].message.content, script.afterTool);
});

test("a streamed tool call joins to the same arguments", async () => {
  const runner = client.chat.completions.stream({
    model, temperature: 0, max_tokens: 200, tools, reasoning_effort: "none",
    messages: [{ role: "user", content: script.toolQuestion }],
  });
  const final = await runner.finalChatCompletion();
  assert.equal(final.choices[0].finish_reason, "tool_calls");
  assert.deepEqual(JSON.parse(final.choices[0].message.tool_calls[0].function.arguments), script.toolArguments);
});

test("a call is forced by required and by name, plain and streamed", async () => {
  const request = {
    model, temperature: 0, max_tokens: 200, tools, reasoning_effort: "none",
    messages: [{ role: "user", content: script.toolQuestion }],
  };
  const named = { type: "function", function: { name: script.toolName } };
  for (const [tool_choice, finish] of [["required", "tool_calls"], [named, "stop"]]) {
    const plain = await client.chat.completions.create({ ...request, tool_choice });
    const streamed = await client.chat.completions.stream({ ...request, tool_choice }).finalChatCompletion();
    for (const answer of [plain, streamed]) {
      const [choice] = answer.choices;
      assert.equal(choice.finish_reason, finish);
      assert.equal(choice.message.tool_calls.length, 1);
      assert.equal(choice.message.tool_calls[0].function.name, script.toolName);
      assert.deepEqual(JSON.parse(choice.message.tool_calls[0].function.arguments), script.toolArguments);
    }
  }
});

test("n choices arrive under their own index", async () => {
  const stream = await client.chat.completions.create({
    model, n: 2, temperature: 0, max_tokens: 200, stream: true, messages: [{ role: "user", content: "Hello" }],
  });
  const content = ["", ""];
  for await (const chunk of stream) {
    for (const choice of chunk.choices) content[choice.index] += choice.delta.content ?? "";
  }
  assert.deepEqual(content, [script.answer, script.answer]);
});

test("text completions, plain and streamed", async () => {
  const plain = await client.completions.create({ model, prompt: script.completionPrompt, temperature: 0, max_tokens: 64 });
  const stream = await client.completions.create({
    model, prompt: script.completionPrompt, temperature: 0, max_tokens: 64, stream: true,
  });
  let text = "";
  for await (const chunk of stream) text += chunk.choices[0].text;
  assert.equal(plain.choices[0].text, script.completion);
  assert.equal(text, script.completion);
  assert.equal(plain.object, "text_completion");
});

test("mistakes come back as typed errors that name the field", async () => {
  await assert.rejects(
    client.chat.completions.create({ model, temperature: 3, messages: [{ role: "user", content: "Hello" }] }),
    (error) => error instanceof BadRequestError && error.param === "temperature"
      && error.code === "decimal_above_max_value" && error.requestID !== null);
  await assert.rejects(
    client.chat.completions.create({ model: "other", messages: [{ role: "user", content: "Hello" }] }),
    (error) => error instanceof NotFoundError && error.code === "model_not_found");
});

test("leaving an endless stream ends it", async () => {
  const stream = await client.chat.completions.create({
    model, temperature: 0, max_tokens: 4000, stream: true, reasoning_effort: "none",
    messages: [{ role: "user", content: script.endlessQuestion }],
  });
  let chunks = 0;
  for await (const chunk of stream) {
    if (++chunks === 5) break;
  }
  // the server's own books, read by the test that started this one, show that nothing goes on
  assert.equal(chunks, 5);
});
