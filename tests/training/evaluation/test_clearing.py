"""What a narrow trunk may clear: nothing that the full one doesn't accept, and only where that pays."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from model.evidence import Pooling
from training.data.samples import Sample
from training.estimators.image_head import HeadWeights
from training.evaluation import clearing
from training.evaluation.clearing import (
    LEAST_CLEARED,
    MOST_CLEARED_WRONGLY,
    HeldOutPair,
    fit_clearing,
    try_cascade,
    with_missed,
)
from training.evaluation.post_processing import Method, OutOfFold, cross_val_post_process
from training.evaluation.thresholds import BestBalancedAccuracy, Fixed

WRONGLY = MOST_CLEARED_WRONGLY[0]
METHOD = Method(Pooling(), BestBalancedAccuracy())


def pair(seed: int = 0, noise: float = 0.5, count: int = 400) -> HeldOutPair:
    """A tenth is defective; the narrow trunk's log-odds are the full one's and noise. Accepted below −1."""
    rng = np.random.default_rng(seed)
    full = np.where(np.arange(count) % 10 == 0, rng.normal(3, 1, count), rng.normal(-5, 1, count))
    return HeldOutPair(full, full + rng.normal(0, noise, count), np.full(count, -1.0), np.arange(count) % 5)


def out_of_fold(log_odds: np.ndarray, *, head: np.ndarray | None = None) -> OutOfFold:
    """Of one patch an image; the last tenth is defective."""
    count = len(log_odds)
    kinds = ["good"] * (count - count // 10) + ["dent"] * (count // 10)
    samples = [Sample(Path(f"{i}.png"), f"{i}.png", kind) for i, kind in enumerate(kinds)]
    return OutOfFold(samples, log_odds.astype(np.float32)[:, None, None], np.arange(count) % 5, head)


def trunks(noise: float, seed: int = 0) -> tuple[OutOfFold, OutOfFold]:
    """The full trunk, and a narrow one on another scale."""
    rng = np.random.default_rng(seed)
    full = np.concatenate([rng.normal(-5, 1, 360), rng.normal(4, 1, 40)])
    return out_of_fold(full), out_of_fold(0.5 * (full + rng.normal(0, noise, 400)) + 3)


def test_nothing_is_cleared_that_the_full_trunk_does_not_accept() -> None:
    for seed in range(20):
        one = pair(seed, noise=2.0)
        cleared = one.narrow <= one.accepted_below - one.margin(WRONGLY)
        assert not (cleared & (one.full >= one.accepted_below)).any()


def test_each_fold_is_cleared_by_what_the_others_say() -> None:
    one = pair(noise=1.5)
    others = one.fold_ids != 2
    margin = HeldOutPair(one.full[others], one.narrow[others], one.accepted_below[others], one.fold_ids[others]).margin(
        WRONGLY
    )
    assert np.array_equal(one.cleared(WRONGLY)[~others], (one.narrow <= one.accepted_below - margin)[~others])


def test_of_new_images_few_are_cleared_wrongly() -> None:
    wrong = [pair(seed, noise=1.5).cleared(WRONGLY) & (pair(seed).full >= -1) for seed in range(30)]
    assert np.mean(wrong) <= WRONGLY


def test_the_better_the_narrow_trunk_the_more_it_clears() -> None:
    shares = [float(pair(noise=noise).cleared(WRONGLY).mean()) for noise in (0.1, 1.0, 3.0)]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > 0.75
    assert shares[2] < 0.6


@pytest.mark.parametrize("full", [np.full(20, -3.0), np.full(20, 3.0)])
def test_where_all_are_accepted_or_none_nothing_is_known_and_nothing_cleared(full: np.ndarray) -> None:
    one = HeldOutPair(full, np.linspace(-9, 9, 20), np.zeros(20), np.arange(20) % 5)
    assert one.margin(WRONGLY) == np.inf
    assert not one.cleared(WRONGLY).any()


def test_where_the_narrow_trunk_takes_a_defect_for_the_best_part_nothing_is_cleared() -> None:
    one = pair()
    one.narrow[0] = -99  # defective
    assert one.margin(WRONGLY) == np.inf


def test_a_cascade_passes_where_it_changes_next_to_nothing() -> None:
    tried = try_cascade(0.25, *trunks(noise=0.3), METHOD, WRONGLY)
    assert tried.trial.passed
    assert (tried.trial.share, tried.trial.images, tried.trial.flips) == (0.25, 400, 0)
    assert LEAST_CLEARED < tried.cleared < 1


def test_what_the_narrow_trunk_does_not_accept_itself_is_never_cleared() -> None:
    one = pair(noise=0.01)
    assert one.margin(WRONGLY) >= 0
    assert not (one.cleared(WRONGLY) & (one.narrow > one.accepted_below)).any()


def test_a_cascade_that_spares_the_full_network_little_fails_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clearing, "LEAST_CLEARED", 0.999)
    tried = try_cascade(0.25, *trunks(noise=1.0), METHOD, WRONGLY)
    assert not tried.trial.passed
    assert tried.trial.flips == 0
    assert tried.trial.reason == (
        f"0 of 400 labels differ (at most 2), and it clears {tried.cleared:.0%} of good images "
        "(at least 100%, for it to pay)"
    )


def test_where_the_narrow_trunk_takes_a_fifth_of_the_defects_for_the_best_parts_nothing_is_cleared() -> None:
    full, narrow = trunks(noise=0.3)
    narrow.maps[-8:] = -99
    tried = try_cascade(0.25, full, narrow, METHOD, WRONGLY)
    assert not tried.trial.passed
    assert tried.cleared == 0


@pytest.mark.parametrize(("lost", "passes"), [(0, True), (2, True), (3, False)])
def test_it_passes_where_next_to_no_label_differs(lost: int, passes: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    full, narrow = trunks(noise=0.3)
    monkeypatch.setattr(HeldOutPair, "cleared", lambda *_: np.arange(400) < 360 + lost)
    tried = try_cascade(0.25, full, narrow, METHOD, WRONGLY)
    assert (tried.trial.flips, tried.trial.passed) == (lost, passes)
    assert tried.cleared == 1


def test_merged_evidence_is_the_narrow_trunks_where_it_clears_and_the_full_ones_elsewhere() -> None:
    full, narrow = trunks(noise=0.3)
    fitted = fit_clearing(full, narrow, METHOD, WRONGLY)
    cleared, merged = fitted.cleared(narrow), fitted.merged(full, narrow)
    assert 100 < cleared.sum() < 370
    assert np.array_equal(merged.maps[~cleared], full.maps[~cleared])
    verdicts = [
        by.predictions(of.samples, of.maps, of.image_log_odds)
        for by, of in ((fitted.full, merged), (fitted.narrow, narrow))
    ]
    for i in np.flatnonzero(cleared):
        assert verdicts[0][i].log_odds == pytest.approx(verdicts[1][i].log_odds, abs=1e-3)
        assert verdicts[0][i].decision == "accept"


def test_the_image_head_is_not_added_to_what_has_it_already() -> None:
    full, narrow = trunks(noise=0.3)
    head = np.random.default_rng(1).normal(0, 1, 400).astype(np.float32) + 3 * full.is_anomaly
    full = replace(full, image_log_odds=head.astype(np.float32))
    fitted = fit_clearing(full, narrow, METHOD, WRONGLY)
    assert fitted.full.head.verdict > 0
    merged, cleared = fitted.merged(full, narrow), fitted.cleared(narrow)
    ours = fitted.full.predictions(merged.samples, merged.maps, merged.image_log_odds)
    theirs = fitted.narrow.predictions(narrow.samples, narrow.maps, None)
    found = [one.log_odds for one, is_cleared in zip(ours, cleared, strict=True) if is_cleared]
    assert found == pytest.approx([p.log_odds for p, one in zip(theirs, cleared, strict=True) if one], abs=1e-3)


def test_a_cleared_images_heatmap_shows_the_narrow_ones_image_head() -> None:
    """As it is served, where the full trunk's is never found."""
    full, narrow = trunks(noise=0.3)
    rng = np.random.default_rng(1)
    heads = [(rng.normal(0, 1, 400) + 6 * full.is_anomaly).astype(np.float32) for _ in range(2)]
    full, narrow = (replace(each, image_log_odds=head) for each, head in zip((full, narrow), heads, strict=True))
    fitted = fit_clearing(full, narrow, replace(METHOD, head=HeadWeights(2.0, 0.5)), WRONGLY)
    merged, cleared = fitted.merged(full, narrow), fitted.cleared(narrow)
    ours = fitted.full.predictions(merged.samples, merged.maps, merged.image_log_odds)
    assert cleared.any()
    for prediction, head, evidence in zip(ours, heads[1], narrow.maps, strict=True):
        if cleared[narrow.samples.index(prediction.sample)]:
            served = fitted.full.heatmap_scale.moved(0.75 * fitted.slope * 2.0 * float(head))
            assert prediction.heatmap_scale.good_median == pytest.approx(served.good_median, abs=1e-4)
            assert prediction.evidence == pytest.approx(
                fitted.slope * (evidence + 2.0 * head) + fitted.offset, abs=1e-3
            )


def test_the_margin_lies_below_the_review_threshold_of_the_line() -> None:
    full, narrow = trunks(noise=0.3)
    rare = fit_clearing(full, narrow, replace(METHOD, rule=Fixed(0.5), defect_rate=0.001), WRONGLY)
    usual = fit_clearing(full, narrow, replace(METHOD, rule=Fixed(0.5)), WRONGLY)
    assert rare.full.accepted_below > usual.full.accepted_below
    for one in (rare, usual):
        verdicts = one.full.predictions(full.samples, full.maps, None)
        stopped = np.array([verdict.decision != "accept" for verdict in verdicts])
        assert stopped.any()
        assert (one.cleared(narrow) & stopped).sum() <= 2 * WRONGLY * len(stopped)


def test_aurocs_are_the_full_trunks_and_both_together() -> None:
    full, narrow = trunks(noise=0.3)
    fitted = fit_clearing(full, narrow, METHOD, WRONGLY)
    assert fitted.auroc(full, narrow) == (1.0, 1.0)
    lost = replace(narrow, maps=narrow.maps.copy())
    lost.maps[-8:] = -99  # a fifth of the defects looks like nothing to it
    assert fitted.auroc(full, lost)[1] == pytest.approx(0.8)


def test_an_image_is_missed_where_it_is_cleared_and_the_full_trunk_does_not_accept_it() -> None:
    full, narrow = trunks(noise=0.3)
    fitted = fit_clearing(full, narrow, METHOD, WRONGLY)
    assert fitted.missed(full, narrow) == 0
    lost, accepted = replace(narrow, maps=narrow.maps.copy()), replace(full, maps=full.maps.copy())
    lost.maps[-8:] = -99
    assert fitted.missed(full, lost) == 8
    accepted.maps[-6:] = -9  # the full one misses these itself
    assert fitted.missed(accepted, lost) == 2
    assert fitted.auroc(accepted, lost)[1] < fitted.auroc(accepted, narrow)[1]
    lost.maps[0] = -99
    assert fitted.missed(accepted, lost) == 2  # a good part is no defect


def test_a_cascade_fails_where_it_misses_a_kind_that_was_not_learnt_from() -> None:
    full, narrow = trunks(noise=0.3)
    tried, fitted = try_cascade(0.25, full, narrow, METHOD, WRONGLY), fit_clearing(full, narrow, METHOD, WRONGLY)
    assert tried.trial.passed
    harmless, lost = of_a_kind(9.0, "360.png"), of_a_kind(-20.0, "360.png", "361.png")
    everything = OutOfFold.concatenate([lost[0], full]), OutOfFold.concatenate([lost[1], narrow])
    fine = with_missed(tried, {"cut": fitted}, {"cut": (full, narrow)})
    assert (fine.trial.passed, fine.missed, fine.trial.reason) == (True, {"cut": 0}, tried.trial.reason)
    assert fine.trial.unseen_kinds == {"cut": (1.0, 1.0)}
    both = with_missed(tried, {"dent": fitted, "cut": fitted}, {"dent": (full, narrow), "cut": everything})
    assert (both.trial.passed, both.missed) == (False, {"dent": 0, "cut": 2})
    assert both.trial.reason == "where it has not learnt from cut, it clears 2 of it that the full one doesn't accept"
    assert fitted.missed(*harmless) == 0
    assert with_missed(tried, {}, {}) == tried


def of_both(full: OutOfFold, narrow: OutOfFold) -> HeldOutPair:
    """As each fold's images are, post-processed as the others decide."""
    return clearing._pair(cross_val_post_process(full, METHOD), cross_val_post_process(narrow, METHOD), full.fold_ids)


def of_a_kind(narrow: float, *names: str) -> tuple[OutOfFold, OutOfFold]:
    """Images of a kind that neither trunk has learnt from, which the full one rejects; by the narrow one's log-odds."""
    samples = [Sample(Path(name), name, "cut") for name in names]
    folds = np.zeros(len(names), np.intp)
    full, other = (np.full((len(names), 1, 1), value, np.float32) for value in (4.0, 0.5 * narrow + 3))
    return OutOfFold(samples, full, folds), OutOfFold(samples, other, folds)


def test_what_is_cleared_lies_below_defects_of_kinds_that_were_not_learnt_from_too() -> None:
    full, narrow = trunks(noise=0.3)
    usual = fit_clearing(full, narrow, METHOD, WRONGLY)
    unseen = of_a_kind(-5.0, "360.png")
    careful = fit_clearing(full, narrow, METHOD, WRONGLY, [unseen])
    assert careful.margin > usual.margin
    assert usual.cleared(unseen[1]).all()
    assert not careful.cleared(unseen[1]).any()
    assert 0 < careful.cleared(narrow).sum() < usual.cleared(narrow).sum()


def test_a_fold_is_not_cleared_by_what_is_known_of_its_own_images_unseen() -> None:
    full, narrow = trunks(noise=0.3)
    unseen = of_a_kind(-5.0, "360.png")  # of fold 0
    usual, careful = (try_cascade(0.25, full, narrow, METHOD, WRONGLY, pairs) for pairs in ([], [unseen]))
    assert careful.cleared < usual.cleared
    pairs = HeldOutPair.concatenate(
        [of_both(full, narrow), fit_clearing(full, narrow, METHOD, WRONGLY).held_out(unseen, full)]
    )
    alone = of_both(full, narrow).cleared(WRONGLY)
    first = full.fold_ids == 0
    assert np.array_equal(pairs.cleared(WRONGLY)[:400][first], alone[first])
    assert pairs.cleared(WRONGLY)[:400][~first].sum() < alone[~first].sum()
