"""The program, started from Python: what it brings, and how it ends."""
import os
import pathlib
import pickle
import re
import signal
import sys
import threading
import time

import numpy as np
import pytest

import dashf
import dashf.data

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
STORIES = pathlib.Path(os.environ.get("DASHF_SHARED_DATA", ROOT.parent / "shared/data")) / "stories260K"
sys.path.append(str(ROOT / "tests"))

import tiny_model  # noqa: E402


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model") / "tiny"
    tiny_model.write_model(folder, ROOT / "share/models/debian-3m/tokenizer.model")
    return folder


@pytest.fixture
def program(command_line, monkeypatch):
    """Found as people have it found who set DASHF."""
    monkeypatch.setenv("DASHF", command_line)
    return command_line


@pytest.fixture
def records(tmp_path):
    tiny_model.write_records(tmp_path / "data.json", 30, seed=1)
    return tmp_path / "data.json"


def script(tmp_path, text):
    path = tmp_path / "program"
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o755)
    return path


def test_a_training_gives_its_losses_and_a_peft_folder(program, model, records, tmp_path):
    said = []
    training = dashf.train(model, records, tmp_path / "adapter", steps=6, learning_rate=0.01, held_out=0.2,
                           targets=["q_proj", "v_proj"], progress=said.append)
    assert training.adapter == tmp_path / "adapter"
    assert {p.name for p in training.adapter.iterdir()} == {"adapter_config.json", "adapter_model.safetensors"}
    assert training.losses.shape == (6,) and np.all(np.isfinite(training.losses)) and training.elapsed_s > 0
    assert training.held_out["after"]["loss"] < training.held_out["before"]["loss"]
    assert any(line.startswith("step 6/6") for line in said)
    pytest.importorskip("pandas")
    assert training.to_frame().index.tolist() == [1, 2, 3, 4, 5, 6]
    assert training.to_frame()["loss"].to_list() == training.losses.tolist()


@pytest.mark.parametrize(("kind", "row", "options"), [
    ("alpaca", {"instruction": "a", "output": "b", "input": "c", "system": "d", "history": [["e", "f"]]}, {}),
    ("chat", {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "weight": 1}],
              "system": "c"}, {"template": "llama2"}),
    ("chat", {"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]}, {"template": "llama2"}),
    ("completion", {"prompt": "a", "completion": "b"}, {}), ("documents", {"text": "a b c"}, {}),
])
def test_the_engine_reads_every_kind_as_what_it_is(program, model, tmp_path, kind, row, options):
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    parquet.write_table(arrow.Table.from_pylist([row] * 3), tmp_path / "rows.parquet")
    assert dashf.data.convert(tmp_path / "rows.parquet", tmp_path / "rows.jsonl").kind == kind
    told = dashf.train(model, tmp_path / "rows.jsonl", tmp_path / "out", steps=1, progress=False, **options).result["data"]
    assert (told["format"], told["samples"], told["keys_not_read"]) == (kind, 3, [])


def test_a_parquet_file_is_learnt_by_a_real_model(program, tmp_path):
    """Real weights learn an answer by heart, which random ones cannot in so few steps."""
    if not STORIES.exists():
        pytest.skip(f"there is no model at {STORIES}")
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    rows = [{"q": f"Tell me of the {animal}.", "a": f"Once there was a {animal} who was happy."}
            for animal in ("dog", "cat", "bird", "fish") * 4]
    parquet.write_table(arrow.Table.from_pylist(rows), tmp_path / "tales.parquet")
    dashf.data.convert(tmp_path / "tales.parquet", tmp_path / "tales.jsonl", columns={"instruction": "q", "output": "a"})
    training = dashf.train(STORIES, tmp_path / "tales.jsonl", tmp_path / "adapter", steps=60, learning_rate=0.02, batch=4,
                           progress=False)
    assert training.result["data"]["format"] == "alpaca" and training.result["data"]["samples"] == 16
    assert training.losses[-5:].mean() < 0.5 * training.losses[:5].mean()


def test_a_run_gives_its_rounds_and_adapters(program, model, records, tmp_path):
    (tmp_path / "run.toml").write_text(tiny_model.SMALL_RUN)
    run = dashf.run(tmp_path / "run.toml", tmp_path / "run", model=model, data=records, rounds=2, progress=False)
    assert run.state == "done" and [one["round"] for one in run.rounds] == [1, 2]
    assert list(run.adapters) == ["u0"] and (run.adapters["u0"] / "adapter_config.json").exists()
    assert len(run.references["centralised"]) == 1
    run.report.unlink()
    assert dashf.report(run.folder) == run.report and run.report.stat().st_size > 1000
    pytest.importorskip("pandas")
    frame = run.to_frame()
    assert frame.index.to_list() == [(1, "u0"), (2, "u0")]
    assert frame.loc[(2, "u0"), "loss_after"] == run.rounds[1]["users"][0]["loss_after"]
    assert (frame["measured_upload_s"] > 0).all() and (frame["state"] == "done").all()
    assert dashf.Run(run.folder).to_frame().equals(frame)


def test_a_scenario_of_pythons_is_carried_out(program, model, records, tmp_path):
    scenario = dashf.Scenario.study(users=1, servers=1, seed=1)
    run = dashf.run(scenario, tmp_path / "run", model=model, data=records, train_records=8, test_records=2,
                    no_references=True, progress=False)
    assert run.state == "done" and run.references is None
    assert dashf.Scenario.load(run.folder / "scenario.json").user_ids == scenario.user_ids


@pytest.mark.parametrize(("options", "kind", "place", "said"), [
    ({"stepz": 3}, dashf.UsageError, "dashf train", "did you mean"), ({"steps": -1}, dashf.UsageError, "--steps", "-1"),
    ({"steps": object()}, dashf.UsageError, "steps", "must be a text"), ({"layers": "1..9"}, dashf.UsageError, "--layers", "1..3"),
    ({"learning_rate": 1, "steps": 100, "explosion_factor": 1.01, "warmup": 0}, dashf.NumericalError, "step ", "diverged"),
    ({"adapter": "nowhere"}, dashf.IoError, "nowhere", "No such file"),
])
def test_what_the_program_refuses_is_an_exception_here(program, model, records, tmp_path, options, kind, place, said):
    with pytest.raises(kind) as caught:
        dashf.train(model, records, tmp_path / "out", progress=False, **options)
    assert caught.value.where.startswith(place) and said in str(caught.value)
    assert caught.value.exit_code == kind.exit_code


def test_bad_data_are_named_by_file_line_and_key(program, model, tmp_path):
    data = tmp_path / "bad.jsonl"
    data.write_text('{"instruction": "a", "output": "b"}\n{"instruction": "a", "output": 3}\n')
    with pytest.raises(dashf.BadInputError) as caught:
        dashf.train(model, data, tmp_path / "out", progress=False)
    assert caught.value.where == str(data) and "line 2: output" in caught.value.rule and not (tmp_path / "out").exists()
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.exit_code) == (str(caught.value), 3)


def test_without_the_program_it_is_said_how_to_name_it(tmp_path, monkeypatch):
    monkeypatch.delenv("DASHF", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(dashf.IoError) as caught:
        dashf.train("model", "data", "out")
    assert caught.value.where == "PATH" and "tools/packages.sh" in caught.value.rule
    monkeypatch.setenv("DASHF", "/nowhere/dashf")
    for more, place in (({}, "DASHF"), ({"program": "/nowhere"}, "program")):
        with pytest.raises(dashf.IoError) as caught:
            dashf.report("run", **more)
        assert caught.value.where == place and caught.value.value.startswith("/nowhere")
    script(tmp_path, "").rename(tmp_path / "dashf")
    monkeypatch.delenv("DASHF")
    with pytest.raises(dashf.Error, match="must print its result as JSON"):
        dashf.train("model", "data", "out")  # The first on PATH, which says nothing.


@pytest.mark.parametrize(("text", "code", "said"), [
    ("echo 'dashf: u3: lost, got 4' >&2; exit 8", 8, "u3: lost, got 4"),
    ("echo 'dashf: a.pem: is foreign' >&2; exit 9", 9, "a.pem: is foreign"), ("kill -9 $$", 1, "was ended by signal 9"),
    ("exit 7", 7, "failed without a word"), ("echo one >&2; echo two >&2; exit 6", 6, "one; two"),
    ("echo 'dashf: out of memory' >&2; exit 10", 10, "out of memory"),
])
def test_every_exit_code_is_kept(text, code, said, tmp_path):
    with pytest.raises(dashf.Error) as caught:
        dashf.run("s.json", tmp_path / "run", program=script(tmp_path, text), progress=False)
    assert caught.value.exit_code == code and said in str(caught.value)
    assert isinstance(caught.value, dashf.RoundFailedError) == (code == 8)


def test_a_round_that_failed_leaves_what_there_is(program, model, records, tmp_path):
    (tmp_path / "run.toml").write_text(tiny_model.SMALL_RUN)
    run = dashf.run(tmp_path / "run.toml", tmp_path / "run", model=model, data=records, progress=False)
    with pytest.raises(dashf.RoundFailedError) as caught:
        dashf.run("s.json", run.folder, program=script(tmp_path, "exit 8"), progress=False)
    assert caught.value.run.rounds == run.rounds
    with pytest.raises(dashf.IoError, match="must be a run's folder"):
        dashf.Run(tmp_path / "nowhere")


def test_ctrl_c_ends_the_training_in_order_and_it_goes_on_from_there(program, model, records, tmp_path):
    """The signal comes while a step is shown; the checkpoint gives the bytes of a training that nobody interrupted."""
    options = {"steps": 150, "batch": 2, "progress": False}
    whole = dashf.train(model, records, tmp_path / "whole", **options)
    ticking = threading.Timer(60, os._exit, [1])  # Rather than hang.
    ticking.start()

    def interrupt(line):
        if line.startswith("step 1/"):
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        dashf.train(model, records, tmp_path / "out", **options | {"progress": interrupt})
    ticking.cancel()
    assert (tmp_path / "out/checkpoint").exists()
    with pytest.raises(dashf.UsageError, match="resume"):  # Not overwritten unasked.
        dashf.train(model, records, tmp_path / "out", **options)
    resumed = dashf.train(model, records, tmp_path / "out", resume=True, **options)
    weights = "adapter_model.safetensors"
    assert (resumed.adapter / weights).read_bytes() == (whole.adapter / weights).read_bytes()


def test_ctrl_c_ends_a_run_with_its_processes_and_keeps_its_rounds(program, model, records, tmp_path):
    (tmp_path / "run.toml").write_text(tiny_model.SMALL_RUN)
    nodes = []

    def interrupt(line):
        nodes.extend(int(pid) for pid in re.findall(r"is here \(process (\d+)", line))
        if "round 1 has ended" in line:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        dashf.run(tmp_path / "run.toml", tmp_path / "run", model=model, data=records, rounds=50, progress=interrupt)
    assert dashf.Run(tmp_path / "run").rounds[0]["state"] == "done" and len(nodes) == 2
    for pid in nodes:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_second_ctrl_c_ends_the_program_at_once(tmp_path):
    """One that takes no end of its first."""
    child = script(tmp_path, f"trap 'echo heard > {tmp_path}/heard' INT; echo begun >&2; while true; do sleep 0.01; done")

    def interrupt(_):
        threading.Thread(target=again).start()
        signal.raise_signal(signal.SIGINT)

    def again():
        while not (tmp_path / "heard").exists():
            time.sleep(0.01)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        dashf.run("s.json", tmp_path / "run", program=child, progress=interrupt)


def test_what_the_progress_raises_ends_the_program_too(tmp_path):
    """One that does not heed SIGINT for a while, and talks on: its words are read, so that it can end."""
    child = script(tmp_path, f"echo $$ > {tmp_path}/pid; trap 'seq 100000 >&2; echo last > {tmp_path}/ended; exit 130' INT\n"
                             "echo begun >&2; while true; do sleep 0.01; done")

    def fails(line):
        raise ZeroDivisionError(line)

    with pytest.raises(ZeroDivisionError, match="begun"):
        dashf.run("s.json", tmp_path / "run", program=child, progress=fails)
    assert (tmp_path / "ended").read_text() == "last\n"
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_what_a_program_left_behind_is_not_waited_for(tmp_path):
    """It holds standard error open, until this test ends it."""
    child = script(tmp_path, f"sleep 600 & echo $! > {tmp_path}/pid\n"
                             "printf 'one\\ntwo' >&2; echo '{\"out\": \"a\", \"losses\": [1]}'")
    said = []
    try:
        assert dashf.train("m", "d", "o", program=child, progress=said.append).losses.tolist() == [1.0]
    finally:
        os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
    assert said == ["one", "two"]


def test_a_result_larger_than_a_pipe_arrives(tmp_path):
    child = script(tmp_path, "echo '{\"out\": \"a\", \"losses\": ['; seq -s, 1 200000; echo ']}'; seq 1 50000 >&2")
    training = dashf.train("m", "d", "o", program=child, progress=False)
    assert training.losses.shape == (200000,)


def test_two_trainings_at_once_from_threads(program, model, records, tmp_path):
    made = {}

    def work(name):
        made[name] = dashf.train(model, records, tmp_path / name, steps=3, progress=False)

    threads = [threading.Thread(target=work, args=(name,)) for name in ("a", "b")]
    begin = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made["a"].losses.tolist() == made["b"].losses.tolist(), time.monotonic() - begin
