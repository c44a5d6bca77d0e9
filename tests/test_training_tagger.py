"""Training of the tagger, on a tiny BERT of random weights."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytest.importorskip("onnx")

from click.testing import CliRunner  # noqa: E402
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers  # noqa: E402

from restore.channel import get_channel  # noqa: E402
from restore.cli.main import group  # noqa: E402
from restore.errors import RestoreError  # noqa: E402
from restore.models.tagger import Tagger  # noqa: E402
from restore.training.tagger import train  # noqa: E402
from restore.training.tagger_network import Network, gender_loss, read_base  # noqa: E402
from restore.training.tagger_rows import ROW, Batch, RowMaker, name_tags  # noqa: E402

DOCUMENT = "\n".join(
    [
        "The minister of health resigned on Monday, and nobody was surprised. Her party had lost 6,000 members!",
        "Prices were rising, wages weren't. Was it the drought? Farmers say so; the banks say it's the rains.",
    ]
    * 20
)
OUTPUTS = {"marks": 6, "cases": 4, "edits": 3, "first": 5, "last": 5, "held": 5}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bert")
    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *letters, *(f"##{letter}" for letter in letters)]
    tokenizer = Tokenizer(models.WordPiece({piece: n for n, piece in enumerate(pieces)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    torch.manual_seed(3)
    config = transformers.BertConfig(
        vocab_size=len(pieces), hidden_size=48, intermediate_size=64, num_hidden_layers=2, num_attention_heads=12,
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    )  # fmt: skip
    transformers.BertModel(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def mpnet(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mpnet")
    made = json.loads((base / "tokenizer.json").read_text())
    pieces = ["<s>", "<pad>", "</s>", "<unk>", *made["model"]["vocab"], "<mask>"]
    made["model"]["vocab"] = {piece: number for number, piece in enumerate(pieces)}
    (folder / "tokenizer.json").write_text(json.dumps(made))
    torch.manual_seed(4)
    config = transformers.MPNetConfig(
        vocab_size=len(pieces), hidden_size=48, intermediate_size=64, num_hidden_layers=3, num_attention_heads=12,
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, max_position_embeddings=514, layer_norm_eps=1e-12,
    )  # fmt: skip
    transformers.MPNetModel(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("corpus") / "daily-00.txt"
    path.write_text(f"{DOCUMENT}\n%%%\n" * 3, encoding="utf-8")
    return path


def read(network: Network, base: Path) -> tuple[Batch, torch.Tensor]:
    """Return two rows and what the network makes of their tokens."""
    maker = RowMaker(read_base(base).tokenizer, ["", "?", "the", "of", "and"], ["?", "=", "-+s"])
    batch = maker.batch([maker.row(DOCUMENT, get_channel("nltk").tokens(DOCUMENT), start) for start in (0, 7)])
    seen: list[torch.Tensor] = []
    network._linear = lambda x, name, plain=network._linear: (seen.append(x) if name == "token" else None, plain(x, name))[1]
    with torch.no_grad():
        network(batch)
    return batch, seen[0]


def test_the_network_is_the_bert(base: Path) -> None:
    batch, seen = read(Network(read_base(base).encoders[0], OUTPUTS), base)
    bert = transformers.BertModel.from_pretrained(base, add_pooling_layer=False)
    with torch.no_grad():
        wanted = bert(batch.pieces, attention_mask=(batch.pieces != 0).long()).last_hidden_state.flatten(0, 1)[batch.heads]
    torch.testing.assert_close(seen, wanted, rtol=1e-3, atol=1e-4)


def test_the_network_is_the_mpnet_up_to_a_layer(mpnet: Path) -> None:
    batch, seen = read(Network(read_base(mpnet, layers=2).encoders[0], OUTPUTS), mpnet)
    model = transformers.MPNetModel.from_pretrained(mpnet, add_pooling_layer=False).eval()
    pieces = batch.pieces + 4
    for ours, theirs in ((0, 1), (2, 0), (3, 2)):  # [PAD], [CLS] and [SEP]
        pieces[batch.pieces == ours] = theirs
    with torch.no_grad():
        wanted = model(pieces, attention_mask=(batch.pieces != 0).long(), output_hidden_states=True).hidden_states[2]
    torch.testing.assert_close(seen, wanted.flatten(0, 1)[batch.heads], rtol=1e-3, atol=1e-4)


def test_rows_are_full_and_tags_fit(base: Path) -> None:
    tokenizer = read_base(base).tokenizer
    maker = RowMaker(tokenizer, ["", "?", "the", "of"], ["?", "=", "-+s"])
    tokens = get_channel("nltk").tokens(DOCUMENT)
    row = maker.row(DOCUMENT, tokens, 3)
    assert ROW - 6 < len(row.pieces) <= ROW
    assert len(row.before) == len(row.after) == len(row.marks) == len(row.words)
    assert len(row.heads) == len(row.edits) == len(row.cases) == len(row.words) + 1  # its first gap has no left side
    assert all(before < after for before, after in zip(row.before, row.after, strict=True))


def test_training_learns_goes_on_and_is_repeatable(base: Path, corpus: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    options = {"base": base, "held_out": corpus, "seed": 2, "channels": {"nltk": 1}, "report": lines.append}
    train([corpus], tmp_path / "one", gaps=2000, learning_rate=1e-2, **options)
    train([corpus], tmp_path / "same", gaps=2000, learning_rate=1e-2, **options)
    one, same = (Tagger.open(tmp_path / name) for name in ("one", "same"))
    assert one.checksum == same.checksum
    card = json.loads((tmp_path / "one" / "card.json").read_text())
    assert card["training"]["gaps"] >= 2000
    train([corpus], tmp_path / "one", gaps=20_000, learning_rate=1e-2, **options)
    assert any(line.startswith("going on after step") for line in lines)
    more = json.loads((tmp_path / "one" / "card.json").read_text())
    assert more["training"]["held_out"]["first"] < card["training"]["held_out"]["first"]
    tags = Tagger.open(tmp_path / "one").tag(["minister", "health", "resigned", "monday", "nobody", "surprised"])
    assert np.isfinite(tags.marks).all()


def test_a_part_is_left_out_in_training_only(base: Path) -> None:
    torch.manual_seed(5)
    network = Network(read_base(base).encoders[0], OUTPUTS)
    batch, _ = read(network, base)
    marks = [network(batch, dropped=torch.Generator().manual_seed(seed))["marks"] for seed in (1, 1, 2)]
    whole = network(batch)["marks"]
    assert torch.equal(marks[0], marks[1])
    assert not torch.allclose(marks[0], marks[2], atol=1e-3)
    assert not torch.allclose(marks[0], whole, atol=1e-3)
    assert torch.equal(whole, network(batch)["marks"])


def test_bfloat16_says_nearly_the_same(base: Path) -> None:
    network = Network(read_base(base).encoders[0], OUTPUTS)
    batch, _ = read(network, base)
    with torch.no_grad():
        exact, rounded = network(batch), network(batch, half=True)
    for name, found in exact.items():
        assert rounded[name].dtype == torch.float32
        assert not torch.equal(rounded[name], found)
        torch.testing.assert_close(rounded[name], found, rtol=0.05, atol=0.05)


def test_a_tagger_is_a_base(base: Path, corpus: Path, tmp_path: Path) -> None:
    ran = CliRunner().invoke(
        group, ["train", "tagger", str(corpus), "-o", str(tmp_path / "a"), "--base", str(base), "--gaps", "500"]
    )
    assert ran.exit_code == 0, ran.output
    ran = CliRunner().invoke(
        group, ["train", "tagger", str(corpus), "-o", str(tmp_path / "b"), "--base", str(tmp_path / "a"), "--gaps", "500"]
    )
    assert ran.exit_code == 0, ran.output
    first, second = (Tagger.open(tmp_path / name) for name in "ab")
    assert first.words == second.words
    assert first.checksum != second.checksum


def test_the_base_keeps_its_share(base: Path, corpus: Path, tmp_path: Path) -> None:
    options = {"channels": {"nltk": 1}, "gaps": 500, "learning_rate": 1.0, "report": lambda line: None}
    train([corpus], tmp_path / "base", base=base, **options)
    for keep in (0.0, 0.5, 1.0):
        train([corpus], tmp_path / str(keep), base=tmp_path / "base", keep=keep, **options)
    before, new, half, old = (read_base(tmp_path / name).encoders[-1]["gap"] for name in ("base", "0.0", "0.5", "1.0"))
    assert (new - before).abs().max() > 1e-3
    torch.testing.assert_close(half, (new + before) / 2)
    torch.testing.assert_close(old, before)


def test_encoders_side_by_side(base: Path, mpnet: Path, corpus: Path, tmp_path: Path) -> None:
    """A new encoder learns from a tagger, and their logits' mean is what the bundle of both says."""
    options = {"channels": {"nltk": 1}, "gaps": 1500, "learning_rate": 1e-2, "report": lambda line: None}
    train([corpus], tmp_path / "one", base=base, **options)
    train([corpus], tmp_path / "both", base=mpnet, layers=2, teacher=tmp_path / "one", join=True, levels=(63, 40), **options)
    train([corpus], tmp_path / "alone", base=mpnet, layers=2, teacher=tmp_path / "one", **options)
    tokens = ["minister", "health", "resigned", "monday", "nobody", "surprised"]
    one, both, alone = (Tagger.open(tmp_path / name).tag(tokens) for name in ("one", "both", "alone"))
    mean = one.first + alone.first
    np.testing.assert_allclose(
        both.first - both.first[:, :1], (mean - mean[:, :1]) / 2, atol=0.05 * float(np.abs(mean - mean[:, :1]).max())
    )
    np.testing.assert_allclose(both.held, (one.held + alone.held) / 2, atol=0.05 * float(np.abs(mean).max()))
    first = read_base(tmp_path / "one").encoders[0]
    train([corpus], tmp_path / "on", base=tmp_path / "both", **options)
    kept, trained = read_base(tmp_path / "on").encoders
    step = float(first["0.up"].abs().max()) / 25
    torch.testing.assert_close(kept["0.up"], first["0.up"], rtol=0, atol=step)
    assert not torch.allclose(trained["0.up"], read_base(tmp_path / "both").encoders[1]["0.up"], atol=1e-4)


def test_an_encoder_grows(base: Path, mpnet: Path, corpus: Path, tmp_path: Path) -> None:
    options = {"gaps": 600, "report": lambda line: None, "rows": 2}
    train([corpus], tmp_path / "low", base=mpnet, layers=2, **options)
    tiny = {**options, "learning_rate": 1e-9}
    train([corpus], tmp_path / "grown", base=mpnet, lower=tmp_path / "low", **tiny)
    below, whole = (read_base(tmp_path / name).encoders[0] for name in ("low", "grown"))
    top = read_base(mpnet).encoders[0]
    for name, weight in whole.items():
        wanted = top if name.startswith("2.") or name == "words" else below
        step = 2 * float(wanted[name].abs().max()) / 63 + 1e-6
        np.testing.assert_allclose(weight, wanted[name], atol=step, err_msg=name)
    assert Tagger.open(tmp_path / "grown").words == Tagger.open(tmp_path / "low").words
    for other, layers, missing in ((base, 2, "near"), (mpnet, 1, "1.down")):
        with pytest.raises(RestoreError, match=f"not made of the base's lower layers .the base has no '{missing}'"):
            train([corpus], tmp_path / "no", base=other, layers=layers, lower=tmp_path / "low", **options)


def test_an_encoder_that_counts_for_more(base: Path, mpnet: Path, corpus: Path, tmp_path: Path) -> None:
    options = {"channels": {"nltk": 1}, "gaps": 500, "learning_rate": 1e-2, "report": lambda line: None}
    train([corpus], tmp_path / "one", base=base, **options)
    joined = {"base": mpnet, "layers": 2, "teacher": tmp_path / "one", **options}
    train([corpus], tmp_path / "alone", **joined)
    train([corpus], tmp_path / "both", join=True, share=0.8, **joined)
    tokens = ["minister", "health", "resigned", "monday", "nobody", "surprised"]
    one, both, alone = (Tagger.open(tmp_path / name).tag(tokens) for name in ("one", "both", "alone"))
    wanted = 0.2 * one.held + 0.8 * alone.held
    np.testing.assert_allclose(both.held, wanted, atol=0.05 * float(np.abs(wanted).max()))
    assert float(np.abs(both.held - (one.held + alone.held) / 2).mean()) > 2 * float(np.abs(both.held - wanted).mean())

    found = read_base(tmp_path / "both")  # what they were before they were weighed
    assert found.share == 0.8
    torch.testing.assert_close(found.encoders[0]["held.bias"], read_base(tmp_path / "one").encoders[0]["held.bias"])
    train([corpus], tmp_path / "on", base=tmp_path / "both", **options)
    torch.testing.assert_close(read_base(tmp_path / "on").encoders[0]["held.bias"], found.encoders[0]["held.bias"])
    assert json.loads((tmp_path / "on" / "card.json").read_text())["share"] == 0.8


def test_a_teacher_has_the_pieces_of_the_base(base: Path, mpnet: Path, corpus: Path, tmp_path: Path) -> None:
    options = {"channels": {"nltk": 1}, "gaps": 300, "report": lambda line: None}
    with pytest.raises(RestoreError, match="no tagger"):
        train([corpus], tmp_path / "out", base=mpnet, teacher=base, **options)
    train([corpus], tmp_path / "one", base=base, **options)
    other = tmp_path / "other"
    other.mkdir()
    for file in mpnet.iterdir():
        (other / file.name).write_bytes(file.read_bytes())
    made = json.loads((other / "tokenizer.json").read_text())
    made["model"]["vocab"]["<mask>x"] = made["model"]["vocab"].pop("##9")
    (other / "tokenizer.json").write_text(json.dumps(made))
    with pytest.raises(RestoreError, match="other pieces"):
        train([corpus], tmp_path / "out", base=other, teacher=tmp_path / "one", **options)


def test_options_that_do_not_go_together(base: Path, corpus: Path, tmp_path: Path) -> None:
    options = {"channels": {"nltk": 1}, "gaps": 300, "report": lambda line: None}
    with pytest.raises(RestoreError, match="needs a teacher"):
        train([corpus], tmp_path / "out", base=base, join=True, **options)
    with pytest.raises(RestoreError, match="there are none"):
        train([corpus], tmp_path / "out", base=base, share=0.7, **options)
    with pytest.raises(RestoreError, match="2 levels for 1 encoders"):
        train([corpus], tmp_path / "out", base=base, levels=(10, 10), **options)
    for name, seed in (("one", 1), ("two", 2)):
        train([corpus], tmp_path / name, base=base, seed=seed, **options)
    card = json.loads((tmp_path / "two" / "card.json").read_text())
    card["words"][2:4] = reversed(card["words"][2:4])
    (tmp_path / "two" / "card.json").write_text(json.dumps(card))
    with pytest.raises(RestoreError, match="other tags"):
        train([corpus], tmp_path / "out", base=tmp_path / "one", teacher=tmp_path / "two", **options)


def test_runs_beside_each_other_are_averaged(base: Path, corpus: Path, tmp_path: Path) -> None:
    options = {"channels": {"nltk": 1}, "gaps": 500, "learning_rate": 1.0, "report": lambda line: None}
    train([corpus], tmp_path / "base", base=base, **options)
    for seed in (1, 2):
        train([corpus], tmp_path / str(seed), base=tmp_path / "base", seed=seed, **options)
    first, second = (read_base(tmp_path / name).encoders[-1]["gap"] for name in "12")
    train([corpus], tmp_path / "2", base=tmp_path / "base", seed=2, beside=[tmp_path / "1"], **options)  # no step more
    mean = read_base(tmp_path / "2").encoders[-1]["gap"]
    assert (first - second).abs().max() > 1e-3
    torch.testing.assert_close(mean, (first + second) / 2)
    training = json.loads((tmp_path / "2" / "card.json").read_text())["training"]
    assert [run["seed"] for run in training["beside"]] == [1]
    with pytest.raises(RestoreError, match="another --seed"):
        train([corpus], tmp_path / "2", base=tmp_path / "base", seed=2, beside=[tmp_path / "2"], **options)
    with pytest.raises(RestoreError, match="another base"):
        train([corpus], tmp_path / "3", base=base, seed=3, beside=[tmp_path / "2"], **options)
    with pytest.raises(RestoreError, match="give the folder of a run"):
        train([corpus], tmp_path / "4", base=tmp_path / "base", seed=4, beside=[tmp_path / "nowhere"], **options)


def test_taggers_are_averaged(base: Path, corpus: Path, tmp_path: Path) -> None:
    options = {"channels": {"nltk": 1}, "gaps": 500, "learning_rate": 1.0, "report": lambda line: None}
    train([corpus], tmp_path / "base", base=base, **options)
    for number in (1, 2):
        train([corpus], tmp_path / str(number), base=tmp_path / "base", seed=number, **options)
    old, first, second = (read_base(tmp_path / name).encoders[-1]["gap"] for name in ("base", "1", "2"))
    train([corpus], tmp_path / "2", base=tmp_path / "base", seed=2, mean=[tmp_path / "base", tmp_path / "1"], **options)
    mean = read_base(tmp_path / "2").encoders[-1]["gap"]
    assert (first - second).abs().max() > 1e-3
    torch.testing.assert_close(mean, (old + first + second) / 3)
    assert json.loads((tmp_path / "2" / "card.json").read_text())["training"]["mean"] == ["base", "1"]


def test_only_taggers_that_are_akin_are_averaged(base: Path, mpnet: Path, corpus: Path, tmp_path: Path) -> None:
    options = {"channels": {"nltk": 1}, "gaps": 500, "learning_rate": 1.0, "report": lambda line: None}
    train([corpus], tmp_path / "base", base=base, **options)
    train([corpus], tmp_path / "other", base=mpnet, layers=1, teacher=tmp_path / "base", **options)
    with pytest.raises(RestoreError, match="other layers"):
        train([corpus], tmp_path / "out", base=tmp_path / "base", mean=[tmp_path / "other"], **options)
    card = json.loads((tmp_path / "other" / "card.json").read_text())
    card["words"][2:4] = reversed(card["words"][2:4])
    (tmp_path / "other" / "card.json").write_text(json.dumps(card))
    with pytest.raises(RestoreError, match="other tags"):
        train([corpus], tmp_path / "out", base=tmp_path / "base", mean=[tmp_path / "other"], **options)


def test_errors(base: Path, corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(RestoreError, match="say how long"):
        train([corpus], tmp_path / "out", base=base)
    with pytest.raises(RestoreError, match=r"nowhere: .*; give a folder"):
        train([corpus], tmp_path / "out", base=tmp_path / "nowhere", gaps=10)


def test_a_run_goes_on_only_as_it_was_begun(base: Path, corpus: Path, tmp_path: Path) -> None:
    options = {"base": base, "gaps": 300, "channels": {"nltk": 1}, "report": lambda line: None}
    train([corpus], tmp_path / "out", **options)
    other = tmp_path / "daily-00.txt"
    other.write_text(f"{DOCUMENT} It rained.\n%%%\n", encoding="utf-8")
    with pytest.raises(RestoreError, match="holds a run of another seed"):
        train([corpus], tmp_path / "out", seed=5, **options)
    with pytest.raises(RestoreError, match="holds a run of another text"):
        train([other], tmp_path / "out", **options)
    with pytest.raises(RestoreError, match="--weight nosuch"):
        train([corpus], tmp_path / "out", weights={"nosuch": 2}, **options)
    train([other], tmp_path / "out", resume=False, seed=5, **options)
    assert json.loads((tmp_path / "out" / "card.json").read_text())["training"]["seed"] == 5


def test_tags_of_a_run_that_was_never_saved_mean_nothing(base: Path, corpus: Path, tmp_path: Path) -> None:
    options = {"channels": {"nltk": 1}, "gaps": 300, "report": lambda line: None}
    train([corpus], tmp_path / "base", base=base, **options)
    words = list(Tagger.open(tmp_path / "base").words)
    (tmp_path / "out" / "checkpoint").mkdir(parents=True)
    mixed = [*words[:2], *reversed(words[2:])]
    (tmp_path / "out" / "checkpoint" / "tags.json").write_text(json.dumps([mixed, ["?", "="]]))
    train([corpus], tmp_path / "out", base=tmp_path / "base", **options)
    assert list(Tagger.open(tmp_path / "out").words) == words


def test_more_cores_than_rows(base: Path, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("restore.training.tagger.available_threads", lambda: 64)
    train([corpus], tmp_path / "out", base=base, gaps=300, channels={"nltk": 1}, report=lambda line: None)
    assert Tagger.open(tmp_path / "out").words


def test_tags_are_named_by_how_often_they_occur(corpus: Path) -> None:
    from restore.training.pairs import WindowSource, read_sources

    words, edits = name_tags(WindowSource(read_sources([corpus]), channels={"nltk": 1}), 0)
    assert words[:2] == ["", "?"]
    assert words[2] == "the"
    assert edits[:3] == ["?", "=", "-+s"]


def test_what_tells_women_from_men_counts_besides(base: Path) -> None:
    maker = RowMaker(read_base(base).tokenizer, ["", "?", "she", "her", "he", "the"], ["?", "="])
    channel, women, men = get_channel("nltk"), torch.tensor([2, 3]), torch.tensor([4])

    def loss(text: str, **odds: float) -> float:
        batch = maker.batch([maker.row(text, channel.tokens(text), 0)])
        gaps = len(batch.before)
        logits = torch.tensor([[odds.get(word, 0.0) for word in maker.words]] * gaps)
        return float(gender_loss({"first": logits, "last": logits}, batch, women, men))

    assert loss("The minister left the house.") == 0
    assert loss("She left.", she=9.0) < 1e-3 < loss("He left.", he=0.0)
    assert loss("He left.", she=9.0) == pytest.approx(2 * 9, abs=0.1)  # as the first word and the last
    assert loss("She left.", the=9.0) == pytest.approx(2 * np.log(1.5))  # two words of women, one of men
