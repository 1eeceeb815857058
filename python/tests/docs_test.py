"""The pages' examples do what the pages say."""
import contextlib
import io
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def blocks(page):
    """Its indented blocks of Python."""
    for block in re.findall(r"(?m)^(?:    .*\n|\n(?=    ))+", page.read_text()):
        code = re.sub(r"(?m)^(?:pip|python3?|dashf) .*\n", "", re.sub(r"(?m)^    ", "", block))  # But the shell's.
        if code.strip():
            yield code


@pytest.mark.parametrize("page", ["docs/python.md"])
def test_every_block_runs_after_the_ones_before(page, command_line, monkeypatch, tmp_path):
    for package in ("pandas", "pyarrow", "gymnasium", "matplotlib"):
        pytest.importorskip(package)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DASHF", command_line)
    (tmp_path / "share").symlink_to(ROOT / "share")
    names, said = {}, io.StringIO()
    found = list(blocks(ROOT / page))
    assert len(found) >= 4
    with contextlib.redirect_stdout(said):
        for code in found:
            exec(compile(code, page, "exec"), names)
    assert "users[0].tx_power_w_max | must be a number > 0 | -1" in said.getvalue()
    assert "strongest" in said.getvalue()


def test_the_first_plan_takes_three_lines():
    readme = (ROOT / "README.md").read_text()
    first = re.search(r"(?m)^    import dashf\n(?:    .*\n)+", readme).group(0)
    assert len(first.splitlines()) == 3
    names = {}
    with contextlib.redirect_stdout(io.StringIO()):
        exec(re.sub(r"(?m)^    ", "", first), names)
    assert 0 <= names["plan"].gap < 1e-3
