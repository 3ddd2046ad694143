"""The four wire formats as a provider speaks them: healthy answers, native errors, and what a request says.

Encodes what the AI SDK packages inside OpenCode read, and reads what they send. Pure functions over JSON; what is
answered to whom is `scripted.py`.
"""

import itertools
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]
Call = tuple[str, Mapping[str, Any]]
_ids = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Answer:
    """A healthy answer: reasoning first, then text, then tool calls (name and arguments)."""

    model: str
    text: str = ""
    reasoning: str = ""
    tools: Sequence[Call] = ()


@dataclass(frozen=True, slots=True)
class Wire:
    """One wire format: the AI SDK package that speaks it and how everything is said in it."""

    name: str
    npm: str
    events: Callable[[Answer], list[Json]]
    """The events of a streamed answer, in order; the first says nothing yet."""
    whole: Callable[[Answer], Json]
    """The answer as one object."""
    error: Callable[[int, str, str | None], Json]
    """The body of an error: status, message, and the seconds to wait where the format has a place for them."""
    texts: Callable[[Json], list[str]]
    """What users and tools said in a request, oldest first."""

    def error_event(self, status: int, message: str) -> Json:
        """Give an error as an event of a stream that began with status 200."""
        body = self.error(status, message, None)
        return {"type": "error", "sequence_number": 1, **body} if self.name == "openai-responses" else body

    def sse(self, event: Json) -> str:
        """Write one event."""
        named = self.name in ("anthropic", "openai-responses") and "type" in event
        return (f"event: {event['type']}\n" if named else "") + f"data: {json.dumps(event)}\n\n"

    @property
    def end(self) -> str:
        """What closes a whole stream."""
        return "data: [DONE]\n\n" if self.name == "openai-chat" else ""


def _words(text: str) -> list[str]:
    return re.findall(r"\S+\s*", text)


def _new(prefix: str) -> str:
    return f"{prefix}_{next(_ids):06}"


# -- errors ------------------------------------------------------------------------------------------------------

# Status: how OpenAI types it and its code, how Anthropic types it, Google's status.
_NAMES = {
    400: ("invalid_request_error", None, "invalid_request_error", "INVALID_ARGUMENT"),
    401: ("invalid_request_error", "invalid_api_key", "authentication_error", "UNAUTHENTICATED"),
    402: ("billing_error", None, "billing_error", "FAILED_PRECONDITION"),
    403: ("permission_error", None, "permission_error", "PERMISSION_DENIED"),
    404: ("invalid_request_error", "model_not_found", "not_found_error", "NOT_FOUND"),
    429: ("requests", "rate_limit_exceeded", "rate_limit_error", "RESOURCE_EXHAUSTED"),
    500: ("server_error", None, "api_error", "INTERNAL"),
    503: ("server_error", None, "api_error", "UNAVAILABLE"),
    529: ("overloaded_error", None, "overloaded_error", "UNAVAILABLE"),
}


def _openai_error(status: int, message: str, _wait: str | None) -> Json:
    kind, code, *_ = _NAMES[status]
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def _anthropic_error(status: int, message: str, _wait: str | None) -> Json:
    return {"type": "error", "error": {"type": _NAMES[status][2], "message": message}, "request_id": "req_scripted"}


def _gemini_error(status: int, message: str, wait: str | None) -> Json:
    info = [] if wait is None else [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{wait}s"}]
    return {"error": {"code": status, "message": message, "status": _NAMES[status][3], "details": info}}


# -- chat completions --------------------------------------------------------------------------------------------


def _chat_events(answer: Answer) -> list[Json]:
    base = {"id": "chatcmpl-scripted", "object": "chat.completion.chunk", "created": 1_700_000_000}

    def chunk(delta: Json, finish: str | None = None, **more: Any) -> Json:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return {**base, "model": answer.model, "choices": [choice], **more}

    return [
        chunk({"role": "assistant", "content": ""}),
        *(chunk({"reasoning_content": word}) for word in _words(answer.reasoning)),
        *(chunk({"content": word}) for word in _words(answer.text)),
        *(chunk({"tool_calls": [{"index": i, **call}]}) for i, call in enumerate(_chat_calls(answer))),
        chunk({}, "tool_calls" if answer.tools else "stop", usage=_CHAT_USAGE),
    ]


_CHAT_USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}


def _chat_calls(answer: Answer) -> list[Json]:
    return [
        {"id": _new("call"), "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
        for name, arguments in answer.tools
    ]


def _chat_whole(answer: Answer) -> Json:
    message: Json = {"role": "assistant", "content": answer.text, "tool_calls": _chat_calls(answer)}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if answer.tools else "stop"}
    return {"id": "chatcmpl-scripted", "object": "chat.completion", "model": answer.model, "choices": [choice],
            "usage": _CHAT_USAGE}  # fmt: skip


def _chat_texts(body: Json) -> list[str]:
    return [
        text
        for message in body.get("messages", [])
        if message.get("role") in ("user", "tool")
        for text in _texts_in(message.get("content"))
    ]


def _texts_in(content: Any) -> Iterator[str]:
    """Give the texts of a message's content: a text, or parts that may hold parts."""
    if isinstance(content, str):
        yield content
    for part in content if isinstance(content, list) else ():
        if isinstance(part.get("text"), str):
            yield part["text"]
        yield from _texts_in(part.get("content"))


# -- Anthropic Messages ------------------------------------------------------------------------------------------


def _anthropic_blocks(answer: Answer) -> list[tuple[Json, list[Json]]]:
    """Give each block as it stands at its start, and the deltas that fill it."""
    blocks: list[tuple[Json, list[Json]]] = []
    if answer.reasoning:
        deltas = [{"type": "thinking_delta", "thinking": word} for word in _words(answer.reasoning)]
        signed = {"type": "signature_delta", "signature": "signed"}
        blocks.append(({"type": "thinking", "thinking": "", "signature": ""}, [*deltas, signed]))
    if answer.text:
        deltas = [{"type": "text_delta", "text": word} for word in _words(answer.text)]
        blocks.append(({"type": "text", "text": ""}, deltas))
    for name, arguments in answer.tools:
        block = {"type": "tool_use", "id": _new("toolu"), "name": name, "input": {}}
        blocks.append((block, [{"type": "input_json_delta", "partial_json": json.dumps(arguments)}]))
    return blocks


def _anthropic_message(answer: Answer, content: list[Json], stop: str | None, spoken: int) -> Json:
    usage = {"input_tokens": 10, "output_tokens": spoken}
    return {"id": _new("msg"), "type": "message", "role": "assistant", "model": answer.model, "content": content,
            "stop_reason": stop, "stop_sequence": None, "usage": usage}  # fmt: skip


def _anthropic_events(answer: Answer) -> list[Json]:
    events: list[Json] = [{"type": "message_start", "message": _anthropic_message(answer, [], None, 1)}]
    for index, (block, deltas) in enumerate(_anthropic_blocks(answer)):
        events.append({"type": "content_block_start", "index": index, "content_block": block})
        events += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
        events.append({"type": "content_block_stop", "index": index})
    stop = {"stop_reason": "tool_use" if answer.tools else "end_turn", "stop_sequence": None}
    return [*events, {"type": "message_delta", "delta": stop, "usage": {"output_tokens": 5}}, {"type": "message_stop"}]


def _anthropic_whole(answer: Answer) -> Json:
    content: list[Json] = [{"type": "text", "text": answer.text}]
    content += [{"type": "tool_use", "id": _new("toolu"), "name": n, "input": dict(a)} for n, a in answer.tools]
    return _anthropic_message(answer, content, "tool_use" if answer.tools else "end_turn", 5)


def _anthropic_texts(body: Json) -> list[str]:
    users = (message for message in body.get("messages", []) if message.get("role") == "user")
    return [text for message in users for text in _texts_in(message.get("content"))]


# -- OpenAI Responses --------------------------------------------------------------------------------------------


def _response(answer: Answer, status: str, output: list[Json]) -> Json:
    usage = {
        "input_tokens": 10,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 5,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 15,
    }
    return {"id": "resp_scripted", "object": "response", "created_at": 1_700_000_000, "model": answer.model,
            "status": status, "output": output, "incomplete_details": None, "error": None,
            "usage": usage if status == "completed" else None}  # fmt: skip


def _responses_items(answer: Answer) -> Iterator[tuple[Json, Json, list[Json]]]:
    """Give each item as it is added, as it is done, and what comes between."""
    if answer.reasoning:
        item: Json = {"type": "reasoning", "id": _new("rs"), "encrypted_content": None}
        said = [{"type": "summary_text", "text": answer.reasoning}]
        between: list[Json] = [
            {"type": "response.reasoning_summary_part.added", "part": {"type": "summary_text", "text": ""}},
            *({"type": "response.reasoning_summary_text.delta", "delta": word} for word in _words(answer.reasoning)),
            {"type": "response.reasoning_summary_part.done", "part": said[0]},
        ]
        done = {**item, "summary": said, "encrypted_content": "sealed"}
        yield {**item, "summary": []}, done, [{**event, "summary_index": 0} for event in between]
    if answer.text:
        item = {"type": "message", "id": _new("msg"), "role": "assistant"}
        part = {"type": "output_text", "text": answer.text, "annotations": [], "logprobs": []}
        between = [
            {"type": "response.content_part.added", "part": {**part, "text": ""}},
            *({"type": "response.output_text.delta", "delta": word, "logprobs": []} for word in _words(answer.text)),
            {"type": "response.output_text.done", "text": answer.text, "logprobs": []},
            {"type": "response.content_part.done", "part": part},
        ]
        done = {**item, "status": "completed", "content": [part]}
        added = {**item, "status": "in_progress", "content": []}
        yield added, done, [{**event, "content_index": 0} for event in between]
    for name, arguments in answer.tools:
        item = {"type": "function_call", "id": _new("fc"), "call_id": _new("call"), "name": name}
        text = json.dumps(arguments)
        between = [
            {"type": "response.function_call_arguments.delta", "delta": text},
            {"type": "response.function_call_arguments.done", "arguments": text},
        ]
        done = {**item, "arguments": text, "status": "completed"}
        yield {**item, "arguments": "", "status": "in_progress"}, done, between


def _responses_events(answer: Answer) -> list[Json]:
    events: list[Json] = [{"type": "response.created", "response": _response(answer, "in_progress", [])}]
    output: list[Json] = []
    for index, (added, done, between) in enumerate(_responses_items(answer)):
        events.append({"type": "response.output_item.added", "output_index": index, "item": added})
        events += [{**event, "output_index": index, "item_id": added["id"]} for event in between]
        events.append({"type": "response.output_item.done", "output_index": index, "item": done})
        output.append(done)
    events.append({"type": "response.completed", "response": _response(answer, "completed", output)})
    return [{**event, "sequence_number": number} for number, event in enumerate(events)]


def _responses_whole(answer: Answer) -> Json:
    return _response(answer, "completed", [done for _, done, _ in _responses_items(answer)])


def _responses_texts(body: Json) -> list[str]:
    found: list[str] = []
    for item in body.get("input", []):
        if item.get("role") == "user":
            found += _texts_in(item.get("content"))
        elif item.get("type") == "function_call_output":
            output = item.get("output")
            found += [output] if isinstance(output, str) else _texts_in(output)
    return found


# -- Gemini ------------------------------------------------------------------------------------------------------


def _gemini_chunk(answer: Answer, parts: list[Json], finish: str | None = None) -> Json:
    candidate: Json = {"index": 0, "content": {"role": "model", "parts": parts}}
    if finish is not None:
        candidate["finishReason"] = finish
    usage = {"promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 15}
    return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": answer.model}


def _gemini_parts(answer: Answer) -> list[Json]:
    return [
        *({"text": word, "thought": True} for word in _words(answer.reasoning)),
        *({"text": word} for word in _words(answer.text)),
        *(
            {"functionCall": {"name": name, "args": dict(arguments)}, "thoughtSignature": "signed"}
            for name, arguments in answer.tools
        ),
    ]


def _gemini_events(answer: Answer) -> list[Json]:
    said = [_gemini_chunk(answer, [part]) for part in _gemini_parts(answer)]
    return [_gemini_chunk(answer, [{"text": ""}]), *said, _gemini_chunk(answer, [{"text": ""}], "STOP")]


def _gemini_whole(answer: Answer) -> Json:
    return _gemini_chunk(answer, _gemini_parts(answer), "STOP")


def _gemini_texts(body: Json) -> list[str]:
    found: list[str] = []
    for content in body.get("contents", []):
        if content.get("role") == "user":
            found += _texts_in(content.get("parts"))
            answers = (part["functionResponse"] for part in content.get("parts", []) if "functionResponse" in part)
            found += [str(answer.get("response", {}).get("content")) for answer in answers]
    return found


WIRES = {
    wire.name: wire
    for wire in (
        Wire("openai-chat", "@ai-sdk/openai-compatible", _chat_events, _chat_whole, _openai_error, _chat_texts),
        Wire("anthropic", "@ai-sdk/anthropic", _anthropic_events, _anthropic_whole, _anthropic_error, _anthropic_texts),
        Wire("openai-responses", "@ai-sdk/openai", _responses_events, _responses_whole, _openai_error,
             _responses_texts),
        Wire("gemini", "@ai-sdk/google", _gemini_events, _gemini_whole, _gemini_error, _gemini_texts),
    )
}  # fmt: skip
"""By the names the protocol has for them."""
