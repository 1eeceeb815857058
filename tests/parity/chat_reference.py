"""The families' chat forms as Jinja, and conversations that are hard to render. What transformers makes of
them is what src/corpus/chat.cc must make of them."""
import json

from transformers import PreTrainedTokenizerFast

import tokenizer_reference

CHATML = """\
{%- if messages[0]['role'] != 'system' %}
    {{- '<|im_start|>system\\nAnswer in one word.<|im_end|>\\n' }}
{%- endif %}
{%- for message in messages %}
    {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
"""
LLAMA3 = """\
{%- for message in messages %}
    {%- if loop.first %}{{- bos_token }}{%- endif %}
    {{- '<|start_header_id|>' + message.role + '<|end_header_id|>\\n\\n' + message.content | trim + '<|eot_id|>' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}
"""
LLAMA31 = """\
{%- set date_string = "26 Jul 2024" %}
{%- set begins = messages[0].role == 'system' %}
{{- bos_token + "<|start_header_id|>system<|end_header_id|>\\n\\n" }}
{{- "Cutting Knowledge Date: December 2023\\n" }}
{{- "Today Date: " + date_string + "\\n\\n" }}
{%- if begins %}{{- messages[0].content | trim }}{%- endif %}
{{- "<|eot_id|>" }}
{%- for message in messages[1 if begins else 0:] %}
    {{- '<|start_header_id|>' + message.role + '<|end_header_id|>\\n\\n' + message.content | trim + '<|eot_id|>' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}
"""
LLAMA2 = """\
{%- set begins = messages[0].role == 'system' %}
{%- for message in messages[1 if begins else 0:] %}
    {%- set text = message.content %}
    {%- if loop.first and begins %}
        {%- set text = '<<SYS>>\\n' + messages[0].content + '\\n<</SYS>>\\n\\n' + text %}
    {%- endif %}
    {%- if message.role == 'user' %}
        {{- bos_token + '[INST] ' + text.strip() + ' [/INST]' }}
    {%- else %}
        {{- ' ' + text.strip() + ' ' + eos_token }}
    {%- endif %}
{%- endfor %}
"""

# Four that look like ChatML to who only looks for its tokens, and are each something else.
DEFAULT_SYSTEM = """\
{%- for message in messages %}
    {%- if loop.first and message.role != 'system' %}
        {{- '<|im_start|>system\nPut the last number into \\\\answer{n}.<|im_end|>\n' }}
    {%- endif %}
    {{- '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}{%- endif %}
"""
BARE_SYSTEM = """\
{%- if messages[0].role == 'system' %}{{- messages[0].content + '\n' }}{%- endif %}
{%- for message in messages if message.role != 'system' %}
    {%- if message.role == 'user' %}
        {{- '<|im_start|>user\n' + message.content + '<|im_end|>\n<|im_start|>assistant\n' }}
    {%- else %}
        {{- message.content + '<|im_end|>\n' }}
    {%- endif %}
{%- endfor %}
"""
TRIMMED = """\
{%- for message in messages %}
    {{- '<|im_start|>' + message.role + '\n' + message.content.strip() + '<|im_end|>\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}{%- endif %}
"""
OTHER_ROLES = """\
{%- set names = {'assistant': 'model', 'system': 'rules'} %}
{%- for message in messages %}
    {{- '<|im_start|>' + names.get(message.role, message.role) + '\n' + message.content + '<|im_end|>\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>model\n' }}{%- endif %}
"""

# form: (template, the family's tokenizer if ids are compared)
FORMS = {"chatml": (CHATML, "qwen2"), "llama3": (LLAMA3, "llama3"), "llama31": (LLAMA31, "llama3"),
         "llama2": (LLAMA2, None), "default_system": (DEFAULT_SYSTEM, "qwen2"), "bare_system": (BARE_SYSTEM, "qwen2"),
         "trimmed": (TRIMMED, "qwen2"), "other_roles": (OTHER_ROLES, "qwen2")}


def conversation(*contents, system=None):
    messages = [{"role": "user" if i % 2 == 0 else "assistant", "content": text}
                for i, text in enumerate(contents)]
    return ([{"role": "system", "content": system}] if system is not None else []) + messages


CONVERSATIONS = [
    conversation("Hello."),
    conversation("Which section?", "games"),
    conversation("How far is it?", "About 3.5 km.", "And back?", "The same 3.5 km.", "So 7 km?"),
    conversation("2 + 2", "4", system="You are terse."),
    conversation("  spaces, \t tabs\n\n", "\u00a0no-break\u2028 and \u3000wide ", system="\n Trim me.\x1c "),
    conversation("def f(x):\n    return x ** 2\n", "```\nf(3) == 9\n```"),
    conversation("快速的棕色狐狸 👩‍👩‍👧‍👦 e\u0301", "ได้ 🇩🇪 \u200b", "ǅ ﬁ", "\ufffd"),
    conversation("", "x", system=""),
    conversation("I'm sure they'll say 12345", "don't"),
    conversation("<|im_sta rt|> is no token, nor is <eot_id>", "[INST is none either"),
]


def tokenizers():
    made = {}
    for name, (tokenizer, end) in tokenizer_reference.families().items():
        begin = {"llama3": "<|begin_of_text|>"}.get(name, end)
        made[name] = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token=begin, eos_token=end)
    made[None] = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>")
    return made


def cases():
    """Per form and conversation: what transformers renders, and its ids where the tokenizer is at hand."""
    known = tokenizers()
    for form, (template, family) in FORMS.items():
        for messages in CONVERSATIONS:
            open_ended = messages[-1]["role"] == "user"
            options = dict(chat_template=template, add_generation_prompt=open_ended)
            case = {"form": form, "messages": messages, "open": open_ended,
                    "text": known[family].apply_chat_template(messages, tokenize=False, **options)}
            if family:
                case["ids"] = known[family].encode(case["text"], add_special_tokens=False)
                if not open_ended:
                    case["trained"] = trained(known[family], messages, template)
            yield case


def trained(tokenizer, messages, template):
    """What a training sees: texts in turn, what is answered and what is not, each encoded by itself; the tokens up to the
    one that ends the last answer, and where the answers lie."""
    def shown(count, prompt):
        return tokenizer.apply_chat_template(messages[:count], tokenize=False, chat_template=template,
                                             add_generation_prompt=prompt)
    ids, answers, told = [], [], ""
    for i, message in enumerate(messages):
        if message["role"] == "assistant":
            for text in shown(i, True), shown(i + 1, False).rstrip():
                assert text.startswith(told)
                begin = len(ids)
                ids += tokenizer.encode(text[len(told):], add_special_tokens=False)
                told = text
            answers.append([begin, len(ids)])
    return {"ids": ids, "answers": answers}


def recording():
    return {"templates": {form: template for form, (template, _) in FORMS.items()}, "cases": list(cases())}


def dump(path):
    """One conversation a line."""
    recorded = recording()
    cases_text = ",\n".join(json.dumps(case) for case in recorded["cases"])
    path.write_text(f'{{"templates": {json.dumps(recorded["templates"], indent=1)},\n"cases": [\n{cases_text}\n]}}\n')
