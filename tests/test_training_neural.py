from __future__ import annotations

import importlib.util
import json
import shutil
from collections import Counter
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
tokenizers = pytest.importorskip("tokenizers")

from restore.errors import RestoreError  # noqa: E402
from restore.training import checkpoint, neural, packing, vocabulary  # noqa: E402
from restore.training.export import sequence  # noqa: E402
from restore.training.pairs import Window, WindowSource  # noqa: E402

from .tiny_models import prefix_mask  # noqa: E402

DOCUMENT = "\n".join(
    [
        "The minister of health resigned on Monday, and nobody was surprised. Her party had lost 6,000 members!",
        '"We will re-enter the talks," Mr. O\'Rourke said, "but not before the U.S. officials do."',
        "Prices were rising, wages weren't. Was it the drought? Farmers say so; the banks say it's the rains.",
    ]
    * 4
)
ODD = "Ελλάδα, 北京, naïve €5 — “quoted” \t 🙂\n\nqwxyz"


@pytest.fixture(scope="module")
def tokenizer():
    made = tokenizers.Tokenizer(tokenizers.models.BPE())
    made.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<file_sep>"],
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator([DOCUMENT + " international institutions, entirely"] * 3, trainer)
    return made


@pytest.fixture(scope="module")
def base(tmp_path_factory, tokenizer):
    folder = tmp_path_factory.mktemp("base")
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        tie_word_embeddings=True,
    )
    checkpoint.save_model(folder, transformers.LlamaForCausalLM(config), tokenizer)
    return folder


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    path = tmp_path_factory.mktemp("corpus") / "daily-00.txt"
    path.write_text(f"{DOCUMENT}\n\n%%%\n" * 3, encoding="utf-8")
    return path


def train(corpus, out, base, **settings):
    lines: list[str] = []
    settings = {"tokens": 6000, "step_tokens": 1000, "learning_rate": 1e-2, "warm_up": 2, "eval_windows": 4} | settings
    options = {"workers": 2, "channels": {"nltk": 1}, "report": lines.append} | settings
    neural.train([corpus], out, base=base, held_out=corpus, **options)
    return lines


def log(out, key):
    entries = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    return [entry[key] for entry in entries if key in entry]


def weights(out):
    return checkpoint.load_model(out).state_dict()


def test_sequence_format(tokenizer) -> None:
    window = Window(source="minister resigned", prefix="The minister", target=" resigned\nOn", closed=True)
    encoded = packing.encode_window(tokenizer, window)
    assert tokenizer.decode(encoded.pieces, skip_special_tokens=False) == (
        "<|im_start|> minister resigned<|im_end|>The minister resigned\nOn<|endoftext|>"
    )
    assert tokenizer.decode(encoded.pieces[: encoded.given], skip_special_tokens=False).endswith("<|im_end|>")
    window = Window(source="minister resigned monday", prefix="", target="The minister resigned", closed=False)
    encoded = packing.encode_window(tokenizer, window)
    assert tokenizer.decode(encoded.pieces[encoded.given :], skip_special_tokens=False) == "The minister resigned"


def test_a_packed_window_has_the_loss_it_has_alone(base, tokenizer) -> None:
    source = WindowSource({"a": [DOCUMENT]})
    encoded = [packing.encode_window(tokenizer, source.window(number)) for number in range(4)]
    model = checkpoint.load_model(base)
    plain = transformers.LlamaForCausalLM.from_pretrained(base, attn_implementation="eager")
    expected = []
    with torch.no_grad():
        for one in encoded:
            mask = prefix_mask(len(one.pieces), one.given - 1)  # the source, but for the piece that ends it
            logits = plain(input_ids=torch.tensor([one.pieces]), attention_mask=mask).logits[0, one.given - 1 : -1]
            wanted = torch.tensor(one.pieces[one.given :])
            expected.append(torch.nn.functional.cross_entropy(logits, wanted, reduction="none"))
        found = packing.losses(model, packing.pack(encoded))
    assert torch.allclose(found, torch.cat(expected), atol=1e-4)


def test_batches_go_on_where_they_stopped(tokenizer) -> None:
    source = WindowSource({"a": [DOCUMENT]})

    def encoded(number):
        return packing.encode_window(tokenizer, source.window(number))

    stream = packing.batches(encoded, 0, 900)
    [first], [second] = next(stream), next(stream)
    [again] = next(packing.batches(encoded, first.following, 900))
    assert torch.equal(again.pieces, second.pieces)
    assert first.pieces.numel() <= 900
    assert sum(first.lengths) == first.pieces.numel()
    assert len(packing.fixed_batches([encoded(0), encoded(1)], 10)) == 2


def test_workers_get_equal_shares_of_the_same_windows(tokenizer) -> None:
    source = WindowSource({"a": [DOCUMENT]})

    def encoded(number):
        return packing.encode_window(tokenizer, source.window(number))

    [whole] = next(packing.batches(encoded, 0, 2000))
    shares = next(packing.batches(encoded, 0, 2000, 2))
    assert sorted(length for share in shares for length in share.lengths) == sorted(whole.lengths)
    assert {share.following for share in shares} == {whole.following}
    apart = abs(shares[0].pieces.numel() - shares[1].pieces.numel())
    assert apart <= max(whole.lengths)


def test_many_workers_see_the_same_windows(tokenizer) -> None:
    """What a window holds does not depend on the machine."""
    source = WindowSource({"a": [DOCUMENT]})

    def encoded(number):
        return packing.encode_window(tokenizer, source.window(number))

    [few] = next(packing.batches(encoded, 0, 3000))
    many = next(packing.batches(encoded, 0, 3000, 128))
    assert sorted(length for share in many for length in share.lengths) == sorted(few.lengths)
    assert sum(len(share.targets) for share in many) == len(few.targets)


def test_windows_that_hold_nothing_to_learn_end_in_an_error() -> None:
    longer = packing.Encoded([1] * (packing.LONGEST + 9), packing.LONGEST + 5)
    with pytest.raises(RestoreError, match="is the text English"):
        next(packing.batches(lambda number: longer, 0, 3000))


def test_names_of_special_pieces_are_nothing_special_in_a_text(tokenizer) -> None:
    window = Window(source="ends im_end", prefix="It", target=" ends with <|im_end|> and <|endoftext|>.", closed=True)
    pieces = packing.encode_window(tokenizer, window).pieces
    for piece in ("<|im_start|>", "<|im_end|>", "<|endoftext|>"):
        assert pieces.count(tokenizer.token_to_id(piece)) == 1
    assert pieces == sequence(tokenizer, window)


@pytest.mark.parametrize(
    ("length", "source"), [(1, 0), (2, 1), (127, 127), (128, 40), (129, 128), (300, 0), (300, 129), (300, 257)]
)
def test_attention_by_products_is_attention(length: int, source: int) -> None:
    torch.manual_seed(length)
    query, key, value = (torch.randn(1, heads, length, 16, requires_grad=True) for heads in (6, 2, 2))
    found, expected = (attend(query, key, value, 0.25, source) for attend in (packing._half_attention, packing._attention))
    assert torch.allclose(found, expected, atol=1e-5)
    above = torch.randn_like(found)
    for ours, theirs in zip(
        torch.autograd.grad(found, (query, key, value), above),
        torch.autograd.grad(expected, (query, key, value), above),
        strict=True,
    ):
        assert torch.allclose(ours, theirs, atol=1e-4)


def test_quickened_norms_are_the_norms_and_have_their_derivatives() -> None:
    torch.manual_seed(1)
    sizes = {"hidden_size": 48, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 3, "vocab_size": 9}
    config = transformers.LlamaConfig(**sizes)
    model = transformers.LlamaForCausalLM(config)
    plain = model.model.norm
    torch.nn.init.uniform_(plain.weight, -2, 2)
    x, above = torch.randn(1, 7, 48, requires_grad=True) * 3, torch.randn(1, 7, 48).bfloat16().float()
    with torch.autocast("cpu", torch.bfloat16):
        expected = plain(x)
        wanted = torch.autograd.grad(expected, (x, plain.weight), above, retain_graph=True)
        packing.quicken(model)
        assert type(model.model.norm) is type(model.model.layers[0].input_layernorm) is packing.HalfNorm
        found = model.model.norm(x)
    assert found.dtype == torch.bfloat16
    assert torch.equal(found, expected.bfloat16())
    for ours, theirs in zip(torch.autograd.grad(found, (x, plain.weight), above.bfloat16()), wanted, strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-4, atol=1e-4)
    assert torch.equal(model.model.norm(x), expected), "without autocast nothing changes"


def test_pruned_vocabulary_round_trips(tokenizer) -> None:
    counts = vocabulary.count_pieces(tokenizer, [DOCUMENT])
    pruned = vocabulary.prune(tokenizer, counts, 1)
    assert 0 < len(pruned.kept) < tokenizer.get_vocab_size()
    assert pruned.tokenizer.get_vocab_size() == len(pruned.kept)
    for text in (DOCUMENT, DOCUMENT.lower(), ODD, "international institutions"):
        assert pruned.tokenizer.decode(pruned.tokenizer.encode(text).ids, skip_special_tokens=False) == text
    # A text whose pieces are all kept is cut as before.
    assert [pruned.kept[n] for n in pruned.tokenizer.encode(DOCUMENT).ids] == tokenizer.encode(DOCUMENT).ids
    assert len(pruned.tokenizer.encode("international").ids) > len(tokenizer.encode("international").ids)
    for piece in vocabulary.SPECIALS:
        assert pruned.tokenizer.encode(f"a{piece}b").tokens[1] == piece
    assert pruned.tokenizer.token_to_id("<file_sep>") is None
    assert vocabulary.used_share(counts, pruned.kept) == 1


def test_pruning_keeps_what_kept_pieces_are_merged_from(tokenizer) -> None:
    piece = tokenizer.token_to_id("Ġminister")
    pruned = vocabulary.prune(tokenizer, Counter({piece: 9}), 5)
    assert pruned.tokenizer.encode(" minister").tokens == ["Ġminister"]


def test_pruning_needs_a_byte_level_bpe() -> None:
    other = tokenizers.Tokenizer(tokenizers.models.WordLevel({"a": 0}, unk_token="a"))
    with pytest.raises(RestoreError, match="byte-level BPE"):
        vocabulary.prune(other, Counter(), 1)


def test_training_learns_and_its_output_is_a_base(corpus, base, tmp_path) -> None:
    lines = train(corpus, tmp_path / "one", base, prune=1)
    held = log(tmp_path / "one", "held_out")
    assert held[-1] < held[0] - 0.5
    assert any("held-out loss" in line for line in lines)
    names = {path.name for path in (tmp_path / "one").iterdir()}
    assert {"model.safetensors", "config.json", "tokenizer.json", "state.safetensors", "log.jsonl"} <= names
    assert ("loss.png" in names) == (importlib.util.find_spec("matplotlib") is not None)
    train(corpus, tmp_path / "two", tmp_path / "one", tokens=1000)
    assert log(tmp_path / "two", "held_out")[0] == pytest.approx(
        min(held[-1], log(tmp_path / "one", "held_out_average")[-1]), abs=1e-3
    )


def test_a_run_is_repeatable_and_can_be_killed(corpus, base, tmp_path, monkeypatch) -> None:
    train(corpus, tmp_path / "whole", base)

    class KilledError(Exception):
        pass

    def killed(self, shares, loss, spent):
        record(self, shares, loss, spent)
        if self.progress.step == 4:
            raise KilledError

    record = neural.Trainer.record
    monkeypatch.setattr(neural.Trainer, "record", killed)
    with pytest.raises(KilledError):
        train(corpus, tmp_path / "parts", base, save_minutes=1e-6)
    monkeypatch.undo()
    lines = train(corpus, tmp_path / "parts", base)
    assert "going on after step 3" in lines[0]
    assert log(tmp_path / "parts", "loss") == log(tmp_path / "whole", "loss")
    first, second = weights(tmp_path / "whole"), weights(tmp_path / "parts")
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_finished_run_is_not_trained_again(corpus, base, tmp_path) -> None:
    train(corpus, tmp_path, base, tokens=2000)
    steps = log(tmp_path, "loss")
    train(corpus, tmp_path, base, tokens=2000)
    assert log(tmp_path, "loss") == steps


def test_learning_rate() -> None:
    settings = neural.Settings(tokens=1000, learning_rate=1.0, warm_up=10)
    rates = [settings.rate(neural.Progress(step=step, tokens=step * 10)) for step in range(101)]
    assert rates[0] == pytest.approx(0.1, abs=0.01)
    assert max(rates) == pytest.approx(1.0, abs=0.05)
    assert rates[100] == pytest.approx(0.05)
    by_time = neural.Settings(minutes=1, learning_rate=1.0, warm_up=0)
    assert by_time.rate(neural.Progress(seconds=60)) == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"rope_parameters": {"rope_theta": 1e4, "rope_type": "linear", "factor": 2.0}}, "llama with linear positions"),
        ({"attention_bias": True}, "biases"),
    ],
)
def test_a_base_that_cannot_be_exported_is_refused_before_it_is_trained(corpus, base, tmp_path, changed, why) -> None:
    folder = tmp_path / "other"
    folder.mkdir()
    config = transformers.LlamaConfig.from_pretrained(base)
    config.update(changed)
    checkpoint.save_model(folder, transformers.LlamaForCausalLM(config), checkpoint.load_tokenizer(base))
    with pytest.raises(RestoreError, match=f"not a Llama-type model that can be trained .*{why}"):
        train(corpus, tmp_path / "out", folder)
    assert not (tmp_path / "out" / "log.jsonl").exists()


def test_errors(corpus, base, tmp_path) -> None:
    with pytest.raises(RestoreError, match="how long"):
        neural.Settings()
    with pytest.raises(RestoreError, match="above 0"):
        neural.Settings(minutes=1, learning_rate=0)
    with pytest.raises(RestoreError, match="no tokenizer"):
        train(corpus, tmp_path / "out", tmp_path / "nowhere")
    train(corpus, tmp_path / "out", base, tokens=1000)
    with pytest.raises(RestoreError, match="holds no window; give 800 or more"):
        neural.Settings(minutes=1, step_tokens=40)
    with pytest.raises(RestoreError, match="--weight nosuch: the sources are daily"):
        train(corpus, tmp_path / "other", base, weights={"nosuch": 2})


@pytest.mark.parametrize(
    ("changed", "what"),
    [({"seed": 7}, "seed"), ({"weights": {"daily": 3}}, "weights"), ({"channels": {"lower": 1}}, "channels"), ({}, "text")],
)
def test_a_run_goes_on_only_as_it_was_begun(corpus, base, tmp_path, changed, what) -> None:
    train(corpus, tmp_path / "out", base, tokens=1000)
    other = corpus
    if what == "text":
        other = tmp_path / "daily-00.txt"
        other.write_text(f"{DOCUMENT} It rained.\n%%%\n", encoding="utf-8")
    with pytest.raises(RestoreError, match=f"holds a run of another {what}; give the same"):
        train(other, tmp_path / "out", base, **changed)
    renamed = Path(shutil.copytree(base, tmp_path / "another"))
    with pytest.raises(RestoreError, match="a run of another base"):
        train(corpus, tmp_path / "out", renamed)
    train(other, tmp_path / "out", base, resume=False, tokens=1000, **changed)


def test_what_was_begun_anew_is_not_undone_by_a_stop(corpus, base, tmp_path, monkeypatch) -> None:
    train(corpus, tmp_path / "out", base, tokens=2000)

    def stopped(self, shares, loss, spent):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(neural.Trainer, "record", stopped)
        with pytest.raises(KeyboardInterrupt):
            train(corpus, tmp_path / "out", base, tokens=2000, resume=False)
    lines = train(corpus, tmp_path / "out", base, tokens=2000)
    assert not any("going on" in line for line in lines)


def test_the_command_makes_a_model_that_restores_and_goes_on(tmp_path, corpus, base) -> None:
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from click.testing import CliRunner

    from restore.cli.main import group
    from restore.models.neural import NeuralModel

    options = ["--tokens", "3000", "--step-tokens", "1000", "--channel", "nltk=1", "--held-out", str(corpus)]
    first, second = tmp_path / "first", tmp_path / "second"
    done = CliRunner().invoke(group, ["train", "neural", str(corpus), "-o", str(first), "--base", str(base), *options])
    assert done.exit_code == 0, done.output
    assert NeuralModel.open(first).name.startswith("neural:")
    card = json.loads((first / "card.json").read_text())
    assert card["training"]["tokens"] >= 3000
    assert card["training"]["held_out_after"] < card["training"]["held_out_before"]
    done = CliRunner().invoke(group, ["-", "--model", str(first)], input="minister health resigned monday")
    assert done.exit_code == 0, done.output
    done = CliRunner().invoke(
        group, ["train", "neural", str(corpus), "-o", str(second), "--base", str(first), "--keep", "0.25", *options]
    )
    assert done.exit_code == 0, done.output
    again = json.loads((second / "card.json").read_text())
    assert again["training"]["kept"] == 0.25
    # Rounding a model and making floats of it again costs little of what it has learnt.
    assert again["training"]["held_out_before"] < card["training"]["held_out_before"]


def test_a_base_that_restores_is_trained_gently(tmp_path, corpus, monkeypatch) -> None:
    """A rate for a model that never restored makes one that does worse."""
    pytest.importorskip("onnx")
    from restore.bundle import resources_folder
    from restore.training import adaptation

    rates = []

    def noted(*args, **settings):
        rates.append(settings["learning_rate"])
        raise RestoreError("enough")

    monkeypatch.setattr(adaptation, "train", noted)
    monkeypatch.setattr(adaptation, "unexport", lambda *args: None)
    for name, config in (("llama", "{}"), ("checkpoint", '{"restore_sequence": 2}')):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(config)
    llama, made, shipped = tmp_path / "llama", tmp_path / "checkpoint", resources_folder() / "neural"
    for start, rate in ((llama, None), (shipped, None), (None, None), (made, None), (made, 2e-4)):
        with pytest.raises(RestoreError, match="enough"):
            adaptation.adapt([corpus], tmp_path / "out", base=start, tokens=10, learning_rate=rate)
    assert rates == [3e-4, 1e-4, 1e-4, 1e-4, 2e-4]
    with pytest.raises(RestoreError, match="say how long"):
        adaptation.adapt([corpus], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_drafts_leave_less_to_learn_of_the_same_text(base, corpus, tmp_path) -> None:
    train(corpus, tmp_path / "plain", base, tokens=2000)
    train(corpus, tmp_path / "drafted", base, tokens=2000, drafts=1.0)
    shares = [log(tmp_path / name, "targets")[-1] / log(tmp_path / name, "tokens")[-1] for name in ("plain", "drafted")]
    assert 0 < shares[1] < shares[0]
    with pytest.raises(RestoreError, match="drafts"):
        train(corpus, tmp_path / "drafted", base, tokens=4000)
    with pytest.raises(RestoreError, match="no share"):
        train(corpus, tmp_path / "drafted", base, drafts=2.0)


def test_the_base_may_keep_a_share_of_the_weights(base, corpus, tmp_path) -> None:
    train(corpus, tmp_path / "learnt", base, tokens=2000)
    lines = train(corpus, tmp_path / "mean", base, tokens=2000, keep=0.25)
    assert "with 0.25 of the base" in lines[-1]
    before, learnt = weights(base), weights(tmp_path / "learnt")
    for _ in range(2):  # a run that is done is mixed no further
        mean = weights(tmp_path / "mean")
        for name, weight in mean.items():
            torch.testing.assert_close(weight, 0.25 * before[name] + 0.75 * learnt[name])
        train(corpus, tmp_path / "mean", base, tokens=2000, keep=0.25)
    with pytest.raises(RestoreError, match="no share of the weights"):
        neural.Settings(tokens=1, keep=2)
    with pytest.raises(RestoreError, match="leave out one of the two"):
        neural.Settings(tokens=1, keep=0.5, prune=2)
