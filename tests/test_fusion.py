"""Shallow fusion: what the n-gram model adds to the scores of another model's hypotheses."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

pytest.importorskip("onnxruntime")

from restore.bundle import resources_folder
from restore.channel import get_channel
from restore.decoder import Decoder, Weights
from restore.engines import FAST, HF, NEURAL, open_fusion
from restore.errors import ResourceError
from restore.fusion import Fusion
from restore.lattice import FormFinder, GapGrammar
from restore.lexicon import default_lexicon
from restore.models.neural import NeuralModel
from restore.models.tagger import Tagger
from restore.opinion import TagWeights
from restore.reference import path_score
from restore.search import Search, drive
from restore.source import TokenStream, read_source
from restore.units import segment, sentence_starts

TINY = Path(__file__).parent / "data" / "tiny_neural"
TEXTS = ["minister health resigned monday", "u immigration official routinely deport non citizen felony", ""]


@pytest.fixture(scope="module")
def fusion() -> Fusion:
    found = open_fusion(NEURAL)
    assert found is not None
    return found


def decoder_of(fusion: Fusion | None, weight: float) -> Decoder:
    channel, lexicon = get_channel("nltk"), default_lexicon()
    weights = Weights(fusion=weight, tags=TagWeights(mark=0.3, first=0.3, last=0.3, edit=0.1, case=0.3))
    tagger = Tagger.open(resources_folder() / "tagger")
    return Decoder(NeuralModel.open(TINY), FormFinder(channel, lexicon), GapGrammar(channel, lexicon), 3, weights, tagger, fusion)


def searched(decoder: Decoder, text: str) -> Search:
    search = Search(decoder, TokenStream(read_source(text, decoder.finder.channel)), posteriors=False)
    drive(search, decoder.model)
    return search


def test_following_leads_where_beginning_does(fusion: Fusion) -> None:
    text = "The minister (of health) resigned. They said it's 3.5 % dearer, and Xyzzq agreed."
    context = fusion.begin("")
    units = segment(text)
    for place, (unit, initial) in enumerate(zip(units, sentence_starts(units), strict=True)):
        touched = place + 1 < len(units) and units[place + 1][:1].isalnum()
        logprob, context = fusion.follow(context, unit, initial, touched, -12.0)
        assert -30 < logprob < 0
        assert context == fusion.begin("".join(units[: place + 1])) or touched


def test_it_knows_what_goes_with_what(fusion: Fusion) -> None:
    context = fusion.begin("The president of the United")
    likely, unlikely = (fusion.follow(context, word, False, False, -9.0)[0] for word in (" States", " statements"))
    assert likely > unlikely + 3


@pytest.mark.parametrize("text", TEXTS)
def test_a_path_scores_what_its_search_found(fusion: Fusion, text: str) -> None:
    decoder = decoder_of(fusion, 0.2)
    search = searched(decoder, text)
    tokens = TokenStream(read_source(text, decoder.finder.channel))
    assert path_score(decoder, tokens, [step.what for step in search.steps]) == pytest.approx(search.score, abs=1e-3)


def test_without_weight_it_changes_nothing(fusion: Fusion) -> None:
    alone, beside = decoder_of(None, 0.0), decoder_of(fusion, 0.0)
    for text in TEXTS:
        assert searched(alone, text).score == pytest.approx(searched(beside, text).score, abs=1e-4)


def test_results_name_the_data(fusion: Fusion) -> None:
    assert decoder_of(fusion, 0.2).name.endswith("+" + fusion.checksum)


def test_only_the_neural_engine_has_one() -> None:
    assert open_fusion(FAST) is None
    assert open_fusion(HF) is None


def test_a_model_may_have_its_own(tmp_path: Path) -> None:
    own = Path(shutil.copytree(resources_folder() / "ngram", tmp_path / "ngram"))
    assert open_fusion(NEURAL, tmp_path) is not None
    (own / "vocabulary.txt").write_text("the\n", encoding="utf-8")
    with pytest.raises(ResourceError, match=r"ngram.*vocabulary\.txt"):
        open_fusion(NEURAL, tmp_path)
