"""What `dashf score` says, beside a forward pass in double precision (reference/llama.py) on the tokens that transformers
made of the same conversations (parity/tokenizers/chat.json). Usage: score_test.py DASHF_BINARY [unittest options]"""
import json
import math
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

from reference.llama import Llama
import own_cache
from tiny_model import CONFIG, write_model

BINARY = sys.argv[1] if len(sys.argv) > 1 else "build/release/bin/dashf"
TOKENIZERS = pathlib.Path(__file__).resolve().parent / "parity/tokenizers"
FAMILY = TOKENIZERS / "qwen2"
RECORDED = json.loads((TOKENIZERS / "chat.json").read_text())
SMALL = CONFIG | {"vocab_size": 644, "num_hidden_layers": 2, "num_key_value_heads": 1, "max_position_embeddings": 256}


class Score(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.root = pathlib.Path(folder.name)

    def model(self, name, config=SMALL, **tokenizer_config):
        folder = self.root / name
        write_model(folder, FAMILY / "tokenizer.json", config)
        told = json.loads((FAMILY / "tokenizer_config.json").read_text())
        (folder / "tokenizer_config.json").write_text(json.dumps(told | tokenizer_config))
        return folder

    def score(self, model, lines):
        data = self.root / "data.jsonl"
        data.write_text("".join(json.dumps(line) + "\n" for line in lines))
        done = subprocess.run([BINARY, "score", "--model", model, "--data", data, "--json"], capture_output=True, text=True,
                              timeout=100, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def assert_scores(self, folder, lines, trained):
        """`trained`: of each line the tokens, and which of them are counted."""
        model = Llama(folder)
        losses = [loss for case in trained for loss in model.losses(case["ids"], case["answers"])]
        told = self.score(folder, lines)
        self.assertEqual(told["answer_tokens"], len(losses))
        mean = math.fsum(losses) / len(losses)
        self.assertAlmostEqual(told["loss_nat_per_token"], mean, delta=1e-5)
        return mean

    def cases(self, form):
        return [case for case in RECORDED["cases"] if case["form"] == form and not case["open"]][:4]

    def test_conversations_in_the_form_that_each_template_gives_them(self):
        values = []
        for form in ("chatml", "default_system", "bare_system", "trimmed", "other_roles"):
            cases = self.cases(form)
            folder = self.model(form, chat_template=RECORDED["templates"][form])
            values.append(self.assert_scores(folder, [{"messages": case["messages"]} for case in cases],
                                             [case["trained"] for case in cases]))
        # None is what another would have been taken for.
        self.assertGreater(min(b - a for a, b in zip(sorted(values), sorted(values)[1:])), 1e-3, values)

    def test_an_answer_of_no_weight_is_not_counted(self):
        case = next(case for case in self.cases("trimmed") if len(case["trained"]["answers"]) == 1)
        folder = self.model("weights", chat_template=RECORDED["templates"]["trimmed"])
        messages = case["messages"]
        # The same conversation, its answer twice: what is seen first is not learnt.
        asked = [message for message in messages if message["role"] == "user"]
        answer = messages[-1]
        twice = [*messages[:-1], answer | {"weight": 0}, *asked, answer | {"weight": 1}]
        both = [*messages[:-1], answer, *asked, answer]
        whole, last = self.score(folder, [{"messages": both}]), self.score(folder, [{"messages": twice}])
        self.assertEqual(whole["answer_tokens"], 2 * last["answer_tokens"])

    def test_a_head_that_differs_from_the_embedding_is_the_models(self):
        cases = self.cases("other_roles")
        lines, trained = [{"messages": case["messages"]} for case in cases], [case["trained"] for case in cases]
        template = RECORDED["templates"]["other_roles"]
        values = []
        for name, config in (("tied", SMALL), ("untied", SMALL | {"tie_word_embeddings": False}),
                             ("said_tied", SMALL | {"tie_word_embeddings": False})):
            folder = self.model(name, config, chat_template=template)
            if name == "said_tied":  # But its files have a head of their own.
                (folder / "config.json").write_text(json.dumps(SMALL))
            values.append(self.assert_scores(folder, lines, trained))
        self.assertEqual(values[1], values[2])
        self.assertGreater(abs(values[0] - values[1]), 1e-2)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]])
