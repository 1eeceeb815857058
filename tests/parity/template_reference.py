"""Templates as transformers carries them out, and what chat templates are tried with."""
import datetime
import random

from transformers.utils import chat_template_utils

NOW = 1767323045  # 2 January 2026, 03:04:05 UTC.
TOKENS = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
TOOLS = [{"type": "function", "function": {
    "name": "get_weather", "description": "The weather at a place, \u00fcberall.",
    "parameters": {"type": "object", "required": ["place"], "properties": {
        "place": {"type": "string", "description": "Town & country"},
        "days": {"type": "integer", "description": "How many", "default": 3},
        "unit": {"type": "string", "enum": ["C", "F"]},
        "tags": {"type": "array", "items": {"type": "string"}},
        "deep": {"type": "object", "properties": {"a": {"type": ["number", "null"]}, "b": {"type": "boolean"}}}}},
    "return": {"type": "string", "description": "A sentence"}}},
    {"type": "function", "function": {"name": "now", "description": "The time.",
                                      "parameters": {"type": "object", "properties": {}}}}]


class _Clock(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return datetime.datetime.fromtimestamp(NOW, datetime.timezone.utc)


def render(template, variables):
    """("text", text, generations) or ("error", message), as apply_chat_template has it."""
    chat_template_utils.datetime = _Clock
    try:
        compiled = chat_template_utils._compile_jinja_template(template)
        names = dict(variables)
        text, spans = chat_template_utils._render_with_assistant_indices(
            compiled, names.pop("messages", []), names.pop("tools", None), names.pop("documents", None),
            names.pop("add_generation_prompt", False), **names)
    except Exception as error:  # Whatever it is, the template is not carried out.
        return "error", f"{type(error).__name__}: {error}"
    place = [len(text[:at].encode()) for span in spans for at in span]
    return "text", text, [place[i:i + 2] for i in range(0, len(place), 2)]


def conversations():
    """Messages, tools or None, and further variables."""
    user, answer = {"role": "user", "content": "  Hi, who are you?\n"}, {"role": "assistant", "content": "A model. "}
    system = {"role": "system", "content": "Be \u201cbrief\u201d \u2013 \u65e5\u672c\u8a9e \U0001f600 <b>&\n\n"}
    more = {"role": "user", "content": "And 2 < 3 && \"x\"?\t"}
    thinking = {"role": "assistant", "content": "<think>\nHm, let me see.\n</think>\n\nYes."}
    reasoning = {"role": "assistant", "content": "Yes.", "reasoning_content": "Hm, let me see.\n"}
    call = {"role": "assistant", "content": "", "tool_calls": [
        {"id": "call00001", "type": "function", "function": {
            "name": "get_weather", "arguments": {"place": "K\u00f6ln", "days": 2, "deep": {"a": 1.5, "b": True}}}}]}
    text_call = {"role": "assistant", "content": None, "tool_calls": [
        {"id": "call00002", "type": "function", "function": {"name": "now", "arguments": "{\"zone\": \"UTC\"}"}}]}
    result = {"role": "tool", "tool_call_id": "call00001", "name": "get_weather", "content": "{\"sky\": \"grey\"}"}
    parts = {"role": "user", "content": [{"type": "text", "text": "part one "}, {"type": "text", "text": "part two"}]}
    two = dict(call, tool_calls=call["tool_calls"] + [dict(call["tool_calls"][0], id="call00003")])
    plain = [[user], [system, user], [user, answer], [system, user, answer], [user, answer, more],
             [system, user, answer, more, thinking], [user, thinking, more, answer], [user, reasoning],
             [user, reasoning, more, answer, user], [parts], [system, parts, answer], [user, user], [answer],
             [user, system, answer], [user, answer, more, reasoning, user], []]
    tooled = [[user], [system, user], [user, call, result], [user, call, result, answer],
              [system, user, call, result, answer, more], [user, two, result, dict(result, tool_call_id="call00003")],
              [user, text_call, dict(result, tool_call_id="call00002"), answer, more]]
    cases = [(messages, None, {}) for messages in plain]
    cases += [(messages, tools, {}) for messages in tooled for tools in (TOOLS, None)]
    cases += [([system, user, reasoning, more], None, {"enable_thinking": flag}) for flag in (True, False)]
    cases += [([user, call, result], TOOLS, {"enable_thinking": False, "reasoning_effort": "high"})]
    return cases


def variables():
    """What each template is tried with, with and without the prompt of an answer."""
    tried = []
    for messages, tools, more in conversations():
        for prompt in (False, True):
            messages = [{key: value for key, value in each.items() if value is not None} for each in messages]
            tried.append({"messages": messages, "tools": tools, "documents": None, "add_generation_prompt": prompt,
                          **TOKENS, **more})
    return tried


