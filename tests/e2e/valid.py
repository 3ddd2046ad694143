"""What the providers' own interfaces refuse in a request, by wire format: why a conversation could not be continued.

Pure functions over the body of a request. Only what a switch in mid-session can get wrong: the order of roles, tool
calls and their results, foreign reasoning, empty texts.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any

from sidecar.demo.scripted import Seen

Json = dict[str, Any]
_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")


def problems(seen: Seen) -> list[str]:
    """Give what is wrong with a request, in words; nothing when it is valid."""
    return list(_RULES[seen.wire](seen.body))


def _chat(body: Json) -> Iterator[str]:
    messages: list[Json] = body["messages"]
    open_calls: list[str] = []
    for message in messages:
        role, content = message["role"], message.get("content")
        if role not in ("system", "user", "assistant", "tool"):
            yield f"role {role}"
        if role == "tool":
            if message["tool_call_id"] not in open_calls:
                yield f"result of no call: {message['tool_call_id']}"
            else:
                open_calls.remove(message["tool_call_id"])
        elif open_calls:
            yield f"calls without a result: {open_calls}"
        if role == "assistant":
            open_calls = [call["id"] for call in message.get("tool_calls", [])]
            if not content and not open_calls:
                yield "an assistant message that says nothing"
        yield from _parts(content, "text", "image_url")
    if messages[-1]["role"] not in ("user", "tool"):
        yield f"ends with {messages[-1]['role']}"


def _parts(content: Any, *kinds: str) -> Iterator[str]:
    for part in content if isinstance(content, list) else ():
        if part["type"] not in kinds:
            yield f"part {part['type']}"


def _anthropic(body: Json) -> Iterator[str]:
    expected: list[str] = []
    previous = ""
    for message in body["messages"]:
        blocks: list[Json] = message["content"]
        if message["role"] == previous:
            yield f"{previous} speaks twice in a row"
        previous = message["role"]
        results = [block["tool_use_id"] for block in blocks if block["type"] == "tool_result"]
        if sorted(results) != sorted(expected):
            yield f"results {results} for the calls {expected}"
        expected = [block["id"] for block in blocks if block["type"] == "tool_use"]
        for block in blocks:
            kind = block["type"]
            if kind not in ("text", "image", "tool_use", "tool_result", "thinking", "redacted_thinking"):
                yield f"block {kind}"
            if kind == "text" and not block["text"].strip():
                yield "an empty text"
            if kind == "thinking" and block.get("signature") != "signed":
                yield f"thinking that is not signed: {block}"
            if kind == "tool_use" and not _ID.fullmatch(block["id"]):
                yield f"a call's id: {block['id']}"
    if previous != "user":
        yield f"ends with {previous}"


_SAID = ("input_text", "input_image")
_PREFIXES = {"message": "msg_", "function_call": "fc_", "reasoning": "rs_"}


def _responses(body: Json) -> Iterator[str]:
    called: set[str] = set()
    answered: set[str] = set()
    items: list[Json] = body["input"]
    for item in items:
        yield from _item(item)
        if item.get("type") == "function_call":
            called.add(item["call_id"])
        if item.get("type") == "function_call_output":
            answered.add(item["call_id"])
            if item["call_id"] not in called:
                yield f"result of no call: {item['call_id']}"
    if called != answered:
        yield f"calls without a result: {called - answered}"
    if items[-1].get("role") == "assistant":
        yield "ends with the assistant"


def _item(item: Json) -> Iterator[str]:
    kind = item.get("type", "message")
    if kind not in ("message", "function_call", "function_call_output", "reasoning"):
        yield f"item {kind}"
    if kind == "message":
        yield from _parts(item["content"], *(("output_text",) if item["role"] == "assistant" else _SAID))
    if kind == "reasoning" and item.get("encrypted_content") != "sealed":
        # Only its own provider can unseal it.
        yield f"foreign reasoning: {item}"
    if "id" in item and not str(item["id"]).startswith(_PREFIXES.get(kind, "")):
        yield f"a foreign id: {item['id']}"


def _gemini(body: Json) -> Iterator[str]:
    contents: list[Json] = body["contents"]
    expected: list[str] = []
    for content in contents:
        parts: list[Json] = content["parts"]
        if content["role"] not in ("user", "model"):
            yield f"role {content['role']}"
        results = [part["functionResponse"]["name"] for part in parts if "functionResponse" in part]
        if results != expected:
            yield f"results {results} for the calls {expected}"
        expected = [part["functionCall"]["name"] for part in parts if "functionCall" in part]
        for part in parts:
            if not set(part) & {"text", "inlineData", "functionCall", "functionResponse"}:
                yield f"part {sorted(part)}"
            if part.get("thoughtSignature", "signed") not in ("signed", "skip_thought_signature_validator"):
                yield f"a foreign signature: {part}"
        if not parts:
            yield "a content without parts"
    if contents[0]["role"] != "user" or contents[-1]["role"] != "user":
        yield "does not begin and end with the user"


_RULES: dict[str, Callable[[Json], Iterator[str]]] = {
    "openai-chat": _chat,
    "anthropic": _anthropic,
    "openai-responses": _responses,
    "gemini": _gemini,
}
