"""galvatron-data: every input kind becomes the tokens that the tokenizer makes of it, and bad input one sentence."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from galvatron.command_line import ConfigError, bytes_text, count_text, parse_bytes
from galvatron.data import corpus_writer
from galvatron.data.indexed_dataset import IndexedDataset, IndexedDatasetWriter, token_dtype
from galvatron.data.sources import Corpus, ReadOptions
from galvatron.data.tokenizer import load_tokenizer
from galvatron.files import sha256_of

GOLDEN = Path(__file__).parent.parent / "golden" / "data"


def expected_tokens(tokenizer_file: Path, texts: list[str]) -> list[list[int]]:
    """What Hugging Face's tokenizer makes of each text, and the end-of-document token (id 0)."""
    tokenizer = load_tokenizer(tokenizer_file)
    return [[*tokenizer.encode(text, add_special_tokens=False).ids, 0] for text in texts]


def documents_of(prefix: Path) -> list[list[int]]:
    dataset = IndexedDataset(prefix)
    return [dataset[i].tolist() for i in range(len(dataset))]


def make_input(folder: Path, kind: str, texts: list[str]) -> list[object]:
    """Arguments of the tool for the same texts as files of one kind."""
    if kind == "text":
        for number, text in enumerate(texts):
            (folder / f"{number}.txt").write_text(text, encoding="utf-8", newline="")
        return [folder]
    if kind == "lines":
        (folder / "all.txt").write_text("\n".join(texts), encoding="utf-8", newline="")
        return [folder / "all.txt", "--documents", "line"]
    if kind == "jsonl":
        lines = "".join(json.dumps({"id": 1, "body": text}) + "\n" for text in texts)
        (folder / "all.jsonl").write_text(lines)
        return [folder / "all.jsonl", "--field", "body"]
    if kind == "jsonl.gz":
        lines = "".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts)
        (folder / "all.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
        return [folder / "*.gz"]
    import pyarrow
    import pyarrow.parquet

    table = pyarrow.table({"n": list(range(len(texts))), "body": texts})
    pyarrow.parquet.write_table(table, folder / "all.parquet", row_group_size=2)
    return [folder / "all.parquet", "--column", "body"]


class TestTokens:
    @pytest.mark.parametrize("kind", ["text", "lines", "jsonl", "jsonl.gz", "parquet"])
    def test_every_kind_of_file_gives_the_tokenizers_own_tokens(
        self, kind, data_tool, tmp_path, tokenizer_file, text_of_words
    ):
        texts = [text_of_words(seed, 50 * (seed + 1)) for seed in range(5)]
        if kind == "lines":
            texts = [text.replace("\n", " ") for text in texts]
        (tmp_path / "in").mkdir()
        inputs = make_input(tmp_path / "in", kind, texts)
        prefix = tmp_path / "out" / "corpus.v1"
        code, out, err = data_tool(*inputs, "--output", prefix, "--tokenizer", tokenizer_file)
        assert (code, err) == (0, "")
        assert documents_of(prefix) == expected_tokens(tokenizer_file, texts)
        assert "5" in out and str(prefix) in out
        assert sorted(os.listdir(prefix.parent)) == ["corpus.v1.bin", "corpus.v1.idx", "corpus.v1.json"]

    def test_the_description_says_what_the_tokens_mean(self, data_tool, tmp_path, tokenizer_file):
        (tmp_path / "a.txt").write_text("one parallel layer")
        prefix = tmp_path / "tokenizer" / "corpus"
        assert data_tool(tmp_path / "a.txt", "--output", prefix, "--tokenizer", tokenizer_file)[0] == 0
        info = json.loads(Path(f"{prefix}.json").read_text())
        dataset = IndexedDataset(prefix)
        assert info["format"] == "galvatron-data" and info["version"] == 1
        assert info["vocab_size"] == load_tokenizer(tokenizer_file).get_vocab_size()
        assert info["tokens"] == len(dataset.tokens) and info["documents"] == 1
        assert info["tokenizer"] == {"path": "tokenizer.json", "sha256": sha256_of(tokenizer_file)}
        assert info["end_of_document"] == {"token": "<|endoftext|>", "id": 0}
        assert info["text_bytes"] == len("one parallel layer")

    def test_trains_a_tokenizer_and_can_decode_with_it(self, data_tool, tmp_path, text_of_words):
        text = text_of_words(3, 3000)
        (tmp_path / "a.txt").write_text(text, encoding="utf-8", newline="")
        arguments = (tmp_path / "a.txt", "--output", tmp_path / "out" / "c", "--train-bpe", 280)
        assert data_tool(*arguments)[0] == 0
        tokenizer = load_tokenizer(tmp_path / "out" / "tokenizer.json")
        assert tokenizer.get_vocab_size() == 280
        [tokens] = documents_of(tmp_path / "out" / "c")
        assert tokens[-1] == 0 and 0 not in tokens[:-1]
        assert tokenizer.decode(tokens[:-1]) == text
        # Once more: the same bytes, and its own tokenizer may be replaced.
        before = sha256_of(tmp_path / "out" / "c.bin"), sha256_of(tmp_path / "out" / "tokenizer.json")
        assert data_tool(*arguments)[0] == 0
        assert before == (sha256_of(tmp_path / "out" / "c.bin"), sha256_of(tmp_path / "out" / "tokenizer.json"))

    def test_long_documents_in_pieces_decode_to_the_same_text(self, data_tool, tmp_path, monkeypatch, text_of_words):
        monkeypatch.setattr(corpus_writer, "PIECE_CHARACTERS", 100)
        text = text_of_words(5, 1000)
        (tmp_path / "a.txt").write_text(text, encoding="utf-8", newline="")
        assert data_tool(tmp_path / "a.txt", "--output", tmp_path / "c", "--train-bpe", 300)[0] == 0
        [tokens] = documents_of(tmp_path / "c")
        assert load_tokenizer(tmp_path / "tokenizer.json").decode(tokens[:-1]) == text

    def test_a_large_vocabulary_takes_four_bytes(self):
        assert token_dtype(65499) == np.uint16
        assert token_dtype(65500) == np.int32

    def test_empty_documents_are_left_out_and_counted(self, data_tool, tmp_path, tokenizer_file):
        lines = ['{"text": "a"}', '{"text": ""}', '{"text": null}', "", '{"text": " \\n"}', '{"text": "b"}']
        (tmp_path / "a.jsonl").write_text("\n".join(lines))
        code, out, _ = data_tool(tmp_path / "a.jsonl", "--output", tmp_path / "c", "--tokenizer", tokenizer_file)
        assert code == 0 and "(3 empty ones left out)" in out
        assert documents_of(tmp_path / "c") == expected_tokens(tokenizer_file, ["a", "b"])

    def test_max_bytes_keeps_documents_whole(self, tmp_path):
        (tmp_path / "a.txt").write_text("aaaa\nbbbb\ncccc\n")
        options = ReadOptions(lines_are_documents=True, max_bytes=9)
        corpus = Corpus.find([str(tmp_path / "a.txt")], options)
        assert [document.text for document in corpus.documents()] == ["aaaa", "bbbb"]

    def test_the_standard_library_is_a_corpus(self):
        corpus = Corpus.find(["stdlib"])
        names = [file.path.name for file in corpus.files]
        assert "argparse.py" in names and "dataclasses.py" in names
        assert not any({"test", "site-packages"} & set(file.path.parts) for file in corpus.files)
        assert corpus.size > 5_000_000
        document = next(d for d in corpus.documents() if "class ArgumentParser" in d.text)
        assert "def parse_args" in document.text

    def test_inputs_keep_their_order_and_count_once(self, tmp_path):
        for name in ("b.txt", "a.txt", ".hidden.txt", "c.bin"):
            (tmp_path / name).write_text(name)
        corpus = Corpus.find([str(tmp_path / "b.txt"), str(tmp_path), str(tmp_path / "*.txt")])
        assert [file.path.name for file in corpus.files] == ["b.txt", "a.txt"]


def write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


DOCUMENTS = ["one layer", "two words", "three more words"]
LINES = "".join(json.dumps({"text": text}) + "\n" for text in DOCUMENTS)
RECORDS = [{"text": text} for text in DOCUMENTS]
BOM = b"\xef\xbb\xbf"


def table_bytes(kind: str) -> bytes:
    import pyarrow
    import pyarrow.parquet

    sink = pyarrow.BufferOutputStream()
    if kind == "arrow":
        table = pyarrow.table({"text": DOCUMENTS})
        with pyarrow.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
    elif kind == "bytes":
        pyarrow.parquet.write_table(pyarrow.table({"text": [text.encode() for text in DOCUMENTS]}), sink)
    else:
        pyarrow.parquet.write_table(pyarrow.table({"meta": RECORDS}), sink)
    return sink.getvalue().to_pybytes()


class TestTextsAsTheyAre:
    """Corpora as tools and systems leave them; docs/dev/wild_reports.md says which reports they are of."""

    @pytest.mark.parametrize(
        "name, content, options",
        [
            ("bom.jsonl", BOM + LINES.encode(), []),
            ("joined.jsonl", BOM + LINES[:22].encode() + BOM + LINES[22:].encode(), []),
            ("crlf.jsonl", LINES.replace("\n", "\r\n"), []),
            ("zeros.jsonl", LINES.encode() + b"\0" * 64, []),
            ("array.json", json.dumps(RECORDS), []),
            ("pretty.json", json.dumps(RECORDS, indent=2), []),
            ("array.jsonl", json.dumps(RECORDS), []),
            ("objects.json", "\n".join(json.dumps(record, indent=1) for record in RECORDS), []),
            ("wrapped.json", json.dumps({"version": 1, "data": RECORDS}), ["--field", "data.text"]),
            ("deep.jsonl", "".join(json.dumps({"a": r}) + "\n" for r in RECORDS), ["--field", "a.text"]),
            ("dot.jsonl", LINES.replace('"text"', '"a.text"'), ["--field", "a.text"]),
            ("lines.jsonl.bz2", bz2.compress(LINES.encode()), []),
            ("lines.jsonl.xz", lzma.compress(LINES.encode()), []),
            ("packed.jsonl", gzip.compress(LINES.encode()), []),
            ("table.csv", "id,text\n" + "".join(f'{i},"{t}"\n' for i, t in enumerate(DOCUMENTS)), []),
            ("excel.csv", BOM + ("id;text\n" + "".join(f"1;{t}\n" for t in DOCUMENTS)).encode(), []),
            ("table.tsv", "text\tid\n" + "".join(f"{t}\t1\n" for t in DOCUMENTS), []),
            ("bytes.parquet", "bytes", []),
            ("struct.parquet", "struct", ["--column", "meta.text"]),
            ("saved.arrow", "arrow", []),
        ],
    )
    def test_are_the_same_documents(self, name, content, options, data_tool, tmp_path, tokenizer_file):
        if content in ("bytes", "struct", "arrow"):
            content = table_bytes(content)
        path = write(tmp_path / "in" / name, content)
        code, _, err = data_tool(path, "--output", tmp_path / "c", "--tokenizer", tokenizer_file, *options)
        assert (code, err) == (0, "")
        assert documents_of(tmp_path / "c") == expected_tokens(tokenizer_file, DOCUMENTS)

    @pytest.mark.parametrize(
        "name, content, sentence",
        [
            ("a.jsonl", LINES.encode("utf-16"), "but UTF-16: convert it with iconv -f UTF-16 -t UTF-8"),
            ("a.jsonl", "version https://git-lfs.github.com/spec/v1\n", "is a pointer of Git LFS, not the file"),
            ("a.json", json.dumps(RECORDS, indent=2)[:-20], "record 3, is not valid JSON"),
            ("a.json", json.dumps(RECORDS)[:-1], "ends inside of its array: it is cut off"),
            ("a.json", json.dumps(RECORDS) + "[]", "goes on behind the end of its array"),
            ("a.jsonl", '{"meta": {"text": "x"}}\n', "it has meta.text; choose one with --field"),
            ("a.jsonl", '{"text": [{"role": "user", "content": "x"}]}\n', "chats are trained on from Python"),
            ("a.csv", "1,one\n", "has no column 'text': it has 1, one; choose one with --column"),
            ("a.csv", "id,text\n1\n", "line 2, has 1 columns; 'text' is number 2"),
            ("a.zip", b"PK\3\4", "has the unknown extension '.zip'"),
        ],
    )
    def test_or_one_sentence(self, name, content, sentence, data_tool, tmp_path, tokenizer_file):
        path = write(tmp_path / name, content)
        code, _, err = data_tool(path, "--output", tmp_path / "c", "--tokenizer", tokenizer_file)
        assert code == 2 and sentence in err and err.count("\n") == 1

    def test_folders_follow_links_and_leave_clutter(self, tmp_path):
        write(tmp_path / "far/b.txt", "b")
        write(tmp_path / "in/a.txt", "a")
        write(tmp_path / "in/._a.txt", b"\0\5")
        write(tmp_path / "in/__MACOSX/c.txt", "c")
        (tmp_path / "in/linked").symlink_to(tmp_path / "far")
        (tmp_path / "in/loop").symlink_to(tmp_path / "in")
        names = [file.path.name for file in Corpus.find([str(tmp_path / "in")]).files]
        assert names == ["a.txt", "b.txt"]
        (tmp_path / "in/lost.txt").symlink_to("/nowhere/lost.txt")
        with pytest.raises(ConfigError, match="it is a link to /nowhere/lost"):
            Corpus.find([str(tmp_path / "in")])

    @pytest.mark.parametrize(
        "name, content",
        [
            ("special_tokens_map.json", {"eos_token": {"content": "layer"}}),
            ("config.json", {"eos_token_id": ["ID", 0]}),
        ],
    )
    def test_files_beside_the_tokenizer_say_how_documents_end(self, name, content, data_tool, tmp_path, tokenizer_file):
        tokenizer = load_tokenizer(tokenizer_file)
        tokenizer.add_special_tokens(["layer"])
        end = tokenizer.token_to_id("layer")
        (tmp_path / "t").mkdir()
        tokenizer.save(str(tmp_path / "t/tokenizer.json"))
        (tmp_path / "t" / name).write_text(json.dumps(content).replace('"ID"', str(end)))
        path = write(tmp_path / "a.txt", "one")
        assert data_tool(path, "--output", tmp_path / "c", "--tokenizer", tmp_path / "t")[0] == 0
        assert documents_of(tmp_path / "c")[0][-1] == end


class TestFormat:
    def test_the_golden_pair_is_written_and_read_to_the_byte(self, tmp_path):
        """The same pair is read by the C++ tests: tests/data/indexed_dataset_test.cpp."""
        writer = IndexedDatasetWriter(tmp_path / "golden.bin", np.dtype(np.uint16))
        for document in ([5, 6, 7], [8], [9, 65499, 0]):
            writer.add_document(np.array(document))
        writer.finish(tmp_path / "golden.idx")
        for suffix in (".bin", ".idx"):
            assert (tmp_path / f"golden{suffix}").read_bytes() == (GOLDEN / f"golden{suffix}").read_bytes()
        assert documents_of(GOLDEN / "golden") == [[5, 6, 7], [8], [9, 65499, 0]]

    def test_the_index_is_megatrons_layout(self, tmp_path):
        writer = IndexedDatasetWriter(tmp_path / "x.bin", np.dtype(np.int32))
        writer.add_document(np.array([70000, 1]))
        writer.add_document(np.array([2]))
        writer.finish(tmp_path / "x.idx")
        expected = b"MMIDIDX\x00\x00" + struct.pack("<QBQQ", 1, 4, 2, 3)
        expected += struct.pack("<2i", 2, 1) + struct.pack("<2q", 0, 8) + struct.pack("<3q", 0, 1, 2)
        assert (tmp_path / "x.idx").read_bytes() == expected
        assert (tmp_path / "x.bin").read_bytes() == struct.pack("<3i", 70000, 1, 2)

    def test_truncated_pairs_are_refused(self, tmp_path):
        for suffix in (".bin", ".idx"):
            (tmp_path / "golden.bin").write_bytes((GOLDEN / "golden.bin").read_bytes())
            (tmp_path / "golden.idx").write_bytes((GOLDEN / "golden.idx").read_bytes())
            whole = (tmp_path / f"golden{suffix}").read_bytes()
            for size in range(len(whole)):
                (tmp_path / f"golden{suffix}").write_bytes(whole[:size])
                with pytest.raises(ConfigError):
                    IndexedDataset(tmp_path / "golden")


class TestBadInput:
    """Exit 2, one sentence on stderr, nothing written."""

    def refuses(self, data_tool, tmp_path, *arguments: object) -> str:
        output = tmp_path / "out"
        code, out, err = data_tool(*arguments, "--output", output / "corpus")
        assert code == 2 and out == "", err
        assert err.startswith("galvatron-data: ") and err.count("\n") == 1 and "Traceback" not in err
        assert not output.exists() or os.listdir(output) == []
        return err

    @pytest.fixture
    def text_file(self, tmp_path) -> Path:
        path = tmp_path / "a.txt"
        path.write_text("some text")
        return path

    def test_missing_tokenizer(self, data_tool, tmp_path, text_file):
        message = self.refuses(data_tool, tmp_path, text_file, "--tokenizer", tmp_path / "nowhere")
        assert "there is no tokenizer at" in message and "--train-bpe" in message
        (tmp_path / "folder").mkdir()
        (tmp_path / "folder" / "tokenizer.model").write_text("")
        message = self.refuses(data_tool, tmp_path, text_file, "--tokenizer", tmp_path / "folder")
        assert "holds no tokenizer.json (only tokenizer.model" in message

    def test_a_tokenizer_that_is_none(self, data_tool, tmp_path, text_file):
        (tmp_path / "tokenizer.json").write_text('{"version": "1.0"}')
        message = self.refuses(data_tool, tmp_path, text_file, "--tokenizer", tmp_path / "tokenizer.json")
        assert "is no Hugging Face tokenizer file" in message

    def test_unknown_end_token(self, data_tool, tmp_path, text_file, tokenizer_file):
        message = self.refuses(data_tool, tmp_path, text_file, "--tokenizer", tokenizer_file, "--end-token", "<|stop|>")
        assert "has no token '<|stop|>'" in message

    def test_unknown_column_and_field(self, data_tool, tmp_path, tokenizer_file):
        (tmp_path / "in").mkdir()
        [parquet, *_] = make_input(tmp_path / "in", "parquet", ["a", "b"])
        assert "has no column 'text': it has n, body" in self.refuses(
            data_tool, tmp_path, parquet, "--tokenizer", tokenizer_file
        )
        assert "the column 'n' holds int64, not text" in self.refuses(
            data_tool, tmp_path, parquet, "--tokenizer", tokenizer_file, "--column", "n"
        )
        [jsonl, *_] = make_input(tmp_path / "in", "jsonl", ["a", "b"])
        assert "line 1, has no field 'text': it has id, body" in self.refuses(
            data_tool, tmp_path, jsonl, "--tokenizer", tokenizer_file
        )
        assert "the field 'id' is int, not text" in self.refuses(
            data_tool, tmp_path, jsonl, "--tokenizer", tokenizer_file, "--field", "id"
        )

    @pytest.mark.parametrize(
        ("name", "content", "says"),
        [
            ("a.jsonl", b'{"text": "a"}\n{"text"\n', "line 2, is not valid JSON"),
            ("a.jsonl", b"[1, 2]\n", "record 1, is no JSON object but int"),
            ("a.jsonl", b'{"text": "\\ud800"}\n', "half a character"),
            ("a.jsonl", b'{"text": "ok"}\n{"text": "\xff"}\n', "is not UTF-8 text (line 2, byte 10 is 0xff)"),
            ("a.txt", b"caf\xe9", "is not UTF-8 text (byte 3 is 0xe9)"),
            ("a.txt", b"", "the input holds no text"),
            ("a.txt", b" \n", "the input holds no text"),
            ("a.txt.gz", b"no gzip", "cannot read"),
            ("a.txt.gz", gzip.compress(b"text " * 1000)[:-20], "cannot read"),
            ("a.parquet", b"PAR1 nothing", "cannot read"),
            ("a.docx", b"text", "has the unknown extension '.docx'; known are .txt"),
        ],
    )
    def test_damaged_files(self, name, content, says, data_tool, tmp_path, tokenizer_file):
        (tmp_path / name).write_bytes(content)
        assert says in self.refuses(data_tool, tmp_path, tmp_path / name, "--tokenizer", tokenizer_file)

    def test_truncated_parquet(self, data_tool, tmp_path, tokenizer_file):
        [parquet, *_] = make_input(tmp_path, "parquet", ["a" * 1000, "b" * 1000])
        parquet.write_bytes(parquet.read_bytes()[:-30])
        assert "cannot read" in self.refuses(data_tool, tmp_path, parquet, "--tokenizer", tokenizer_file)

    def test_inputs_that_are_not_there(self, data_tool, tmp_path, tokenizer_file):
        (tmp_path / "empty").mkdir()
        for name, says in (
            ("nowhere.txt", "No such file"),
            ("empty", "holds no file to read"),
            ("*.jsonl", "no file matches"),
        ):
            assert says in self.refuses(data_tool, tmp_path, tmp_path / name, "--tokenizer", tokenizer_file)

    def test_bytes_that_are_no_utf8_can_be_replaced(self, data_tool, tmp_path, tokenizer_file):
        (tmp_path / "a.txt").write_bytes(b"caf\xe9")
        arguments = ("--output", tmp_path / "c", "--tokenizer", tokenizer_file, "--invalid-utf8", "replace")
        assert data_tool(tmp_path / "a.txt", *arguments)[0] == 0
        assert documents_of(tmp_path / "c") == expected_tokens(tokenizer_file, ["caf\ufffd"])

    def test_options(self, data_tool, tmp_path, text_file, tokenizer_file):
        refuses = lambda *arguments: self.refuses(data_tool, tmp_path, text_file, *arguments)  # noqa: E731
        assert "unknown option --tokeniser, did you mean '--tokenizer'?" in refuses(
            "--tokenizer", tokenizer_file, "--tokeniser", "x"
        )
        assert "'lots' is not a size" in refuses("--tokenizer", tokenizer_file, "--max-bytes", "lots")
        assert "one of the arguments --tokenizer --train-bpe is required" in refuses()
        assert "--train-bpe 100 is too small: a byte-level BPE needs at least 257" in refuses("--train-bpe", 100)

    def test_another_corpus_tokenizer_is_not_overwritten(self, data_tool, tmp_path, text_file, tokenizer_file):
        before = tokenizer_file.read_bytes()
        prefix = tokenizer_file.parent / "corpus"
        code, _, err = data_tool(text_file, "--output", prefix, "--train-bpe", 300)
        assert code == 2 and "is already there and belongs to something else" in err
        assert tokenizer_file.read_bytes() == before and os.listdir(tokenizer_file.parent) == ["tokenizer.json"]


class TestAllOrNothing:
    def test_a_failed_run_leaves_the_old_files(self, data_tool, tmp_path, tokenizer_file):
        good, bad, prefix = tmp_path / "good.txt", tmp_path / "bad.txt", tmp_path / "out" / "corpus"
        good.write_text("good text")
        bad.write_bytes(b"\xff")
        assert data_tool(good, "--output", prefix, "--tokenizer", tokenizer_file)[0] == 0
        before = {path.name: path.read_bytes() for path in prefix.parent.iterdir()}
        assert data_tool(good, bad, "--output", prefix, "--tokenizer", tokenizer_file)[0] == 2
        assert {path.name: path.read_bytes() for path in prefix.parent.iterdir()} == before

    def test_a_terminated_run_leaves_nothing(self, tmp_path, tokenizer_file):
        pipe = tmp_path / "endless.txt"
        os.mkfifo(pipe)  # the tool waits for text that never comes
        command = [sys.executable, "-m", "galvatron.data", pipe, "--documents", "line"]
        command += ["--output", tmp_path / "out" / "c", "--tokenizer", tokenizer_file]
        environment = {**os.environ, "PYTHONPATH": str(Path(corpus_writer.__file__).parents[2])}
        process = subprocess.Popen(command, env=environment)
        try:
            with pipe.open("w") as writer:  # opens once the tool reads
                writer.write("text\n")
                writer.flush()
                deadline = time.monotonic() + 60
                while not any(tmp_path.glob("out/*.tmp*")) and time.monotonic() < deadline:
                    time.sleep(0.01)
                assert any(tmp_path.glob("out/*.tmp*"))
                process.send_signal(signal.SIGTERM)
                assert process.wait(60) == 128 + signal.SIGTERM
        finally:
            process.kill()
            process.wait()
        assert os.listdir(tmp_path / "out") == []


def test_sizes_and_counts_as_text():
    assert [parse_bytes(t) for t in ("12", "2KB", "2KiB", "1.5G", "1 MB")] == [12, 2000, 2048, 3 << 29, 1000000]
    assert [bytes_text(n) for n in (12, 1536, 11.6 * 2**20, 300 * 2**30)] == ["12 B", "1.50 KiB", "11.6 MiB", "300 GiB"]
    assert [count_text(n) for n in (3412345, 12345678, 999.96e6)] == ["3,412,345", "12.3 million", "1,000.0 million"]
