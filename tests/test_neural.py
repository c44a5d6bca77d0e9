from __future__ import annotations

import importlib.util
import json
import shutil
from functools import partial
from itertools import pairwise
from pathlib import Path
from threading import Barrier

import numpy as np
import pytest

pytest.importorskip("onnxruntime")
tokenizers = pytest.importorskip("tokenizers")

from restore import search  # noqa: E402
from restore.channel import get_channel  # noqa: E402
from restore.decoder import Decoder, Pin, Weights  # noqa: E402
from restore.errors import InputError, ResourceError, RestoreError  # noqa: E402
from restore.lattice import FormFinder, GapGrammar  # noqa: E402
from restore.lexicon import default_lexicon  # noqa: E402
from restore.models.base import Encoded, Request, Trie  # noqa: E402
from restore.models.network import Network, pack, unpack  # noqa: E402
from restore.models.neural import MOST_PIECES, MOST_PREFIX, MOST_SOURCE, Embedding, NeuralModel, prompt_of  # noqa: E402
from restore.models.pool import KEPT_ROUNDS, RECALLED, SLOT_STEP  # noqa: E402
from restore.models.runs import forced_run  # noqa: E402
from restore.perplexity import log_probability  # noqa: E402
from restore.search import Search, drive_together  # noqa: E402
from restore.source import TokenStream, read_source  # noqa: E402
from restore.units import segment  # noqa: E402

from .tiny_models import prefix_mask  # noqa: E402

TINY = Path(__file__).parent / "data" / "tiny_neural"
"""Two layers of random weights over 600 pieces, exported by `write_checkpoint` and `export` below."""

SOURCE = ["minister", "health", "resigned", "monday", "party", "lost", "6", "000", "member"]
PREFIX = "The minister of health"
TARGET = " resigned on Monday, and her party had lost 6,000 members!"
SENTENCES = [
    'The minister of health resigned on Monday, and nobody was surprised. "Why?" Mr. O\'Rourke said.',
    "Her party (the \"Greens\") had lost 6,000 members; it's over, they don't re-enter!",
    "Prices rose 3.5% -- wages weren't rising... Was it the drought?",
    "Naïve cafés in Orfèvres charge €5 — “quoted”.",
]
TEXTS = [
    "minister health resigned monday nobody surprised",
    "party lost 6 000 member",
    "talk re enter u official price rising wage drought",
    "farmer say bank rain",
    "orf vres court ruled",
]


def full(model: NeuralModel) -> Trie[int]:
    """A trie node with every piece of the vocabulary."""
    return Trie([(Encoded((piece,)), piece) for piece in range(model._tokenizer.get_vocab_size())])


def ids_of(model: NeuralModel, text: str) -> tuple[int, ...]:
    return tuple(model._tokenizer.encode(text, add_special_tokens=False).ids)


@pytest.fixture(scope="module")
def model() -> NeuralModel:
    return NeuralModel.open(TINY)


@pytest.fixture
def damaged(tmp_path):
    return Path(shutil.copytree(TINY, tmp_path / "bundle"))


@pytest.fixture(scope="module")
def decoder(model):
    channel, lexicon = get_channel("nltk"), default_lexicon()
    return Decoder(model, FormFinder(channel, lexicon), GapGrammar(channel, lexicon), 3, Weights())


def noting(expand, seen, requests):
    """Ask, and note the lanes that are asked about."""
    seen.update(request.state.lane.serial for request in requests)
    return expand(requests)


def restored(decoder: Decoder, texts: list[str]) -> list[str]:
    """Search several texts in step, their requests in one batch; return what each became."""
    searches = [Search(decoder, TokenStream(read_source(text, decoder.finder.channel))) for text in texts]
    drive_together(searches, decoder.model)
    return ["".join(step.text for step in search.steps) for search in searches]


class TestProtocol:
    def test_stepwise_equals_at_once(self, model):
        node = full(model)
        pieces = ids_of(model, TARGET)
        wanted = model.logprobs(SOURCE, PREFIX, TARGET)
        (expansion,) = model.expand([Request(model.begin(SOURCE, PREFIX), None, None, node, 1)])
        found = []
        for piece in pieces:
            found.append(expansion.forms[piece])
            (expansion,) = model.expand([Request(expansion.state, piece, None, node, 1)])
        assert np.abs(np.array(found) - wanted[:-1]).max() < 1e-4

    def test_a_run_of_pieces_equals_one_after_the_other(self, model):
        node = full(model)
        pieces = ids_of(model, TARGET)
        wanted = model.logprobs(SOURCE, PREFIX, TARGET)
        (start,) = model.expand([Request(model.begin(SOURCE, PREFIX), None, None, None, 1)])
        (run,) = model.expand([Request(start.state, pieces, None, node, 1)])
        assert np.abs(np.array(run.passed) - wanted[1:-1]).max() < 1e-4
        (whole,) = model.expand([Request(model.begin(SOURCE, PREFIX), pieces, None, node, 1)])
        assert np.abs(np.array(whole.forms) - np.array(run.forms)).max() < 1e-4
        assert model.key(whole.state, None)[1:] == model.key(run.state, None)[1:]

    @pytest.mark.parametrize("times", [1, 5])
    def test_a_text_is_measured_in_runs(self, model, times):
        """The sum of its pieces' log-probabilities, whether they fit in one run or not."""
        text = PREFIX + TARGET * times
        wanted = model.logprobs([], "", text)[:-1].sum()
        assert log_probability(model, text) == pytest.approx(wanted, abs=1e-3)

    def test_the_source_is_read_both_ways(self, model, monkeypatch):
        """What a piece of the source is to the model depends on the pieces after it; that of the prefix does not."""
        kept = []
        run = model._run
        monkeypatch.setattr(model, "_run", lambda batch, past: kept.append(run(batch, past)) or kept[-1])
        for source, prefix in ((SOURCE, ""), ([*SOURCE[:-1], "tuesday"], ""), (SOURCE, PREFIX), (SOURCE, PREFIX + " now")):
            model.expand([Request(model.begin(source, prefix), None, None, None, 1)])
        prompts = kept[::2]  # each prompt is read in one run; its last piece is fed in the next
        first, other, longer, longest = (new[0] for _, new in prompts)
        assert np.abs(first[:, :, 1] - other[:, :, 1]).max() > 1e-4  # the source's first word knows the last
        size = first.shape[2]
        assert np.abs(first - longer[:, :, :size]).max() < 1e-4  # it does not know what is restored
        assert np.abs(longer - longest[:, :, : longer.shape[2]]).max() < 1e-4

    def test_forks_do_not_disturb_each_other(self, model):
        node = full(model)
        one, other = ids_of(model, " resigned"), ids_of(model, " Monday")
        (start,) = model.expand([Request(model.begin(SOURCE), None, None, None, 1)])
        fork = model.expand([Request(start.state, one, None, node, 1), Request(start.state, other, None, node, 1)])
        for ids, expansion in zip((one, other), fork, strict=True):
            (alone,) = model.expand([Request(model.begin(SOURCE), ids, None, node, 1)])
            assert np.abs(np.array(alone.forms) - np.array(expansion.forms)).max() < 1e-4

    def test_asking_again_changes_nothing(self, model):
        node = full(model)
        (first,) = model.expand([Request(model.begin(SOURCE), ids_of(model, " The"), None, node, 1)])
        (again,) = model.expand([Request(first.state, None, None, node, 1)])
        assert np.abs(np.array(again.forms) - np.array(first.forms)).max() < 1e-4
        assert again.state.node is first.state.node

    def test_the_same_text_is_fed_once(self, model, monkeypatch):
        """A word and the beginning of a longer one are the same pieces."""
        node = full(model)
        (start,) = model.expand([Request(model.begin(SOURCE), None, None, None, 1)])
        fed = []
        run = model._run
        monkeypatch.setattr(model, "_run", lambda batch, past: fed.append(len(batch.pieces)) or run(batch, past))
        asked = [Request(start.state, pending, None, node, 1) for pending in (7, 8, 7)]
        one, other, again = model.expand(asked)
        assert sum(fed) == 2
        assert one.forms == again.forms != other.forms
        assert model.key(one.state, 3) == model.key(again.state, 3) != model.key(other.state, 3)

    def test_the_best_insertions_come_in_order(self, model):
        node = full(model)
        (expansion,) = model.expand([Request(model.begin(SOURCE), None, node, node, 7)])
        wanted = np.argsort(-np.array(expansion.forms), kind="stable")[:7].tolist()
        assert [child for child, _ in expansion.insertions] == wanted
        assert [logprob for _, logprob in expansion.insertions] == [expansion.forms[child] for child in wanted]
        (few,) = model.expand([Request(model.begin(SOURCE), None, Trie([(Encoded((5,)), 5)]), None, 7)])
        assert few.insertions == [(0, expansion.forms[5])]

    def test_logprobs_are_over_the_whole_vocabulary(self, model):
        (expansion,) = model.expand([Request(model.begin(SOURCE), None, None, full(model), 1)])
        assert np.exp(np.array(expansion.forms)).sum() == pytest.approx(1, abs=1e-4)

    def test_equal_texts_have_equal_keys(self, model):
        a, b = ids_of(model, " The")[:1], ids_of(model, " health")
        begun = model.begin(SOURCE)
        (start,) = model.expand([Request(begun, None, None, None, 1)])
        one, two = model.expand([Request(start.state, a + b, None, None, 1), Request(start.state, a, None, None, 1)])
        (two,) = model.expand([Request(two.state, b, None, None, 1)])
        assert model.key(one.state, 3) == model.key(two.state, 3) != model.key(one.state, 4)
        assert model.key(one.state, 3) != model.key(model.begin(SOURCE), 3)

    def test_texts_that_differ_only_long_ago_have_equal_keys(self, model):
        """The keys of a lane tell what was written last, however it was fed, and nothing from before that."""
        begun = model.begin(SOURCE)
        same = tuple(range(20, 20 + RECALLED - 1))
        asked = [Request(begun, (piece, *same), None, None, 1) for piece in (3, 4)]
        one, two = (expansion.state for expansion in model.expand(asked))
        assert model.key(one, None) != model.key(two, None)
        assert model.key(one, 9) == model.key(two, 9) == model.key(one, (9,)) != model.key(one, 8)
        (later,) = model.expand([Request(one, 9, None, None, 1)])
        assert model.key(later.state, None) == model.key(two, 9)

    def test_the_name_has_the_checksum(self, model):
        assert len(model.name.removeprefix("neural:")) == 12


class TestRuns:
    def test_a_run_ends_before_the_last_piece_and_at_a_choice(self):
        node = Trie(
            [
                (Encoded((1, 2, 3, 4)), "a"),
                (Encoded((1, 2, 3, 5)), "b"),
                (Encoded((6, 7, 8)), "c"),
                (Encoded((9,)), "d"),
            ]
        )
        run, after = forced_run(node, 0)
        assert (run, after.ids.tolist()) == ((1, 2, 3), [4, 5])
        run, after = forced_run(node, 1)
        assert (run, after.ids.tolist()) == ((6, 7), [8])
        assert forced_run(node, 2) == ((9,), None)

    def test_a_run_ends_where_something_is_complete(self):
        node = Trie([(Encoded((1, 2)), "a"), (Encoded((1, 2, 3)), "b")])
        run, after = forced_run(node, 0)
        assert (run, after.items[0][0][0]) == ((1,), "a")


class TestSlots:
    def test_the_slots_of_dead_texts_are_used_again(self, model):
        (expansion,) = model.expand([Request(model.begin(SOURCE), None, None, None, 1)])
        state, lane = expansion.state, expansion.state.lane
        held = []
        for _ in range(200):  # two forks a step, of which one lives on; that something holds the other does not matter
            forks = model.expand([Request(state, 7, None, None, 1), Request(state, 8, None, None, 1)])
            state = forks[0].state
            held.append(forks[1].state)
        assert len(state.node.seen) == 201
        assert len(set(state.node.seen)) == 201
        assert lane._used <= len(lane.prompt) + 201 + KEPT_ROUNDS + 2 * SLOT_STEP

    def test_a_text_whose_slots_were_used_again_is_fed_again(self, model):
        node = full(model)
        (start,) = model.expand([Request(model.begin(SOURCE), None, None, None, 1)])
        (early,) = model.expand([Request(start.state, ids_of(model, " The party"), None, node, 1)])
        state = start.state
        for _ in range(150):
            state = model.expand([Request(state, 7, None, None, 1)])[0].state
        assert early.state.node.freed
        for pending in (None, 9, (9, 11)):
            (late,) = model.expand([Request(early.state, pending, None, node, 1)])
            ids = ids_of(model, " The party") + (() if pending is None else tuple(np.atleast_1d(pending).tolist()))
            (wanted,) = model.expand([Request(model.begin(SOURCE), tuple(ids), None, node, 1)])
            assert np.abs(np.array(late.forms) - np.array(wanted.forms)).max() < 1e-4
            assert model.key(late.state, 1)[1:] != model.key(start.state, 1)[1:]

    def test_a_lane_is_freed_with_its_last_state(self, model):
        (expansion,) = model.expand([Request(model.begin(SOURCE), None, None, None, 1)])
        assert model._pool.live() == [expansion.state.lane]
        del expansion
        assert model._pool.live() == []

    def test_many_texts_at_a_time_take_few_lanes(self, model):
        for _ in range(3):
            states = [model.begin([word]) for word in SOURCE]
            model.expand([Request(state, None, None, None, 1) for state in states])
            assert model._pool.lanes <= 16
            del states
        assert model._pool.live() == []

    def test_a_pool_shrinks_around_the_lanes_that_are_left(self, model):
        def begun(sources):
            return [one.state for one in model.expand([Request(model.begin(source), None, None, None, 1) for source in sources])]

        node, sources = full(model), [SOURCE[at:] for at in range(6)] + [SOURCE * 20]
        states = begun(sources)
        lanes, slots = model._pool.lanes, model._pool.slots
        states = [states[1], states[4]]
        found = model.expand([Request(state, 9, None, node, 1) for state in states])
        assert [state.lane.number for state in states] == [0, 1]
        assert model._pool.lanes < lanes
        assert model._pool.slots < slots
        for one, source in zip(found, (sources[1], sources[4]), strict=True):
            (alone,) = model.expand([Request(state, 9, None, node, 1) for state in begun([source])])
            assert np.array_equal(one.forms, alone.forms)


class TestBatches:
    @pytest.mark.parametrize("size", [4, 16])
    def test_what_one_text_gets_does_not_depend_on_the_others(self, model, size):
        node = full(model)
        texts = [(SOURCE[number % 5 :], PREFIX * (number % 3)) for number in range(size)]
        runs = [ids_of(model, TARGET)[: 1 + number % 4] for number in range(size)]
        alone = []
        for (source, prefix), run in zip(texts, runs, strict=True):
            (expansion,) = model.expand([Request(model.begin(source, prefix), run, None, node, 1)])
            alone.append(expansion.forms)
            del expansion
        together = model.expand(
            [Request(model.begin(*text), run, None, node, 1) for text, run in zip(texts, runs, strict=True)]
        )
        for one, other in zip(alone, together, strict=True):
            assert np.abs(np.array(one) - np.array(other.forms)).max() < 1e-4

    def test_texts_come_out_the_same_at_batch_1_4_and_16(self, decoder):
        texts = [TEXTS[number % len(TEXTS)] for number in range(16)]
        alone = [restored(decoder, [text])[0] for text in TEXTS]
        wanted = [alone[number % len(TEXTS)] for number in range(16)]
        assert all(wanted)
        assert restored(decoder, texts) == wanted
        assert [text for at in range(0, 16, 4) for text in restored(decoder, texts[at : at + 4])] == wanted


class TestStreams:
    def test_texts_come_out_the_same_through_one_stream_and_several(self, decoder):
        found = []
        for threads in (1, 2):
            model = NeuralModel.open(TINY, threads)
            assert len(model.streams) == threads
            with_it = Decoder(model, decoder.finder, decoder.grammar, 3, Weights())
            found.append(restored(with_it, [*TEXTS, " ".join(TEXTS * 12)]))  # the last takes several windows
        assert found[0] == found[1]

    def test_several_streams_are_asked_at_the_same_time(self, decoder, monkeypatch):
        model = NeuralModel.open(TINY, 2)
        both = Barrier(2, timeout=30)
        met = []

        def meeting(stream):
            expand = stream.expand

            def expanding(requests):
                if stream not in met:
                    met.append(stream)
                    both.wait()  # fails if the other is not asked meanwhile
                return expand(requests)

            monkeypatch.setattr(stream, "expand", expanding)

        for stream in model.streams:
            meeting(stream)
        assert all(restored(Decoder(model, decoder.finder, decoder.grammar, 3, Weights()), TEXTS[:2]))
        assert len(met) == 2

    @pytest.mark.parametrize(("early", "shares"), [(False, [4, 4]), (True, [1, 4])])
    def test_a_block_is_begun_beside_the_first_window_which_is_text_before_it(self, decoder, early, shares):
        """Both streams have half of the windows, or the first has a stream to itself; its prose comes first, and stays."""
        model = NeuralModel.open(TINY, 2)
        lanes = [set(), set()]
        for stream, seen in zip(model.streams, lanes, strict=True):
            stream.expand = partial(noting, stream.expand, seen)
        tokens = TokenStream(read_source(" ".join(TEXTS * 20), decoder.finder.channel))
        begun, texts = [], []

        def done(search):
            begun.append([len(seen) for seen in lanes])
            texts.append("".join(step.text for step in search.steps))

        searched = Search(Decoder(model, decoder.finder, decoder.grammar, 3, Weights()), tokens, done)
        if early:
            for _ in search.advance(searched, model):
                pass
        else:
            drive_together([searched], model)
        assert begun[0] == shares
        assert 0 < len(texts[0]) < len(texts[1]) / 8
        assert all(later.startswith(earlier) for earlier, later in pairwise(texts))

    @pytest.mark.parametrize("failing", [1, 2, 9])
    def test_windows_that_the_text_cannot_pass_to_are_bridged(self, decoder, monkeypatch, failing):
        """Those after a seam that failed are not searched again."""
        model, begun, seams = NeuralModel.open(TINY, 1), [], []
        begin = model.begin
        monkeypatch.setattr(model, "begin", lambda source, prefix="": begun.append(len(source)) or begin(source, prefix))
        whole = restored(Decoder(model, decoder.finder, decoder.grammar, 3, Weights()), [" ".join(TEXTS * 20)])
        windows = len(begun)
        real = search.seam

        def seam(*given):
            seams.append(given)
            return None if len(seams) <= failing else real(*given)

        monkeypatch.setattr("restore.search.seam", seam)
        again = restored(Decoder(model, decoder.finder, decoder.grammar, 3, Weights()), [" ".join(TEXTS * 20)])
        assert decoder.finder.channel.strip(again[0]) == decoder.finder.channel.strip(whole[0])
        assert windows < len(begun) - windows <= windows + failing
        assert sum(begun[windows:]) < sum(begun[:windows]) * (1 + failing)

    def test_an_error_in_one_window_ends_the_rest(self, decoder):
        model = NeuralModel.open(TINY, 2)
        with_it = Decoder(model, decoder.finder, decoder.grammar, 3, Weights())
        tokens = [TokenStream(read_source(text, decoder.finder.channel)) for text in TEXTS]
        searches = [Search(with_it, row, pins={2: Pin(form="no such form")} if not n else None) for n, row in enumerate(tokens)]
        with pytest.raises(InputError, match="input token 2"):
            drive_together(searches, model)
        assert restored(with_it, TEXTS) == restored(decoder, TEXTS)  # the model is as good as before


class TestEncoding:
    @pytest.mark.parametrize("text", SENTENCES)
    def test_the_pieces_of_a_text_are_those_of_its_units(self, model, text):
        pieces = []
        for unit in with_runs_of_marks(segment(text)):
            encoded = model.encode(unit, initial=False, touched=False, logprob=0.0)
            assert encoded.bonus == 0
            pieces.extend(encoded.ids)
        assert tuple(pieces) == ids_of(model, text)

    def test_a_possessive_is_one_piece(self, model):
        encoded = model.encode("'s", initial=False, touched=False, logprob=0.0)
        assert len(encoded.ids) == 1

    def test_special_pieces_cannot_be_written(self, model):
        assert model.encode("<|im_end|>", initial=False, touched=False, logprob=0.0) is None
        assert model.encode("", initial=False, touched=False, logprob=0.0) is None
        prompt = prompt_of(model._tokenizer, ["a", "<|im_end|>", "b"], "")
        assert prompt.count(model._tokenizer.token_to_id("<|im_end|>")) == 1

    def test_overlong_tokens_are_cut(self, model):
        encoded = model.encode(" " + "xqz" * 500, initial=False, touched=False, logprob=0.0)
        assert len(encoded.ids) == MOST_PIECES
        prompt = prompt_of(model._tokenizer, ["xqz" * 9000, "party"] * 40, "and " * 5000)
        assert len(prompt) == MOST_SOURCE + MOST_PREFIX + 2
        model.expand([Request(model.begin(["xqz" * 9000]), None, None, full(model), 1)])


def with_runs_of_marks(units: list[str]) -> list[str]:
    """Join marks that follow each other without a space, as the tokenizer does."""
    joined: list[str] = []
    for unit in units:
        marks = [not any(char.isalnum() for char in one) and bool(one.strip()) for one in (*joined[-1:], unit)]
        if len(marks) == 2 and all(marks) and not unit.startswith(" "):
            joined[-1] += unit
        else:
            joined.append(unit)
    return joined


class TestDamage:
    def test_a_changed_byte_is_found(self, damaged):
        path = damaged / "weights-1.safetensors"
        data = bytearray(path.read_bytes())
        data[-1] ^= 1
        path.write_bytes(data)
        with pytest.raises(ResourceError, match="checksum"):
            NeuralModel.open(damaged)

    def test_a_missing_file_is_found(self, damaged):
        (damaged / "graph.onnx").unlink()
        with pytest.raises(ResourceError, match=r"graph\.onnx"):
            NeuralModel.open(damaged)

    @pytest.mark.parametrize(("key", "value"), [("inner", 64), ("vocabulary", 601), ("layers", 0), ("width", "x")])
    def test_a_shape_that_is_not_the_weights_is_found(self, damaged, key, value):
        card = json.loads((damaged / "card.json").read_text())
        card["shape"][key] = value
        (damaged / "card.json").write_text(json.dumps(card))
        with pytest.raises(ResourceError):
            NeuralModel.open(damaged)

    def test_weights_that_cannot_be_unpacked_are_found(self, model):
        scales = np.ones(8, np.float32)
        shape = model._shape
        good = pack(np.ones((shape.width, 8), np.int8))
        assert unpack({"0.up": good, "0.up_scale": scales}, shape, 1)["0.up"].shape == (shape.width, 8)
        for bad in (good[:-3], pack(np.ones((shape.width, 9), np.int8)), np.full(50, 255, np.uint8)):
            with pytest.raises(ValueError, match=r"0\.up"):
                unpack({"0.up": bad, "0.up_scale": scales}, shape, 1)


# What follows makes bundles, and needs the packages of the extra `train` for it.


def write_checkpoint(folder: Path, tied: bool = True) -> None:
    """Write a checkpoint of random weights, with the tokenizer of the tiny bundle."""
    from safetensors.numpy import save_file

    folder.mkdir(exist_ok=True)
    shutil.copy(TINY / "tokenizer.json", folder / "tokenizer.json")
    width, inner, heads, groups, head, vocabulary = 32, 48, 4, 2, 8, 600
    chance = np.random.default_rng(3)

    def random(*shape: int, size: float = 0.2) -> np.ndarray:
        return (chance.standard_normal(shape) * size).astype(np.float32)

    tensors = {
        "model.embed_tokens.weight": random(vocabulary, width, size=0.25),
        "model.norm.weight": 1 + random(width),
    }
    if not tied:
        tensors["lm_head.weight"] = random(vocabulary, width, size=0.25)
    for layer in range(2):
        sizes = {
            "self_attn.q_proj": (heads * head, width),
            "self_attn.k_proj": (groups * head, width),
            "self_attn.v_proj": (groups * head, width),
            "self_attn.o_proj": (width, heads * head),
            "mlp.gate_proj": (inner, width),
            "mlp.up_proj": (inner, width),
            "mlp.down_proj": (width, inner),
        }
        for name, size in sizes.items():
            tensors[f"model.layers.{layer}.{name}.weight"] = random(*size, size=0.25)
        for name in ("input_layernorm", "post_attention_layernorm"):
            tensors[f"model.layers.{layer}.{name}.weight"] = 1 + random(width)
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    config = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu", "hidden_size": width,
        "intermediate_size": inner, "num_hidden_layers": 2, "num_attention_heads": heads, "num_key_value_heads": groups,
        "head_dim": head, "max_position_embeddings": 4096, "rms_norm_eps": 1e-5, "vocab_size": vocabulary,
        "rope_parameters": {"rope_theta": 10000.0, "rope_type": "default"}, "tie_word_embeddings": tied,
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))


@pytest.fixture(scope="module", params=[True, False], ids=["tied", "untied"])
def checkpoint(request, tmp_path_factory):
    pytest.importorskip("onnx")
    pytest.importorskip("safetensors")
    folder = tmp_path_factory.mktemp("checkpoint")
    write_checkpoint(folder, request.param)
    return folder


def float_model(folder: Path) -> NeuralModel:
    """A checkpoint without any rounding."""
    from restore.training.export import read_checkpoint
    from restore.training.graph import build

    shape, weights = read_checkpoint(folder)
    graph, constants = build(shape, weights)
    if "embedding" in weights:
        constants["embedding"] = weights["embedding"].T
    embedding = Embedding(constants)
    tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    return NeuralModel(Network(graph, constants, 1), embedding, shape, tokenizer)


def rounded_rows(x: np.ndarray) -> np.ndarray:
    """What the identity makes of rows when it is multiplied by as the weights are: the rows, rounded."""
    onnx = pytest.importorskip("onnx")
    from restore.models.network import open_session
    from restore.training.graph import IR_VERSION, MICROSOFT, OPSET, Builder, declared
    from restore.training.quantise import int8_linear, rounded

    builder, weight = Builder(), np.eye(x.shape[1], dtype=np.float32)
    out = int8_linear({"weight": rounded(weight)})(builder, "x", "weight", weight)
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        builder.nodes, "one", [value("x", 1, ["n", x.shape[1]])], [value(out, 1, ["n", x.shape[1]])], declared(builder)
    )
    opsets = [onnx.helper.make_opsetid("", OPSET), onnx.helper.make_opsetid(MICROSOFT, 1)]
    made = onnx.helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)
    session, _ = open_session(made.SerializeToString(), builder.constants, 1)
    return session.run(None, {"x": x})[0]


def windows(number: int):
    from restore.training.pairs import Window

    return [Window(" ".join(SOURCE[place % 4 :]), PREFIX, TARGET, closed=place % 2 == 0) for place in range(number)]


class TestExport:
    def test_the_float_graph_is_what_transformers_computes(self, checkpoint):
        if not (importlib.util.find_spec("torch") and importlib.util.find_spec("transformers")):
            pytest.skip("needs torch and transformers: pip install '.[test,train]'")
        import torch
        from transformers import LlamaForCausalLM

        model = float_model(checkpoint)
        found = model.logprobs(SOURCE, PREFIX, TARGET)
        prompt = prompt_of(model._tokenizer, SOURCE, PREFIX)
        pieces = [*prompt, *ids_of(model, TARGET), model._tokenizer.token_to_id("<|endoftext|>")]
        reference = LlamaForCausalLM.from_pretrained(checkpoint, dtype=torch.float32)
        mask = prefix_mask(len(pieces) - 1, pieces.index(model._tokenizer.token_to_id("<|im_end|>")))
        with torch.no_grad():
            wanted = torch.log_softmax(reference(torch.tensor([pieces[:-1]]), attention_mask=mask).logits[0], -1).numpy()
        rows = np.arange(len(prompt) - 1, len(pieces) - 1)
        assert np.abs(found - wanted[rows, pieces[len(prompt) :]]).max() < 1e-4

    def test_turning_changes_nothing(self, checkpoint):
        from restore.training.export import read_checkpoint
        from restore.training.graph import build
        from restore.training.quantise import turned

        shape, weights = read_checkpoint(checkpoint)
        weights = turned(shape, weights)
        graph, constants = build(shape, weights)
        if "embedding" in weights:
            constants["embedding"] = weights["embedding"].T
        embedding = Embedding(constants)
        tokenizer = tokenizers.Tokenizer.from_file(str(checkpoint / "tokenizer.json"))
        model = NeuralModel(Network(graph, constants, 1), embedding, shape, tokenizer)
        wanted = float_model(checkpoint).logprobs(SOURCE, PREFIX, TARGET)
        assert np.abs(model.logprobs(SOURCE, PREFIX, TARGET) - wanted).max() < 1e-3

    def test_quantising_costs_little_and_there_is_a_way_back(self, checkpoint, tmp_path):
        from restore.training.export import export, unexport

        export(checkpoint, tmp_path / "bundle", windows(8), {"about": "a test"})
        wanted = float_model(checkpoint).logprobs(SOURCE, PREFIX, TARGET)
        model = NeuralModel.open(tmp_path / "bundle")
        found = model.logprobs(SOURCE, PREFIX, TARGET)
        assert 0 < np.abs(found - wanted).mean() < 0.15
        unexport(tmp_path / "bundle", tmp_path / "again")
        back = float_model(tmp_path / "again").logprobs(SOURCE, PREFIX, TARGET)
        assert np.abs(back - found).mean() < 0.15
        assert json.loads((tmp_path / "bundle" / "card.json").read_text())["about"] == "a test"

    def test_a_graph_built_anew_has_the_same_integers(self, checkpoint, tmp_path):
        from restore.training.export import export, rebuild

        made = export(checkpoint, tmp_path / "bundle", windows(2), {"about": "a test"})
        wanted = (made.folder / "graph.onnx").read_bytes()
        again = rebuild(made.folder, tmp_path / "again", {"graph": "built anew"})
        assert (again.folder / "graph.onnx").read_bytes() == wanted
        assert again.checksum == made.checksum
        assert (again.card["about"], again.card["graph"]) == ("a test", "built anew")

    def test_weights_of_another_shape_than_the_card_says_are_refused(self, checkpoint, tmp_path):
        from restore.training.export import export, rebuild, unexport

        made = export(checkpoint, tmp_path / "bundle", windows(2))
        card = json.loads((made.folder / "card.json").read_text())
        card["shape"]["inner"] *= 2
        (made.folder / "card.json").write_text(json.dumps(card))
        for use in (rebuild, unexport):
            with pytest.raises(ResourceError, match="bundle: its weights cannot be read"):
                use(made.folder, tmp_path / "again")

    def test_rows_of_zeros_stay_numbers(self, tmp_path):
        pytest.importorskip("onnx")
        from safetensors.numpy import load_file, save_file

        from restore.training.export import export

        write_checkpoint(tmp_path / "zeros")
        tensors = load_file(tmp_path / "zeros" / "model.safetensors")
        tensors["model.embed_tokens.weight"][:300] = 0
        tensors["model.layers.0.mlp.up_proj.weight"][:] = 0
        save_file(tensors, tmp_path / "zeros" / "model.safetensors")
        export(tmp_path / "zeros", tmp_path / "bundle", windows(2))
        assert np.isfinite(NeuralModel.open(tmp_path / "bundle").logprobs(SOURCE, PREFIX, TARGET)).all()

    def test_rows_are_rounded_alike_whatever_their_magnitude(self):
        rows = np.random.default_rng(0).standard_normal((1, 64)).astype(np.float32)
        found = rounded_rows(np.concatenate([rows, rows * 1e-4, rows * 1e4, rows * 0]))
        assert 0 < np.abs(found[0] - rows[0]).max() < 0.02 * np.abs(rows).max()
        for row, magnitude in enumerate([1e-4, 1e4], 1):
            assert np.abs(found[row] / magnitude - rows[0]).max() < 0.02 * np.abs(rows).max()
        assert not found[3].any()

    def test_the_same_checkpoint_gives_the_same_bytes(self, checkpoint, tmp_path):
        from restore.training.export import export

        one, other = (export(checkpoint, tmp_path / name, windows(2)) for name in ("one", "other"))
        assert one.checksum == other.checksum

    def test_rounding_by_what_is_read_is_better(self):
        pytest.importorskip("onnx")
        from restore.training.quantise import rounded

        chance = np.random.default_rng(0)
        weight = chance.standard_normal((24, 64)).astype(np.float32)
        x = (chance.standard_normal((500, 16)) @ chance.standard_normal((16, 64))).astype(np.float32)

        def error(made) -> float:
            return float(np.square(x @ weight.T - x @ (made.integers * made.scales)).sum())

        assert error(rounded(weight, x.T @ x, 7)) < error(rounded(weight, None, 7)) / 3

    def test_a_sum_whose_two_sides_differ_by_rounding_will_do(self):
        """As on processors that add up in another order on either side: with one input far larger than all others."""
        pytest.importorskip("onnx")
        from restore.training.quantise import rounded

        chance = np.random.default_rng(0)
        x = chance.standard_normal((4, 256)).astype(np.float32)
        x[:, 0] *= 100
        moment = x.T @ x + np.triu(np.full((256, 256), 0.2, np.float32), 1)
        made, even = (rounded(x, one, 7) for one in (moment, (moment + moment.T) / 2))
        assert (made.integers == even.integers).all()

    @pytest.mark.parametrize(
        ("change", "why"),
        [
            ({"model_type": "gpt2"}, "plain Llama"),
            ({"attention_bias": True}, "biases"),
            ({"rope_parameters": {"rope_theta": 1e4, "rope_type": "llama3"}}, "plain Llama"),
            ({"num_hidden_layers": 3}, "has no model.layers.2"),
        ],
    )
    def test_other_models_are_refused(self, checkpoint, tmp_path, change, why):
        from restore.training.export import export

        folder = Path(shutil.copytree(checkpoint, tmp_path / "other"))
        config = json.loads((folder / "config.json").read_text()) | change
        (folder / "config.json").write_text(json.dumps(config))
        with pytest.raises(RestoreError, match=why):
            export(folder, tmp_path / "bundle")
        with pytest.raises(RestoreError):
            export(tmp_path / "nothing", tmp_path / "bundle")
