"""Models of Hugging Face's transformers: tiny ones of random weights, made here."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from restore import Restorer, engines, strip_text
from restore.channel import get_channel
from restore.cli.main import main
from restore.decoder import Decoder, Weights
from restore.engines import engine_of, open_model
from restore.errors import ResourceError, RestoreError
from restore.lattice import FormFinder, GapGrammar
from restore.lexicon import default_lexicon
from restore.models.base import Encoded, Expansion, Request, Trie
from restore.models.spelling import Speller
from restore.search import Search, drive
from restore.source import TokenStream, read_source
from restore.units import segment

from .tiny_models import byte_level, prefix_mask, write_model

tokenizers = pytest.importorskip("tokenizers")
try:
    import torch
    import transformers

    from restore.models.huggingface import HuggingFaceModel, window_of
except ImportError:
    torch = None

needs_torch = pytest.mark.skipif(torch is None, reason="needs torch and transformers: pip install '.[hf]'")

TEXTS = [
    "minister health resigned monday nobody surprised party lost 6 000 member",
    "talk re enter u official price rising wage drought farmer say bank rain",
    "",
    "orf vres court ruled",
]
SENTENCES = [
    "The minister of health resigned on Monday, and nobody was surprised. (Why?)",
    "Her party's non-citizens had lost 6,000 members; it is over!",
]


def sentencepiece(kind: str) -> tokenizers.Tokenizer:
    """A tokenizer as those of Llama 2 (`prepend`, `metaspace`), Gemma (`plain`) or XGLM (`unigram`) are."""
    words = sorted({f"▁{word}" for word in re.findall("[A-Za-z]+", " ".join(SENTENCES))})
    characters = sorted({char for line in [*SENTENCES, "a0123456789'\"()-:;"] for char in line.replace(" ", "▁")})
    if kind == "unigram":
        vocabulary = [("<unk>", -10.0), ("<s>", 0.0), *((one, -9.0) for one in characters), *((w, -8.0) for w in words)]
        made = tokenizers.Tokenizer(tokenizers.models.Unigram(vocabulary, 0))
        made.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace(prepend_scheme="always")
        made.decoder = tokenizers.decoders.Metaspace(prepend_scheme="always")
        return made
    pieces = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *characters]
    merges = []
    for word in words:
        for size in range(2, len(word) + 1):
            if word[:size] not in pieces:
                pieces.append(word[:size])
                merges.append((word[: size - 1], word[size - 1]))
    model = tokenizers.models.BPE(
        {piece: number for number, piece in enumerate(pieces)}, merges, byte_fallback=True, fuse_unk=True, unk_token="<unk>"
    )  # fmt: skip
    made = tokenizers.Tokenizer(model)
    made.add_special_tokens(["<s>", "</s>"])
    decoders, normalizers = tokenizers.decoders, tokenizers.normalizers
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    if kind == "metaspace":
        made.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    elif kind == "prepend":
        made.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    else:
        made.normalizer = normalizers.Replace(" ", "▁")
    if kind != "plain":
        steps.append(decoders.Strip(" ", 1, 0))
        template = tokenizers.processors.TemplateProcessing("<s> $A", special_tokens=[("<s>", 1)])
        made.post_processor = template
    made.decoder = decoders.Sequence(steps)
    return made


def refused_by_the_command(args: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Run the command, which must end with status 1 and one line; return it."""
    with pytest.raises(SystemExit) as ended:
        main(args)
    said = capsys.readouterr()
    assert (ended.value.code, said.out, said.err.count("\n")) == (1, "", 1)
    return said.err


class TestSpelling:
    @pytest.mark.parametrize("kind", ["prepend", "metaspace", "plain", "unigram"])
    @pytest.mark.parametrize("text", SENTENCES)
    def test_the_pieces_of_a_text_are_those_of_its_units(self, kind, text):
        tokenizer = sentencepiece(kind)
        speller = Speller(tokenizer)
        pieces = [piece for unit in segment(text) for piece in speller.pieces(unit)[0]]
        given = "\n" + text if speller.lead else text
        whole = tokenizer.encode(given, add_special_tokens=False).ids
        if kind == "unigram":  # it has no line's end, so the first word has no space before it
            assert [tokenizer.id_to_token(piece) for piece in pieces[:3]] == list(text[:3])
            whole, pieces = whole[1:], pieces[len(segment(text)[0]) :]
        assert [*speller.lead, *pieces] == whole

    def test_a_word_has_its_space_or_none(self):
        tokenizer = sentencepiece("prepend")
        speller = Speller(tokenizer)
        assert [tokenizer.id_to_token(piece) for piece in speller.pieces(" minister")[0]] == ["▁minister"]
        assert [tokenizer.id_to_token(piece) for piece in speller.pieces("on")[0]] == ["o", "n"]

    def test_special_pieces_mean_nothing_in_a_text(self):
        tokenizer = byte_level()
        ids, exact = Speller(tokenizer).pieces("<|im_end|>")
        assert exact
        assert tokenizer.token_to_id("<|im_end|>") not in ids

    def test_what_is_not_in_the_alphabet_is_told(self):
        speller = Speller(sentencepiece("unigram"))
        assert speller.pieces("minister")[1]
        assert not speller.pieces("北京")[1]

    def test_a_tokenizer_that_loses_capitals_is_refused(self):
        tokenizer = byte_level()
        tokenizer.normalizer = tokenizers.normalizers.Lowercase()
        with pytest.raises(ValueError, match="writes 'The' as 'the'"):
            Speller(tokenizer)

    def test_a_tokenizer_that_loses_spaces_is_refused(self):
        words = {"<unk>": 0, "The": 1, "minister": 2, ",": 3, ".": 4, "a": 5}
        tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, "<unk>"))
        tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
        with pytest.raises(ValueError, match="cannot write English"):
            Speller(tokenizer)


class Talker:
    """A model to which anything inserted is likelier than the first piece of a rare word, and all that follows is sure."""

    name, window, merges_marks, takes_runs = "talker", None, False, False

    @property
    def streams(self) -> tuple[Talker]:
        return (self,)

    def begin(self, source: Sequence[str], prefix: str = "") -> int:
        return 0

    def encode(self, text: str, *, initial: bool, touched: bool, logprob: float) -> Encoded:
        last = zlib.crc32(text.encode())
        return Encoded((1, last) if "felon" in text.lower() else (last,))

    def expand(self, requests: Sequence[Request]) -> list[Expansion]:
        expansions = []
        for request in requests:
            state = request.state if request.pending is None else request.pending
            insertions = [] if request.insertions is None else range(len(request.insertions.ids))[: request.best]
            forms = [] if request.forms is None else request.forms.ids
            liked = [0.0 if state == 1 else -8.0 if piece == 1 else -2.0 for piece in forms]
            expansions.append(Expansion(state, [(child, -2.0) for child in insertions], liked))
        return expansions

    def key(self, state: int, pending: int | None) -> None:
        return None


def test_a_rare_word_is_written_to_its_end():
    channel, lexicon = get_channel("nltk"), default_lexicon()
    decoder = Decoder(Talker(), FormFinder(channel, lexicon), GapGrammar(channel, lexicon), 4, Weights(end=0.0))
    search = Search(decoder, TokenStream(read_source("deport felony", channel)), posteriors=False)
    drive(search, decoder.model)
    assert len(search.steps) == 3


class TestWithoutThePackages:
    def test_the_extra_is_named(self, monkeypatch, tmp_path, capsys):
        (tmp_path / "config.json").write_text("{}")
        monkeypatch.setattr(engines, "find_spec", lambda name: None)
        with pytest.raises(RestoreError, match=r"needs the package 'torch'.*pip install 'restore-prose\[hf\]'"):
            Restorer(model=tmp_path, repair=False).restore(TEXTS[0])
        (tmp_path / "text.txt").write_text(TEXTS[0])
        said = refused_by_the_command([str(tmp_path / "text.txt"), "--model", str(tmp_path)], capsys)
        assert "pip install 'restore-prose[hf]'" in said

    def test_a_folder_is_known_by_its_config(self, tmp_path):
        assert engine_of("auto", tmp_path) == "fast"
        (tmp_path / "config.json").write_text("{}")
        assert engine_of("auto", tmp_path) == "hf"
        with pytest.raises(RestoreError, match="a model of the hf engine, not of fast"):
            engine_of("fast", tmp_path)
        (tmp_path / "card.json").write_text('{"format": "restore-neural"}')
        assert engine_of("auto", tmp_path) == "neural"


VOCABULARY = byte_level().get_vocab_size()


def changed(folder: Path, **fields: object) -> Path:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, Path]:
    """Models by name: two plain ones, one with a tokenizer as SentencePiece's are, one that reads the source."""
    home = tmp_path_factory.mktemp("models")
    return {
        "llama": write_model(home / "llama", "llama"),
        "gpt2": write_model(home / "gpt2", "gpt2"),
        "spaced": write_model(home / "spaced", "llama", sentencepiece("prepend"), bos_token_id=None),
        "reads": changed(write_model(home / "reads", "llama"), restore_sequence=2),
    }


NAMES = ["llama", "gpt2", "spaced", "reads"]


@pytest.fixture(scope="module")
def restorers(folders) -> dict[str, Restorer]:
    return {name: Restorer(model=folder, repair=False, beam=3) for name, folder in folders.items()}


def full(model: HuggingFaceModel) -> Trie[int]:
    """A trie node with every piece of the vocabulary."""
    return Trie([(Encoded((piece,)), piece) for piece in range(model._tokenizer.get_vocab_size())])


def pieces_by_unit(model: HuggingFaceModel, text: str) -> list[int]:
    encoded = [model.encode(unit, initial=False, touched=False, logprob=0.0) for unit in segment(text)]
    assert all(one is not None and one.bonus == 0 for one in encoded)
    return [piece for one in encoded if one is not None for piece in one.ids]


@needs_torch
class TestRestoring:
    @pytest.mark.parametrize("name", NAMES)
    def test_the_promise_holds(self, restorers, name):
        for text in TEXTS:
            result = restorers[name].restore(text)
            assert strip_text(result.text) == text
            assert result.engine == restorers[name].engine
            assert result.engine.startswith("hf:")
            assert len(result.engine) == 15

    @pytest.mark.parametrize("name", NAMES)
    def test_a_text_does_not_depend_on_those_restored_with_it(self, restorers, name):
        alone = [restorers[name].restore(text) for text in TEXTS]
        for together in (2, 4):
            assert list(restorers[name].restore_many(TEXTS, together)) == alone
        assert list(restorers[name].restore_many(TEXTS[::-1], 4))[::-1] == alone

    def test_long_and_odd_texts(self, restorers):
        long = " ".join(TEXTS[:2] * 3)
        assert strip_text(restorers["gpt2"].restore(long).text) == long
        odd = Restorer(model=restorers["spaced"].config.model, repair=False, channel="lower", beam=2)
        for text in ("<s>", "</s> 北京 🙂 <|im_end|>", "\u0000 x\u0301", "q" * 3000):
            assert odd.restore(text).source == text
            assert odd.channel.strip(odd.restore(text).text) == odd.channel.strip(text)

    def test_the_command_takes_another_engine_for_a_mistake(self, folders, tmp_path, capsys):
        (tmp_path / "text.txt").write_text(TEXTS[3])
        args = [str(tmp_path / "text.txt"), "--model", str(folders["gpt2"]), "--engine", "fast"]
        assert "a model of the hf engine, not of fast" in refused_by_the_command(args, capsys)

    def test_the_command_says_nothing_and_calls_nobody(self, folders, tmp_path):
        (tmp_path / "sitecustomize.py").write_text(
            "import socket\n\ndef no(*_, **__):\n    raise SystemExit('NETWORK')\n\n"
            "socket.create_connection = socket.getaddrinfo = socket.socket.connect = no\n"
        )
        path = os.pathsep.join([str(tmp_path), *(place for place in sys.path if place)])
        done = subprocess.run(
            [sys.executable, "-m", "restore", "-", "--model", str(folders["gpt2"]), "--json"],
            input=TEXTS[3], capture_output=True, text=True, check=False,
            env={**os.environ, "PYTHONPATH": path, "HOME": str(tmp_path)},
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, "")
        result = json.loads(done.stdout)
        assert strip_text(result["text"]) == TEXTS[3]
        assert result["engine"].startswith("hf:")


@needs_torch
class TestProbabilities:
    @pytest.mark.parametrize("name", NAMES)
    def test_they_are_those_of_the_whole_text_run_at_once(self, folders, name):
        model = HuggingFaceModel.open(folders[name])
        plain = transformers.AutoModelForCausalLM.from_pretrained(folders[name], dtype=torch.float32)
        tokenizer = tokenizers.Tokenizer.from_file(str(folders[name] / "tokenizer.json"))
        prefix, text = SENTENCES[0], " Nobody was surprised." if name != "spaced" else " minister was surprised."
        given = {"llama": [0], "gpt2": [0], "spaced": [1], "reads": None}[name]
        source = 0  # pieces that see each other both ways
        if given is None:
            start, separator = (tokenizer.token_to_id(piece) for piece in ("<|im_start|>", "<|im_end|>"))
            given = [start, *tokenizer.encode(" minister health", add_special_tokens=False).ids, separator]
            source = len(given) - 1
        said = ("\n" if name == "spaced" else "") + prefix + text
        row = [*given, *tokenizer.encode(said, add_special_tokens=False).ids]
        mask = prefix_mask(len(row), source) if source else None
        with torch.inference_mode():
            wanted = plain(input_ids=torch.tensor([row]), attention_mask=mask).logits[0].log_softmax(-1).numpy()
        node = full(model)
        (expansion,) = model.expand([Request(model.begin(["minister", "health"], prefix), None, None, node, 1)])
        pieces = pieces_by_unit(model, text)
        assert row[-len(pieces) :] == pieces
        for at, piece in enumerate(pieces, len(row) - len(pieces)):
            assert np.abs(np.array(expansion.forms) - wanted[at - 1, : len(node.ids)]).max() < 1e-4
            (expansion,) = model.expand([Request(expansion.state, piece, None, node, 1)])
        assert np.abs(np.array(expansion.forms) - wanted[-1, : len(node.ids)]).max() < 1e-4
        assert np.exp(np.array(expansion.forms)).sum() == pytest.approx(1, abs=1e-4)

    @pytest.mark.parametrize("name", ["llama", "gpt2"])
    def test_hypotheses_of_different_lengths_go_together(self, folders, name):
        model = HuggingFaceModel.open(folders[name])
        node = full(model)
        begun = model.begin([])
        states = [begun]
        for piece in (7, 8, 9, 10):
            states.append(model.expand([Request(states[-1], piece, None, None, 1)])[0].state)
        asked = [Request(state, piece, None, node, 1) for state in (*states, begun) for piece in (None, 11, 12)]
        together = model.expand(asked)
        for request, found in zip(asked, together, strict=True):
            (alone,) = model.expand([request])
            assert np.abs(np.array(alone.forms) - np.array(found.forms)).max() < 1e-4
            assert alone.state.pieces == found.state.pieces
        assert model.key(states[1], 8) == model.key(states[2], None) != model.key(states[2], 8)
        assert model.key(model.begin([]), 8) != model.key(begun, 8)

    def test_only_a_model_that_reads_is_shown_the_source(self, folders):
        plain, reads = (HuggingFaceModel.open(folders[name]) for name in ("llama", "reads"))
        assert plain.begin(["minister"]).text.prompt == plain.begin(["party"]).text.prompt == (0,)
        assert reads.begin(["minister"]).text.prompt != reads.begin(["party"]).text.prompt
        assert plain.window != reads.window

    def test_texts_beyond_the_last_position(self, folders):
        model = HuggingFaceModel.open(folders["gpt2"])
        state = model.begin([])
        node = full(model)
        for _ in range(520):
            (expansion,) = model.expand([Request(state, 7, None, node, 1)])
            state = expansion.state
        assert np.isfinite(np.array(expansion.forms)).all()

    def test_a_model_of_few_positions_has_narrow_windows(self):
        assert window_of(None, False) == window_of(1024, False)
        assert 20 <= window_of(360, False).width < window_of(512, False).width
        with pytest.raises(ValueError, match="128 pieces at most"):
            window_of(128, False)

    def test_texts_begin_with_the_bos_that_is_named(self, folders, tmp_path):
        folder = Path(shutil.copytree(folders["llama"], tmp_path / "model"))
        (folder / "tokenizer_config.json").write_text('{"bos_token": {"content": "<|im_start|>"}}')
        model = HuggingFaceModel.open(folder)
        assert model.begin([]).text.prompt == (model._tokenizer.token_to_id("<|im_start|>"),)
        assert model.name != HuggingFaceModel.open(folders["llama"]).name


@needs_torch
class TestFolders:
    """What cannot be run is said in one line."""

    def refused(self, folder: Path, match: str) -> None:
        with pytest.raises(ResourceError, match=match) as caught:
            open_model("hf", folder)
        assert str(caught.value).startswith(f"{folder}: ")
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < len(str(folder)) + 320

    @pytest.fixture
    def folder(self, folders, tmp_path) -> Path:
        return Path(shutil.copytree(folders["llama"], tmp_path / "model"))

    def test_damaged_weights(self, folder):
        path = folder / "model.safetensors"
        data = path.read_bytes()
        path.write_bytes(data[: len(data) // 2])
        self.refused(folder, "model")
        path.write_bytes(b"\xff" * 100)
        self.refused(folder, "header")

    def test_weights_that_are_no_numbers(self, folder):
        from safetensors.torch import load_file, save_file

        tensors = load_file(folder / "model.safetensors")
        tensors["model.norm.weight"][:] = float("nan")
        save_file(tensors, folder / "model.safetensors", {"format": "pt"})
        self.refused(folder, "no numbers")

    def test_missing_weights(self, folder):
        from safetensors.torch import load_file, save_file

        tensors = load_file(folder / "model.safetensors")
        del tensors["model.norm.weight"]
        save_file(tensors, folder / "model.safetensors", {"format": "pt"})
        self.refused(folder, r"lack model\.norm\.weight")
        (folder / "model.safetensors").unlink()
        self.refused(folder, r"has no model\.safetensors")

    def test_pickles_are_not_opened(self, folder):
        (folder / "model.safetensors").unlink()
        (folder / "pytorch_model.bin").write_bytes(b"no pickle at all")
        self.refused(folder, r"pickles \(pytorch_model\.bin\)")

    def test_weights_in_parts(self, folders, tmp_path):
        model = transformers.AutoModelForCausalLM.from_pretrained(folders["llama"], dtype=torch.float32)
        model.save_pretrained(tmp_path, max_shard_size="50KB")
        shutil.copy(folders["llama"] / "tokenizer.json", tmp_path)
        assert len(list(tmp_path.glob("*.safetensors"))) > 1
        parts, whole = (HuggingFaceModel.open(folder) for folder in (tmp_path, folders["llama"]))
        found = [model.expand([Request(model.begin([]), 7, None, full(model), 1)])[0].forms for model in (parts, whole)]
        assert np.abs(np.subtract(*found)).max() < 1e-4
        next(tmp_path.glob("*.safetensors")).unlink()
        self.refused(tmp_path, "safetensors")

    def test_a_config_that_is_none(self, folder):
        for text, match in (("{", "no JSON"), ("[]", "no JSON object"), ("{}", "does not say what model")):
            (folder / "config.json").write_text(text)
            self.refused(folder, match)
        (folder / "config.json").write_text('{"model_type": "what"}')
        self.refused(folder, "what")

    def test_code_in_a_folder_is_not_run(self, folder):
        (folder / "evil.py").write_text("raise SystemExit('RUN')\nclass Config: ...\n")
        changed(
            folder, model_type="evil", auto_map={"AutoConfig": "evil.Config", "AutoModelForCausalLM": "evil.Config"}
        )
        self.refused(folder, "evil|custom code")

    @pytest.mark.parametrize(("kind", "match"), [("bert", "looks at what comes after"), ("mamba", "keys and values"),
                                                 ("t5", "a t5 model is not a causal")])  # fmt: skip
    def test_other_kinds_of_models(self, tmp_path, kind, match):
        self.refused(write_model(tmp_path, kind), match)

    def test_a_small_model(self, tmp_path):
        self.refused(write_model(tmp_path, "gpt2", n_positions=128), "128 pieces at most")

    def test_tokenizers_that_do_not_fit(self, folder):
        tokenizer = byte_level()
        tokenizer.add_tokens(["another"])
        tokenizer.save(str(folder / "tokenizer.json"))
        self.refused(folder, f"{VOCABULARY + 1} pieces and the model {VOCABULARY}")
        tokenizer = byte_level()
        tokenizer.normalizer = tokenizers.normalizers.Lowercase()
        tokenizer.save(str(folder / "tokenizer.json"))
        self.refused(folder, "writes 'The' as 'the'")
        (folder / "tokenizer.json").write_text("{}")
        self.refused(folder, "tokenizer|model")
        (folder / "tokenizer.json").unlink()
        self.refused(folder, r"has no tokenizer\.json")

    def test_older_tokenizer_files(self, folders, tmp_path):
        folder = Path(shutil.copytree(folders["gpt2"], tmp_path / "model"))
        data = json.loads((folder / "tokenizer.json").read_text())
        (folder / "tokenizer.json").unlink()
        (folder / "vocab.json").write_text(json.dumps(data["model"]["vocab"]))
        merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in data["model"]["merges"]]
        (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges]) + "\n")
        model, usual = HuggingFaceModel.open(folder), HuggingFaceModel.open(folders["gpt2"])
        assert pieces_by_unit(model, SENTENCES[0]) == pieces_by_unit(usual, SENTENCES[0])

    def test_no_start(self, folder):
        changed(folder, bos_token_id=None, eos_token_id=None)
        self.refused(folder, "set bos_token_id")

    def test_a_sequence_of_another_release(self, folder):
        self.refused(changed(folder, restore_sequence=9), "sequences of form 9")


@needs_torch
def test_training_says_that_its_models_read_the_source(tmp_path, folders):
    from restore.training.checkpoint import load_model, load_tokenizer, save_model

    save_model(tmp_path, load_model(folders["llama"]), load_tokenizer(folders["llama"]))
    model = HuggingFaceModel.open(tmp_path)
    assert model.begin(["minister"]).text.prompt != model.begin(["party"]).text.prompt
