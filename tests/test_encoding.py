"""Encodings against loops, scikit-learn, faiss, DELF's numbers, properties, and what must be refused."""

from __future__ import annotations

import math

import faiss
import numpy as np
import pytest
import reference
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.exceptions import NotFittedError
from sklearn.mixture import GaussianMixture

import cbirlab.encoding.base as base
from cbirlab.base.params import parameters
from cbirlab.base.registry import UnknownName
from cbirlab.encoding import ENCODINGS
from cbirlab.encoding.asmk import ASMK, similarity
from cbirlab.encoding.bow import BoW
from cbirlab.encoding.codebook import k_means, principal_axes
from cbirlab.encoding.fisher import Fisher
from cbirlab.encoding.netvlad import NetVLAD
from cbirlab.encoding.sums import gather, nearest, residuals
from cbirlab.encoding.vlad import VLAD

DELF_CENTRES = np.array([[0.5, 0.5], [0.0, 0.0], [1.0, 0.0], [-0.5, -0.5], [0.0, 1.0]], np.float32)
DELF_COLUMNS = torch.tensor([[[1.0, 0.0], [-1.0, 0.0], [1.0, 2.0]]])
"""research/delf/delf/python/feature_aggregation_extractor_test.py in tensorflow/models."""

CHANNELS = 6

ROOTED = 1e-3
"""A signed root makes 3e-4 of a rounding of 1e-7, wherever a number is all but zero."""


def sample(rng, count=600, channels=CHANNELS) -> np.ndarray:
    """Non-negative columns around a few directions, like those a ReLU leaves."""
    directions = np.maximum(rng.normal(size=(8, channels)), 0) + 0.05
    rows = directions[rng.integers(8, size=count)] * rng.uniform(0.5, 2, size=(count, 1))
    return np.maximum(rows + 0.15 * rng.normal(size=(count, channels)), 0).astype(np.float32)


@pytest.fixture
def rng():
    return np.random.default_rng(11)


@pytest.fixture(scope="module")
def learned() -> dict[str, base.LocalEncoding]:
    """Every registered encoding with four words, fitted; six channels in, four after the PCA."""
    X = sample(np.random.default_rng(5))
    return {name: ENCODINGS[name](k=4, local_dims=4).fit(X) for name in ENCODINGS}


def plain(encoding: base.LocalEncoding, **arrays: np.ndarray):
    """An encoding with these learned arrays, on columns as they come."""
    channels = next(array.shape[1] for array in arrays.values() if array.ndim == 2)
    encoding.mean_, encoding.components_ = np.empty(0, np.float32), np.empty((0, channels), np.float32)
    for name, array in arrays.items():
        setattr(encoding, name, array)
    return encoding


def close(actual, expected, rtol=1e-5, atol=1e-6):
    np.testing.assert_allclose(np.asarray(actual, dtype=np.float64), expected, rtol=rtol, atol=atol)


# the formulas


@pytest.mark.parametrize("length", [1, 2, 17])
def test_the_encodings_agree_with_the_formulas_written_as_loops(rng, length):
    raw = {"local_dims": None, "normalise": False}
    centres = rng.normal(size=(5, 3)).astype(np.float32)
    columns, weights = rng.normal(size=(2, length, 3)), rng.uniform(0, 2, size=(2, length))
    priors, variances = rng.dirichlet(np.ones(5)).astype(np.float32), rng.uniform(0.3, 2, (5, 3)).astype(np.float32)
    idf, bias = rng.uniform(0, 2, 5).astype(np.float32), rng.normal(size=5).astype(np.float32)
    mixture = {"priors_": priors, "means_": centres, "variances_": variances}

    def agree(encoding, loop, **tolerance):
        encoded = encoding.encode(torch.tensor(columns), torch.tensor(weights))
        assert encoded.shape == (2, encoding.width(3))
        close(encoded, [loop(image, shares) for image, shares in zip(columns, weights, strict=True)], **tolerance)

    agree(plain(BoW(k=5, **raw), centres_=centres, idf_=idf), lambda x, w: reference.bow(x, w, centres, idf))
    for root in (False, True):
        for intra in (False, True):
            agree(
                plain(VLAD(k=5, root=root, intra=intra, **raw), centres_=centres),
                lambda x, w, root=root, intra=intra: reference.vlad(x, w, centres, root=root, intra=intra),
            )
        agree(
            plain(Fisher(k=5, root=root, **raw), **mixture),
            lambda x, w, root=root: reference.fisher(x, w, priors, centres, variances, root=root),
        )
    agree(
        plain(NetVLAD(k=5, **raw), weight_=2 * centres, bias_=bias, centres_=centres),
        lambda x, w: reference.netvlad(x, w, 2 * centres, bias, centres),
    )
    for binary in (False, True):
        for count in (1, 3):
            agree(
                plain(ASMK(k=5, binary=binary, assignment=count, **raw), centres_=centres),
                lambda x, w, binary=binary, count=count: np.ravel(
                    reference.asmk(x, w, centres, count=count, binary=binary)
                ),
            )


def test_the_whole_chain_normalises_projects_and_normalises_again(rng):
    """With a PCA: the loop gets columns that were prepared here, in double precision, axes turned the same way."""
    X, columns = sample(rng), sample(rng, 9)
    vlad = VLAD(k=4, local_dims=3).fit(X)
    unit = lambda rows: rows / np.linalg.norm(rows, axis=1, keepdims=True)  # noqa: E731
    rows = unit(X.astype(np.float64))
    _, axes = np.linalg.eigh(np.cov(rows.T))
    local = (unit(columns.astype(np.float64)) - rows.mean(axis=0)) @ axes[:, ::-1][:, :3]
    local = unit(local * np.sign((axes[:, ::-1][:, :3] * vlad.components_.T).sum(axis=0)))
    expected = reference.vlad(local, np.ones(9), vlad.centres_, root=True, intra=True)
    close(vlad.encode(torch.tensor(columns)[None])[0], expected, atol=1e-4)


@pytest.mark.parametrize("normalise", [False, True])
def test_fisher_keeps_its_digits_where_one_channel_outweighs_the_others(rng, normalise):
    """As in the tokens of a transformer: columns far from zero that hardly differ there."""
    columns = rng.random((800, 12)).astype(np.float32)
    columns[:, 0] = 50 + rng.normal(size=800)
    fisher = Fisher(k=4, local_dims=None, normalise=normalise, root=False).fit(columns)
    asked = columns[:200].astype(np.float64)
    asked = asked / np.linalg.norm(asked, axis=1, keepdims=True) if normalise else asked
    mixture = (fisher.priors_, fisher.means_, fisher.variances_)
    expected = reference.fisher(asked, np.ones(200), *mixture, root=False)
    close(fisher.encode(torch.tensor(columns[:200])[None])[0], expected, atol=1e-3)


def test_fisher_parts_are_cut_from_the_whole(rng):
    columns = torch.tensor(sample(rng, 20))[None]
    fitted = {part: Fisher(k=3, gradients=part, root=False).fit(sample(rng)) for part in ("all", "mu_sigma", "mu")}
    for estimator in fitted.values():
        vars(estimator).update({name: getattr(fitted["all"], name) for name in ("priors_", "means_", "variances_")})
    whole, both, means = (fitted[part].encode(columns)[0].numpy() for part in fitted)
    assert [len(whole), len(both), len(means)] == [3 * 13, 3 * 12, 3 * 6]
    close(both, whole[3:] / np.linalg.norm(whole[3:]))
    close(means, whole[3:21] / np.linalg.norm(whole[3:21]))


# golden numbers


def test_vlad_gives_the_numbers_of_delf():
    raw = {"k": 5, "local_dims": None, "normalise": False}
    vlad = plain(VLAD(root=False, intra=False, **raw), centres_=DELF_CENTRES)
    close(vlad.encode(DELF_COLUMNS), [[0] * 6 + [-0.316228, 0.316228, 0.632456, 0.632456]])
    assert vlad.encode(torch.zeros(1, 0, 2)).tolist() == [[0.0] * 10]
    centres = torch.tensor(DELF_CENTRES)
    for count, expected in ((1, [0, 0, 0, 0, 0, 0, -0.5, 0.5, 1, 1]), (3, [1, 1, 0, 0, 0, 2, -0.5, 0.5, 0, 0])):
        shares = nearest(DELF_COLUMNS, centres, torch.ones(1, 3), count)
        assert residuals(*gather(shares, DELF_COLUMNS), centres).flatten().tolist() == expected


def test_asmk_gives_the_numbers_of_delf():
    """Words without a residual are absent; DELF's bytes 64 and 192 are the bits 01 and 11 of words 3 and 4."""
    raw = {"k": 5, "local_dims": None, "normalise": False}
    half = math.sqrt(0.5)
    close(
        plain(ASMK(**raw), centres_=DELF_CENTRES).encode(DELF_COLUMNS),
        [[0] * 6 + [-half, half, half, half]],
    )
    close(
        plain(ASMK(binary=True, **raw), centres_=DELF_CENTRES).encode(DELF_COLUMNS),
        [[0] * 6 + [-half, half, half, half]],
    )
    queries = plain(ASMK(query_assignment=3, **raw), centres_=DELF_CENTRES)
    close(queries.for_queries().encode(DELF_COLUMNS), [[half, half, 0, 0, 0, 1, -half, half, 0, 0]])
    close(queries.encode(DELF_COLUMNS), plain(ASMK(**raw), centres_=DELF_CENTRES).encode(DELF_COLUMNS))


def test_a_zero_beside_other_residuals_is_a_bit_that_is_not_set():
    asmk = plain(ASMK(k=1, binary=True, local_dims=None, normalise=False), centres_=np.zeros((1, 3), np.float32))
    close(asmk.encode(torch.tensor([[[2.0, 0.0, -1.0]]])) * math.sqrt(3), [[1, -1, -1]])


def test_similarities_are_those_of_delf():
    """DELF counts word 0, which it gives a zero residual; a dense row has to put something there."""
    ours = np.array([[1, 0, -0.707107, -0.707107, 0.5, 0.866025, 0.816497, 0.577350, 1, 0]])
    theirs = np.array([[0, 0, 0, 1, 1, 0, 0, 0, 0.707107, 0.707107]])
    close(similarity(ours, theirs, k=5, alpha=3, tau=0), [[0.123562]], rtol=1e-5)
    ones = np.array([[-1, -1, -1, -1, 1, 1, 1, 1, 1, 1]]) / math.sqrt(2)
    bits = np.array([[0, 0, -1, 1, 1, -1, 0, 0, 1, 1]]) / math.sqrt(2)
    close(similarity(ones, bits, k=5, alpha=3, tau=0), [[0.258199]], rtol=1e-5)


# libraries


def test_assignment_is_that_of_faiss(rng):
    columns, centres = rng.normal(size=(500, 16)).astype(np.float32), rng.normal(size=(32, 16)).astype(np.float32)
    index = faiss.IndexFlatL2(16)
    index.add(centres)
    ours = nearest(torch.tensor(columns)[None], torch.tensor(centres), torch.ones(1, 500))[0]
    assert (ours.sum(dim=1) == 1).all()
    np.testing.assert_array_equal(ours.argmax(dim=1), index.search(columns, 1)[1][:, 0])
    three = nearest(torch.tensor(columns)[None], torch.tensor(centres), torch.ones(1, 500), 3)[0]
    np.testing.assert_array_equal(three.nonzero()[:, 1].reshape(-1, 3), np.sort(index.search(columns, 3)[1], axis=1))


def test_shares_are_the_responsibilities_of_scikit_learn(rng):
    fisher = Fisher(k=4, local_dims=None).fit(sample(rng))
    mixture = GaussianMixture(4, covariance_type="diag")
    mixture.weights_, mixture.means_, mixture.covariances_ = fisher.priors_, fisher.means_, fisher.variances_
    mixture.precisions_cholesky_ = fisher.variances_**-0.5
    columns = rng.uniform(0, 0.6, size=(50, CHANNELS)).astype(np.float32)
    close(fisher.shares(torch.tensor(columns)), mixture.predict_proba(columns), rtol=2e-3, atol=1e-5)
    assert fisher.priors_.sum() == pytest.approx(1)


def test_principal_axes_are_those_of_scikit_learn(rng):
    from sklearn.decomposition import PCA

    X = rng.normal(size=(200, 5)) @ np.diag([3, 2, 1, 0.5, 0.1]) + 4
    mean, axes = principal_axes(iter([X[:70], X[70:]]), 3)
    library = PCA(3).fit(X)
    close(mean, library.mean_)
    close(np.abs(axes @ library.components_.T), np.eye(3), atol=1e-5)
    assert (axes[np.arange(3), np.abs(axes).argmax(axis=1)] > 0).all()


def test_k_means_is_about_as_good_as_that_of_faiss(rng):
    X = sample(rng, 2000)
    library = faiss.Kmeans(CHANNELS, 8, niter=25, seed=1)
    library.train(X)
    index = faiss.IndexFlatL2(CHANNELS)
    index.add(k_means(X, 8, 0))
    assert index.search(X, 1)[0].sum() < 1.1 * library.obj[-1]


# bow and netvlad: what they learn besides centres


def test_idf_counts_images_where_groups_are_known():
    X = np.repeat(np.eye(3, dtype=np.float32), [6, 3, 1], axis=0)
    groups = [0, 0, 1, 1, 2, 2, 0, 0, 1, 2]  # word 0 in three images, word 1 in two, word 2 in one
    fitted = BoW(k=3, idf=True, local_dims=None).fit(X, groups=groups)
    order = fitted.centres_.argmax(axis=1)
    close(fitted.idf_, np.log(3 / np.array([3, 2, 1]))[order])
    close(BoW(k=3, idf=True, local_dims=None).fit(X).idf_, np.log(10 / np.array([6, 3, 1]))[order])
    assert BoW(k=3, local_dims=None).fit(X, groups=groups).idf_.tolist() == [1, 1, 1]
    vector = fitted.encode(torch.tensor(X[None, [0, 6, 9, 9]]))[0].numpy()
    close(vector, reference.bow(X[[0, 6, 9, 9]], [1] * 4, fitted.centres_, fitted.idf_.tolist()))


@pytest.mark.parametrize("bias", [False, True])
def test_netvlad_starts_with_the_nearest_a_hundred_times_ahead(rng, bias):
    X = sample(rng)
    fitted = NetVLAD(k=5, bias=bias, local_dims=None).fit(X)
    unit = torch.nn.functional.normalize(torch.tensor(X))
    logits = (unit @ torch.tensor(fitted.weight_).T + torch.tensor(fitted.bias_)).sort(dim=1).values
    assert (logits[:, -1] - logits[:, -2]).mean().item() == pytest.approx(math.log(100), rel=1e-3)
    norms = np.linalg.norm(fitted.centres_, axis=1)
    if bias:
        alpha = fitted.weight_[0, 0] / fitted.centres_[0, 0] / 2
        close(fitted.bias_, -alpha * norms**2, rtol=1e-4)
        distances = torch.cdist(unit, torch.tensor(fitted.centres_))
        np.testing.assert_array_equal(
            distances.argmin(dim=1), (unit @ torch.tensor(fitted.weight_).T + torch.tensor(fitted.bias_)).argmax(dim=1)
        )
    else:
        assert not fitted.bias_.any()
        close(fitted.weight_ / np.linalg.norm(fitted.weight_, axis=1, keepdims=True), fitted.centres_ / norms[:, None])


def test_the_netvlad_layer_is_the_encoding_and_can_be_trained(rng):
    fitted = NetVLAD(k=4, local_dims=None).fit(sample(rng))
    columns = torch.tensor(sample(rng, 12)).reshape(2, 6, CHANNELS)
    columns[1, 4:] = 0
    layer = fitted.layer()
    vectors = layer(columns)
    close(vectors.detach(), fitted.encode(columns), atol=1e-7)
    before = fitted.encode(columns)
    vectors[:, 0].sum().backward()
    for parameter in layer.parameters():
        assert parameter.grad is not None
        assert parameter.grad.isfinite().all()
        assert parameter.grad.any()
        parameter.data += 1
    close(fitted.encode(columns), before)


def test_asmk_similarity_agrees_with_loops_in_blocks_and_on_a_memory_map(rng, tmp_path, monkeypatch):
    words = rng.normal(size=(14, 4, 3)) * (rng.uniform(size=(14, 4, 1)) > 0.4)
    words[3] = 0
    words /= np.maximum(np.linalg.norm(words, axis=-1, keepdims=True), 1e-12)
    rows = words.reshape(14, 12).astype(np.float32)
    np.save(tmp_path / "rows.npy", rows)
    images = np.load(tmp_path / "rows.npy", mmap_mode="r")
    for alpha, tau in ((1.0, 0.0), (3.0, 0.0), (3.0, 0.35)):
        expected = [[reference.asmk_similarity(q, x, alpha, tau) for x in words.tolist()] for q in words[:5].tolist()]
        for block in (base.ELEMENTS, 30):
            monkeypatch.setattr("cbirlab.encoding.asmk.BLOCK", block)
            scores = similarity(rows[:5] * 0.3, images, k=4, alpha=alpha, tau=tau, binary=False, seed=3)
            assert scores.dtype == np.float32
            close(scores, expected)
    assert (scores[3] == -np.inf).all()
    assert (scores[:, 3] == -np.inf).all()


# what holds for all


@st.composite
def column_sets(draw):
    shape = (draw(st.integers(1, 3)), draw(st.integers(0, 7)), CHANNELS)
    return torch.tensor(draw(arrays(np.float32, shape, elements=st.floats(0, 1, width=32).map(lambda x: round(x, 2)))))


@pytest.mark.parametrize("name", ENCODINGS)
def test_order_scale_padding_and_repetition_do_not_matter(learned, name):
    encoding = learned[name]

    @settings(max_examples=25, deadline=None)
    @given(column_sets(), st.randoms(use_true_random=False))
    def check(columns, random):
        encoded = encoding.encode(columns)
        assert encoded.isfinite().all()
        assert encoded.shape == (len(columns), encoding.width(CHANNELS))
        order = random.sample(range(columns.shape[1]), columns.shape[1])
        close(encoding.encode(columns[:, order]), encoded, atol=ROOTED)
        close(encoding.encode(4 * columns), encoded, atol=ROOTED)
        close(
            encoding.encode(torch.cat([columns, torch.zeros(len(columns), 3, CHANNELS)], dim=1)), encoded, atol=ROOTED
        )
        close(encoding.encode(columns.repeat(1, 2, 1)), encoded, atol=ROOTED)
        if name != "asmk":
            norms = encoded.norm(dim=1)
            assert (((norms - 1).abs() < 1e-4) | (norms == 0)).all()
        else:
            norms = encoded.unflatten(1, (4, -1)).norm(dim=-1)
            assert (((norms - 1).abs() < 1e-4) | (norms == 0)).all()

    check()


@pytest.mark.parametrize("name", ENCODINGS)
def test_weights_count_columns(learned, name, rng):
    encoding, columns = learned[name], torch.tensor(sample(rng, 12)).reshape(2, 6, CHANNELS)
    weights = torch.tensor([[1.0, 0, 2, 1, 0, 3]]).repeat(2, 1)
    repeated = columns[:, [0, 2, 2, 3, 5, 5, 5]]
    close(encoding.encode(columns, weights), encoding.encode(repeated), atol=ROOTED)
    close(encoding.encode(columns, weights.half() / 8), encoding.encode(repeated), atol=ROOTED)
    assert not np.allclose(encoding.encode(columns), encoding.encode(repeated), atol=5 * ROOTED)
    assert not encoding.encode(columns, torch.zeros(2, 6)).any()


@pytest.mark.parametrize("name", ENCODINGS)
def test_images_without_columns_are_zero_and_leave_others_alone(learned, name, rng):
    encoding, columns = learned[name], torch.tensor(sample(rng, 12)).reshape(2, 6, CHANNELS)
    with_empty = encoding.encode(torch.cat([columns, torch.zeros(1, 6, CHANNELS)]))
    assert not with_empty[2].any()
    close(with_empty[:2], encoding.encode(columns), atol=ROOTED)
    close(with_empty[1:2], encoding.encode(columns[1:]), atol=ROOTED)
    assert encoding.encode(torch.zeros(0, 6, CHANNELS)).shape == (0, encoding.width(CHANNELS))
    dead = columns.clone()
    dead[..., 2] = 0
    assert encoding.encode(dead).isfinite().all()
    assert encoding.encode(dead).any(dim=1).all()


@pytest.mark.parametrize("name", ENCODINGS)
def test_half_precision_is_encoded_in_single(learned, name, rng):
    encoding, columns = learned[name], torch.tensor(sample(rng, 12)).reshape(2, 6, CHANNELS)
    for dtype in (torch.float16, torch.bfloat16):
        low = columns.to(dtype)
        assert encoding.encode(low).dtype == torch.float32
        assert torch.equal(encoding.encode(low), encoding.encode(low.float()))
    double = encoding.encode(columns.double())
    assert double.dtype == torch.float64
    close(encoding.encode(columns), double, atol=ROOTED)


@pytest.mark.parametrize("name", ENCODINGS)
def test_chunks_of_images_and_of_columns_give_the_same(learned, name, rng, monkeypatch):
    encoding, columns = learned[name], torch.tensor(sample(rng, 5 * 9)).reshape(5, 9, CHANNELS)
    weights = torch.tensor(rng.uniform(0, 1, size=(5, 9)))
    whole = encoding.encode(columns, weights)
    for elements in (20 * CHANNELS, 4 * CHANNELS, 1):
        monkeypatch.setattr(base, "ELEMENTS", elements)
        close(encoding.encode(columns, weights), whole, atol=ROOTED)


@pytest.mark.parametrize("name", ENCODINGS)
def test_transform_takes_sets_of_any_length(learned, name, rng):
    encoding = learned[name]
    sets = [sample(rng, count) for count in (3, 1, 8)] + [np.zeros((0, CHANNELS), np.float32)]
    vectors = encoding.transform(sets * 10)
    assert vectors.shape == (40, encoding.width(CHANNELS))
    assert vectors.dtype == np.float32
    for row, columns in zip(vectors, sets, strict=False):
        close(row, encoding.encode(torch.tensor(columns)[None])[0], atol=ROOTED)


@pytest.mark.parametrize("name", ENCODINGS)
def test_fitting_again_learns_the_same_and_the_store_brings_it_back(name, rng, store):
    X = sample(rng)
    for local_dims in (None, 4):
        one, two = (ENCODINGS[name](k=3, local_dims=local_dims).fit(X) for _ in range(2))
        kept = {attribute: value for attribute, value in vars(one).items() if attribute not in one.get_params()}
        assert all(attribute.endswith("_") for attribute in kept)
        assert all(isinstance(value, np.ndarray) and value.ndim for value in kept.values())
        for attribute, value in kept.items():
            np.testing.assert_array_equal(value, getattr(two, attribute))
        specification = {"encoding": name, "local_dims": local_dims}
        entry = store.put("fitted", specification, {key: np.asarray(value) for key, value in kept.items()})
        back = ENCODINGS[name](k=3, local_dims=local_dims)
        for attribute, value in entry.arrays.items():
            setattr(back, attribute, value.item() if value.ndim == 0 else value)
        columns = torch.tensor(sample(rng, 10)).reshape(2, 5, CHANNELS)
        assert torch.equal(back.encode(columns), one.encode(columns))
        assert one.encode(columns).shape[1] == back.width(CHANNELS)
    other = ENCODINGS[name](k=3, seed=1).fit(X)
    codebook = "means_" if name == "fisher" else "centres_"
    assert not np.array_equal(getattr(other, codebook), getattr(one, codebook))


@pytest.mark.parametrize("name", ["vlad", "asmk", "netvlad"])
def test_columns_on_their_centre_leave_no_residual(name):
    """A blank wall: equal columns in the hundreds, whose residual is rounding, not a direction."""
    X = np.repeat(np.array([[0.1, 0.7, 0.3], [0.9, 0.2, 0.1], [0.3, 0.3, 0.3]], np.float32), 50, axis=0)
    encoding = ENCODINGS[name](k=3, local_dims=None).fit(X)
    if name == "netvlad":
        encoding.weight_ = encoding.weight_ * 100
        encoding.bias_ = encoding.bias_ * 100
    assert not encoding.encode(torch.tensor(np.repeat(X[:1], 300, axis=0))[None]).any()


def test_a_dead_channel_does_not_outweigh_the_mixture(rng):
    X = sample(rng)
    X[:, 2] = 0
    fisher = Fisher(k=3, local_dims=None).fit(X)
    assert fisher.variances_.min() > 0
    assert fisher.encode(torch.tensor(X[:40])[None]).isfinite().all()


def test_more_rows_than_needed_are_thinned_out(rng, monkeypatch):
    monkeypatch.setattr(base, "SAMPLE", 100)
    seen = []
    monkeypatch.setattr(VLAD, "_learn", lambda self, local, groups: seen.append((local.shape, groups)))
    VLAD(k=3).fit(sample(rng, 500), groups=np.arange(500))
    ((shape, groups),) = seen
    assert shape == (100, CHANNELS)
    assert len({*groups}) == 100


# what is refused


def test_what_cannot_be_learned_from_is_refused(rng):
    X = sample(rng)
    with pytest.raises(ValueError, match=r"k must be at most the number of different columns in X, got k=8 for 2"):
        VLAD(k=8).fit(np.repeat(X[:2], 30, axis=0))
    with pytest.raises(ValueError, match="columns that are not zero"):
        Fisher(k=2).fit(np.zeros((5, 4)))
    with pytest.raises(ValueError, match=r"X must be \(n, D\)"):
        BoW(k=2).fit(X[0])
    with pytest.raises(ValueError, match="X must be finite"):
        ASMK(k=2).fit(np.where(X > X.mean(), np.nan, X))
    with pytest.raises(ValueError, match="groups must hold"):
        BoW(k=2).fit(X, groups=[1, 2])
    with pytest.raises(ValueError, match="k must be a whole number"):
        NetVLAD(k=1).fit(X)


@pytest.mark.parametrize("name", ENCODINGS)
def test_what_cannot_be_encoded_is_refused(learned, name):
    encoding, columns = learned[name], torch.ones(2, 3, CHANNELS)
    with pytest.raises(NotFittedError):
        ENCODINGS[name]().encode(columns)
    with pytest.raises(ValueError, match=rf"columns must be \(B, T, {CHANNELS}\)"):
        encoding.encode(columns[0])
    with pytest.raises(ValueError, match=rf"columns must be \(B, T, {CHANNELS}\)"):
        encoding.encode(columns[..., :2])
    with pytest.raises(TypeError, match="floating-point"):
        encoding.encode(columns.long())
    with pytest.raises(ValueError, match="weights must be"):
        encoding.encode(columns, torch.ones(2, 4))
    with pytest.raises(ValueError, match="not negative"):
        encoding.encode(columns, -torch.ones(2, 3))
    with pytest.raises(ValueError, match="columns must be finite"):
        encoding.encode(columns * torch.nan)
    with pytest.raises(ValueError, match="each set must be"):
        encoding.transform([np.ones(CHANNELS)])


def test_similarity_refuses_rows_of_another_width():
    with pytest.raises(ValueError, match="with k=4"):
        similarity(np.ones((1, 10)), np.ones((2, 10)), k=4)
    with pytest.raises(ValueError, match="queries and images"):
        similarity(np.ones((1, 8)), np.ones((2, 12)), k=4)


# the registry


def test_the_registry_says_what_the_pipeline_needs_to_know():
    assert list(ENCODINGS) == ["bow", "vlad", "fisher", "netvlad", "asmk"]
    facts = {name: ENCODINGS.info(name).facts for name in ENCODINGS}
    assert [name for name in ENCODINGS if "similarity" in facts[name]] == ["asmk"]
    assert "extension" in ENCODINGS.info("asmk").title
    assert all(ENCODINGS.info(name).reference for name in ENCODINGS)
    with pytest.raises(UnknownName, match="vlad"):
        ENCODINGS["vald"]


@pytest.mark.parametrize("name", ENCODINGS)
def test_every_parameter_is_declared_and_has_a_default_in_its_range(name):
    declared = parameters(ENCODINGS[name])
    assert {*declared} == {*ENCODINGS[name]().get_params()}
    for parameter in declared.values():
        assert parameter.domain.check(name, parameter.name, parameter.default) == parameter.default
    assert ENCODINGS[name](k=8).width(512) == ENCODINGS[name](k=8).width(64)
