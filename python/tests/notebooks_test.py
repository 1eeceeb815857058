"""The notebooks run from their first cell to their last."""
import json
import os
import pathlib

import pytest

nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
NOTEBOOKS = sorted((ROOT / "python/notebooks").glob("*.ipynb"))


def executed(name, tmp_path, leave_out=()):
    """The notebook after a run in a checkout's place for it; a cell that raises fails the test with its trace."""
    notebook = nbformat.read(ROOT / f"python/notebooks/{name}.ipynb", as_version=4)
    nbformat.validate(notebook)
    notebook.cells = [cell for cell in notebook.cells if not set(leave_out) & set(cell.metadata.get("tags", ()))]
    place = tmp_path / "python/notebooks"
    place.mkdir(parents=True)
    (tmp_path / "share").symlink_to(ROOT / "share")
    nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3",
                            resources={"metadata": {"path": str(place)}}).execute()
    kept = os.environ.get("DASHF_NOTEBOOKS_OUT")  # A folder for what they looked like.
    if kept:
        nbformat.write(notebook, pathlib.Path(kept) / f"{name}.ipynb")
    return [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]


def texts(outputs):
    return "".join(str(one.get("text", "")) + "".join(map(str, one.get("data", {}).values())) for one in outputs)


def test_every_notebook_is_kept_without_outputs():
    assert {path.stem for path in NOTEBOOKS} == {"first_plan", "parquet_to_adapter"}  # Each has a test below.
    for path in NOTEBOOKS:
        for cell in json.loads(path.read_text())["cells"]:
            assert not cell.get("outputs") and cell.get("execution_count") is None, f"{path}: clear its outputs"


def test_a_first_plan_is_a_map_and_a_table(tmp_path):
    outputs = executed("first_plan", tmp_path)
    html = outputs[0]["data"]["text/html"]
    assert html.count("<circle") == 10 and html.count("<tr>") == 11 and "of the proven bound" in html
    assert "strongest" in texts(outputs) and "% at most" in texts(outputs) and "one more percent" in texts(outputs)


@pytest.fixture
def training_notebook(command_line, monkeypatch):
    for package in ("pandas", "pyarrow", "matplotlib"):
        pytest.importorskip(package)
    if not any(pathlib.Path("/var/lib/apt/lists").glob("*_Translation-en*")):
        pytest.skip("apt has no package descriptions")
    monkeypatch.setenv("DASHF", command_line)
    return "parquet_to_adapter"


def test_a_parquet_file_becomes_an_adapter(training_notebook, tmp_path):
    outputs = texts(executed(training_notebook, tmp_path, leave_out=["peft"]))
    assert "150 alpaca records" in outputs and "frame: row 4: column 'section': must not be null" in outputs
    assert "held-out loss" in outputs


def test_peft_loads_it_and_finds_the_same_loss(training_notebook, tmp_path):
    for package in ("peft", "transformers", "torch", "sentencepiece"):
        pytest.importorskip(package)
    assert "nat per token" in texts(executed(training_notebook, tmp_path))
