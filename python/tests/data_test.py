"""Tables become what the engine reads, or are refused with file, row, column and value."""
import csv
import json

import hypothesis
import pytest
from hypothesis import strategies as st

import dashf
import dashf.data

ROWS = [{"question": "What is green?", "answer": "grass, \"mostly\"\nand peas", "id": 1},
        {"question": "Où?", "answer": "ici", "id": 2}]
COLUMNS = {"instruction": "question", "output": "answer"}
TALK = [{"role": "user", "content": "one?"}, {"role": "assistant", "content": "two", "weight": 1}]


def lines(path):
    return [json.loads(line) for line in path.read_bytes().decode().removesuffix("\n").split("\n")]


def converted(source, tmp_path, **more):
    out = tmp_path / "out.jsonl"
    return dashf.data.convert(source, out, **more), lines(out)


def refused(source, tmp_path, **more):
    """The error; nothing is written, and what was there stays."""
    out = tmp_path / "kept.jsonl"
    out.write_text("kept")
    with pytest.raises(dashf.Error) as caught:
        dashf.data.convert(source, out, **more)
    assert out.read_text() == "kept" and not [p for p in tmp_path.iterdir() if p.name.startswith("tmp")]
    return caught.value


def saved(source, folder, **parts):
    """Rows as each of the forms that people keep them in."""
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    table = arrow.Table.from_pylist(source)
    parquet.write_table(table, folder / "rows.parquet", **parts)
    return folder / "rows.parquet"


def test_the_same_rows_from_every_form_are_the_same_lines(tmp_path):
    pandas, datasets = pytest.importorskip("pandas"), pytest.importorskip("datasets")
    parquet = saved(ROWS, tmp_path)
    frame = pandas.DataFrame(ROWS)
    frame.to_csv(tmp_path / "rows.csv", index=False)
    frame.to_csv(tmp_path / "rows.tsv", index=False, sep="\t")
    frame.to_csv(tmp_path / "semicolons.csv", index=False, sep=";", encoding="utf-8-sig")
    made = datasets.Dataset.from_list(ROWS)
    made.save_to_disk(tmp_path / "saved", num_shards=2)
    datasets.DatasetDict(train=made, test=made.select([1])).save_to_disk(tmp_path / "splits")
    (tmp_path / "hub/data").mkdir(parents=True)
    for i in range(2):
        saved(ROWS[i:i + 1], tmp_path).rename(tmp_path / f"hub/data/train-0000{i}-of-00002.parquet")
    saved(ROWS, tmp_path)
    wanted = [{"instruction": row["question"], "output": row["answer"]} for row in ROWS]
    for source, more in [(parquet, {}), (tmp_path / "rows.csv", {}), (tmp_path / "rows.tsv", {}), (ROWS, {}), (frame, {}),
                         (tmp_path / "semicolons.csv", {"delimiter": ";"}), (made, {}), (tmp_path / "saved", {}),
                         (tmp_path / "splits", {"split": "train"}), (tmp_path / "hub", {}), (iter(ROWS), {}),
                         (made.data.table, {})]:
        told, found = converted(source, tmp_path, columns=COLUMNS, **more)
        assert found == wanted, source
        assert (told.kind, told.records, told.not_read, told.columns) == ("alpaca", 2, ("id",), COLUMNS)
    assert str(told) == f"{tmp_path}/out.jsonl: 2 alpaca records, not read: id"
    assert len(converted(tmp_path / "splits", tmp_path, columns=COLUMNS, split="test")[1]) == 1


def test_an_index_that_a_frame_wrote_is_shown_as_a_column_without_a_name(tmp_path):
    (tmp_path / "in.csv").write_text(",text\n0,first\n1,second\n")
    told = dashf.data.convert(tmp_path / "in.csv", tmp_path / "out.jsonl")
    assert told.not_read == ("",) and str(told).endswith("2 documents records, not read: ''")


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@hypothesis.settings(max_examples=60, suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture])
@hypothesis.given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=5))
def test_every_text_arrives_as_it_is(tmp_path, pairs):
    rows = [{"prompt": one, "completion": other} for one, other in pairs]
    with (tmp_path / "any.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["prompt", "completion"])
        writer.writeheader()
        writer.writerows(rows)
    for source in (rows, tmp_path / "any.csv", saved(rows, tmp_path)):
        assert converted(source, tmp_path)[1] == rows


def test_a_table_of_more_than_a_batch_keeps_its_order(tmp_path):
    path = saved([{"text": f"number {i}"} for i in range(5000)], tmp_path, row_group_size=700)
    told, found = converted(path, tmp_path)
    assert told.kind == "documents" and [row["text"] for row in found] == [f"number {i}" for i in range(5000)]
    error = refused(saved([{"text": f"{i}" if i != 4321 else None} for i in range(5000)], tmp_path), tmp_path)
    assert error.where == f"{tmp_path}/rows.parquet: row 4322: column 'text'" and "null" in error.rule


def test_conversations_keep_their_messages_and_lose_only_arrows_nulls(tmp_path):
    rows = [{"messages": TALK}, {"messages": [TALK[0], {"role": "assistant", "content": None}]}]
    told, found = converted(saved(rows, tmp_path), tmp_path)
    assert told.kind == "chat" and found == rows
    told, found = converted([{"prompt": TALK[:1], "completion": TALK[1:], "tools": "[]"}], tmp_path)
    assert told.kind == "completion" and found[0]["completion"] == TALK[1:]
    pairs = [{"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}], "system": None}]
    assert converted(pairs, tmp_path)[1] == [{"conversations": pairs[0]["conversations"]}]
    history = [{"instruction": "a", "output": "b", "input": "", "history": [("c", "d")], "system": "e"}]
    assert converted(history, tmp_path)[1] == [history[0] | {"history": [["c", "d"]]}]


def test_a_tool_calls_arguments_are_its_own(tmp_path):
    calls = [{"messages": [{"role": "assistant", "content": None, "tool_calls": [
        {"function": {"name": name, "arguments": {key: 1}}}]}], "tools": [{"name": name, "parameters": {key: {"type": "x"}}}]}
        for name, key in (("f", "a"), ("g", "b"))]
    assert converted(saved(calls, tmp_path), tmp_path)[1] == calls
    pandas = pytest.importorskip("pandas")
    assert converted(pandas.read_parquet(saved(calls, tmp_path)), tmp_path)[1] == calls
    datasets = pytest.importorskip("datasets")
    assert converted(datasets.Dataset.from_list(calls), tmp_path)[1] == calls
    said = [{"messages": TALK, "tools": [{"name": "f", "default": None}]}]
    assert converted(said, tmp_path)[1] == said  # Not Arrow's: somebody wrote it.


def test_what_is_missing_in_a_frame_is_missing_not_nan(tmp_path):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"instruction": ["a", "b"], "output": ["c", "d"], "input": ["e", float("nan")]})
    assert converted(frame, tmp_path)[1] == [{"instruction": "a", "output": "c", "input": "e"},
                                             {"instruction": "b", "output": "d"}]
    frame.loc[1, "output"] = None
    assert refused(frame, tmp_path).where == "frame: row 2: column 'output'"
    messages = pandas.DataFrame({"messages": [TALK]})
    messages.to_parquet(tmp_path / "talk.parquet")  # Which gives NumPy's arrays back.
    assert converted(pandas.read_parquet(tmp_path / "talk.parquet"), tmp_path)[1] == [{"messages": TALK}]


@pytest.mark.parametrize(("rows", "place", "rule", "value"), [
    ([{"text": "a"}, {"text": 3}], "row 2: column 'text'", "must be a text", "3 (int)"),
    ([{"text": b"a"}], "row 1: column 'text'", "must be a text", "b'a' (bytes)"),
    ([{"text": float("nan")}], "row 1: column 'text'", "must be a text", "nan (float)"),
    ([{"text": "a"}, {"text": None}], "row 2: column 'text'", "must not be null", ""),
    ([{"text": "a"}, {"words": "b"}], "row 2", "must be a dict with the keys of the first: ['text']", "['words']"),
    ([{"text": "\ud800"}], "row 1", "must be Unicode", "half of a surrogate pair, '\\ud800'"),
    ([{"messages": "[]"}], "row 1: column 'messages'", "must be a list of messages", "'[]' (str)"),
    ([{"messages": []}], "row 1: column 'messages'", "must be a list of messages", "[] (list)"),
    ([{"messages": [{"role": "user"}]}], "row 1: column 'messages'[0]", "must have role and content, or from and value",
     "{'role': 'user'}"),
    ([{"messages": [TALK[0] | {"score": float("nan")}]}], "row 1: column 'messages'[0]", "must be what JSON can say", None),
    ([{"prompt": "a", "completion": TALK}], "row 1: column 'completion'",
     "must be a text where the prompt is one, and messages where it has messages", None),
    ([{"instruction": "a", "output": "b", "history": [["c"]]}], "row 1: column 'history'",
     "must be a list of pairs of texts", "[['c']]"),
    ([{"messages": TALK, "tools": 1}], "row 1: column 'tools'", "must be a list of tools, or one as a text of JSON", "1"),
])
def test_a_cell_that_is_something_else_is_refused_by_its_place(rows, place, rule, value, tmp_path):
    error = refused(rows, tmp_path)
    assert isinstance(error, dashf.BadInputError)
    assert (error.where, error.rule) == (f"rows: {place}", rule)
    assert value is None or error.value == value


@pytest.mark.parametrize(("text", "place", "rule"), [
    ("text\na\nb,c\n", "row 2", "must have 1 cells, as the first line has"),
    ("text,id\na\n", "row 1", "must have 2 cells, as the first line has"),
    ("", "", "must have a line with the columns' names, got an empty file"), ("text\n", "", "must have at least one row"),
    ("text,text\na,b\n", "", "must have columns of different names"), ('text\n"a\n', "line 2", "must be CSV"),
    (b"text\na\xff\n", "after line", "must be UTF-8"), (b"\x1f\x8b\x08\x00", "after line", "must be UTF-8"),
])
def test_broken_csv_is_refused(text, place, rule, tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    error = refused(path, tmp_path)
    assert isinstance(error, dashf.BadInputError)
    assert error.where.startswith(f"{path}: {place}" if place else str(path)) and error.rule.startswith(rule)


def test_cells_of_csv_are_texts_as_they_stand(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("instruction,output\n1,NA\n\n\"\",0x10\n" + "x" * 200_000 + ",null\n")
    assert [(r["instruction"][:2], r["output"]) for r in converted(path, tmp_path)[1]] == [
        ("1", "NA"), ("", "0x10"), ("xx", "null")]


@pytest.mark.parametrize(("rows", "more", "place", "said"), [
    ([{"question": "a", "answer": "b"}], {}, "columns", "alpaca (instruction, output)"),
    ([{"instruction": "a", "output": "b", "text": "c"}], {}, "kind", "alpaca (instruction, output) or documents (text)"),
    ([{"text": "a"}], {"kind": "chat"}, "columns", "chat (messages) or chat (conversations)"),
    ([{"text": "a"}], {"columns": {"output": "texts"}}, "columns['output']", "must be a column of rows: text"),
    ([{"text": "a"}], {"columns": {"outputs": "text"}}, "columns", "do you mean 'output'?"),
    ([{"text": "a"}], {"kind": "document"}, "kind", "do you mean 'documents'?"),
    ([{"text": "a"}], {"split": "train"}, "split", "goes with folders"),
    (3, {}, "source", "must be a path, a frame, or rows as dicts"), ({"text": ["a"]}, {}, "source", "rows as dicts"),
])
def test_what_is_asked_for_must_be_said_without_doubt(rows, more, place, said, tmp_path):
    error = refused(rows, tmp_path, **more)
    assert isinstance(error, dashf.UsageError) and error.where == place and said in str(error)


def test_a_table_of_several_kinds_becomes_the_one_that_is_asked_for(tmp_path):
    rows = [{"instruction": "a", "output": "b", "text": "c"}]
    assert converted(rows, tmp_path, kind="documents")[1] == [{"text": "c"}]
    assert converted(rows, tmp_path, kind="alpaca")[1] == [{"instruction": "a", "output": "b"}]
    assert converted(rows, tmp_path, columns={"text": "output"})[1] == [{"text": "b"}]


def test_files_that_are_not_what_their_names_say_are_refused(tmp_path):
    pytest.importorskip("pyarrow")
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(saved(ROWS, tmp_path).read_bytes()[:-20])
    assert isinstance(refused(broken, tmp_path), dashf.BadInputError)
    assert isinstance(refused(tmp_path / "none.parquet", tmp_path), dashf.IoError)
    assert isinstance(refused(tmp_path / "none.csv", tmp_path), dashf.IoError)
    assert isinstance(refused(tmp_path / "none.arrow", tmp_path), dashf.IoError)
    (tmp_path / "t.jsonl").write_text('{"text": "a"}\n')
    assert "as it is" in refused(tmp_path / "t.jsonl", tmp_path).rule
    (tmp_path / "t.xlsx").write_bytes(b"PK")
    assert isinstance(refused(tmp_path / "t.xlsx", tmp_path), dashf.BadInputError)


def test_folders_must_be_whole(tmp_path):
    datasets = pytest.importorskip("datasets")
    made = datasets.Dataset.from_list(ROWS)
    datasets.DatasetDict(train=made, test=made).save_to_disk(tmp_path / "splits")
    assert refused(tmp_path / "splits", tmp_path).rule.endswith("has test, train")
    assert "must be one of test, train" in refused(tmp_path / "splits", tmp_path, split="dev").rule
    made.save_to_disk(tmp_path / "saved")
    next((tmp_path / "saved").glob("*.arrow")).unlink()
    assert isinstance(refused(tmp_path / "saved", tmp_path), dashf.IoError)
    (tmp_path / "saved/state.json").write_text("{}")
    assert refused(tmp_path / "saved", tmp_path).where == f"{tmp_path}/saved/state.json: _data_files"
    hub = tmp_path / "hub"
    hub.mkdir()
    assert isinstance(refused(hub, tmp_path), dashf.BadInputError)
    saved(ROWS, tmp_path).rename(hub / "train-00001-of-00002.parquet")
    assert refused(hub, tmp_path).rule == "must hold all 2 parts of the split"
    saved([{"other": "a"}], tmp_path).rename(hub / "train-00000-of-00002.parquet")
    assert "must have the columns of" in refused(hub, tmp_path).rule


@pytest.mark.parametrize(("names", "rule"), [
    (["train-00000-of-00002-a09b74b3ef9c3b56"], "must hold all 2 parts of the split"),
    (["train", "train-00000-of-00001"], "must hold the split once"), (["train", "data/train"], "must hold the split once"),
    (["train-00000-of-00001", "data/train-00000-of-00001"], "must hold the split once"),
    (["train-00000-of-00001-a0", "train-00000-of-00001-b0"], "must hold the split once"),
])
def test_a_split_is_read_once_and_whole(tmp_path, names, rule):
    (tmp_path / "hub/data").mkdir(parents=True)
    for name in names:
        saved(ROWS, tmp_path).rename(tmp_path / f"hub/{name}.parquet")
    assert refused(tmp_path / "hub", tmp_path, columns=COLUMNS).rule == rule


def test_shards_with_digests_are_one_split(tmp_path):
    (tmp_path / "hub").mkdir()
    for part in range(2):
        saved(ROWS, tmp_path).rename(tmp_path / f"hub/train-0000{part}-of-00002-a09b74b3ef9c3b56.parquet")
    assert converted(tmp_path / "hub", tmp_path, columns=COLUMNS)[0].records == 2 * len(ROWS)


def test_a_saved_data_set_cut_between_two_batches_is_refused(tmp_path):
    datasets = pytest.importorskip("datasets")
    arrow = pytest.importorskip("pyarrow")
    datasets.Dataset.from_dict({"text": [f"t{i}" for i in range(3000)]}).save_to_disk(tmp_path / "saved")
    file = next((tmp_path / "saved").glob("*.arrow"))
    whole = arrow.BufferReader(file.read_bytes())
    assert converted(tmp_path / "saved", tmp_path)[0].records == 3000
    arrow.ipc.open_stream(whole).read_next_batch()
    file.write_bytes(file.read_bytes()[:whole.tell()])
    assert refused(tmp_path / "saved", tmp_path).rule.startswith("must be a whole file of Arrow")


def test_a_source_is_not_written_over(tmp_path):
    source = saved(ROWS, tmp_path)
    before = source.read_bytes()
    (tmp_path / "link").symlink_to(source)
    for out in source, tmp_path / "link":
        with pytest.raises(dashf.UsageError, match="out: must be another file than the source"):
            dashf.data.convert(source, out, columns=COLUMNS)
    assert source.read_bytes() == before


def test_without_pyarrow_parquet_says_what_is_needed(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    (tmp_path / "t.parquet").write_bytes(b"PAR1")
    assert "pip install 'dashf[data]'" in refused(tmp_path / "t.parquet", tmp_path).rule
