"""The study of a paper."""
import json

import numpy as np
import pytest

pytest.importorskip("matplotlib")
pandas = pytest.importorskip("pandas")

import dashf  # noqa: E402
from dashf import paper  # noqa: E402


def test_a_small_study_draws_states_and_goes_on(tmp_path, capsys):
    words = ["--out", str(tmp_path), "--parts", "user-power", "size", "--seeds", "1", "--kinds", "svg"]
    small = [paper.dataclasses.replace(part, values=part.values[:2] if part.name == "user-power" else (4, 6),
                                       methods=tuple(m for m in part.methods if m in ("dashf", "greedy")),
                                       figures=part.figures[:1]) for part in paper.parts()]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paper, "parts", lambda: small)
        patch.setattr(paper, "SHOWN", (4, 2))
        results = tmp_path / "results.jsonl"
        paper.work_off([part for part in small if part.name in words], [1], paper.Results(str(results)), 2)
        lines = results.read_text().splitlines()
        assert len(lines) == 2 * 2
        # Stopped while it wrote, and asked for more: the rest alone is planned.
        odd = b'[1]\n"caf\xe9"\n{"part": [], "value": 1, "seed": 1, "methods": [1]}\n'
        results.write_bytes("\n".join(lines[:-1]).encode() + b"\n" + odd + lines[-1][:40].encode())
        capsys.readouterr()
        assert paper.main([*words, "--seeds", "2"]) == 0
        said = capsys.readouterr().err
        assert "5 of 5" in said
    rows = [json.loads(line) for line in results.read_text(errors="replace").splitlines()
            if line.startswith('{"part": "') and line.endswith("}")]
    assert len({(r["part"], json.dumps(r["value"]), r["seed"]) for r in rows}) == 8
    for name in ("user-power-scr", "size-elapsed", "convergence-time", "map"):
        assert (tmp_path / f"{name}.svg").exists(), name
    page = (tmp_path / "claims.md").read_text()
    assert "| user-power | greedy | +" in page and "95 % intervals" in page
    assert "| 4 |" in page and "Not looked at" not in page and "but for these parts: users, servers, bandwidth" in page
    without = paper.claims([part for part in small if part.name == "user-power"], [1], paper.Results(str(results)))
    assert without.endswith("Not looked at: the part `size` was left out by `--parts`.")
    one = next(r for r in rows if r["part"] == "user-power" and r["seed"] == 2)
    scenario = dashf.Scenario.study(seed=2, user_tx_power_w=one["value"])
    assert {m["method"]: m["scr"] for m in one["methods"]}["greedy"] == dashf.solve(scenario, "greedy").scr


def test_differences_are_of_pairs_and_verdicts_of_intervals():
    frame = pandas.DataFrame({"users": [1, 1, 1, 1], "seed": [1, 1, 2, 2], "method": ["a", "b"] * 2,
                              "scr": [1.1, 1.0, 2.6, 2.0]})
    mean, half, pairs = paper.difference(frame, "a", "b")
    assert (mean, pairs) == (pytest.approx(0.2), 2)
    assert half == pytest.approx(12.706 * 0.1 * np.sqrt(2) / np.sqrt(2), rel=1e-3)  # t of one degree, s / sqrt(n).
    assert [paper._verdict(*pair) for pair in ((0.2, 0.1), (0.2, 0.3), (-0.2, 0.1))] == ["yes", "not shown", "no"]


def test_every_part_of_the_study_makes_scenarios():
    for part in paper.parts():
        for value in (part.values[0], part.values[-1]):
            assert isinstance(part.make(seed=1, **{part.varied: value}), dashf.Scenario), part.name


@pytest.mark.parametrize("words", [[], ["--out", "x", "--parts", "none"], ["--out", "x", "--seeds", "0"]])
def test_wrong_words_end_with_two(words):
    with pytest.raises(SystemExit) as ended:
        paper.main(words)
    assert ended.value.code == 2
