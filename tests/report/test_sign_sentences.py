import math

from trap.report.sign_sentences import SENTENCES, sign_sentences
from trap.signs import Signs
from trap.vetting.score import PENALTIES

HARMLESS = {"det_sigma": 20.0, "newness": 12.0} | dict.fromkeys(Signs.columns(), math.nan)


def test_every_sign_has_a_sentence():
    assert SENTENCES.keys() == {penalty.word for penalty in PENALTIES.values()}


def test_candidate_without_signs_has_no_sentence():
    assert sign_sentences(HARMLESS) == []


def test_sentence_has_the_numbers_of_the_sign():
    # The example of docs/method/candidates.md: a mirrored pixel of 0.7 of the peak is the strongest sign, at its limit.
    facts = HARMLESS | {"ring_sigma": 4.0, "mirror_ratio": 0.7, "negative_ratio": 0.6, "negative_distance": 2.0}
    sentences = sign_sentences(facts)
    assert {word for word, _ in sentences} == {"ring", "mirror", "negative"}
    assert dict(sentences)["mirror"].startswith("The place mirrored beyond the bright source has 0.7 of")
    assert "A pixel 2 beams away is negative, 0.6 times as deep" in dict(sentences)["negative"]
